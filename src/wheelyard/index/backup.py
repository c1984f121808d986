"""
Copying one index while it is served.

A project's record is read first, then the files it lists: files are immutable and a delete removes the record's entry
before the bytes, so a record whose files were all there after it was read was true at that moment. A file that vanishes
meanwhile means that the record moved: it is read again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from anyio import to_thread

from wheelyard.errors import InvalidDocument, KeyNotFound, StorageError, shown
from wheelyard.index.backup_files import BackupTarget, writing
from wheelyard.index.doctor import Progress, Size, project_sizes
from wheelyard.index.hosted import file_key, metadata_key, record_key
from wheelyard.model import DistFile, Key, NormalizedName, ProjectPage
from wheelyard.protocol.record import parse_record
from wheelyard.storage.interface import Record
from wheelyard.storage.store import Store

_ATTEMPTS: Final = 10  # times a record may move while its files are copied


def prefix_of(index: str) -> str:
    """Return where an index is in a backup."""
    return f"indexes/{index}/"


@dataclass(slots=True)
class Copied:
    """
    What was done.

    Attributes:
        projects: Projects in the backup.
        files: Files copied; those taken over from the backup before are not among them.
        bytes: Their size.
        kept: Files taken over from the backup before.
        problems: What could not be copied, one line each.
        missing: Listed files that could not be copied: path in the backup to reason.
    """

    projects: int = 0
    files: int = 0
    bytes: int = 0
    kept: int = 0
    problems: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)


class IndexBackup:
    """
    Copies one index.

    Args:
        store: Where it is; need not be started.
        target: Where it goes.
        place: The target's name, for messages.
        progress: Told how far it is.
    """

    def __init__(self, store: Store, target: BackupTarget, place: Path, progress: Progress | None = None) -> None:
        self._store = store
        self._target = target
        self._place = place
        self._progress = progress or Progress()
        self._prefix = prefix_of(store.name)
        self.copied = Copied()

    async def run(self) -> Copied:
        """
        Copy every project.

        Raises:
            BackupError: The backup cannot be written.
            StorageError: The index cannot be listed; what is wrong with single projects is a problem in the result.
        """
        sizes = await project_sizes(self._store)
        self._progress.begin(self._store.name, Size(len(sizes), sum(sizes.values())))
        for project in sorted(sizes):
            self._progress.at(project)
            try:
                await self._copy_project(project)
            except StorageError as error:
                await self._carry(project, error.message)
        return self.copied

    # -- one project -----------------------------------------------------------------------------------------------

    async def _copy_project(self, project: NormalizedName) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                record = await self._store.read(record_key(project))
            except KeyNotFound:
                return  # deleted, or never published
            try:
                page = parse_record(record.content)
            except InvalidDocument as error:
                await self._carry(project, error.message)
                return
            is_last = attempt == _ATTEMPTS - 1
            missing = await self._copy_files(page)
            if missing and not is_last and await self._has_moved(project, record):
                continue
            self.copied.missing |= missing
            self.copied.problems += [f"{shown(path)}: {why}" for path, why in missing.items()]
            await self._add(f"{self._prefix}{record_key(project)}", record.content)
            self.copied.projects += 1
            return

    async def _has_moved(self, project: NormalizedName, record: Record) -> bool:
        try:
            return (await self._store.read(record_key(project))).revision != record.revision
        except KeyNotFound:
            return True

    async def _copy_files(self, page: ProjectPage) -> dict[str, str]:
        """Copy what a record lists; returns what could not be copied, with the reason."""
        missing: dict[str, str] = {}
        for file in page.files:
            why = await self._copy_file(file_key(page.name, file.filename), file.sha256, file.size)
            if why:
                missing[self._prefix + file_key(page.name, file.filename)] = why
            await self._copy_metadata(page.name, file, missing)
        return missing

    async def _copy_metadata(self, project: NormalizedName, file: DistFile, missing: dict[str, str]) -> None:
        told = file.private.get("_metadata") or (file.core_metadata or {}).get("sha256")
        if not isinstance(told, str):
            return
        key = metadata_key(project, file.filename)
        why = await self._copy_file(key, told, None)
        if why:
            missing[self._prefix + key] = why

    async def _copy_file(self, key: Key, sha256: str | None, size: int | None) -> str:
        """Copy one file, or take it over from the backup before; returns why that was not possible."""
        path = self._prefix + key
        if path in self._target.files:
            return ""
        with writing(self._place):
            if sha256 is not None and await to_thread.run_sync(self._target.reuse, path, sha256):
                self.copied.kept += 1
                self._progress.advance(size or 0)
                return ""
        try:
            found = (await self._store.stat(key)).size
            digest = await self._stream(key, path, found)
        except KeyNotFound:
            return "it is not there"
        except StorageError as error:
            return error.message
        if sha256 is not None and digest != sha256:
            self._target.files.pop(path, None)
            return f"it is not what was published: its sha256 is {digest}, the record says {sha256}"
        self.copied.files += 1
        self.copied.bytes += found
        return ""

    async def _stream(self, key: Key, path: str, size: int) -> str:
        """Copy bytes; returns their digest."""
        with writing(self._place):
            await to_thread.run_sync(self._target.begin, path, size)
        try:
            async with aclosing(cast("AsyncGenerator[bytes, None]", self._store.open(key))) as pieces:
                async for piece in pieces:
                    with writing(self._place):
                        await to_thread.run_sync(self._target.write, piece)
                    self._progress.advance(len(piece))
            with writing(self._place):
                return (await to_thread.run_sync(self._target.finish)).sha256
        except BaseException:
            with writing(self._place):
                self._target.abandon()
            raise

    async def _add(self, path: str, content: bytes) -> None:
        with writing(self._place):
            await to_thread.run_sync(self._target.add, path, content)

    async def _carry(self, project: NormalizedName, why: str) -> None:
        """Keep a project that cannot be read as it was in the backup before."""
        problem = f"project '{project}' cannot be read: {why}"
        previous = self._target.previous
        folder = f"{self._prefix}{record_key(project).rpartition('/')[0]}/"
        paths = [] if previous is None else [path for path in previous.manifest.files if path.startswith(folder)]
        with writing(self._place):
            kept = [path for path in paths if await to_thread.run_sync(self._target.reuse, path)]
        if previous is not None and kept:
            problem += f"; kept as it was at {previous.manifest.made}"
            self.copied.kept += len(kept)
            self.copied.projects += 1
        self.copied.problems.append(problem)
