"""A law: whatever sdist is accepted, the standard library reads the same members from it."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wheelyard.archives.gzip_stream import GzipStream
from wheelyard.archives.limits import DEFAULT, Budget
from wheelyard.archives.tar_stream import tar_members
from wheelyard.errors import ArchiveError
from wheelyard.testing.builders import SdistBuilder, tar_member

LONG = "demo-1.0/" + "a" * 150


def whole(tar_format: int) -> bytes:
    extra = [
        (tar_member(LONG, size=3), b"abc"),
        (tar_member("demo-1.0/sub", kind=tarfile.DIRTYPE), b""),
        (tar_member("demo-1.0/link", kind=tarfile.SYMTYPE, target="sub"), b""),
    ]
    return gzip.decompress(SdistBuilder(extra=extra, format=tar_format).bytes()).rstrip(b"\0") + bytes(1500)


WHOLE = {"pax": whole(tarfile.PAX_FORMAT), "gnu": whole(tarfile.GNU_FORMAT)}

quiet = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def ours(path: Path) -> list[tuple[str, int, str]] | None:
    """List name, size and target of every member with our reader; None when the file is refused."""
    with path.open("rb", buffering=0) as file:
        budget = Budget(DEFAULT, archive_bytes=path.stat().st_size)
        try:
            return [(m.name, m.size, m.target) for m in tar_members(GzipStream(file, budget), budget)]
        except ArchiveError:
            return None


def theirs(tar: bytes) -> list[tuple[str, int, str]]:
    """List the same with the standard library."""
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
        return [(m.name.rstrip("/"), m.size, m.linkname if m.islnk() or m.issym() else "") for m in archive]


def check(tar: bytes, folder: Path) -> None:
    path = folder / "x.tar.gz"
    path.write_bytes(gzip.compress(tar, 1))
    found = ours(path)
    if found:  # an empty archive the standard library calls unreadable
        assert found == theirs(tar)


@pytest.mark.parametrize("tar", WHOLE.values(), ids=WHOLE)
def test_whole_is_accepted(tmp_path: Path, tar: bytes) -> None:
    """The starting points of the mutations are themselves accepted."""
    path = tmp_path / "x.tar.gz"
    path.write_bytes(gzip.compress(tar))
    assert ours(path) == theirs(tar)
    assert len(theirs(tar)) == 5


@quiet
@given(st.binary(max_size=2000))
def test_random_bytes(tmp_path: Path, content: bytes) -> None:
    """Random bytes, as gzip or inside gzip, are refused, never a crash."""
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    assert ours(path) is None
    check(content, tmp_path)


def with_checksum(tar: bytearray, position: int) -> bytes:
    """Make the checksum of the header around a position right again, so that the change is looked at."""
    start = position // 512 * 512
    header = tar[start : start + 512]
    header[148:156] = b" " * 8
    tar[start + 148 : start + 156] = b"%06o\0 " % sum(header)
    return bytes(tar)


@quiet
@given(st.sampled_from(sorted(WHOLE)), st.data(), st.integers(1, 255), st.booleans())
def test_changed_byte(tmp_path: Path, name: str, data: st.DataObject, mask: int, repaired: bool) -> None:  # noqa: FBT001
    """An sdist with a changed byte, its checksum made right or not, is refused or read as others read it."""
    tar = bytearray(WHOLE[name])
    position = data.draw(st.integers(0, len(tar) - 1))
    tar[position] ^= mask
    check(with_checksum(tar, position) if repaired else bytes(tar), tmp_path)


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_every_type(tmp_path: Path, name: str) -> None:
    """The law holds for every type flag in every header."""
    for start in range(0, len(WHOLE[name]) - 1500, 512):
        for flag in range(256):
            tar = bytearray(WHOLE[name])
            tar[start + 156] = flag
            check(with_checksum(tar, start), tmp_path)


@quiet
@given(st.integers(0, 300), st.binary(max_size=30))
def test_changed_gzip(tmp_path: Path, position: int, inserted: bytes) -> None:
    """Changes to the compressed bytes are refused, or read as gzip reads them."""
    content = SdistBuilder().bytes()
    changed = content[:position] + inserted + content[position + len(inserted) :]
    path = tmp_path / "x.tar.gz"
    path.write_bytes(changed)
    found = ours(path)
    if found is not None:
        assert found == theirs(gzip.decompress(changed))
