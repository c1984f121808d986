"""A gzip file read forward only, within limits; exactly one gzip member, with nothing behind it."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from wheelyard.archives.limits import PIECE_BYTES, Budget
from wheelyard.errors import ArchiveError

_GZIP = 16 + zlib.MAX_WBITS  # gzip header and trailer, checked by zlib


class GzipStream:
    """
    The content of a gzip file.

    Attributes:
        position: Bytes handed out so far.
    """

    __slots__ = ("_budget", "_file", "_inflate", "_ready", "position")

    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        self._file = file
        self._budget = budget
        self._inflate = zlib.decompressobj(_GZIP)
        self._ready = b""
        self.position = 0

    def read(self, size: int) -> bytes:
        """
        Return the next `size` bytes; fewer only at the end of the stream.

        Args:
            size: The caller bounds it.
        Raises:
            ArchiveError: The stream is damaged, unpacks to too much, or takes too long.
            OSError: The file cannot be read.
        """
        pieces = []
        missing = size
        while missing and (piece := self._take(missing)):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def skip(self, size: int) -> bool:
        """Pass over `size` bytes and tell whether there were so many; raises as `read` does."""
        missing = size
        while missing and (piece := self._take(missing)):
            missing -= len(piece)
        return missing == 0

    def only_zeros_follow(self) -> bool:
        """Read to the end and tell whether all that came was zero; raises as `read` does."""
        zeros = True
        while piece := self._take(PIECE_BYTES):
            zeros = zeros and piece.count(0) == len(piece)
        return zeros

    def _take(self, most: int) -> bytes:
        if not self._ready:
            self._ready = self._inflated()
        piece, self._ready = self._ready[:most], self._ready[most:]
        self.position += len(piece)
        return piece

    def _inflated(self) -> bytes:
        """Return the next piece, at most PIECE_BYTES; empty at the end."""
        piece = b""
        while not piece and not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._file.read(PIECE_BYTES)
            if not packed:
                raise ArchiveError("the gzip stream ends too early: the file was cut off")
            try:
                piece = self._inflate.decompress(packed, PIECE_BYTES)
            except zlib.error:
                raise ArchiveError("the gzip stream is damaged") from None
            self._budget.spend(len(piece))
            self._budget.check_time()
        if self._inflate.eof and (self._inflate.unused_data or self._file.read(1)):
            # Some readers stop here and others go on: they would see two different archives.
            raise ArchiveError("the gzip stream has data behind its end")
        return piece
