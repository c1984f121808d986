"""Files of an upstream are fetched once, compared, kept, and given from here from then on."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from dataclasses import replace
from typing import cast

import anyio
import pytest
from anyio import to_thread

from plugins.clocks import SteppingClock
from wheelyard.backends.memory import MemoryBackend
from wheelyard.errors import DistFileNotFound, UpstreamInvalid, UpstreamUnavailable
from wheelyard.index.interface import StreamBody
from wheelyard.index.mirror_fetching import DownloadSpool
from wheelyard.index.mirrored import MirroredIndex
from wheelyard.model import Filename, NormalizedName
from wheelyard.storage.interface import ByteRange, LocalPath
from wheelyard.testing.fake_upstream import (
    Answer,
    FakeUpstream,
    Gate,
    UpstreamFile,
    html_page,
    json_page,
    redirect,
    with_headers,
)
from wheelyard.testing.index_suite import read

from .conftest import MIRROR_LIMITS, OpenMirror

pytestmark = pytest.mark.anyio

SIX = NormalizedName("six")
NAME = Filename("six-1.0.tar.gz")
CONTENT = bytes(range(256)) * 12_000  # 3 MB: more than what is held back
LARGE = bytes(range(251)) * 40_000  # 10 MB: many pieces
FILE = UpstreamFile(filename=NAME, content=CONTENT)
AGED = {"cache_control": "max-age=60", "etag": '"1"'}


async def fetch(index: MirroredIndex, name: str = NAME) -> bytes:
    return await read(await index.file(SIX, Filename(name)))


def kept(opened: OpenMirror) -> dict[str, bytes]:
    """Everything in the cache, by file name; nothing of it may ever be wrong."""
    return {path.name: path.read_bytes() for path in opened.files.rglob("*") if path.is_file()}


@pytest.mark.parametrize("content", [b"", b"x", CONTENT, LARGE], ids=["empty", "tiny", "3 MB", "10 MB"])
async def test_first_and_second(open_mirror: OpenMirror, upstream: FakeUpstream, content: bytes) -> None:
    """DC-06: the first reader gets the upstream's bytes as they come in, the next one those that were kept."""
    index = await open_mirror()
    file = replace(FILE, content=content)
    upstream.offer("six", file)
    assert isinstance((await index.file(SIX, NAME)).body, StreamBody)
    assert await fetch(index) == content
    await index.settle()
    found = await index.file(SIX, NAME)
    assert isinstance(found.body, LocalPath)
    assert await read(found) == content
    assert upstream.asked(file.path) == 1
    assert kept(open_mirror) == {NAME: content}


async def test_every_store(open_mirror: OpenMirror, upstream: FakeUpstream) -> None:
    """DC-06: files may be kept in a store of any kind."""
    index = await open_mirror(backend=MemoryBackend())
    upstream.offer("six", FILE)
    assert await fetch(index) == CONTENT
    await index.settle()
    assert await fetch(index) == CONTENT
    assert await read(await index.file(SIX, NAME), ByteRange(5, 700)) == CONTENT[5:700]
    assert upstream.asked(FILE.path) == 1


async def test_one_download_for_many(mirror: MirroredIndex, upstream: FakeUpstream) -> None:
    """DC-06: a hundred readers of one file that is not kept yet cause one download, and all get all of it."""
    gate = Gate()
    upstream.offer("six", FILE)
    upstream.script(FILE.path, Answer(body=CONTENT, gate=gate, pause_after=1_000_000))
    digests: list[str] = []

    async def one() -> None:
        digests.append(hashlib.sha256(await fetch(mirror)).hexdigest())

    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(one)
        await to_thread.run_sync(gate.wait_until_reached)
        gate.open()
    assert digests == [FILE.sha256] * 100
    assert upstream.asked(FILE.path) == 1


async def test_first_bytes_come_early(mirror: MirroredIndex, upstream: FakeUpstream) -> None:
    """FILE-01: the first reader need not wait for the whole file."""
    gate = Gate()
    upstream.offer("six", FILE)
    upstream.script(FILE.path, Answer(body=CONTENT, gate=gate, pause_after=1_000_000))
    body = (await mirror.file(SIX, NAME)).body
    assert isinstance(body, StreamBody)
    async with aclosing(cast("AsyncGenerator[bytes]", body.open(None))) as pieces:
        first = await anext(pieces)
        assert CONTENT.startswith(first)
        assert len(first) <= 1_000_000
        gate.open()
        assert first + b"".join([piece async for piece in pieces]) == CONTENT


async def test_slow_reader(mirror: MirroredIndex, upstream: FakeUpstream) -> None:
    """FILE-01: who reads slowly holds nobody up, and gets the rest although the store has taken the file."""
    file = replace(FILE, content=LARGE)
    upstream.offer("six", file)
    body = (await mirror.file(SIX, NAME)).body
    assert isinstance(body, StreamBody)
    async with aclosing(cast("AsyncGenerator[bytes]", body.open(None))) as pieces:
        first = await anext(pieces)
        await mirror.settle()
        assert first + b"".join([piece async for piece in pieces]) == LARGE


async def test_reader_leaves(open_mirror: OpenMirror, upstream: FakeUpstream) -> None:
    """DC-06: a download goes on when its first reader goes away: the next one will want the file too."""
    index = await open_mirror()
    upstream.offer("six", FILE)
    body = (await index.file(SIX, NAME)).body
    assert isinstance(body, StreamBody)
    async with aclosing(cast("AsyncGenerator[bytes]", body.open(None))) as pieces:
        await anext(pieces)
    await index.settle()
    assert kept(open_mirror) == {NAME: CONTENT}


@pytest.mark.parametrize("size", [1000, len(CONTENT)], ids=["small", "3 MB"])
async def test_wrong_bytes(open_mirror: OpenMirror, upstream: FakeUpstream, size: int) -> None:
    """DC-06: a file whose bytes are not those of its page never arrives whole, a small one not at all; it is not kept."""
    index = await open_mirror()
    upstream.offer("six", replace(FILE, content=CONTENT[:size]))
    upstream.script(FILE.path, Answer(body=b"!" * size))
    body = (await index.file(SIX, NAME)).body
    assert isinstance(body, StreamBody)
    arrived = bytearray()

    async def drain() -> None:
        async for piece in body.open(None):
            arrived.extend(piece)

    with pytest.raises(UpstreamInvalid, match="SHA-256"):
        await drain()
    assert len(arrived) < size
    assert not arrived or size > 1000
    await index.settle()
    assert kept(open_mirror) == {}
    assert index.counters.mismatches == 1
    upstream.script(FILE.path, Answer(body=CONTENT[:size]))
    assert await fetch(index) == CONTENT[:size]


@pytest.mark.parametrize("ranges", [True, False], ids=["206", "200"])
async def test_cut_off_goes_on(open_mirror: OpenMirror, upstream: FakeUpstream, *, ranges: bool) -> None:
    """DC-06: a download that breaks off goes on where it was, whether the upstream serves ranges or not."""
    index = await open_mirror()
    upstream.offer("six", FILE)
    upstream.script(
        FILE.path, Answer(body=CONTENT, cut_after=1_500_000, ranges=ranges), Answer(body=CONTENT, ranges=ranges)
    )
    assert await fetch(index) == CONTENT
    await index.settle()
    assert kept(open_mirror) == {NAME: CONTENT}
    assert upstream.questions_for(FILE.path)[1].headers["range"].startswith("bytes=")
    assert index.counters.resumed == 1


@pytest.mark.parametrize(("ranges", "asked"), [(True, 5), (False, 2)], ids=["some bytes each time", "always the same"])
async def test_cut_off_for_good(open_mirror: OpenMirror, upstream: FakeUpstream, asked: int, *, ranges: bool) -> None:
    """DC-06: an upstream that always breaks off is an error for all who wait, and nothing is kept."""
    index = await open_mirror()
    upstream.offer("six", FILE)
    upstream.script(FILE.path, Answer(body=CONTENT, cut_after=1000, ranges=ranges))
    with anyio.fail_after(30), pytest.raises(UpstreamUnavailable):
        await fetch(index)
    assert upstream.asked(FILE.path) == asked
    await index.settle()
    assert kept(open_mirror) == {}


@pytest.mark.parametrize("after", [None, 1000], ids=["before the head", "in the body"])
async def test_silent_for_good(open_mirror: OpenMirror, upstream: FakeUpstream, after: int | None) -> None:
    """DC-06: an upstream that falls silent, and has nothing more when asked again, is not waited for a third time."""
    index = await open_mirror(limits=replace(MIRROR_LIMITS, silence_s=0.2))
    upstream.offer("six", FILE)
    upstream.script(FILE.path, Answer(body=CONTENT, gate=Gate(), pause_after=after))
    with anyio.fail_after(30), pytest.raises(UpstreamUnavailable):
        await fetch(index)
    assert upstream.asked(FILE.path) == (1 if after is None else 2)


async def test_changed_between_two_attempts(open_mirror: OpenMirror, upstream: FakeUpstream) -> None:
    """DC-06: where the rest is of other bytes than the start, nobody gets the whole; who asks again gets it from its start."""
    index = await open_mirror()
    upstream.offer("six", FILE)
    other = bytes(len(CONTENT))
    upstream.script(FILE.path, Answer(body=other, cut_after=1000), Answer(body=CONTENT, ranges=True))
    with pytest.raises(UpstreamInvalid, match="digest"):
        await fetch(index)
    await index.settle()
    assert kept(open_mirror) == {}
    assert await fetch(index) == CONTENT
    assert "range" not in upstream.questions_for(FILE.path)[-1].headers


@pytest.mark.parametrize("status", [401, 403, 404, 500])
async def test_refused_file(mirror: MirroredIndex, upstream: FakeUpstream, status: int) -> None:
    """DC-04: a file that the upstream lists and does not give is an error before the first byte."""
    upstream.offer("six", FILE)
    upstream.script(FILE.path, Answer(status=status))
    with pytest.raises(DistFileNotFound if status == 404 else UpstreamUnavailable):
        await fetch(mirror)


async def test_redirected_file(mirror: MirroredIndex, upstream: FakeUpstream) -> None:
    """FILE-05: a redirect to where the bytes are is followed here, so clients see one host only."""
    upstream.offer("six", FILE)
    upstream.script(FILE.path, redirect(f"{upstream.other_origin}/elsewhere"))
    upstream.script("/elsewhere", Answer(body=CONTENT))
    assert await fetch(mirror) == CONTENT


async def test_damaged_copy(open_mirror: OpenMirror, upstream: FakeUpstream) -> None:
    """DC-06: a kept file that was damaged, under a running server or between two, is fetched again and not given."""
    first = await open_mirror()
    upstream.offer("six", FILE)
    await fetch(first)
    await first.settle()
    path = open_mirror.files / "six" / NAME
    for index in (first, await open_mirror()):
        path.chmod(0o600)
        path.write_bytes(b"?" * len(CONTENT))
        assert await fetch(index) == CONTENT
        await index.settle()
        assert kept(open_mirror) == {NAME: CONTENT}
    assert upstream.asked(FILE.path) == 3


async def test_other_bytes_under_one_name(open_mirror: OpenMirror, upstream: FakeUpstream) -> None:
    """DC-06: an upstream that gives a name to other bytes gets them kept in place of the old ones."""
    index = await open_mirror()
    upstream.offer("six", FILE)
    await fetch(index)
    await index.settle()
    upstream.offer("six", replace(FILE, content=b"other bytes"))
    assert await fetch(index) == b"other bytes"
    await index.settle()
    assert kept(open_mirror) == {NAME: b"other bytes"}


async def test_restart_while_down(open_mirror: OpenMirror, clock: SteppingClock) -> None:
    """DC-03: after a restart, with the upstream down, what was kept is served: page, file and metadata."""
    with ExitStack() as stack:
        upstream = stack.enter_context(FakeUpstream())
        wheel = UpstreamFile(filename="six-1.0-py3-none-any.whl", content=CONTENT, metadata=b"Metadata-Version: 2.1\n")
        upstream.offer("six", wheel, page=with_headers(json_page("six", [wheel]), **AGED))
        before = await open_mirror(url=upstream.root)
        await fetch(before, wheel.filename)
        await before.metadata(SIX, Filename(wheel.filename))
        await before.settle()
        root = upstream.root
    clock.step(600)
    after = await open_mirror(url=root)
    assert [file.filename for file in (await after.page(SIX)).files] == [wheel.filename]
    assert await fetch(after, wheel.filename) == CONTENT
    assert await after.metadata(SIX, Filename(wheel.filename)) == wheel.metadata
    assert after.counters.stale > 0


RANGES = [(0, 1), (0, 100), (1_000_000, 2_500_000), (len(CONTENT) - 10, len(CONTENT)), (5, 10**9)]


@pytest.mark.parametrize(("start", "stop"), RANGES)
async def test_ranges(mirror: MirroredIndex, upstream: FakeUpstream, start: int, stop: int) -> None:
    """FILE-02: a range has exactly its bytes before the file is kept, and after."""
    upstream.offer("six", FILE)
    wanted = ByteRange(start, stop)
    assert await read(await mirror.file(SIX, NAME), wanted) == CONTENT[start:stop]
    await fetch(mirror)
    await mirror.settle()
    assert await read(await mirror.file(SIX, NAME), wanted) == CONTENT[start:stop]


async def test_end_is_not_waited_for(mirror: MirroredIndex, upstream: FakeUpstream) -> None:
    """FILE-02: who wants the end of a file that is not kept gets it from the upstream, without the rest."""
    upstream.offer("six", FILE)
    assert await read(await mirror.file(SIX, NAME), ByteRange(3_000_000, 3_000_100)) == CONTENT[3_000_000:3_000_100]
    assert [question.headers.get("range") for question in upstream.questions_for(FILE.path)] == [
        "bytes=3000000-3000099"
    ]


async def test_without_digest(open_mirror: OpenMirror, upstream: FakeUpstream) -> None:
    """DC-06: a file whose page tells no digest is streamed and not kept: nothing could tell that it is right."""
    index = await open_mirror()
    upstream.offer("six", replace(FILE, keys={"hashes": {}}))
    assert await fetch(index) == CONTENT
    assert await fetch(index) == CONTENT
    assert upstream.asked(FILE.path) == 2
    assert kept(open_mirror) == {}


async def test_html_only(mirror: MirroredIndex, upstream: FakeUpstream) -> None:
    """DC-05: files of an upstream that speaks HTML only, and tells no sizes, are kept too."""
    upstream.offer("six", FILE, page=html_page([FILE]))
    assert await fetch(mirror) == CONTENT
    await mirror.settle()
    found = await mirror.file(SIX, NAME)
    assert (isinstance(found.body, LocalPath), found.size) == (True, len(CONTENT))


async def test_quarantined_later(mirror: MirroredIndex, upstream: FakeUpstream) -> None:
    """ST-06: a kept file of a project that the upstream quarantines is no longer given."""
    upstream.offer("six", FILE)
    await fetch(mirror)
    upstream.offer("six", FILE, page=json_page("six", [FILE], **{"project-status": {"status": "quarantined"}}))
    with pytest.raises(DistFileNotFound):
        await mirror.file(SIX, NAME)


async def test_yanked_later(mirror: MirroredIndex, upstream: FakeUpstream) -> None:
    """YANK-03, YANK-04: a kept file that the upstream yanks later shows the mark, and still opens."""
    upstream.offer("six", FILE)
    await fetch(mirror)
    upstream.offer("six", replace(FILE, yanked="leaks"))
    assert (await mirror.page(SIX)).files[0].yanked == "leaks"
    assert await fetch(mirror) == CONTENT


async def test_least_recently_used_go_first(open_mirror: OpenMirror, upstream: FakeUpstream) -> None:
    """DC-06: a cache beyond its bound loses what was not used for longest."""
    ticks = iter(range(100))
    index = await open_mirror(limit_bytes=3500, seconds=lambda: float(next(ticks)))
    files = [UpstreamFile(filename=f"six-{number}.0.tar.gz", content=bytes([number]) * 1000) for number in range(1, 5)]
    upstream.offer("six", *files)
    for file in (files[0], files[1], files[2], files[0], files[3]):
        assert await fetch(index, file.filename) == file.content
        await index.settle()
    assert set(kept(open_mirror)) == {files[0].filename, files[2].filename, files[3].filename}
    assert await fetch(index, files[1].filename) == files[1].content


async def test_leftovers_of_killed_processes(open_mirror: OpenMirror) -> None:
    """DC-06: what a killed process had on its way is removed at the next start; what somebody alive writes stays."""
    folder = open_mirror.folder / "spool"
    folder.mkdir(parents=True)
    (folder / "spool-1-0123456789abcdef").write_bytes(b"of a process that was killed")
    (folder / "mine").write_bytes(b"no spool")
    with DownloadSpool(folder, "test") as alive:
        alive.write(b"of a process that lives")
        await open_mirror(backend=MemoryBackend())
        assert {path.name for path in folder.iterdir()} == {alive.path.name, "mine"}


async def test_no_room(open_mirror: OpenMirror, upstream: FakeUpstream) -> None:
    """DC-06: what would fill the disk, or the whole cache, is streamed and not kept."""
    upstream.offer("six", FILE)
    for index in (await open_mirror(limit_bytes=1000), await open_mirror(free_bytes=10**15)):
        assert await fetch(index) == CONTENT
    assert kept(open_mirror) == {}


async def test_disk_fails(open_mirror: OpenMirror, upstream: FakeUpstream) -> None:
    """DC-06: a disk that takes nothing costs the cache its copy, and the reader nothing."""
    upstream.offer("six", FILE)
    open_mirror.folder.mkdir()
    (open_mirror.folder / "spool").write_bytes(b"in the way of a folder")
    index = await open_mirror(backend=MemoryBackend())
    assert await fetch(index) == CONTENT
    assert await fetch(index) == CONTENT
