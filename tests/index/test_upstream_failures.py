"""An upstream that fails is an error with its cause, in bounded time; it is never "not found"."""

import time
from dataclasses import replace

import anyio
import pytest
from anyio import to_thread

from wheelyard.errors import ProjectNotFound, UpstreamInvalid, UpstreamUnavailable
from wheelyard.index.upstream_address import UpstreamLimits
from wheelyard.model import NormalizedName
from wheelyard.testing.fake_upstream import Answer, FakeUpstream, Gate, UpstreamFile, json_page, with_headers

from .conftest import Opened

pytestmark = pytest.mark.anyio

SIX = NormalizedName("six")
GOOD = json_page("six", [UpstreamFile(filename="six-1.0.tar.gz")])


@pytest.mark.parametrize("status", [400, 401, 403, 406, 407, 408, 418, 429, 451, 500, 501, 502, 503, 504, 520, 599])
async def test_statuses(open_index: Opened, upstream: FakeUpstream, status: int) -> None:
    """DC-03, DC-04: every failing status means that nothing is known of the project; none is passed on."""
    upstream.script("/simple/six/", Answer(status=status, headers={"content-type": "text/html"}, body=b"<html></html>"))
    index = await open_index(upstream.root)
    with pytest.raises(UpstreamUnavailable, match=str(status)):
        await index.page(SIX)


@pytest.mark.parametrize("status", [401, 403])
async def test_refusal_says_whose_business_it_is(open_index: Opened, upstream: FakeUpstream, status: int) -> None:
    """DC-04: a refusal by the upstream tells the administrator to look at the credentials of this server."""
    upstream.script("/simple/six/", Answer(status=status))
    with pytest.raises(UpstreamUnavailable) as caught:
        await (await open_index(upstream.root)).page(SIX)
    assert "credentials this server has" in (caught.value.hint or "")


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_gateway_failures_are_retried(open_index: Opened, upstream: FakeUpstream, status: int) -> None:
    """DC-03: a gateway's hiccup is asked about again."""
    upstream.script("/simple/six/", Answer(status=status), Answer(status=status), GOOD)
    assert (await (await open_index(upstream.root)).page(SIX)).files
    assert upstream.asked() == 3


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 501])
async def test_answers_are_not_retried(open_index: Opened, upstream: FakeUpstream, status: int) -> None:
    """DC-03: what a retry would not change, or make worse, is asked once."""
    upstream.script("/simple/six/", Answer(status=status), GOOD)
    with pytest.raises((ProjectNotFound, UpstreamUnavailable)):
        await (await open_index(upstream.root)).page(SIX)
    assert upstream.asked() == 1


async def test_retries_end(open_index: Opened, upstream: FakeUpstream) -> None:
    """DC-03: retries are few; installers wait for ten seconds only."""
    upstream.script("/simple/six/", Answer(status=503))
    before = time.monotonic()
    with pytest.raises(UpstreamUnavailable, match="503"):
        await (await open_index(upstream.root)).page(SIX)
    assert upstream.asked() == 3
    assert time.monotonic() - before < 8


async def test_cut_off_is_retried(open_index: Opened, upstream: FakeUpstream) -> None:
    """DC-03: a page that breaks off is asked for again."""
    upstream.script("/simple/six/", replace(GOOD, cut_after=40), GOOD)
    assert (await (await open_index(upstream.root)).page(SIX)).files
    assert upstream.asked() == 2


async def test_cut_off_every_time(open_index: Opened, upstream: FakeUpstream) -> None:
    """DC-03: half a page is never taken for a page."""
    upstream.script("/simple/six/", replace(GOOD, cut_after=40))
    with pytest.raises(UpstreamUnavailable):
        await (await open_index(upstream.root)).page(SIX)


@pytest.mark.parametrize("pause_after", [None, 40], ids=["before the answer", "within the answer"])
async def test_too_slow(open_index: Opened, upstream: FakeUpstream, pause_after: int | None) -> None:
    """DC-03: an upstream that takes too long is given up before installers give up on us."""
    upstream.script("/simple/six/", replace(GOOD, gate=Gate(), pause_after=pause_after))
    index = await open_index(upstream.root, limits=UpstreamLimits(answer_s=0.3))
    with anyio.fail_after(5), pytest.raises(UpstreamUnavailable, match=r"within 0\.3 seconds"):
        await index.page(SIX)


@pytest.mark.parametrize("pause_after", [None, 40], ids=["before the answer", "within the answer"])
async def test_silent(open_index: Opened, upstream: FakeUpstream, pause_after: int | None) -> None:
    """DC-03: an upstream that falls silent is given up, and not asked again within the same question."""
    upstream.script("/simple/six/", replace(GOOD, gate=Gate(), pause_after=pause_after))
    index = await open_index(upstream.root, limits=UpstreamLimits(silence_s=0.2))
    with anyio.fail_after(5), pytest.raises(UpstreamUnavailable):
        await index.page(SIX)
    assert upstream.asked() == 1


@pytest.mark.parametrize("told", [True, False], ids=["length told", "length not told"])
async def test_huge_page(open_index: Opened, upstream: FakeUpstream, *, told: bool) -> None:
    """DC-03: a page beyond the limit is refused, by its announced length or while it comes in."""
    page = json_page("six", [UpstreamFile(filename="six-1.0.tar.gz")], padding="x" * 300_000)
    upstream.script("/simple/six/", page if told else with_headers(page, content_length=""))
    index = await open_index(upstream.root, limits=UpstreamLimits(page_bytes=200_000))
    with pytest.raises(UpstreamInvalid, match="larger than 200000 bytes"):
        await index.page(SIX)


async def test_connection_refused(open_index: Opened) -> None:
    """DC-03: an upstream that is down is not available."""
    with FakeUpstream() as gone:
        root = gone.root
    with pytest.raises(UpstreamUnavailable) as caught:
        await (await open_index(root)).page(SIX)
    assert caught.value.__cause__ is not None


async def test_unknown_host(open_index: Opened) -> None:
    """DC-03: a host name that nobody knows is an upstream that is not available."""
    index = await open_index("http://upstream.invalid/simple/", limits=UpstreamLimits(attempts=1))
    with pytest.raises(UpstreamUnavailable):
        await index.page(SIX)


async def test_no_tls(open_index: Opened, upstream: FakeUpstream) -> None:
    """DC-03: a server that does not speak TLS is an upstream that is not available."""
    index = await open_index(upstream.root.replace("http:", "https:"), limits=UpstreamLimits(attempts=1))
    with pytest.raises(UpstreamUnavailable):
        await index.page(SIX)


async def test_recovers(open_index: Opened, upstream: FakeUpstream) -> None:
    """DC-03: after a failure the next question is asked anew."""
    upstream.script("/simple/six/", Answer(status=500), GOOD)
    index = await open_index(upstream.root)
    with pytest.raises(UpstreamUnavailable):
        await index.page(SIX)
    assert (await index.page(SIX)).files


async def test_failure_reaches_all_who_wait(open_index: Opened, upstream: FakeUpstream) -> None:
    """DC-03: those who wait for the same page get the same error from one question."""
    gate = Gate()
    upstream.script("/simple/six/", Answer(status=500, gate=gate))
    index = await open_index(upstream.root)
    failures: list[UpstreamUnavailable] = []

    async def ask() -> None:
        with pytest.raises(UpstreamUnavailable) as caught:
            await index.page(SIX)
        failures.append(caught.value)

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(ask)
        await to_thread.run_sync(gate.wait_until_reached)
        gate.open()
    assert len(failures) == 5
    assert upstream.asked() == 1
