"""What the host said holds for a while, is asked once, and is never guessed."""

from __future__ import annotations

import gc
from collections.abc import Callable

import anyio
import pytest

from identity.hosts import OWNER, READER, STRANGER, UNKNOWN, WRITER, Host
from wheelyard.auth.access import Access
from wheelyard.auth.authenticators import IndexSecrets
from wheelyard.auth.credentials import Credential
from wheelyard.auth.hosts import REFUSED_FOR_S, HostAuthenticator, StandIn
from wheelyard.auth.remembered import RememberedDecisions, RememberedFor
from wheelyard.errors import StorageUnavailable
from wheelyard.storage.interface import HostIdentity, Permission

pytestmark = pytest.mark.anyio

READ_S, WRITE_S = 3600.0, 300.0


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """This test's clock."""
    return Clock()


def authenticator(
    host: Host, clock: Callable[[], float], stand_in: StandIn | None = None, answer_s: float = 60.0
) -> HostAuthenticator:
    """Return an authenticator of index `team` with the secrets `sec-read` and `sec-write`, and the server's `own`."""
    return HostAuthenticator(
        "team",
        host.identify,
        secrets=IndexSecrets("team", read_secret="sec-read", write_secret="sec-write"),
        admin=IndexSecrets("team", read_secret=None, write_secret=None, admin_secret="own"),
        remembered_for=RememberedFor(READ_S, WRITE_S),
        clock=clock,
        stand_in=stand_in,
        answer_s=answer_s,
    )


async def access(auth: HostAuthenticator, token: str, needed: Access = Access.READ, user: str = "x") -> Access | None:
    """Return what a token may do; None when it is not known."""
    principal = await auth.authenticate(Credential(user, token), needed)
    return None if principal is None else principal.access


@pytest.mark.parametrize("user", ["", "__token__", "team", "x-access-token", "rita@example.org"])
async def test_any_user_name(clock: Clock, user: str) -> None:
    """The password is the token, whatever the user name; the principal is who the host says."""
    auth = authenticator(Host(), clock)
    found = [await auth.authenticate(Credential(user, token)) for token in ("read", "write", "own")]
    assert [each and (each.name, each.access) for each in found] == [
        ("rita", Access.READ),
        ("walt", Access.WRITE),
        ("olga", Access.ADMIN),
    ]


@pytest.mark.parametrize("token", ["", "two words", "line\nend", "übung", "x" * 8193])
async def test_what_is_no_token_is_not_sent(clock: Clock, token: str) -> None:
    """What no header can carry is refused without asking the host."""
    host = Host()
    assert await access(authenticator(host, clock), token) is None
    assert host.asked == []


async def test_long_tokens_are_asked_about(clock: Clock) -> None:
    """A token of a few kilobytes is a token; hosts make them longer every year."""
    host = Host(people={"t" * 4000: READER})
    assert await access(authenticator(host, clock), "t" * 4000) is Access.READ


async def test_secrets_work_beside_tokens_and_are_not_sent(clock: Clock) -> None:
    """Read and write secrets of the table are known without the host, even while it is down."""
    host = Host(is_down=True)
    auth = authenticator(host, clock)
    assert await access(auth, "sec-read", user="team") is Access.READ
    assert await access(auth, "sec-write", Access.WRITE, user="team") is Access.WRITE
    assert host.asked == []


async def test_a_decision_holds_its_time(clock: Clock) -> None:
    """Reading is asked anew after `read_s` seconds and not before, writing after `write_s`."""
    host = Host()
    auth = authenticator(host, clock)
    for needed, at, asked in (
        (Access.READ, 0.0, 1),
        (Access.WRITE, WRITE_S - 1, 1),
        (Access.READ, WRITE_S + 1, 1),
        (Access.WRITE, WRITE_S + 1, 2),
        (Access.READ, WRITE_S + READ_S, 2),
        (Access.READ, WRITE_S + READ_S + 2, 3),
    ):
        clock.now = 1000.0 + at
        assert await access(auth, "write", needed) is Access.WRITE
        assert len(host.asked) == asked, (needed, at)


@pytest.mark.parametrize(("token", "needed"), [("nobody", Access.READ), ("out", Access.READ), ("read", Access.WRITE)])
async def test_a_refusal_holds_briefly(clock: Clock, token: str, needed: Access) -> None:
    """A refusal is remembered for half a minute: a client that loops costs one question, new access is seen soon."""
    host = Host()
    auth = authenticator(host, clock)
    for _ in range(5):
        assert (await access(auth, token, needed) or Access.NONE) < needed
    assert len(host.asked) == 1
    host.people[token] = WRITER
    clock.now += REFUSED_FOR_S - 1
    assert (await access(auth, token, needed) or Access.NONE) < needed
    clock.now += 2
    assert await access(auth, token, needed) is Access.WRITE


async def test_a_revoked_token_ends(clock: Clock) -> None:
    """What the host no longer knows ends when its decision does, also through the gate's memory of headers."""
    host = Host()
    auth = authenticator(host, clock)
    remembered = RememberedDecisions(RememberedFor(READ_S, WRITE_S), clock=clock)
    assert await access(auth, "write") is Access.WRITE
    del host.people["write"]
    clock.now += READ_S - 10  # another spelling of the same credentials comes late
    principal = await auth.authenticate(Credential("", "write"))
    assert principal is not None
    remembered.put((None, b"late"), principal)
    assert remembered.get((None, b"late"), Access.READ) is principal
    assert remembered.get((None, b"late"), Access.WRITE) is None
    clock.now += 11
    assert remembered.get((None, b"late"), Access.READ) is None
    assert await access(auth, "write") is None


async def test_known_and_unknown(clock: Clock) -> None:
    """Nobody is None; somebody without access is a principal that says why."""
    host = Host(people={"out": STRANGER, "sso": HostIdentity(Permission.NONE, None, "authorise it at https://sso/")})
    auth = authenticator(host, clock)
    assert await auth.authenticate(Credential("", "nobody")) is None
    out, sso = [await auth.authenticate(Credential("", token)) for token in ("out", "sso")]
    assert out is not None
    assert sso is not None
    assert out.access is sso.access is Access.NONE
    assert "'stan' has no access" in str(out.reason)
    assert sso.reason == "Authorise it at https://sso/."


async def test_a_host_that_is_down_lets_nobody_new_in(clock: Clock) -> None:
    """While the host cannot be asked, decisions go on until they end, and everything else is refused as unavailable."""
    host = Host()
    auth = authenticator(host, clock)
    assert await access(auth, "write", Access.WRITE) is Access.WRITE
    host.is_down = True
    assert await access(auth, "write", Access.WRITE) is Access.WRITE
    with pytest.raises(StorageUnavailable):
        await access(auth, "read")
    clock.now += WRITE_S + 1
    assert await access(auth, "write", Access.READ) is Access.WRITE
    with pytest.raises(StorageUnavailable):
        await access(auth, "write", Access.WRITE)
    host.is_down = False
    assert await access(auth, "write", Access.WRITE) is Access.WRITE


async def test_one_question_for_all_who_wait(clock: Clock) -> None:
    """A hundred callers with one token cost one question, and callers with other tokens do not wait for it."""
    host = Host()
    auth = authenticator(host, clock)
    host.hold()
    found: list[Access | None] = []

    async def ask() -> None:
        found.append(await access(auth, "read"))

    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(ask)
        assert host.waiting is not None
        await host.waiting.wait()
        await anyio.wait_all_tasks_blocked()
        assert host.asked == ["read"]
        host.release()
    assert found == [Access.READ] * 100


async def test_a_failure_reaches_all_who_wait(clock: Clock) -> None:
    """Who waited for a question that failed is told so, and the next caller asks again."""
    host = Host()
    auth = authenticator(host, clock)
    host.hold()
    failed: list[int] = []

    async def ask() -> None:
        try:
            await access(auth, "read")
        except StorageUnavailable:
            failed.append(1)

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        host.is_down = True
        host.release()
    assert (sum(failed), len(host.asked)) == (5, 1)
    host.is_down = False
    assert await access(auth, "read") is Access.READ


async def test_who_asked_and_left_takes_nobody_along(clock: Clock) -> None:
    """When the caller who asked goes away, one of those who waited asks again."""
    host = Host()
    auth = authenticator(host, clock)
    host.hold()
    found: list[Access | None] = []
    leaving = anyio.CancelScope()

    async def leave() -> None:
        with leaving:
            await access(auth, "read")

    async def stay() -> None:
        found.append(await access(auth, "read"))

    async with anyio.create_task_group() as group:
        group.start_soon(leave)
        await anyio.wait_all_tasks_blocked()
        for _ in range(3):
            group.start_soon(stay)
        await anyio.wait_all_tasks_blocked()
        leaving.cancel()
        await anyio.wait_all_tasks_blocked()
        host.release()
    assert found == [Access.READ] * 3
    assert host.asked == ["read", "read"]


async def test_strangers_do_not_flood_the_host(clock: Clock) -> None:
    """However many unknown tokens come at once, the host is asked about sixteen at a time."""
    host = Host()
    auth = authenticator(host, clock)
    host.hold()

    async def ask(number: int) -> None:
        assert await access(auth, f"guess-{number}") is None

    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(ask, number)
        await anyio.wait_all_tasks_blocked()
        assert len(host.asked) == 16
        host.release()
    assert len(host.asked) == 50


async def test_a_host_that_does_not_answer_is_not_waited_for(clock: Clock) -> None:
    """A question that takes too long counts as one that could not be asked, for all who wait; the next one asks anew."""
    host = Host()
    auth = authenticator(host, clock, answer_s=0.01)
    host.hold()
    with pytest.raises(StorageUnavailable, match="did not say in time"):
        await access(auth, "read")
    host.release()
    assert await access(auth, "read") is Access.READ


async def test_no_token_is_kept(clock: Clock) -> None:
    """After a decision no object of ours holds the token, neither the authenticator nor the memory of headers."""
    host = Host()
    auth = authenticator(host, clock)
    remembered = RememberedDecisions(RememberedFor(READ_S, WRITE_S), clock=clock)
    principal = await auth.authenticate(Credential("x", "read"))
    assert principal is not None
    remembered.put((None, b"Basic cmVhZA=="), principal)
    assert remembered.get((None, b"Basic cmVhZA=="), Access.READ) is principal
    held: list[object] = []
    waiting: list[object] = [vars(auth), vars(remembered)]
    seen: set[int] = set()
    own = {id(vars(host)), id(host)}
    while waiting:
        each = waiting.pop()
        if id(each) in seen or id(each) in own or isinstance(each, type) or callable(each):
            continue
        seen.add(id(each))
        held.append(each)
        waiting += gc.get_referents(each)
    assert len(held) > 10
    texts = [each for each in held if isinstance(each, str | bytes)]
    assert not any(each in ("read", b"read", b"Basic cmVhZA==") for each in texts)


async def test_a_stand_in_reads_alone_and_writes_as_its_token(clock: Clock) -> None:
    """The stand-in of loopback mode reads without asking; to write, the host is asked about the token behind it."""
    host = Host(is_down=True)
    auth = authenticator(host, clock, StandIn("paste-me", "write"))
    assert await access(auth, "paste-me") is Access.READ
    assert host.asked == []
    with pytest.raises(StorageUnavailable):
        await access(auth, "paste-me", Access.WRITE)
    host.is_down = False
    principal = await auth.authenticate(Credential("main", "paste-me"), Access.WRITE)
    assert principal is not None
    assert (principal.name, principal.access) == ("walt", Access.WRITE)
    assert set(host.asked) == {"write"}


async def test_the_servers_own_credential_configures_and_is_a_token_like_any_other(clock: Clock) -> None:
    """As a password of the index the host decides about it; only for the server as a whole it is compared here."""
    host = Host(people={"own": OWNER})
    auth = authenticator(host, clock)
    credential = Credential("team", "own")
    assert auth.decide(credential) is None
    known = auth.decide_for_server(credential)
    assert known is not None
    assert known.access is Access.ADMIN
    principal = await auth.authenticate(credential, Access.WRITE)
    assert principal is not None
    assert principal.name == "olga"


async def test_an_owner_of_the_repository_does_not_configure_the_server(clock: Clock) -> None:
    """Admin rights at the host end at its index."""
    host = Host(people={"boss": OWNER})
    assert authenticator(host, clock).decide_for_server(Credential("team", "boss")) is None
    assert host.asked == []


async def test_unknown_is_none(clock: Clock) -> None:
    """A token that the host does not know is a wrong one, whatever the host says of it."""
    host = Host(people={"gone": UNKNOWN})
    assert await access(authenticator(host, clock), "gone") is None
