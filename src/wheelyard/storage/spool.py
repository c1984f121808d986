"""
A spool: bytes of a stranger on disk, with their digests, before anyone decides what becomes of them.

Rule 1: a spool is a temporary file that is removed unless a store linked it elsewhere; `discard` is always called.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self

from anyio import to_thread

from wheelyard.model import Sha256Hex

PIECE_BYTES = 1024 * 1024  # largest piece read or written at once: 1 MiB keeps memory flat and thread hops rare
SPOOL_PREFIX = "spool-"
"""Start of the name of every spool file; what a killed process leaves behind is known by it."""


class Spool:
    """
    A temporary file being filled, then read.

    Attributes:
        path: Where the bytes are. Mode 0600 until a store takes them.
        size: Bytes written so far.
    """

    def __init__(self, folder: Path) -> None:
        """
        Make an empty spool in `folder`, which exists.

        Raises:
            OSError: The file cannot be made.
        """
        # The process id tells whose leftover it is after a crash.
        self.path = folder / f"{SPOOL_PREFIX}{os.getpid()}-{secrets.token_hex(8)}"
        self.size = 0
        self._file = open(self.path, "xb", buffering=0, opener=_private_opener)  # noqa: SIM115  closed by discard
        self._sha256 = hashlib.sha256()
        self._blake2b_256 = hashlib.blake2b(digest_size=32)
        self._md5 = hashlib.md5(usedforsecurity=False)

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """
        Append bytes and feed the digests; blocks, so call it in a thread.

        Raises:
            OSError: The disk did not take them.
        """
        view = memoryview(piece)
        self._sha256.update(view)
        self._blake2b_256.update(view)
        self._md5.update(view)
        self.size += len(view)
        while view:
            view = view[self._file.write(view) :]

    def sync(self) -> None:
        """Make the bytes durable; blocks."""
        os.fsync(self._file.fileno())

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
        with await to_thread.run_sync(open, self.path, "rb") as source:
            while piece := await to_thread.run_sync(source.read, PIECE_BYTES):
                yield piece

    def discard(self) -> None:
        """Close and remove the temporary file; harmless when done twice or after a store renamed it away."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


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
