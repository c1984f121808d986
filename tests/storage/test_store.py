"""What `Store` does for every backend: checks, wrapped errors, digests, counters, spools."""

import errno
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import cast

import pytest

from wheelyard.backends.memory import MemoryBackend
from wheelyard.errors import (
    Conflict,
    InvalidKey,
    KeyNotFound,
    RecordDamaged,
    StorageError,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
    Unsupported,
)
from wheelyard.model import Key, Sha256Hex
from wheelyard.storage.interface import ABSENT, PutOutcome, Record, StoredFile, Traits
from wheelyard.storage.spool import IN_MEMORY_BYTES
from wheelyard.storage.store import Store

FILE, RECORD = Key("simple/demo/demo-1.whl"), Key("simple/demo/index.json")
OTHER = Key("simple/other/index.json")


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = Store(MemoryBackend(), name="main")
    await store.start()
    yield store
    await store.stop()


class Failing(MemoryBackend):
    """A backend on a broken disk."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def read(self, key: Key) -> Record:
        raise self.error

    async def stat(self, key: Key) -> StoredFile:
        raise self.error


class Single(MemoryBackend):
    """A backend that swaps one record at a time."""

    @property
    def traits(self) -> Traits:
        return Traits()


class Lying(Single):
    """A backend that stores other bytes than it is given."""

    def __init__(self, stored: StoredFile) -> None:
        super().__init__()
        self.stored = stored

    async def stat(self, key: Key) -> StoredFile:
        await super().stat(key)
        return self.stored


BAD: dict[str, Callable[[Store], Awaitable[object]]] = {
    "read": lambda store: store.read(FILE),
    "write": lambda store: store.write({FILE: b""}, {FILE: ABSENT}),
    "put": lambda store: store.put_bytes(RECORD, b""),
    "stat": lambda store: store.stat(Key("../etc/passwd")),
    "locate": lambda store: store.locate(Key("/etc/passwd")),
    "delete": lambda store: store.delete(RECORD),
    "read_file": lambda store: store.read_file(RECORD, limit_bytes=1),
}


@pytest.mark.anyio
@pytest.mark.parametrize("verb", BAD)
async def test_keys_are_checked_before_the_backend_is_asked(verb: str, store: Store) -> None:
    """URL-17: a bad key, a file's key for a record or a record's for a file, reaches no backend."""
    with pytest.raises(InvalidKey):
        await BAD[verb](store)
    assert (await store.changes(None)).keys == frozenset()
    assert set(store.counters.calls) <= {"start", "changes", "open"}


@pytest.mark.anyio
async def test_peek_and_local_path_are_checked_too(store: Store) -> None:
    """URL-17: the questions that do not wait refuse bad keys as well."""
    with pytest.raises(InvalidKey):
        store.peek(FILE)
    with pytest.raises(InvalidKey):
        store.local_path(RECORD)
    with pytest.raises(InvalidKey):
        store.exclusive(FILE)


@pytest.mark.anyio
async def test_a_swap_names_what_it_expects() -> None:
    """Expectations for exactly the records that are written, and only one record unless the backend swaps batches."""
    store = Store(Single(), name="main")
    with pytest.raises(Unsupported, match="expects of each"):
        await store.write({RECORD: b""}, {})
    with pytest.raises(Unsupported, match="expects of each"):
        await store.write({RECORD: b""}, {RECORD: ABSENT, OTHER: ABSENT})
    with pytest.raises(Unsupported, match="one record at a time"):
        await store.write({RECORD: b"", OTHER: b""}, {RECORD: ABSENT, OTHER: ABSENT})
    assert await store.write({}, {}) == {}
    assert (await store.changes(None)).keys == frozenset()


RAW = [
    (OSError(errno.ENOSPC, "No space left on device", "/srv/secret/path"), StorageFull),
    (OSError(errno.EDQUOT, "Disk quota exceeded"), StorageFull),
    (OSError(errno.EROFS, "Read-only file system"), StorageReadOnly),
    (PermissionError(errno.EACCES, "Permission denied", "/srv/secret/path"), StorageReadOnly),
    (PermissionError(errno.EPERM, "Operation not permitted"), StorageReadOnly),
    (OSError(errno.EMFILE, "Too many open files"), StorageUnavailable),
    (OSError(errno.ENFILE, "Too many open files in system"), StorageUnavailable),
    (OSError(errno.EIO, "Input/output error", "/srv/secret/path"), StorageUnavailable),
    (TimeoutError(), StorageUnavailable),
    (ConnectionResetError("peer at /srv/secret/path"), StorageUnavailable),
    (RuntimeError("/srv/secret/path"), StorageUnavailable),
]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("raw", "expected"), RAW, ids=lambda value: repr(value) if isinstance(value, Exception) else ""
)
async def test_raw_errors_become_ours_once(raw: Exception, expected: type[StorageError]) -> None:
    """Each raw error gets a type that tells what to do, the store, the key and the cause, and no path of the disk."""
    store = Store(Failing(raw), name="main")
    with pytest.raises(expected) as raised:
        await store.read(RECORD)
    error = raised.value
    assert (type(error), error.store, error.key, error.__cause__) == (expected, "main", RECORD, raw)
    assert error.hint
    assert "/srv/secret" not in f"{error} {error.hint}"
    assert store.counters.failures == {("read", expected.code): 1}


@pytest.mark.anyio
async def test_too_many_open_files_says_so() -> None:
    """A full table of file descriptors is named, since raising the limit is the remedy."""
    store = Store(Failing(OSError(errno.EMFILE, "Too many open files")), name="main")
    with pytest.raises(StorageUnavailable, match="too many files open") as raised:
        await store.stat(FILE)
    assert "ulimit" in (raised.value.hint or "")


@pytest.mark.anyio
@pytest.mark.parametrize("error", [KeyNotFound(RECORD), Conflict(RECORD), Unsupported("no")])
async def test_our_own_errors_pass_unchanged(error: Exception) -> None:
    """What a backend says in our words is not wrapped again; the store's name is added."""
    store = Store(Failing(error), name="main")
    with pytest.raises(type(error)) as raised:
        await store.read(RECORD)
    assert raised.value is error
    assert getattr(error, "store", "main") == "main"


@pytest.mark.anyio
async def test_bugs_are_not_called_weather() -> None:
    """A mistake in a backend is not told as a storage that may work next time."""
    with pytest.raises(TypeError):
        await Store(Failing(TypeError("a bug")), name="main").read(RECORD)


LIES = {
    "size": StoredFile(FILE, 6),
    "digest": StoredFile(FILE, 7, Sha256Hex("0" * 64)),
}


@pytest.mark.anyio
@pytest.mark.parametrize("lie", LIES)
async def test_other_bytes_than_given_are_taken_back(lie: str) -> None:
    """When the stored size or digest is not the spool's, the put fails and the file is gone."""
    backend = Lying(LIES[lie])
    store = Store(backend, name="main")
    with pytest.raises(RecordDamaged) as raised:
        await store.put_bytes(FILE, b"content")
    assert (raised.value.store, raised.value.key) == ("main", FILE)
    assert [file async for file in store.list()] == []


@pytest.mark.anyio
async def test_read_file_is_bounded(store: Store) -> None:
    """A file as long as the limit is read, a longer one is not what was stored."""
    await store.put_bytes(FILE, b"content")
    assert await store.read_file(FILE, limit_bytes=7) == b"content"
    with pytest.raises(RecordDamaged, match="larger than 6 bytes"):
        await store.read_file(FILE, limit_bytes=6)
    with pytest.raises(KeyNotFound):
        await store.read_file(Key(f"{FILE}x"), limit_bytes=6)


@pytest.mark.anyio
async def test_counters(store: Store) -> None:
    """Calls, failures by code, bytes and seconds are counted by verb."""
    await store.put_bytes(FILE, b"content")
    await store.put_bytes(FILE, b"content")
    await store.read_file(FILE, limit_bytes=100)
    with pytest.raises(KeyNotFound):
        await store.read(RECORD)
    counters = store.counters
    assert (counters.calls["put"], counters.calls["open"], counters.calls["read"]) == (2, 1, 1)
    assert counters.failures == {("read", "key-not-found"): 1}
    assert (counters.bytes_put, counters.bytes_opened) == (7, 7)
    assert set(counters.seconds) == set(counters.calls)


@pytest.mark.anyio
async def test_spools_of_a_backend_without_a_folder_are_private_and_go(store: Store) -> None:
    """They lie in one folder that only we can read, which goes when the store stops."""
    spool = await store.spool()
    spool.write(b"content")
    folder = spool.path.parent
    assert folder.stat().st_mode & 0o777 == 0o700
    other = await store.spool()
    assert other.path.parent == folder
    assert await store.put(FILE, spool) is PutOutcome.CREATED
    spool.discard()
    other.discard()
    await store.stop()
    assert not folder.exists()


@pytest.mark.anyio
async def test_a_full_disk_while_spooling_is_ours_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload that fills the disk while it streams in gets StorageFull, and discarding it leaves nothing."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    spool = await store.spool()
    spool.write(b"content")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull) as raised:
        spool.sync()
    assert raised.value.store == "main"
    spool.discard()
    assert list(spool.path.parent.iterdir()) == []


@pytest.mark.anyio
async def test_a_folder_for_spools_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder for spools that somebody removed is replaced by a private one; when none can be made the error is ours."""

    class Elsewhere(MemoryBackend):
        @property
        def traits(self) -> Traits:
            return Traits(spool_folder=tmp_path / "gone")

    store = Store(Elsewhere(), name="main")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone too"))
    with await store.spool() as spool:
        spool.write(b"few bytes stay in memory")
        with pytest.raises(StorageUnavailable):
            spool.write(bytes(IN_MEMORY_BYTES))
    with pytest.raises(StorageUnavailable):
        _ = (await store.spool()).path
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with await store.spool() as spool:
        spool.write(bytes(IN_MEMORY_BYTES + 1))
        assert spool.path.parent.parent == tmp_path
    await store.stop()
    assert os.listdir(tmp_path) == []  # noqa: PTH208  a test may wait for the disk


@pytest.mark.anyio
async def test_what_is_raised_inside_exclusive_is_the_callers(store: Store) -> None:
    """An error of the caller passes through `exclusive` unwrapped, and the lock is free again."""
    with pytest.raises(OSError, match="mine") as raised:
        async with store.exclusive(RECORD):
            raise OSError("mine")
    assert not isinstance(raised.value, StorageError)
    async with store.exclusive(RECORD):
        pass


@pytest.mark.anyio
async def test_what_is_raised_at_a_reader_is_the_readers(store: Store) -> None:
    """A reader that leaves a stream with an error of its own gets that error."""
    await store.put_bytes(FILE, b"content")

    async def leave() -> None:
        async with aclosing(cast("AsyncGenerator[bytes, None]", store.open(FILE))) as pieces:
            async for _piece in pieces:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await leave()
    assert store.counters.failures == {}
