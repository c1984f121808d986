"""
A Wheelyard index in one SQLite file.

Each call opens the file, does its work in one transaction, and closes it: nothing is held between calls, so any number of
processes may use the file at once, and a killed one leaves a transaction that SQLite rolls back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import TypeVar

from anyio import to_thread

from wheelyard.errors import Conflict, KeyNotFound
from wheelyard.model import Key, Revision, Sha256Hex
from wheelyard.storage.interface import (
    ABSENT,
    Absent,
    Backend,
    BackendContext,
    ByteRange,
    Changes,
    PutOutcome,
    Record,
    StoredFile,
    Traits,
)
from wheelyard.storage.plugins import BackendPlugin
from wheelyard.storage.spool import PIECE_BYTES, Spool

T = TypeVar("T")

TABLES = """
CREATE TABLE IF NOT EXISTS store (name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS swaps (number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, content BLOB);
CREATE TABLE IF NOT EXISTS files (key TEXT PRIMARY KEY, size INTEGER NOT NULL, sha256 TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pieces (key TEXT NOT NULL, number INTEGER NOT NULL, content BLOB NOT NULL, PRIMARY KEY (key, number));
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteOptions:
    """
    Where the file is.

    Attributes:
        path: The SQLite file; made when missing. Default: `index.sqlite` in the index's own folder.
        timeout_s: How long a call waits for another one that writes.
    """

    path: str | None = None
    timeout_s: float = 30.0


class SqliteBackend(Backend):
    """
    Records and files in tables.

    A record's revision is the number of its last swap; a removed record keeps its row, with no content, so that
    `changes` can tell of the removal. Files are kept in pieces, so that none is ever whole in memory.
    """

    def __init__(self, path: Path, *, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s

    @property
    def traits(self) -> Traits:
        """Several records in one transaction; `put` stores exactly the bytes it reads from the spool, with its digest."""
        return Traits(atomic_batch=True)

    async def start(self) -> None:
        """Make the file and its tables."""

        def start() -> None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._transaction() as database:
                for statement in TABLES.strip().split(";\n"):
                    database.execute(statement)
                database.execute("INSERT INTO store SELECT ? WHERE NOT EXISTS (SELECT 1 FROM store)", [token_hex(8)])

        await to_thread.run_sync(start)

    # -- records ---------------------------------------------------------------------------------------------------

    async def read(self, key: Key) -> Record:
        """Read one record."""
        row = await self._in_thread(lambda database: _swap(database, key))
        if row is None or row[1] is None:
            raise KeyNotFound(key)
        return Record(row[1], Revision(str(row[0])))

    async def write(
        self, changes: Mapping[Key, bytes | None], expected: Mapping[Key, Revision | Absent]
    ) -> Mapping[Key, Revision | Absent]:
        """Swap records if none of them has moved."""

        def swap(database: sqlite3.Connection) -> Mapping[Key, Revision | Absent]:
            for key in changes:
                row = _swap(database, key)
                current = ABSENT if row is None or row[1] is None else Revision(str(row[0]))
                if current != expected[key]:
                    raise Conflict(key)
            statement = "INSERT OR REPLACE INTO swaps (key, content) VALUES (?, ?)"  # a new row, so a new number
            numbers = {key: database.execute(statement, [key, content]).lastrowid for key, content in changes.items()}
            return {key: ABSENT if changes[key] is None else Revision(str(numbers[key])) for key in changes}

        return await self._in_thread(swap)

    async def changes(self, cursor: str | None) -> Changes:
        """Tell which records were swapped since."""

        def tell(database: sqlite3.Connection) -> Changes:
            (name,) = database.execute("SELECT name FROM store").fetchone()
            (last,) = database.execute("SELECT coalesce(max(number), 0) FROM swaps").fetchone()
            asked, _, seen = (cursor or "").partition(":")
            known = asked == name and seen.isdecimal() and len(seen) < 19  # noqa: PLR2004  more is no 64-bit number
            rows = (
                database.execute("SELECT key FROM swaps WHERE number > ?", [int(seen)])
                if known
                else database.execute("SELECT key FROM swaps WHERE content IS NOT NULL")
            )
            return Changes(frozenset(Key(key) for (key,) in rows), f"{name}:{last}", complete=not known)

        return await self._in_thread(tell)

    # -- files -----------------------------------------------------------------------------------------------------

    async def put(self, key: Key, spool: Spool) -> PutOutcome:
        """Store one file, piece by piece, in one transaction."""

        def put(database: sqlite3.Connection) -> PutOutcome:
            there = database.execute("SELECT sha256 FROM files WHERE key = ?", [key]).fetchone()
            if there is not None:
                return PutOutcome.SAME_CONTENT if there[0] == spool.sha256 else PutOutcome.CONFLICT
            with spool.path.open("rb", buffering=0) as source:
                for number, piece in enumerate(iter(partial(source.read, PIECE_BYTES), b"")):
                    database.execute("INSERT INTO pieces VALUES (?, ?, ?)", [key, number, piece])
            database.execute("INSERT INTO files VALUES (?, ?, ?)", [key, spool.size, spool.sha256])
            return PutOutcome.CREATED

        return await self._in_thread(put)

    async def stat(self, key: Key) -> StoredFile:
        """Describe one file."""
        query = "SELECT key, size, sha256 FROM files WHERE key = ?"
        rows = await self._in_thread(lambda database: database.execute(query, [key]).fetchall())
        if not rows:
            raise KeyNotFound(key)
        return _stored(rows[0])

    async def open(self, key: Key, byte_range: ByteRange | None = None) -> AsyncIterator[bytes]:
        """Stream one file, or one range of it: only the pieces that the range touches are read."""
        size = (await self.stat(key)).size
        start, stop = (0, size) if byte_range is None else (byte_range.start, min(byte_range.stop, size))
        query = "SELECT content FROM pieces WHERE key = ? AND number = ?"
        while start < stop:
            number, offset = divmod(start, PIECE_BYTES)
            row = await self._in_thread(lambda database, n=number: database.execute(query, [key, n]).fetchone())  # type: ignore[misc]
            if row is None:
                raise KeyNotFound(key)  # it was removed meanwhile
            piece = row[0][offset : offset + stop - start]
            start += len(piece)
            yield piece

    async def delete(self, key: Key) -> None:
        """Remove one file."""

        def delete(database: sqlite3.Connection) -> None:
            database.execute("DELETE FROM files WHERE key = ?", [key])
            database.execute("DELETE FROM pieces WHERE key = ?", [key])

        await self._in_thread(delete)

    async def list(self, prefix: str = "") -> AsyncIterator[StoredFile]:
        """List the files whose key starts with `prefix`."""
        query = "SELECT key, size, sha256 FROM files WHERE substr(key, 1, ?) = ?"
        for row in await self._in_thread(lambda database: database.execute(query, [len(prefix), prefix]).fetchall()):
            yield _stored(row)

    # -- parts -----------------------------------------------------------------------------------------------------

    async def _in_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in one transaction, in a thread: nothing may block the server's loop."""

        def run() -> T:
            with self._transaction() as database:
                return work(database)

        return await to_thread.run_sync(run)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction; on disk when it ends (`synchronous = FULL` is SQLite's default)."""
        database = sqlite3.connect(self._path, timeout=self._timeout_s, isolation_level=None)
        try:
            database.execute("BEGIN IMMEDIATE")
            yield database
            database.execute("COMMIT")
        finally:
            database.close()  # rolls back what was not committed


def _swap(database: sqlite3.Connection, key: Key) -> tuple[int, bytes | None] | None:
    row: tuple[int, bytes | None] | None = database.execute(
        "SELECT number, content FROM swaps WHERE key = ?", [key]
    ).fetchone()
    return row


def _stored(row: tuple[str, int, str]) -> StoredFile:
    return StoredFile(Key(row[0]), row[1], Sha256Hex(row[2]))


def _open(options: SqliteOptions, context: BackendContext) -> SqliteBackend:
    """Make the backend; nothing is touched before `start`."""
    path = context.folder / "index.sqlite" if options.path is None else Path(options.path)
    return SqliteBackend(path, timeout_s=options.timeout_s)


plugin = BackendPlugin(name="sqlite_example", options=SqliteOptions, open=_open)
"""Found through the entry point `sqlite_example`."""
