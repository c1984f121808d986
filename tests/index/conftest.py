"""Fixtures of the index tests: a scriptable upstream and an index that reads it."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest

from plugins.clocks import SteppingClock
from wheelyard.index.upstream import UpstreamIndex
from wheelyard.index.upstream_address import UpstreamLimits
from wheelyard.testing.fake_upstream import FakeUpstream


@dataclass
class Opened:
    """Makes upstream indexes and remembers them for closing."""

    clock: SteppingClock
    indexes: list[UpstreamIndex] = field(default_factory=list)

    async def __call__(
        self,
        url: str,
        *,
        credentials: tuple[str, str] | None = None,
        limits: UpstreamLimits | None = None,
        stream_files: bool = False,
    ) -> UpstreamIndex:
        index = UpstreamIndex(url, credentials=credentials, limits=limits, clock=self.clock, stream_files=stream_files)
        await index.start()
        self.indexes.append(index)
        return index


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as fake:
        yield fake


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
async def open_index(clock: SteppingClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Opened]:
    monkeypatch.setenv("NO_PROXY", "*")  # a proxy of the machine cannot reach our loopback ports
    opened = Opened(clock)
    yield opened
    for index in opened.indexes:
        await index.stop()


@pytest.fixture
async def index(open_index: Opened, upstream: FakeUpstream) -> UpstreamIndex:
    return await open_index(upstream.root)
