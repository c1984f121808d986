"""Fixtures of the tests of upstreams: a scriptable upstream, an index that keeps its files, and servers in front of it."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx2
import pytest

from plugins.clocks import SteppingClock
from wheelyard.backends.filesystem.backend import FileSystemBackend
from wheelyard.compose import make_app
from wheelyard.index.mirrored import MirroredIndex, MirrorParts
from wheelyard.index.upstream import UpstreamIndex
from wheelyard.index.upstream_address import UpstreamLimits
from wheelyard.index.upstream_disk import DocumentFolder
from wheelyard.settings import load_settings
from wheelyard.storage.interface import Backend
from wheelyard.storage.store import Store
from wheelyard.testing.fake_upstream import FakeUpstream
from wheelyard.testing.loopback import LoopbackServer

MIRROR_LIMITS = UpstreamLimits(stale_s=3600, answer_s=5.0)


@dataclass
class OpenMirror:
    """Opens mirrored indexes over one folder, as one server after the other would; all are closed with the test."""

    folder: Path
    url: str
    clock: SteppingClock
    stack: AsyncExitStack
    opened: list[MirroredIndex] = field(default_factory=list)

    @property
    def files(self) -> Path:
        """Where the files are kept."""
        return self.folder / "storage" / "simple"

    async def __call__(
        self,
        *,
        url: str | None = None,
        offline: bool = False,
        limit_bytes: int = 10**9,
        free_bytes: int = 0,
        backend: Backend | None = None,
        limits: UpstreamLimits = MIRROR_LIMITS,
        seconds: Callable[[], float] = time.time,
    ) -> MirroredIndex:
        store = Store(backend or FileSystemBackend(self.folder / "storage", fsync=False), name="upstream test")
        await store.start()
        self.stack.push_async_callback(store.stop)
        documents = DocumentFolder(self.folder / "pages")
        upstream = UpstreamIndex(
            url or self.url, limits=limits, clock=self.clock, own_urls=True, documents=documents, offline=offline
        )
        parts = MirrorParts(
            store=store,
            documents=documents,
            folder=self.folder,
            limit_bytes=limit_bytes,
            free_bytes=free_bytes,
            offline=offline,
            seconds=seconds,
        )
        index = MirroredIndex(upstream, parts)
        await index.start()
        self.stack.push_async_callback(index.stop, patiently=True)
        self.opened.append(index)
        return index


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeUpstream]:
    monkeypatch.setenv("NO_PROXY", "*")  # a proxy of the machine cannot reach our loopback ports
    with FakeUpstream() as fake:
        yield fake


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
async def open_mirror(upstream: FakeUpstream, clock: SteppingClock, tmp_path: Path) -> AsyncIterator[OpenMirror]:
    async with AsyncExitStack() as stack:
        yield OpenMirror(tmp_path / "mirror", upstream.root, clock, stack)


@pytest.fixture
async def mirror(open_mirror: OpenMirror) -> MirroredIndex:
    return await open_mirror()


MAIN = '[main]\ntype = "file_system"\nread_secret = "read-secret-1"\nwrite_secret = "write-secret-2"\n'


@dataclass
class Serve:
    """Serves configurations in this process, each with a client that may write."""

    root: Path
    stack: ExitStack

    def __call__(self, tables: str, *, name: str = "root", config: str = MAIN, **overrides: object) -> httpx2.Client:
        settings = load_settings(self.root / name, config=config + tables, text_allowed=True, overrides=overrides)
        settings = replace(settings, server=replace(settings.server, log_level="error"))
        app, _ = make_app(settings)
        server = self.stack.enter_context(LoopbackServer(app, lifespan=True))
        return self.stack.enter_context(
            httpx2.Client(base_url=server.url, auth=("main", "write-secret-2"), trust_env=False, timeout=30)
        )


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    monkeypatch.setenv("NO_PROXY", "*")
    with ExitStack() as stack:
        yield Serve(tmp_path, stack)
