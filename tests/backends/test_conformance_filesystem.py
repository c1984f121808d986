"""The suite of all backends, on folders: two instances, links and no links, with and without the portable store."""

import errno
import os
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import NoReturn

import pytest

from backends.process_backend import ProcessBackend
from wheelyard.backends.filesystem.backend import FileSystemBackend
from wheelyard.model import Key
from wheelyard.storage.interface import Backend
from wheelyard.storage.store import Store
from wheelyard.testing.conformance import BackendSuite

RECORD_NEIGHBOUR = Key("simple/demo/file")


def leftovers(root: Path) -> Iterable[str]:
    """Everything below a storage folder but lock files, the journal, and the temporary folders of living backends."""
    expected = {"simple", ".wheelyard", ".wheelyard/tmp", ".wheelyard/locks", ".wheelyard/journal"}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        is_temporary_folder = path.is_dir() and path.parent.name == "tmp"
        if name not in expected and path.parent.name != "locks" and path.name != "owner" and not is_temporary_folder:
            yield name


class FileSystemSuite(BackendSuite):
    fsync = False  # what is told apart by it has tests of its own; only the suite's first run waits for the disk

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        return tmp_path / "storage"

    @pytest.fixture
    async def backend(self, root: Path) -> AsyncIterator[Backend]:
        backend = FileSystemBackend(root, fsync=self.fsync)
        await backend.start()
        yield backend
        await backend.stop()

    @pytest.fixture
    async def second_backend(self, root: Path, backend: Backend) -> AsyncIterator[Backend]:
        second = FileSystemBackend(root, fsync=self.fsync)
        await second.start()
        yield second
        await second.stop()

    async def leftovers(self, backend: Backend) -> Iterable[str]:
        local = backend.local_path(RECORD_NEIGHBOUR)
        assert local is not None
        return leftovers(local.parents[2])


class TestFileSystem(FileSystemSuite):
    """As it is used."""

    fsync = True


@pytest.mark.slow  # together: each test starts a process
class TestFileSystemOfTwoProcesses(FileSystemSuite):
    """With the second backend in a process of its own."""

    @pytest.fixture
    async def second_backend(self, root: Path, backend: Backend) -> AsyncIterator[Backend]:
        second = ProcessBackend(root)
        await second.start()
        yield second
        await second.stop()


class TestFileSystemWithoutLinks(FileSystemSuite):
    """On a disk that makes no links, as some network and removable ones."""

    @pytest.fixture(autouse=True)
    def no_links(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def link(*_: object, **__: object) -> NoReturn:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, "link", link)


class TestFileSystemSpooledElsewhere(FileSystemSuite):
    """With spools on another disk, from which nothing can be linked."""

    @pytest.fixture
    def spools(self, backend: Backend, tmp_path: Path) -> Iterable[Path]:
        elsewhere = Path("/dev/shm") / f"wheelyard-test-{os.getpid()}"
        if not elsewhere.parent.is_dir() or elsewhere.parent.stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("there is no second disk")
        elsewhere.mkdir()
        yield elsewhere
        elsewhere.rmdir()


class TestStoreOverFileSystem(FileSystemSuite):
    """Inside the portable store."""

    @pytest.fixture
    async def backend(self, root: Path) -> AsyncIterator[Backend]:
        store = Store(FileSystemBackend(root, fsync=self.fsync), name="main")
        await store.start()
        yield store
        await store.stop()

    @pytest.fixture
    async def second_backend(self, root: Path, backend: Backend) -> AsyncIterator[Backend]:
        store = Store(FileSystemBackend(root, fsync=self.fsync), name="main")
        await store.start()
        yield store
        await store.stop()
