"""A process killed at any step leaves the old or the new state, and its leftovers are reclaimed."""

# ruff: noqa: ASYNC221, ASYNC240  a test may wait for the disk

import subprocess
import sys
from pathlib import Path

import pytest

from backends import steps
from wheelyard.backends.filesystem.backend import FileSystemBackend
from wheelyard.storage.store import Store
from wheelyard.testing.conformance import content_of


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
