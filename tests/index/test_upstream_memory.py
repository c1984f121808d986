"""Pages are remembered as the upstream allows, and asked for once however many want them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from anyio import to_thread

from plugins.clocks import SteppingClock
from wheelyard.errors import ProjectNotFound, UpstreamUnavailable
from wheelyard.index.upstream import UpstreamIndex
from wheelyard.index.upstream_memory import PageMemory, RememberedPage, freshness
from wheelyard.model import NormalizedName, ProjectPage
from wheelyard.testing.fake_upstream import Answer, FakeUpstream, Gate, UpstreamFile, json_page, with_headers

from .conftest import Opened

pytestmark = pytest.mark.anyio

SIX = NormalizedName("six")
FILE = UpstreamFile(filename="six-1.0.tar.gz")
GOOD = json_page("six", [FILE])
YANKED = json_page("six", [UpstreamFile(filename="six-1.0.tar.gz", yanked="leaks")])


async def test_max_age(index: UpstreamIndex, upstream: FakeUpstream, clock: SteppingClock) -> None:
    """CACHE-02: a page is used without asking for as long as its max-age says, and no longer."""
    upstream.script("/simple/six/", with_headers(GOOD, cache_control="max-age=60, public"))
    await index.page(SIX)
    clock.step(59)
    await index.page(SIX)
    assert upstream.asked() == 1
    clock.step(1)
    await index.page(SIX)
    assert upstream.asked() == 2


async def test_yank_is_seen_within_the_lifetime(
    index: UpstreamIndex, upstream: FakeUpstream, clock: SteppingClock
) -> None:
    """YANK-03: what the upstream yanks later is yanked here when the page's time is over, at the latest in ten minutes."""
    upstream.script("/simple/six/", with_headers(GOOD, cache_control="max-age=86400", etag='"1"'), YANKED)
    assert (await index.page(SIX)).files[0].yanked is None
    clock.step(600)
    assert (await index.page(SIX)).files[0].yanked == "leaks"


async def test_no_headers_no_memory(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """CACHE-02: a page without a max-age is asked for each time."""
    upstream.script("/simple/six/", GOOD, YANKED)
    assert (await index.page(SIX)).files[0].yanked is None
    assert (await index.page(SIX)).files[0].yanked == "leaks"


@pytest.mark.parametrize(
    ("validator", "value", "condition"),
    [
        ("etag", '"abc"', "if-none-match"),
        ("etag", 'W/"abc"', "if-none-match"),
        ("last_modified", "Mon, 02 Mar 2026 00:00:00 GMT", "if-modified-since"),
    ],
)
async def test_conditional(
    index: UpstreamIndex, upstream: FakeUpstream, validator: str, value: str, condition: str
) -> None:
    """CACHE-01: a remembered page is asked about with its validator; after 304 it is used on."""
    upstream.script("/simple/six/", with_headers(GOOD, **{validator: value}))
    first, second, third = [await index.page(SIX) for _ in range(3)]
    assert first == second == third
    assert [question.headers.get(condition) for question in upstream.questions] == [None, value, value]


async def test_not_modified_renews(index: UpstreamIndex, upstream: FakeUpstream, clock: SteppingClock) -> None:
    """CACHE-01: a 304 renews the lifetime."""
    upstream.script("/simple/six/", with_headers(GOOD, etag='"1"', cache_control="max-age=60"))
    await index.page(SIX)
    clock.step(61)
    await index.page(SIX)
    clock.step(59)
    await index.page(SIX)
    assert upstream.asked() == 2


async def test_changed_etag(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """CACHE-01: a page whose ETag changed replaces the remembered one, and the next question carries the new ETag."""
    upstream.script("/simple/six/", with_headers(GOOD, etag='"1"'), with_headers(YANKED, etag='"2"'))
    assert (await index.page(SIX)).files[0].yanked is None
    assert (await index.page(SIX)).files[0].yanked == "leaks"
    assert (await index.page(SIX)).files[0].yanked == "leaks"
    assert [question.headers.get("if-none-match") for question in upstream.questions] == [None, '"1"', '"2"']


async def test_gone(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """DC-03: a project that the upstream removed is not found, and nothing of it is remembered."""
    upstream.script("/simple/six/", with_headers(GOOD, etag='"1"'), Answer(status=404))
    await index.page(SIX)
    for _ in range(2):
        with pytest.raises(ProjectNotFound):
            await index.page(SIX)
    assert "if-none-match" not in upstream.questions[-1].headers


async def test_no_store(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """CACHE-03: a page that may not be kept is not kept, not even for a conditional question."""
    upstream.script("/simple/six/", with_headers(GOOD, etag='"1"', cache_control="no-store, max-age=60"))
    await index.page(SIX)
    await index.page(SIX)
    assert [question.headers.get("if-none-match") for question in upstream.questions] == [None, None]


async def test_one_question_for_many(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """DC-05: any number of callers who want one page at the same moment cause one question."""
    gate = Gate()
    upstream.script("/simple/six/", Answer(headers=GOOD.headers, body=GOOD.body, gate=gate))
    pages: list[ProjectPage] = []

    async def ask() -> None:
        pages.append(await index.page(SIX))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(ask)
        await to_thread.run_sync(gate.wait_until_reached)
        gate.open()
    assert len(pages) == 20
    assert upstream.asked() == 1


async def test_who_asked_leaves(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """DC-05: when the caller whose question it is goes away, those who wait still get their page."""
    gate = Gate()
    upstream.script("/simple/six/", Answer(headers=GOOD.headers, body=GOOD.body, gate=gate))
    pages: list[ProjectPage] = []
    leader = anyio.CancelScope()

    async def lead() -> None:
        with leader:
            await index.page(SIX)

    async def follow() -> None:
        pages.append(await index.page(SIX))

    async with anyio.create_task_group() as group:
        group.start_soon(lead)
        await to_thread.run_sync(gate.wait_until_reached)
        for _ in range(3):
            group.start_soon(follow)
        await anyio.wait_all_tasks_blocked()
        leader.cancel()
        gate.open()
    assert len(pages) == 3
    assert upstream.asked() == 2


async def test_bounded(open_index: Opened, upstream: FakeUpstream, clock: SteppingClock) -> None:
    """DC-03: an upstream that fails after its page's time is over is an error; the page's time is not stretched."""
    upstream.script("/simple/six/", with_headers(GOOD, etag='"1"', cache_control="max-age=60"), Answer(status=500))
    index = await open_index(upstream.root)
    await index.page(SIX)
    clock.step(60)
    with pytest.raises(UpstreamUnavailable):
        await index.page(SIX)


def _remembered(size: int) -> RememberedPage:
    return RememberedPage(
        page=ProjectPage(name=SIX), etag=None, last_modified=None, fresh_until=datetime.now(UTC), document_bytes=size
    )


def test_memory_is_bounded() -> None:
    """DC-05: beyond its limit the memory forgets what was used least recently, and keeps no page larger than itself."""
    memory = PageMemory(limit_bytes=100)
    for name in "abc":
        memory.put(name, _remembered(40))
        memory.get("a")
    assert [name for name in "abc" if memory.get(name)] == ["a", "c"]
    memory.put("a", _remembered(10))
    memory.put("d", _remembered(50))
    assert [name for name in "abcd" if memory.get(name)] == ["a", "c", "d"]
    memory.put("huge", _remembered(101))
    assert not any(memory.get(name) for name in ("a", "c", "d", "huge"))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"cache-control": "max-age=60"}, 60),
        ({"cache-control": "Public , MAX-AGE = 60"}, 60),
        ({"cache-control": 'max-age="60"'}, 60),
        ({"cache-control": "max-age=60", "age": "45"}, 15),
        ({"cache-control": "max-age=60", "age": "75"}, 0),
        ({"cache-control": "max-age=60", "age": "soon"}, 60),
        ({"cache-control": "max-age=60, s-maxage=10"}, 10),
        ({"cache-control": "max-age=60, no-cache"}, 0),
        ({"cache-control": "max-age=-1"}, 0),
        ({"cache-control": "max-age=²"}, 0),
        ({"cache-control": "max-age=99999999999999999999"}, 0),
        ({"cache-control": "max-age=9999999999"}, 600),
        ({"cache-control": "max-age"}, 0),
        ({"cache-control": "max-age=60, no-store"}, None),
    ],
)
def test_freshness(headers: Mapping[str, str], seconds: int | None) -> None:
    """CACHE-02: an answer's lifetime is read as RFC 9111 says; what cannot be read is no permission to keep it."""
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert freshness(headers, longest=timedelta(minutes=10)) == expected
