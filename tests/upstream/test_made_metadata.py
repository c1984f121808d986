"""Wheels of an upstream without metadata get some here, read from their end."""

import hashlib
import io
import zipfile
from dataclasses import replace

import pytest

from wheelyard.errors import MetadataNotFound, UpstreamUnavailable
from wheelyard.index.mirror_metadata import TAIL_BYTES
from wheelyard.model import Filename, NormalizedName
from wheelyard.testing.fake_upstream import Answer, FakeUpstream, UpstreamFile, html_page
from wheelyard.testing.index_suite import read

from .conftest import OpenMirror

pytestmark = pytest.mark.anyio

SIX = NormalizedName("six")
NAME = Filename("six-1.0-py3-none-any.whl")
METADATA = b"Metadata-Version: 2.1\nName: six\nVersion: 1.0\n\nlong " + b"words " * 400
BULK = bytes(range(256)) * 4000


def wheel(*, first: bool = False, members: int = 1, path: str = "six-1.0.dist-info/METADATA") -> bytes:
    """Write a wheel; `first` puts METADATA before everything else."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        if first:
            archive.writestr(path, METADATA)
        for number in range(members):
            archive.writestr(zipfile.ZipInfo(f"six/data-{number}.bin"), BULK if number == 0 else b"")
        if not first:
            archive.writestr(path, METADATA)
    return out.getvalue()


WHEELS = {
    "at the end": wheel(),
    "at the start": wheel(first=True),
    "a long table of contents": wheel(first=True, members=3000),
}


def offer(upstream: FakeUpstream, content: bytes) -> UpstreamFile:
    file = UpstreamFile(filename=NAME, content=content)
    upstream.offer("six", file)
    return file


@pytest.mark.parametrize("content", WHEELS.values(), ids=WHEELS)
async def test_from_the_end(open_mirror: OpenMirror, upstream: FakeUpstream, content: bytes) -> None:
    """META-05: a page promises metadata for a wheel without any; it is read by ranges, once, and the wheel stays as it is."""
    index = await open_mirror()
    file = offer(upstream, content)
    [listed] = (await index.page(SIX)).files
    assert (listed.core_metadata, listed.sha256) == ({}, file.sha256)
    assert await index.metadata(SIX, NAME) == METADATA
    asked = upstream.asked(file.path)
    assert all("range" in question.headers for question in upstream.questions_for(file.path))
    assert asked <= 5
    assert await index.metadata(SIX, NAME) == METADATA
    assert upstream.asked(file.path) == asked
    assert await (await open_mirror()).metadata(SIX, NAME) == METADATA
    assert upstream.asked(file.path) == asked
    assert hashlib.sha256(await read(await index.file(SIX, NAME))).hexdigest() == file.sha256


async def test_one_range_is_enough(open_mirror: OpenMirror, upstream: FakeUpstream) -> None:
    """META-05: METADATA at the end of a wheel, where tools put it, costs one question."""
    file = offer(upstream, wheel())
    assert await (await open_mirror()).metadata(SIX, NAME) == METADATA
    [question] = upstream.questions_for(file.path)
    size = len(file.content)
    assert question.headers["range"] == f"bytes={max(0, size - TAIL_BYTES)}-{size - 1}"


async def test_without_ranges(open_mirror: OpenMirror, upstream: FakeUpstream) -> None:
    """META-05: of an upstream that serves whole files only, the whole file is fetched once, and kept."""
    index = await open_mirror()
    file = offer(upstream, wheel(first=True))
    upstream.script(file.path, Answer(body=file.content))
    assert await index.metadata(SIX, NAME) == METADATA
    await index.settle()
    asked = upstream.asked(file.path)
    assert asked <= 2
    assert await read(await index.file(SIX, NAME)) == file.content
    assert upstream.asked(file.path) == asked


async def test_from_the_kept_wheel(open_mirror: OpenMirror, upstream: FakeUpstream) -> None:
    """META-05: metadata of a wheel that is kept is read from it, without a question."""
    index = await open_mirror()
    file = offer(upstream, wheel())
    await read(await index.file(SIX, NAME))
    await index.settle()
    assert await index.metadata(SIX, NAME) == METADATA
    assert upstream.asked(file.path) == 1


async def test_html_upstream(open_mirror: OpenMirror, upstream: FakeUpstream) -> None:
    """META-05: also for an upstream that speaks HTML only and tells no sizes."""
    file = offer(upstream, wheel())
    upstream.offer("six", file, page=html_page([file]))
    assert await (await open_mirror()).metadata(SIX, NAME) == METADATA


@pytest.mark.parametrize(
    "content",
    [
        b"no zip at all" * 10_000,
        wheel(path="seven-1.0.dist-info/METADATA"),
        wheel(path="six/METADATA"),
        wheel()[:-30],
        b"",
    ],
    ids=["no zip", "of another project", "none", "cut off", "empty"],
)
async def test_unreadable_wheel(open_mirror: OpenMirror, upstream: FakeUpstream, content: bytes) -> None:
    """META-05: a wheel that cannot be read has no metadata, which is said so."""
    offer(upstream, content)
    index = await open_mirror()
    with pytest.raises(MetadataNotFound):
        await index.metadata(SIX, NAME)
    assert await index.description(SIX, NAME) is None


async def test_upstream_fails(open_mirror: OpenMirror, upstream: FakeUpstream) -> None:
    """DC-03: metadata that cannot be made now is an error that passes, not "there is none"."""
    file = offer(upstream, wheel())
    upstream.script(file.path, Answer(status=500))
    with pytest.raises(UpstreamUnavailable):
        await (await open_mirror()).metadata(SIX, NAME)


async def test_sdists_and_own_metadata(open_mirror: OpenMirror, upstream: FakeUpstream) -> None:
    """META-04: nothing is made for sdists, and what the upstream has is taken from it."""
    sdist = UpstreamFile(filename="six-1.0.tar.gz", content=b"x")
    given = UpstreamFile(filename=NAME, content=wheel(), metadata=b"Metadata-Version: 2.4\nName: six\nVersion: 1.0\n")
    upstream.offer("six", sdist, given)
    index = await open_mirror()
    listed = {file.filename: file.core_metadata for file in (await index.page(SIX)).files}
    assert given.metadata is not None
    assert listed == {sdist.filename: None, NAME: {"sha256": hashlib.sha256(given.metadata).hexdigest()}}
    assert await index.metadata(SIX, NAME) == given.metadata
    assert upstream.asked(given.path) == 0
    with pytest.raises(MetadataNotFound):
        await index.metadata(SIX, Filename(sdist.filename))


async def test_large_metadata_is_refused(open_mirror: OpenMirror, upstream: FakeUpstream) -> None:
    """META-05: a wheel that unpacks to endless metadata costs nothing."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("six-1.0.dist-info/METADATA", b"\0" * (17 * 1024 * 1024))
    offer(upstream, replace(UpstreamFile(filename=NAME), content=out.getvalue()).content)
    with pytest.raises(MetadataNotFound):
        await (await open_mirror()).metadata(SIX, NAME)
