"""
A spool: bytes of a stranger on disk, with their digests, before anyone decides what becomes of them.

Rule 1: a spool is a temporary file that is removed unless a store linked it elsewhere; `discard` is always called.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from collections.abc import AsyncIterator
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from anyio import to_thread

from wheelyard.model import Sha256Hex

PIECE_BYTES = 1024 * 1024  # largest piece read or written at once: 1 MiB keeps memory flat and thread hops rare
IN_MEMORY_BYTES = 64 * 1024  # most wheels and sdists of a team; a thousand uploads at once are 64 MiB
SPOOL_PREFIX = "spool-"
"""Start of the name of every spool file; what a killed process leaves behind is known by it."""


class Spool:
    """
    Bytes being gathered, then read: in memory while they are few, in a temporary file from then on.

    Attributes:
        size: Bytes written so far.
    """

    def __init__(self, folder: Path) -> None:
        """
        Make an empty spool.

        Args:
            folder: Where its file will be, if it needs one; exists.
        """
        self.size = 0
        # The process id tells whose leftover it is after a crash.
        self._path = folder / f"{SPOOL_PREFIX}{os.getpid()}-{secrets.token_hex(8)}"
        self._memory: bytearray | None = bytearray()
        self._file: FileIO | None = None
        self._sha256 = hashlib.sha256()
        self._blake2b_256 = hashlib.blake2b(digest_size=32)
        self._md5 = hashlib.md5(usedforsecurity=False)

    @property
    def path(self) -> Path:
        """
        The temporary file with the bytes, mode 0600 until a store takes them; made when first asked for, which blocks.

        Raises:
            OSError: The disk did not take them.
        """
        if self._memory is not None:
            self._to_disk()
        return self._path

    @path.setter
    def path(self, path: Path) -> None:
        """Take a file that is there already."""
        self._memory, self._path = None, path

    @property
    def memory(self) -> bytes | None:
        """The bytes, while they are in memory only; else None."""
        return None if self._memory is None else bytes(self._memory)

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """
        Append bytes and feed the digests; blocks, so call it in a thread unless they are few.

        Raises:
            OSError: The disk did not take them.
        """
        view = memoryview(piece)
        self._sha256.update(view)
        self._blake2b_256.update(view)
        self._md5.update(view)
        self.size += len(view)
        if self._memory is not None:
            if self.size <= IN_MEMORY_BYTES:
                self._memory += view
                return
            self._to_disk()
        self._append(view)

    def sync(self) -> None:
        """Make the bytes durable; blocks."""
        _ = self.path
        if self._file is not None:
            os.fsync(self._file.fileno())

    def open(self) -> BinaryIO:
        """Open the bytes for reading from their start; blocks. The caller closes."""
        if self._memory is not None:
            return io.BytesIO(self._memory)
        return self._path.open("rb", buffering=0)

    @property
    def sha256(self) -> Sha256Hex:
        """SHA-256 of what was written so far."""
        return Sha256Hex(self._sha256.hexdigest())

    @property
    def blake2b_256(self) -> str:
        """256-bit BLAKE2b of what was written so far, hex."""
        return self._blake2b_256.hexdigest()

    @property
    def md5(self) -> str:
        """MD5 of what was written so far, hex; only ever compared with what a client sent."""
        return self._md5.hexdigest()

    async def pieces(self) -> AsyncIterator[bytes]:
        """Stream the content from the start in pieces of at most 1 MiB."""
        with await to_thread.run_sync(self.open) as source:
            while piece := await to_thread.run_sync(source.read, PIECE_BYTES):
                yield piece

    def discard(self) -> None:
        """Close and remove the temporary file; harmless when there is none, or a store renamed it away."""
        if self._file is not None:
            self._file.close()
        if self._memory is None:
            self._path.unlink(missing_ok=True)
        self._memory = None

    @property
    def is_on_disk(self) -> bool:
        """Whether there is a temporary file to remove."""
        return self._memory is None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def _to_disk(self) -> None:
        """Go on in a file: the bytes are too many for memory, or somebody needs a path."""
        memory, self._memory = self._memory or bytearray(), None
        self._file = open(self._path, "xb", buffering=0, opener=_private_opener)  # noqa: SIM115  closed by discard
        self._append(memoryview(memory))

    def _append(self, view: memoryview) -> None:
        if self._file is None:
            raise OSError("this spool is not written to any more")
        while view:
            view = view[self._file.write(view) :]


def _private_opener(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


async def spool_bytes(folder: Path, content: bytes) -> Spool:
    """
    Make a spool that holds `content`.

    Raises:
        OSError: The disk did not take it.
    """

    def fill() -> Spool:
        spool = Spool(folder)
        try:
            spool.write(content)
        except BaseException:
            spool.discard()
            raise
        return spool

    return await to_thread.run_sync(fill)
