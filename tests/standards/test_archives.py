"""Section 1L: the inside of an uploaded file, as far as it shows over HTTP."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace

import pytest

from standards.subject import Builder, Subject
from wheelyard.testing.builders import SdistBuilder, WheelBuilder, tar_member
from wheelyard.testing.raw_archives import ZipMember, render_zip

MIB = 1024 * 1024
Make = Callable[[str], Builder]


def refused_text(subject: Subject, builder: Builder) -> str:
    """Upload what must be refused with 400, and return what the publisher reads."""
    return subject.refused(builder).check(400).text


def both_kinds(name: str) -> bytes:
    """Return bytes that are a gzip file and, at their end, a zip file."""
    return SdistBuilder(name=name).bytes() + WheelBuilder(name=name).bytes()


NOT_ARCHIVES: dict[str, Make] = {
    "wheel-of-text": lambda name: WheelBuilder(name=name, mangle=lambda _: b"no zip"),
    "wheel-empty": lambda name: WheelBuilder(name=name, mangle=lambda _: b""),
    "wheel-is-tar": lambda name: WheelBuilder(name=name, mangle=lambda _: SdistBuilder(name=name).bytes()),
    "wheel-and-tar": lambda name: WheelBuilder(name=name, mangle=lambda _: both_kinds(name)),
    "wheel-cut": lambda name: WheelBuilder(name=name, mangle=lambda content: content[:-30]),
    "sdist-of-text": lambda name: SdistBuilder(name=name, mangle=lambda _: b"no gzip"),
    "sdist-empty": lambda name: SdistBuilder(name=name, mangle=lambda _: b""),
    "sdist-is-zip": lambda name: SdistBuilder(name=name, mangle=lambda _: WheelBuilder(name=name).bytes()),
    "sdist-and-zip": lambda name: SdistBuilder(name=name, mangle=lambda _: both_kinds(name)),
    "sdist-cut": lambda name: SdistBuilder(name=name, mangle=lambda content: content[:-30]),
    "sdist-not-packed": lambda name: SdistBuilder(name=name, mangle=gzip.decompress),
    "sdist-no-tar": lambda name: SdistBuilder(name=name, mangle_tar=lambda _: b"no tar"),
}


@pytest.mark.parametrize("make", NOT_ARCHIVES.values(), ids=NOT_ARCHIVES)
def test_one_kind(subject: Subject, make: Make) -> None:
    """AR-01: a file is exactly the archive that its name says."""
    refused_text(subject, make(subject.new_name()))


BOMBS: dict[str, Make] = {
    "zip": lambda name: WheelBuilder(name=name, files={"zeros.bin": bytes(80 * MIB)}),
    "tar": lambda name: SdistBuilder(name=name, files={"zeros.bin": bytes(80 * MIB)}),
}


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS)
def test_bomb(subject: Subject, make: Make) -> None:
    """AR-02: what unpacks to more than 64 MiB and to fifty times its size is refused, tar files too."""
    refused_text(subject, make(subject.new_name()))


@pytest.mark.parametrize("method", [1, 9, 12, 14, 93, 95])
def test_method(subject: Subject, method: int) -> None:
    """AR-02: members of a wheel are stored or deflated, nothing else."""
    odd = ZipMember(name="odd.bin", content=b"abc", method=method)
    refused_text(subject, WheelBuilder(name=subject.new_name(), extra=[odd]))


FRAMING: dict[str, Callable[[list[ZipMember]], bytes]] = {
    "prefix": lambda members: render_zip(members, prefix=b"#!/bin/sh\n"),
    "trailing": lambda members: render_zip(members, trailing=b"more"),
    "between": lambda members: render_zip(members, before_directory=b"gap"),
    "before-end": lambda members: render_zip(members, before_end=b"gap"),
    "twice": lambda members: render_zip([*members, members[0]]),
    "unlisted": lambda members: render_zip([*members, ZipMember(name="hidden.py", content=b"x", listed=False)]),
    "absent": lambda members: render_zip([*members, ZipMember(name="ghost.py", content=b"x", present=False)]),
    "other-local-name": lambda members: render_zip(
        [*members, ZipMember(name="a.py", content=b"x", local_name=b"b.py")]
    ),
    "other-local-size": lambda members: render_zip([*members, ZipMember(name="a.py", content=b"x", local={"size": 9})]),
    "wrong-crc": lambda members: render_zip([replace(members[0], local={"crc": 1}, central={"crc": 1}), *members[1:]]),
    "not-utf-8": lambda members: render_zip([*members, ZipMember(name=b"\xff\xfe.py", content=b"x")]),
    "unprintable": lambda members: render_zip([*members, ZipMember(name="a\x01.py", content=b"x")]),
    "traversal": lambda members: render_zip([*members, ZipMember(name="../evil.py", content=b"x")]),
    "absolute": lambda members: render_zip([*members, ZipMember(name="/etc/evil.py", content=b"x")]),
    "link": lambda members: render_zip([*members, ZipMember(name="link", content=b"/etc/passwd", mode=0o120777)]),
    "entries-lie": lambda members: render_zip(members, end={"entries": 1, "entries_here": 1}),
    "member-comment": lambda members: render_zip([*members, ZipMember(name="a.py", content=b"x", comment=b"c")]),
    "two-ends": lambda members: render_zip(members) + render_zip([]),
}


@pytest.mark.parametrize("frame", FRAMING.values(), ids=FRAMING)
def test_framing(subject: Subject, frame: Callable[[list[ZipMember]], bytes]) -> None:
    """AR-03: a zip that two readers may read differently is refused."""
    name = subject.new_name()
    members = WheelBuilder(name=name).members()
    assert "Invalid distribution file" in refused_text(
        subject, WheelBuilder(name=name, mangle=lambda _: frame(members))
    )


def _member(name: str, content: bytes = b"", **options: object) -> tuple[tarfile.TarInfo, bytes]:
    return tar_member(name, size=len(content), **options), content  # type: ignore[arg-type]


TARS: dict[str, Make] = {
    "no-pkg-info": lambda name: SdistBuilder(name=name, omit=["PKG-INFO"]),
    "two-tops": lambda name: SdistBuilder(name=name, extra=[_member("other/x.py", b"x")]),
    "no-top": lambda name: SdistBuilder(name=name, extra=[_member("loose.py", b"x")]),
    "traversal": lambda name: SdistBuilder(name=name, extra=[_member(f"{_top(name)}/../../evil.py", b"x")]),
    "absolute": lambda name: SdistBuilder(name=name, extra=[_member("/etc/evil.py", b"x")]),
    "link-out": lambda name: SdistBuilder(
        name=name, extra=[_member(f"{_top(name)}/link", kind=tarfile.SYMTYPE, target="../../etc/passwd")]
    ),
    "link-absolute": lambda name: SdistBuilder(
        name=name, extra=[_member(f"{_top(name)}/link", kind=tarfile.SYMTYPE, target="/etc/passwd")]
    ),
    "hard-link-out": lambda name: SdistBuilder(
        name=name, extra=[_member(f"{_top(name)}/link", kind=tarfile.LNKTYPE, target="../x")]
    ),
    "device": lambda name: SdistBuilder(name=name, extra=[_member(f"{_top(name)}/null", kind=tarfile.CHRTYPE)]),
    "fifo": lambda name: SdistBuilder(name=name, extra=[_member(f"{_top(name)}/fifo", kind=tarfile.FIFOTYPE)]),
    "sparse": lambda name: SdistBuilder(name=name, extra=[_member(f"{_top(name)}/s", kind=tarfile.GNUTYPE_SPARSE)]),
    "wrong-top": lambda name: SdistBuilder(name=name, top="something-else"),
}


def _top(name: str) -> str:
    return SdistBuilder(name=name).top_name


@pytest.mark.parametrize("make", TARS.values(), ids=TARS)
def test_sdist(subject: Subject, make: Make) -> None:
    """AR-04: an sdist has one folder of its name with PKG-INFO at its top, and nothing that leads out of it."""
    refused_text(subject, make(subject.new_name()))


@pytest.mark.parametrize("part", ["METADATA", "WHEEL", "RECORD"])
def test_wheel_parts(subject: Subject, part: str) -> None:
    """AR-05: a wheel without METADATA, WHEEL or RECORD is refused in words that name it."""
    assert part in refused_text(subject, WheelBuilder(name=subject.new_name(), omit=[part]))


def test_other_dist_info(subject: Subject) -> None:
    """AR-05: the `.dist-info` folder is that of the wheel's name."""
    refused_text(subject, WheelBuilder(name=subject.new_name(), dist_info="other-1.0.dist-info"))


RECORDS: dict[str, Callable[[str], str]] = {
    "missing": lambda record: "\n".join(record.splitlines()[1:]) + "\n",
    "absent-file": lambda record: f"ghost.py,sha256=AAAA,1\n{record}",
    "wrong-hash": lambda record: record.replace("sha256=", "sha256=A", 1),
    "md5": lambda record: record.replace("sha256=", "md5=", 1),
    "no-hash": lambda record: record.replace(record.split(",")[1], "", 1),
    "wrong-size": lambda record: record.replace(record.splitlines()[0], record.splitlines()[0] + "9", 1),
    "empty": lambda record: "",
}


@pytest.mark.parametrize("lie", RECORDS.values(), ids=RECORDS)
def test_record(subject: Subject, lie: Callable[[str], str]) -> None:
    """AR-06: RECORD lists every member with a hash that is right and strong, and nothing absent."""
    assert "RECORD" in refused_text(subject, WheelBuilder(name=subject.new_name(), record=lie))


def test_unrecorded(subject: Subject) -> None:
    """AR-06: a member that RECORD does not name is refused."""
    extra = [ZipMember(name="smuggled.py", content=b"x")]
    assert "RECORD" in refused_text(subject, WheelBuilder(name=subject.new_name(), extra=extra))


BAD_ENTRY_POINTS = {
    "no-reference": "[console_scripts]\nx = 1+1\n",
    "cut": "[console_scripts\n",
    "odd-name": "[a]\nx y z = a:b\n",
    "no-group": "x = a:b\n",
}


@pytest.mark.parametrize("text", BAD_ENTRY_POINTS.values(), ids=BAD_ENTRY_POINTS)
def test_entry_points(subject: Subject, text: str) -> None:
    """AR-07: entry points that are no references to objects are refused; an odd name at least gets a warning."""
    wheel = WheelBuilder(name=subject.new_name(), dist_info_files={"entry_points.txt": text})
    reply = subject.upload(wheel)
    assert reply.status == 400 or (reply.status == 200 and text == BAD_ENTRY_POINTS["odd-name"])
    assert "entry_points" in reply.text


def test_good_entry_points(subject: Subject) -> None:
    """AR-07: good entry points are taken."""
    text = "[console_scripts]\nrun-it = a.b:c.d [extra]\n\n[plugins.x]\nname.with-dots = module\n"
    subject.upload(WheelBuilder(name=subject.new_name(), dist_info_files={"entry_points.txt": text})).check(200)


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
@pytest.mark.parametrize("present", [True, False])
def test_license_file(subject: Subject, kind: str, present: bool) -> None:  # noqa: FBT001
    """AR-08: a licence file that the metadata names is in the archive, from metadata 2.4 on (PEP 639)."""
    name, headers = subject.new_name(), [("License-File", "LICENSE.txt")]
    builder: Builder
    if kind == "wheel":
        inside = {"licenses/LICENSE.txt": "MIT"} if present else {}
        builder = WheelBuilder(name=name, headers=headers, dist_info_files=inside)
    else:
        builder = SdistBuilder(name=name, headers=headers, files={"LICENSE.txt": b"MIT"} if present else {})
    if present:
        subject.upload(builder).check(200)
    else:
        assert "LICENSE.txt" in refused_text(subject, builder)


WHEEL_FILES = {
    "version-2": "Wheel-Version: 2.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "no-version": "Generator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "other-tag": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: cp312-cp312-win_amd64\n",
    "binary": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("text", WHEEL_FILES.values(), ids=WHEEL_FILES)
def test_wheel_file(subject: Subject, text: str | bytes) -> None:
    """AR-09: WHEEL has a version we know; where its tags are not those of the file's name there is a warning at least."""
    reply = subject.upload(WheelBuilder(name=subject.new_name(), wheel=text))
    assert reply.status == 400 or (reply.status == 200 and text == WHEEL_FILES["other-tag"])
    assert "WHEEL" in reply.text


def test_signed_record(subject: Subject) -> None:
    """AR-06, AR-10: signatures of RECORD and `sboms/` are neither asked for nor in the way (PEP 815, PEP 770)."""
    name = subject.new_name()
    folder = WheelBuilder(name=name).dist_info_name
    signed = WheelBuilder(
        name=name,
        dist_info_files={"sboms/x.cdx.json": "{}"},
        extra=[ZipMember(name=f"{folder}/RECORD.jws", content=b"{}"), ZipMember(name=f"{folder}/RECORD.p7s")],
    )
    subject.upload(signed).check(200)


def test_streamed_wheel(subject: Subject) -> None:
    """AR-03: a wheel from a tool that streams, with data descriptors, is taken: only PyPI refuses those."""
    name = subject.new_name()

    def streamed(content: bytes) -> bytes:
        class Pipe(io.RawIOBase):
            """Takes bytes and cannot go back."""

            def __init__(self) -> None:
                self.taken = bytearray()

            def writable(self) -> bool:
                return True

            def write(self, data: object) -> int:
                piece = bytes(data)  # type: ignore[call-overload]
                self.taken += piece
                return len(piece)

        pipe = Pipe()
        with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(pipe, "w") as target:
            for member in source.infolist():
                target.writestr(zipfile.ZipInfo(member.filename, (1980, 1, 1, 0, 0, 0)), source.read(member))
        return bytes(pipe.taken)

    subject.upload(WheelBuilder(name=name, mangle=streamed)).check(200)
