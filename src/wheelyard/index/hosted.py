"""
The index whose projects are ours: records and files in one store.

A publish writes the files first and swaps the record last; that swap is the publication. Yank, status and delete are the
same kind of swap. What is decided is decided by pure functions in `records`; this module reads, writes and retries.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

import anyio
import structlog
from anyio import to_thread

from wheelyard.errors import (
    DistFileNotFound,
    InvalidDocument,
    KeyNotFound,
    MetadataNotFound,
    ProjectNotFound,
    RecordDamaged,
    StorageError,
)
from wheelyard.index import records
from wheelyard.index.checks import CheckedUpload, PublishLimits, guess_project, new_file, prepare
from wheelyard.index.interface import (
    Body,
    Change,
    Delete,
    FileBody,
    Index,
    Published,
    PublishOutcome,
    StreamBody,
    Upload,
)
from wheelyard.index.names_file import KnownNames, NamesFile
from wheelyard.index.parsed_pages import ParsedPages
from wheelyard.index.row_memory import RowMemory
from wheelyard.model import DistFile, Filename, Key, NormalizedName, ProjectList, ProjectPage, Revision
from wheelyard.protocol.record import join_record, parse_record, render_record_row
from wheelyard.storage.interface import ABSENT, Absent, Plan, Record
from wheelyard.storage.spool import Spool
from wheelyard.storage.store import Store

T = TypeVar("T")

_log = structlog.get_logger(__name__)

PREFIX = "simple/"
RECORD_NAME = "index.json"
METADATA_SUFFIX = ".metadata"
ROWS_LIMIT = 20_000  # of records; a row with its place costs about a kilobyte
LOOK_AGAIN_AFTER_S = 2.0
SAVE_NAMES_AFTER = 500  # changes; as many records are looked at again after a start
METADATA_LIMIT_BYTES = 16 * 1024 * 1024  # a METADATA file longer than 16 MiB was never accepted by `checks`


@dataclass(frozen=True, slots=True)
class Adopted:
    """
    One file taken over from another server's folder.

    Attributes:
        file: The page entry it becomes.
        spool: Its bytes.
        metadata: Its core metadata, byte for byte; None when the archive could not be read.
    """

    file: DistFile
    spool: Spool
    metadata: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """
    What becomes of a project.

    Attributes:
        page: Its page afterwards.
        puts: Files put before the page lists them.
        removes: Files removed when no page lists them any more.
        is_end: Whether the project itself goes.
    """

    page: ProjectPage
    puts: Mapping[Key, Spool | bytes] = field(default_factory=dict)
    removes: tuple[Key, ...] = ()
    is_end: bool = False


class _Publication:
    """One upload on its way into a project: checked once, planned as often as the record moves."""

    def __init__(self, upload: Upload, limits: PublishLimits, clock: Callable[[], datetime]) -> None:
        self.known: DistFile | None = None
        self._upload = upload
        self._limits = limits
        self._clock = clock
        self._checked: CheckedUpload | None = None
        self._file: DistFile | None = None

    def checked(self) -> CheckedUpload:
        """Return the outcome of the checks. Blocks the first time."""
        if self._checked is None:
            self._checked = prepare(self._upload, limits=self._limits)
        return self._checked

    def file(self) -> DistFile:
        """Return the page entry; its upload time is when this was first asked."""
        if self._file is None:
            self._file = new_file(self.checked(), self._upload, now=self._clock())
        return self._file

    def puts(self) -> dict[Key, Spool | bytes]:
        """Return what has to be stored before the page lists it."""
        checked, filename = self.checked(), self.file().filename
        return {
            file_key(checked.parsed.name, filename): self._upload.spool,
            metadata_key(checked.parsed.name, filename): checked.inspection.metadata,
        }

    def plan(self, page: ProjectPage) -> Planned | None:
        """Plan the page with the file; None when it is listed already."""
        file = self.file()
        self.known = records.decide_publish(page, file)
        return None if self.known is not None else Planned(page=records.with_files(page, [file]), puts=self.puts())


def record_key(project: NormalizedName) -> Key:
    """Return where the record of a project is stored."""
    return Key(f"{PREFIX}{project}/{RECORD_NAME}")


def file_key(project: NormalizedName, filename: str) -> Key:
    """Return where a file of a project is stored; the same path as its URL."""
    return Key(f"{PREFIX}{project}/{filename}")


def metadata_key(project: NormalizedName, filename: str) -> Key:
    """Return where the core metadata of a file is stored."""
    return file_key(project, filename + METADATA_SUFFIX)


class HostedIndex(Index):
    """
    An index kept in a store.

    Args:
        name: Name of the index, for messages.
        store: Where records and files are.
        limits: What an upload may be.
        clock: Tells the time of a publish, UTC.
        names: Where the names of the projects are kept for the next start; None keeps them nowhere.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        *,
        limits: PublishLimits,
        clock: Callable[[], datetime],
        names: NamesFile | None = None,
    ) -> None:
        self.name = name
        self.store = store
        self._limits = limits
        self._clock = clock
        self._parsed = ParsedPages()
        self._rows: RowMemory[bytes] = RowMemory(ROWS_LIMIT)
        self._names: frozenset[str] = frozenset()
        self._shown: ProjectList = ProjectList()
        self._cursor: str | None = None
        self._names_file = names
        self._unsaved = 0
        self._corrections = 0  # of the list, which no record told
        self._looking_again: asyncio.Task[None] | None = None
        self._list_lock = asyncio.Lock()

    # -- reading ---------------------------------------------------------------------------------------------------

    async def list(self) -> ProjectList:
        """List the projects; costs one question to the store when nothing changed."""
        async with self._list_lock:
            if self._cursor is None and self._names_file is not None:
                known = await to_thread.run_sync(self._names_file.load)
                if known is not None:
                    self._cursor = known.cursor
                    self._take_names(known.names)
                    self._looking_again = asyncio.create_task(self._look_again())
            changes = await self.store.changes(self._cursor)
            if changes.complete:
                names = frozenset(filter(None, map(_project_of, changes.keys)))
            else:
                names = await self._patched(changes.keys)
            self._take_names(names)
            self._cursor = changes.cursor
            await self._save_names(len(changes.keys), complete=changes.complete)
            return self._shown

    async def page(self, project: NormalizedName) -> ProjectPage:
        """Read one project page; of a quarantined project without its files (PEP 792)."""
        page, _ = await self._read(project)
        return page if page.status.offers_files else replace(page, files=())

    async def file(self, project: NormalizedName, filename: Filename) -> FileBody:
        """Open one distribution file."""
        listed = await self._listed(project, filename)
        key = file_key(project, filename)
        location = await self._present(key, self.store.locate(key))
        body: Body = location or StreamBody(lambda byte_range: self.store.open(key, byte_range))
        return FileBody(file=listed, size=records.known_size(listed), body=body)

    async def metadata(self, project: NormalizedName, filename: Filename) -> bytes:
        """Read the core metadata of a file whose page entry advertises it."""
        listed = await self._listed(project, filename)
        if listed.core_metadata is None:
            raise MetadataNotFound(project, filename)
        key = metadata_key(project, filename)
        content = await self._present(key, self.store.read_file(key, limit_bytes=METADATA_LIMIT_BYTES))
        digest = listed.core_metadata.get("sha256")
        if digest is not None and hashlib.sha256(content).hexdigest() != digest:
            raise RecordDamaged(key, "its bytes are not those that were published", store=self.name)
        return content

    async def description(self, project: NormalizedName, filename: Filename) -> bytes | None:
        """Read a file's core metadata for people, advertised or not."""
        await self._listed(project, filename)
        try:
            return await self.store.read_file(metadata_key(project, filename), limit_bytes=METADATA_LIMIT_BYTES)
        except KeyNotFound:
            return None

    def peek(self, project: NormalizedName) -> Revision | Absent | None:
        """Ask the store for the record's revision, without waiting."""
        return self.store.peek(record_key(project))

    def peeker(self, project: NormalizedName) -> Callable[[], Revision | Absent | None]:
        """Return the store's own way of asking again and again."""
        return self.store.peeker(record_key(project))

    def peek_list(self) -> str | None:
        """Ask the store whether any record changed, without waiting."""
        token = self.store.peek_changes()
        return token if token is None or not self._corrections else f"{token}.{self._corrections}"

    # -- writing ---------------------------------------------------------------------------------------------------

    async def publish(self, upload: Upload) -> Published:
        """Check one upload and publish it: files first, the record last."""
        publication = _Publication(upload, self._limits, self._clock)
        project = guess_project(upload) if upload.spool.memory is not None else None
        if project is None:
            # Others wait for the lock of the project meanwhile: only small files are checked while it is held.
            project = (await to_thread.run_sync(publication.checked)).parsed.name
            if upload.spool.is_on_disk:
                await to_thread.run_sync(upload.spool.sync)  # seconds for a large file
        await self._transact(project, publication.plan)
        checked, file = publication.checked(), publication.file()
        if publication.known is not None:
            await self._mend(project, file, publication.puts())
            return Published(PublishOutcome.UNCHANGED, project, publication.known, checked.warnings)
        return Published(PublishOutcome.CREATED, project, file, checked.warnings)

    async def change(self, project: NormalizedName, change: Change) -> ProjectPage:
        """Yank, set a status, or delete; the swap of the record is the change."""
        whole = isinstance(change, Delete) and records.is_whole_project(change)

        def changed(page: ProjectPage) -> Planned:
            after, removed = records.decide(page, change, now=self._clock())
            keys = (make(project, name) for name in removed for make in (file_key, metadata_key))
            return Planned(page=after, removes=tuple(keys), is_end=whole)

        return await self._transact(project, changed, must_exist=True)

    async def adopt(self, project: NormalizedName, files: Sequence[Adopted]) -> int:
        """
        Take files of another server's folder into this index, in one swap; those already listed are passed over.

        Returns:
            How many files were new.
        Raises:
            StorageError: Nothing was listed; the call may be repeated.
        """
        new: list[Adopted] = []

        def add(page: ProjectPage) -> Planned | None:
            new[:] = [adopted for adopted in files if page.find(adopted.file.filename) is None]
            if not new:
                return None
            puts: dict[Key, Spool | bytes] = {}
            for adopted in new:
                puts[file_key(project, adopted.file.filename)] = adopted.spool
                if adopted.metadata is not None:
                    puts[metadata_key(project, adopted.file.filename)] = adopted.metadata
            return Planned(page=records.with_files(page, [adopted.file for adopted in new]), puts=puts)

        await self._transact(project, add)
        return len(new)

    # -- parts -----------------------------------------------------------------------------------------------------

    async def _transact(
        self, project: NormalizedName, plan: Callable[[ProjectPage], Planned | None], *, must_exist: bool = False
    ) -> ProjectPage:
        """
        Let `plan` change the page of a project, and carry it out as one unit.

        Args:
            project: Whose page.
            plan: Gets the page (an empty one of a project that is not here yet); runs in a thread, perhaps more than once.
            must_exist: Whether a project that is not here is an error.
        Returns:
            The page as it is afterwards.
        """
        key = record_key(project)
        remembered = self._parsed.newest(project)
        after = ProjectPage(name=project)

        def decide(record: Record | None) -> Plan | None:
            nonlocal after
            if record is None and must_exist:
                raise ProjectNotFound(project)
            if record is None:
                after = ProjectPage(name=project)
            elif remembered is not None and remembered[0] == record.revision:
                after = remembered[1]
            else:
                after = self._parse(project, record)
            planned = plan(after)
            if planned is None:
                return None
            after = planned.page
            content = None if planned.is_end else self._render(after)
            return Plan(content=content, puts=planned.puts, removes=planned.removes)

        with anyio.CancelScope(shield=True):  # a client that leaves must not stop a publish half-way
            revision = await self.store.transact(key, decide)
        if revision is not None and revision is not ABSENT:
            self._parsed.put(project, revision, after)
        return after

    async def _mend(self, project: NormalizedName, file: DistFile, puts: Mapping[Key, Spool | bytes]) -> None:
        """Put what the storage lost of a file that is listed, since its publisher has just sent the very same again."""
        lost: dict[Key, Spool | bytes] = {}
        for key, content in puts.items():
            size = content.size if isinstance(content, Spool) else len(content)
            try:
                if (await self.store.stat(key)).size != size:
                    lost[key] = content
            except KeyNotFound:
                lost[key] = content
        if not lost:
            return

        def again(page: ProjectPage) -> Planned | None:
            listed = page.find(file.filename)
            return None if listed is None or listed.sha256 != file.sha256 else Planned(page=page, puts=lost)

        await self._transact(project, again)
        _log.warning("mended", index=self.name, project=project, filename=file.filename, lost=len(lost))

    async def _read(self, project: NormalizedName) -> tuple[ProjectPage, Revision]:
        """Read and parse the record, or take the parsed one when its revision still holds."""
        key = record_key(project)
        revision = self.store.peek(key)
        if revision is ABSENT:
            raise ProjectNotFound(project)
        if revision is not None and (page := self._parsed.get(project, revision)) is not None:
            return page, revision
        try:
            record = await self.store.read(key)
        except KeyNotFound:
            raise ProjectNotFound(project) from None
        page = self._parse(project, record)
        self._parsed.put(project, record.revision, page)
        return page, record.revision

    def _render(self, page: ProjectPage) -> bytes:
        """Render a record, taking the rows of files that did not change from the last time. Blocks."""
        return join_record(page, self._rows.rows(page.name, page.files, render_record_row))

    def _parse(self, project: NormalizedName, record: Record) -> ProjectPage:
        """
        Parse the record of a project.

        Raises:
            RecordDamaged: It cannot be read, or it is another project's.
        """
        key = record_key(project)
        try:
            page = parse_record(record.content)
        except InvalidDocument as error:
            raise RecordDamaged(key, error.message, store=self.name) from error
        if page.name != project:
            raise RecordDamaged(key, f"it is the record of project '{page.name}'", store=self.name)
        return page

    async def _listed(self, project: NormalizedName, filename: Filename) -> DistFile:
        page = await self.page(project)
        listed = page.find(filename)
        if listed is None:
            raise DistFileNotFound(project, filename)
        return listed

    async def _present(self, key: Key, reading: Awaitable[T]) -> T:
        """Await a read of bytes that the record promises; their absence is damage, not "not found"."""
        try:
            return await reading
        except KeyNotFound as error:
            raise RecordDamaged(key, "the record lists it, and it is not there", store=self.name) from error

    async def _patched(self, keys: frozenset[Key]) -> frozenset[str]:
        """Return the names after looking again at the records that may have changed."""
        names = set(self._names)
        for key in keys:
            project = _project_of(key)
            if project is None:
                continue
            if await self._exists(key):
                names.add(project)
            else:
                names.discard(project)
        return frozenset(names)

    async def _look_again(self) -> None:
        """List everything once after a start from the file: people may have copied or removed projects by hand meanwhile."""
        await anyio.sleep(LOOK_AGAIN_AFTER_S)
        with suppress(StorageError):  # then what the file said goes on being patched
            changes = await self.store.changes(None)
            async with self._list_lock:
                names = frozenset(filter(None, map(_project_of, changes.keys)))
                self._corrections += names != self._names
                self._take_names(names)
                self._cursor = changes.cursor

    def _take_names(self, names: frozenset[str]) -> None:
        if names != self._names:
            self._names = names
            self._shown = ProjectList(names=tuple(sorted(names)))

    async def _save_names(self, changed: int, *, complete: bool) -> None:
        """Save the names for the next start, when that will spare it more than it costs now."""
        self._unsaved += changed
        if self._names_file is None or self._cursor is None or not (complete or self._unsaved >= SAVE_NAMES_AFTER):
            return
        self._unsaved = 0
        await to_thread.run_sync(self._names_file.save, KnownNames(self._cursor, self._names))

    async def _exists(self, key: Key) -> bool:
        seen = self.store.peek(key)
        if seen is not None:
            return seen is not ABSENT
        try:
            await self.store.read(key)
        except KeyNotFound:
            return False
        return True


def _project_of(key: str) -> str | None:
    """Return the project a record key belongs to; None for other keys."""
    parts = key.split("/")
    is_record = len(parts) == 3 and parts[0] + "/" == PREFIX and parts[2] == RECORD_NAME  # noqa: PLR2004  prefix, project, name
    return parts[1] if is_record else None
