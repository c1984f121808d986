"""Section 1P: credentials, on reading."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.live import running_server
from standards.subject import TEXT_HTML, V1_JSON, Builder, Credentials, Subject, basic
from wheelyard.testing.builders import WheelBuilder

CHALLENGE = 'Basic realm="'


@pytest.fixture(scope="module")
def wheel(subject: Subject) -> Builder:
    return subject.publish(WheelBuilder(name=subject.new_name()))


def routes(subject: Subject, wheel: Builder) -> dict[str, str]:
    """Every address that tells anything of an index."""
    file = subject.file_url(wheel.name, wheel.file_name)
    return {
        "list": subject.index_url,
        "page": f"{subject.index_url}{wheel.name}/",
        "page-without-slash": f"{subject.index_url}{wheel.name}",
        "other-spelling": f"{subject.index_url}{wheel.name.upper()}/",
        "unknown-project": f"{subject.index_url}{subject.new_name('no')}/",
        "file": file,
        "unknown-file": f"{file}.zip",
        "metadata": f"{file}.metadata",
        "signature": f"{file}.asc",
        "json": f"{subject.root}pypi/{wheel.name}/json",
        "release-json": f"{subject.root}pypi/{wheel.name}/1.0/json",
        "devpi": f"{subject.upload_url.rstrip('/')}/+simple/{wheel.name}/",
    }


NAMES = [
    *("list", "page", "page-without-slash", "other-spelling", "unknown-project", "file", "unknown-file", "metadata"),
    *("signature", "json", "release-json", "devpi"),
]
WRONG: list[tuple[str, Credentials | None]] = [
    ("none", None),
    ("wrong-password", ("main", "wrong")),
    ("wrong-user", ("nobody", "wrong")),
    ("empty", ("", "")),
    ("token-wrong", ("__token__", "wrong")),
]


@pytest.fixture(scope="module")
def private(subject: Subject) -> Subject:
    if subject.ask("GET", "", credentials=None).status == 200:
        pytest.skip("everybody may read this index")
    return subject


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("who"), [case[1] for case in WRONG], ids=[case[0] for case in WRONG])
@pytest.mark.parametrize("route", NAMES)
def test_challenge(private: Subject, wheel: Builder, route: str, who: Credentials | None, method: str) -> None:
    """AU-01, AU-02, AU-04: each route answers a stranger with 401 and a challenge, whether or not there is something."""
    reply = private.ask(method, routes(private, wheel)[route], credentials=who).check(401)
    challenge = reply.header("www-authenticate") or ""
    assert challenge.startswith(CHALLENGE)
    assert 'charset="UTF-8"' in challenge


def test_nothing_learned(private: Subject, wheel: Builder) -> None:
    """AU-02: what a stranger is told does not depend on what there is."""
    there = private.ask("GET", f"{wheel.name}/", credentials=None, headers={"Accept": V1_JSON})
    absent = private.ask("GET", f"{private.new_name('no')}/", credentials=None, headers={"Accept": V1_JSON})
    ignored = {"date"}
    assert [pair for pair in there.headers if pair[0] not in ignored] == [
        pair for pair in absent.headers if pair[0] not in ignored
    ]
    assert there.body == absent.body


def test_reader(subject: Subject, wheel: Builder) -> None:
    """AU-04: who may read reads every route."""
    if subject.reader is None:
        pytest.skip("no credentials of a reader")
    for name, url in routes(subject, wheel).items():
        reply = subject.ask("GET", url, credentials=subject.reader)
        assert reply.status in {200, 301, 404}, name
        assert (reply.status == 404) == (name in {"unknown-project", "unknown-file", "signature"}), name


@pytest.mark.parametrize(
    "value",
    [
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic bWFpbg==",
        "Basic " + "A" * 20_000,
        "Digest username=main",
        "Negotiate AAAA",
        "nonsense",
        "Bearer",
        "Bearer ",
        "basic\x00",
        "\xff\xfe",
    ],
)
def test_malformed(private: Subject, wheel: Builder, value: str) -> None:
    """AU-01: a header that cannot be read is wrong credentials, never a failure."""
    reply = private.ask("GET", f"{wheel.name}/", credentials=None, headers={"Authorization": value})
    assert reply.status in {401, 400, 431}
    assert value not in reply.text or not value.strip()


def test_repeated(private: Subject, wheel: Builder) -> None:
    """AU-01: two `Authorization` headers are refused, though one of them is right."""
    right = ("Authorization", basic(private.credentials))
    for headers in ([right, right], [right, ("Authorization", basic(("main", "wrong")))]):
        assert private.ask("GET", f"{wheel.name}/", credentials=None, headers=headers).status in {400, 401}


@pytest.mark.parametrize("form", ["basic", "lower", "upper-user", "token", "token-as-user", "no-padding", "bearer"])
def test_forms(private: Subject, wheel: Builder, form: str) -> None:
    """AU-03: credentials work in every form that clients and CI systems send."""
    user, password = private.credentials
    value = {
        "basic": basic((user, password)),
        "lower": basic((user, password)).replace("Basic", "basic"),
        "upper-user": basic((user.upper(), password)),
        "token": basic(("__token__", password)),
        "token-as-user": basic((password, "")),
        "no-padding": basic((user, password)).rstrip("="),
        "bearer": f"Bearer {password}",
    }[form]
    private.ask("GET", f"{wheel.name}/", credentials=None, headers={"Authorization": value}).check(200)


HARD_SECRETS = ["pä:ss wörd/%@?#", "日本語", "a" * 500, "with:colon", "quote\"'\\", " edge "]


@pytest.fixture(scope="module")
def hard(subject: Subject, tmp_path_factory: pytest.TempPathFactory, http_server: str) -> Iterator[dict[str, str]]:
    """A server with one index for each hard secret; addresses by secret."""
    if subject.api is None:
        pytest.skip("this index has the secrets it has")
    folder: Path = tmp_path_factory.mktemp("secrets")
    escaped = [secret.replace("\\", "\\\\").replace('"', '\\"') for secret in HARD_SECRETS]
    config = "".join(
        f'[index{number}]\ntype = "file_system"\nread_secret = "{secret}"\nwrite_secret = "w-{secret}"\n'
        for number, secret in enumerate(escaped)
    )
    with running_server(folder / "root", http_server=http_server, config=config) as server:
        yield {secret: f"{server.url}/index{number}/simple/" for number, secret in enumerate(HARD_SECRETS)}


@pytest.mark.parametrize("secret", HARD_SECRETS)
def test_hard_secrets(subject: Subject, hard: dict[str, str], secret: str) -> None:
    """AU-03: passwords of any characters work, in UTF-8."""
    number = HARD_SECRETS.index(secret)
    assert subject.ask("GET", hard[secret], credentials=(f"index{number}", secret)).status == 200
    assert subject.ask("GET", hard[secret], credentials=("__token__", secret)).status == 200
    assert subject.ask("GET", hard[secret], credentials=(f"index{number}", secret + "x")).status == 401


def test_latin_1(subject: Subject, hard: dict[str, str]) -> None:
    """AU-03: an old client that sends Latin-1 is understood where that is possible."""
    secret = HARD_SECRETS[0]
    value = "Basic " + base64.b64encode(f"index0:{secret}".encode("latin-1")).decode()
    assert subject.ask("GET", hard[secret], credentials=None, headers={"Authorization": value}).status == 200


def test_secrets_not_shown(subject: Subject, wheel: Builder) -> None:
    """AU-05: neither an answer nor the log ever repeats what was sent as a secret."""
    secret = "never-to-be-seen-9f31"
    for accept in (V1_JSON, TEXT_HTML, "application/json"):
        for user in ("main", secret):
            reply = subject.ask("GET", f"{wheel.name}/", credentials=(user, secret), headers={"Accept": accept})
            assert secret.encode() not in reply.body
            assert all(secret not in value for _, value in reply.headers)
    if subject.log is not None:
        log = subject.log.read_text(encoding="utf-8")
        assert secret not in log
        assert subject.credentials[1] not in log
        assert basic(subject.credentials) not in log
