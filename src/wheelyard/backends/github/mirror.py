"""
What this server knows of the branch: in memory what every request needs, in a database of its own folder the rest.

Contents are kept by git's own digest of them, which is checked at every reading: a damaged database is never believed,
and made anew. Nothing in it is the only copy of anything.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import structlog

from wheelyard.backends.github.names import is_files_path, is_record_path

T = TypeVar("T")

_log = structlog.get_logger(__name__)

NAME: Final = "branch.sqlite3"
_FORMAT: Final = 1  # `user_version` of the database; another one is made anew
_SCHEMA: Final = """
CREATE TABLE blobs (sha TEXT PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE tree (path TEXT PRIMARY KEY, sha TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), source TEXT NOT NULL, sha TEXT NOT NULL);
"""


def blob_sha(content: bytes) -> str:
    """Return the name that git gives to content."""
    return hashlib.sha1(b"blob %d\x00" % len(content) + content, usedforsecurity=False).hexdigest()


def is_kept_in_memory(path: str) -> bool:
    """Tell whether the content at a path is needed without waiting: records and lists of files."""
    return is_record_path(path) or is_files_path(path)


@dataclass(slots=True)
class Tree:
    """
    One state of the branch.

    Attributes:
        head: Its commit; None while there is no branch.
        shas: Git's digest of each file's content, by path.
        contents: Contents that are kept in memory, by path.
    """

    head: str | None = None
    shas: dict[str, str] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)

    def apply(self, head: str, changes: Mapping[str, tuple[str, bytes | None] | None]) -> None:
        """Go on to a later state: digest and content of what was added (None where nobody needs it now), None for removals."""
        self.head = head
        for path, change in changes.items():
            self.contents.pop(path, None)
            if change is None:
                self.shas.pop(path, None)
                continue
            self.shas[path] = change[0]
            if change[1] is not None and is_kept_in_memory(path):
                self.contents[path] = change[1]


class Mirror:
    """
    The database. Every method blocks, so it is called in a thread; any number of threads and processes may use it.

    Args:
        folder: Where it is; made when missing.
        source: Which branch of which repository it mirrors; one of another source is not used.
    """

    def __init__(self, folder: Path, *, source: str) -> None:
        self._path = folder / NAME
        self._source = source
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def load(self) -> Tree:
        """Open the database and return the state it has; an empty one when there is none that can be believed."""
        with self._lock:
            try:
                return self._loaded()
            except (sqlite3.Error, ValueError) as error:
                _log.warning("github-mirror-rebuilt", why=str(error))
                self._remake()
                return Tree()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def replace(self, head: str, files: Mapping[str, tuple[str, bytes]]) -> None:
        """Keep a whole state in place of what was there."""

        def swap(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM tree")
            connection.execute("DELETE FROM blobs")
            connection.executemany("INSERT OR IGNORE INTO blobs VALUES (?, ?)", files.values())
            connection.executemany("INSERT INTO tree VALUES (?, ?)", ((path, sha) for path, (sha, _) in files.items()))
            self._set_head(connection, head)

        self._change(swap)

    def apply(self, before: str | None, head: str, changes: Mapping[str, tuple[str, bytes | None] | None]) -> None:
        """Keep a step from one state to the next; only contents, when the database is at another state by now."""

        def step(connection: sqlite3.Connection) -> None:
            added = [(path, *change) for path, change in changes.items() if change is not None]
            connection.executemany(
                "INSERT OR IGNORE INTO blobs VALUES (?, ?)", ((sha, blob) for _, sha, blob in added if blob is not None)
            )
            row = connection.execute("SELECT sha FROM head").fetchone()
            if (row[0] if row else None) != before:
                return  # another process of this machine went on already; a later start asks GitHub what is missing
            removed = [(path,) for path, change in changes.items() if change is None]
            connection.executemany("DELETE FROM tree WHERE path = ?", removed)
            connection.executemany("INSERT OR REPLACE INTO tree VALUES (?, ?)", ((path, sha) for path, sha, _ in added))
            self._set_head(connection, head)

        self._change(step)

    def keep(self, sha: str, content: bytes) -> None:
        """Keep one content."""
        self._change(
            lambda connection: connection.execute("INSERT OR REPLACE INTO blobs VALUES (?, ?)", (sha, content))
        )

    def content(self, sha: str) -> bytes | None:
        """Return a content; None when it is not here, or is damaged."""
        return self.contents([sha]).get(sha)

    def contents(self, shas: Iterable[str]) -> dict[str, bytes]:
        """Return those contents that are here."""
        found: dict[str, bytes] = {}
        with self._lock, suppress(sqlite3.Error):
            connection = self._opened()
            for sha in shas:
                row = connection.execute("SELECT content FROM blobs WHERE sha = ?", (sha,)).fetchone()
                if row is not None and blob_sha(row[0]) == sha:
                    found[sha] = bytes(row[0])
        return found

    # -- parts -----------------------------------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self._path, timeout=30, check_same_thread=False, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")  # it can be made anew
            self._prepare(self._connection)
        return self._connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if connection.execute("PRAGMA user_version").fetchone()[0] == _FORMAT:
            return
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone()[0] != _FORMAT:
            for table in ("blobs", "tree", "head"):
                connection.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in _SCHEMA.strip().split(";\n"):
                connection.execute(statement.rstrip(";"))
            connection.execute(f"PRAGMA user_version = {_FORMAT}")
        connection.execute("COMMIT")

    def _loaded(self) -> Tree:
        connection = self._opened()
        row = connection.execute("SELECT source, sha FROM head").fetchone()
        if row is None or row[0] != self._source:
            return Tree()
        # Contents of earlier states are of no use after a start.
        connection.execute("DELETE FROM blobs WHERE sha NOT IN (SELECT sha FROM tree)")
        tree = Tree(row[1], dict(connection.execute("SELECT path, sha FROM tree").fetchall()))
        for path, sha in tree.shas.items():
            if is_kept_in_memory(path):
                found = connection.execute("SELECT content FROM blobs WHERE sha = ?", (sha,)).fetchone()
                if found is None or blob_sha(found[0]) != sha:
                    raise ValueError(f"'{path}' is not what it was")
                tree.contents[path] = bytes(found[0])
        return tree

    def _set_head(self, connection: sqlite3.Connection, head: str) -> None:
        connection.execute("INSERT OR REPLACE INTO head VALUES (1, ?, ?)", (self._source, head))

    def _change(self, change: Callable[[sqlite3.Connection], object]) -> None:
        """Change the database in one step; trouble with it costs only the next start's time."""
        with self._lock:
            try:
                connection = self._opened()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    change(connection)
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                _log.warning("github-mirror-not-kept", why=str(error))
                self._forget()

    def _forget(self) -> None:
        """Remove the database: it may lack something that it says it has."""
        if self._connection is not None:
            with suppress(sqlite3.Error), closing(self._connection):
                pass
            self._connection = None
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                self._path.with_name(NAME + suffix).unlink(missing_ok=True)

    def _remake(self) -> None:
        self._forget()
        with suppress(sqlite3.Error):
            self._opened()
