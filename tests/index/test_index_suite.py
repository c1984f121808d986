"""The suite of all indexes, on our own index and on every wrapper over it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wheelyard.backends.filesystem.backend import FileSystemBackend
from wheelyard.backends.memory import MemoryBackend
from wheelyard.index.checks import PublishLimits
from wheelyard.index.filtered import FilteredIndex
from wheelyard.index.guarded import GuardedIndex
from wheelyard.index.hosted import HostedIndex
from wheelyard.index.interface import Action, Delete, PassThrough
from wheelyard.index.layered import LayeredIndex
from wheelyard.model import NormalizedName
from wheelyard.storage.interface import Backend
from wheelyard.storage.store import Store
from wheelyard.testing.fake_upstream import FakeUpstream, UpstreamFile
from wheelyard.testing.index_suite import DEMO, UNKNOWN, WHEEL, IndexStack, IndexSuite, WriterStack, read

from .conftest import Opened

BAIT = "demo-99.0.tar.gz"


def allow(action: Action, project: NormalizedName | None) -> None:
    del action, project


def hosted_over(backend: Backend) -> HostedIndex:
    return HostedIndex("main", Store(backend, name="main"), limits=PublishLimits(), clock=lambda: datetime.now(UTC))


@pytest.fixture
async def hosted() -> AsyncIterator[HostedIndex]:
    index = hosted_over(MemoryBackend())
    await index.store.start()
    yield index
    await index.store.stop()


class TestHostedMemory(IndexSuite):
    @pytest.fixture
    def stack(self, hosted: HostedIndex, tmp_path: Path) -> IndexStack:
        return WriterStack(hosted, hosted, tmp_path)


class TestHostedFileSystem(IndexSuite):
    @pytest.fixture
    async def stack(self, tmp_path: Path) -> AsyncIterator[IndexStack]:
        index = hosted_over(FileSystemBackend(tmp_path / "storage"))
        await index.store.start()
        yield WriterStack(index, index, tmp_path)
        await index.store.stop()


class TestHostedFileSystemOfAnotherProcess(IndexSuite):
    """The reader has its own store over the folder, as a second server would."""

    @pytest.fixture
    async def stack(self, tmp_path: Path) -> AsyncIterator[IndexStack]:
        reader, writer = (hosted_over(FileSystemBackend(tmp_path / "storage")) for _ in range(2))
        await reader.store.start()
        await writer.store.start()
        yield WriterStack(reader, writer, tmp_path)
        await writer.store.stop()
        await reader.store.stop()


class TestPassThrough(IndexSuite):
    @pytest.fixture
    def stack(self, hosted: HostedIndex, tmp_path: Path) -> IndexStack:
        index = PassThrough(hosted)
        return WriterStack(index, index, tmp_path)


class TestFiltered(IndexSuite):
    @pytest.fixture
    def stack(self, hosted: HostedIndex, tmp_path: Path) -> IndexStack:
        return WriterStack(FilteredIndex(hosted), hosted, tmp_path)


class TestGuarded(IndexSuite):
    @pytest.fixture
    def stack(self, hosted: HostedIndex, tmp_path: Path) -> IndexStack:
        index = GuardedIndex(hosted, allow)
        return WriterStack(index, index, tmp_path)


class TestLayeredOverEmpty(IndexSuite):
    @pytest.fixture
    def stack(self, hosted: HostedIndex, tmp_path: Path) -> IndexStack:
        index = LayeredIndex(hosted, hosted_over(MemoryBackend()))
        return WriterStack(index, index, tmp_path)


class BaitedStack(WriterStack):
    """As soon as we have the project, the upstream offers a higher version of it."""

    def __init__(self, index: LayeredIndex, folder: Path, upstream: FakeUpstream) -> None:
        super().__init__(index, index, folder)
        self.upstream = upstream
        self.may_be_asked_for = {f"/simple/{name}/" for name in (UNKNOWN, "dem", "demo-", "d")}

    async def publish(self, path: Path) -> None:
        await super().publish(path)
        self.upstream.offer("demo", UpstreamFile(filename=BAIT, metadata=b"Name: demo\nVersion: 99.0\n"))


class TestLayeredOverUpstream(IndexSuite):
    """Whatever the suite does, the upstream is asked only for names that we have not, and its bait is never seen."""

    @pytest.fixture
    async def stack(
        self, hosted: HostedIndex, tmp_path: Path, open_index: Opened, upstream: FakeUpstream
    ) -> AsyncIterator[IndexStack]:
        stack = BaitedStack(LayeredIndex(hosted, await open_index(upstream.root)), tmp_path, upstream)
        yield stack
        assert {question.path for question in upstream.questions} <= stack.may_be_asked_for

    async def test_own_project_asks_nobody(self, stack: BaitedStack, shelf: Path) -> None:
        """DC-02: reading a project of ours, by every way, adds no question to the upstream."""
        [listed] = await self.put(stack, shelf, WHEEL)
        await stack.reader.page(DEMO)
        assert await read(await stack.reader.file(DEMO, listed.filename)) == WHEEL.bytes()
        await stack.reader.metadata(DEMO, listed.filename)
        await stack.reader.description(DEMO, listed.filename)
        await stack.reader.list()
        await self.check_no_file(stack, DEMO, BAIT)
        assert stack.upstream.asked() == 0

    async def test_deleted_project(self, stack: IndexStack, shelf: Path) -> None:
        """DC-01: a name that we gave up is the upstream's from then on; deleting its files only keeps it hidden."""
        assert isinstance(stack, BaitedStack)
        stack.may_be_asked_for.add("/simple/demo/")
        await self.put(stack, shelf, WHEEL)
        await stack.change(DEMO, Delete(version="1.0"))
        assert await self.names(stack) == []
        assert stack.upstream.asked() == 0
        await stack.change(DEMO, Delete())
        assert await self.names(stack) == [BAIT]


class TestEverything(IndexSuite):
    """All wrappers at once, as a server stacks them."""

    @pytest.fixture
    async def stack(
        self, hosted: HostedIndex, tmp_path: Path, open_index: Opened, upstream: FakeUpstream
    ) -> IndexStack:
        inner = LayeredIndex(hosted, FilteredIndex(await open_index(upstream.root)))
        index = GuardedIndex(PassThrough(inner), allow)
        return WriterStack(index, index, tmp_path)
