"""Files that are streamed from a store, since it has no path and no address for them."""

from __future__ import annotations

import pytest

from server.sites import Site
from wheelyard.testing.builders import WheelBuilder

pytestmark = pytest.mark.anyio

NOISE = bytes(number * 7919 >> 3 & 0xFF for number in range(3_000_000))
WHEEL = WheelBuilder(files={"noise.bin": NOISE}, method=0)
CONTENT = WHEEL.bytes()
URL = f"/simple/demo/{WHEEL.file_name}"


@pytest.fixture
async def demo(site: Site) -> Site:
    await site.publish(WHEEL)
    return site


async def test_whole(demo: Site) -> None:
    """SB-05, FILE-01: a streamed file has its exact length and bytes, and no encoding."""
    answer = await demo.get(URL, accept_encoding="gzip, deflate, zstd")
    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["accept-ranges"] == "bytes"
    assert "content-encoding" not in answer.headers
    assert "transfer-encoding" not in answer.headers


RANGES = [
    ("bytes=0-99", slice(0, 100)),
    ("bytes=-500", slice(-500, None)),
    ("bytes=1048570-1048590", slice(1048570, 1048591)),
    ("bytes=2999990-", slice(2999990, None)),
    ("bytes=0-", slice(0, None)),
]


@pytest.mark.parametrize(("wanted", "part"), RANGES, ids=[case[0] for case in RANGES])
async def test_range(demo: Site, wanted: str, part: slice) -> None:
    """SB-05, FILE-02: a range reaches into the store, and is exact across its pieces."""
    answer = await demo.get(URL, range=wanted)
    assert answer.status_code == 206
    assert answer.content == CONTENT[part]
    start, stop, _ = part.indices(len(CONTENT))
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(CONTENT)}"
    assert answer.headers["content-length"] == str(stop - start)


async def test_head(demo: Site) -> None:
    """URL-14: HEAD of a streamed file opens no stream and says its length."""
    answer = await demo.ask("HEAD", URL)
    assert answer.status_code == 200
    assert answer.content == b""
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["accept-ranges"] == "bytes"
