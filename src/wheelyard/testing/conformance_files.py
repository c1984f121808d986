"""The part of the suite that is about files."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import anyio
import anyio.lowlevel
import pytest

from wheelyard.errors import KeyNotFound, StorageError
from wheelyard.model import Key
from wheelyard.storage.interface import Backend, ByteRange, LocalPath, PutOutcome, RedirectUrl
from wheelyard.storage.keys import SEGMENT_LIMIT_BYTES
from wheelyard.storage.spool import PIECE_BYTES, spool_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
from wheelyard.testing.conformance_parts import (
    FILE,
    FOLDER,
    RECORD,
    SuiteParts,
    open_descriptors,
    raises_about,
    read,
)

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


class FileTests(SuiteParts):
    """Putting, reading, listing, removing, and what happens when several do so at once."""

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
