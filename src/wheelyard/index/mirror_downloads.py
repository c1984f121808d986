"""
Files on their way from an upstream: fetched once, written to disk, and read by any number of callers meanwhile.

A download belongs to nobody: it goes on when its first reader leaves, and goes on from where it was when the upstream
breaks off. Its last mebibyte is held back until the digest of the whole is right, so nobody ever gets a whole wrong file,
and nobody gets a single byte of a small one.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import structlog
from anyio import CapacityLimiter, to_thread

from wheelyard.errors import StorageError, UpstreamOffline, UpstreamUnavailable, WheelyardError
from wheelyard.index.upstream_memory import UpstreamCounters
from wheelyard.model import DistFile, NormalizedName, Sha256Hex
from wheelyard.storage.interface import ByteRange
from wheelyard.storage.spool import Spool
from wheelyard.storage.wrapping import wrapped

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from wheelyard.index.upstream import UpstreamIndex

HELD_BYTES: Final = 1024 * 1024
"""So much of the end is held back until the digest is known: most files whole, and a moment's work of a large one."""

_BATCH_BYTES = 1024 * 1024  # written at once: a hop to a thread for each network packet would cost more than the disk
_BACKLOG_BYTES = 4 * 1024 * 1024  # what may wait for the disk before the network does
_WINDOW_BYTES = 4 * 1024 * 1024  # newest bytes kept in memory, so that readers who keep up need no disk
_PIECE_BYTES = 1024 * 1024
_SENT_BYTES = 256 * 1024  # given to a reader at once, if so much is here: each piece that is sent costs about the same
_ATTEMPTS = 5  # connections for one file; an upstream that breaks off more often is left alone

_log = structlog.get_logger(__name__)

Keep = Callable[[Spool], Awaitable[None]]
"""Stores what was downloaded, or decides not to; raises nothing."""


class DownloadSpool(Spool):
    """A spool that makes only the digest that is compared here; the others are made of the file if anybody asks."""

    def __init__(self, folder: Path, store: str) -> None:
        """
        Make an empty spool.

        Args:
            folder: Where its file will be; exists.
            store: Name of the store, for messages.
        """
        self._store = store
        super().__init__(folder)

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """
        Append bytes; blocks.

        Raises:
            StorageError: The disk did not take them.
        """
        view = memoryview(piece)
        self._sha256.update(view)
        self.size += len(view)
        with wrapped(self._store):
            if self._memory is not None:
                self._to_disk()
            self._append(view)

    @property
    def blake2b_256(self) -> str:
        """256-bit BLAKE2b of the file, hex; blocks."""
        with self.path.open("rb", buffering=0) as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32)).hexdigest()

    @property
    def md5(self) -> str:
        """MD5 of the file, hex; blocks."""
        with self.path.open("rb", buffering=0) as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


class Download:
    """
    One file on its way.

    Args:
        upstream: Where it comes from.
        project: Its project.
        listed: What its page tells of it; has a digest.
        size: Bytes.
        make_spool: Makes an empty spool; blocks.
    """

    def __init__(
        self,
        upstream: UpstreamIndex,
        project: NormalizedName,
        listed: DistFile,
        size: int,
        *,
        make_spool: Callable[[], DownloadSpool],
    ) -> None:
        self.received = 0
        self.error: WheelyardError | None = None
        self.is_right = False
        self._upstream = upstream
        self._project = project
        self._listed = listed
        self._size = size
        self._make_spool = make_spool
        self._spool: DownloadSpool | None = None
        self._window: deque[tuple[int, bytes]] = deque()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._on_disk = 0
        self._writing: asyncio.Future[None] | None = None
        self._changed = asyncio.Event()
        self._file: int | None = None
        self._readers = 0
        self._is_over = False

    # -- fetching --------------------------------------------------------------------------------------------------

    async def run(self, keep: Keep) -> None:
        """Fetch, compare and keep; whatever goes wrong is told to the readers."""
        try:
            self._spool = await to_thread.run_sync(self._make_spool)
            await self._fetch()
            await self._flush(last=True)
            self._check(self._spool.sha256)
            self.is_right = True
            self._tell()
            await keep(self._spool)
        except WheelyardError as error:
            self.error = error
        finally:
            self.abandon()
            await self._finish()

    async def _fetch(self) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._fetch_rest()
                return
            except UpstreamOffline:
                raise
            except UpstreamUnavailable:
                if attempt == _ATTEMPTS:
                    raise
                self._upstream.counters.resumed += 1

    async def _fetch_rest(self) -> None:
        """Go on from the first byte that is missing."""
        rest = None if self.received == 0 else ByteRange(self.received, self._size)
        if self.received >= self._size > 0:
            return
        stream = self._upstream.stream(self._project, self._listed, self._size, rest)
        async with aclosing(cast("AsyncGenerator[bytes, None]", stream)) as pieces:
            async for piece in pieces:
                self._window.append((self.received, piece))
                self._waiting.append(piece)
                self._waiting_bytes += len(piece)
                self.received += len(piece)
                self._tell()
                if self._waiting_bytes >= _BATCH_BYTES and self._may_flush():
                    await self._flush()

    def _may_flush(self) -> bool:
        """Tell whether the disk is idle, or so far behind that it must be waited for."""
        return self._writing is None or self._writing.done() or self._waiting_bytes >= _BACKLOG_BYTES

    async def _flush(self, *, last: bool = False) -> None:
        """Hand what is waiting to the disk, after it took what it was handed before; that runs while more comes in."""
        await self._written()
        batch, self._waiting, self._waiting_bytes = self._waiting, [], 0
        self._writing = asyncio.ensure_future(to_thread.run_sync(self._write, batch))
        if last:
            await self._written()
        self._trim()

    async def _written(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            await writing

    def _write(self, batch: list[bytes]) -> None:
        assert self._spool is not None
        content = b"".join(batch)
        self._spool.write(content)
        if self._file is None:
            with wrapped(""):
                self._file = os.open(self._spool.path, os.O_RDONLY)
        self._on_disk += len(content)

    def _trim(self) -> None:
        """Forget the oldest bytes in memory that are on the disk."""
        while self._window:
            start, piece = self._window[0]
            if self.received - start <= _WINDOW_BYTES or start + len(piece) > self._on_disk:
                return
            self._window.popleft()

    def _check(self, digest: Sha256Hex) -> None:
        if digest != self._listed.sha256:
            self._upstream.counters.mismatches += 1
            raise self._upstream.mismatch(self._listed)

    # -- reading ---------------------------------------------------------------------------------------------------

    @property
    def is_disk_trouble(self) -> bool:
        """Whether it failed for a reason of our own disk, so that the upstream can still be read."""
        return isinstance(self.error, StorageError)

    def reaches(self, start: int) -> bool:
        """Tell whether a reader who starts there need not wait for long."""
        return start <= self.received

    async def read(self, byte_range: ByteRange) -> AsyncIterator[bytes]:
        """
        Yield a range of the file as it comes in; the iterator is an async generator.

        Raises:
            WheelyardError: Why the download failed, at any piece.
        """
        self._readers += 1
        position, stop = byte_range.start, min(byte_range.stop, self._size)
        try:
            while position < stop:
                limit = min(stop, self._available())
                if limit - position >= _SENT_BYTES or position < limit == stop:
                    piece = await self._piece(position, limit)
                    position += len(piece)
                    yield piece
                elif self.error is not None:
                    raise self.error.with_traceback(None)
                else:
                    await self._changed.wait()
            while not self.is_right and stop == self._size and self.error is None:  # an empty file is compared too
                await self._changed.wait()
            if self.error is not None and not self.is_right:
                raise self.error.with_traceback(None)
        finally:
            self._readers -= 1
            await self._close_file()

    def _available(self) -> int:
        return self._size if self.is_right else min(self.received, self._size - HELD_BYTES)

    async def _piece(self, position: int, limit: int) -> bytes:
        parts, wanted = [], min(limit, position + _SENT_BYTES)
        for start, piece in self._window:
            if start <= position < start + len(piece):
                part = piece[position - start : wanted - start]
                parts.append(part)
                position += len(part)
                if position >= wanted:
                    break
        if parts:
            return parts[0] if len(parts) == 1 else b"".join(parts)
        file = self._file
        assert file is not None  # what left the window is on the disk
        return await to_thread.run_sync(os.pread, file, min(limit - position, _PIECE_BYTES), position)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # -- ending ----------------------------------------------------------------------------------------------------

    def abandon(self) -> None:
        """Tell the readers of a download that will not come about, unless they were told already."""
        if not self.is_right and self.error is None:
            self.error = self._upstream.broken_off(self._listed, self.received, self._size)
        self._tell()

    async def _finish(self) -> None:
        if self._writing is not None:
            with suppress(Exception):  # the reason is known already, or was what came first
                await self._written()
        self._is_over = True
        if self._spool is not None:
            await to_thread.run_sync(self._spool.discard)
        await self._close_file()

    async def _close_file(self) -> None:
        if self._is_over and self._readers == 0 and self._file is not None:
            file, self._file = self._file, None
            os.close(file)


class Downloads:
    """
    The downloads of one upstream that are under way.

    Args:
        upstream: Where files come from.
        counters: Where work is counted.
        limit: How many run at once; others wait for their turn.

    Attributes:
        finished: How many are over; who looked for a file while this moved looks again.
    """

    def __init__(self, upstream: UpstreamIndex, *, counters: UpstreamCounters, limit: int) -> None:
        self._upstream = upstream
        self._counters = counters
        self._limit = limit
        self._limiter: CapacityLimiter | None = None
        self.finished = 0
        self._running: dict[str, Download] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def running(self, key: str) -> Download | None:
        """Return the download of a file that is under way, or None."""
        return self._running.get(key)

    def begin(
        self,
        key: str,
        project: NormalizedName,
        listed: DistFile,
        size: int,
        *,
        keep: Keep,
        make_spool: Callable[[], DownloadSpool],
    ) -> Download:
        """Return the download of a file, begun if it is not under way."""
        known = self._running.get(key)
        if known is not None:
            self._counters.joined += 1
            return known
        download = Download(self._upstream, project, listed, size, make_spool=make_spool)
        self._running[key] = download
        task = asyncio.create_task(self._run(key, download, keep))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return download

    async def settle(self) -> None:
        """Wait until no download is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self, *, patiently: bool) -> None:
        """End all downloads: when they are done, or at once."""
        for task in () if patiently else tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("download-failed", error=repr(error))

    async def _run(self, key: str, download: Download, keep: Keep) -> None:
        if self._limiter is None:
            self._limiter = CapacityLimiter(self._limit)
        try:
            async with self._limiter:
                await download.run(keep)
            self._counters.downloads += download.is_right
            self._counters.downloaded_bytes += download.received
        finally:
            download.abandon()
            self.finished += 1
            self._running.pop(key, None)
