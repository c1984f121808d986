"""Changes to archives that keep their framing: a change to a member must not die at the first checksum."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace

from fuzz.laws import MUTATION_BYTES, Mutate
from wheelyard.testing.builders import record_row
from wheelyard.testing.raw_archives import DEFLATED, STORED, ZipMember, render_zip

_UNPACKED_BYTES = 256 * 1024  # of an archive that is unpacked to be changed
_BLOCK = 512
_NUMBERS = (0, 1, 2, 7, 8, 9, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)
_HEADER_FIELDS = ("version", "flags", "method", "crc", "packed", "size", "name_length", "extra_length")
_CENTRAL_FIELDS = (*_HEADER_FIELDS, "made_by", "comment_length", "disk", "external", "offset")
_END_FIELDS = ("disk", "entries_here", "entries", "directory_size", "directory_offset", "comment_length")
_END64_FIELDS = ("record_size", "disk", "entries_here", "entries", "directory_size", "directory_offset", "disks")
_EXTRAS = (
    b"\x01\x00\x10\x00" + bytes(16),
    b"\x01\x00\x08\x00" + bytes(8),
    b"\x01\x00\x00\x00",
    b"\x75\x70\x09\x00\x01" + bytes(4) + b"name",
    b"\x75\x63\x05\x00\x01" + bytes(4),
    b"UT\x05\x00\x03" + bytes(4),
    b"\x00",
)
_NAMES = (
    *(b"../up", b"/abs", b"C:\\x", b"a\\b", b"demo/", b"demo//x", b"./x", b"\x00", b"demo/\xff", "demo/é".encode()),
    *(
        b"demo-1.0.dist-info/METADATA",
        b"demo-1.0.dist-info/RECORD.jws",
        b"DEMO-1.0.dist-info/WHEEL",
        b"demo/__init__.py",
    ),
    *(b"demo-1.0.data/scripts/x", b"demo-1.0.dist-info/", b"other-1.0.dist-info/METADATA", b"demo-1.0/PKG-INFO"),
)
_TAR_KINDS = b"0123456789xgLKSDVM\0AN"


def mutate_zip(content: bytes, rng: random.Random, plainly: Mutate) -> bytes:
    """
    Change one thing, or a few, inside a zip file and write it anew.

    Raises:
        zipfile.BadZipFile: It cannot be read, so the caller has to change its bytes.
    """
    members = _zip_members(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        _ZIP_CHANGES[rng.randrange(len(_ZIP_CHANGES))](members, rng, plainly)
    if rng.random() < 0.5:
        _repair_record(members)
    end = {rng.choice(_END_FIELDS): rng.choice(_NUMBERS)} if rng.random() < 0.05 else None
    end64 = {rng.choice(_END64_FIELDS): rng.choice(_NUMBERS)} if rng.random() < 0.3 else None
    around = {
        rng.choice(("prefix", "before_directory", "before_end", "comment", "trailing")): plainly(b"PK", 40)
        for _ in range(rng.random() < 0.05)
    }
    return render_zip(members, end=end, zip64=rng.random() < 0.2, end64=end64, **around)


def _zip_members(content: bytes) -> list[ZipMember]:
    members = []
    left = _UNPACKED_BYTES
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            left -= info.file_size
            if left < 0:
                raise zipfile.BadZipFile("too much to change")
            method = DEFLATED if info.compress_type == zipfile.ZIP_DEFLATED else STORED
            streamed = b"" if info.flag_bits & 8 else None
            members.append(
                ZipMember(name=info.filename, content=archive.read(info), method=method, descriptor=streamed)
            )
    if not members:
        raise zipfile.BadZipFile("nothing to change")
    return members


def _change_content(members: list[ZipMember], rng: random.Random, plainly: Mutate) -> None:
    place = rng.randrange(len(members))
    members[place] = replace(members[place], content=plainly(members[place].content, MUTATION_BYTES // 4))


def _change_name(members: list[ZipMember], rng: random.Random, plainly: Mutate) -> None:
    place = rng.randrange(len(members))
    name = rng.choice(_NAMES) if rng.random() < 0.6 else plainly(members[place].raw_name, 400)
    utf8 = 0x0800 if rng.random() < 0.5 else 0
    members[place] = replace(members[place], name=name, flags=utf8)


def _change_local_name(members: list[ZipMember], rng: random.Random, plainly: Mutate) -> None:
    place = rng.randrange(len(members))
    members[place] = replace(members[place], local_name=plainly(members[place].raw_name, 400))


def _lie(members: list[ZipMember], rng: random.Random, plainly: Mutate) -> None:
    del plainly
    place = rng.randrange(len(members))
    number = rng.choice(_NUMBERS)
    if rng.random() < 0.5:
        members[place] = replace(members[place], local={rng.choice(_HEADER_FIELDS): number & 0xFFFF})
    else:
        members[place] = replace(members[place], central={rng.choice(_CENTRAL_FIELDS): number & 0xFFFF})


def _change_shape(members: list[ZipMember], rng: random.Random, plainly: Mutate) -> None:
    place = rng.randrange(len(members))
    member = members[place]
    match rng.randrange(8):
        case 0:
            members.insert(rng.randrange(len(members) + 1), member)
        case 1 if len(members) > 1:
            del members[place]
        case 2:
            rng.shuffle(members)
        case 3:
            members[place] = replace(member, method=STORED if member.method == DEFLATED else DEFLATED)
        case 4:
            members[place] = replace(member, descriptor=None if member.descriptor is not None else b"")
        case 5:
            members[place] = replace(member, mode=rng.choice((0, 0o40755, 0o120777, 0o20644, 0o100755)))
        case 6:
            members[place] = replace(member, listed=False)
        case _:
            members.append(ZipMember(name=rng.choice(_NAMES), content=plainly(b"x", 100)))


def _change_extra(members: list[ZipMember], rng: random.Random, plainly: Mutate) -> None:
    place = rng.randrange(len(members))
    extra = rng.choice(_EXTRAS) if rng.random() < 0.7 else plainly(rng.choice(_EXTRAS), 60)
    if rng.random() < 0.5:
        members[place] = replace(members[place], local_extra=extra)
    else:
        members[place] = replace(members[place], central_extra=extra)


def _change_packed(members: list[ZipMember], rng: random.Random, plainly: Mutate) -> None:
    place = rng.randrange(len(members))
    members[place] = replace(members[place], packed=plainly(members[place].raw_packed, MUTATION_BYTES // 4))


_ZIP_CHANGES: tuple[Callable[[list[ZipMember], random.Random, Mutate], None], ...] = (
    *(_change_content,) * 5,
    *(_change_name,) * 2,
    _change_local_name,
    _lie,
    *(_change_shape,) * 3,
    _change_extra,
    _change_packed,
)


def _repair_record(members: list[ZipMember]) -> None:
    place = next((at for at, member in enumerate(members) if member.raw_name.endswith(b"RECORD")), None)
    if place is None:
        return
    own = members[place].raw_name.decode("utf-8", "replace")
    names = [(member.raw_name.decode("utf-8", "replace"), member.content) for member in members]
    rows = [record_row(name, content) for name, content in names if name != own and not name.endswith("/")]
    members[place] = replace(members[place], content="".join(f"{row}\n" for row in [*rows, f"{own},,"]).encode())


def mutate_gzipped_tar(content: bytes, rng: random.Random, plainly: Mutate) -> bytes:
    """
    Change something in the tar inside a gzip file, and pack it again.

    Raises:
        zlib.error: It cannot be unpacked, so the caller has to change its bytes.
    """
    inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
    tar = inflate.decompress(content, _UNPACKED_BYTES)
    match rng.randrange(7):
        case 0:
            tar = plainly(tar, MUTATION_BYTES)
        case 1 | 2:
            tar = _change_header(tar, rng, plainly)
        case 3:
            tar = _change_blocks(tar, rng)
        case 4:
            tar = _add_member(tar, rng, plainly)
        case _:
            tar = _change_members(tar, rng, plainly)
    return gzip.compress(tar, 1, mtime=0)


def _change_header(tar: bytes, rng: random.Random, plainly: Mutate) -> bytes:
    """Change a field of a block that looks like a header, and make its checksum right."""
    headers = [at for at in range(0, len(tar) - _BLOCK + 1, _BLOCK) if tar[at + 257 : at + 262] == b"ustar"]
    if not headers:
        return plainly(tar, MUTATION_BYTES)
    start = rng.choice(headers)
    header = bytearray(tar[start : start + _BLOCK])
    fields = ((0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (156, 1), (157, 100), (257, 8), (345, 155))
    offset, length = rng.choice(fields)
    if offset == 156:
        changed = bytes([rng.choice(_TAR_KINDS)])
    else:
        changed = plainly(bytes(header[offset : offset + length]).rstrip(b"\0"), length)
    header[offset : offset + length] = changed[:length].ljust(length, b"\0")
    return tar[:start] + _with_checksum(header) + tar[start + _BLOCK :]


def _with_checksum(header: bytearray) -> bytes:
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def _change_blocks(tar: bytes, rng: random.Random) -> bytes:
    """Leave out, repeat or zero a few blocks."""
    blocks = len(tar) // _BLOCK
    start = rng.randrange(blocks + 1) * _BLOCK
    end = start + rng.randrange(1, 4) * _BLOCK
    part = tar[start:end]
    return tar[:start] + rng.choice((b"", part * 2, bytes(len(part)), bytes(_BLOCK) + part)) + tar[end:]


def _add_member(tar: bytes, rng: random.Random, plainly: Mutate) -> bytes:
    """Put a member, or an extended header, in front of any other."""
    name = rng.choice(_NAMES).decode("latin-1") if rng.random() < 0.5 else "demo-1.0/new"
    info = tarfile.TarInfo(name)
    info.type = bytes([rng.choice(_TAR_KINDS)])
    info.linkname = rng.choice(("", "PKG-INFO", "../up", "/abs", "demo-1.0/PKG-INFO", "sub/../.."))
    content = b""
    if info.type in (b"x", b"g", b"L", b"K"):
        content = plainly(
            rng.choice((b"18 path=demo-1.0/q\n", b"11 size=99\n", b"18 linkpath=../up\n", b"demo-1.0/long")), 300
        )
    elif info.isreg():
        content = plainly(b"new", 600)
    info.size = len(content)
    added = info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "surrogateescape")
    added += content + bytes(-len(content) % _BLOCK)
    start = rng.randrange(len(tar) // _BLOCK + 1) * _BLOCK
    return tar[:start] + added + tar[start:]


def _change_members(tar: bytes, rng: random.Random, plainly: Mutate) -> bytes:
    """Change content, name or target of a member by way of the standard library."""
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
        members = [(m, b"" if (f := archive.extractfile(m)) is None else f.read()) for m in archive if not m.issym()]
    written = io.BytesIO()
    place = rng.randrange(len(members) or 1)
    with tarfile.open(fileobj=written, mode="w", format=rng.choice((0, 1, 2))) as archive:
        for at, (member, content) in enumerate(members):
            if at == place and member.isreg() and rng.random() < 0.7:
                content = plainly(content, MUTATION_BYTES // 4)  # noqa: PLW2901  the changed one is written
            elif at == place:
                member.name = plainly(member.name.encode("utf-8", "replace"), 300).decode("utf-8", "replace")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return written.getvalue()
