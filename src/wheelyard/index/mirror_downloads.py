"""
Files on their way from an upstream: fetched once, written to disk, and read by any number of callers meanwhile.

A download belongs to nobody: it goes on when its first reader leaves, and goes on from where it was when the upstream
breaks off. Its last mebibyte is held back until the digest of the whole is right, so nobody ever gets a whole wrong file,
and nobody gets a single byte of a small one. A thread of its own fetches it (`mirror_fetching`); what is here belongs to
the event loop, and gives readers what is on the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog
from anyio import CapacityLimiter, to_thread

from wheelyard.errors import StorageError, WheelyardError
from wheelyard.index.mirror_fetching import DownloadSpool, Fetching
from wheelyard.index.slices import FileSlice
from wheelyard.index.upstream_memory import UpstreamCounters
from wheelyard.model import DistFile, NormalizedName, Sha256Hex
from wheelyard.storage.interface import ByteRange
from wheelyard.storage.spool import Spool

if TYPE_CHECKING:
    from wheelyard.index.upstream import UpstreamIndex

HELD_BYTES: Final = 1024 * 1024
"""So much of the end is held back until the digest is known: most files whole, and a moment's work of a large one."""

_ENDING_S: Final = 1.0  # a thread whose connection was cut off ends at once; one that is connecting is not waited for

_log = structlog.get_logger(__name__)

Keep = Callable[[Spool], Awaitable[None]]
"""Stores what was downloaded, or decides not to; raises nothing."""


class Download:
    """
    One file on its way.

    Args:
        upstream: Where it comes from.
        project: Its project.
        listed: What its page tells of it; has a digest.
        size: Bytes.
        make_spool: Makes an empty spool; blocks.

    Attributes:
        received: Bytes that are on the disk.
        error: Why it failed.
        is_right: Whether all bytes are there and have the digest that the page tells.
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
        self._listed = listed
        self._size = size
        self._loop = asyncio.get_running_loop()
        self._fetching = Fetching(upstream, project, listed, size, make_spool=make_spool, told=self._told)
        self._changed = asyncio.Event()
        self._readers = 0
        self._is_over = False

    # -- fetching --------------------------------------------------------------------------------------------------

    async def run(self, keep: Keep, threads: CapacityLimiter) -> None:
        """
        Fetch, compare and keep; whatever goes wrong is told to the readers.

        Args:
            keep: Stores what was fetched.
            threads: The threads that downloads may use.
        """
        try:
            digest = await self._fetched(threads)
            spool = self._fetching.spool
            assert spool is not None
            self._check(digest)
            self.received = spool.size
            self.is_right = True
            self._tell()
            await keep(spool)
        except WheelyardError as error:
            self.error = error
            if self.is_disk_trouble:  # its readers see nothing of it
                _log.warning(
                    "mirror-not-kept", upstream=self._upstream.url, file=self._listed.filename, error=error.message
                )
        finally:
            self.abandon()
            await self._finish()

    async def _fetched(self, threads: CapacityLimiter) -> Sha256Hex:
        """Wait for the thread; when this is cancelled, cut its connection off and let it end by itself."""
        work = asyncio.ensure_future(to_thread.run_sync(self._fetching.run, abandon_on_cancel=True, limiter=threads))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self._fetching.stop()
            await asyncio.wait({work}, timeout=_ENDING_S)
            work.cancel()
            with suppress(asyncio.CancelledError, WheelyardError):
                await work
            raise
        finally:
            self._upstream.counters.resumed += self._fetching.resumed

    def _told(self, received: int) -> None:
        """Take word from the thread: so many bytes are on the disk."""
        with suppress(RuntimeError):  # the loop is closed: nobody reads any more
            self._loop.call_soon_threadsafe(self._arrived, received)

    def _arrived(self, received: int) -> None:
        self.received = max(self.received, received)
        self._tell()

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

    async def slices(self, byte_range: ByteRange) -> AsyncIterator[FileSlice]:
        """
        Yield a range of the file as it comes in; the iterator is an async generator.

        Raises:
            WheelyardError: Why the download failed, at any slice.
        """
        self._readers += 1
        position, stop = byte_range.start, min(byte_range.stop, self._size)
        try:
            while position < stop:
                limit = min(stop, self._available())
                if position < limit:
                    assert self._fetching.file is not None  # something of it is available
                    yield FileSlice(self._fetching.file, position, limit - position)
                    position = limit
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
            self._close_file()

    def _available(self) -> int:
        return self._size if self.is_right else min(self.received, self._size - HELD_BYTES)

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
        if self._fetching.stop() and self._fetching.spool is not None:
            await to_thread.run_sync(self._fetching.spool.discard)
        # Last, and without waiting for anything before this download is forgotten: until then somebody may join.
        self._is_over = True
        self._close_file()

    def _close_file(self) -> None:
        if self._is_over and self._readers == 0 and self._fetching.file is not None:
            self._fetching.file.close()


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
        self._threads: CapacityLimiter | None = None
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
        if self._limiter is None or self._threads is None:
            # Not the threads that pages and files need: a download holds one for as long as its upstream takes.
            self._limiter, self._threads = CapacityLimiter(self._limit), CapacityLimiter(2 * self._limit)
        try:
            async with self._limiter:
                await download.run(keep, self._threads)
            self._counters.downloads += download.is_right
            self._counters.downloaded_bytes += download.received
        finally:
            download.abandon()
            self.finished += 1
            self._running.pop(key, None)
