"""
Files on their way from GitHub: each fetched once however many wait for it, sent on while it is being stored.

What readers get runs behind by one piece until the whole is verified, so nobody gets the end of a file that is not what
it should be.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Final

import structlog
from anyio import to_thread

from wheelyard.backends.github.cache import FileCache
from wheelyard.errors import RecordDamaged, StorageError, StorageUnavailable
from wheelyard.model import Key
from wheelyard.storage.interface import ByteRange
from wheelyard.storage.spool import PIECE_BYTES

_log = structlog.get_logger(__name__)

_ATTEMPTS: Final = 3  # downloads that break off are begun again

Fetch = Callable[[], AbstractAsyncContextManager[AsyncIterator[bytes]]]
"""Opens a file at GitHub from its start."""


class _Download:
    """One file on its way."""

    def __init__(self, cache: FileCache, key: Key, sha256: str, size: int, fetch: Fetch) -> None:
        self.key = key
        self.available = 0
        self.is_whole = False
        self.error: BaseException | None = None
        self.readers = 0
        self._cache = cache
        self._sha256 = sha256
        self._size = size
        self._fetch = fetch
        self._descriptor = -1
        self._moved = asyncio.Event()

    async def run(self) -> None:
        """Fetch, verify and keep the file; what went wrong is told to the readers."""
        path: Path | None = None
        try:
            path = await to_thread.run_sync(self._open)
            await self._fill()
            self.is_whole, self.available = True, self._size
            if self._cache.takes(self._size):
                await self._cache.adopt(path, self._sha256, self._size)
        except Exception as error:  # noqa: BLE001  told to each reader, who raises it
            if not self.is_whole:
                self.error = error
            _log.warning("github-download-failed", key=self.key, why=str(error))
        except BaseException:
            self.error = StorageUnavailable("the server is stopping", hint="Try again.")
            raise
        finally:
            if path is not None:
                with suppress(OSError):
                    path.unlink(missing_ok=True)  # one unlink, of nothing when it was adopted
            self._notify()
            self.release(0)

    async def wait(self) -> None:
        """Wait until something is different."""
        await self._moved.wait()

    async def piece(self, start: int, stop: int) -> bytes:
        """Return some bytes that are available."""
        return await to_thread.run_sync(os.pread, self._descriptor, min(stop - start, PIECE_BYTES), start)

    def release(self, readers: int = 1) -> None:
        """Let go; whoever is last closes."""
        self.readers -= readers
        is_over = self.is_whole or self.error is not None
        if is_over and self.readers <= 0 and self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> Path:
        path = self._cache.temporary()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        return path

    async def _fill(self) -> None:
        digest, written = hashlib.sha256(), 0
        for attempt in range(_ATTEMPTS):
            skip = written  # bytes that came before it broke off; the digest of the whole proves them
            try:
                async with self._fetch() as pieces:
                    async for piece in pieces:
                        new, skip = piece[skip:], max(0, skip - len(piece))
                        if not new:
                            continue
                        if written + len(new) > self._size:
                            raise RecordDamaged(self.key, "GitHub has more bytes than were published")
                        await to_thread.run_sync(_write, self._descriptor, new, written)
                        digest.update(new)
                        self.available, written = written, written + len(new)
                        self._notify()
            except StorageUnavailable:
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            if written == self._size:
                break
        if written != self._size or digest.hexdigest() != self._sha256:
            raise RecordDamaged(self.key, "GitHub sent other bytes than were published")

    def _notify(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()


class Downloads:
    """
    The files on their way.

    Args:
        cache: Where they arrive.
    """

    def __init__(self, cache: FileCache) -> None:
        self._cache = cache
        self._running: dict[str, _Download] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """Break off what is on its way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def stream(
        self, key: Key, sha256: str, size: int, fetch: Fetch, byte_range: ByteRange
    ) -> AsyncIterator[bytes]:
        """
        Yield a range of a file that is fetched, or is being fetched already; the whole is fetched in any case.

        Raises:
            StorageError: It cannot be had, or is not what it should be.
        """
        download = self._running.get(sha256) or self._begin(key, sha256, size, fetch)
        download.readers += 1
        try:
            position, stop = byte_range.start, min(byte_range.stop, size)
            while position < stop:
                if position < download.available:
                    piece = await download.piece(position, min(stop, download.available))
                    position += len(piece)
                    yield piece
                elif download.error is not None:
                    raise _told(download.error)
                else:
                    await download.wait()
        finally:
            download.release()

    def _begin(self, key: Key, sha256: str, size: int, fetch: Fetch) -> _Download:
        download = self._running[sha256] = _Download(self._cache, key, sha256, size, fetch)
        task = asyncio.create_task(download.run())
        self._tasks.add(task)

        def over(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            del self._running[sha256]

        task.add_done_callback(over)
        return download


def _told(error: BaseException) -> Exception:
    """Return what a reader raises; each gets an error of their own that says the same."""
    if isinstance(error, RecordDamaged):
        return RecordDamaged(error.key or "", error.why)
    if isinstance(error, StorageError):
        return StorageUnavailable(error.message, key=error.key, hint=error.hint)
    return error if isinstance(error, Exception) else StorageUnavailable("the server is stopping")


def _write(descriptor: int, piece: bytes, start: int) -> None:
    view = memoryview(piece)
    while view:
        written = os.pwrite(descriptor, view, start)
        view, start = view[written:], start + written
