"""The part of the suite that is about records and their changes."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel
import pytest

from wheelyard.errors import Conflict, KeyNotFound, Unsupported
from wheelyard.model import Key, Revision
from wheelyard.storage.interface import ABSENT, Absent, Backend
from wheelyard.storage.spool import PIECE_BYTES
from wheelyard.storage.store import Store

if TYPE_CHECKING:
    pass
from wheelyard.testing.conformance_parts import (
    OTHER_RECORD,
    RECORD,
    SuiteParts,
    content_of,
    raises_about,
)

STRANGE_CURSORS: Final = ("", "0", "-1", "x", "null", "[]", "{}", '["", "", 0]', ":", "1:2:3", "\N{SNAKE}", "9" * 4_000)


class RecordTests(SuiteParts):
    """Reading, swapping, telling of changes, and taking turns."""

    # -- records ---------------------------------------------------------------------------------------------------

    @pytest.mark.anyio
    async def test_a_missing_record_is_not_found_by_its_key(self, backend: Backend) -> None:
        """Reading what does not exist raises KeyNotFound that names the key, and `peek` does not invent a revision."""
        with raises_about(KeyNotFound, RECORD):
            await backend.read(RECORD)
        assert backend.peek(RECORD) in (ABSENT, None)

    @pytest.mark.anyio
    @pytest.mark.parametrize("content", [b"{}", b"", b"\x00\xff\n\r\n", "\N{SNAKE}".encode()])
    async def test_a_record_is_read_as_written(self, backend: Backend, second_backend: Backend, content: bytes) -> None:
        """Bytes come back unchanged under the revision that `write` returned; an empty record is not a missing one."""
        revision = await self.created(backend, RECORD, content)
        for reader in (backend, second_backend):
            record = await reader.read(RECORD)
            assert (record.content, record.revision) == (content, revision)

    @pytest.mark.anyio
    async def test_a_large_record_is_whole(self, backend: Backend) -> None:
        """A record of a project with thousands of files is swapped like any other."""
        content = os.urandom(1000 if self.minimal_data else 2 * PIECE_BYTES + 1)
        await self.created(backend, RECORD, content)
        assert (await backend.read(RECORD)).content == content

    @pytest.mark.anyio
    async def test_a_record_at_another_revision_conflicts(self, backend: Backend, second_backend: Backend) -> None:
        """A swap that expects ABSENT, or an old revision, raises Conflict that names the key, and writes nothing."""
        first = await self.created(backend, RECORD, b"first")
        with raises_about(Conflict, RECORD):
            await self.write(second_backend, RECORD, b"lost", ABSENT)
        second = await self.created(second_backend, RECORD, b"second", first)
        for content in (b"lost", None):
            with raises_about(Conflict, RECORD):
                await self.write(backend, RECORD, content, first)
        record = await backend.read(RECORD)
        assert (record.content, record.revision) == (b"second", second)

    @pytest.mark.anyio
    async def test_a_missing_record_conflicts_with_a_revision(self, backend: Backend) -> None:
        """A swap that expects a revision of a record that is not there raises Conflict, whether it writes or removes."""
        revision = await self.created(backend, OTHER_RECORD, b"{}")
        for content in (b"lost", None):
            with raises_about(Conflict, RECORD):
                await self.write(backend, RECORD, content, revision)
        with pytest.raises(KeyNotFound):
            await backend.read(RECORD)

    @pytest.mark.anyio
    async def test_a_removed_record_is_absent_and_can_be_made_again(self, backend: Backend) -> None:
        """Removal answers ABSENT; afterwards ABSENT is what a swap must expect, not the revision from before."""
        old = await self.created(backend, RECORD, b"old")
        assert await self.write(backend, RECORD, None, old) is ABSENT
        with pytest.raises(KeyNotFound):
            await backend.read(RECORD)
        assert backend.peek(RECORD) in (ABSENT, None)
        with pytest.raises(Conflict):
            await self.write(backend, RECORD, b"lost", old)
        await self.created(backend, RECORD, b"new")
        assert (await backend.read(RECORD)).content == b"new"

    @pytest.mark.anyio
    async def test_removing_an_absent_record_changes_nothing(self, backend: Backend) -> None:
        """A swap from ABSENT to nothing succeeds."""
        assert await self.write(backend, RECORD, None, ABSENT) is ABSENT

    @pytest.mark.anyio
    async def test_equal_revisions_mean_equal_bytes(self, backend: Backend) -> None:
        """Content that went and came back has its old revision again, or a swap that expects the old one conflicts."""
        first = await self.created(backend, RECORD, b"A")
        second = await self.created(backend, RECORD, b"B", first)
        assert second != first
        third = await self.created(backend, RECORD, b"A", second)
        for stale in {first, second} - {third}:
            with pytest.raises(Conflict):
                await self.write(backend, RECORD, b"lost", stale)
        assert (await backend.read(RECORD)).content == b"A"

    @pytest.mark.anyio
    async def test_quick_swaps_of_the_same_length_all_differ(self, backend: Backend) -> None:
        """Two states of a record never share a revision, however fast they follow each other."""
        revisions: list[Revision | Absent] = [ABSENT]
        for number in range(self.rounds):
            revisions.append(await self.created(backend, RECORD, b"%04d" % number, revisions[-1]))
            assert (await backend.read(RECORD)).revision == revisions[-1]
        assert len(set(revisions)) == len(revisions)

    @pytest.mark.anyio
    async def test_records_that_share_a_prefix_are_apart(self, backend: Backend) -> None:
        """`demo` and `demo-two` are two projects: swapping or removing one leaves the other as it was."""
        first = await self.created(backend, RECORD, b"one")
        second = await self.created(backend, OTHER_RECORD, b"two")
        await self.write(backend, RECORD, None, first)
        assert (await backend.read(OTHER_RECORD)).revision == second

    @pytest.mark.anyio
    async def test_racing_swaps_lose_nothing(self, backend: Backend, second_backend: Backend) -> None:
        """Of swaps that expect one revision exactly one succeeds, so a counter counts every success."""
        await self.created(backend, RECORD, b"0")

        async def count(store: Backend) -> None:
            for _ in range(self.rounds):
                while True:
                    record = await store.read(RECORD)
                    try:
                        await self.write(store, RECORD, b"%d" % (int(record.content) + 1), record.revision)
                    except Conflict:
                        continue
                    break

        workers = [backend, second_backend, backend, second_backend]
        async with anyio.create_task_group() as tasks:
            for store in workers:
                tasks.start_soon(count, store)
        assert int((await backend.read(RECORD)).content) == len(workers) * self.rounds

    @pytest.mark.anyio
    async def test_a_batch_is_all_or_nothing(self, backend: Backend) -> None:
        """Several records are swapped all or nothing, or the store refuses to be asked for it."""
        if not backend.traits.atomic_batch:
            with pytest.raises(Unsupported):
                await Store(backend).write({RECORD: b"1", OTHER_RECORD: b"1"}, {RECORD: ABSENT, OTHER_RECORD: ABSENT})
            assert (await backend.changes(None)).keys == frozenset()
            return
        revisions = await backend.write({RECORD: b"1", OTHER_RECORD: b"1"}, {RECORD: ABSENT, OTHER_RECORD: ABSENT})
        with raises_about(Conflict, OTHER_RECORD):
            await backend.write({RECORD: b"2", OTHER_RECORD: None}, {RECORD: revisions[RECORD], OTHER_RECORD: ABSENT})
        for key, revision in revisions.items():
            assert await backend.read(key) == await backend.read(key)
            assert (await backend.read(key)).revision == revision

    # -- changes ---------------------------------------------------------------------------------------------------

    @pytest.mark.anyio
    async def test_an_empty_store_has_no_changes(self, backend: Backend) -> None:
        """The first question is answered completely: no keys, and a cursor that tells nothing new."""
        first = await backend.changes(None)
        assert (first.keys, first.complete) == (frozenset(), True)
        await self.told(backend, first.cursor, frozenset())

    @pytest.mark.anyio
    async def test_changes_tell_every_swap(self, backend: Backend, second_backend: Backend) -> None:
        """Creating, swapping and removing a record are told by each backend, whoever did it."""
        cursors = {store: (await store.changes(None)).cursor for store in (backend, second_backend)}
        revision: Revision | Absent = ABSENT
        for content in (b"created", b"swapped", None, b"again"):
            revision = await self.write(backend, RECORD, content, revision)
            await self.settle()
            for store, cursor in cursors.items():
                cursors[store] = await self.told(store, cursor, {RECORD})

    @pytest.mark.anyio
    async def test_an_old_cursor_is_told_everything_since(self, backend: Backend) -> None:
        """A cursor may be used again, and none of the changes since it was given is missing."""
        first = (await backend.changes(None)).cursor
        await self.created(backend, RECORD, b"{}")
        await self.settle()
        second = await self.told(backend, first, {RECORD})
        await self.created(backend, OTHER_RECORD, b"{}")
        await self.settle()
        await self.told(backend, second, {OTHER_RECORD})
        await self.told(backend, first, {RECORD, OTHER_RECORD})

    @pytest.mark.anyio
    @pytest.mark.parametrize("cursor", [None, *STRANGE_CURSORS])
    async def test_a_strange_cursor_is_answered_completely(self, backend: Backend, cursor: str | None) -> None:
        """A cursor that this store never gave is answered like None: all records that exist, and `complete`."""
        await self.created(backend, RECORD, b"{}")
        gone = await self.created(backend, OTHER_RECORD, b"{}")
        await self.write(backend, OTHER_RECORD, None, gone)
        await self.settle()
        changes = await backend.changes(cursor)
        assert (changes.keys, changes.complete) == (frozenset({RECORD}), True)

    @pytest.mark.anyio
    async def test_changes_agree_with_the_records(self, backend: Backend, second_backend: Backend) -> None:
        """A reader that follows the cursor while others swap has, at the end, the state that the store has."""
        writers_left = 2
        seen: dict[Key, bytes] = {}
        cursor: str | None = None

        async def swap(store: Backend, key: Key) -> None:
            nonlocal writers_left
            revision: Revision | Absent = ABSENT
            for number in range(self.rounds):
                revision = await self.write(store, key, None if number % 5 == 4 else b"%d" % number, revision)  # noqa: PLR2004
                await anyio.lowlevel.checkpoint()
            writers_left -= 1

        async def follow() -> None:
            nonlocal cursor
            changes = await second_backend.changes(cursor)
            for key in changes.keys | (seen.keys() if changes.complete else frozenset()):
                seen.pop(key, None)
                if (content := await content_of(second_backend, key)) is not None:
                    seen[key] = content
            cursor = changes.cursor

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(swap, backend, RECORD)
            tasks.start_soon(swap, second_backend, OTHER_RECORD)
            while writers_left:
                await follow()
                await anyio.lowlevel.checkpoint()  # a store in memory never waits, and the writers want their turn
        await self.settle()
        await follow()
        truth = {key: await content_of(backend, key) for key in (RECORD, OTHER_RECORD)}
        assert seen == {key: content for key, content in truth.items() if content is not None}

    @pytest.mark.anyio
    async def test_peek_agrees_with_read(self, backend: Backend, second_backend: Backend) -> None:
        """What `peek` tells is the revision that `read` gives; a fresh store always tells, whoever wrote."""
        revision: Revision | Absent = ABSENT
        for content in (b"first", b"second", None, b"third"):
            revision = await self.write(second_backend, RECORD, content, revision)
            for store in (backend, second_backend):
                assert store.peek(RECORD) in ((revision,) if store.traits.fresh else (revision, None))

    @pytest.mark.anyio
    async def test_peek_changes_differs_after_every_swap(self, backend: Backend, second_backend: Backend) -> None:
        """The token of all records differs after each swap, unless the store cannot tell without waiting."""
        tokens: list[str | None] = [backend.peek_changes()]
        revision: Revision | Absent = ABSENT
        for content in (b"same", b"same", None, b"same"):
            revision = await self.write(second_backend, RECORD, content, revision)
            tokens.append(backend.peek_changes())
        assert all(count == 1 for token, count in Counter(tokens).items() if token is not None)

    # -- exclusive -------------------------------------------------------------------------------------------------

    @pytest.mark.anyio
    async def test_holders_of_one_record_take_turns(self, backend: Backend) -> None:
        """Only one at a time is inside `exclusive` of a record, and it may write there; an error inside releases it."""
        inside, most, revision = 0, 0, await self.created(backend, RECORD, b"{}")

        async def hold() -> None:
            nonlocal inside, most, revision
            async with backend.exclusive(RECORD):
                inside += 1
                most = max(most, inside)
                revision = await self.created(backend, RECORD, b"{}", revision)
                inside -= 1

        with pytest.raises(ZeroDivisionError):
            async with backend.exclusive(RECORD):
                raise ZeroDivisionError
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(hold)
        assert most == 1
