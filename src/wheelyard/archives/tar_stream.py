"""
The members of a tar archive, read forward only: what every reader understands in the same way, and nothing else.

The standard library's reader takes an extended header of any announced size into memory, passes over unknown types, and
stops without a word at the first damaged header, where other readers go on. This one bounds, and refuses.

Rule 1: whatever is accepted here, `tarfile` reads as the same members with the same sizes (a test holds them together).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from wheelyard.archives.gzip_stream import GzipStream
from wheelyard.archives.limits import Budget
from wheelyard.errors import ArchiveError, shown

_BLOCK = 512
_POSITIVE, _NEGATIVE = 0x80, 0xFF  # GNU: first byte of a number in base 256; sizes are never negative
_ZERO_BLOCK = bytes(_BLOCK)
_CHECKSUM = slice(148, 156)
_SIZE = slice(124, 136)
# Mode, user, group, time, device numbers: nothing here uses them, but other readers stop where they are no numbers.
_UNUSED_NUMBERS = (slice(100, 108), slice(108, 116), slice(116, 124), slice(136, 148), slice(329, 337), slice(337, 345))
_USTAR_MAGIC = b"ustar\x0000"

_PAX_NEXT, _PAX_ALL, _GNU_NAME, _GNU_TARGET = b"x", b"g", b"L", b"K"
_PAX_MEANT_FOR_US = frozenset({"path", "linkpath", "size"})


class TarKind(Enum):
    """What a tar member is; values are the type flags."""

    FILE = b"0"
    HARD_LINK = b"1"
    SYMLINK = b"2"
    FOLDER = b"5"


@dataclass(frozen=True, slots=True)
class TarMember:
    """
    One member of a tar archive.

    Attributes:
        name: Full name, without the last `/` of a folder.
        kind: What it is.
        size: Bytes of content that follow in the stream.
        target: Where a link points; empty for the others.
    """

    name: str
    kind: TarKind
    size: int
    target: str


class _Overrides(dict[str, str | int]):
    """What extended headers say about the next member: its `name`, `target`, `size`."""

    def set(self, what: str, value: str | int) -> None:
        """Remember one of them; of two headers that say it, some readers take the first and others the last."""
        if what in self:
            raise ArchiveError(f"the archive has two extended headers that give one member its {what}")
        self[what] = value


def tar_members(stream: GzipStream, budget: Budget) -> Iterator[TarMember]:
    """
    Yield the members; the caller may read a member's content from the stream before it asks for the next.

    Args:
        stream: At the start of the archive; at its end afterwards.
        budget: Bounds members and headers.
    Raises:
        ArchiveError: The archive is damaged, has special members, or is larger than the limits.
        OSError: The file cannot be read.
    """
    overrides = _Overrides()
    is_extended = False
    count = header_bytes = 0
    # The end marker may be missing: the gzip stream's own end says that nothing was cut off.
    while (block := stream.read(_BLOCK)) not in (_ZERO_BLOCK, b""):
        count += 1
        flag, size = _checked_header(block)
        is_extended = flag in (_PAX_NEXT, _PAX_ALL, _GNU_NAME, _GNU_TARGET)
        if is_extended:
            header_bytes += size
            _read_extended(stream, flag, size, overrides, budget)
        else:
            member = _member(block, flag, size, overrides)
            overrides = _Overrides()
            content_end = stream.position + _padded(member.size)
            yield member
            _skip_to(stream, content_end)
        if count > budget.limits.members:
            raise ArchiveError(f"the archive has more than {budget.limits.members} members")
        if header_bytes > budget.limits.directory_bytes:
            raise ArchiveError(f"the archive's extended headers take more than {budget.limits.directory_bytes} bytes")
    if is_extended:
        raise ArchiveError("the archive ends behind an extended header that belongs to no member")
    # POSIX ends an archive with two blocks of zeros; tar programs pad with more, and one block is seen in the wild.
    if not stream.only_zeros_follow():
        raise ArchiveError("the archive has data behind its end")


def _skip_to(stream: GzipStream, position: int) -> None:
    if not stream.skip(position - stream.position):
        raise ArchiveError("the archive ends in the middle of a member: it was cut off")


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _checked_header(block: bytes) -> tuple[bytes, int]:
    """Return type flag and size of a header whose checksum is right."""
    if len(block) != _BLOCK:
        raise ArchiveError("the archive ends in the middle of a header: it was cut off")
    told = _number(block[_CHECKSUM])
    if told != sum(block) - sum(block[_CHECKSUM]) + 8 * ord(" "):
        raise ArchiveError("the archive has a damaged header")
    for unused in _UNUSED_NUMBERS:
        if block[unused.start] != _NEGATIVE:
            _number(block[unused])
    return block[156:157], _number(block[_SIZE])


def _number(field: bytes) -> int:
    """
    Read a number field.

    POSIX: octal digits, ended by space or NUL. GNU: base 256 behind a marker.
    """
    if field[0] == _POSITIVE:
        return int.from_bytes(field[1:], "big")
    digits = _up_to_nul(field).strip(b" ")
    if any(byte not in b"01234567" for byte in digits):
        raise ArchiveError("the archive has a damaged header")
    return int(digits, 8) if digits else 0


def _member(block: bytes, flag: bytes, size: int, overrides: _Overrides) -> TarMember:
    # The plain fields may cut a long name in the middle of a character, so they are decoded only where they count.
    raw_name, raw_target = _raw_name(block), _up_to_nul(block[157:257])
    name = str(overrides["name"]) if "name" in overrides else _decoded(raw_name)
    kind = _kind(flag, name, raw_name)
    size = int(overrides.get("size", size))
    if kind is not TarKind.FILE and size:
        raise _fault(name, "is no file and has content")
    target = ""
    if kind in (TarKind.HARD_LINK, TarKind.SYMLINK):
        target = str(overrides["target"]) if "target" in overrides else _decoded(raw_target)
    return TarMember(name.rstrip("/"), kind, size, target)


def _raw_name(block: bytes) -> bytes:
    name, prefix = _up_to_nul(block[0:100]), _up_to_nul(block[345:500])
    if not prefix:
        return name
    if block[257:265] != _USTAR_MAGIC:
        raise _fault(name.decode("utf-8", "replace"), "has a name in two parts in a format that has none")
    return prefix + b"/" + name


def _kind(flag: bytes, name: str, raw_name: bytes) -> TarKind:
    kinds = {kind.value: kind for kind in TarKind}
    # A NUL is a file from before POSIX, a folder when its name ends in "/".
    kinds[b"\0"] = TarKind.FOLDER if raw_name.endswith(b"/") else TarKind.FILE
    kind = kinds.get(flag)
    if kind is None:
        refused = {b"3": "a device", b"4": "a device", b"6": "a named pipe", b"S": "a sparse file"}
        why = refused.get(flag, f"of the unknown type {flag!r}")
        raise _fault(name, f"is {why}; only files, folders and links inside the archive are accepted")
    if kind is TarKind.FILE and name.endswith("/"):
        raise _fault(name, "is a file by its type and a folder by its name")
    return kind


# --- extended headers ------------------------------------------------------------------------------------------------


def _read_extended(stream: GzipStream, flag: bytes, size: int, overrides: _Overrides, budget: Budget) -> None:
    if size > budget.limits.tar_header_bytes:
        raise ArchiveError(f"the archive has an extended header of more than {budget.limits.tar_header_bytes} bytes")
    content = stream.read(_padded(size))
    if len(content) != _padded(size):
        raise ArchiveError("the archive ends in the middle of a header: it was cut off")
    content = content[:size]
    if flag == _GNU_NAME:
        overrides.set("name", _decoded(_up_to_nul(content)))
    elif flag == _GNU_TARGET:
        overrides.set("target", _decoded(_up_to_nul(content)))
    else:
        _apply_pax(content, overrides, for_all=flag == _PAX_ALL)


def _apply_pax(content: bytes, overrides: _Overrides, *, for_all: bool) -> None:
    pairs = list(_pax_records(content))
    records = dict(pairs)
    if len(records) != len(pairs):
        raise ArchiveError("the archive has an extended header that says one thing twice")
    if any(keyword.startswith("GNU.sparse") for keyword in records):
        raise ArchiveError("the archive has a sparse file, which readers unpack differently")
    if "hdrcharset" in records or (for_all and not _PAX_MEANT_FOR_US.isdisjoint(records)):
        raise ArchiveError("the archive has an extended header that renames or resizes in a way readers differ about")
    if "path" in records:
        overrides.set("name", _decoded(records["path"]))
    if "linkpath" in records:
        overrides.set("target", _decoded(records["linkpath"]))
    if "size" in records:
        overrides.set("size", _decimal(records["size"]))


def _pax_records(content: bytes) -> Iterator[tuple[str, bytes]]:
    r"""POSIX: each record is "%d %s=%s\n", the length, which counts itself, a keyword and a value."""
    position = 0
    while position < len(content):
        space = content.find(b" ", position, position + 8)
        length = _decimal(content[position:space]) if space > position else 0
        record = content[space + 1 : position + length]
        keyword, separator, value = record[:-1].partition(b"=")
        if length <= 0 or position + length > len(content) or not record.endswith(b"\n") or not separator:
            raise ArchiveError("the archive has a damaged extended header")
        yield _decoded(keyword), value
        position += length


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 20:  # noqa: PLR2004  2**64 has 20 digits
        raise ArchiveError("the archive has a damaged extended header")
    return int(digits)


def _up_to_nul(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _fault(raw.decode("utf-8", "replace"), "has a name that is not UTF-8") from None


def _fault(name: str, why: str) -> ArchiveError:
    return ArchiveError(f"the member '{shown(name)}' of the archive {why}", part=shown(name))
