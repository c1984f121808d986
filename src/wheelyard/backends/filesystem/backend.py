"""
Records and files in a folder.

Why the steps are in this order, and why there are exactly these syncs (with `fsync`, the default):

A file (`put`): sync the spool; link it into place; sync the folder. The name appears with its bytes already on disk, in
one step that never replaces anything; after the second sync the name is on disk too. Two syncs.

A record (`write`), under the record's lock: write a temporary file; sync it; tell the journal; rename it into place;
sync the folder; tell the journal. Rename replaces the old record in one step, so a reader (who takes no lock) sees the
old or the new one, whole. Two syncs.

A removal: unlink; sync the folder. One sync.

A transaction (`transact`), under the publish lock: files get their names at once, since no record lists them yet; files,
their folder and the record's new bytes are synced together; then the record is swapped as above. Five syncs for a publish
(file, metadata, record), most of which find the disk's journal committed by the first.

The first time that this process uses a folder it syncs the folder's parent, since another process may have made the
folder a moment ago. The temporary folder is never synced: what is only there was not acknowledged.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from anyio import to_thread

from wheelyard.backends.filesystem.examine import examine
from wheelyard.backends.filesystem.folders import Folders, check_regular
from wheelyard.backends.filesystem.journal import Journal, Told, parse_cursor
from wheelyard.backends.filesystem.listing import list_files, list_records
from wheelyard.backends.filesystem.locks import FileLocks
from wheelyard.backends.filesystem.peeking import make_peeker
from wheelyard.backends.filesystem.placing import (
    copy_new,
    copy_spool,
    link_and_open,
    link_file,
    read_piece,
    rename_file,
    revision_of,
    write_all,
    write_new,
)
from wheelyard.backends.filesystem.syncs import PendingSyncs
from wheelyard.backends.filesystem.workplace import RECLAIM_EVERY_S, Workplace
from wheelyard.errors import Conflict, KeyNotFound, RecordDamaged, StorageError
from wheelyard.model import Key, Revision
from wheelyard.storage.findings import Finding
from wheelyard.storage.interface import (
    ABSENT,
    Absent,
    Backend,
    ByteRange,
    Changes,
    Decide,
    LocalPath,
    Plan,
    PutOutcome,
    Record,
    StoredFile,
    Traits,
)
from wheelyard.storage.spool import Spool

_SHARDS: Final = 64  # lock files of each kind
LOCK_TIMEOUT_S: Final = 30.0  # a swap takes milliseconds; who waits that long waits for a stopped process
_EXCLUSIVE_TIMEOUT_FACTOR: Final = 2.0  # a publish waits for the disk as well, and copies where no links are made
_COARSE_CLOCK_NS: Final = 2_000_000_000  # file systems that keep seconds keep even ones at worst
_TRANSACT_ATTEMPTS: Final = 20  # other writers of one record that are outwaited before a conflict is reported
_PLACE_ATTEMPTS: Final = 50  # times that others may remove our new, still empty folder under us

# With these a start goes on: what is there can be read, and writing is tried again at each write.
_READABLE: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT})

# What `link` answers where a link cannot be made, although a copy could.
_NO_LINK: Final = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}
)


class _NoLinks(Exception):
    """This disk makes no links."""


class FileSystemBackend(Backend):
    """
    Records and files in a folder; any number of processes may use it at once.

    Args:
        root: The storage folder; `start` makes it.
        fsync: Whether everything is on disk before it is acknowledged.
        lock_timeout_s: Longest wait for another process that swaps a record; for one that publishes, twice as long.
        reclaim_every_s: How often the temporary files of dead processes are looked for, besides at the start.
    """

    def __init__(
        self,
        root: Path,
        *,
        fsync: bool = True,
        lock_timeout_s: float = LOCK_TIMEOUT_S,
        reclaim_every_s: float = RECLAIM_EVERY_S,
    ) -> None:
        self._root = str(root.absolute())
        self._folders = Folders(self._root, fsync=fsync)
        self._workplace = Workplace(root.absolute(), fsync=fsync, reclaim_every_s=reclaim_every_s)
        self._journal = Journal(self._workplace.folder, lock_timeout_s=lock_timeout_s)
        locks = partial(FileLocks, self._workplace.locks, shards=_SHARDS)
        self._record_locks = locks(kind="record", timeout_s=lock_timeout_s)
        # A kind of its own, since `write` is called while `exclusive` is held.
        self._publish_locks = locks(kind="publish", timeout_s=lock_timeout_s * _EXCLUSIVE_TIMEOUT_FACTOR)
        self._file_locks = locks(kind="file", timeout_s=lock_timeout_s)
        self._links = True
        self._unsettled = False

    @property
    def traits(self) -> Traits:
        """Spool on our own disk, every answer is current, and the linked file is the spool itself."""
        return Traits(spool_folder=self._workplace.tmp, fresh=True, verified_put=True)

    async def start(self) -> None:
        """Make the folders and reclaim what killed processes left; storage that only can be read, or is full, is read."""

        def start() -> None:
            try:
                self._workplace.open(self._journal)
            except OSError as error:
                if error.errno not in _READABLE or not self._folders.is_there():
                    raise
            self._folders.is_there()  # looks what there is, so that it is missed when it goes

        await to_thread.run_sync(start)

    async def stop(self) -> None:
        """Remove this process's temporary files."""
        await to_thread.run_sync(self._workplace.close)

    async def examine(self, *, repair: bool = False) -> tuple[Finding, ...]:
        """Look at `.wheelyard`: the journal, and what killed processes left."""
        return await to_thread.run_sync(lambda: examine(self._workplace.folder, repair=repair))

    # -- records ---------------------------------------------------------------------------------------------------

    async def read(self, key: Key) -> Record:
        """Read one record; bytes and revision are of one file, since a record is only ever replaced."""
        return await to_thread.run_sync(self._read, key)

    async def write(
        self, changes: Mapping[Key, bytes | None], expected: Mapping[Key, Revision | Absent]
    ) -> Mapping[Key, Revision | Absent]:
        """Swap one record if it has not moved."""
        ((key, content),) = changes.items()
        with self._folders.presence():
            return {key: await self._record_locks.run(key, partial(self._swap, key, content, expected[key]))}

    async def changes(self, cursor: str | None) -> Changes:
        """Tell which records changed, from the journal; or list all where it cannot tell."""
        told, complete = await to_thread.run_sync(self._changes, cursor)
        self._unsettled = bool(told.cursor.pending)
        # Intents that are pending stay in the cursor, so leaving them out of a complete list loses nothing.
        keys = complete if told.keys is None else told.keys
        return Changes(keys, told.cursor.render(), complete=told.keys is None)

    def peek(self, key: Key) -> Revision | Absent | None:
        """Tell a record's current revision by one `stat`."""
        try:
            status = os.stat(f"{self._root}/{key}", follow_symlinks=False)  # noqa: PTH116  hot: every request asks
        except (FileNotFoundError, NotADirectoryError):
            return ABSENT if self._folders.is_there() else None
        except OSError:
            return None
        return revision_of(status)

    def peeker(self, key: Key) -> Callable[[], Revision | Absent | None]:
        """Return a `peek` for one key that writes the revision out only when it changed: the hot path asks at each request."""
        return make_peeker(str(self._root), key, is_there=self._folders.is_there)

    def peek_changes(self) -> str | None:
        """Return size and time of the journal; None while a swap is under way whose end it may never tell."""
        return None if self._unsettled else self._journal.token()

    def exclusive(self, key: Key) -> AbstractAsyncContextManager[None]:
        """Hold off publishers of this record in all processes."""
        return self._publish_locks.hold(key)

    # -- files -----------------------------------------------------------------------------------------------------

    async def put(self, key: Key, spool: Spool) -> PutOutcome:
        """Link the spool into place; copy it where the disk makes no links."""
        if self._links:
            try:
                return await to_thread.run_sync(self._put, key, spool)
            except _NoLinks:
                self._links = False
        return await self._file_locks.run(key, partial(self._put_renaming, key, spool))

    async def stat(self, key: Key) -> StoredFile:
        """Describe one file; its digest would cost reading it."""
        status = await to_thread.run_sync(self._folders.status, key)
        return StoredFile(key, status.st_size)

    async def open(self, key: Key, byte_range: ByteRange | None = None) -> AsyncIterator[bytes]:
        """Stream one file, or one range of it."""
        start, stop = (0, None) if byte_range is None else (byte_range.start, byte_range.stop)
        opened: list[int] = []  # filled by the thread, so that a descriptor is closed whatever happens to this task

        def first() -> bytes:
            opened.append(self._folders.open_file(key)[0])
            return read_piece(opened[0], start, stop)

        try:
            piece = await to_thread.run_sync(first)
            while piece:
                yield piece
                start += len(piece)
                if stop is not None and start >= stop:
                    break
                piece = await to_thread.run_sync(read_piece, opened[0], start, stop)
        finally:
            for descriptor in opened:
                os.close(descriptor)

    async def locate(self, key: Key) -> LocalPath:
        """Return the file's path, after a look that it is there and no link is in the way."""
        await to_thread.run_sync(self._folders.status, key)
        return LocalPath(self.local_path(key))

    def local_path(self, key: Key) -> Path:
        """Return where the file is or would be."""
        return Path(f"{self._root}/{key}")

    async def delete(self, key: Key) -> None:
        """Remove one file, and its folder when nothing else is in it."""
        await to_thread.run_sync(self._delete, key)

    async def list(self, prefix: str = "") -> AsyncIterator[StoredFile]:
        """List the files whose key starts with `prefix`."""
        async for file in list_files(self._root, prefix):
            yield file
        await to_thread.run_sync(self._folders.check_there)

    # -- transactions ----------------------------------------------------------------------------------------------

    async def transact(self, key: Key, decide: Decide) -> Revision | Absent | None:
        """Do the whole in one visit to a thread, with two rounds of syncs."""
        with self._folders.presence():
            return await self._publish_locks.run(key, partial(self._transact, key, decide))

    def _transact(self, key: Key, decide: Decide) -> Revision | Absent | None:
        """Transact; the caller holds the publish lock of the record."""
        self._workplace.reclaim_again()
        with self._folders.walking():
            return self._transacted(key, decide)

    def _transacted(self, key: Key, decide: Decide) -> Revision | Absent | None:
        for _ in range(_TRANSACT_ATTEMPTS):
            self._folders.forget()
            record = self._read_or_none(key)
            plan = decide(record)
            if plan is None:
                self._settle(key, record)
                return None
            try:
                revision = self._carried_out(key, record, plan)
            except Conflict:  # by a writer who does not hold off
                continue
            for each in plan.removes:
                with suppress(OSError, StorageError):  # what stays is an orphan, which harms nobody
                    self._delete(each)
            return revision
        raise Conflict(key)

    def _settle(self, key: Key, record: Record | None) -> None:
        """
        Make durable what a transaction found as it should be, for its caller will acknowledge it.

        Whoever wrote it may have been killed between the rename and the sync that follows it.
        """
        if record is not None:
            with self._folders.entered(key, create=True) as (folder, _):
                self._folders.sync(folder)

    def _carried_out(self, key: Key, record: Record | None, plan: Plan) -> Revision | Absent:
        """
        Put the files, then swap the record.

        The files are given their names before their bytes are synced: no record lists them yet, so a power loss leaves
        what the next publish replaces. Files, folder and the record's new bytes are then synced at the same time, which
        a journalling disk does in one go, and only then the record is renamed into place and the folder synced again.
        """
        expected = ABSENT if record is None else record.revision
        put: list[Key] = []
        pending = PendingSyncs(enabled=self._folders.fsync)
        try:
            with pending:
                for file_key, content in plan.puts.items():
                    put.append(file_key)
                    self._put_unlisted(file_key, content, pending)
                with self._record_locks.held_here(key):
                    self._folders.forget()
                    return self._swap(key, plan.content, expected, pending)
        except Conflict:
            raise
        except BaseException:
            self._take_back(key, expected, put)
            raise

    def _put_unlisted(self, key: Key, content: Spool | bytes, pending: PendingSyncs) -> None:
        """Give a file that no record lists its name; what is in its place is a leftover, unless it is the same."""
        small = content.memory if isinstance(content, Spool) else content
        if small is not None:
            place = partial(write_new, small, self._workplace.file_mode)
        elif isinstance(content, Spool):
            os.chmod(content.path, self._workplace.file_mode)  # noqa: PTH101  as in `_put`
            place = partial(link_and_open, content.path)
        for _ in range(_PLACE_ATTEMPTS):
            with self._folders.entered(key, create=True) as (folder, name):
                try:
                    pending.add(folder, place(folder, name))
                except FileExistsError:
                    os.unlink(name, dir_fd=folder)
                    continue
                except FileNotFoundError:
                    self._folders.forget()
                    continue  # others removed the folder, still empty
                except OSError as error:
                    if error.errno in _NO_LINK and isinstance(content, Spool):
                        place = partial(copy_new, content, self._workplace.file_mode)
                        continue
                    raise
                return
        raise Conflict(key)

    def _take_back(self, key: Key, expected: Revision | Absent, put: Sequence[Key]) -> None:
        """Remove what a failed transaction put, if the record certainly did not move: then nobody lists it."""
        with suppress(OSError, StorageError):
            current = self._current(key)
            if (ABSENT if current is None else revision_of(current)) == expected:
                for each in put:
                    self._delete(each)

    def _read_or_none(self, key: Key) -> Record | None:
        try:
            return self._read(key)
        except KeyNotFound:
            return None

    # -- records, in a thread --------------------------------------------------------------------------------------

    def _read(self, key: Key) -> Record:
        opened, status = self._folders.open_file(key)
        with os.fdopen(opened, "rb", buffering=0) as record:
            return Record(record.read(), revision_of(status))

    def _current(self, key: Key) -> os.stat_result | None:
        try:
            return self._folders.status(key)
        except KeyNotFound:
            return None

    def _swap(
        self, key: Key, content: bytes | None, expected: Revision | Absent, pending: PendingSyncs | None = None
    ) -> Revision | Absent:
        """Compare and swap one record; the caller holds its lock. What is `pending` is synced before the rename."""
        current = self._current(key)
        if (ABSENT if current is None else revision_of(current)) != expected:
            raise Conflict(key)
        if content is None:
            if current is not None:
                with self._journal.swapping(key):
                    self._unlink(key)
                self._folders.drop_if_empty(key)
            return ABSENT
        path, revision = self._prepared(
            content, after_ns=0 if current is None else current.st_mtime_ns, pending=pending
        )
        try:
            if pending is not None:
                pending.wait()
            with self._journal.swapping(key):
                self._placed(key, partial(rename_file, path))
        except BaseException:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            self._folders.drop_if_empty(key)
            raise
        return revision

    def _prepared(self, content: bytes, *, after_ns: int, pending: PendingSyncs | None = None) -> tuple[Path, Revision]:
        """Write a temporary file, durably (or `pending`), whose revision differs from that of every earlier state of the record."""
        opened, path = self._workplace.temporary("record")
        try:
            try:
                write_all(opened, content)
                now_ns = max(time.time_ns(), after_ns + 1)
                os.utime(opened, ns=(now_ns, now_ns))
                if os.fstat(opened).st_mtime_ns <= after_ns:  # a disk whose clock is coarse
                    os.utime(opened, ns=(now_ns + _COARSE_CLOCK_NS, now_ns + _COARSE_CLOCK_NS))
                if pending is None:
                    self._folders.sync(opened)
                revision = revision_of(os.fstat(opened))
            finally:
                if pending is None:
                    os.close(opened)
                else:
                    pending.add_open(opened)
        except BaseException:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise
        return path, revision

    def _changes(self, cursor: str | None) -> tuple[Told, frozenset[Key]]:
        """Read the journal, settle what dead writers left open, and list all records where it cannot tell."""
        since = parse_cursor(cursor)
        told = self._journal.read(since)
        settled = [key for key in told.cursor.pending if self._settled(key)]
        if settled:
            told = self._journal.read(since)
        if told.keys is not None:
            self._folders.check_there()
            return told, frozenset()
        records = frozenset(list_records(self._root))  # after reading the journal: what changes now is told next time
        self._folders.check_there()
        return told, records

    def _settled(self, key: Key) -> bool:
        """Tell readers that a swap is over, if whoever began it is gone."""
        try:
            return self._record_locks.try_run(key, partial(self._journal.settle, key))
        except OSError:
            return False  # read-only storage: it stays pending, which is only less cheap

    # -- files, in a thread ----------------------------------------------------------------------------------------

    def _put(self, key: Key, spool: Spool) -> PutOutcome:
        """Put a file by linking."""
        if (there := self._compared(key, spool)) is not None:
            return there
        os.chmod(spool.path, self._workplace.file_mode)  # noqa: PTH101  named as in the crash tests' list of steps
        if self._folders.fsync:
            spool.sync()
        try:
            return self._linked(key, spool, spool.path)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
        copy = self._copied(key, spool)
        try:
            return self._linked(key, spool, copy)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            raise _NoLinks from error
        finally:
            copy.unlink(missing_ok=True)

    def _put_renaming(self, key: Key, spool: Spool) -> PutOutcome:
        """Put a file on a disk without links; the caller holds the file's lock, so nobody creates it meanwhile."""
        if (there := self._compared(key, spool)) is not None:
            return there
        copy = self._copied(key, spool)
        try:
            self._placed(key, partial(rename_file, copy))
        except BaseException:
            copy.unlink(missing_ok=True)
            self._folders.drop_if_empty(key)
            raise
        return PutOutcome.CREATED

    def _linked(self, key: Key, spool: Spool, source: Path) -> PutOutcome:
        try:
            self._placed(key, partial(link_file, source))
        except FileExistsError:
            there = self._compared(key, spool)
            if there is None:  # it was removed a moment ago
                return self._linked(key, spool, source)
            return there
        except BaseException:
            self._folders.drop_if_empty(key)
            raise
        return PutOutcome.CREATED

    def _placed(self, key: Key, place: Callable[[int, str], None]) -> None:
        """Give a durable file its durable name; `place` is repeated while others remove the folder, still empty."""
        for attempt in range(_PLACE_ATTEMPTS):
            with self._folders.entered(key, create=True) as (folder, name):
                try:
                    place(folder, name)
                except FileNotFoundError:
                    if attempt == _PLACE_ATTEMPTS - 1:
                        raise
                    self._folders.forget()
                    continue
                except IsADirectoryError as error:
                    raise RecordDamaged(key, "a folder is in its place") from error
                # When this fails, the file stays: whole, unlisted, and perhaps already found by another writer who
                # answers "same content" for it.
                self._folders.sync(folder)
                return

    def _compared(self, key: Key, spool: Spool) -> PutOutcome | None:
        """Compare what is at `key` with the spool; None when nothing is there. The same bytes are durable after it."""
        try:
            opened, status = self._folders.open_file(key)
        except KeyNotFound:
            return None
        with os.fdopen(opened, "rb", buffering=0) as file:
            if status.st_size != spool.size or hashlib.file_digest(file, "sha256").hexdigest() != spool.sha256:
                return PutOutcome.CONFLICT
        # Whoever put it may be at work still, or was killed before the last sync.
        with self._folders.entered(key, create=True) as (folder, _):
            self._folders.sync(folder)
        return PutOutcome.SAME_CONTENT

    def _copied(self, key: Key, spool: Spool) -> Path:
        """Copy a spool from elsewhere to our own disk, durably."""
        opened, path = self._workplace.temporary("copy")
        try:
            with os.fdopen(opened, "wb", buffering=0) as copy, spool.path.open("rb", buffering=0) as source:
                copy_spool(source, copy, expected=spool.sha256, key=key)
                self._folders.sync(copy.fileno())
        except BaseException:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise
        return path

    def _delete(self, key: Key) -> None:
        try:
            self._unlink(key)
        except (FileNotFoundError, NotADirectoryError, KeyNotFound):  # nothing, or a folder
            self._folders.check_there()
        self._folders.drop_if_empty(key)

    def _unlink(self, key: Key) -> None:
        """Remove one name durably; a folder is left alone."""
        with self._folders.entered(key) as (folder, name):
            with suppress(FileNotFoundError):  # then somebody else's removal is made durable
                check_regular(key, os.stat(name, dir_fd=folder, follow_symlinks=False))
                os.unlink(name, dir_fd=folder)
            self._folders.sync(folder)
