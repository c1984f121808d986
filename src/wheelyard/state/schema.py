"""
The tables of the server's own books, and the steps that make them from nothing or from an older version.

Rule 1: a released step is never changed; a change of the schema is a further step.

Steps are plain DDL, counted by SQLite's `user_version`. A migration tool earns its place when one schema has to be right in two
dialects: alembic comes with PostgreSQL, starting from the tables that these steps made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

STEPS: tuple[tuple[str, ...], ...] = (
    (
        # `token_hash` is what a session is found by: the cookie itself is never stored.
        """
        CREATE TABLE sessions (
            token_hash BLOB NOT NULL PRIMARY KEY,
            index_name TEXT NOT NULL,
            can TEXT NOT NULL,
            secret_fingerprint BLOB NOT NULL,
            created_at REAL NOT NULL,
            expires_at REAL NOT NULL
        ) WITHOUT ROWID
        """,
        "CREATE INDEX sessions_by_expiry ON sessions (expires_at)",
    ),
)
"""One tuple of statements per version; version N is reached when the first N tuples have run."""


class SchemaTooNew(Exception):
    """The database was made by a newer version of this program; nothing of it was changed."""

    def __init__(self, found: int) -> None:
        super().__init__(f"schema version {found}, this program knows {len(STEPS)}")
        self.found = found


def migrate(connection: Connection) -> None:
    """
    Bring the schema to the newest version; call inside a writing transaction.

    Raises:
        SchemaTooNew: The database is newer than this program.
    """
    found = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if found > len(STEPS):
        raise SchemaTooNew(found)
    for statements in STEPS[found:]:
        for statement in statements:
            connection.exec_driver_sql(statement)
    if found < len(STEPS):
        # A pragma takes no parameters; the number is ours.
        connection.exec_driver_sql(f"PRAGMA user_version = {len(STEPS)}")
