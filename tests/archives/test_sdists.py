"""Sdists: one top folder with PKG-INFO, and nothing that reaches out of it (AR-04)."""

import gzip
import io
import tarfile
from collections.abc import Callable, Mapping

import pytest

from wheelyard.archives.inspect import Inspection
from wheelyard.archives.limits import ArchiveLimits
from wheelyard.testing.builders import MetadataBuilder, SdistBuilder, WheelBuilder, tar_member
from wheelyard.testing.raw_archives import ZipMember

Look = Callable[..., Inspection]
Refusal = Callable[..., str]
Extra = tuple[tarfile.TarInfo, bytes]

LINK, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE


def file(name: str, content: bytes = b"x", headers: Mapping[str, str] | None = None) -> Extra:
    return tar_member(name, size=len(content), headers=headers), content


def special(name: str, kind: bytes, target: str = "") -> Extra:
    return tar_member(name, kind=kind, target=target), b""


def sdist(*extra: Extra, **fields: object) -> SdistBuilder:
    return SdistBuilder(extra=extra, **fields)  # type: ignore[arg-type]


def git_archive(tar: bytes) -> bytes:
    """Put a global header with a commit in front, as `git archive` does."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "0" * 40}):
        pass
    return buffer.getvalue()[:1024] + tar


LONG = "demo-1.0/" + "/".join(["a" * 60] * 4) + "/ü.py"

ACCEPTED = {
    "plain": sdist(),
    "zip": SdistBuilder(suffix=".zip"),
    "old-name": SdistBuilder("Foo.Bar", top="Foo.Bar-1.0", filename="Foo.Bar-1.0.tar.gz"),
    "folder": sdist(special("demo-1.0/sub", tarfile.DIRTYPE), special("demo-1.0", tarfile.DIRTYPE)),
    "dot": sdist(special(".", tarfile.DIRTYPE), file("./demo-1.0/x")),
    "long-pax": sdist(file(LONG)),
    "long-gnu": sdist(file(LONG), format=tarfile.GNU_FORMAT),
    "long-ustar": sdist(file("demo-1.0/" + "a" * 90 + "/" + "b" * 60), format=tarfile.USTAR_FORMAT),
    "link": sdist(special("demo-1.0/a/b", LINK, "../pyproject.toml")),
    "link-to-folder": sdist(special("demo-1.0/a", LINK, "./src/"), special("demo-1.0/b", LINK, ".")),
    "dangling-link": sdist(special("demo-1.0/a", LINK, "nowhere")),
    "hard-link": sdist(special("demo-1.0/a", HARD, "demo-1.0/pyproject.toml")),
    "pax-comment": sdist(file("demo-1.0/x", headers={"comment": "hi", "mtime": "1.5"})),
    "git-archive": sdist(mangle_tar=git_archive),
    "no-end": sdist(mangle_tar=lambda tar: tar.rstrip(b"\0").ljust(-(-len(tar.rstrip(b"\0")) // 512) * 512, b"\0")),
    "long-padding": sdist(mangle_tar=lambda tar: tar + bytes(100_000)),
    "metadata-1.0": SdistBuilder(metadata_version="1.0"),
    "license": SdistBuilder(headers=[("License-File", "LICENSE")], files={"LICENSE": b""}),
    "latin-1-readme": SdistBuilder(pkg_info=b"Metadata-Version: 1.1\nName: demo\nVersion: 1.0\n\nf\xfcr\n"),
    "no-files": SdistBuilder(files={}),
}


@pytest.mark.parametrize("builder", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(builder: SdistBuilder, look: Look) -> None:
    """AR-04, FN-02, MD-08: sdists of today and of former times are welcome, metadata byte for byte."""
    inspection = look(builder)
    assert inspection.problems == ()
    assert inspection.metadata == builder.metadata_bytes()


REFUSED = {
    "no-pkg-info": (SdistBuilder(omit=["PKG-INFO"]), "no 'PKG-INFO' in its top folder"),
    "pkg-info-nested": (SdistBuilder(omit=["PKG-INFO"], files={"a/PKG-INFO": b""}), "no 'PKG-INFO'"),
    "pkg-info-link": (
        sdist(special("demo-1.0/PKG-INFO", LINK, "pyproject.toml"), omit=["PKG-INFO"]),
        "PKG-INFO of the sdist is a link",
    ),
    "pkg-info-folder": (sdist(special("demo-1.0/PKG-INFO", tarfile.DIRTYPE), omit=["PKG-INFO"]), "not a file"),
    "pkg-info-twice": (sdist(file("demo-1.0/PKG-INFO")), "there twice"),
    "empty": (SdistBuilder(omit=["PKG-INFO"], files={}), "no 'PKG-INFO'"),
    "two-tops": (sdist(file("other/x")), "'demo-1.0' and 'other'"),
    "file-at-top": (sdist(file("demo-1.0")), "is no folder"),
    "file-beside-top": (sdist(file("setup.py")), "one top folder"),
    "other-project": (SdistBuilder(top="other-1.0"), "not that of 'demo' 1.0"),
    "other-version": (SdistBuilder(top="demo-2.0"), "not that of 'demo' 1.0"),
    "no-version": (SdistBuilder(top="demo"), "not that of 'demo' 1.0"),
    "license": (SdistBuilder(headers=[("License-File", "LICENSE")]), "License-File 'LICENSE'"),
    "absolute": (sdist(file("/etc/passwd")), "absolute"),
    "traversal": (sdist(file("demo-1.0/../../x")), "'..'"),
    "traversal-only": (sdist(file("../x")), "'..'"),
    "traversal-pax": (sdist(file("demo-1.0/" + "a" * 200 + "/../../../x")), "'..'"),
    "backslash": (sdist(file("demo-1.0/..\\..\\x")), "backslash"),
    "newline": (sdist(file("demo-1.0/a\nb")), "unprintable"),
    "long-name": (sdist(file("demo-1.0/" + "x" * 1100)), "more than 1024 bytes"),
    "twice": (sdist(file("demo-1.0/pyproject.toml")), "there twice"),
    "file-as-folder": (sdist(file("demo-1.0/pyproject.toml/x")), "as a file and as a folder"),
    "folder-over-file": (sdist(special("demo-1.0/pyproject.toml", tarfile.DIRTYPE)), "there twice"),
    "under-link": (sdist(special("demo-1.0/a", LINK, "b"), file("demo-1.0/a/x")), "as a file and as a folder"),
    "link-absolute": (sdist(special("demo-1.0/a", LINK, "/etc/passwd")), "not surely inside"),
    "link-out": (sdist(special("demo-1.0/a", LINK, "../../x")), "not surely inside"),
    "link-to-parent": (sdist(special("demo-1.0/a", LINK, "..")), "not surely inside"),
    "link-sibling": (sdist(special("demo-1.0/a", LINK, "../demo-1.0x/y")), "not surely inside"),
    "link-through-link": (
        sdist(special("demo-1.0/s/a", LINK, ".."), special("demo-1.0/b", LINK, "s/a/../x")),
        "not surely inside",
    ),
    "link-backslash": (sdist(special("demo-1.0/a", LINK, "..\\..\\x")), "not surely inside"),
    "link-drive": (sdist(special("demo-1.0/a", LINK, "C:x")), "not surely inside"),
    "hard-link-out": (sdist(special("demo-1.0/a", HARD, "/etc/passwd")), "no file in front of it"),
    "hard-link-later": (sdist(special("demo-1.0/a", HARD, "demo-1.0/b"), file("demo-1.0/b")), "no file in front of it"),
    "hard-link-to-link": (
        sdist(special("demo-1.0/a", LINK, "b"), special("demo-1.0/c", HARD, "demo-1.0/a")),
        "no file in front of it",
    ),
    "fifo": (sdist(special("demo-1.0/a", tarfile.FIFOTYPE)), "a named pipe"),
    "character-device": (sdist(special("demo-1.0/a", tarfile.CHRTYPE)), "a device"),
    "block-device": (sdist(special("demo-1.0/a", tarfile.BLKTYPE)), "a device"),
    "contiguous": (sdist(special("demo-1.0/a", tarfile.CONTTYPE)), "unknown type b'7'"),
    "sparse-gnu": (sdist(special("demo-1.0/a", tarfile.GNUTYPE_SPARSE)), "a sparse file"),
    "sparse-pax": (
        sdist(file("demo-1.0/a", headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})),
        "sparse file",
    ),
    "pax-charset": (sdist(file("demo-1.0/a", headers={"hdrcharset": "BINARY"})), "readers differ about"),
    "folder-with-content": (
        sdist((tar_member("demo-1.0/a", size=512, kind=tarfile.DIRTYPE), b"x" * 512)),
        "no file and has content",
    ),
    "negative-size": (sdist(mangle_tar=lambda tar: tar[:124] + b"\xff" * 12 + tar[136:]), "damaged header"),
    "bad-checksum": (sdist(mangle_tar=lambda tar: tar[:0] + b"e" + tar[1:]), "damaged header"),
    "damaged-later": (sdist(mangle_tar=lambda tar: tar[:1024] + b"x" + tar[1025:]), "damaged header"),
    "data-behind-end": (sdist(mangle_tar=lambda tar: tar + b"x" * 512), "data behind its end"),
    "cut-content": (sdist(mangle_tar=lambda tar: tar[:600]), "was cut off"),
    "cut-header": (sdist(mangle_tar=lambda tar: tar[:200]), "was cut off"),
    "not-a-tar": (sdist(mangle_tar=lambda _: b"hello"), "was cut off"),
    "plain-tar": (sdist(mangle=gzip.decompress), "gzip stream is damaged"),
    "cut-gzip": (sdist(mangle=lambda content: content[:-5]), "cut off"),
    "damaged-gzip": (sdist(mangle=lambda content: content[:40] + b"\xff\xff" + content[42:]), "damaged"),
    "gzip-checksum": (sdist(mangle=lambda content: content[:-8] + bytes(4) + content[-4:]), "damaged"),
    "gzip-trailing": (sdist(mangle=lambda content: content + b"x"), "data behind its end"),
    "gzip-twice": (sdist(mangle=lambda content: content * 2), "data behind its end"),
    "also-zip": (sdist(mangle=lambda content: content + WheelBuilder().bytes()), "at the same time"),
    "also-zip-in-comment": (sdist(mangle=lambda content: content + b"PK\5\6" + bytes(18)), "at the same time"),
    "really-a-zip": (sdist(mangle=lambda _: SdistBuilder(suffix=".zip").bytes()), "at the same time"),
    "really-empty": (sdist(mangle=lambda _: b""), "cut off"),
    "zip-two-tops": (SdistBuilder(suffix=".zip", extra_zip=[ZipMember(name="other/x")]), "'demo-1.0' and 'other'"),
    "zip-no-pkg-info": (SdistBuilder(suffix=".zip", omit=["PKG-INFO"]), "no 'PKG-INFO'"),
    "zip-link": (SdistBuilder(suffix=".zip", extra_zip=[ZipMember(name="demo-1.0/a", mode=0o120777)]), "is a link"),
    "zip-really-gzip": (SdistBuilder(suffix=".zip", mangle=lambda _: SdistBuilder().bytes()), "no zip archive"),
}


@pytest.mark.parametrize(("builder", "why"), REFUSED.values(), ids=REFUSED)
def test_refused(builder: SdistBuilder, why: str, refusal: Refusal) -> None:
    """AR-01, AR-04, AR-08: what reaches out, is special, or is read differently by different readers is refused."""
    assert why in refusal(builder)


def extended(flag: bytes, content: bytes) -> bytes:
    """Write an extended header."""
    info = tarfile.TarInfo("x")
    info.type, info.size = flag, len(content)
    return info.tobuf(tarfile.USTAR_FORMAT) + content.ljust(-(-len(content) // 512) * 512, b"\0")


def record(keyword: str, value: str) -> bytes:
    """Write one PAX record; its length counts itself."""
    body = f" {keyword}={value}\n".encode()
    digits = 1 if len(body) < 9 else 2
    return str(len(body) + digits).encode() + body


EXTENDED = {
    "two-names": (
        extended(b"L", b"demo-1.0/a\0") + extended(b"x", record("path", "demo-1.0/b")),
        "two extended headers",
    ),
    "two-pax": (extended(b"x", record("path", "a")) + extended(b"x", record("path", "b")), "two extended headers"),
    "twice-in-one": (extended(b"x", record("path", "a") + record("path", "b")), "one thing twice"),
    "global-path": (extended(b"g", record("path", "demo-1.0/x")), "readers differ about"),
    "global-size": (extended(b"g", record("size", "1")), "readers differ about"),
    "negative-size": (extended(b"x", record("size", "-512")), "damaged extended header"),
    "no-length": (extended(b"x", b"path=a\n"), "damaged extended header"),
    "long-length": (extended(b"x", b"99 path=a\n"), "damaged extended header"),
    "zero-length": (extended(b"x", b"0 path=a\n"), "damaged extended header"),
    "no-newline": (extended(b"x", b"9 path=ab"), "damaged extended header"),
    "no-equals": (extended(b"x", b"8 path1\n"), "damaged extended header"),
    "not-utf-8": (extended(b"x", b"10 path=\xff\n"), "not UTF-8"),
    "gnu-not-utf-8": (extended(b"L", b"\xff\xfe\0"), "not UTF-8"),
    "huge": (extended(b"x", bytes(70_000)), "extended header of more than 65536"),
}


@pytest.mark.parametrize(("header", "why"), EXTENDED.values(), ids=EXTENDED)
def test_extended_headers(header: bytes, why: str, refusal: Refusal) -> None:
    """AR-04: extended headers that are damaged or say things twice are refused."""
    assert why in refusal(sdist(mangle_tar=lambda tar: header + tar))


def test_extended_header_alone(refusal: Refusal) -> None:
    """AR-04: an extended header that belongs to no member is refused."""
    alone = extended(b"L", b"a\0")
    assert "belongs to no member" in refusal(sdist(mangle_tar=lambda tar: tar[:2048] + alone + bytes(1024)))
    assert "belongs to no member" in refusal(sdist(mangle_tar=lambda tar: tar[:2048] + alone))


def test_limits(refusal: Refusal) -> None:
    """Members, headers, metadata and unpacked bytes are bounded while the archive is read."""
    metadata = MetadataBuilder("demo", "1.0", description="x" * 5000).text()
    assert "more than 1 members" in refusal(sdist(), limits=ArchiveLimits(members=1))
    assert "headers take more than 99" in refusal(ACCEPTED["long-pax"], limits=ArchiveLimits(directory_bytes=99))
    assert "extended header of more than 99" in refusal(ACCEPTED["long-pax"], limits=ArchiveLimits(tar_header_bytes=99))
    assert "more than 4096" in refusal(SdistBuilder(pkg_info=metadata), limits=ArchiveLimits(metadata_bytes=4096))
    assert "more than 2000 bytes" in refusal(sdist(), limits=ArchiveLimits(unpacked_bytes=2000))
    assert "times its own" in refusal(sdist(), limits=ArchiveLimits(ratio=1, ratio_from_bytes=1000))
