"""Who is let in where: index in the path or as user name, tokens, secrets, anonymous readers, remembered decisions."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.sites import READ, WRITE, Credentials, Site, basic, composed, index_settings
from wheelyard.auth.access import Access
from wheelyard.auth.remembered import RememberedDecisions, RememberedFor
from wheelyard.errors import CredentialsMissing, CredentialsWrong, IndexNotFound, PermissionDenied, WheelyardError
from wheelyard.server.gate import Gate
from wheelyard.server.requests import Request, collect
from wheelyard.settings import Secret
from wheelyard.testing.builders import WheelBuilder

pytestmark = pytest.mark.anyio


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[Site]:
    """Three indexes: `main`, `other`, and `open`, which everybody may read."""
    indexes = (index_settings(), index_settings("other"), index_settings("open", anonymous_read=True))
    async with composed(tmp_path, *indexes) as site:
        yield site


def request_with(*authorizations: str, cookie: str = "") -> Request:
    pairs = [(b"authorization", each.encode("latin-1")) for each in authorizations]
    if cookie:
        pairs.append((b"cookie", cookie.encode()))
    headers, repeated = collect(pairs)
    return Request("GET", b"/simple/", headers=headers, repeated=repeated)


def gate_of(site: Site, remembered: RememberedDecisions | None = None) -> Gate:
    decisions = remembered or RememberedDecisions(RememberedFor(60, 60), clock=lambda: 0.0)
    return Gate(lambda: site.server.state.catalog, decisions, lambda: None)


async def outcome(
    gate: Gate, index: str | None, request: Request, needed: Access = Access.READ
) -> tuple[str, Access] | type[WheelyardError]:
    try:
        admitted = await gate.admit(index, request, needed)
    except WheelyardError as error:
        return type(error)
    return admitted.served.name, admitted.principal.access


USERS = ["main", "MAIN", "other", "open", "__token__", "", "somebody"]
SECRETS = {
    "read-secret": ("main", Access.READ),
    "write-secret": ("main", Access.WRITE),
    "admin-secret": ("main", Access.ADMIN),
    "other-read-secret": ("other", Access.READ),
    "other-write-secret": ("other", Access.WRITE),
    "open-read-secret": ("open", Access.READ),
    "wrong": (None, Access.NONE),
    "": (None, Access.NONE),
}


@pytest.mark.parametrize("index", [None, "main", "other", "open"])
@pytest.mark.parametrize(("user", "secret"), list(itertools.product(USERS, SECRETS)))
async def test_all_combinations(three: Site, index: str | None, user: str, secret: str) -> None:
    """A secret opens its own index, under its name, as a token or without a user, and nothing else."""
    owner, access = SECRETS[secret]
    named = user.lower() if user.lower() in {"main", "other", "open"} else None
    fits_user = named == owner or user in {"__token__", ""}
    fits_path = index is None or index == owner
    admitted = owner is not None and fits_user and fits_path
    found = await outcome(gate_of(three), index, request_with(basic(user, secret)))
    assert found == ((owner, access) if admitted else CredentialsWrong)


@pytest.mark.parametrize("index", [None, "main", "other"])
@pytest.mark.parametrize("scheme", ["Bearer", "token", "bearer"])
async def test_bearer(three: Site, index: str | None, scheme: str) -> None:
    """UP-06: a secret in a Bearer header is a token."""
    found = await outcome(gate_of(three), index, request_with(f"{scheme} write-secret"))
    assert found == (("main", Access.WRITE) if index != "other" else CredentialsWrong)


async def test_token_as_user(three: Site) -> None:
    """AU-03: a token in the user's place, with an empty password, counts."""
    assert await outcome(gate_of(three), None, request_with(basic("read-secret", ""))) == ("main", Access.READ)


NEEDS = [
    ("read-secret", Access.READ, None),
    ("read-secret", Access.WRITE, PermissionDenied),
    ("read-secret", Access.ADMIN, PermissionDenied),
    ("write-secret", Access.READ, None),
    ("write-secret", Access.WRITE, None),
    ("write-secret", Access.ADMIN, PermissionDenied),
    ("admin-secret", Access.ADMIN, None),
]


@pytest.mark.parametrize(("secret", "needed", "refusal"), NEEDS)
async def test_enough(three: Site, secret: str, needed: Access, refusal: type[WheelyardError] | None) -> None:
    """UP-07: each secret is good for its level and those below."""
    found = await outcome(gate_of(three), None, request_with(basic("main", secret)), needed)
    assert (found is refusal) if refusal else isinstance(found, tuple)


@pytest.mark.parametrize(
    ("index", "needed", "expected"),
    [
        (None, Access.READ, CredentialsMissing),
        ("main", Access.READ, CredentialsMissing),
        ("open", Access.READ, ("open", Access.READ)),
        ("open", Access.WRITE, CredentialsMissing),
        ("nowhere", Access.READ, IndexNotFound),
    ],
)
async def test_without_credentials(three: Site, index: str | None, needed: Access, expected: object) -> None:
    """AU-01, AU-02: only an index that says so is read by everybody, and only read."""
    assert await outcome(gate_of(three), index, request_with(), needed) == expected


async def test_wrong_on_open_index(three: Site) -> None:
    """AU-01: wrong credentials are wrong where none would be needed, too."""
    assert await outcome(gate_of(three), "open", request_with(basic("open", "wrong"))) is CredentialsWrong


async def test_only_open_index(tmp_path: Path) -> None:
    """With one index, which everybody may read, the path need not name it."""
    async with composed(tmp_path, index_settings(anonymous_read=True)) as site:
        assert await outcome(gate_of(site), None, request_with()) == ("main", Access.READ)


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Basic ", "Basic %%%", "Basic bWFpbg==", "Digest x", "Basic " + "A" * 20000, "Bearer ", "x"],
)
async def test_malformed(three: Site, header: str) -> None:
    """AU-01: what cannot be read is wrong, not missing: no prompt for a password that was sent."""
    assert await outcome(gate_of(three), None, request_with(header)) is CredentialsWrong


async def test_repeated(three: Site) -> None:
    """Two headers are refused, the same or not, also when one of them was admitted before."""
    gate = gate_of(three)
    right = basic(*READ)
    assert await outcome(gate, None, request_with(right)) == ("main", Access.READ)
    assert await outcome(gate, None, request_with(right, right)) is CredentialsWrong
    assert gate.admit_now(None, request_with(right, right), Access.READ) is None
    assert await outcome(gate, None, request_with(right, basic("main", "wrong"))) is CredentialsWrong


async def test_no_secrets(tmp_path: Path) -> None:
    """An index without secrets admits nobody, an empty password least of all."""
    closed = index_settings(read_secret=None, write_secret=None, admin_secret=None)
    async with composed(tmp_path, closed) as site:
        for user, secret in itertools.product(["main", "", "__token__"], ["", "None", "x"]):
            assert await outcome(gate_of(site), None, request_with(basic(user, secret))) is CredentialsWrong


async def test_one_secret_for_all(tmp_path: Path) -> None:
    """Where read and write secret are the same, it does both."""
    async with composed(tmp_path, index_settings(read_secret="x", write_secret="x")) as site:
        assert await outcome(gate_of(site), None, request_with(basic("main", "x"))) == ("main", Access.WRITE)


async def test_admin_secret_alone(tmp_path: Path) -> None:
    """An admin secret reads and publishes too."""
    admin = index_settings(read_secret=None, write_secret=None, admin_secret=Secret("memory", "boss"))
    async with composed(tmp_path, admin) as site:
        found = await outcome(gate_of(site), None, request_with(basic("main", "boss")), Access.WRITE)
        assert found == ("main", Access.ADMIN)


# --- remembered ----------------------------------------------------------------------------------------------------


async def test_remembered_expires(three: Site) -> None:
    """A decision is remembered for its time: shorter for writing than for reading."""
    now = 0.0
    remembered = RememberedDecisions(RememberedFor(read_s=100, write_s=10), clock=lambda: now)
    gate = gate_of(three, remembered)
    request = request_with(basic(*WRITE))
    assert gate.admit_now(None, request, Access.READ) is None
    await gate.admit(None, request, Access.WRITE)
    assert gate.admit_now(None, request, Access.WRITE) is not None
    now = 9.9
    assert gate.admit_now(None, request, Access.WRITE) is not None
    now = 10.0
    assert gate.admit_now(None, request, Access.WRITE) is None
    assert gate.admit_now(None, request, Access.READ) is not None
    now = 100.0
    assert gate.admit_now(None, request, Access.READ) is None
    await gate.admit(None, request, Access.READ)
    assert gate.admit_now(None, request, Access.READ) is not None


async def test_failures_not_remembered(three: Site) -> None:
    """A refusal is decided anew each time, so that a corrected secret works at once."""
    gate = gate_of(three)
    request = request_with(basic("main", "wrong"))
    assert await outcome(gate, None, request) is CredentialsWrong
    assert gate.admit_now(None, request, Access.READ) is None


async def test_remembered_by_place(three: Site) -> None:
    """A decision about one index says nothing about another."""
    gate = gate_of(three)
    request = request_with(basic("__token__", "read-secret"))
    await gate.admit("main", request, Access.READ)
    assert gate.admit_now("main", request, Access.READ) is not None
    assert gate.admit_now("other", request, Access.READ) is None
    assert await outcome(gate, "other", request) is CredentialsWrong


async def test_remembered_is_not_more(three: Site) -> None:
    """A remembered reader does not become a publisher."""
    gate = gate_of(three)
    request = request_with(basic(*READ))
    await gate.admit(None, request, Access.READ)
    assert gate.admit_now(None, request, Access.WRITE) is None
    assert await outcome(gate, None, request, Access.WRITE) is PermissionDenied


def test_bounded() -> None:
    """What is remembered has a bound, and the oldest goes first."""
    remembered = RememberedDecisions(RememberedFor(60, 60), clock=lambda: 0.0)
    from wheelyard.auth import remembered as module  # noqa: PLC0415  the bound is its own
    from wheelyard.auth.access import Principal  # noqa: PLC0415

    reader = Principal("main:read", Access.READ, "main")
    for number in range(module.ENTRIES_LIMIT + 2):
        remembered.put((None, b"%d" % number), reader)
    assert remembered.get((None, b"0"), Access.READ) is None
    assert remembered.get((None, b"1"), Access.READ) is None
    assert remembered.get((None, b"2"), Access.READ) is reader


# --- over HTTP -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/simple/", "/main/simple/", "/MAIN/simple/", "/api/v1/indexes/main/projects"])
async def test_read_over_http(site: Site, path: str) -> None:
    """AU-01, AU-04: the gate stands in front of every way to read."""
    assert (await site.get(path)).status_code == 200
    for auth in (None, ("main", "wrong"), ("other", "read-secret")):
        refused = await site.get(path, auth=auth)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize(
    ("auth", "status"),
    [(None, 401), (("main", "wrong"), 401), (READ, 403), (WRITE, 200), (("__token__", WRITE[1]), 200)],
)
async def test_publish_over_http(site: Site, auth: Credentials | None, status: int) -> None:
    """UP-06, UP-07: a read secret that publishes is 403, no or wrong credentials are 401; nothing is kept."""
    path = WheelBuilder().build(site.folder)
    answer = await site.upload(path, auth=auth)
    assert answer.status_code == status
    assert bool(await site.files("demo")) == (status == 200)
    if status == 403:
        assert "write secret" in answer.text
