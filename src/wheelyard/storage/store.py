"""
The portable half of storage: what is the same for every backend is done here, once.

`Store` checks keys, checks what `write` was asked, compares digests after `put`, wraps raw errors and counts.
It is a `Backend` itself, so the conformance suite that backends pass runs on it too.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar, cast

from anyio import to_thread

from wheelyard.errors import RecordDamaged, StorageError, StorageUnavailable, Unsupported, WheelyardError
from wheelyard.model import Key, Revision
from wheelyard.storage.findings import Finding
from wheelyard.storage.interface import (
    Absent,
    Backend,
    ByteRange,
    Changes,
    Decide,
    HostIdentity,
    Location,
    Plan,
    PutOutcome,
    Record,
    StoredFile,
    Traits,
)
from wheelyard.storage.keys import check_file_key, check_prefix, check_record_key
from wheelyard.storage.spool import Spool
from wheelyard.storage.wrapping import wrapped

T = TypeVar("T")


@dataclass(slots=True)
class StoreCounters:
    """
    What one store did since it was made; plain numbers, for whoever shows them.

    Attributes:
        calls: Finished calls by verb (`read`, `put`); `peek` and `peek_changes` are too frequent to be counted.
        failures: Calls that raised, by verb and error code (`("put", "storage-full")`).
        seconds: Time spent waiting for the backend, by verb.
        bytes_put: Bytes of files that were CREATED.
        bytes_opened: Bytes of files streamed by `open` and `read_file`; not those sent from a location.
    """

    calls: Counter[str] = field(default_factory=Counter)
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    bytes_put: int = 0
    bytes_opened: int = 0


class StoreSpool(Spool):
    """A spool whose disk errors are ours: a full disk while an upload streams in is `StorageFull` already."""

    def __init__(self, folder: Path, store: str, *, spare: Callable[[], Path]) -> None:
        """
        Make an empty spool.

        Args:
            folder: Where its file will be, if it needs one.
            store: Name of the index, for messages.
            spare: Makes a folder that is taken when `folder` is gone; blocks.
        """
        self._store = store
        self._spare = spare
        super().__init__(folder)

    def _to_disk(self) -> None:
        if not self._path.parent.is_dir():  # somebody cleaned up under the running server
            self._path = self._spare() / self._path.name
        with wrapped(self._store):
            super()._to_disk()

    def discard(self) -> None:
        """Close and remove the temporary file; what a disk in trouble does not remove is reclaimed with its folder."""
        with suppress(OSError):
            super().discard()

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """
        Append bytes; blocks.

        Raises:
            StorageError: The disk did not take them.
        """
        with wrapped(self._store):
            super().write(piece)

    def sync(self) -> None:
        """
        Make the bytes durable; blocks.

        Raises:
            StorageError: The disk did not take them.
        """
        with wrapped(self._store):
            super().sync()


class Store(Backend):
    """
    One backend with everything checked, wrapped and counted.

    Args:
        backend: What is wrapped; only this store talks to it.
        name: Name of the index, for messages.

    Attributes:
        name: As given.
        counters: What was done so far.
    """

    def __init__(self, backend: Backend, *, name: str = "") -> None:
        self.name = name
        self.counters = StoreCounters()
        self._backend = backend
        self._own_spool_folder: Path | None = None

    @property
    def backend(self) -> Backend:
        """What is wrapped, for commands that know which it is."""
        return self._backend

    @property
    def traits(self) -> Traits:
        """What the backend declares."""
        return self._backend.traits

    async def start(self) -> None:
        """
        Start the backend.

        Raises:
            StorageError: The storage cannot be used.
        """
        with self._call("start"):
            await self._backend.start()

    async def stop(self) -> None:
        """
        Stop the backend and remove the private spool folder, if one was made.

        Raises:
            StorageError: The backend could not close what it opened.
        """
        folder, self._own_spool_folder = self._own_spool_folder, None
        if folder is not None:
            await to_thread.run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))
        with self._call("stop"):
            await self._backend.stop()

    async def examine(self, *, repair: bool = False) -> tuple[Finding, ...]:
        """
        Look for trouble in what the backend keeps for itself; each finding names this store's index.

        Raises:
            StorageError: Nothing is known.
        """
        with self._call("examine"):
            return tuple(replace(found, index=self.name) for found in await self._backend.examine(repair=repair))

    async def identify(self, credential: str) -> HostIdentity:
        """
        Ask the host what the holder of a credential may do with this storage.

        Raises:
            StorageError: The host could not be asked; nothing is known.
        """
        with self._call("identify"):
            return await self._backend.identify(credential)

    def trouble(self) -> str | None:
        """Return what keeps the storage from being asked at this moment; None when nothing."""
        return self._backend.trouble()

    # -- records ---------------------------------------------------------------------------------------------------

    async def read(self, key: Key) -> Record:
        """
        Read one record.

        Raises:
            KeyNotFound: It does not exist, for certain.
            InvalidKey: Not the key of a record.
            StorageError: Nothing is known.
        """
        check_record_key(key)
        with self._call("read", key):
            return await self._backend.read(key)

    async def write(
        self, changes: Mapping[Key, bytes | None], expected: Mapping[Key, Revision | Absent]
    ) -> Mapping[Key, Revision | Absent]:
        """
        Swap records, all or nothing, if none of them has moved; durable when it returns.

        Raises:
            Conflict: A record was not at the expected revision; nothing was written.
            InvalidKey: Not the key of a record.
            Unsupported: Several records, and the backend swaps one at a time; or keys without an expectation.
            StorageError: Nothing was written, unless the disk itself failed in the act.
        """
        for key in changes:
            check_record_key(key)
        if changes.keys() != expected.keys():
            raise Unsupported("a swap names the revision it expects of each of its records, and of no others")
        if len(changes) > 1 and not self.traits.atomic_batch:
            raise Unsupported(f"the storage of index '{self.name}' swaps one record at a time")
        if not changes:
            return {}
        with self._call("write", next(iter(changes))):
            return await self._backend.write(changes, expected)

    async def changes(self, cursor: str | None) -> Changes:
        """
        Tell which records may have changed since `cursor`; None asks for all keys.

        Raises:
            StorageError: Nothing is known.
        """
        with self._call("changes"):
            return await self._backend.changes(cursor)

    def peek(self, key: Key) -> Revision | Absent | None:
        """
        Tell a record's current revision without waiting, or None.

        Raises:
            InvalidKey: Not the key of a record.
        """
        return self._backend.peek(check_record_key(key))

    def peeker(self, key: Key) -> Callable[[], Revision | Absent | None]:
        """
        Return a function that does what `peek` does for one key.

        Raises:
            InvalidKey: Not the key of a record.
        """
        return self._backend.peeker(check_record_key(key))

    def peek_changes(self) -> str | None:
        """Return a token that differs whenever any record may have changed, or None."""
        return self._backend.peek_changes()

    @asynccontextmanager
    async def _exclusive(self, key: Key) -> AsyncIterator[None]:
        # Only the waiting is ours to wrap: what is raised while the lock is held comes from the caller.
        holding = self._backend.exclusive(key)
        with self._call("exclusive", key):
            await holding.__aenter__()
        async with _entered(holding):
            yield

    def exclusive(self, key: Key) -> AbstractAsyncContextManager[None]:
        """
        Hold off other publishers of this record.

        Raises:
            InvalidKey: Not the key of a record.
            StorageError: Somebody held it for too long, or the lock cannot be had.
        """
        return self._exclusive(check_record_key(key))

    async def transact(self, key: Key, decide: Decide) -> Revision | Absent | None:
        """
        Put files, swap a record and remove files as one unit.

        Raises:
            InvalidKey: The plan names what is no key of a record or of a file.
            Conflict: Others kept moving the record; nothing is listed.
            StorageError: Nothing is listed, unless the disk itself failed in the act.
            WheelyardError: As `decide` raises it; nothing was written.
        """
        check_record_key(key)

        def checked(record: Record | None) -> Plan | None:
            plan = decide(record)
            if plan is not None:
                for each in (*plan.puts, *plan.removes):
                    check_file_key(each)
            return plan

        with self._call("transact", key):
            return await self._backend.transact(key, checked)

    # -- files -----------------------------------------------------------------------------------------------------

    async def spool(self) -> Spool:
        """
        Make an empty spool where `put` need not copy it; discard it when done.

        Raises:
            StorageError: The disk did not take it.
        """
        folder = self._backend.traits.spool_folder or self._own_spool_folder
        if folder is None:
            folder = await to_thread.run_sync(self._spool_folder)
        return StoreSpool(folder, self.name, spare=self._private_folder)

    async def put(self, key: Key, spool: Spool) -> PutOutcome:
        """
        Store one immutable file; durable when it returns. The spool stays the caller's to discard.

        Raises:
            InvalidKey: Not the key of a file.
            RecordDamaged: The backend stored other bytes than it was given; nothing was kept.
            StorageError: Nothing was kept.
        """
        check_file_key(key)
        with self._call("put", key):
            outcome = await self._backend.put(key, spool)
            if outcome is not PutOutcome.CONFLICT and not self.traits.verified_put:
                await self._check_stored(key, spool, created=outcome is PutOutcome.CREATED)
        if outcome is PutOutcome.CREATED:
            self.counters.bytes_put += spool.size
        return outcome

    async def put_bytes(self, key: Key, content: bytes) -> PutOutcome:
        """
        Store one small immutable file from memory.

        Raises:
            As `put`.
        """
        check_file_key(key)

        def fill() -> Spool:
            spool = StoreSpool(self._spool_folder(), self.name, spare=self._private_folder)
            try:
                spool.write(content)
            except BaseException:
                spool.discard()
                raise
            return spool

        spool = await to_thread.run_sync(fill)
        try:
            return await self.put(key, spool)
        finally:
            spool.discard()  # one unlink; not worth a thread, and must happen when cancelled too

    async def stat(self, key: Key) -> StoredFile:
        """
        Describe one file.

        Raises:
            KeyNotFound: It does not exist, for certain.
            InvalidKey: Not the key of a file.
            StorageError: Nothing is known.
        """
        check_file_key(key)
        with self._call("stat", key):
            return await self._backend.stat(key)

    async def open(self, key: Key, byte_range: ByteRange | None = None) -> AsyncIterator[bytes]:
        """
        Stream one file, or one range of it, in pieces of at most 1 MiB.

        Raises:
            KeyNotFound: It does not exist; raised at the first piece.
            InvalidKey: Not the key of a file; raised at the first piece.
            StorageError: The bytes could not be had.
        """
        check_file_key(key)
        with self._call("open", key):
            async with aclosing(_generator(self._backend.open(key, byte_range))) as pieces:
                async for piece in pieces:
                    self.counters.bytes_opened += len(piece)
                    yield piece

    async def read_file(self, key: Key, limit_bytes: int) -> bytes:
        """
        Read one small file whole.

        Raises:
            KeyNotFound: It does not exist, for certain.
            InvalidKey: Not the key of a file.
            RecordDamaged: It is larger than `limit_bytes`, so it is not what was stored.
            StorageError: The bytes could not be had.
        """
        content = bytearray()
        async with aclosing(_generator(self.open(key))) as pieces:
            async for piece in pieces:
                content += piece
                if len(content) > limit_bytes:
                    raise RecordDamaged(key, f"it is larger than {limit_bytes} bytes", store=self.name)
        return bytes(content)

    async def locate(self, key: Key) -> Location:
        """
        Tell where the bytes can be had besides `open`.

        Raises:
            KeyNotFound: It does not exist.
            InvalidKey: Not the key of a file.
            StorageError: Nothing is known.
        """
        check_file_key(key)
        with self._call("locate", key):
            return await self._backend.locate(key)

    def local_path(self, key: Key) -> Path | None:
        """
        Return the path where `key` is or would be on this machine, without looking; None when nowhere.

        Raises:
            InvalidKey: Not the key of a file.
        """
        return self._backend.local_path(check_file_key(key))

    async def delete(self, key: Key) -> None:
        """
        Remove one file; removing what is not there is not an error. Durable when it returns.

        Raises:
            InvalidKey: Not the key of a file.
            StorageError: It may still be there.
        """
        check_file_key(key)
        with self._call("delete", key):
            await self._backend.delete(key)

    async def list(self, prefix: str = "") -> AsyncIterator[StoredFile]:
        """
        List the files whose key starts with `prefix`, in any order, records not among them.

        Raises:
            InvalidKey: No key can start like that; raised at the first file.
            StorageError: The list is not complete.
        """
        check_prefix(prefix)
        with self._call("list"):
            async with aclosing(_generator(self._backend.list(prefix))) as files:
                async for file in files:
                    yield file

    # -- parts -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _call(self, verb: str, key: str | None = None) -> Iterator[None]:
        """Wrap and count one call of the backend."""
        counters = self.counters
        began = time.monotonic()
        try:
            with wrapped(self.name, key):
                yield
        except WheelyardError as error:
            counters.failures[verb, error.code] += 1
            raise
        finally:
            counters.calls[verb] += 1
            counters.seconds[verb] = counters.seconds.get(verb, 0.0) + time.monotonic() - began

    def _spool_folder(self) -> Path:
        """Return the folder for spools; a private one when the backend has none. Blocks."""
        return self._backend.traits.spool_folder or self._private_folder()

    def _private_folder(self) -> Path:
        """Return our own folder for spools, made the first time and when it is gone. Blocks."""
        folder = self._own_spool_folder
        if folder is None or not folder.is_dir():
            with wrapped(self.name):
                folder = self._own_spool_folder = Path(tempfile.mkdtemp(prefix="wheelyard-"))
        return folder

    async def _check_stored(self, key: Key, spool: Spool, *, created: bool) -> None:
        """Compare what the backend says it has with what it was given; bytes only we put there are taken back."""
        stored = await self._backend.stat(key)
        if stored.size == spool.size and stored.sha256 in (None, spool.sha256):
            return
        if created:
            try:
                await self._backend.delete(key)
            except (OSError, StorageError) as error:
                raise StorageUnavailable(
                    "the storage kept other bytes than it was given, and they could not be removed",
                    hint="An administrator should run `wheelyard doctor`.",
                ) from error
        raise RecordDamaged(key, "the storage has other bytes than it was given", store=self.name)


@asynccontextmanager
async def _entered(context: AbstractAsyncContextManager[None]) -> AsyncIterator[None]:
    """Leave `context`, which was entered already, with whatever is raised inside."""
    try:
        yield
    except BaseException as error:
        if not await context.__aexit__(type(error), error, error.__traceback__):
            raise
    else:
        await context.__aexit__(None, None, None)


def _generator(pieces: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """Return `pieces` as the async generator that the port promises, so that it can be closed."""
    return cast("AsyncGenerator[T, None]", pieces)
