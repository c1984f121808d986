"""A process killed at any step leaves the old or the new state, and its leftovers are reclaimed."""

# ruff: noqa: ASYNC221, ASYNC240  a test may wait for the disk

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backends import steps
from wheelyard.backends.filesystem.backend import FileSystemBackend
from wheelyard.storage.interface import Plan
from wheelyard.storage.spool import IN_MEMORY_BYTES
from wheelyard.storage.store import Store
from wheelyard.testing.conformance import content_of


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("scenario", steps.SCENARIOS)
async def test_killed_at_any_step(scenario: str, when: str, tmp_path: Path) -> None:
    """UP-13: killed before or after any system call, acknowledged files are kept and no record lists a missing one."""
    subprocess.run([sys.executable, steps.__file__, tmp_path, scenario, when], check=True, timeout=300)
    roots = sorted(path for path in tmp_path.iterdir() if path.is_dir())
    assert len(roots) > 10, "the scenario has more steps than that"
    for root in roots:
        told = root.with_suffix(".told").read_text().splitlines()
        store = Store(FileSystemBackend(root), name="main")
        await store.start()
        assert steps.temporary(root) == [], root.name
        assert len(list((root / ".wheelyard/tmp").iterdir())) == 1, "only the folder of this process"
        await steps.check(store, told)
        await check_cursor(scenario, store, root)
        await again(scenario, store)
        await store.stop()


async def check_cursor(scenario: str, store: Store, root: Path) -> None:
    """A reader that asked before the kill learns that the record changed, if it did."""
    changes = await store.changes(root.with_suffix(".cursor").read_text())
    assert not changes.complete
    if await content_of(store, steps.RECORD) != steps.before(scenario):
        assert steps.RECORD in changes.keys
    # What the dead process left open is settled by the first reader, so that asking is cheap again.
    assert (await store.changes(changes.cursor)).keys == frozenset()
    assert store.peek_changes() is not None


async def again(scenario: str, store: Store) -> None:
    """The same may be asked again, and then it is done."""
    present = await steps.is_there(store, steps.RECORD)
    if scenario == "removal":
        if present:
            await steps.remove(store, acknowledge=steps.void)
    elif present and scenario == "first publish":
        assert (await store.read(steps.RECORD)).content == steps.rendered(steps.OLD)
    else:
        listed = () if scenario == "first publish" else (steps.OLD,)
        adds = steps.OLD if scenario == "first publish" else steps.NEW
        await steps.publish(store, listed=listed, adds=adds, acknowledge=steps.void)
    await steps.check(store, [])


@pytest.mark.anyio
async def test_leftovers_are_reclaimed_while_running(tmp_path: Path) -> None:
    """What a killed process left is removed by one that runs, now and then, at a write; its own folder stays."""
    store = Store(FileSystemBackend(tmp_path, reclaim_every_s=0), name="main")
    await store.start()
    tmp = tmp_path / ".wheelyard/tmp"
    [ours] = tmp.iterdir()
    (tmp / "123-dead").mkdir()
    (tmp / "123-dead/owner").touch()
    (tmp / "123-dead/spool-123-0").write_bytes(b"half")
    await store.transact(steps.RECORD, lambda _: Plan(content=b"{}"))
    assert list(tmp.iterdir()) == [ours]
    await store.stop()


@pytest.mark.anyio
async def test_a_folder_for_temporary_files_that_somebody_removed(tmp_path: Path) -> None:
    """A temporary folder that vanishes under a running process is made anew at the next write."""
    store = Store(FileSystemBackend(tmp_path), name="main")
    await store.start()
    tmp = tmp_path / ".wheelyard/tmp"
    shutil.rmtree(tmp)
    large = bytes(IN_MEMORY_BYTES + 1)
    with await store.spool() as spool:
        spool.write(large)
        await store.transact(steps.RECORD, lambda _: Plan(content=b"{}", puts={steps.OLD: spool}))
    assert await store.read_file(steps.OLD, limit_bytes=len(large)) == large
    with await store.spool() as spool:
        spool.write(large)
        assert spool.path.is_relative_to(tmp)
    await store.stop()
    assert list(tmp.iterdir()) == []
