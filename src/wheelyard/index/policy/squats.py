"""
The squat alarm: names of ours that others took on another index.

Nobody who installs from here gets their files, but whoever asks that index directly does. The other index is asked for its
whole list of projects, never for a name of ours, so it learns none; reserved names are compared like all others.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import structlog
from anyio import to_thread

from wheelyard.errors import WheelyardError
from wheelyard.index.interface import IndexReader
from wheelyard.index.policy.patterns import NamePattern
from wheelyard.model import NormalizedName

CHECK_EVERY: Final = timedelta(days=1)
"""The list of a public index is tens of megabytes long."""

CLAIM_S: Final = 60 * 60
"""A look takes seconds; one of an hour was killed."""

_SEPARATORS: Final = re.compile(r"[-_.]+")

_log = structlog.get_logger(__name__)


class _Book(msgspec.Struct):
    """What the file keeps."""

    checked_at: datetime
    found: dict[str, datetime]


@dataclass(frozen=True, slots=True)
class Squats:
    """
    Names of ours that are on another index.

    Attributes:
        checked_at: When that was last looked at; None when never.
        found: Each name, and when it was first seen there.
    """

    checked_at: datetime | None = None
    found: Mapping[NormalizedName, datetime] = field(default_factory=dict)


class SquatWatch:
    """
    Compares our names with those of another index, at most once a day however many processes serve.

    Args:
        index: Name of the index, for the log.
        hosted: Ours.
        elsewhere: The other, as it is: not behind a policy.
        origin: What the other is called, for the log.
        path: Where the last answer is kept, so that a name is logged once and the list asked for once.
        expected: Names that are there with our knowledge.
        clock: Tells the time, UTC.
    """

    def __init__(
        self,
        index: str,
        hosted: IndexReader,
        elsewhere: IndexReader,
        *,
        origin: str = "",
        path: Path,
        expected: tuple[NamePattern, ...],
        clock: Callable[[], datetime],
    ) -> None:
        self.index = index
        self.seen = Squats()
        self._hosted = hosted
        self._elsewhere = elsewhere
        self._origin = origin
        self._path = path
        self._expected = expected
        self._clock = clock

    async def check(self) -> Squats:
        """
        Look again if the last look is a day old; log each name that is new.

        Returns:
            What is known then. When the other index cannot be asked, that is what was known before.
        """
        self.seen = await to_thread.run_sync(self.read)
        now = self._clock()
        if self.seen.checked_at is not None and abs(now - self.seen.checked_at) < CHECK_EVERY:
            return self.seen
        if not await to_thread.run_sync(self._claim, now):
            return self.seen
        try:
            await self._look(now)
        finally:
            await to_thread.run_sync(self._give_up_claim)
        return self.seen

    async def _look(self, now: datetime) -> None:
        try:
            ours = (await self._hosted.list()).names
            theirs = (await self._elsewhere.list()).names if ours else ()
        except WheelyardError as error:
            _log.info("squat-check-failed", index=self.index, error=error.message)
            return
        before = self.seen
        self.seen = await to_thread.run_sync(self._compared, ours, theirs, now)
        for name in sorted(self.seen.found.keys() - before.found.keys()):
            _log.warning("squat-alarm", index=self.index, project=name, elsewhere=self._origin)

    @property
    def _claimed(self) -> Path:
        return self._path.with_suffix(".claim")

    def _claim(self, now: datetime) -> bool:
        """Tell whether no other process is looking; one that was killed meanwhile counts for an hour."""
        for _ in range(2):
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.close(os.open(self._claimed, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
                os.utime(self._claimed, (now.timestamp(), now.timestamp()))
            except FileExistsError:
                with suppress(FileNotFoundError):  # given up at this very moment
                    if abs(self._claimed.stat().st_mtime - now.timestamp()) < CLAIM_S:
                        return False
                    self._claimed.unlink()
            except OSError:
                return True  # nothing can be kept here, so nobody else can claim it either
            else:
                return True
        return False

    def _give_up_claim(self) -> None:
        with suppress(OSError):
            self._claimed.unlink()

    def read(self) -> Squats:
        """Return what the file knows. Blocks; a file that cannot be read counts as none, since it restricts nothing."""
        try:
            book = msgspec.json.decode(self._path.read_bytes(), type=_Book)
        except (OSError, msgspec.MsgspecError):
            return Squats()
        return Squats(book.checked_at, {NormalizedName(name): since for name, since in book.found.items()})

    def _compared(self, ours: Iterable[str], theirs: Iterable[str], now: datetime) -> Squats:
        mine = set(ours)
        both = {name for name in (_SEPARATORS.sub("-", each).lower() for each in theirs) if name in mine}
        names = (NormalizedName(name) for name in sorted(both))
        found = {
            name: self.seen.found.get(name, now)
            for name in names
            if not any(pattern.matches(name) for pattern in self._expected)
        }
        self._write(_Book(now, {str(name): since for name, since in found.items()}))
        return Squats(now, found)

    def _write(self, book: _Book) -> None:
        """Keep the answer; where that cannot be, the next look is only made again sooner."""
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.write_bytes(msgspec.json.encode(book))
            temporary.replace(self._path)
        except OSError as error:
            _log.info("squat-check-not-kept", index=self.index, error=error.strerror)
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
