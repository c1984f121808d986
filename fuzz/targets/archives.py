"""Wheels and sdists: what is accepted, the standard library reads as the same members; everything else is refused."""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import io
import random
import stat
import struct
import tarfile
import zipfile
import zlib

from fuzz.laws import MUTATION_BYTES, FuzzTarget, Mutate, require, workplace
from fuzz.targets.archive_mutations import mutate_gzipped_tar, mutate_zip
from wheelyard.archives.gzip_stream import GzipStream
from wheelyard.archives.inspect import Inspection, inspect
from wheelyard.archives.limits import ArchiveLimits, Budget
from wheelyard.archives.names import check_member_name
from wheelyard.archives.tar_stream import TarKind, tar_members
from wheelyard.archives.zip_structure import Source, read_structure
from wheelyard.errors import ArchiveError
from wheelyard.protocol.filenames import ParsedFilename, parse_filename
from wheelyard.testing.builders import SdistBuilder, WheelBuilder, tar_member
from wheelyard.testing.raw_archives import STORED, ZipMember

LIMITS = ArchiveLimits(
    members=60,
    member_name_bytes=300,
    directory_bytes=16 * 1024,
    metadata_bytes=16 * 1024,
    record_bytes=16 * 1024,
    part_bytes=4 * 1024,
    tar_header_bytes=4 * 1024,
    unpacked_bytes=4 * 1024 * 1024,
    ratio_from_bytes=512 * 1024,
    seconds=4.0,
)
"""Small, so that the fuzzer reaches every one of them."""

_NAMES = ("demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz", "demo-1.0.zip")
_PARSED = tuple(parse_filename(name) for name in _NAMES)
_PATH = workplace() / "archive"


def check(data: bytes) -> None:
    """Check an input: a byte that says what the file claims to be, and the file."""
    parsed, content = _PARSED[data[0] % len(_PARSED) if data else 0], data[1:]
    _PATH.write_bytes(content)
    try:
        inspection = inspect(_PATH, parsed, limits=LIMITS)
    except ArchiveError as error:
        require(str(error).isprintable(), "the text of an error is one printable line", str(error))
        return
    require(len(inspection.metadata) <= LIMITS.metadata_bytes, "metadata keeps to its limit")
    for problem in inspection.problems:
        require(problem.text.isprintable(), "the text of a problem is one printable line", problem.text)
    if parsed.filename.endswith(".tar.gz"):
        _check_tar(content, inspection)
    else:
        _check_zip(content, parsed, inspection)


def _check_zip(content: bytes, parsed: ParsedFilename, inspection: Inspection) -> None:
    with _PATH.open("rb", buffering=0) as file:
        ours = read_structure(Source(file), Budget(LIMITS, archive_bytes=len(content))).members
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        theirs = archive.infolist()
        require([info.filename for info in theirs] == list(ours), "zipfile lists the same members", list(ours))
        for info in theirs:
            require(info.file_size == ours[info.filename].size, "zipfile sees the same size", info)
            require(not stat.S_ISLNK(info.external_attr >> 16), "no member is a link", info)
            check_member_name(info.filename.removesuffix("/"), limit_bytes=LIMITS.member_name_bytes)
        part = _metadata_part(list(ours), parsed)
        require(archive.read(part) == inspection.metadata, "zipfile reads the same metadata", part)
        if not inspection.problems and parsed.filename.endswith(".whl"):
            require(archive.testzip() is None, "every member of a good wheel has its checksum")
            _check_record(archive, part)


def _metadata_part(names: list[str], parsed: ParsedFilename) -> str:
    end = "METADATA" if parsed.filename.endswith(".whl") else "PKG-INFO"
    found = [name for name in names if name.count("/") == 1 and name.endswith(f"/{end}")]
    found = [name for name in found if end == "PKG-INFO" or ".dist-info/" in name] or found
    require(len(found) == 1, "there is one metadata file to find", found)
    return found[0]


def _check_record(archive: zipfile.ZipFile, metadata_part: str) -> None:
    """Check that RECORD of a wheel without problems tells the truth about every member."""
    folder = metadata_part.rpartition("/")[0]
    rows = list(csv.reader(archive.read(f"{folder}/RECORD").decode().splitlines()))
    told = {row[0]: row[1] for row in rows if row}
    for info in archive.infolist():
        if info.is_dir() or info.filename in (f"{folder}/RECORD", f"{folder}/RECORD.jws", f"{folder}/RECORD.p7s"):
            continue
        algorithm, _, digest = told.get(info.filename, "").partition("=")
        require(algorithm in hashlib.algorithms_available, "RECORD names every member with a hash", info.filename)
        found = base64.urlsafe_b64encode(hashlib.new(algorithm, archive.read(info)).digest()).rstrip(b"=").decode()
        require(found == digest.rstrip("="), "RECORD tells the right hash", info.filename, told[info.filename])


def _check_tar(content: bytes, inspection: Inspection) -> None:
    with _PATH.open("rb", buffering=0) as file:
        budget = Budget(LIMITS, archive_bytes=len(content))
        ours = [(m.name, m.size, m.kind, m.target) for m in tar_members(GzipStream(file, budget), budget)]
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        theirs = [(m.name.rstrip("/"), m.size, _kind(m), m.linkname if _is_link(m) else "") for m in archive]
        require(ours == theirs, "tarfile lists the same members", ours, theirs)
        top = next(name.removeprefix("./").split("/")[0] for name, *_ in ours if name not in (".", "./"))
        found = [m for m in archive if m.name.removeprefix("./") == f"{top}/PKG-INFO"]
        source = archive.extractfile(found[-1])
        require(source is not None, "PKG-INFO is a file")
        require(source is not None and source.read() == inspection.metadata, "tarfile reads the same metadata")
        _check_unpacking(archive)


def _check_unpacking(archive: tarfile.TarFile) -> None:
    """Check that what is accepted would also be unpacked by Python's own careful filter."""
    for member in archive:
        tarfile.data_filter(member, str(_PATH.parent / "unpacked"))


def _kind(member: tarfile.TarInfo) -> TarKind:
    if member.isdir():
        return TarKind.FOLDER
    if member.issym():
        return TarKind.SYMLINK
    return TarKind.HARD_LINK if member.islnk() else TarKind.FILE


def _is_link(member: tarfile.TarInfo) -> bool:
    return member.issym() or member.islnk()


def mutate(data: bytes, seed: int, plainly: Mutate) -> bytes:
    """Change an archive: its bytes, or what is inside while headers, checksums and compression stay right."""
    rng = random.Random(seed)
    kind, content = data[:1] or b"\0", data[1:]
    if rng.random() < 0.2 or len(content) > MUTATION_BYTES:
        return kind + plainly(content, MUTATION_BYTES)
    try:
        if content.startswith(b"\x1f\x8b"):
            return kind + mutate_gzipped_tar(content, rng, plainly)
        return kind + mutate_zip(content, rng, plainly)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, OSError, EOFError, ValueError, NotImplementedError):
        return kind + plainly(content, MUTATION_BYTES)
    except (
        RuntimeError,
        OverflowError,
        KeyError,
        struct.error,
    ):  # zipfile says so of encrypted members, struct of absurd numbers
        return kind + plainly(content, MUTATION_BYTES)


def _seeds() -> dict[str, bytes]:
    wheel = WheelBuilder(
        dist_info_files={"entry_points.txt": "[console_scripts]\ndemo = demo:main\n", "licenses/LICENSE": "MIT"},
        headers=[("License-Expression", "MIT"), ("License-File", "LICENSE")],
    )
    wide = WheelBuilder(extra=[ZipMember(name="demo/é.txt", content=b"x" * 50, descriptor=b"")])
    stored = WheelBuilder(method=STORED)
    links = SdistBuilder(
        extra=[
            (tar_member("demo-1.0/sub", kind=tarfile.DIRTYPE), b""),
            (tar_member("demo-1.0/sub/link", kind=tarfile.SYMTYPE, target="../PKG-INFO"), b""),
            (tar_member("demo-1.0/hard", kind=tarfile.LNKTYPE, target="demo-1.0/PKG-INFO"), b""),
            (tar_member("demo-1.0/" + "long/" * 30 + "name", size=3), b"abc"),
        ]
    )
    old = SdistBuilder(format=tarfile.GNU_FORMAT, extra=[(tar_member("demo-1.0/" + "n" * 120, size=1), b"a")])
    return {
        "wheel": b"\0" + wheel.bytes(),
        "wheel-streamed": b"\0" + wide.bytes(),
        "wheel-stored": b"\0" + stored.bytes(),
        "sdist": b"\1" + SdistBuilder().bytes(),
        "sdist-links": b"\1" + links.bytes(),
        "sdist-gnu": b"\1" + old.bytes(),
        "sdist-zip": b"\2" + SdistBuilder(suffix=".zip").bytes(),
        "no-archive": b"\0" + b"PK\x05\x06" + bytes(18),
        "empty-gzip": b"\1" + gzip.compress(b"", mtime=0),
    }


TARGET = FuzzTarget(
    name="archives",
    about="zipfile and tarfile read every accepted archive as the same members, RECORD is true, nothing leads outside",
    check=check,
    seeds=_seeds,
    words=(b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08", b"ustar\x0000"),
    reached=(
        *(
            f"src/wheelyard/archives/{name}.py"
            for name in ("entry_points", "findings", "gzip_stream", "inspect", "limits", "names", "record", "sdists")
        ),
        *(f"src/wheelyard/archives/{name}.py" for name in ("tar_stream", "wheels", "zip_content", "zip_structure")),
    ),
    max_len=MUTATION_BYTES,
    mutate=mutate,
)
