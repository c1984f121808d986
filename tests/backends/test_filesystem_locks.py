"""Locks between processes: waited for, named when they cannot be had, never left behind."""

from pathlib import Path

import anyio
import pytest

from backends import steps
from backends.test_filesystem_journal import hold_record_lock
from wheelyard.backends.filesystem.backend import FileSystemBackend
from wheelyard.backends.filesystem.locks import FileLocks
from wheelyard.errors import KeyNotFound, StorageUnavailable
from wheelyard.storage.interface import ABSENT

RECORD = steps.RECORD


@pytest.mark.anyio
async def test_a_lock_that_is_held_too_long_is_named(root: Path, folder: FileSystemBackend) -> None:
    """The wait ends with an error that names the lock; meanwhile the loop goes on; afterwards the swap works."""
    holder = hold_record_lock(root)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await anyio.sleep(0.01)
            ticks += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tick)
        with pytest.raises(StorageUnavailable, match=r"the lock 'record-..'.*0\.3 seconds"):
            await folder.write({RECORD: b"{}"}, {RECORD: ABSENT})
        tasks.cancel_scope.cancel()
    assert ticks > 5
    with pytest.raises(KeyNotFound):
        await folder.read(RECORD)
    holder.kill()
    holder.communicate()
    await folder.write({RECORD: b"{}"}, {RECORD: ABSENT})


@pytest.mark.anyio
async def test_waiting_ends_when_the_lock_is_free(root: Path, folder: FileSystemBackend) -> None:
    """A swap that waits goes on as soon as the other process is done."""
    await folder.stop()
    patient = FileSystemBackend(root, fsync=False)
    await patient.start()
    holder = hold_record_lock(root)

    async def release() -> None:
        await anyio.sleep(0.05)
        await anyio.to_thread.run_sync(holder.communicate)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(release)
        await patient.write({RECORD: b"{}"}, {RECORD: ABSENT})
    await patient.stop()


@pytest.mark.anyio
async def test_a_removed_lock_file_locks_nobody_out_or_in(tmp_path: Path) -> None:
    """When somebody removes the lock file, the next one makes a new one, and two never hold one name."""
    ours, theirs = (FileLocks(tmp_path, kind="x", shards=1, timeout_s=0.1) for _ in range(2))
    async with ours.hold("name"):
        with pytest.raises(StorageUnavailable):
            async with theirs.hold("name"):
                pass
    (tmp_path / "x-00").unlink()
    async with theirs.hold("name"):
        with pytest.raises(StorageUnavailable):
            await ours.run("name", lambda: None)


@pytest.mark.anyio
async def test_a_cancelled_wait_leaves_no_lock(tmp_path: Path) -> None:
    """Who stops waiting does not get the lock later."""
    ours, theirs = (FileLocks(tmp_path, kind="x", shards=1, timeout_s=5) for _ in range(2))
    async with ours.hold("name"):
        with anyio.move_on_after(0.03) as scope:
            async with theirs.hold("name"):
                pass
        assert scope.cancelled_caught
    with anyio.fail_after(1):
        async with ours.hold("name"):
            pass
        async with theirs.hold("name"):
            pass


@pytest.mark.anyio
async def test_exclusive_holds_off_other_processes(root: Path, folder: FileSystemBackend) -> None:
    """Two backends over one folder take turns in `exclusive`, and a swap is possible while it is held."""
    other = FileSystemBackend(root)
    await other.start()
    order: list[str] = []

    async def wait() -> None:
        async with other.exclusive(RECORD):
            order.append("second")

    async with anyio.create_task_group() as tasks, folder.exclusive(RECORD):
        tasks.start_soon(wait)
        await anyio.sleep(0.05)
        await other.write({RECORD: b"{}"}, {RECORD: ABSENT})
        order.append("first")
    assert order == ["first", "second"]
    await other.stop()
