"""
Core metadata of a wheel by reading as little of it as possible: its end, where the table of contents is, and METADATA.

A zip file is read backwards. So the reader is given a file that has only some of its bytes; when it wants others it stops
and says which, these are fetched, and it starts again. Two or three ranges are enough for any wheel.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Awaitable, Callable
from typing import Final

from anyio import to_thread
from packaging.utils import canonicalize_name

from wheelyard.model import NormalizedName
from wheelyard.storage.interface import ByteRange

TAIL_BYTES: Final = 64 * 1024
"""How much of the end is fetched first: the table of contents of most wheels, and often METADATA in front of it."""

_MORE_BYTES = 16 * 1024  # fetched at least, when more is wanted
_FETCHED_LIMIT_BYTES = 32 * 1024 * 1024  # of one wheel; the longest known table of contents is about 2 MiB
_ROUNDS = 24
_METADATA = re.compile(r"(?P<name>[^/]+?)-[^/-]+\.dist-info/METADATA\Z")
_UNREADABLE = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError, OSError)

Fetch = Callable[[ByteRange], Awaitable[bytes]]
"""Fetches one range of the wheel."""


class _Missing(Exception):
    """The reader wants bytes that are not here yet."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__(f"bytes {start} to {stop}")
        self.start = start
        self.stop = stop


class _Partial(io.RawIOBase):
    """A file of which only some ranges are here."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._position = 0
        self._parts: list[tuple[int, bytes]] = []

    def add(self, start: int, content: bytes) -> None:
        """Add a range."""
        self._parts.append((start, content))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("before the start of the file")
        self._position = base + offset
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        start = min(self._position, self._size)
        stop = self._size if size < 0 else min(start + size, self._size)
        if start == stop:
            return b""
        for first, content in self._parts:
            if first <= start and stop <= first + len(content):
                self._position = stop
                return content[start - first : stop - first]
        raise _Missing(start, stop)


async def read_metadata(project: NormalizedName, size: int, fetch: Fetch, *, limit_bytes: int) -> bytes | None:
    """
    Read METADATA of a wheel.

    Args:
        project: Whose wheel it is.
        size: Its size, bytes.
        fetch: Fetches one range of it.
        limit_bytes: Longest METADATA.
    Returns:
        None when it has none that can be read: it is no sound zip, or the wheel of another project.
    Raises:
        WheelyardError: As `fetch` raises it.
    """
    file, fetched = _Partial(size), 0
    wanted = ByteRange(max(0, size - TAIL_BYTES), size)
    for _ in range(_ROUNDS):
        if wanted.start >= wanted.stop or fetched + wanted.stop - wanted.start > _FETCHED_LIMIT_BYTES:
            return None
        file.add(wanted.start, await fetch(wanted))
        fetched += wanted.stop - wanted.start
        try:
            return await to_thread.run_sync(_metadata, file, project, limit_bytes)
        except _Missing as missing:
            wanted = ByteRange(missing.start, min(size, max(missing.stop, missing.start + _MORE_BYTES)))
        except _UNREADABLE:
            return None
    return None


def _metadata(file: _Partial, project: NormalizedName, limit_bytes: int) -> bytes | None:
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        members = [member for member in archive.infolist() if _is_metadata(member.filename, project)]
        if len(members) != 1 or members[0].file_size > limit_bytes:
            return None
        with archive.open(members[0]) as stream:
            content = stream.read(limit_bytes + 1)
    return content if len(content) <= limit_bytes else None


def _is_metadata(path: str, project: NormalizedName) -> bool:
    named = _METADATA.match(path)
    return named is not None and str(canonicalize_name(named["name"])) == project
