"""
The half of a download that is in a thread of its own: from the upstream through the digest to the disk.

It blocks wherever that is cheapest, and tells the event loop how far it is.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from wheelyard.errors import UpstreamOffline, UpstreamUnavailable
from wheelyard.model import DistFile, NormalizedName, Sha256Hex
from wheelyard.storage.interface import ByteRange
from wheelyard.storage.spool import SPOOL_PREFIX, Spool
from wheelyard.storage.wrapping import storage_error, wrapped

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from wheelyard.index.upstream import UpstreamIndex

_BATCH_BYTES: Final = 512 * 1024  # written, and told of, at once: TLS gives 16 KiB at a time
_BATCH_S: Final = 0.5  # or what came in this time, so that who waits for a slow upstream sees it come
_ATTEMPTS: Final = 5  # connections for one file; an upstream that breaks off more often is left alone


class DownloadSpool(Spool):
    """
    A spool that makes only the digest that is compared here; the others are made of the file if anybody asks.

    Attributes:
        store: Name of the store, for messages.
    """

    def __init__(self, folder: Path, store: str) -> None:
        """
        Make an empty spool.

        Args:
            folder: Where its file will be; exists.
            store: Name of the store, for messages.
        """
        self.store = store
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
        with wrapped(self.store):
            if self._memory is not None:
                self._to_disk()
            self._append(view)

    def reader(self) -> FileIO:
        """
        Open the file for reading while it grows; blocks. The caller closes.

        Raises:
            StorageError: The disk did not give it.
        """
        with wrapped(self.store):
            return self.path.open("rb", buffering=0)

    def _to_disk(self) -> None:
        super()._to_disk()
        if self._file is not None:
            with suppress(OSError):  # a disk without locks: its leftovers are removed by hand
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

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


def remove_leftovers(folder: Path) -> int:
    """
    Remove the spools that killed processes left in a folder; blocks.

    Returns:
        How many there were. Those that somebody alive writes to are locked, and stay.
    """
    removed = 0
    for path in folder.glob(f"{SPOOL_PREFIX}*"):
        with suppress(OSError), path.open("rb", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            removed += 1
    return removed


class Fetching:
    """
    One file on its way from an upstream to the disk.

    Args:
        upstream: Where it comes from.
        project: Its project.
        listed: What its page tells of it.
        size: Bytes.
        make_spool: Makes an empty spool.
        told: Called in this thread with the number of bytes that are on the disk, whenever it has grown.

    Attributes:
        spool: The bytes so far; None before the first.
        file: The same, open for reading at given places; the caller closes it when `run` is over or was stopped.
        resumed: How often it broke off and went on.
    """

    def __init__(
        self,
        upstream: UpstreamIndex,
        project: NormalizedName,
        listed: DistFile,
        size: int,
        *,
        make_spool: Callable[[], DownloadSpool],
        told: Callable[[int], None],
    ) -> None:
        self.spool: DownloadSpool | None = None
        self.file: FileIO | None = None
        self.resumed = 0
        self._upstream = upstream
        self._project = project
        self._listed = listed
        self._size = size
        self._make_spool = make_spool
        self._told = told
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._batch_since = 0.0
        self._interrupts: Callable[[], None] | None = None
        self._stopped = False
        self._ended = False
        self._state = threading.Lock()

    def run(self) -> Sha256Hex:
        """
        Fetch the whole file; blocks until it is there.

        Returns:
            Its digest.
        Raises:
            WheelyardError: Why it cannot be had, or kept.
        """
        try:
            self.spool = self._make_spool()
            with self._state:
                if self._stopped:
                    raise self._upstream.broken_off(self._listed, 0, self._size)
                # Now, and not when somebody reads: by then a store may have taken the file, and its name is gone.
                self.file = self.spool.reader()
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._fetch())
            return self.spool.sha256
        except OSError as error:
            if self.spool is None:
                raise
            # Not the upstream's: this machine has no descriptors left, for a loop or for a module that is needed now.
            raise storage_error(error, store=self.spool.store) from error
        finally:
            with self._state:
                self._ended = True
                is_ours = self._stopped
            if is_ours and self.spool is not None:
                self.spool.discard()

    def stop(self) -> bool:
        """
        End it, if it is not over.

        Returns:
            Whether it was over: only then is the spool the caller's to discard.
        """
        with self._state:
            self._stopped = True
            interrupts, ended = self._interrupts, self._ended
        if interrupts is not None and not ended:
            interrupts()
        return ended

    # -- fetching --------------------------------------------------------------------------------------------------

    async def _fetch(self) -> None:
        """Go on for as long as each attempt brings something: who waits should hear soon of an upstream that is silent."""
        assert self.spool is not None
        for attempt in range(1, _ATTEMPTS + 1):
            before = self.spool.size
            try:
                await self._fetch_rest()
                return
            except UpstreamOffline:
                raise
            except UpstreamUnavailable:
                self._write()
                if attempt == _ATTEMPTS or self._stopped or self.spool.size == before:
                    raise
                self.resumed += 1

    async def _fetch_rest(self) -> None:
        """Go on from the first byte that is missing."""
        assert self.spool is not None
        received = self.spool.size
        rest = None if received == 0 else ByteRange(received, self._size)
        if received >= self._size > 0:
            return
        stream = self._upstream.stream_in_thread(self._project, self._listed, self._size, rest, opened=self._opened)
        self._batch_since = time.monotonic()
        async with aclosing(_generator(stream)) as pieces:
            async for piece in pieces:
                self._take(piece)
        self._write()

    def _opened(self, interrupts: Callable[[], None]) -> None:
        """Remember how the connection that is read from now on can be cut off."""
        with self._state:
            self._interrupts = interrupts
            is_stopped = self._stopped
        if is_stopped:
            interrupts()

    def _take(self, piece: bytes) -> None:
        self._batch.append(piece)
        self._batch_bytes += len(piece)
        now = time.monotonic()
        if self._batch_bytes >= _BATCH_BYTES or now - self._batch_since >= _BATCH_S:
            self._write()
            self._batch_since = now

    def _write(self) -> None:
        """Put what came in on the disk, and tell."""
        assert self.spool is not None
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        for piece in batch:
            self.spool.write(piece)
        if batch:
            self._told(self.spool.size)


def _generator(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    return cast("AsyncGenerator[bytes, None]", pieces)
