"""Files and a record swapped as one unit, made of a backend's single steps: for stores that have nothing better."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
from anyio import to_thread

from wheelyard.errors import Conflict, KeyNotFound, StorageError
from wheelyard.model import Key, Revision
from wheelyard.storage.interface import ABSENT, Absent, Backend, Decide, Plan, PutOutcome, Record
from wheelyard.storage.spool import Spool, spool_bytes

_ATTEMPTS: Final = 20  # other writers of one record that are outwaited before a conflict is reported
_WAIT_S: Final = 0.01


async def transact_by_steps(backend: Backend, key: Key, decide: Decide) -> Revision | Absent | None:
    """Do what `Backend.transact` promises with `exclusive`, `read`, `put`, `write` and `delete`."""
    async with backend.exclusive(key):
        for attempt in range(_ATTEMPTS):
            record = await _read(backend, key)
            plan = await to_thread.run_sync(decide, record)
            if plan is None:
                return None
            try:
                return await _carry_out(backend, key, record, plan)
            except Conflict:
                await anyio.sleep(_WAIT_S * attempt)
        raise Conflict(key)


async def _read(backend: Backend, key: Key) -> Record | None:
    try:
        return await backend.read(key)
    except KeyNotFound:
        return None


async def _carry_out(backend: Backend, key: Key, record: Record | None, plan: Plan) -> Revision | Absent:
    put: list[Key] = []
    try:
        for file_key, content in plan.puts.items():
            put.append(file_key)
            await _put(backend, file_key, content)
        expected = ABSENT if record is None else record.revision
        revisions = await backend.write({key: plan.content}, {key: expected})
    except BaseException:
        await _take_back(backend, key, record, put)
        raise
    await _remove(backend, plan.removes)
    return revisions[key]


async def _put(backend: Backend, key: Key, content: Spool | bytes) -> None:
    """Put a file that no record lists; other bytes under its name are a leftover."""
    async with _spooled(backend, content) as spool:
        if await backend.put(key, spool) is PutOutcome.CONFLICT:
            await backend.delete(key)
            if await backend.put(key, spool) is PutOutcome.CONFLICT:
                raise Conflict(key)


@asynccontextmanager
async def _spooled(backend: Backend, content: Spool | bytes) -> AsyncIterator[Spool]:
    if isinstance(content, Spool):
        yield content
        return
    folder = backend.traits.spool_folder or Path(tempfile.gettempdir())
    spool = await spool_bytes(folder, content)
    try:
        yield spool
    finally:
        if spool.is_on_disk:
            await to_thread.run_sync(spool.discard)


async def _take_back(backend: Backend, key: Key, before: Record | None, put: Iterable[Key]) -> None:
    """Remove what a failed transaction put, if the record certainly did not move: then nobody lists it."""
    with anyio.CancelScope(shield=True):
        try:
            now = await _read(backend, key)
        except StorageError:
            return  # nothing is known; `doctor` finds the orphans
        if (now and now.revision) == (before and before.revision):
            await _remove(backend, put)


async def _remove(backend: Backend, keys: Iterable[Key]) -> None:
    """Remove files that no record lists; one that stays is an orphan, which harms nobody."""
    for each in keys:
        try:
            await backend.delete(each)
        except StorageError:
            continue
