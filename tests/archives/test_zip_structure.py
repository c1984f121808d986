"""Zip files that two readers may understand differently are refused, each for its own reason (AR-01 to AR-03)."""

import io
import struct
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from wheelyard.archives.limits import ArchiveLimits
from wheelyard.testing.builders import WheelBuilder
from wheelyard.testing.raw_archives import STORED, ZipMember, deflate, render_zip

Refusal = Callable[..., str]
Members = list[ZipMember]

ZIP64_SIZES = struct.pack("<2H2Q", 1, 16, 3, 3)


def extra(kind: int, content: bytes) -> bytes:
    return struct.pack("<2H", kind, len(content)) + content


def stored(name: str | bytes = "demo/x.txt", content: bytes = b"abc", **fields: object) -> ZipMember:
    return ZipMember(name=name, content=content, method=STORED, **fields)  # type: ignore[arg-type]


def with_member(member: ZipMember) -> WheelBuilder:
    """Build a wheel with one more member, which RECORD does not name: structure is refused before RECORD is read."""
    return WheelBuilder(extra=[member])


def whole(**lies: object) -> WheelBuilder:
    """Build a wheel whose zip is written with lies about the whole."""
    members = WheelBuilder().members()
    return WheelBuilder(mangle=lambda _: render_zip(members, **lies))  # type: ignore[arg-type]


def overlapping(members: Iterable[ZipMember]) -> Members:
    return [*members, ZipMember(name="demo/again.py", content=b"x", present=False, central={"offset": 0})]


REFUSED_MEMBERS = [
    ("crc", stored(local={"crc": 1}), "another size or checksum"),
    ("local-size", stored(local={"size": 4}), "another size or checksum"),
    ("local-packed", stored(local={"packed": 4}), "another size or checksum"),
    ("central-size", ZipMember(name="demo/x", content=b"abc", central={"size": 4}), "another size or checksum"),
    ("both-sizes", ZipMember(name="demo/x", content=b"abc", local={"size": 2}, central={"size": 2}), "more bytes than"),
    (
        "both-sizes-more",
        ZipMember(name="demo/x", content=b"a", local={"size": 9}, central={"size": 9}),
        "fewer bytes than",
    ),
    ("both-crcs", stored(local={"crc": 5}, central={"crc": 5}), "checksum"),
    ("stored-size", stored(local={"size": 9}, central={"size": 9}), "stored with a size"),
    ("local-name", stored(local_name=b"demo/y.txt"), "another name in front"),
    ("local-name-length", stored(local_name=b"demo/longer.txt"), "another name in front"),
    ("local-flags", stored(local={"flags": 2}), "other flags or another method"),
    ("local-method", stored(local={"method": 8}), "other flags or another method"),
    ("encrypted", stored(flags=1), "encrypted"),
    ("strong-encryption", stored(flags=0x41), "encrypted"),
    ("masked-header", stored(flags=0x2000), "unknown flags"),
    ("patch", stored(flags=0x20), "unknown flags"),
    ("bzip2", stored(local={"method": 12}, central={"method": 12}), "method 12"),
    ("lzma", stored(local={"method": 14}, central={"method": 14}), "method 14"),
    ("deflate64", stored(local={"method": 9}, central={"method": 9}), "method 9"),
    ("future", stored(central={"version": 64}), "newer zip reader"),
    ("comment", stored(comment=b"hi"), "comment"),
    ("other-disk", stored(central={"disk": 1}), "split archive"),
    ("local-only", stored(listed=False), "bytes between its last member"),
    ("central-only", stored(present=False, packed=b"", content=b""), "reaches into the central directory"),
    ("descriptor-crc", stored(descriptor=b"PK\x07\x08" + bytes(12)), "data descriptor that disagrees"),
    ("descriptor-signature", stored(descriptor=b"PK\x07\x09" + bytes(12)), "no data descriptor"),
    ("descriptor-missing", ZipMember(name="demo/x", content=b"abc", flags=8), "no data descriptor"),
    ("descriptor-long", stored(descriptor=bytes(30)), "bytes behind it that belong to no member"),
    ("descriptor-local-crc", stored(descriptor=b"", local={"crc": 7}), "another size or checksum"),
    ("data-behind-deflate", ZipMember(name="demo/x", content=b"abc", packed=deflate(b"abc") + b"!"), "behind the end"),
    ("cut-deflate", ZipMember(name="demo/x", content=b"abc" * 99, packed=deflate(b"abc" * 99)[:-2]), "too early"),
    ("broken-deflate", ZipMember(name="demo/x", content=b"abc", packed=b"\xff" * 9), "damaged"),
    ("extra-cut", stored(central_extra=b"\1\0\5"), "damaged extra field"),
    ("extra-long", stored(local_extra=b"\1\0\5\0"), "damaged extra field"),
    ("zip64-not-needed", stored(central_extra=ZIP64_SIZES), "ZIP64 field that does not fit"),
    ("zip64-short", stored(central={"size": 0xFFFFFFFF}, central_extra=extra(1, b"")), "ZIP64 field that does not fit"),
    ("zip64-twice", stored(central_extra=extra(1, b"") * 2), "two ZIP64"),
    ("zip64-local-lies", stored(local_extra=extra(1, struct.pack("<2Q", 3, 9))), "ZIP64 field that disagrees"),
    ("zip64-local-short", stored(local_extra=extra(1, bytes(8))), "ZIP64 field that does not fit"),
    (
        "zip64-huge",
        ZipMember(name="demo/x", central={"size": 0xFFFFFFFF}, central_extra=extra(1, struct.pack("<Q", 2**63))),
        "unpacks to more",
    ),
    ("unicode-path", stored(central_extra=extra(0x7075, b"\1\0\0\0\0other")), "another name"),
    ("unicode-path-local", stored(local_extra=extra(0x7075, b"\1\0\0\0\0other")), "another name"),
    ("unicode-comment", stored(central_extra=extra(0x6375, b"\1\0\0\0\0x")), "another name or comment"),
    ("latin-1", stored(name=b"demo/\xfc.txt"), "not marked as UTF-8"),
    ("not-utf-8", stored(name=b"demo/\xfc.txt", flags=0x800), "not UTF-8"),
    ("nul", stored(name=b"demo/x\0.py"), "unprintable"),
    ("newline", stored(name=b"demo/x\n.py"), "unprintable"),
    ("escape", stored(name=b"demo/\x1b[31m.py"), "unprintable"),
    ("right-to-left", stored(name="demo/\u202egnp.py"), "unprintable"),
    ("traversal", stored(name="demo/../../x"), "'..'"),
    ("traversal-at-start", stored(name="../x"), "'..'"),
    ("absolute", stored(name="/etc/passwd"), "absolute"),
    ("drive", stored(name="C:/x"), "absolute"),
    ("backslash", stored(name="demo\\..\\x"), "backslash"),
    ("dot", stored(name="demo/./x"), "'.' segment"),
    ("double-slash", stored(name="demo//x"), "empty or '.' segment"),
    ("empty-name", stored(name=b""), "empty name"),
    ("slash", stored(name="/", content=b"", mode=0o040755), "empty name"),
    ("long-name", stored(name="demo/" + "x" * 1100), "more than 1024 bytes"),
    ("link", stored(mode=0o120777), "is a link"),
    ("fifo", stored(mode=0o010644), "special file"),
    ("block-device", stored(mode=0o060644), "special file"),
    ("character-device", stored(mode=0o020644), "special file"),
    ("socket", stored(mode=0o140644), "special file"),
    ("dos-volume", stored(central={"external": 0x08}), "special file"),
    ("folder-by-mode", stored(mode=0o040755), "folder by the other"),
    ("folder-by-name", stored(name="demo/sub/", content=b""), "folder by the other"),
    ("folder-with-content", stored(name="demo/sub/", mode=0o040755), "folder with content"),
    ("twice", stored(name="demo/__init__.py"), "there twice"),
    ("metadata-twice", stored(name="demo-1.0.dist-info/METADATA"), "there twice"),
    ("file-and-folder", stored(name="demo/__init__.py/x"), "as a file and as a folder"),
    ("file-and-empty-folder", stored(name="demo/__init__.py/", content=b"", mode=0o040755), "there twice"),
]


@pytest.mark.parametrize(
    ("member", "why"), [case[1:] for case in REFUSED_MEMBERS], ids=[case[0] for case in REFUSED_MEMBERS]
)
def test_member_refused(member: ZipMember, why: str, refusal: Refusal) -> None:
    """AR-03: a member that is described in two ways, or that no reader should write, is refused by name."""
    assert why in refusal(
        WheelBuilder(finish=lambda members: [member_in_record(m, member) for m in [*members, member]])
    )


def member_in_record(candidate: ZipMember, added: ZipMember) -> ZipMember:
    """Name the added member in RECORD, so that its content is read."""
    if not str(candidate.name).endswith("/RECORD") or candidate is added:
        return candidate
    name = added.raw_name.decode("utf-8", "replace")
    row = f"{name},sha256=x,\n" if name.isprintable() and added.name != "" else ""
    return ZipMember(name=candidate.name, content=candidate.content + row.encode())


REFUSED_WHOLES: list[tuple[str, dict[str, object], str]] = [
    ("prefix", {"prefix": b"#!/bin/sh\n"}, "in front of its first member"),
    ("trailing", {"trailing": b"x"}, "trailing data"),
    ("comment", {"comment": b"hello"}, "has a comment"),
    ("comment-with-end", {"comment": b"PK\5\6" + bytes(18)}, "does not end where"),
    ("comment-cut", {"end": {"comment_length": 5}}, "middle of its comment"),
    ("before-directory", {"before_directory": b"junk"}, "between its last member and its central directory"),
    ("before-end", {"before_end": b"junk"}, "does not end where"),
    ("two-ends", {"before_end": b"PK\5\6" + bytes(18)}, "does not end where"),
    ("fewer-entries", {"end": {"entries": 3, "entries_here": 3}}, "more than the entries"),
    ("more-entries", {"end": {"entries": 9, "entries_here": 9}}, "fewer entries"),
    ("entries-disagree", {"end": {"entries": 3}}, "disagrees with itself"),
    ("disk", {"end": {"disk": 1}}, "split archive"),
    ("directory-offset", {"end": {"directory_offset": 0}}, "does not end where"),
    ("directory-size", {"end": {"directory_size": 5}}, "does not end where"),
    ("zip64-disagrees", {"zip64": True, "end": {"entries": 3, "entries_here": 3}}, "two end records disagree"),
    ("zip64-lies", {"zip64": True, "end64": {"directory_offset": 1}}, "does not end where"),
    ("zip64-moved", {"zip64": True, "end64": {"locator_offset": 0}}, "not where its locator says"),
    ("zip64-disks", {"zip64": True, "end64": {"disks": 2}}, "split archive"),
    ("zip64-extensible", {"zip64": True, "end64": {"record_size": 99}}, "damaged"),
    ("zip64-count", {"zip64": True, "end64": {"entries": 9}}, "disagree"),
    ("masked-without-zip64", {"end": {"entries": 0xFFFF, "entries_here": 0xFFFF}}, "fewer entries"),
]


@pytest.mark.parametrize(
    ("lies", "why"), [case[1:] for case in REFUSED_WHOLES], ids=[case[0] for case in REFUSED_WHOLES]
)
def test_whole_refused(lies: dict[str, object], why: str, refusal: Refusal) -> None:
    """AR-01, AR-03: bytes that belong to no member, and end records that lie, are refused."""
    assert why in refusal(whole(**lies))


def test_overlap_refused(refusal: Refusal) -> None:
    """AR-02: members that share their bytes (the denser kind of bomb) are refused."""
    assert "overlaps" in refusal(WheelBuilder(finish=overlapping))


@pytest.mark.parametrize("content", [b"", b"PK\5\6", b"\x1f\x8b" + bytes(99), b"x" * 70_000], ids=["0", "4", "gz", "x"])
def test_not_a_zip(content: bytes, refusal: Refusal) -> None:
    """AR-01: what is no zip file is refused as such."""
    assert "no zip archive" in refusal(WheelBuilder(mangle=lambda _: content))


def test_empty_zip(refusal: Refusal) -> None:
    """AR-05: a zip file without members is no wheel."""
    assert "'.dist-info'" in refusal(WheelBuilder(mangle=lambda _: render_zip([])))


ACCEPTED = {
    "plain": lambda: render_zip(WheelBuilder().members()),
    "stored": lambda: WheelBuilder(method=STORED).bytes(),
    "zip64-end": lambda: render_zip(WheelBuilder().members(), zip64=True),
    "non-ascii": lambda: WheelBuilder(files={"demo/ü.py": b""}).bytes(),
    "spaces": lambda: WheelBuilder(files={"demo/a b.py": b"", "demo/.hidden": b"", "demo/a:b": b""}).bytes(),
    "folder": lambda: with_member(stored(name="demo/sub/", content=b"", mode=0o040755)).bytes(),
    "dos-folder": lambda: with_member(stored(name="demo/sub/", content=b"", central={"external": 0x10})).bytes(),
    "timestamps": lambda: WheelBuilder(
        finish=lambda members: [
            ZipMember(
                name=m.name,
                content=m.content,
                local_extra=extra(0x5455, b"\3" + bytes(8)),
                central_extra=extra(0x5455, b"\3" + bytes(4)),
            )
            for m in members
        ]
    ).bytes(),
    "nested-zip": lambda: WheelBuilder(files={"demo/a.zip": WheelBuilder().bytes()}, method=STORED).bytes(),
}


@pytest.mark.parametrize("make", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(make: Callable[[], bytes], refusal: Refusal) -> None:
    """AR-03: unusual but unambiguous zip files are welcome."""
    content = make()
    assert refusal(WheelBuilder(mangle=lambda _: content)) == ""


class Unseekable(io.RawIOBase):
    """A pipe: `zipfile` then writes data descriptors."""

    def __init__(self) -> None:
        self.content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, piece: object) -> int:
        assert isinstance(piece, bytes | bytearray | memoryview)
        self.content += piece
        return len(piece)


@pytest.mark.parametrize("force_zip64", [False, True])
def test_streamed_by_zipfile(force_zip64: bool, look: Callable[..., object]) -> None:  # noqa: FBT001
    """AR-03: a wheel that was zipped as a stream is accepted, with advice."""
    pipe = Unseekable()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in WheelBuilder().members():
            with archive.open(str(member.name), "w", force_zip64=force_zip64) as target:
                target.write(member.content)
    inspection = look(WheelBuilder(mangle=lambda _: bytes(pipe.content)))
    assert inspection.problems == ()  # type: ignore[attr-defined]
    assert "data descriptors" in inspection.advice[0]  # type: ignore[attr-defined]


def test_limits(refusal: Refusal, tmp_path: Path) -> None:
    """Members, names, central directory and unpacked bytes are bounded before anything is unpacked."""
    assert "more than 3 members" in refusal(WheelBuilder(), limits=ArchiveLimits(members=3))
    assert "more than 10 bytes" in refusal(WheelBuilder(), limits=ArchiveLimits(member_name_bytes=10))
    assert "central directory is larger" in refusal(WheelBuilder(), limits=ArchiveLimits(directory_bytes=10))
    assert "more than 100 bytes" in refusal(WheelBuilder(), limits=ArchiveLimits(unpacked_bytes=100))
    assert "times its own" in refusal(WheelBuilder(), limits=ArchiveLimits(ratio=0, ratio_from_bytes=1))


def test_time_is_bounded(refusal: Refusal) -> None:
    """An archive that takes too long is given up."""
    ticks = iter(range(0, 1_000_000, 40))
    limits = ArchiveLimits(seconds=30, clock=lambda: float(next(ticks)))
    assert "longer than 30 seconds" in refusal(WheelBuilder(), limits=limits)
