"""
Bringing projects back from a backup: every byte is checked against the backup's manifest and the record before the record is written.

Rule 1: nothing that is there and differs is replaced unless `force` says so, and then it moves to quarantine.
Rule 2: files first, the record last, as in a publish; a restore that is killed may be run again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

from anyio import CancelScope, to_thread

from wheelyard.errors import BackupError, InvalidDocument, KeyNotFound, RecordDamaged, StorageError, shown
from wheelyard.index.backup import prefix_of
from wheelyard.index.backup_files import BackupSource
from wheelyard.index.doctor import Progress, Size, storage_folder
from wheelyard.index.doctor_checks import noted_entry
from wheelyard.index.doctor_facts import QUARANTINED
from wheelyard.index.doctor_quarantine import Quarantine
from wheelyard.index.doctor_repair import without_file
from wheelyard.index.doctor_salvage import read_entry
from wheelyard.index.hosted import PREFIX, file_key, metadata_key, record_key
from wheelyard.model import Key, NormalizedName, ProjectPage
from wheelyard.protocol.names import is_normalized
from wheelyard.protocol.record import parse_record, render_record
from wheelyard.storage.interface import ABSENT, PutOutcome, Record
from wheelyard.storage.keys import RECORD_NAME
from wheelyard.storage.spool import PIECE_BYTES, Spool
from wheelyard.storage.store import Store
from wheelyard.storage.wrapping import wrapped

_CODE = "restore"  # in the manifest of the quarantine


@dataclass(slots=True)
class Restored:
    """
    What was done.

    Attributes:
        projects: Projects whose record was written.
        same: Projects that were as in the backup already.
        files: Files that were put.
        problems: What could not be done, one line each.
    """

    projects: int = 0
    same: int = 0
    files: int = 0
    problems: list[str] = field(default_factory=list)


class IndexRestore:
    """
    Brings projects of one index back.

    Args:
        source: The backup.
        store: Where they go; started, except for `conflicts`.
        now: The time, UTC; for notes.
        force: Whether what differs is replaced.
        progress: Told how far it is.
    """

    def __init__(
        self,
        source: BackupSource,
        store: Store,
        *,
        now: datetime,
        force: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._source = source
        self._store = store
        self._now = now
        self._force = force
        self._progress = progress or Progress()
        self._prefix = prefix_of(store.name)
        folder = storage_folder(store)
        self._quarantine = None if folder is None else Quarantine(folder, now)
        self.restored = Restored()

    def projects(self) -> tuple[NormalizedName, ...]:
        """Return the projects of this index that the backup has a record of."""
        start, end = f"{self._prefix}{PREFIX}", f"/{RECORD_NAME}"
        names = (
            path[len(start) : -len(end)]
            for path in self._source.manifest.files
            if path.startswith(start) and path.endswith(end)
        )
        return tuple(NormalizedName(name) for name in sorted(names) if is_normalized(name))

    async def conflicts(self, projects: Iterable[NormalizedName]) -> list[NormalizedName]:
        """
        Return the projects that are there with another record than the backup's.

        Raises:
            BackupError: The backup is damaged.
            StorageError: The store could not be asked.
        """
        differing = []
        for project in projects:
            content = await to_thread.run_sync(self._source.read, self._prefix + record_key(project))
            try:
                is_other = (await self._store.read(record_key(project))).content != content
            except KeyNotFound:
                continue
            except RecordDamaged:
                is_other = True
            if is_other:
                differing.append(project)
        return differing

    async def run(self, projects: Iterable[NormalizedName], *, only_missing: bool = False) -> Restored:
        """
        Bring projects back.

        Args:
            projects: Which.
            only_missing: Whether only files are brought back that the index's own record lists, or listed before
                `doctor` took them off; its records stay as they are.
        """
        chosen = tuple(projects)
        folders = {f"{self._prefix}{PREFIX}{project}" for project in chosen}
        sizes = (
            entry.size for path, entry in self._source.manifest.files.items() if path.rpartition("/")[0] in folders
        )
        self._progress.begin(self._store.name, Size(len(chosen), sum(sizes)))
        for project in chosen:
            self._progress.at(project)
            try:
                with CancelScope(shield=True):
                    await (self._fill(project) if only_missing else self._restore(project))
            except (BackupError, StorageError) as error:
                self.restored.problems.append(f"project '{project}': {error.message}")
        return self.restored

    # -- one project -----------------------------------------------------------------------------------------------

    async def _restore(self, project: NormalizedName) -> None:
        key = record_key(project)
        content = await to_thread.run_sync(self._source.read, self._prefix + key)
        page = self._parsed(project, content)
        async with self._store.exclusive(key):
            before = await self._current(key)
            if before is not None and before.content != content and not self._force:
                raise BackupError("it is there and differs; `--force` replaces it")
            wanted = _wanted(page)
            lost = await self._put_all(page.name, wanted)
            rendered = self._without_lost(page, lost, content)
            if before is not None and before.content == rendered:
                self.restored.same += 1
                return
            if before is not None:
                await self._keep(key, before.content)
            await self._store.write({key: rendered}, {key: ABSENT if before is None else before.revision})
            self.restored.projects += 1
            await self._put_away_unlisted(project, wanted)

    async def _fill(self, project: NormalizedName) -> None:
        """Bring back the files that the index's own record speaks of and that are not there."""
        key = record_key(project)
        async with self._store.exclusive(key):
            before = await self._current(key)
            if before is None:
                return
            page = self._parsed(project, before.content)
            await self._put_all(project, {**_noted(page), **_wanted(page)})

    def _parsed(self, project: NormalizedName, content: bytes) -> ProjectPage:
        try:
            page = parse_record(content)
        except InvalidDocument as error:
            raise BackupError(f"its record cannot be read: {error.message}") from error
        if page.name != project:
            raise BackupError(f"its record is that of project '{page.name}'")
        return page

    async def _current(self, key: Key) -> Record | None:
        try:
            return await self._store.read(key)
        except KeyNotFound:
            return None

    def _without_lost(self, page: ProjectPage, lost: Mapping[str, str], content: bytes) -> bytes:
        """Return the record without files that the backup could not copy either: a page lists only what is there."""
        for filename, why in lost.items():
            file = page.find(filename)
            if file is not None:
                page = without_file(page, file, why=why, when=self._now, place="")
                self.restored.problems.append(f"'{shown(filename)}' is not in the backup ({why}); it is not listed")
        return render_record(page) if lost else content

    # -- files -----------------------------------------------------------------------------------------------------

    async def _put_all(self, project: NormalizedName, wanted: Mapping[Key, str | None]) -> dict[str, str]:
        """Put files of the backup; returns the distribution files that it does not have."""
        lost: dict[str, str] = {}
        manifest = self._source.manifest
        for key, sha256 in wanted.items():
            path = self._prefix + key
            entry = manifest.files.get(path)
            if entry is None or (sha256 is not None and entry.sha256 != sha256):
                if not await self._is_there(key):
                    lost[key.rpartition("/")[2]] = manifest.missing.get(path, "the backup has no such file")
                continue
            await self._put(key, path, entry.sha256)
        del project
        return lost

    async def _is_there(self, key: Key) -> bool:
        try:
            await self._store.stat(key)
        except KeyNotFound:
            return False
        return True

    async def _put(self, key: Key, path: str, sha256: str) -> None:
        spool = await self._store.spool()
        try:
            await to_thread.run_sync(lambda: self._spool(path, spool))
            if spool.sha256 != sha256:
                raise BackupError(f"'{shown(path)}' in the backup is damaged: its sha256 is {spool.sha256}")
            outcome = await self._store.put(key, spool)
            if outcome is PutOutcome.CONFLICT:
                await self._make_way(key)
                outcome = await self._store.put(key, spool)
            self.restored.files += outcome is PutOutcome.CREATED
        finally:
            await to_thread.run_sync(spool.discard)

    def _spool(self, path: str, spool: Spool) -> None:
        source: BinaryIO
        with self._source.open(path) as source:
            while piece := source.read(PIECE_BYTES):
                spool.write(piece)
                self._progress.advance(len(piece))

    async def _make_way(self, key: Key) -> None:
        """Move what has the name of a file of the backup and other bytes."""
        if not self._force:
            raise BackupError(f"'{shown(key)}' is there with other bytes; `--force` replaces it")
        await self._take(key, "a restore put other bytes here")

    async def _take(self, key: str, why: str) -> None:
        quarantine = self._quarantine
        if quarantine is None:
            raise BackupError(f"'{shown(key)}' is in the way, and this storage has no place to move it to")
        with wrapped(self._store.name, key):
            await to_thread.run_sync(lambda: quarantine.take(key, code=_CODE, why=why))

    async def _keep(self, key: Key, content: bytes) -> None:
        quarantine = self._quarantine
        if quarantine is not None:
            with wrapped(self._store.name, key):
                await to_thread.run_sync(lambda: quarantine.keep(key, content, code=_CODE, why="replaced by a restore"))

    async def _put_away_unlisted(self, project: NormalizedName, wanted: Mapping[Key, str | None]) -> None:
        """Move files that the replaced record listed and the restored one does not."""
        keys = [file.key async for file in self._store.list(f"{PREFIX}{project}/") if file.key not in wanted]
        for key in keys:
            await self._take(key, "the restored record does not list it")


def _wanted(page: ProjectPage) -> dict[Key, str | None]:
    """Return the files that a record speaks of, with the digest each must have."""
    wanted: dict[Key, str | None] = {}
    for file in page.files:
        wanted[file_key(page.name, file.filename)] = file.sha256
        told = file.private.get("_metadata") or (file.core_metadata or {}).get("sha256")
        if isinstance(told, str):
            wanted[metadata_key(page.name, file.filename)] = told
    return wanted


def _noted(page: ProjectPage) -> dict[Key, str | None]:
    """Return the files that `doctor` took off the page."""
    notes = page.private.get(QUARANTINED)
    names = list(notes) if isinstance(notes, Mapping) else []
    entries = (noted_entry(page, name) for name in names)
    files = (read_entry(entry, page.name) for entry in entries if entry is not None)
    return _wanted(ProjectPage(name=page.name, files=tuple(file for file in files if file is not None)))
