"""Logins of many people, put into the server's books at once."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.corpus import INDEX
from wheelyard.state.database import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection

_MARK = f"{INDEX}-many"  # an index that does not exist, so that nothing is opened by them


def add_sessions(root: Path, count: int) -> None:
    """Add sessions that nobody has the cookie of."""
    now = time.time()
    rows = [
        {"hash": hashlib.sha256(str(number).encode()).digest(), "index": _MARK, "now": now, "then": now + 3600}
        for number in range(count)
    ]

    def work(connection: Connection) -> None:
        from sqlalchemy import text  # noqa: PLC0415  as in the module that owns the table

        connection.execute(
            text(
                "INSERT OR REPLACE INTO sessions (token_hash, index_name, can, secret_fingerprint, created_at, expires_at)"
                " VALUES (:hash, :index, 'read', :hash, :now, :then)"
            ),
            rows,
        )

    Database(_database(root)).write_now(work)


def remove_sessions(root: Path) -> None:
    """Remove them again."""

    def work(connection: Connection) -> None:
        from sqlalchemy import text  # noqa: PLC0415  as above

        connection.execute(text("DELETE FROM sessions WHERE index_name = :index"), {"index": _MARK})

    Database(_database(root)).write_now(work)


def _database(root: Path) -> Path:
    return root / "state" / "wheelyard.sqlite3"
