"""
Zip files written field by field, so that a test can lie about any one of them and keep the rest right.

Rule 1: what is written here is valid unless the caller says otherwise, and the same input gives the same bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

STORED = 0
DEFLATED = 8

FLAG_DESCRIPTOR = 0x0008
FLAG_UTF8 = 0x0800

_DOS_DATE = 0x21  # 1 January 1980, the earliest a zip can say: no clock in deterministic bytes
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipMember:
    """
    One member of a zip file, with every field open to lies.

    Attributes:
        name: Name; text is written as UTF-8 with its flag when it needs one, bytes as they are.
        content: What a reader gets.
        method: Compression method; what is neither stored nor deflated is written uncompressed.
        flags: General purpose bits; None means what name and descriptor need.
        mode: Unix mode, kept in the external attributes.
        packed: Compressed bytes; None means `content` compressed.
        descriptor: Bytes of a data descriptor after the data; b"" means a right one, None means none.
        local: Fields of the local header to overwrite (`crc`, `packed`, `size`, `method`, `flags`, ...).
        central: Fields of the central directory entry to overwrite (also `external`, `offset`, `disk`, ...).
        local_name: Name in the local header; None means the same.
        local_extra: Extra field of the local header.
        central_extra: Extra field of the central directory entry.
        comment: Comment of the central directory entry.
        listed: Whether the central directory has it.
        present: Whether it has a local header and data.
    """

    name: str | bytes
    content: bytes = b""
    method: int = DEFLATED
    flags: int | None = None
    mode: int = 0o100644
    packed: bytes | None = None
    descriptor: bytes | None = None
    local: Mapping[str, int] = field(default_factory=dict)
    central: Mapping[str, int] = field(default_factory=dict)
    local_name: bytes | None = None
    local_extra: bytes = b""
    central_extra: bytes = b""
    comment: bytes = b""
    listed: bool = True
    present: bool = True

    @property
    def raw_name(self) -> bytes:
        """The name as it is written."""
        return self.name.encode() if isinstance(self.name, str) else self.name

    @property
    def raw_packed(self) -> bytes:
        """The data as it is written."""
        if self.packed is not None:
            return self.packed
        return deflate(self.content) if self.method == DEFLATED else self.content

    @property
    def raw_flags(self) -> int:
        """The general purpose bits as they are written."""
        if self.flags is not None:
            return self.flags
        needed = FLAG_UTF8 if isinstance(self.name, str) and not self.name.isascii() else 0
        return needed | (0 if self.descriptor is None else FLAG_DESCRIPTOR)


def deflate(content: bytes) -> bytes:
    """Return `content` as a raw deflate stream."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def render_zip(
    members: Iterable[ZipMember],
    *,
    prefix: bytes = b"",
    before_directory: bytes = b"",
    before_end: bytes = b"",
    comment: bytes = b"",
    end: Mapping[str, int] | None = None,
    zip64: bool = False,
    end64: Mapping[str, int] | None = None,
    trailing: bytes = b"",
) -> bytes:
    """
    Write a zip file.

    Args:
        members: In order; local parts and central directory entries are written in the same order.
        prefix: Bytes before the first member; offsets count them.
        before_directory: Bytes between the last member and the central directory.
        before_end: Bytes between the central directory and the records that end the file.
        comment: Archive comment.
        end: Fields of the end record to overwrite (`entries`, `directory_offset`, ...).
        zip64: Also write the ZIP64 end record and its locator, and mask the fields of the old one.
        end64: Fields of the ZIP64 end record to overwrite, and `locator_offset`.
        trailing: Bytes after everything.
    """
    body = bytearray(prefix)
    directory = bytearray()
    entries = 0
    for member in members:
        offset = len(body)
        if member.present:
            body += _local_part(member)
        if member.listed:
            directory += _central_entry(member, offset)
            entries += 1
    body += before_directory
    start = len(body)
    body += directory + before_end
    if zip64:
        body += _end64(entries, len(directory), start, offset=len(body), lies=end64 or {})
    masked = {"entries_here": 0xFFFF, "entries": 0xFFFF, "directory_size": 0xFFFFFFFF, "directory_offset": 0xFFFFFFFF}
    lies = {**(masked if zip64 else {}), **(end or {})}
    return bytes(body) + _end(entries, len(directory), start, comment, lies) + trailing


def _local_part(member: ZipMember) -> bytes:
    packed, crc = member.raw_packed, zlib.crc32(member.content)
    streamed = member.descriptor is not None
    name = member.raw_name if member.local_name is None else member.local_name
    fields = {
        "version": 20,
        "flags": member.raw_flags,
        "method": member.method,
        "time": 0,
        "date": _DOS_DATE,
        "crc": 0 if streamed else crc,
        "packed": 0 if streamed else len(packed),
        "size": 0 if streamed else len(member.content),
        "name_length": len(name),
        "extra_length": len(member.local_extra),
    } | dict(member.local)
    after = member.descriptor or b""
    if member.descriptor == b"":
        after = struct.pack("<4s3L", b"PK\x07\x08", crc, len(packed), len(member.content))
    return _LOCAL.pack(b"PK\x03\x04", *fields.values()) + name + member.local_extra + packed + after


def _central_entry(member: ZipMember, offset: int) -> bytes:
    name = member.raw_name
    fields = {
        "made_by": (3 << 8) | 20,  # Unix, so that the mode counts
        "version": 20,
        "flags": member.raw_flags,
        "method": member.method,
        "time": 0,
        "date": _DOS_DATE,
        "crc": zlib.crc32(member.content),
        "packed": len(member.raw_packed),
        "size": len(member.content),
        "name_length": len(name),
        "extra_length": len(member.central_extra),
        "comment_length": len(member.comment),
        "disk": 0,
        "internal": 0,
        "external": member.mode << 16,
        "offset": offset,
    } | dict(member.central)
    return _CENTRAL.pack(b"PK\x01\x02", *fields.values()) + name + member.central_extra + member.comment


def _end(entries: int, size: int, start: int, comment: bytes, lies: Mapping[str, int]) -> bytes:
    fields = {
        "disk": 0,
        "directory_disk": 0,
        "entries_here": min(entries, 0xFFFF),
        "entries": min(entries, 0xFFFF),
        "directory_size": size,
        "directory_offset": start,
        "comment_length": len(comment),
    } | dict(lies)
    return _END.pack(b"PK\x05\x06", *fields.values()) + comment


def _end64(entries: int, size: int, start: int, *, offset: int, lies: Mapping[str, int]) -> bytes:
    fields = {
        "record_size": _END64.size - 12,
        "made_by": 45,
        "version": 45,
        "disk": 0,
        "directory_disk": 0,
        "entries_here": entries,
        "entries": entries,
        "directory_size": size,
        "directory_offset": start,
        "locator_offset": offset,
        "locator_disk": 0,
        "disks": 1,
    } | dict(lies)
    where, disk, disks = (fields.pop(name) for name in ("locator_offset", "locator_disk", "disks"))
    return _END64.pack(b"PK\x06\x06", *fields.values()) + _LOCATOR.pack(b"PK\x06\x07", disk, where, disks)
