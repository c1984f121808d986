"""Content of zip members: inflated piece by piece, never more than the member says it holds."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from wheelyard.archives.limits import PIECE_BYTES, Budget
from wheelyard.archives.zip_structure import STORED, Source, ZipMember
from wheelyard.errors import ArchiveError, shown


def read_member(source: Source, member: ZipMember, *, limit_bytes: int, budget: Budget) -> bytes:
    """
    Read a small member whole.

    Args:
        source: The archive.
        member: Which one.
        limit_bytes: Largest content.
        budget: Bounds the time.
    Raises:
        ArchiveError: It is larger, or its bytes are not what its headers say.
        OSError: The file cannot be read.
    """
    if member.size > limit_bytes:
        raise ArchiveError(
            f"'{shown(member.name)}' of the archive has {member.size} bytes; more than {limit_bytes} are not read",
            part=shown(member.name),
        )
    return b"".join(member_pieces(source, member, budget))


def member_pieces(source: Source, member: ZipMember, budget: Budget) -> Iterator[bytes]:
    """
    Yield a member's content in pieces of bounded size, checking size and checksum on the way.

    Raises:
        ArchiveError: Its bytes are not what its headers say.
        OSError: The file cannot be read.
    """
    pieces = _stored(source, member) if member.method == STORED else _inflated(source, member)
    crc = 0
    size = 0
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
        size += len(piece)
        if size > member.size:
            raise _fault(member, "unpacks to more bytes than it says")
        if size > PIECE_BYTES:
            budget.check_time()
        yield piece
    if size != member.size:
        raise _fault(member, "unpacks to fewer bytes than it says")
    if crc != member.crc:
        raise _fault(member, "does not have the content that its checksum says")


def _stored(source: Source, member: ZipMember) -> Iterator[bytes]:
    for position in range(0, member.packed, PIECE_BYTES):
        yield source.read(member.start + position, min(PIECE_BYTES, member.packed - position))


def _inflated(source: Source, member: ZipMember) -> Iterator[bytes]:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    for packed in _stored(source, member):
        rest = packed
        while rest and not inflate.eof:
            yield _inflated_piece(inflate, rest, member)
            rest = inflate.unconsumed_tail
        if inflate.unused_data or (rest and inflate.eof):
            raise _fault(member, "has bytes behind the end of its packed data")
    while not inflate.eof:
        # All input is in; what is still to come was held back by the size of a piece.
        piece = _inflated_piece(inflate, b"", member)
        if not piece:
            raise _fault(member, "has packed data that ends too early")
        yield piece


def _inflated_piece(inflate: zlib._Decompress, packed: bytes, member: ZipMember) -> bytes:
    try:
        return inflate.decompress(packed, PIECE_BYTES)
    except zlib.error:
        raise _fault(member, "has packed data that is damaged") from None


def _fault(member: ZipMember, why: str) -> ArchiveError:
    return ArchiveError(f"the member '{shown(member.name)}' of the archive {why}", part=shown(member.name))
