"""Archives made to exhaust their reader are refused within bounded memory and time (AR-02, AR-04)."""

import gzip
import json
import os
import struct
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path
from typing import cast

import pytest

from wheelyard.testing.builders import SdistBuilder, WheelBuilder, tar_member
from wheelyard.testing.raw_archives import STORED, ZipMember, render_zip

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of address space and /proc are Linux's")

MIB = 1024 * 1024
MEMORY_BYTES = 40 * MIB  # more than the reader may need on top of the program itself
SECONDS = 10

RUNNER = """
import json, resource, sys
from pathlib import Path
from wheelyard.archives.inspect import inspect
from wheelyard.errors import ArchiveError
from wheelyard.protocol.filenames import parse_filename
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + int(sys.argv[2]),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[3]),) * 2)
path = Path(sys.argv[1])
try:
    inspection = inspect(path, parse_filename(path.name))
except ArchiveError as error:
    print(json.dumps([error.message]))
else:
    print(json.dumps([problem.text for problem in inspection.problems]))
"""


def inspected(path: Path, *, memory_bytes: int = MEMORY_BYTES) -> list[str]:
    """Inspect a file in a process of little memory and time, and return why it is refused."""
    command = [sys.executable, "-c", RUNNER, str(path), str(memory_bytes), str(SECONDS)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=6 * SECONDS)
    assert done.returncode == 0, done.stderr.decode()
    return cast("list[str]", json.loads(done.stdout))


def zeros(size: int) -> bytes:
    """Return a raw deflate stream of `size` zeros: one block of a mebibyte, repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * (size // MIB) + packer.flush()


def deflate_open(content: bytes) -> bytes:
    """Return a raw deflate stream that may be continued by another."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush(zlib.Z_FULL_FLUSH)


def tar_headers(count: int) -> bytes:
    """Return the headers of so many empty files."""
    header = bytearray(tarfile.TarInfo("demo-1.0/000000").tobuf(tarfile.USTAR_FORMAT))
    checksum = int(header[148:154], 8)
    headers = bytearray()
    for number in range(count):
        digits = b"%06d" % number
        header[9:15] = digits
        header[148:154] = b"%06o" % (checksum + sum(digits) - 6 * ord("0"))
        headers += header
    return bytes(headers)


def wheel(*members: ZipMember) -> WheelBuilder:
    return WheelBuilder(extra=members)


def test_zip_ratio(tmp_path: Path) -> None:
    """AR-02: a wheel that says it unpacks to a thousand times its size is refused before it is unpacked."""
    packed = zeros(1024 * MIB)
    member = ZipMember(
        name="demo/bomb", packed=packed, local={"size": 1024 * MIB, "crc": 0}, central={"size": 1024 * MIB, "crc": 0}
    )
    assert "times its own" in inspected(wheel(member).build(tmp_path))[0]


def test_zip_lying_size(tmp_path: Path) -> None:
    """AR-02: a member that unpacks to more than it says is given up as soon as it does."""
    row = "demo/bomb,sha256=x,\n"
    bomb = ZipMember(name="demo/bomb", packed=zeros(1024 * MIB), content=b"x")
    builder = WheelBuilder(record=lambda text: text + row, extra=[bomb])
    assert "more bytes than it says" in inspected(builder.build(tmp_path))[0]


@pytest.mark.parametrize("part", ["METADATA", "RECORD", "WHEEL", "entry_points.txt"])
def test_zip_lying_part(tmp_path: Path, part: str) -> None:
    """AR-02: so are the files that are read whole."""
    bomb = ZipMember(name=f"demo-1.0.dist-info/{part}", packed=zeros(256 * MIB), content=b"x")
    builder = WheelBuilder(omit=[part], extra=[bomb])
    assert "more bytes than it says" in inspected(builder.build(tmp_path))[0]


@pytest.mark.slow
def test_zip_many_members(tmp_path: Path) -> None:
    """AR-02: a hundred thousand members are read, more are refused."""
    members = [ZipMember(name=f"demo/{number}", method=STORED) for number in range(100_001)]
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(render_zip(members, zip64=True))
    assert "more than 100000 members" in inspected(path)[0]
    path.write_bytes(render_zip(members[:-10], zip64=True))
    assert "'.dist-info'" in inspected(path, memory_bytes=160 * MIB)[0]


def test_zip_same_bytes(tmp_path: Path) -> None:
    """AR-02: ten thousand members that share the bytes of one are refused."""
    shared = ZipMember(name="demo/0", packed=zeros(MIB), local={"size": MIB}, central={"size": MIB})
    others = [
        ZipMember(name=f"demo/{number}", present=False, packed=shared.packed, central={"offset": 0, "size": 40_000})
        for number in range(1, 10_000)
    ]
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(render_zip([shared, *others]))
    assert any(word in inspected(path)[0] for word in ("overlaps", "times its own"))


def test_zip_deep_names(tmp_path: Path) -> None:
    """AR-02: names of a thousand folders cost no more than their bytes."""
    members = [ZipMember(name="a/" * 500 + str(number), method=STORED) for number in range(10_000)]
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(render_zip(members))
    assert "'.dist-info'" in inspected(path)[0]


@pytest.mark.slow
def test_zip_names_of_folders(tmp_path: Path) -> None:
    """AR-02: names whose folders are all different are stopped by the clock at the latest, and by their size before."""
    members = [ZipMember(name=f"{number}/" + "a/" * 450 + "x", method=STORED) for number in range(30_000)]
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(render_zip(members))
    assert inspected(path, memory_bytes=160 * MIB)


@pytest.mark.parametrize("kind", ["content", "padding"])
def test_gzip_ratio(tmp_path: Path, kind: str) -> None:
    """AR-02, AR-04: an sdist that unpacks to a thousand times its size is given up on the way."""
    size = 4096 * MIB if kind == "content" else 0
    tar = gzip.decompress(SdistBuilder(extra=[(tar_member("demo-1.0/x"), b"")]).bytes()).rstrip(b"\0")
    tar = tar.ljust(-(-len(tar) // 512) * 512, b"\0")
    info = tar_member("demo-1.0/bomb", size=size)
    start = deflate_open(tar + (info.tobuf() if size else bytes(512)))
    path = tmp_path / "demo-1.0.tar.gz"
    path.write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + start + zeros(1024 * MIB) + bytes(8))
    assert "times its own" in inspected(path)[0]


@pytest.mark.parametrize("flag", [b"x", b"g", b"L", b"K"])
def test_tar_huge_header(tmp_path: Path, flag: bytes) -> None:
    """AR-04: an extended header of a gigabyte is not taken into memory."""
    info = tarfile.TarInfo("x")
    info.type, info.size = flag, 1024 * MIB
    path = tmp_path / "demo-1.0.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT)))
    assert "extended header of more than" in inspected(path)[0]


def test_tar_huge_metadata(tmp_path: Path) -> None:
    """AR-04: PKG-INFO of a gigabyte is not taken into memory."""
    info = tar_member("demo-1.0/PKG-INFO", size=1024 * MIB)
    path = tmp_path / "demo-1.0.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf()))
    assert "PKG-INFO has 1073741824 bytes" in inspected(path)[0]


@pytest.mark.slow
def test_tar_many_members(tmp_path: Path) -> None:
    """AR-02: members of a tar are counted; a hundred thousand of them fit into the time."""
    path = tmp_path / "demo-1.0.tar.gz"
    path.write_bytes(gzip.compress(tar_headers(100_001), 1))
    assert "more than 100000 members" in inspected(path)[0]
    path.write_bytes(gzip.compress(tar_headers(99_999), 1))
    assert "no 'PKG-INFO'" in inspected(path)[0]


@pytest.mark.slow
def test_tar_many_hard_links(tmp_path: Path) -> None:
    """AR-04: the time for hard links grows with their number, not with its square."""
    path = tmp_path / "demo-1.0.tar.gz"
    with gzip.open(path, "wb", 1) as file:
        for number in range(20_000):
            target = "demo-1.0/0" if number else ""
            info = tar_member(f"demo-1.0/{number}", kind=tarfile.LNKTYPE if number else tarfile.REGTYPE, target=target)
            file.write(info.tobuf(tarfile.USTAR_FORMAT))
    assert "no 'PKG-INFO'" in inspected(path)[0]


def test_large_wheel(tmp_path: Path) -> None:
    """A wheel of 2 GB is inspected in flat memory and little time."""
    size = 2048 * MIB - 100_000
    lies = {"size": size, "packed": size}
    # The last member, so that only the central directory moves when its bytes (a hole in the file) are put in.
    last = ZipMember(name="demo/big.bin", method=STORED, local=lies, central=lies)
    content = WheelBuilder(extra=[last], record=lambda text: text + f"demo/big.bin,sha256=x,{size}\n").bytes()
    start = content.index(b"PK\1\2")
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    with path.open("wb") as file:
        file.write(content[:start])
        file.seek(size, os.SEEK_CUR)
        file.write(content[start:-6] + struct.pack("<L", start + size) + content[-2:])
    assert path.stat().st_size > 2_000_000_000
    assert inspected(path) == []
