"""A damaged, deleted or replaced database costs logins and nothing else."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from wheelyard.state.database import Database
from wheelyard.state.sessions import Clock, Sessions

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


def sessions_on(database: Database, clock: Clock) -> Sessions:
    return Sessions(database, clock, lambda index, can: b"fingerprint")


async def fill(path: Path, clock: Clock) -> str:
    database = Database(path)
    sessions = sessions_on(database, clock)
    for _ in range(50):
        await sessions.create("main", b"fingerprint", "read", HOUR)
    token = await sessions.create("main", b"fingerprint", "read", HOUR)
    await database.close()
    return token


def overwrite(path: Path, *, start: int = 0, byte: bytes = b"\0") -> None:
    """Overwrite the file from `start` on, with nothing of it left in the journal."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with path.open("r+b") as file:
        file.seek(start)
        file.write(byte * (path.stat().st_size - start))


def truncate(path: Path, length: int) -> None:
    with path.open("r+b") as file:
        file.truncate(length)


def write_no_database(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database, and never was one " * 200)


def delete(path: Path) -> None:
    path.unlink()


def delete_folder(path: Path) -> None:
    for file in path.parent.iterdir():
        file.unlink()
    path.parent.rmdir()


def set_aside(path: Path) -> list[Path]:
    """The databases that were set aside, without their journals."""
    return sorted(path.parent.glob(f"{path.name}.damaged-*Z"))


async def test_a_file_that_is_no_database_is_set_aside(database: Database, path: Path, clock: Clock) -> None:
    """A file that is no database is kept under another name, a log line says so, and logins work."""
    write_no_database(path)

    with capture_logs() as lines:
        token = await sessions_on(database, clock).create("main", b"fingerprint", "read", HOUR)

    assert await sessions_on(database, clock).find(token) is not None
    (kept,) = set_aside(path)
    assert kept.read_bytes().startswith(b"this is no database")
    assert [(line["log_level"], line["kept"]) for line in lines] == [("error", str(kept))]


async def test_damaged_pages_are_set_aside(database: Database, path: Path, clock: Clock) -> None:
    """A database with overwritten pages is set aside at the first unit of work that meets them."""
    token = await fill(path, clock)
    overwrite(path, start=1024, byte=b"\xa5")

    sessions = sessions_on(database, clock)
    assert await sessions.find(token) is None
    token = await sessions.create("main", b"fingerprint", "read", HOUR)
    assert await sessions_on(database, clock).find(token) is not None
    assert len(set_aside(path)) == 1


async def test_damage_while_the_server_runs(database: Database, path: Path, clock: Clock) -> None:
    """Damage that appears while the server runs is met by the next unit of work, which then succeeds."""
    await sessions_on(database, clock).create("main", b"fingerprint", "read", HOUR)
    overwrite(path)

    token = await sessions_on(database, clock).create("main", b"fingerprint", "read", HOUR)

    assert await sessions_on(database, clock).find(token) is not None
    assert len(set_aside(path)) == 1


@pytest.mark.parametrize("length", [0, 1, 99, 100, 4096, 5000])
async def test_a_truncated_file(database: Database, path: Path, clock: Clock, length: int) -> None:
    """Whatever length a database is cut to, the next login works."""
    await fill(path, clock)
    truncate(path, length)

    token = await sessions_on(database, clock).create("main", b"fingerprint", "read", HOUR)

    assert await sessions_on(database, clock).find(token) is not None


async def test_a_deleted_file_is_made_again(database: Database, path: Path, clock: Clock) -> None:
    """A file deleted under the running server is made again, so that logins are written where others read them."""
    await sessions_on(database, clock).create("main", b"fingerprint", "read", HOUR)
    delete(path)

    token = await sessions_on(database, clock).create("main", b"fingerprint", "read", HOUR)

    other = Database(path)
    assert await sessions_on(other, clock).find(token) is not None
    await other.close()


async def test_a_deleted_folder_is_made_again(database: Database, path: Path, clock: Clock) -> None:
    """The whole folder may go and the server goes on."""
    await sessions_on(database, clock).create("main", b"fingerprint", "read", HOUR)
    delete_folder(path)

    token = await sessions_on(database, clock).create("main", b"fingerprint", "read", HOUR)

    assert await sessions_on(database, clock).find(token) is not None


async def test_two_servers_meet_the_same_damage(database: Database, path: Path, clock: Clock) -> None:
    """When one server has replaced the file, the other uses the new one and does not set that aside."""
    other = Database(path)
    await sessions_on(database, clock).create("main", b"fingerprint", "read", HOUR)
    await sessions_on(other, clock).create("main", b"fingerprint", "read", HOUR)
    overwrite(path)

    token = await sessions_on(database, clock).create("main", b"fingerprint", "read", HOUR)

    assert await sessions_on(other, clock).find(token) is not None
    assert len(set_aside(path)) == 1
    await other.close()
