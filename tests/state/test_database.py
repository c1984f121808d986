"""Units of work on the server's own database."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection

from wheelyard.errors import StorageUnavailable
from wheelyard.state.database import Database
from wheelyard.state.schema import STEPS

pytestmark = pytest.mark.anyio


def count_up(connection: Connection) -> None:
    value = connection.exec_driver_sql("SELECT n FROM counter").scalar_one()
    connection.exec_driver_sql(f"UPDATE counter SET n = {value + 1}")


def make_counter(connection: Connection) -> None:
    connection.exec_driver_sql("CREATE TABLE counter (n INTEGER NOT NULL)")
    connection.exec_driver_sql("INSERT INTO counter VALUES (0)")


def read_counter(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SELECT n FROM counter").scalar_one())


def test_nothing_is_made_before_the_first_use(path: Path) -> None:
    """The server starts without a database and without loading the library for it."""
    Database(path)

    assert not path.parent.exists()
    program = "import sys, wheelyard.state.sessions; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


async def test_the_file_is_for_its_owner_only(database: Database, path: Path) -> None:
    """The database, its journal and its lock are readable by the server's user only."""
    await database.write(make_counter)

    assert {file.name: file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {
        path.name: 0,
        f"{path.name}-wal": 0,
        f"{path.name}-shm": 0,
        f"{path.name}.lock": 0,
    }


async def test_the_journal_is_a_write_ahead_log(database: Database) -> None:
    """Readers are not held up by a writer."""
    assert await database.read(lambda c: c.exec_driver_sql("PRAGMA journal_mode").scalar_one()) == "wal"


async def test_the_schema_has_the_newest_version(database: Database) -> None:
    """A new database gets every step of the schema."""
    assert await database.read(lambda c: c.exec_driver_sql("PRAGMA user_version").scalar_one()) == len(STEPS)


async def test_a_unit_of_work_that_fails_leaves_nothing(database: Database) -> None:
    """A unit of work is kept whole or not at all, and its own error reaches the caller."""
    await database.write(make_counter)

    def fail(connection: Connection) -> None:
        count_up(connection)
        raise LookupError("of the work itself")

    with pytest.raises(LookupError, match="of the work itself"):
        await database.write(fail)
    assert await database.read(read_counter) == 0


async def test_concurrent_writers_lose_nothing(database: Database, path: Path) -> None:
    """Read-modify-write from several threads and two instances on one file adds up exactly."""
    await database.write(make_counter)
    other = Database(path)

    def work(number: int) -> None:
        (database, other)[number % 2].write_now(count_up)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(120)))

    await other.close()
    assert await database.read(read_counter) == 120


@pytest.mark.slow
def test_two_processes_make_one_database(path: Path) -> None:
    """Several processes that start at once agree on one schema."""
    program = (
        "import sys; from pathlib import Path; from wheelyard.state.database import Database\n"
        "Database(Path(sys.argv[1])).write_now(lambda c: c.exec_driver_sql('SELECT count(*) FROM sessions').scalar_one())"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(path)]) for _ in range(3)]

    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert not list(path.parent.glob("*.damaged-*"))


async def test_a_closed_database_opens_again(database: Database) -> None:
    """Closing is not final: the next unit of work opens the file again."""
    await database.write(make_counter)
    await database.close()

    assert await database.read(read_counter) == 0


async def test_a_database_of_a_newer_version_is_left_alone(path: Path) -> None:
    """A database that a newer program made is refused with advice, not set aside."""
    first = Database(path)
    first.write_now(lambda c: c.exec_driver_sql(f"PRAGMA user_version = {len(STEPS) + 1}"))
    await first.close()

    second = Database(path)
    with pytest.raises(StorageUnavailable, match="newer version") as caught:
        await second.read(lambda c: None)

    assert caught.value.hint is not None
    assert "update" in caught.value.hint
    assert not list(path.parent.glob("*.damaged-*"))


def test_a_folder_that_cannot_be_made_is_named_without_its_path(tmp_path: Path) -> None:
    """Trouble of the disk is our error, with advice and without a path of the server."""
    (tmp_path / "state").write_text("a file where the folder should be")

    with pytest.raises(StorageUnavailable, match="own database cannot be used") as caught:
        Database(tmp_path / "state" / "db").read_now(lambda c: None)

    assert str(tmp_path) not in caught.value.message
