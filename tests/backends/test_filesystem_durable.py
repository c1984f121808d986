"""What is acknowledged is on disk: the order of system calls that a power cut cannot undo."""

import os
import stat
from pathlib import Path

import pytest

from backends import steps
from wheelyard.backends.filesystem.backend import FileSystemBackend
from wheelyard.model import Key
from wheelyard.storage.interface import ABSENT, PutOutcome
from wheelyard.storage.spool import spool_bytes
from wheelyard.storage.store import Store

FILE, RECORD = steps.OLD, steps.RECORD


class Disk:
    """Replays system calls: which names and bytes would be there after a power cut."""

    def __init__(self) -> None:
        self.synced_files: set[int] = set()
        self.unsynced_names: dict[str, int] = {}  # name -> inode of the folder whose sync makes it last
        self.wrong: list[str] = []
        self.syncs = 0

    def link(self, source: str, name: str, folder: int) -> None:
        if Path(source).stat().st_ino not in self.synced_files:
            self.wrong.append(f"{name} appeared before its bytes were on disk")
        self.unsynced_names[name] = os.fstat(folder).st_ino

    def mkdir(self, name: str, parent: int) -> None:
        self.unsynced_names[name] = os.fstat(parent).st_ino

    def fsync(self, descriptor: int) -> None:
        self.syncs += 1
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            self.unsynced_names = {
                name: folder for name, folder in self.unsynced_names.items() if folder != status.st_ino
            }
        else:
            self.synced_files.add(status.st_ino)

    def write(self, descriptor: int) -> None:
        self.synced_files.discard(os.fstat(descriptor).st_ino)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:  # noqa: C901  one small function for each call
    """Watch the system calls of the test; everything still happens."""
    disk = Disk()
    link, rename, unlink, mkdir, fsync, write = os.link, os.rename, os.unlink, os.mkdir, os.fsync, os.write

    def watched_link(source: Path, name: str, *, dst_dir_fd: int, follow_symlinks: bool) -> None:
        link(source, name, dst_dir_fd=dst_dir_fd, follow_symlinks=follow_symlinks)
        disk.link(str(source), name, dst_dir_fd)

    def watched_rename(source: Path, name: str, *, dst_dir_fd: int) -> None:
        if source.stat().st_ino not in disk.synced_files:
            disk.wrong.append(f"{name} was replaced before its bytes were on disk")
        rename(source, name, dst_dir_fd=dst_dir_fd)
        disk.unsynced_names[name] = os.fstat(dst_dir_fd).st_ino

    def watched_unlink(path: str | Path, *, dir_fd: int | None = None) -> None:
        unlink(path, dir_fd=dir_fd)
        if dir_fd is not None:
            disk.unsynced_names[str(path)] = os.fstat(dir_fd).st_ino

    def watched_mkdir(name: str | Path, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        mkdir(name, mode, dir_fd=dir_fd)
        if dir_fd is not None:
            disk.mkdir(str(name), dir_fd)

    def watched_fsync(descriptor: int) -> None:
        fsync(descriptor)
        disk.fsync(descriptor)

    def watched_write(descriptor: int, content: bytes) -> int:
        disk.write(descriptor)
        return write(descriptor, content)

    for name, watched in {
        "link": watched_link,
        "rename": watched_rename,
        "unlink": watched_unlink,
        "mkdir": watched_mkdir,
        "fsync": watched_fsync,
        "write": watched_write,
    }.items():
        monkeypatch.setattr(os, name, watched)
    return disk


async def put(backend: FileSystemBackend, key: Key, content: bytes = b"content") -> PutOutcome:
    assert backend.traits.spool_folder is not None
    spool = await spool_bytes(backend.traits.spool_folder, content)
    try:
        return await backend.put(key, spool)
    finally:
        spool.discard()


@pytest.mark.anyio
async def test_everything_is_on_disk_when_a_call_returns(folder: FileSystemBackend, disk: Disk) -> None:
    """After put, write and delete no name depends on a sync that has not happened, new folders' names included."""
    assert await put(folder, FILE) is PutOutcome.CREATED
    assert disk.unsynced_names == {}
    revision = (await folder.write({RECORD: b"{}"}, {RECORD: ABSENT}))[RECORD]
    assert disk.unsynced_names == {}
    revision = (await folder.write({RECORD: b"[]"}, {RECORD: revision}))[RECORD]
    assert disk.unsynced_names == {}
    await folder.write({RECORD: None}, {RECORD: revision})
    assert disk.unsynced_names == {}
    await folder.delete(FILE)
    assert disk.unsynced_names == {}
    assert disk.wrong == []


@pytest.mark.anyio
async def test_a_publish_costs_six_syncs(folder: FileSystemBackend, disk: Disk) -> None:
    """File, metadata and record need two syncs each; a new project one more, the first project of a storage another."""
    store = Store(folder, name="main")
    costs: list[int] = []
    for project in ("first", "second", "second"):
        before = disk.syncs
        number = len(costs)
        record = Key(f"simple/{project}/index.json")
        await store.put_bytes(Key(f"simple/{project}/{number}.whl"), b"content")
        await store.put_bytes(Key(f"simple/{project}/{number}.whl.metadata"), b"metadata")
        await store.write({record: b"%d" % number}, {record: store.peek(record) or ABSENT})
        costs.append(disk.syncs - before)
    assert costs == [8, 7, 6]


@pytest.mark.anyio
async def test_same_content_is_on_disk_too(
    root: Path, folder: FileSystemBackend, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SAME_CONTENT is a promise as CREATED is: the folder is synced, since its first writer may have been killed."""
    unsynced = FileSystemBackend(root, fsync=False)
    await unsynced.start()
    await put(unsynced, FILE)
    assert set(disk.unsynced_names) == {"simple", "demo", FILE.rpartition("/")[2]}
    assert await put(folder, FILE) is PutOutcome.SAME_CONTENT
    assert disk.unsynced_names == {}
    await unsynced.stop()


@pytest.mark.anyio
async def test_without_fsync_nothing_is_synced(root: Path, disk: Disk) -> None:
    """`fsync = false` means none at all."""
    backend = FileSystemBackend(root, fsync=False)
    await backend.start()
    await put(backend, FILE)
    await backend.write({RECORD: b"{}"}, {RECORD: ABSENT})
    await backend.stop()
    assert disk.syncs == 0
