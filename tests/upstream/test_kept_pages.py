"""Pages outlive the process, are given while the upstream is down, and tell how long they may be used without asking."""

from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from plugins.clocks import SteppingClock
from wheelyard.errors import ProjectNotFound, UpstreamOffline, UpstreamRefused, UpstreamUnavailable
from wheelyard.index.upstream_disk import DocumentFolder, KeptDocument
from wheelyard.model import NormalizedName
from wheelyard.storage.interface import ABSENT
from wheelyard.testing.fake_upstream import Answer, FakeUpstream, UpstreamFile, html_page, json_page, with_headers
from wheelyard.testing.index_suite import read

from .conftest import MIRROR_LIMITS, OpenMirror

pytestmark = pytest.mark.anyio

SIX = NormalizedName("six")
FILE = UpstreamFile(filename="six-1.0.tar.gz")
NEWER = UpstreamFile(filename="six-2.0.tar.gz")
GOOD = with_headers(json_page("six", [FILE]), cache_control="max-age=60", etag='"1"')
CHANGED = with_headers(json_page("six", [FILE, NEWER]), cache_control="max-age=60", etag='"2"')


async def test_fresh_after_restart(open_mirror: OpenMirror, upstream: FakeUpstream) -> None:
    """CACHE-02: a page whose time is not over is not asked for again by the next process."""
    upstream.script("/simple/six/", GOOD)
    await (await open_mirror()).page(SIX)
    assert (await (await open_mirror()).page(SIX)).files
    assert upstream.asked() == 1


async def test_conditional_after_restart(open_mirror: OpenMirror, upstream: FakeUpstream, clock: SteppingClock) -> None:
    """CACHE-01: a page whose time is over is asked for by its tag, also by the next process."""
    upstream.script("/simple/six/", GOOD)
    await (await open_mirror()).page(SIX)
    clock.step(61)
    index = await open_mirror()
    assert (await index.page(SIX)).files
    assert upstream.questions[-1].headers["if-none-match"] == '"1"'
    assert index.counters.unchanged == 1
    assert (await (await open_mirror()).page(SIX)).files
    assert upstream.asked() == 2


async def test_html_after_restart(open_mirror: OpenMirror, upstream: FakeUpstream) -> None:
    """CACHE-02: a page in HTML is kept as well."""
    upstream.script("/simple/six/", with_headers(html_page([FILE]), cache_control="max-age=60"))
    before = await (await open_mirror()).page(SIX)
    assert await (await open_mirror()).page(SIX) == before
    assert upstream.asked() == 1


@pytest.mark.parametrize("status", [500, 502, 503, 429])
async def test_stale_while_failing(
    open_mirror: OpenMirror, upstream: FakeUpstream, clock: SteppingClock, status: int
) -> None:
    """DC-03: while the upstream fails its last page is given, and it is left alone for a moment; then it is asked again."""
    upstream.script("/simple/six/", GOOD)
    index = await open_mirror()
    await index.page(SIX)
    upstream.script("/simple/six/", Answer(status=status))
    clock.step(100)
    for _ in range(10):
        assert [file.filename for file in (await index.page(SIX)).files] == [FILE.filename]
    failed = upstream.asked()
    assert failed <= 4
    assert index.peek(SIX) is not None
    upstream.script("/simple/six/", CHANGED)
    clock.step(6)
    assert index.peek(SIX) is None
    assert [file.filename for file in (await index.page(SIX)).files] == [FILE.filename, NEWER.filename]


async def test_too_stale(open_mirror: OpenMirror, upstream: FakeUpstream, clock: SteppingClock) -> None:
    """DC-03: a page that is older than the administrator bears is not given: then the failure is told."""
    upstream.script("/simple/six/", GOOD, Answer(status=500))
    index = await open_mirror()
    await index.page(SIX)
    clock.step(MIRROR_LIMITS.stale_s + 61)
    with pytest.raises(UpstreamUnavailable):
        await index.page(SIX)


@pytest.mark.parametrize("status", [401, 403])
async def test_refused(open_mirror: OpenMirror, upstream: FakeUpstream, clock: SteppingClock, status: int) -> None:
    """DC-04: who was shut out is told so, with advice, and gets no old page."""
    upstream.script("/simple/six/", GOOD, Answer(status=status))
    index = await open_mirror()
    await index.page(SIX)
    clock.step(61)
    with pytest.raises(UpstreamRefused) as caught:
        await index.page(SIX)
    assert "credentials" in (caught.value.hint or "")


async def test_gone_is_gone(open_mirror: OpenMirror, upstream: FakeUpstream, clock: SteppingClock) -> None:
    """URL-07: a project that the upstream no longer has is not served from what was kept, nor after a restart."""
    upstream.script("/simple/six/", GOOD, Answer(status=404), Answer(status=500))
    index = await open_mirror()
    await index.page(SIX)
    clock.step(61)
    with pytest.raises(ProjectNotFound):
        await index.page(SIX)
    with pytest.raises(UpstreamUnavailable):
        await (await open_mirror()).page(SIX)


async def test_absence_is_remembered(open_mirror: OpenMirror, upstream: FakeUpstream, clock: SteppingClock) -> None:
    """CACHE-02: that there is no such project is believed for a moment, and seen to end."""
    index = await open_mirror(limits=replace(MIRROR_LIMITS, absent_s=30))
    for _ in range(5):
        with pytest.raises(ProjectNotFound):
            await index.page(SIX)
    assert upstream.asked() == 1
    assert index.peek(SIX) is ABSENT
    upstream.script("/simple/six/", GOOD)
    clock.step(30)
    assert (await index.page(SIX)).files


async def test_revision(open_mirror: OpenMirror, upstream: FakeUpstream, clock: SteppingClock) -> None:
    """CACHE-01: a page tells the same revision as long as it is the same, and none when it has to be asked for."""
    upstream.script("/simple/six/", GOOD)
    index = await open_mirror()
    peek = index.peeker(SIX)
    assert peek() is None
    await index.page(SIX)
    first = peek()
    assert first is not None
    clock.step(61)
    assert peek() is None
    await index.page(SIX)
    assert peek() == index.peek(SIX) == first
    upstream.script("/simple/six/", CHANGED)
    clock.step(61)
    await index.page(SIX)
    assert peek() not in (None, first)


async def test_least_age(open_mirror: OpenMirror, upstream: FakeUpstream, clock: SteppingClock) -> None:
    """CACHE-02: of an upstream that says nothing a page is believed for as long as the administrator says."""
    upstream.script("/simple/six/", json_page("six", [FILE]))
    index = await open_mirror(limits=replace(MIRROR_LIMITS, least_fresh_s=20))
    for seconds in (0, 19, 1):
        clock.step(seconds)
        await index.page(SIX)
    assert upstream.asked() == 2


async def test_offline(open_mirror: OpenMirror, upstream: FakeUpstream, clock: SteppingClock) -> None:
    """DC-03: offline, pages of any age list what is kept and nothing else; the rest is 503, and nobody is asked."""
    upstream.offer("six", FILE, NEWER, page=GOOD)
    upstream.script("/simple/six/", CHANGED)
    online = await open_mirror()
    await read(await online.file(SIX, (await online.page(SIX)).files[0].filename))
    await online.settle()
    asked = upstream.asked()
    clock.step(10**8)
    index = await open_mirror(offline=True)
    page = await index.page(SIX)
    assert ([file.filename for file in page.files], page.versions) == ([FILE.filename], ("1.0",))
    assert await read(await index.file(SIX, page.files[0].filename)) == FILE.content
    with pytest.raises(UpstreamOffline, match=r"six-2\.0"):
        await index.file(SIX, (await online.page(SIX)).files[1].filename)
    with pytest.raises(UpstreamOffline, match="offline"):
        await index.page(NormalizedName("seven"))
    assert index.peek(SIX) is None
    assert upstream.asked() == asked + 1  # the online one, whose page was too old


async def test_down_from_the_start(open_mirror: OpenMirror) -> None:
    """DC-03: an upstream that never answered is an error, not an empty page."""
    with ExitStack() as stack:
        root = stack.enter_context(FakeUpstream()).root
    with pytest.raises(UpstreamUnavailable):
        await (await open_mirror(url=root)).page(SIX)


def kept_document(content: bytes) -> KeptDocument:
    return KeptDocument(
        content=content,
        url="https://upstream.example/simple/six/",
        content_type="text/html",
        etag='"1"',
        last_modified=None,
        fresh_until=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "other name", "no head"])
def test_damaged_documents(tmp_path: Path, damage: str) -> None:
    """DC-06: a document that is not what was written counts as absent."""
    folder = DocumentFolder(tmp_path)
    folder.save("six", kept_document(b"content"))
    assert folder.load("six") == kept_document(b"content")
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    written = path.read_bytes()
    damaged = {"cut": written[:-1], "changed": written[:-1] + b"!", "empty": b"", "no head": b"\n\xff"}
    if damage == "other name":
        folder.save("seven", kept_document(b"content"))
        [other] = [each for each in tmp_path.rglob("*") if each.is_file() and each != path]
        other.replace(path)
    else:
        path.write_bytes(damaged[damage])
    assert folder.load("six") is None


def test_documents_are_bounded(tmp_path: Path) -> None:
    """DC-06: documents beyond the bound go, those written longest ago first."""
    folder = DocumentFolder(tmp_path, limit_bytes=10_000)
    for number in range(20):
        folder.save(str(number), kept_document(bytes(1000)))
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.doc")) <= 10_000
    assert folder.load("19") is not None
    assert folder.load("0") is None


def test_documents_are_renewed(tmp_path: Path) -> None:
    """CACHE-01: a document may be used for longer; one that is not there stays away."""
    folder = DocumentFolder(tmp_path)
    folder.save("six", kept_document(b"content"))
    later = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=1)
    folder.renew("six", fresh_until=later)
    folder.renew("seven", fresh_until=later)
    assert folder.load("six") == replace(kept_document(b"content"), fresh_until=later)
    assert folder.load("seven") is None
    folder.drop("six")
    assert folder.load("six") is None


def test_no_place_for_documents(tmp_path: Path) -> None:
    """DC-06: a disk that takes nothing loses documents, nothing else."""
    (tmp_path / "file").write_bytes(b"")
    folder = DocumentFolder(tmp_path / "file")
    folder.save("six", kept_document(b"content"))
    folder.drop("six")
    assert folder.load("six") is None
