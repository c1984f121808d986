"""
One SQLite file for the server's own books, shared by threads and by processes.

A unit of work is one plain function that gets a connection inside a transaction; it runs in a thread, one hop for the whole of it.
A file that is damaged, deleted or replaced while the server runs is noticed: the remains are set aside under another name, a new
database is made, and the unit of work runs there.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread
import structlog

from wheelyard.errors import StorageUnavailable
from wheelyard.state.schema import SchemaTooNew, migrate

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

T = TypeVar("T")

_BUSY_TIMEOUT_S = 5.0  # how long a writer waits for another process's writer
_LOCK_TIMEOUT_S = 5.0  # making a database takes milliseconds
_LOCK_POLL_S = 0.01
_THREADS = 4  # SQLite has one writer; more threads would only wait for it, and anyio's own threads serve files
_WRITES = "wheelyard_writes"  # execution option: this transaction writes, take the lock at its start
_STORE = "state"

_log = structlog.get_logger(__name__)

_FileIdentity = tuple[int, int]


class Database:
    """
    The server's own books on disk. Nothing is opened before the first unit of work.

    Args:
        path: The database file; its folder is made when missing. Readable by its owner only.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()  # guards the two below
        self._engine: Engine | None = None
        self._identity: _FileIdentity | None = None
        self._limiter = anyio.CapacityLimiter(_THREADS)

    @property
    def path(self) -> Path:
        """The database file."""
        return self._path

    async def read(self, work: Callable[[Connection], T]) -> T:
        """
        Run `work` in a reading transaction, in a thread.

        Raises:
            StorageUnavailable: The database could not be asked; nothing is known.
        """
        return await anyio.to_thread.run_sync(self.read_now, work, limiter=self._limiter)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """
        Run `work` in a writing transaction, in a thread; committed when it returns, rolled back when it raises.

        Raises:
            StorageUnavailable: Nothing was written.
        """
        return await anyio.to_thread.run_sync(self.write_now, work, limiter=self._limiter)

    def read_now(self, work: Callable[[Connection], T]) -> T:
        """Do as `read`, in the calling thread."""
        return self._run(work, writes=False)

    def write_now(self, work: Callable[[Connection], T]) -> T:
        """Do as `write`, in the calling thread."""
        return self._run(work, writes=True)

    async def close(self) -> None:
        """Close all connections; the next unit of work opens them again."""
        await anyio.to_thread.run_sync(self._close)

    def _run(self, work: Callable[[Connection], T], *, writes: bool) -> T:
        # Other errors than the database's own belong to `work` and pass through.
        from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - 0.3 s that the start of the server does not pay

        try:
            engine = self._current_engine()
            try:
                return _transact(engine, work, writes=writes)
            except DBAPIError as error:
                if not _is_damage(error.orig):
                    raise
                self._recover(engine, error)
            return _transact(self._current_engine(), work, writes=writes)
        except DBAPIError as error:
            raise _unavailable(error.orig) from error
        except (OSError, sqlite3.Error) as error:
            raise _unavailable(error) from error
        except SchemaTooNew as error:
            raise StorageUnavailable(
                f"the server's own database was made by a newer version of this program ({error})",
                store=_STORE,
                hint="An administrator should update this program, or move the database file away.",
            ) from error

    def _current_engine(self) -> Engine:
        """Return the engine of the file that is there now, opening or re-opening it where that is needed."""
        with self._lock:
            if self._engine is not None and self._identity == _identity(self._path):
                return self._engine
            if self._engine is not None:
                # SQLite keeps writing to a file that was deleted or replaced, and nobody would ever read it.
                _log.warning("state database was replaced", path=str(self._path))
            self._dispose()
            with _exclusive(self._path):
                self._engine = _open_or_replace(self._path)
                self._identity = _identity(self._path)
            return self._engine

    def _recover(self, engine: Engine, error: Exception) -> None:
        """Set the damaged file aside, once for all threads and processes that saw the damage."""
        with self._lock:
            if self._engine is not engine:
                return
            self._dispose()
            with _exclusive(self._path):
                # Another process may have replaced it already; then its new file stays.
                if not _is_sound(self._path):
                    _set_aside(self._path, error)

    def _dispose(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
        self._engine = None
        self._identity = None

    def _close(self) -> None:
        with self._lock:
            self._dispose()


def _transact(engine: Engine, work: Callable[[Connection], T], *, writes: bool) -> T:
    with engine.connect().execution_options(**{_WRITES: writes}) as connection, connection.begin():
        return work(connection)


def _open_or_replace(path: Path) -> Engine:
    """Open the file and migrate it; set it aside first when it is no database. Call with `_exclusive` held."""
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - see `_run`

    _remove_stale_journal(path)
    _make_private_file(path)
    engine = _make_engine(path)
    try:
        _transact(engine, migrate, writes=True)
    except DBAPIError as error:
        engine.dispose()
        if not _is_damage(error.orig):
            raise
        _set_aside(path, error)
        return _open_or_replace(path)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _make_engine(path: Path) -> Engine:
    from sqlalchemy import create_engine, event  # noqa: PLC0415 - see `Database._run`
    from sqlalchemy.engine import URL  # noqa: PLC0415 - see `Database._run`

    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": _BUSY_TIMEOUT_S, "check_same_thread": False},
        pool_size=_THREADS,
    )
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare_connection(connection: sqlite3.Connection, record: object) -> None:
    del record
    # Python's own transaction handling off, else the pragmas run inside a transaction and `journal_mode` does nothing.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    # A power cut may lose the last logins, never the file's consistency.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    # A writer takes its lock at once: a read that turns into a write would fail with "locked" instead of waiting.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """
    Let one process at a time make, migrate or replace the file.

    Raises:
        OSError: The lock file cannot be made, or another process held it for too long (EWOULDBLOCK).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)  # gives the lock back, as does the end of the process


def _lock(descriptor: int) -> None:
    """Take the lock of an open file; whoever waits longer than any migration takes waits for a process that hangs."""
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_LOCK_POLL_S)
        else:
            return


def _make_private_file(path: Path) -> None:
    """Make the file for its owner only; SQLite gives its journal the same mode."""
    try:
        # Only a new file is opened: closing any descriptor of a file drops the locks this process has on it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return


def _remove_stale_journal(path: Path) -> None:
    """Remove what a deleted database left behind, so that its pages are not replayed into the new one."""
    if not path.exists():
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def _set_aside(path: Path, error: Exception) -> None:
    """Rename the database and its journal, so that somebody can look at them; logins in it are lost."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    kept = path.with_name(f"{path.name}.damaged-{stamp}")
    for suffix in ("-wal", "-shm", ""):
        try:
            path.with_name(path.name + suffix).rename(kept.with_name(kept.name + suffix))
        except FileNotFoundError:
            continue
    _log.error("state database was damaged: set aside and made anew", path=str(path), kept=str(kept), why=str(error))


def _is_sound(path: Path) -> bool:
    """Whether SQLite finds nothing wrong with the file; a missing one has nothing wrong."""
    if not path.exists():
        return True
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S)
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
        return False
    finally:
        connection.close()


def _is_damage(error: BaseException | None) -> bool:
    # The low byte is the primary code; the rest says more of the same.
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code & 0xFF) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _identity(path: Path) -> _FileIdentity | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _unavailable(error: BaseException | None) -> StorageUnavailable:
    _log.error("state database unavailable", why=str(error))
    # The text of an OSError names a path of this machine; that is for the log only.
    if isinstance(error, BlockingIOError):
        why = "another process has held its lock file for too long"
    elif isinstance(error, OSError):
        why = error.strerror or type(error).__name__
    else:
        why = str(error)
    return StorageUnavailable(
        f"the server's own database cannot be used: {why}",
        store=_STORE,
        hint="An administrator should check free space, owner and mode of the server's data folder. Packages are not affected.",
    )
