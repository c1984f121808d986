"""
What is so: the record and the files of one project, gathered for the checks of `wheelyard doctor`.

Rule 1: gathering changes nothing and decides nothing.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from anyio import to_thread
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from wheelyard.archives.inspect import Inspection, inspect
from wheelyard.archives.limits import ArchiveLimits
from wheelyard.errors import (
    ArchiveError,
    InvalidDocument,
    InvalidFilename,
    InvalidKey,
    InvalidName,
    KeyNotFound,
    RecordDamaged,
    StorageError,
)
from wheelyard.index.hosted import METADATA_LIMIT_BYTES, METADATA_SUFFIX, PREFIX, file_key, metadata_key, record_key
from wheelyard.model import Key, NormalizedName, ProjectPage, Revision, Sha256Hex
from wheelyard.protocol.core_metadata import static_for_sdist
from wheelyard.protocol.filenames import ParsedFilename, parse_filename
from wheelyard.protocol.names import normalize
from wheelyard.protocol.record import parse_record
from wheelyard.storage.interface import ABSENT, Absent
from wheelyard.storage.keys import RECORD_NAME
from wheelyard.storage.store import Store
from wheelyard.storage.wrapping import wrapped

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

QUARANTINED = "_quarantined"
"""Private key of a record: files that `doctor` took off the page, with the entry each had and where its bytes went."""


@dataclass(frozen=True, slots=True)
class StoredName:
    """
    One name in a project's folder.

    Attributes:
        size: Bytes.
        modified: When it was last written; None when the store does not tell.
        kind: "" for a plain file; else what it is ("a symbolic link").
    """

    size: int
    modified: datetime | None
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Digests:
    """Size and digests of bytes that were read."""

    size: int
    sha256: Sha256Hex
    blake2b_256: str
    md5: str


@dataclass(frozen=True, slots=True)
class Described:
    """
    What an archive says of itself.

    Attributes:
        metadata_sha256: Digest of its core metadata.
        requires_python: Specifier of its core metadata; None when it has none that can be read.
        is_advertised: Whether a page may offer its metadata.
        project: Whose file it is; None when its name for that is none.
    """

    metadata_sha256: str
    requires_python: str | None
    is_advertised: bool
    project: NormalizedName | None


@dataclass(frozen=True, slots=True)
class Facts:
    """
    One project as it is stored.

    Attributes:
        index: Name of the index.
        project: Name of the project: of its folder.
        content: The record's bytes; None when there is none or it could not be read.
        revision: The record's revision; None when it could not be read.
        page: The record; None when there is none that can be read.
        damage: Why it cannot be read; "" otherwise.
        stored: What lies in the project's folder, but for the record.
        digests: Of the files whose bytes were read.
        unread: Files whose bytes could not be had, and why.
        metadata: SHA-256 of each stored `.metadata`, by the name of its distribution file.
        archives: What archives say; a text tells why one says nothing.
    """

    index: str
    project: NormalizedName
    content: bytes | None = None
    revision: Revision | Absent | None = None
    page: ProjectPage | None = None
    damage: str = ""
    stored: Mapping[str, StoredName] = field(default_factory=dict)
    digests: Mapping[str, Digests] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    archives: Mapping[str, Described | str] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """Where the record is."""
        return record_key(self.project)

    def parsed(self, filename: str) -> ParsedFilename | None:
        """Return what a file's name says; None when it is no name of a distribution file of this project."""
        try:
            parsed = parse_filename(filename, self.project)
        except InvalidFilename:
            return None
        return parsed if parsed.name == self.project else None


class Gathering:
    """
    Gathers the facts of projects.

    Args:
        store: Where they are.
        fast: Whether bytes of files are left unread.
        limits: How much of an archive's inside is read.
        advance: Told how many bytes were read.
    """

    def __init__(self, store: Store, *, fast: bool, limits: ArchiveLimits, advance: Callable[[int], None]) -> None:
        self._store = store
        self._fast = fast
        self._limits = limits
        self._advance = advance

    async def gather(self, project: NormalizedName, *, only: frozenset[str] | None = None) -> Facts:
        """
        Gather the facts of one project.

        Args:
            project: Which.
            only: Listed files whose bytes are read, even when it should be fast; None for all, or none to be fast.
        Raises:
            StorageError: Its folder cannot be listed; nothing is known.
        """
        facts = await self._record(project)
        stored = await self._stored(project)
        wanted = self._wanted(facts, stored, only)
        digests: dict[str, Digests] = {}
        unread: dict[str, str] = {}
        archives: dict[str, Described | str] = {}
        for filename in sorted(wanted):
            try:
                digests[filename] = await self._digests(file_key(project, filename))
            except KeyNotFound:
                stored.pop(filename, None)  # it was removed a moment ago
                continue
            except StorageError as error:
                unread[filename] = _why(error)
                continue
            archives[filename] = await self._described(project, filename)
        listed = () if facts.page is None else facts.page.files
        metadata: dict[str, str] = {}
        for file in listed:
            if (digest := await self._metadata(project, file.filename)) is not None:
                metadata[file.filename] = digest
        return Facts(
            facts.index,
            project,
            facts.content,
            facts.revision,
            facts.page,
            facts.damage,
            stored,
            digests,
            unread,
            metadata,
            archives,
        )

    async def metadata_in(self, project: NormalizedName, filename: str) -> bytes:
        """
        Read the core metadata inside an archive.

        Raises:
            ArchiveError: There is none to be had.
            InvalidFilename: It is no distribution file.
            StorageError: The archive cannot be read.
        """
        return (await self._inspected(project, filename)).metadata

    # -- parts -----------------------------------------------------------------------------------------------------

    async def _record(self, project: NormalizedName) -> Facts:
        name = self._store.name
        try:
            record = await self._store.read(record_key(project))
        except KeyNotFound:
            return Facts(name, project, revision=ABSENT)
        except StorageError as error:
            return Facts(name, project, damage=_why(error))
        try:
            page = parse_record(record.content)
        except InvalidDocument as error:
            return Facts(name, project, record.content, record.revision, damage=error.message)
        if page.name != project:
            why = f"it is the record of project '{page.name}'"
            return Facts(name, project, record.content, record.revision, damage=why)
        return Facts(name, project, record.content, record.revision, page)

    async def _stored(self, project: NormalizedName) -> dict[str, StoredName]:
        """List what lies in the project's folder: everything where it is a folder of this machine, else files."""
        folder = self._store.local_path(file_key(project, "-"))
        if folder is not None:
            return await to_thread.run_sync(lambda: _scanned(folder.parent))
        prefix = f"{PREFIX}{project}/"
        files = self._store.list(prefix)
        return {file.key.removeprefix(prefix): StoredName(file.size, None) async for file in files}

    def _wanted(self, facts: Facts, stored: Mapping[str, StoredName], only: frozenset[str] | None) -> set[str]:
        """Return the files whose bytes are read."""
        plain = {name for name, found in stored.items() if not found.kind}
        if facts.page is None:
            # Only a record that is there and damaged is built again from its files.
            return {name for name in plain if facts.parsed(name)} if facts.content is not None else set()
        listed = {file.filename for file in facts.page.files}
        noted = facts.page.private.get(QUARANTINED)
        returned = set(noted) & plain if isinstance(noted, Mapping) else set()
        every = set() if self._fast else listed
        chosen = every if only is None else listed & only
        # A link in the place of a file is asked for too: the store says what is wrong with it.
        return {name for name in chosen if name in stored} | (returned - listed)

    async def _digests(self, key: Key) -> Digests:
        sha256, blake2b, md5 = hashlib.sha256(), hashlib.blake2b(digest_size=32), hashlib.md5(usedforsecurity=False)
        size = 0

        def update(piece: bytes) -> None:
            sha256.update(piece)
            blake2b.update(piece)
            md5.update(piece)

        async with aclosing(cast("AsyncGenerator[bytes, None]", self._store.open(key))) as pieces:
            async for piece in pieces:
                await to_thread.run_sync(update, piece)
                size += len(piece)
                self._advance(len(piece))
        return Digests(size, Sha256Hex(sha256.hexdigest()), blake2b.hexdigest(), md5.hexdigest())

    async def _metadata(self, project: NormalizedName, filename: str) -> str | None:
        """Return the digest of a stored `.metadata`; None when there is none, "" when it cannot be read."""
        try:
            content = await self._store.read_file(metadata_key(project, filename), limit_bytes=METADATA_LIMIT_BYTES)
        except (KeyNotFound, InvalidKey):
            return None
        except StorageError:
            return ""
        return hashlib.sha256(content).hexdigest()

    async def _described(self, project: NormalizedName, filename: str) -> Described | str:
        try:
            inspection = await self._inspected(project, filename)
        except InvalidFilename as error:
            return error.why
        except (ArchiveError, StorageError) as error:
            return error.message
        core = inspection.core
        return Described(
            hashlib.sha256(inspection.metadata).hexdigest(),
            _specifier(core.requires_python),
            filename.endswith(".whl") or static_for_sdist(core),
            _normalized(core.name),
        )

    async def _inspected(self, project: NormalizedName, filename: str) -> Inspection:
        """Look into a stored archive, in place or, where its bytes are elsewhere, in a copy."""
        parsed, key = parse_filename(filename, project), file_key(project, filename)
        path = self._store.local_path(key)
        if path is not None:
            with wrapped(self._store.name, key):
                return await to_thread.run_sync(lambda: inspect(path, parsed, limits=self._limits))
        spool = await self._store.spool()
        try:
            async with aclosing(cast("AsyncGenerator[bytes, None]", self._store.open(key))) as pieces:
                async for piece in pieces:
                    await to_thread.run_sync(spool.write, piece)
            return await to_thread.run_sync(lambda: inspect(spool.path, parsed, limits=self._limits))
        finally:
            await to_thread.run_sync(spool.discard)


def _scanned(folder: Path) -> dict[str, StoredName]:
    """Describe what lies in a folder, links not followed; nothing for a folder that is none."""
    found: dict[str, StoredName] = {}
    try:
        if stat.S_ISLNK(folder.lstat().st_mode):
            return {}
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name != RECORD_NAME:
                    try:
                        found[entry.name] = _stored_name(entry.stat(follow_symlinks=False))
                    except FileNotFoundError:
                        continue
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return found


def _stored_name(status: os.stat_result) -> StoredName:
    return StoredName(status.st_size, moment_of(status), kind_of(status.st_mode))


def moment_of(status: os.stat_result) -> datetime:
    """Return when a file was last written; the end of time for clocks beyond it."""
    try:
        return datetime.fromtimestamp(status.st_mtime, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=UTC)


def kind_of(mode: int) -> str:
    """Say what something is that is no plain file; "" for a plain file."""
    if stat.S_ISREG(mode):
        return ""
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    return "a folder" if stat.S_ISDIR(mode) else "neither a file nor a folder"


def is_metadata_of(name: str) -> str | None:
    """Return the distribution file a `.metadata` belongs to; None for other names."""
    return name.removesuffix(METADATA_SUFFIX) if name.endswith(METADATA_SUFFIX) else None


def _why(error: StorageError) -> str:
    return error.why if isinstance(error, RecordDamaged) else error.message


def _specifier(text: str | None) -> str | None:
    """Return a specifier as it stands in the metadata; None for one that cannot be read."""
    if not text:
        return None
    try:
        SpecifierSet(text)
    except (InvalidSpecifier, ValueError):
        return None
    return text


def _normalized(name: str) -> NormalizedName | None:
    try:
        return normalize(name)
    except InvalidName:
        return None
