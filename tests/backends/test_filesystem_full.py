"""A disk that is full, read-only or out of file descriptors at any step."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backends import steps
from wheelyard.backends.filesystem.backend import FileSystemBackend
from wheelyard.errors import StorageError, StorageFull, StorageReadOnly, StorageUnavailable
from wheelyard.storage.store import Store
from wheelyard.testing.conformance import content_of

ANSWERS = [
    (errno.ENOSPC, StorageFull),
    (errno.EROFS, StorageReadOnly),
    (errno.EMFILE, StorageUnavailable),
]


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("scenario", steps.SCENARIOS)
@pytest.mark.parametrize(("code", "expected"), ANSWERS, ids=lambda value: errno.errorcode.get(value, ""))
async def test_a_fault_at_any_step(scenario: str, code: int, expected: type[StorageError], tmp_path: Path) -> None:
    """The error is ours and names the store, nothing half-written stays, and the same works when the disk does."""
    for number in range(1, 200):
        root = tmp_path / f"{number:03}"
        store = Store(FileSystemBackend(root), name="main")
        await store.start()
        await steps.prepare(scenario, store)
        told: list[str] = []
        failed: list[str] = []

        def fail(step: int, name: str, number: int = number, failed: list[str] = failed) -> None:
            if step == number:
                failed.append(name)
                raise OSError(code, os.strerror(code))

        error = await failure(scenario, store, fail, told)
        if error is not None:
            assert type(error) is expected
            assert error.store == "main"
            assert str(root) not in str(error)
        assert steps.temporary(root) == [], (number, failed)
        await steps.check(store, told)
        await again(scenario, store)
        await steps.check(store, [])
        await store.stop()
        if not failed:
            break
    assert number > 10


async def failure(
    scenario: str, store: Store, fail: Callable[[int, str], None], told: list[str]
) -> StorageError | None:
    """Act while a step fails; return the error, None when the step was one that may fail unnoticed."""
    try:
        with steps.watched(fail, steps.NEEDS_ROOM):
            await steps.act(scenario, store, told.append)
    except StorageError as error:
        return error
    return None


async def again(scenario: str, store: Store) -> None:
    """What failed can be asked for again."""
    content = await content_of(store, steps.RECORD)
    if content == steps.before(scenario):
        await steps.act(scenario, store, steps.void)
