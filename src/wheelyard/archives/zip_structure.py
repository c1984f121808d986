"""
The structure of a zip file, from APPNOTE.TXT: two readers of an accepted file see the same members with the same bytes.

A zip says everything twice, in front of each member (local header) and in one list at the end (central directory), and
may hide more between, before and behind. Readers that trust one place or the other would install different things from
one file, so whatever does not agree, or is not accounted for to the last byte, is refused:

    local header, name, extra, data (, data descriptor) | ... | central directory | (ZIP64 end, locator) | end

Rule 1: a structure is refused by the first fault (`ArchiveError`); there is nothing sound to look at after it.
Rule 2: data descriptors, which streaming tools write, are accepted when they agree with the central directory.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NoReturn

from wheelyard.archives.limits import Budget
from wheelyard.archives.names import check_member_name, check_no_file_is_folder
from wheelyard.errors import ArchiveError, shown

STORED = 0
DEFLATED = 8

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")

_LOCAL_SIGNATURE = b"PK\x03\x04"
_CENTRAL_SIGNATURE = b"PK\x01\x02"
_DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
_END_SIGNATURE = b"PK\x05\x06"
_END64_SIGNATURE = b"PK\x06\x06"
_LOCATOR_SIGNATURE = b"PK\x06\x07"

_MASK16 = 0xFFFF
_MASK32 = 0xFFFFFFFF

_FLAG_ENCRYPTED = 0x0001
_FLAG_DESCRIPTOR = 0x0008
_FLAG_UTF8 = 0x0800
_FLAGS_KNOWN = 0x0006 | _FLAG_DESCRIPTOR | _FLAG_UTF8  # 0x0006: how hard the packer tried

_NEWEST_VERSION = 63  # APPNOTE 4.4.3: the newest "version needed to extract" is 6.3

_EXTRA_ZIP64 = 0x0001
_EXTRA_UNICODE_COMMENT = 0x6375
_EXTRA_UNICODE_PATH = 0x7075

_DOS_VOLUME, _DOS_FOLDER, _DOS_DEVICE = 0x08, 0x10, 0x40

_LARGEST_COMMENT = 65_535
_IN_MEMORY_BYTES = 1024 * 1024  # archives up to 1 MiB are read at once: one call in place of one for each member


@dataclass(frozen=True, slots=True)
class ZipMember:
    """
    One member of a zip file, as both of its headers agree.

    Attributes:
        name: Full name; a folder's ends in `/`.
        method: STORED or DEFLATED.
        crc: CRC-32 of the content.
        packed: Bytes in the archive.
        size: Bytes of content.
        start: Where the packed bytes start.
    """

    name: str
    method: int
    crc: int
    packed: int
    size: int
    start: int

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.name.endswith("/")


@dataclass(frozen=True, slots=True)
class ZipStructure:
    """
    The members of a zip file whose structure is sound.

    Attributes:
        source: The bytes.
        members: By name, in the order of the central directory.
        streamed: How many members have a data descriptor.
    """

    source: Source
    members: dict[str, ZipMember]
    streamed: int


class Source:
    """Random access to the bytes of an archive."""

    __slots__ = ("_content", "_file", "size")

    def __init__(self, file: BinaryIO) -> None:
        """
        Look at an open, unbuffered file.

        Raises:
            OSError: It cannot be read.
        """
        self._file = file
        self.size = file.seek(0, os.SEEK_END)
        self._content = _read_at(file, 0, self.size) if self.size <= _IN_MEMORY_BYTES else None

    def read(self, start: int, size: int) -> bytes:
        """
        Read exactly `size` bytes.

        Raises:
            ArchiveError: The archive ends before.
            OSError: The file cannot be read.
        """
        content = self._content
        piece = _read_at(self._file, start, size) if content is None else content[start : start + size]
        if len(piece) != size:
            raise ArchiveError("the archive ends in the middle of a member")
        return piece


def _read_at(file: BinaryIO, start: int, size: int) -> bytes:
    """Read from a place, and leave the file at its start for whoever reads it in order."""
    file.seek(start)
    piece = file.read(size)
    file.seek(0)
    return piece


@dataclass(frozen=True, slots=True)
class _Directory:
    """Where the central directory is and how many entries it has."""

    start: int
    size: int
    entries: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of the central directory, ZIP64 resolved."""

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


def read_structure(source: Source, budget: Budget) -> ZipStructure:
    """
    Walk a zip file from end to start and then member by member.

    Args:
        source: The archive.
        budget: Bounds for members, names and what they unpack to.
    Returns:
        Its members; nothing was decompressed.
    Raises:
        ArchiveError: The file is no zip file, or one that two readers may understand differently.
        OSError: The file cannot be read.
    """
    directory = _find_directory(source)
    if directory.entries > budget.limits.members:
        raise ArchiveError(f"the archive has more than {budget.limits.members} members")
    if directory.size > budget.limits.directory_bytes:
        raise ArchiveError(f"the archive's central directory is larger than {budget.limits.directory_bytes} bytes")
    entries = list(_central_entries(source.read(directory.start, directory.size), directory.entries))
    _check_names(entries, budget)
    return _walk_local_headers(source, entries, directory.start, budget)


# --- the end of the file ---------------------------------------------------------------------------------------------


def _find_directory(source: Source) -> _Directory:
    end_start = source.size - _END.size
    record = source.read(end_start, _END.size) if end_start >= 0 else b""
    if not record.startswith(_END_SIGNATURE):
        _refuse_end(source)
    _, disk, directory_disk, entries_here, entries, size, start, comment_length = _END.unpack(record)
    if comment_length != 0:
        raise ArchiveError("the archive ends in the middle of its comment")
    if disk not in (0, _MASK16) or directory_disk not in (0, _MASK16):
        raise ArchiveError("the archive is one part of a split archive")
    if entries_here != entries:
        raise ArchiveError("the archive disagrees with itself about how many members it has")
    plain = _Directory(start, size, entries)
    directory, behind = _resolve_zip64(source, plain, end_start)
    if directory.start + directory.size != behind:
        raise ArchiveError("the archive's central directory does not end where the archive says")
    return directory


def _refuse_end(source: Source) -> NoReturn:
    """Say what is wrong with a file that does not end as a zip file without a comment does."""
    tail = source.read(
        max(0, source.size - _END.size - _LARGEST_COMMENT), min(source.size, _END.size + _LARGEST_COMMENT)
    )
    found = tail.rfind(_END_SIGNATURE)
    if found < 0 or len(tail) - found < _END.size:
        raise ArchiveError("the file is no zip archive: it has no end record")
    comment_length = _END.unpack_from(tail, found)[-1]
    behind = len(tail) - found - _END.size
    if comment_length == behind:
        raise ArchiveError("the archive has a comment, which may hide a second archive; pack it without one")
    raise ArchiveError("the archive has trailing data behind its end record")


def _resolve_zip64(source: Source, plain: _Directory, end_start: int) -> tuple[_Directory, int]:
    """Return the directory and where it must end; the ZIP64 end record counts when its locator is there."""
    locator_start = end_start - _LOCATOR.size
    record = source.read(locator_start, _LOCATOR.size) if locator_start >= 0 else b""
    if not record.startswith(_LOCATOR_SIGNATURE):
        return plain, end_start
    _, disk, start64, disks = _LOCATOR.unpack(record)
    if disk != 0 or disks != 1:
        raise ArchiveError("the archive is one part of a split archive")
    if start64 != locator_start - _END64.size:
        raise ArchiveError("the archive's ZIP64 end record is not where its locator says")
    signature, record_size, _, _, disk, directory_disk, here, entries, size, start = _END64.unpack(
        source.read(start64, _END64.size)
    )
    if signature != _END64_SIGNATURE or record_size != _END64.size - 12 or disk != 0 or directory_disk != 0:
        raise ArchiveError("the archive's ZIP64 end record is damaged")
    agrees = here == entries and all(
        old in (new, mask)
        for old, new, mask in (
            (plain.entries, entries, _MASK16),
            (plain.size, size, _MASK32),
            (plain.start, start, _MASK32),
        )
    )
    if not agrees:
        raise ArchiveError("the archive's two end records disagree")
    return _Directory(start, size, entries), start64


# --- the central directory -------------------------------------------------------------------------------------------


def _central_entries(directory: bytes, count: int) -> Iterator[_Entry]:
    position = 0
    for _ in range(count):
        if len(directory) - position < _CENTRAL.size or not directory.startswith(_CENTRAL_SIGNATURE, position):
            raise ArchiveError("the archive's central directory has fewer entries than the archive says")
        fields = _CENTRAL.unpack_from(directory, position)
        position += _CENTRAL.size
        name_length, extra_length, comment_length = fields[10:13]
        behind = position + name_length + extra_length + comment_length
        if behind > len(directory):
            raise ArchiveError("the archive's central directory ends in the middle of an entry")
        raw_name = directory[position : position + name_length]
        extra = directory[position + name_length : position + name_length + extra_length]
        yield _central_entry(fields, raw_name, extra)
        position = behind
    if position != len(directory):
        raise ArchiveError("the archive's central directory has more than the entries the archive says")


def _central_entry(fields: tuple[int, ...], raw_name: bytes, extra: bytes) -> _Entry:
    _, _, version, flags, method, _, _, crc, packed, size, _, _, comment_length, disk, _, external, offset = fields
    name = _decoded(raw_name, flags)
    if flags & ~_FLAGS_KNOWN:
        why = "is encrypted" if flags & _FLAG_ENCRYPTED else f"has unknown flags (0x{flags:04x})"
        raise _fault(name, why)
    if method not in (STORED, DEFLATED):
        raise _fault(name, f"is packed by method {method}; only stored (0) and deflated (8) are read everywhere")
    if version > _NEWEST_VERSION:
        raise _fault(name, "asks for a newer zip reader than there is")
    if comment_length:
        raise _fault(name, "has a comment; pack it without one")
    _check_kind(name, external)
    zip64 = _checked_extra(name, raw_name, extra)
    if zip64 is not None:
        masked = (size == _MASK32, packed == _MASK32, offset == _MASK32)
        if len(zip64) != 8 * sum(masked):
            raise _fault(name, "has a ZIP64 field that does not fit its entry")
        values = iter(struct.unpack(f"<{sum(masked)}Q", zip64))
        size, packed, offset = (
            next(values) if wide else value for wide, value in zip(masked, (size, packed, offset), strict=True)
        )
    if disk != 0:
        raise _fault(name, "is on another part of a split archive")
    if method == STORED and packed != size:
        raise _fault(name, "is stored with a size that is not its own")
    if name.endswith("/") and size:
        raise _fault(name, "is a folder with content")
    return _Entry(name, raw_name, flags, method, crc, packed, size, offset)


def _decoded(raw_name: bytes, flags: int) -> str:
    if not flags & _FLAG_UTF8 and not raw_name.isascii():
        raise _fault(raw_name.decode("utf-8", "replace"), "has a non-ASCII name that is not marked as UTF-8")
    try:
        return raw_name.decode("utf-8")
    except UnicodeDecodeError:
        raise _fault(raw_name.decode("utf-8", "replace"), "has a name that is not UTF-8") from None


def _check_kind(name: str, external: int) -> None:
    """Refuse what is neither file nor folder, and what is one by name and the other by its attributes."""
    kind = stat.S_IFMT(external >> 16)
    if kind == stat.S_IFLNK:
        raise _fault(name, "is a link")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or external & (_DOS_VOLUME | _DOS_DEVICE):
        raise _fault(name, "is a device or another special file")
    is_folder = kind == stat.S_IFDIR or (kind == 0 and bool(external & _DOS_FOLDER))
    if (is_folder and not name.endswith("/")) or (kind == stat.S_IFREG and name.endswith("/")):
        raise _fault(name, "is a file by its name or its attributes, and a folder by the other")


def _checked_extra(name: str, raw_name: bytes, extra: bytes) -> bytes | None:
    """Check an extra field and return the ZIP64 part of it."""
    zip64 = None
    position = 0
    while position < len(extra):
        if len(extra) - position < 4:  # noqa: PLR2004  two numbers of two bytes
            raise _fault(name, "has a damaged extra field")
        kind, length = struct.unpack_from("<2H", extra, position)
        position += 4 + length
        if position > len(extra):
            raise _fault(name, "has a damaged extra field")
        value = extra[position - length : position]
        if kind == _EXTRA_ZIP64:
            if zip64 is not None:
                raise _fault(name, "has two ZIP64 fields")
            zip64 = value
        elif kind == _EXTRA_UNICODE_COMMENT or (kind == _EXTRA_UNICODE_PATH and value[5:] != raw_name):
            raise _fault(name, "has an extra field that gives it another name or comment")
    return zip64


def _check_names(entries: list[_Entry], budget: Budget) -> None:
    limit_bytes = budget.limits.member_name_bytes
    names: set[str] = set()
    files: set[str] = set()
    for entry in entries:
        name = entry.name.removesuffix("/")
        check_member_name(name, limit_bytes=limit_bytes)
        if name in names:
            raise _fault(entry.name, "is there twice")
        names.add(name)
        if name == entry.name:
            files.add(name)
        budget.spend(entry.size)
    check_no_file_is_folder(files, names)


# --- the members -----------------------------------------------------------------------------------------------------


def _walk_local_headers(source: Source, entries: list[_Entry], directory_start: int, budget: Budget) -> ZipStructure:
    in_order = sorted(entries, key=lambda entry: entry.offset)
    starts: dict[str, int] = {}
    expected = 0
    streamed = 0
    for index, entry in enumerate(in_order):
        if entry.offset != expected:
            raise ArchiveError(_gap_text(entry, expected))
        data_start = _checked_local_header(source, entry, directory_start)
        starts[entry.name] = data_start
        expected = data_start + entry.packed
        if entry.flags & _FLAG_DESCRIPTOR:
            streamed += 1
            behind = in_order[index + 1].offset if index + 1 < len(in_order) else directory_start
            expected += _checked_descriptor(source, entry, expected, behind)
        if index % 1024 == 0:
            budget.check_time()
    if expected != directory_start:
        raise ArchiveError("the archive has bytes between its last member and its central directory")
    members = {
        entry.name: ZipMember(entry.name, entry.method, entry.crc, entry.packed, entry.size, starts[entry.name])
        for entry in entries
    }
    return ZipStructure(source, members, streamed)


def _gap_text(entry: _Entry, expected: int) -> str:
    if entry.offset < expected:
        return f"the member '{shown(entry.name)}' of the archive overlaps the one before it"
    where = "in front of its first member" if expected == 0 else f"in front of '{shown(entry.name)}'"
    return f"the archive has bytes {where} that belong to no member"


def _checked_local_header(source: Source, entry: _Entry, directory_start: int) -> int:
    """Compare a local header with its central entry and return where the data starts."""
    name_start = entry.offset + _LOCAL.size
    if name_start + len(entry.raw_name) + entry.packed > directory_start:
        raise _fault(entry.name, "reaches into the central directory")
    head = source.read(entry.offset, _LOCAL.size + len(entry.raw_name))
    signature, _, flags, method, _, _, crc, packed, size, name_length, extra_length = _LOCAL.unpack_from(head)
    if signature != _LOCAL_SIGNATURE:
        raise _fault(entry.name, "is not where the central directory says")
    if name_length != len(entry.raw_name) or head[_LOCAL.size :] != entry.raw_name:
        raise _fault(entry.name, "has another name in front of its data")
    if flags != entry.flags or method != entry.method:
        raise _fault(entry.name, "has other flags or another method in front of its data")
    data_start: int = name_start + name_length + extra_length
    extra = source.read(name_start + name_length, extra_length) if extra_length else b""
    zip64 = _checked_extra(entry.name, entry.raw_name, extra) if extra else None
    if zip64 is not None:
        size, packed = _local_zip64(entry, size, packed, zip64)
    told = (crc, packed, size)
    if told != (entry.crc, entry.packed, entry.size) and not (entry.flags & _FLAG_DESCRIPTOR and told == (0, 0, 0)):
        raise _fault(entry.name, "has another size or checksum in front of its data than in the central directory")
    return data_start


def _local_zip64(entry: _Entry, size: int, packed: int, zip64: bytes) -> tuple[int, int]:
    """Resolve sizes; APPNOTE 4.5.3: in a local header the field MUST hold both of them."""
    if len(zip64) != 16:  # noqa: PLR2004  two numbers of eight bytes
        raise _fault(entry.name, "has a ZIP64 field that does not fit its header")
    wide_size, wide_packed = struct.unpack("<2Q", zip64)
    # Python before 3.11.4 wrote the field beside sizes that were not masked.
    if size not in (_MASK32, wide_size) or packed not in (_MASK32, wide_packed):
        raise _fault(entry.name, "has a ZIP64 field that disagrees with its header")
    return wide_size, wide_packed


def _checked_descriptor(source: Source, entry: _Entry, start: int, behind: int) -> int:
    """Check what follows the data of a streamed member and return its length; signature and ZIP64 are optional."""
    length = behind - start
    forms = {12: "<3L", 16: "<4s3L", 20: "<L2Q", 24: "<4sL2Q"}
    if length not in forms:
        raise _fault(entry.name, "has no data descriptor, or bytes behind it that belong to no member")
    values = struct.unpack(forms[length], source.read(start, length))
    if len(values) == 4 and values[0] != _DESCRIPTOR_SIGNATURE:  # noqa: PLR2004  signature, checksum, two sizes
        raise _fault(entry.name, "has bytes behind its data that are no data descriptor")
    if values[-3:] != (entry.crc, entry.packed, entry.size):
        raise _fault(entry.name, "has a data descriptor that disagrees with the central directory")
    return length


def _fault(name: str, why: str) -> ArchiveError:
    return ArchiveError(f"the member '{shown(name)}' of the archive {why}", part=shown(name))


def ends_as_zip(file: BinaryIO, size: int) -> bool:
    """
    Tell whether a zip reader would accept the end of a file that says it is something else; the position stays.

    Raises:
        OSError: The file cannot be read.
    """
    tail_size = min(size, _END.size + _LARGEST_COMMENT)
    tail = _read_at(file, size - tail_size, tail_size)
    found = tail.rfind(_END_SIGNATURE)
    while found >= 0:
        if len(tail) - found >= _END.size and _END.unpack_from(tail, found)[-1] == len(tail) - found - _END.size:
            return True
        found = tail.rfind(_END_SIGNATURE, 0, found)
    return False
