"""
The suite that every backend passes.

Subclass `BackendSuite` in a test module, override the fixture `backend`, and run pytest:

    class TestMyBackend(BackendSuite):
        @pytest.fixture
        async def backend(self, tmp_path):
            backend = MyBackend(tmp_path)
            await backend.start()
            yield backend
            await backend.stop()

Each test proves one line of the docstrings in `wheelyard.storage.interface`. A test starts with an empty store, removes
what it wrote, and fails when anything else is left. It needs pytest and anyio's pytest plug-in, which comes with anyio.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, cast

import anyio
import anyio.lowlevel
import pytest

from wheelyard.errors import Conflict, KeyNotFound, StorageError
from wheelyard.model import Key, Revision
from wheelyard.storage.interface import ABSENT, Absent, Backend, ByteRange, LocalPath, PutOutcome, RedirectUrl
from wheelyard.storage.keys import SEGMENT_LIMIT_BYTES
from wheelyard.storage.spool import PIECE_BYTES, spool_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

FOLDER: Final = "simple/demo"
FILE: Final = Key(f"{FOLDER}/demo-1.0-py3-none-any.whl")
RECORD: Final = Key(f"{FOLDER}/index.json")
OTHER_RECORD: Final = Key("simple/demo-two/index.json")

WEIRD_NAMES: Final = (
    "with space.whl",
    "plus+local-1.0+ubuntu.1.whl",
    "epoch-1!2.0.tar.gz",
    "percent%2Fslash%00.whl",
    "query?a=b&c=d#fragment.whl",
    "quotes'\"`.whl",
    "star*[x]{y}.whl",
    "~tilde.whl",
    "-dash.whl",
    ".hidden",
    "..dots",
    "dots..",
    "trailing.",
    "colon:pipe|less<more>.whl",
    "dollar$(id).whl",
    "caf\N{LATIN SMALL LETTER E WITH ACUTE}.whl",
    "cafe\N{COMBINING ACUTE ACCENT}.whl",
    "\N{SNAKE}.whl",
    "UPPER.whl",
    "upper.whl",
    "index.json.metadata",
    "n" * SEGMENT_LIMIT_BYTES,
)
"""Names of files that have broken stores; every one of them is a legal segment of a key."""

STRANGE_CURSORS: Final = ("", "0", "-1", "x", "null", "[]", "{}", '["", "", 0]', ":", "1:2:3", "\N{SNAKE}", "9" * 4_000)


class BackendSuite:
    """
    The tests; see the module's docstring.

    Attributes:
        minimal_data: True for stores where every byte costs: leaves out large files and long series.
        settle_time: Seconds until a store that is only eventually consistent tells of a change.
        supports_two_writers: False when nothing else can use the same storage at the same time.
    """

    minimal_data: ClassVar[bool] = False
    settle_time: ClassVar[float] = 0.0
    supports_two_writers: ClassVar[bool] = True

    # -- to override -----------------------------------------------------------------------------------------------

    @pytest.fixture
    def backend(self) -> object:
        """Yield a started `Backend` over empty storage, and stop it; an async generator."""
        raise NotImplementedError("override the fixture `backend`")

    @pytest.fixture
    def second_backend(self, backend: Backend) -> object:
        """Yield another started `Backend` over the same storage; the default is the same one used by another task."""
        return backend

    async def leftovers(self, backend: Backend) -> Iterable[str]:
        """Return what lies in the storage besides what every empty storage holds, as seen from outside the backend."""
        del backend
        return ()

    # -- parts of tests --------------------------------------------------------------------------------------------

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Run on asyncio, as the server does."""
        return "asyncio"

    @pytest.fixture
    def spools(self, backend: Backend, tmp_path: Path) -> Path:
        """Return the folder where uploads to this backend are spooled."""
        folder = backend.traits.spool_folder or tmp_path / "spools"
        folder.mkdir(exist_ok=True)
        return folder

    @pytest.fixture(autouse=True)
    async def nothing_left(self, backend: Backend, spools: Path, second_backend: Backend) -> AsyncIterator[None]:
        """Remove what the test wrote, then fail if anything is left behind."""
        before = set(os.listdir(spools))  # noqa: PTH208  names only
        yield
        await self.settle()
        for file in [file async for file in backend.list()]:
            await backend.delete(file.key)
        for key in (await backend.changes(None)).keys:
            await self.write(backend, key, None, (await backend.read(key)).revision)
        await self.settle()
        assert [file async for file in second_backend.list()] == []
        assert (await second_backend.changes(None)).keys == frozenset()
        assert set(os.listdir(spools)) == before, "temporary files were left behind"  # noqa: PTH208
        assert list(await self.leftovers(backend)) == []

    async def settle(self) -> None:
        """Wait until changes are told."""
        if self.settle_time:
            await anyio.sleep(self.settle_time)

    async def write(
        self, backend: Backend, key: Key, content: bytes | None, expected: Revision | Absent = ABSENT
    ) -> Revision | Absent:
        """Swap one record and return its new revision."""
        return (await backend.write({key: content}, {key: expected}))[key]

    async def created(
        self, backend: Backend, key: Key, content: bytes, expected: Revision | Absent = ABSENT
    ) -> Revision:
        """Swap one record to `content` and return its new revision."""
        revision = await self.write(backend, key, content, expected)
        assert isinstance(revision, str)
        return revision

    async def put(self, backend: Backend, spools: Path, key: Key, content: bytes) -> PutOutcome:
        """Put one file."""
        spool = await spool_bytes(spools, content)
        try:
            return await backend.put(key, spool)
        finally:
            spool.discard()

    async def names(self, backend: Backend, prefix: str = "") -> list[str]:
        """List the keys that start with `prefix`, sorted."""
        await self.settle()
        return sorted([file.key async for file in backend.list(prefix)])

    @property
    def sizes(self) -> Sequence[int]:
        """Sizes of files around the borders of pieces."""
        return (0, 1, 1000) if self.minimal_data else (0, 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES)

    @property
    def rounds(self) -> int:
        """How often races are run."""
        return 3 if self.minimal_data else 20

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
        """Where several records are swapped at once, one that moved keeps all the others from being written."""
        if not backend.traits.atomic_batch:
            pytest.skip("this backend swaps one record at a time")
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

    # -- files -----------------------------------------------------------------------------------------------------

    @pytest.mark.anyio
    async def test_a_missing_file_is_not_found_by_its_key(self, backend: Backend, spools: Path) -> None:
        """`stat` and `open` of what does not exist raise KeyNotFound that names the key; `locate` does or is silent."""
        await self.put(backend, spools, Key(f"{FILE}.metadata"), b"a neighbour")
        for key in (FILE, Key(FOLDER), Key(f"{FILE}.metadata/below"), Key("elsewhere/file")):
            with raises_about(KeyNotFound, key):
                await backend.stat(key)
            with raises_about(KeyNotFound, key):
                await read(backend, key)
            with raises_about(KeyNotFound, key):
                if await backend.locate(key) is None:
                    raise KeyNotFound(key)

    @pytest.mark.anyio
    async def test_files_of_every_size_come_back(self, backend: Backend, second_backend: Backend, spools: Path) -> None:
        """Size, digest, pieces of at most 1 MiB and the located bytes are those of the spool, an empty file's too."""
        for number, size in enumerate(self.sizes):
            key, content = Key(f"{FOLDER}/demo-{number}.tar.gz"), os.urandom(size)
            spool = await spool_bytes(spools, content)
            assert await backend.put(key, spool) is PutOutcome.CREATED
            spool.discard()
            for store in (backend, second_backend):
                stored = await store.stat(key)
                assert (stored.key, stored.size) == (key, size)
                assert stored.sha256 in (None, spool.sha256)
                pieces = [piece async for piece in store.open(key)]
                assert b"".join(pieces) == content
                assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)
                await self.check_location(store, key, content)

    async def check_location(self, backend: Backend, key: Key, content: bytes) -> None:
        """Check that a located file is the file."""
        match await backend.locate(key):
            case LocalPath(path):
                assert path.read_bytes() == content
                assert backend.local_path(key) == path
            case RedirectUrl(url, expires):
                assert url.startswith(("https://", "http://"))
                assert expires.tzinfo is not None
            case None:
                pass

    @pytest.mark.anyio
    async def test_ranges_are_cut_exactly(self, backend: Backend, spools: Path) -> None:
        """A range gives its bytes, up to the end of the file when it passes it, and nothing when it begins behind it."""
        content = os.urandom(self.sizes[-2])
        await self.put(backend, spools, FILE, content)
        size = len(content)
        borders = [0, 1, size // 2, size - 1, size, size + 1, 2 * size + PIECE_BYTES]
        for start in borders:
            for stop in borders:
                if start < stop:
                    assert await read(backend, FILE, ByteRange(start, stop)) == content[start:stop], (start, stop)

    @pytest.mark.anyio
    async def test_a_stream_may_be_left_early(self, backend: Backend, spools: Path) -> None:
        """Closing a stream before its end releases what it held, so that a thousand of them exhaust nothing."""
        await self.put(backend, spools, FILE, os.urandom(self.sizes[-1]))
        before = open_descriptors()
        for _ in range(self.rounds):
            async with aclosing(cast("AsyncGenerator[bytes, None]", backend.open(FILE))) as pieces:
                async for _piece in pieces:
                    break
        assert open_descriptors() - before <= 1  # a connection may stay open, but not one for each stream

    @pytest.mark.anyio
    async def test_put_twice(self, backend: Backend, second_backend: Backend, spools: Path) -> None:
        """The same bytes again are SAME_CONTENT; others, even as many, are CONFLICT, and the first ones stay."""
        for key, content in ((FILE, b"content"), (Key(f"{FILE}.metadata"), b"")):
            assert await self.put(backend, spools, key, content) is PutOutcome.CREATED
            for store in (backend, second_backend):
                assert await self.put(store, spools, key, content) is PutOutcome.SAME_CONTENT
                assert await self.put(store, spools, key, b"CONTENT") is PutOutcome.CONFLICT
                assert await self.put(store, spools, key, b"longer than before") is PutOutcome.CONFLICT
            assert await read(backend, key) == content

    @pytest.mark.anyio
    async def test_the_spool_stays_the_callers(self, backend: Backend, spools: Path) -> None:
        """One spool may be put under two keys, and discarding it leaves the stored files alone."""
        spool = await spool_bytes(spools, b"content")
        other = Key(f"{FOLDER}/other.whl")
        assert [await backend.put(FILE, spool), await backend.put(other, spool)] == [PutOutcome.CREATED] * 2
        spool.discard()
        spool.discard()
        assert [await read(backend, FILE), await read(backend, other)] == [b"content"] * 2
        await backend.delete(FILE)
        assert await read(backend, other) == b"content"

    @pytest.mark.anyio
    async def test_delete(self, backend: Backend, second_backend: Backend, spools: Path) -> None:
        """A removed file is not found; removing it again is no error; its key is free for other bytes."""
        neighbour = Key(f"{FILE}.metadata")
        await self.put(backend, spools, FILE, b"old")
        await self.put(backend, spools, neighbour, b"neighbour")
        await backend.delete(FILE)
        with raises_about(KeyNotFound, FILE):
            await second_backend.stat(FILE)
        for key in (FILE, Key(FOLDER), Key("elsewhere/file"), Key(f"{neighbour}/below")):
            await second_backend.delete(key)
        assert await self.put(backend, spools, FILE, b"new") is PutOutcome.CREATED
        assert [await read(backend, FILE), await read(backend, neighbour)] == [b"new", b"neighbour"]

    @pytest.mark.anyio
    async def test_weird_names_are_names(self, backend: Backend, spools: Path) -> None:
        """Every legal key is stored, listed, read and removed under exactly that name."""
        keys = [Key(f"{FOLDER}/{name}") for name in WEIRD_NAMES]
        for key in keys:
            assert await self.put(backend, spools, key, key.encode()) is PutOutcome.CREATED, key
        assert await self.names(backend, f"{FOLDER}/") == sorted(keys)
        for key in keys:
            assert await read(backend, key) == key.encode()
            assert (await backend.stat(key)).size == len(key.encode())
            await backend.delete(key)
        assert await self.names(backend) == []

    @pytest.mark.anyio
    async def test_lists_are_cut_by_prefix(self, backend: Backend, spools: Path) -> None:
        """A prefix selects by the start of the whole key, in the middle of a segment too; sizes are told."""
        keys = [
            Key("other/file"),
            Key("simple/a/a-1.whl"),
            Key("simple/a/a-10.whl"),
            Key("simple/a-b/a_b-1.whl"),
            Key("simple/ab/ab-1.whl"),
        ]
        for key in keys:
            await self.put(backend, spools, key, key.encode())
        for prefix in ("", "s", "simple", "simple/", "simple/a", "simple/a/", "simple/a/a-1", "simple/a/a-1.whl",
                       "simple/a/a-1.whl/", "simple/b", "other/file", "nothing/at/all", "/"):  # fmt: skip
            assert await self.names(backend, prefix) == sorted(key for key in keys if key.startswith(prefix)), prefix
        assert {file.key: file.size async for file in backend.list()} == {key: len(key) for key in keys}

    @pytest.mark.anyio
    async def test_lists_of_many_are_complete(self, backend: Backend, spools: Path) -> None:
        """Nothing is missing and nothing doubled where a store lists page by page."""
        many = 5 if self.minimal_data else 230
        keys = [Key(f"simple/p{number % 215}/f{number}") for number in range(many)]
        for key in keys:
            await self.put(backend, spools, key, b"")
        assert await self.names(backend) == sorted(keys)

    @pytest.mark.anyio
    async def test_records_and_files_are_apart(self, backend: Backend, spools: Path) -> None:
        """Records are not listed as files, files are not told as changes, and neither goes with the other."""
        revision = await self.created(backend, RECORD, b"{}")
        await self.put(backend, spools, FILE, b"content")
        assert await self.names(backend) == [FILE]
        assert (await backend.changes(None)).keys == frozenset({RECORD})
        await backend.delete(FILE)
        assert (await backend.read(RECORD)).revision == revision
        await self.put(backend, spools, FILE, b"content")
        await self.write(backend, RECORD, None, revision)
        assert await read(backend, FILE) == b"content"

    # -- files: races and accidents --------------------------------------------------------------------------------

    @pytest.mark.anyio
    @pytest.mark.parametrize("same", [True, False], ids=["same bytes", "other bytes"])
    async def test_of_many_writers_one_creates(
        self, backend: Backend, second_backend: Backend, spools: Path, *, same: bool
    ) -> None:
        """Of several who put one key at once exactly one gets CREATED, and the bytes are the winner's."""
        for number in range(self.rounds):
            key = Key(f"{FOLDER}/demo-{number}.whl")
            outcomes: dict[bytes, PutOutcome] = {}

            async def put(
                store: Backend, writer: int, key: Key = key, outcomes: dict[bytes, PutOutcome] = outcomes
            ) -> None:
                content = b"same" if same else b"writer %d" % writer
                outcomes[content + b"#%d" % writer] = await self.put(store, spools, key, content)

            async with anyio.create_task_group() as tasks:
                for writer, store in enumerate((backend, second_backend, backend, second_backend)):
                    tasks.start_soon(put, store, writer)
            others = PutOutcome.SAME_CONTENT if same else PutOutcome.CONFLICT
            assert Counter(outcomes.values()) == {PutOutcome.CREATED: 1, others: 3}
            winner = next(content for content, outcome in outcomes.items() if outcome is PutOutcome.CREATED)
            assert await read(backend, key) == winner.partition(b"#")[0]

    @pytest.mark.anyio
    async def test_putting_beside_removing_loses_nothing(
        self, backend: Backend, second_backend: Backend, spools: Path
    ) -> None:
        """A file put while the last other file and the record of its project are removed is there afterwards."""
        for number in range(self.rounds):
            old, new = Key(f"{FOLDER}/old-{number}.whl"), Key(f"{FOLDER}/new-{number}.whl")
            await self.put(backend, spools, old, b"old")
            revision = await self.created(backend, RECORD, b"{}")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(backend.delete, old)
                tasks.start_soon(self.put, second_backend, spools, new, b"new")
                tasks.start_soon(self.write, backend, RECORD, None, revision)
            assert await read(backend, new) == b"new"
            await backend.delete(new)

    @pytest.mark.anyio
    async def test_a_cancelled_put_leaves_nothing_or_all(self, backend: Backend, spools: Path) -> None:
        """Cancelled before or in the middle, a file is absent or whole, and can be put again."""
        content = os.urandom(self.sizes[-1])
        for delay in (None, 0, 0.0005, 0.002, 0.01):
            with anyio.CancelScope() as scope:
                if delay is None:
                    scope.cancel()
                else:
                    scope.deadline = anyio.current_time() + delay
                await self.put(backend, spools, FILE, content)
            for key in await self.names(backend):
                assert await read(backend, Key(key)) == content
            assert await self.put(backend, spools, FILE, content) in (PutOutcome.CREATED, PutOutcome.SAME_CONTENT)
            await backend.delete(FILE)

    @pytest.mark.anyio
    async def test_a_put_that_fails_leaves_nothing(self, backend: Backend, spools: Path) -> None:
        """When the spool cannot be read, the error is one of storage or of the disk, and no file is there."""
        spool = await spool_bytes(spools, b"content")
        spool.path.unlink()
        with pytest.raises((OSError, StorageError)):
            await backend.put(FILE, spool)
        spool.discard()
        with pytest.raises(KeyNotFound):
            await backend.stat(FILE)

    @pytest.mark.anyio
    async def test_everything_is_there_for_another_backend(
        self, backend: Backend, second_backend: Backend, spools: Path
    ) -> None:
        """What one backend acknowledged, another over the same storage has: files, records and changes."""
        if not self.supports_two_writers:
            pytest.skip("this storage has one user at a time")
        await self.put(backend, spools, FILE, b"content")
        revision = await self.created(backend, RECORD, json.dumps({"files": [FILE]}).encode())
        await self.settle()
        assert await read(second_backend, FILE) == b"content"
        assert (await second_backend.read(RECORD)).revision == revision
        assert (await second_backend.changes(None)).keys == {RECORD}

    async def told(self, backend: Backend, cursor: str, keys: Iterable[Key]) -> str:
        """Check that `changes` tells at least `keys`, and only records that were ever written; return the new cursor."""
        changes = await backend.changes(cursor)
        assert changes.keys >= set(keys) or changes.complete
        assert changes.keys <= {RECORD, OTHER_RECORD}
        if not keys:
            assert changes.keys == frozenset()
        return changes.cursor


async def read(backend: Backend, key: Key, byte_range: ByteRange | None = None) -> bytes:
    """Return the bytes of a file, or of a range of it."""
    return b"".join([piece async for piece in backend.open(key, byte_range)])


async def content_of(backend: Backend, key: Key) -> bytes | None:
    """Return the content of a record; None when it does not exist."""
    try:
        return (await backend.read(key)).content
    except KeyNotFound:
        return None


def open_descriptors() -> int:
    """Return how many files this process has open; 0 where the system does not tell."""
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  the descriptor of the listing is in every count
    except OSError:
        return 0


@contextmanager
def raises_about(error: type[StorageError], key: str) -> Iterator[None]:
    """Expect an error of storage that names `key`."""
    with pytest.raises(error) as raised:
        yield
    assert raised.value.key == key
