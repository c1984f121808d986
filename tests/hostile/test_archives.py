"""Archives made to mislead or to exhaust their reader, uploaded to a running server."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from archives.test_bombs import deflate_open, tar_headers, zeros
from archives.test_sdists import REFUSED as REFUSED_SDISTS
from archives.test_zip_structure import REFUSED_MEMBERS, REFUSED_WHOLES, member_in_record, overlapping, whole
from hostile.senders import MIB, form_of, head, is_published, say, send
from plugins.live import LiveServer
from wheelyard.testing.builders import (
    MetadataBuilder,
    SdistBuilder,
    WheelBuilder,
    form_fields,
    multipart_body,
    tar_member,
)
from wheelyard.testing.raw_archives import STORED, ZipMember, render_zip

SECONDS = 15.0  # on a busy machine; alone they take less than one

Builder = WheelBuilder | SdistBuilder


def with_listed(member: ZipMember) -> WheelBuilder:
    """Build a wheel with one more member, which its RECORD names."""
    return WheelBuilder(finish=lambda members: [member_in_record(m, member) for m in [*members, member]])


def metadata(text: str | bytes) -> WheelBuilder:
    return WheelBuilder(metadata=text)


def valid(*headers: tuple[str, str], **changes: str) -> str:
    return MetadataBuilder(**{"name": "demo", "version": "1.0", "headers": headers, **changes}).text()  # type: ignore[arg-type]


MISLEADING: dict[str, tuple[Builder, str]] = {
    **{f"zip-{name}": (with_listed(member), why) for name, member, why in REFUSED_MEMBERS},
    **{f"zip-whole-{name}": (whole(**lies), why) for name, lies, why in REFUSED_WHOLES},
    "zip-overlap": (WheelBuilder(finish=overlapping), "overlaps"),
    **{f"sdist-{name}": case for name, case in REFUSED_SDISTS.items()},
    "record-missing": (WheelBuilder(omit=["RECORD"]), "RECORD"),
    "record-other-content": (WheelBuilder(record=lambda text: text.replace("sha256=", "sha256=x", 1)), "RECORD"),
    "record-binary": (WheelBuilder(record=b"\xff\xfe\x00"), "RECORD is no UTF-8 table"),
    "record-lists-absent": (WheelBuilder(record=lambda text: text + "demo/gone.py,,\n"), "not in the wheel"),
    "record-lists-outside": (WheelBuilder(record=lambda text: text + "../../../etc/passwd,,\n"), "not in the wheel"),
    "member-not-in-record": (
        WheelBuilder(extra=[ZipMember(name="demo/evil.py", content=b"x")]),
        "not listed in RECORD",
    ),
    "metadata-missing": (WheelBuilder(omit=["METADATA"]), "METADATA"),
    "metadata-huge": (metadata(valid(description="x" * 5 * MIB)), "4194304"),
    "metadata-binary": (metadata(bytes(range(256)) * 40), "Metadata-Version"),
    "metadata-empty": (metadata(b""), "Metadata-Version"),
    "metadata-name-twice": (metadata(valid(("Name", "other"))), "Name"),
    "metadata-other-project": (metadata(valid(name="other")), "other"),
    "metadata-other-version": (metadata(valid(version="2.0")), "2.0"),
    "metadata-version-3": (metadata(valid(metadata_version="3.0")), "3.0"),
    "metadata-many-fields": (metadata(valid(*((f"X-{n}", "x") for n in range(300)))), "different fields"),
    "entry-points-path": (
        WheelBuilder(dist_info_files={"entry_points.txt": "[console_scripts]\n../../bin/sh = demo:main\n"}),
        "../../bin/sh",
    ),
    "two-dist-infos": (WheelBuilder(extra=[ZipMember(name="other-1.0.dist-info/METADATA", content=b"x")]), "dist-info"),
    "no-archive": (WheelBuilder(mangle=lambda _: b"<html>not found</html>"), "no zip archive"),
    "empty-file": (WheelBuilder(mangle=lambda _: b""), ""),
}


def upload_named(name: str, folder: Path) -> tuple[str, bytes]:
    """Fill in the form for one of them; where the metadata is hostile the form does not repeat it."""
    builder = MISLEADING[name][0]
    if name.startswith("metadata"):
        return upload_of(builder.file_name, builder.bytes(), folder)
    return form_of(builder, folder)


@pytest.mark.parametrize("batch", range(4))
def test_misleading(untouched: LiveServer, tmp_path: Path, batch: int) -> None:
    """AR-01 to AR-08: an archive that two readers could read differently, or that reaches out, is refused for its reason."""
    names = sorted(MISLEADING)[batch::4]
    answers = {name: send(untouched, *upload_named(name, tmp_path)) for name in names}
    assert {name: answer.status for name, answer in answers.items() if answer.status != 400} == {}
    wrong = {name: answer.text for name, answer in answers.items() if MISLEADING[name][1] not in answer.text}
    assert wrong == {}
    assert max(answer.seconds for answer in answers.values()) < SECONDS
    assert not is_published(untouched, "demo")


def test_the_kinds_are_many() -> None:
    """The page about reliability says how many."""
    assert len(MISLEADING) > 170


def _zip_ratio() -> bytes:
    sizes = {"size": 1024 * MIB, "crc": 0}
    return WheelBuilder(
        extra=[ZipMember(name="demo/bomb", packed=zeros(1024 * MIB), local=sizes, central=sizes)]
    ).bytes()


def _zip_lying_size() -> bytes:
    bomb = ZipMember(name="demo/bomb", packed=zeros(1024 * MIB), content=b"x")
    return WheelBuilder(record=lambda text: text + "demo/bomb,sha256=x,\n", extra=[bomb]).bytes()


def _zip_lying_metadata() -> bytes:
    bomb = ZipMember(name="demo-1.0.dist-info/METADATA", packed=zeros(256 * MIB), content=b"x")
    return WheelBuilder(omit=["METADATA"], extra=[bomb]).bytes()


def _zip_signature() -> bytes:
    bomb = ZipMember(name="demo-1.0.dist-info/RECORD.jws", packed=zeros(1024 * MIB), content=b"x")
    return WheelBuilder(extra=[bomb]).bytes()


def _zip_members() -> bytes:
    return render_zip([ZipMember(name=f"demo/{number}", method=STORED) for number in range(100_001)], zip64=True)


def _zip_shared_bytes() -> bytes:
    shared = ZipMember(name="demo/0", packed=zeros(MIB), local={"size": MIB}, central={"size": MIB})
    others = [
        ZipMember(name=f"demo/{number}", present=False, packed=shared.packed, central={"offset": 0, "size": 40_000})
        for number in range(1, 10_000)
    ]
    return render_zip([shared, *others])


def _gzip_ratio() -> bytes:
    tar = gzip.decompress(SdistBuilder().bytes()).rstrip(b"\0")
    tar = tar.ljust(-(-len(tar) // 512) * 512, b"\0")
    start = deflate_open(tar + tar_member("demo-1.0/bomb", size=4096 * MIB).tobuf())
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + start + zeros(1024 * MIB) + bytes(8)


def _tar_members() -> bytes:
    return gzip.compress(tar_headers(100_001), 1)


def _tar_header() -> bytes:
    info = tarfile.TarInfo("x")
    info.type, info.size = b"x", 1024 * MIB
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT))


def _tar_metadata() -> bytes:
    return gzip.compress(tar_member("demo-1.0/PKG-INFO", size=1024 * MIB).tobuf())


WHEEL, SDIST = "demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"
EXHAUSTING: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "zip-ratio": (WHEEL, _zip_ratio, "times its own"),
    "zip-lying-size": (WHEEL, _zip_lying_size, "more bytes than it says"),
    "zip-lying-metadata": (WHEEL, _zip_lying_metadata, "more bytes than it says"),
    "zip-signature": (WHEEL, _zip_signature, "more bytes than it says"),
    "zip-members": (WHEEL, _zip_members, "more than 100000 members"),
    "zip-shared-bytes": (WHEEL, _zip_shared_bytes, ""),
    "gzip-ratio": (SDIST, _gzip_ratio, "times its own"),
    "tar-members": (SDIST, _tar_members, "more than 100000 members"),
    "tar-header": (SDIST, _tar_header, "extended header of more than"),
    "tar-metadata": (SDIST, _tar_metadata, "PKG-INFO has 1073741824 bytes"),
}


def upload_of(filename: str, content: bytes, folder: Path) -> tuple[str, bytes]:
    """Fill in the form for bytes, with the right digests; the rest is told by the name."""
    sound = (WheelBuilder() if filename.endswith(".whl") else SdistBuilder()).build(folder)
    digests = {
        "sha256_digest": hashlib.sha256(content).hexdigest(),
        "blake2_256_digest": hashlib.blake2b(content, digest_size=32).hexdigest(),
    }
    return multipart_body(form_fields(sound, **digests), filename, content)


@pytest.mark.parametrize(("filename", "make", "why"), EXHAUSTING.values(), ids=EXHAUSTING)
def test_exhausting(untouched: LiveServer, tmp_path: Path, filename: str, make: Callable[[], bytes], why: str) -> None:
    """AR-02: a bomb is refused in little time and memory, and says what it is."""
    answer = send(untouched, *upload_of(filename, make(), tmp_path))
    assert answer.status == 400
    assert why in answer.text
    assert answer.seconds < SECONDS
    assert not is_published(untouched, "demo")


def test_a_bomb_inside_is_never_opened(server: LiveServer, tmp_path: Path) -> None:
    """AR-02: an archive inside a wheel is a file like any other: nobody here unpacks it."""
    bomb = _zip_lying_size()
    builder = WheelBuilder(name="nested", files={"nested/inner.zip": bomb}, method=STORED)
    start = time.monotonic()
    assert send(server, *form_of(builder, tmp_path)).status == 200
    assert time.monotonic() - start < SECONDS


def test_a_file_that_is_too_large_by_its_announced_length(untouched: LiveServer) -> None:
    """AR-11: what is announced as too large is refused before it is sent."""
    line = "Content-Type: multipart/form-data; boundary=b"
    answer = say(untouched, head(untouched, line, f"Content-Length: {200 * MIB}"))
    assert answer.status == 413
    assert "larger than" in answer.text


def test_a_file_that_is_too_large_on_the_way(untouched: LiveServer) -> None:
    """AR-11: reading stops at the limit, whatever was announced or not."""
    form = b'--b\r\nContent-Disposition: form-data; name="content"; filename="demo-1.0.tar.gz"\r\n\r\n'
    endless = b"%x\r\n%b\r\n" % (MIB, bytes(MIB))
    lines = ("Content-Type: multipart/form-data; boundary=b", "Transfer-Encoding: chunked")
    answer = say(untouched, head(untouched, *lines), b"%x\r\n%b\r\n" % (len(form), form), *(endless for _ in range(40)))
    assert answer.status in (413, 0)  # 0: the refusal was lost when the connection was closed on what was still coming
    assert answer.status == 0 or "larger than" in answer.text
