"""Pieces of a stream that lie in a file of this machine, so that a server may send them without reading them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from io import FileIO
from typing import TYPE_CHECKING, cast

from anyio import to_thread

from wheelyard.errors import StorageUnavailable
from wheelyard.storage.spool import PIECE_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@dataclass(frozen=True, slots=True)
class FileSlice:
    """
    Bytes of an open file.

    Attributes:
        file: Open for reading as long as the iterator that gave this has not gone on; its position belongs to nobody.
        offset: First byte.
        count: How many.
    """

    file: FileIO
    offset: int
    count: int


async def in_bytes(pieces: AsyncIterator[bytes | FileSlice]) -> AsyncIterator[bytes]:
    """
    Read the slices of a stream, in pieces of at most 1 MiB; the iterator is an async generator.

    Raises:
        StorageUnavailable: A file became shorter.
    """
    async with aclosing(cast("AsyncGenerator[bytes | FileSlice, None]", pieces)) as given:
        async for piece in given:
            if isinstance(piece, bytes):
                yield piece
                continue
            offset, end = piece.offset, piece.offset + piece.count
            while offset < end:
                part = await to_thread.run_sync(os.pread, piece.file.fileno(), min(PIECE_BYTES, end - offset), offset)
                if not part:
                    raise StorageUnavailable("a file of this server became shorter while it was read")
                offset += len(part)
                yield part
