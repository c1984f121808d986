"""
Logins of people in browsers: a random cookie, and a row that says what it may do.

The cookie is 256 random bits; only its SHA-256 is stored, so that a copy of the database opens nothing. A session remembers the
fingerprint of the secret it was opened with, and ends when that secret changes.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from wheelyard.state.database import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection

Clock = Callable[[], datetime]
"""Returns the current time, with a time zone."""

FingerprintOf = Callable[[str, str], bytes | None]
"""
Returns the fingerprint of the secret that opens an index now: `(index, can) -> fingerprint`; None when there is no such index or
secret any more, which ends the session.
"""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes in base64 for URLs
_REMEMBERED = 10_000  # sessions kept in memory, about 5 MB
_TRUSTED_FOR = timedelta(seconds=10)  # how long another process's logout may go unnoticed here


@dataclass(frozen=True, slots=True)
class Session:
    """
    One login of one person.

    Attributes:
        index: The index it opens.
        can: What it may do there: `read` or `write`.
        secret_fingerprint: Of the secret it was opened with.
        created: UTC.
        expires: UTC; the session is over at this moment.
    """

    index: str
    can: str
    secret_fingerprint: bytes
    created: datetime
    expires: datetime


@dataclass(frozen=True, slots=True)
class _Remembered:
    session: Session
    checked: datetime  # when the database last said so


class Sessions:
    """
    Opens, finds and ends sessions.

    Args:
        database: Where they are kept.
        clock: The time; sessions outlive the process, so this is the wall clock.
        fingerprint_of: The current fingerprint of an index's secret; asked at every `find`, so it must be quick.
        remember: How many sessions are kept in memory.
    """

    def __init__(
        self, database: Database, clock: Clock, fingerprint_of: FingerprintOf, *, remember: int = _REMEMBERED
    ) -> None:
        self._database = database
        self._clock = clock
        self._fingerprint_of = fingerprint_of
        self._remember_at_most = remember
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._ends = 0  # counts `end`, so that a read begun before an end is not remembered after it

    async def create(self, index: str, secret_fingerprint: bytes, can: str, lifetime: timedelta) -> str:
        """
        Open a session.

        Args:
            index: The index it opens.
            secret_fingerprint: Of the secret that was given.
            can: What that secret allows: `read` or `write`.
            lifetime: How long it lasts.
        Returns:
            The value of the cookie; it cannot be had again.
        Raises:
            StorageUnavailable: No session was opened.
        """
        now = self._clock().astimezone(UTC)
        session = Session(index, can, secret_fingerprint, now, now + lifetime)
        token = secrets.token_urlsafe(32)
        token_hash = _hash(token)

        def work(connection: Connection) -> None:
            # Expired rows go when new ones come, so the table is bounded without anybody's schedule.
            _delete_expired(connection, now)
            _insert(connection, token_hash, session)

        await self._database.write(work)
        self._remember(token_hash, session, now)
        return token

    def remembered(self, token: str) -> Session | None:
        """
        Find a valid session without waiting.

        Returns:
            None when `find` has to be asked: this process has not seen the session within the last seconds.
        """
        if _TOKEN.fullmatch(token) is None:
            return None
        token_hash = _hash(token)
        entry = self._remembered.get(token_hash)
        if entry is None:
            return None
        now = self._clock().astimezone(UTC)
        # A clock that was set back must not make an old answer young.
        if not timedelta(0) <= now - entry.checked < _TRUSTED_FOR or not self._is_valid(entry.session, now):
            return None
        self._remembered.move_to_end(token_hash)
        return entry.session

    async def find(self, token: str) -> Session | None:
        """
        Find the session of a cookie.

        Returns:
            None when there is none, when it has ended or expired, or when the secret it was opened with has changed.
        Raises:
            StorageUnavailable: The database could not be asked; treat the caller as not logged in.
        """
        session = self.remembered(token)
        if session is not None:
            return session
        if _TOKEN.fullmatch(token) is None:
            return None
        token_hash = _hash(token)
        ends = self._ends
        session = await self._database.read(lambda connection: _select(connection, token_hash))
        now = self._clock().astimezone(UTC)
        if session is None or not self._is_valid(session, now):
            self._remembered.pop(token_hash, None)
            return None
        if ends == self._ends:
            self._remember(token_hash, session, now)
        return session

    async def end(self, token: str) -> None:
        """
        End a session, here at once and in other processes within ten seconds; nothing happens when there is none.

        Raises:
            StorageUnavailable: It could not be deleted and is valid again after a restart; say so to the person.
        """
        if _TOKEN.fullmatch(token) is None:
            return
        token_hash = _hash(token)
        self._forget(token_hash)
        await self._database.write(lambda connection: _delete(connection, token_hash))
        self._forget(token_hash)  # again: a `find` may have read the row before it was deleted

    async def purge(self) -> int:
        """
        Delete expired sessions.

        Returns:
            How many.
        Raises:
            StorageUnavailable: None was deleted.
        """
        now = self._clock().astimezone(UTC)
        for token_hash, entry in list(self._remembered.items()):
            if entry.session.expires <= now:
                del self._remembered[token_hash]
        return await self._database.write(lambda connection: _delete_expired(connection, now))

    def _is_valid(self, session: Session, now: datetime) -> bool:
        if now >= session.expires:
            return False
        current = self._fingerprint_of(session.index, session.can)
        return current is not None and hmac.compare_digest(current, session.secret_fingerprint)

    def _remember(self, token_hash: bytes, session: Session, now: datetime) -> None:
        self._remembered[token_hash] = _Remembered(session, now)
        self._remembered.move_to_end(token_hash)
        while len(self._remembered) > self._remember_at_most:
            self._remembered.popitem(last=False)

    def _forget(self, token_hash: bytes) -> None:
        self._ends += 1
        self._remembered.pop(token_hash, None)


def _hash(token: str) -> bytes:
    # One round is enough: there is nothing to guess in 256 random bits.
    return hashlib.sha256(token.encode()).digest()


def _insert(connection: Connection, token_hash: bytes, session: Session) -> None:
    from sqlalchemy import text  # noqa: PLC0415 - see `Database._run`

    connection.execute(
        text(
            "INSERT INTO sessions (token_hash, index_name, can, secret_fingerprint, created_at, expires_at)"
            " VALUES (:token_hash, :index_name, :can, :secret_fingerprint, :created_at, :expires_at)"
        ),
        {
            "token_hash": token_hash,
            "index_name": session.index,
            "can": session.can,
            "secret_fingerprint": session.secret_fingerprint,
            "created_at": session.created.timestamp(),
            "expires_at": session.expires.timestamp(),
        },
    )


def _select(connection: Connection, token_hash: bytes) -> Session | None:
    from sqlalchemy import text  # noqa: PLC0415 - see `Database._run`

    row = connection.execute(
        text(
            "SELECT index_name, can, secret_fingerprint, created_at, expires_at"
            " FROM sessions WHERE token_hash = :token_hash"
        ),
        {"token_hash": token_hash},
    ).one_or_none()
    if row is None:
        return None
    return Session(
        index=row.index_name,
        can=row.can,
        secret_fingerprint=row.secret_fingerprint,
        created=datetime.fromtimestamp(row.created_at, UTC),
        expires=datetime.fromtimestamp(row.expires_at, UTC),
    )


def _delete(connection: Connection, token_hash: bytes) -> None:
    from sqlalchemy import text  # noqa: PLC0415 - see `Database._run`

    connection.execute(text("DELETE FROM sessions WHERE token_hash = :token_hash"), {"token_hash": token_hash})


def _delete_expired(connection: Connection, now: datetime) -> int:
    from sqlalchemy import text  # noqa: PLC0415 - see `Database._run`

    deleted = connection.execute(text("DELETE FROM sessions WHERE expires_at <= :now"), {"now": now.timestamp()})
    return deleted.rowcount
