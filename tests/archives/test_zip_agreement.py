"""A law: whatever zip is accepted, the standard library reads the same members with the same bytes from it."""

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wheelyard.archives.limits import DEFAULT, Budget
from wheelyard.archives.zip_content import read_member
from wheelyard.archives.zip_structure import Source, read_structure
from wheelyard.errors import ArchiveError
from wheelyard.testing.builders import WheelBuilder
from wheelyard.testing.raw_archives import ZipMember, render_zip

WHOLE = render_zip(WheelBuilder(extra=[ZipMember(name="s", content=b"x" * 99, descriptor=b"")]).members(), zip64=True)

quiet = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def ours(path: Path) -> dict[str, bytes] | None:
    """Read every member with our reader; None when the file is refused."""
    with path.open("rb", buffering=0) as file:
        source = Source(file)
        budget = Budget(DEFAULT, archive_bytes=source.size)
        try:
            members = read_structure(source, budget).members.values()
            return {m.name: read_member(source, m, limit_bytes=10_000_000, budget=budget) for m in members}
        except ArchiveError:
            return None


def check(content: bytes, folder: Path) -> bool:
    """Check the law for one file and tell whether it was accepted."""
    path = folder / "x.zip"
    path.write_bytes(content)
    found = ours(path)
    if found is not None:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert found == {name: archive.read(name) for name in archive.namelist()}
    return found is not None


def test_whole_is_accepted(tmp_path: Path) -> None:
    """The starting point of the mutations is itself accepted."""
    assert check(WHOLE, tmp_path)


@quiet
@given(st.binary(max_size=400))
def test_random_bytes(tmp_path: Path, content: bytes) -> None:
    """Random bytes are refused, never a crash."""
    assert not check(content, tmp_path)


@quiet
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(1, 255)), min_size=1, max_size=3))
def test_flipped_bits(tmp_path: Path, flips: list[tuple[int, int]]) -> None:
    """A wheel with flipped bits is refused, or read as others read it."""
    content = bytearray(WHOLE)
    for position, mask in flips:
        content[position] ^= mask
    check(bytes(content), tmp_path)


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_every_byte(tmp_path: Path, mask: int) -> None:
    """The law holds with each single byte changed."""
    for position in range(len(WHOLE)):
        check(WHOLE[:position] + bytes([WHOLE[position] ^ mask]) + WHOLE[position + 1 :], tmp_path)


@quiet
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 40), st.binary(max_size=40))
def test_spliced(tmp_path: Path, position: int, removed: int, inserted: bytes) -> None:
    """Bytes taken out or put in are noticed, or the file is read as others read it."""
    check(WHOLE[:position] + inserted + WHOLE[position + removed :], tmp_path)
