"""
What every store can do, and no more.

A backend is small and dumb: it implements `Backend`. `storage.store.Store` wraps it and does, once for all backends,
the checking of keys, the digests, the wrapping of errors and the metrics; backends rely on that ("a key is never empty").
Every backend passes `wheelyard.testing.conformance.BackendSuite`, which tests each line of the docstrings below.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from wheelyard.model import ByteRange as ByteRange  # noqa: PLC0414 - a noun of the wire too; offered here with the rest
from wheelyard.model import Key, Revision, Sha256Hex
from wheelyard.storage.findings import Finding
from wheelyard.storage.locks import KeyedLocks

if TYPE_CHECKING:
    from wheelyard.storage.spool import Spool


class Absent(Enum):
    """The type of `ABSENT`: an expectation or an answer that a record does not exist."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Record:
    """A small document and the revision under which it was read."""

    content: bytes
    revision: Revision


class PutOutcome(Enum):
    """What `put` found: writing twice is not an error, writing something else is."""

    CREATED = "created"
    SAME_CONTENT = "same-content"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """
    One immutable file as the store lists it.

    Attributes:
        key: Where it is.
        size: Bytes.
        sha256: Its digest, when the store knows it without reading the file.
    """

    key: Key
    size: int
    sha256: Sha256Hex | None = None


@dataclass(frozen=True, slots=True)
class LocalPath:
    """The bytes are a file of this machine, whole and immutable."""

    path: Path


@dataclass(frozen=True, slots=True)
class RedirectUrl:
    """The bytes can be had by GET from `url` without credentials until `expires`."""

    url: str
    expires: datetime


Location = LocalPath | RedirectUrl | None
"""Where a file's bytes can be had besides `open`; None: only by `open`."""


@dataclass(frozen=True, slots=True)
class Changes:
    """
    Which records may have changed.

    Attributes:
        keys: Every key whose record changed since the cursor; may hold more, never less.
        cursor: Ask with this next time.
        complete: True when `keys` is the list of all records that exist (no cursor, or the cursor was no longer known).
    """

    keys: frozenset[Key]
    cursor: str
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What a transaction makes of a record and of the files that belong to it.

    Attributes:
        content: The new record; None removes it.
        puts: Files put before the swap. No record lists them yet, so other bytes found under their keys are what a
            killed publish left, and are replaced.
        removes: Files removed after the swap.
    """

    content: bytes | None
    puts: Mapping[Key, Spool | bytes] = field(default_factory=lambda: MappingProxyType({}))
    removes: tuple[Key, ...] = ()


Decide = Callable[[Record | None], Plan | None]
"""
Decides what becomes of a record: gets it, or None when there is none; answers None to leave everything as it is.

Runs in a thread, may run again when the record moved, and may raise: then nothing is written.
"""


class Permission(IntEnum):
    """What a host lets the holder of a credential do with the storage; each includes those before it."""

    NONE = 0
    READ = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class HostIdentity:
    """
    What a host says of a credential.

    Attributes:
        permission: What its holder may do.
        login: Who that is, when the host tells; for the record of a publish.
        reason: Why the permission is not what its holder may expect, when the host tells; in words for the caller.
        known: False when the host does not know the credential at all: it is wrong, has expired or was revoked.
    """

    permission: Permission
    login: str | None = None
    reason: str | None = None
    known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """
    What a backend declares about itself.

    Attributes:
        atomic_batch: True when one `write` may hold several records, all or nothing.
        spool_folder: Folder on the store's own disk where uploads should be spooled, so that `put` need not copy.
        fresh: True when `peek` always tells, so a page can be served after one cheap question.
        verified_put: True when `put` itself makes sure that the stored bytes are the spool's; `Store` then does not ask
            for their size and digest afterwards.
        identities: True when `identify` asks the host that keeps the storage who holds a credential.
    """

    atomic_batch: bool = False
    spool_folder: Path | None = None
    fresh: bool = False
    verified_put: bool = False
    identities: bool = False


class Backend(ABC):
    """
    One place where records and files are kept.

    Methods raise our storage errors or let raw ones (`OSError`, HTTP errors) through; `Store` wraps those.
    Nothing is left behind by a call that is cancelled or fails.
    """

    @property
    @abstractmethod
    def traits(self) -> Traits:
        """What this backend can do beyond the minimum."""

    async def start(self) -> None:  # noqa: B027  most stores have nothing to open
        """
        Open connections, make folders, reclaim leftovers of killed processes. Called once, before anything else.

        Raises:
            StorageUnavailable: The storage cannot be used. Storage that can only be read is no reason to raise.
        """

    async def stop(self) -> None:  # noqa: B027  as start
        """Close what `start` opened. Called once, after everything else."""

    async def examine(self, *, repair: bool = False) -> tuple[Finding, ...]:
        """
        Look for trouble in what the store keeps for itself (journals, leftovers of killed processes), not in what it stores.

        May be called before `start`, which clears some of it away; changes nothing unless told to.

        Args:
            repair: Whether what can be repaired is.
        Raises:
            StorageUnavailable: The store could not be asked; nothing is known.
        """
        del repair
        return ()

    async def identify(self, credential: str) -> HostIdentity:
        """
        Ask the host what the holder of a credential may do with this storage; asked only when `traits.identities`.

        Args:
            credential: The password a caller sent: the host's own token.
        Raises:
            StorageUnavailable: The host could not be asked; nothing is known, and nobody is let in.
        """
        del credential
        return HostIdentity(Permission.NONE)

    def trouble(self) -> str | None:
        """Return what keeps the storage from being asked at this moment, in words for `/readyz` and the log; None when nothing."""
        return None

    # -- records ---------------------------------------------------------------------------------------------------

    @abstractmethod
    async def read(self, key: Key) -> Record:
        """
        Read one record.

        Raises:
            KeyNotFound: It does not exist, for certain.
            RecordDamaged: Something is there that is no record.
            StorageUnavailable: The store could not be asked; nothing is known.
        """

    @abstractmethod
    async def write(
        self, changes: Mapping[Key, bytes | None], expected: Mapping[Key, Revision | Absent]
    ) -> Mapping[Key, Revision | Absent]:
        """
        Swap records, all or nothing, if none of them has moved; durable when it returns.

        Args:
            changes: New content by key; None removes the record. One key unless `traits.atomic_batch`.
            expected: For each key of `changes`, the revision last read, or ABSENT.
        Returns:
            The new revision of each key, ABSENT for removed ones.
        Raises:
            Conflict: A record was not at the expected revision; nothing was written.
            StorageFull: No room; nothing was written.
            StorageReadOnly: The store refuses writes; nothing was written.
            StorageUnavailable: The store did not answer; the swap may have happened, so read again.
        """

    @abstractmethod
    async def changes(self, cursor: str | None) -> Changes:
        """
        Tell which records may have changed since `cursor`; None asks for all keys. Cheap when nothing changed.

        A cursor this store no longer knows is answered like None, with `complete`.

        Raises:
            StorageUnavailable: The store could not be asked; nothing is known.
        """

    def peek(self, key: Key) -> Revision | Absent | None:
        """
        Tell a record's current revision without waiting, at the cost of one `stat` at most.

        Returns:
            None when that cannot be told without waiting.
        """
        del key
        return None

    def peeker(self, key: Key) -> Callable[[], Revision | Absent | None]:
        """Return a function that does what `peek` does for one key, for callers that ask again and again."""
        return lambda: self.peek(key)

    def peek_changes(self) -> str | None:
        """Return a token that differs whenever any record may have changed, or None; at the cost of `peek`."""
        return None

    def exclusive(self, key: Key) -> AbstractAsyncContextManager[None]:
        """
        Hold off other publishers of this record while files and record are written; reading goes on.

        Only a courtesy that spares retries and tells leftovers from work under way: correctness rests on `write`.
        This default knows the callers of this process only; a backend that can do better (a lock file) should.
        `write` may be called while it is held, by the holder and by others.

        Raises:
            StorageUnavailable: Somebody held it for too long.
        """
        return self.__dict__.setdefault("_exclusive", KeyedLocks()).hold(key)  # type: ignore[no-any-return]

    async def transact(self, key: Key, decide: Decide) -> Revision | Absent | None:
        """
        Put files, swap a record and remove files as one unit: files first, the record last, removals after it.

        This default is made of the other methods. A backend that can do it in fewer steps should; whoever dies on the
        way leaves files that no record lists, never a record that lists what is not there.

        Args:
            key: The record.
            decide: Plans it; other publishers of this record are held off meanwhile.
        Returns:
            The new revision, ABSENT for a removed record; None when nothing was planned. What was found is durable then
            too, whoever wrote it: the caller may acknowledge it.
        Raises:
            Conflict: Others who do not hold off kept moving the record; nothing is listed.
            WheelyardError: As `decide` raises it; nothing was written.
        """
        from wheelyard.storage.transactions import transact_by_steps  # noqa: PLC0415  it is written with this module's words

        return await transact_by_steps(self, key, decide)

    # -- files -----------------------------------------------------------------------------------------------------

    @abstractmethod
    async def put(self, key: Key, spool: Spool) -> PutOutcome:
        """
        Store one immutable file; durable when it returns. The spool stays the caller's to discard.

        Returns:
            CREATED, or SAME_CONTENT when the same bytes were there, or CONFLICT when others were (they stay).
            Of two writers of one key exactly one gets CREATED.
        Raises:
            RecordDamaged: Something is there that is no file, or the spool changed; nothing was stored.
            StorageFull: No room; nothing was stored.
            StorageReadOnly: The store refuses writes; nothing was stored.
            StorageUnavailable: The store did not answer; put the same again.
        """

    @abstractmethod
    async def stat(self, key: Key) -> StoredFile:
        """
        Describe one file.

        Raises:
            KeyNotFound: It does not exist, for certain.
            RecordDamaged: Something is there that is no file.
            StorageUnavailable: The store could not be asked; nothing is known.
        """

    @abstractmethod
    def open(self, key: Key, byte_range: ByteRange | None = None) -> AsyncIterator[bytes]:
        """
        Stream one file, or one range of it, in pieces of at most 1 MiB.

        The iterator is an async generator: close it (`contextlib.aclosing`) when not read to the end.

        Raises:
            KeyNotFound: It does not exist; raised at the first piece.
            RecordDamaged: Something is there that is no file; raised at the first piece.
            StorageUnavailable: The bytes could not be had.
        """

    async def locate(self, key: Key) -> Location:
        """
        Tell where the bytes can be had besides `open`.

        Raises:
            KeyNotFound: It does not exist (a backend that always answers None need not look).
        """
        del key
        return None

    def local_path(self, key: Key) -> Path | None:
        """Return the path where `key` is or would be on this machine, without looking; None when nowhere."""
        del key
        return None

    @abstractmethod
    async def delete(self, key: Key) -> None:
        """
        Remove one file; removing what is not there is not an error. Durable when it returns.

        Raises:
            StorageReadOnly: The store refuses writes; the file is still there.
            StorageUnavailable: The store did not answer; the file may still be there.
        """

    @abstractmethod
    def list(self, prefix: str = "") -> AsyncIterator[StoredFile]:
        """
        List the files whose key starts with `prefix`, in any order, records not among them.

        Raises:
            StorageUnavailable: The list is not complete.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendContext:
    """
    What a backend is given besides its options.

    Attributes:
        name: Name of the index, for messages.
        folder: A folder of this server's own for this index (`<ROOT>/cache/<name>`); may not exist yet.
        admin_secret: The server's own credential for the storage, by the keys of the admin-secret file without `type`
            (`raw`, or for a GitHub App `app_id`, `installation_id` and `private_key`); empty when none was given.
        sync_interval_s: How old, in seconds, what this server knows of storage that others write to may get.
    """

    name: str
    folder: Path
    admin_secret: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    sync_interval_s: int = 60
