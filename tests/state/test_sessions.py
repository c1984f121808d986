"""Logins: made, found, expired, ended."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import anyio
import pytest
from sqlalchemy import Connection

from wheelyard.state.database import Database
from wheelyard.state.sessions import Sessions

pytestmark = pytest.mark.anyio

T = TypeVar("T")
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


class SettableClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, by: timedelta) -> None:
        self.now += by


class Secrets:
    """The secrets of indexes as they are now."""

    def __init__(self) -> None:
        self.fingerprints: dict[tuple[str, str], bytes] = {("main", "read"): b"r1", ("main", "write"): b"w1"}

    def __call__(self, index: str, can: str) -> bytes | None:
        return self.fingerprints.get((index, can))


class SlowReader(Database):
    """A database whose answers arrive late."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.has_read = anyio.Event()
        self.may_answer = anyio.Event()

    async def read(self, work: Callable[[Connection], T]) -> T:
        row = await super().read(work)
        self.has_read.set()
        await self.may_answer.wait()
        return row


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def current() -> Secrets:
    return Secrets()


@pytest.fixture
def sessions(database: Database, clock: SettableClock, current: Secrets) -> Sessions:
    return Sessions(database, clock, current)


@pytest.fixture
async def elsewhere(path: Path, clock: SettableClock, current: Secrets) -> AsyncIterator[Sessions]:
    """Sessions of another process on the same file."""
    database = Database(path)
    yield Sessions(database, clock, current)
    await database.close()


async def test_a_session_says_what_it_may_do(sessions: Sessions, elsewhere: Sessions, clock: SettableClock) -> None:
    """A session opened in one process is found in another, with its index, right and times."""
    token = await sessions.create("main", b"w1", "write", HOUR)

    for found in (await sessions.find(token), await elsewhere.find(token)):
        assert found is not None
        assert (found.index, found.can, found.secret_fingerprint) == ("main", "write", b"w1")
        assert (found.created, found.expires) == (clock.now, clock.now + HOUR)


async def test_a_session_outlives_the_process(path: Path, clock: SettableClock, current: Secrets) -> None:
    """A restart of the server logs nobody out."""
    first = Database(path)
    token = await Sessions(first, clock, current).create("main", b"r1", "read", HOUR)
    await first.close()

    second = Database(path)
    assert await Sessions(second, clock, current).find(token) is not None
    await second.close()


async def test_the_cookie_is_not_in_the_database(sessions: Sessions, database: Database, path: Path) -> None:
    """AU-05: a copy of the database opens nothing, since it holds only a hash of the cookie."""
    token = await sessions.create("main", b"r1", "read", HOUR)
    await database.close()

    stored = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert b"main" in stored
    assert token.encode() not in stored


async def test_cookies_are_long_and_different(sessions: Sessions) -> None:
    """Cookies carry 256 bits and none comes twice."""
    tokens = [await sessions.create("main", b"r1", "read", HOUR) for _ in range(20)]

    assert len(set(tokens)) == 20
    assert {len(token) for token in tokens} == {43}


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "A" * 43,
        "A" * 44,
        "A" * 42 + "\N{LATIN SMALL LETTER E WITH ACUTE}",
        "A" * 42 + "\n",
        "A" * 42 + "\0",
        "\ud800",
    ],
)
async def test_what_is_no_cookie_of_ours_is_no_session(sessions: Sessions, token: str) -> None:
    """Any other cookie value is nobody, and ending it does nothing."""
    await sessions.create("main", b"r1", "read", HOUR)

    assert await sessions.find(token) is None
    assert sessions.remembered(token) is None
    await sessions.end(token)


async def test_a_session_expires_to_the_second(sessions: Sessions, elsewhere: Sessions, clock: SettableClock) -> None:
    """A session lasts its lifetime and not a moment longer, remembered or not."""
    token = await sessions.create("main", b"r1", "read", HOUR)

    clock.forward(HOUR - SECOND)
    assert await sessions.find(token) is not None
    assert sessions.remembered(token) is not None
    clock.forward(SECOND)
    assert sessions.remembered(token) is None
    assert await sessions.find(token) is None
    assert await elsewhere.find(token) is None


async def test_changing_the_secret_ends_its_sessions(sessions: Sessions, current: Secrets) -> None:
    """A session ends when the secret it was opened with changes; those of the other secret stay."""
    reader = await sessions.create("main", b"r1", "read", HOUR)
    writer = await sessions.create("main", b"w1", "write", HOUR)
    current.fingerprints["main", "read"] = b"r2"

    assert sessions.remembered(reader) is None
    assert await sessions.find(reader) is None
    assert await sessions.find(writer) is not None


async def test_an_index_that_is_gone_has_no_sessions(sessions: Sessions, current: Secrets) -> None:
    """A session ends when its index is configured no more."""
    token = await sessions.create("main", b"r1", "read", HOUR)
    current.fingerprints.clear()

    assert await sessions.find(token) is None


async def test_an_ended_session_is_gone(sessions: Sessions, elsewhere: Sessions, clock: SettableClock) -> None:
    """Logging out holds at once here and within ten seconds in other processes."""
    token = await sessions.create("main", b"r1", "read", HOUR)
    other = await sessions.create("main", b"r1", "read", HOUR)
    assert await elsewhere.find(token) is not None

    await sessions.end(token)

    assert await sessions.find(token) is None
    clock.forward(10 * SECOND)
    assert await elsewhere.find(token) is None
    assert await elsewhere.find(other) is not None


async def test_a_find_that_races_with_an_end_is_not_remembered(
    path: Path, clock: SettableClock, current: Secrets
) -> None:
    """A look-up that read the row before a logout does not bring the session back after it."""
    database = SlowReader(path)
    token = await Sessions(database, clock, current).create("main", b"r1", "read", HOUR)
    sessions = Sessions(database, clock, current)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sessions.find, token)
        await database.has_read.wait()
        await sessions.end(token)
        database.may_answer.set()

    assert sessions.remembered(token) is None
    assert await sessions.find(token) is None
    await database.close()


async def test_expired_sessions_are_purged(sessions: Sessions, path: Path, clock: SettableClock) -> None:
    """Purging deletes what has expired, and only that."""
    await sessions.create("main", b"r1", "read", SECOND)
    kept = await sessions.create("main", b"r1", "read", HOUR)
    clock.forward(2 * SECOND)

    assert await sessions.purge() == 1
    assert await sessions.purge() == 0
    assert await sessions.find(kept) is not None


async def test_the_table_stays_bounded_by_itself(
    sessions: Sessions, database: Database, path: Path, clock: SettableClock
) -> None:
    """A new login removes expired rows, so nobody has to schedule a purge."""
    for _ in range(10):
        await sessions.create("main", b"r1", "read", SECOND)
        clock.forward(2 * SECOND)
    await database.close()

    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (1,)
    connection.close()


async def test_a_remembered_session_needs_no_database(sessions: Sessions, database: Database, path: Path) -> None:
    """A known session is found without the database, even when that is gone."""
    token = await sessions.create("main", b"r1", "read", HOUR)
    await database.close()
    for file in path.parent.iterdir():
        file.unlink()
    path.parent.rmdir()
    path.parent.write_text("nothing can be opened here")

    assert await sessions.find(token) is not None


async def test_a_clock_set_back_makes_no_old_answer_young(
    sessions: Sessions, elsewhere: Sessions, clock: SettableClock
) -> None:
    """A clock that is set back does not keep an ended session alive."""
    token = await sessions.create("main", b"r1", "read", HOUR)
    await elsewhere.end(token)
    clock.forward(-10 * SECOND)

    assert await sessions.find(token) is None


async def test_memory_is_bounded(database: Database, clock: SettableClock, current: Secrets) -> None:
    """Only the most recent sessions are kept in memory; the others are still valid."""
    sessions = Sessions(database, clock, current, remember=3)
    tokens = [await sessions.create("main", b"r1", "read", HOUR) for _ in range(5)]

    assert [sessions.remembered(token) is not None for token in tokens] == [False, False, True, True, True]
    assert await sessions.find(tokens[0]) is not None
    assert [sessions.remembered(token) is not None for token in tokens] == [True, False, False, True, True]


async def test_ten_thousand_sessions_are_found_by_index(sessions: Sessions, database: Database) -> None:
    """Finding one of many sessions looks at one row, by the key, and expiry uses its own index."""
    plan = await database.read(
        lambda c: [
            row.detail
            for query in (
                "SELECT * FROM sessions WHERE token_hash = x'00'",
                "DELETE FROM sessions WHERE expires_at <= 5",
            )
            for row in c.exec_driver_sql("EXPLAIN QUERY PLAN " + query)
        ]
    )

    assert ["PRIMARY KEY" in plan[0], "sessions_by_expiry" in plan[1]] == [True, True]
