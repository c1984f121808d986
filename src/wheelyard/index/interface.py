"""
An index is one small interface; hosted, upstream, layered, filtered and guarded indexes implement it and compose.

Wrappers that restrict inherit `DenyAll`, so that a forgotten method refuses; wrappers that enrich inherit `PassThrough`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from wheelyard.errors import Unsupported
from wheelyard.index.slices import FileSlice
from wheelyard.model import (
    DistFile,
    Filename,
    NormalizedName,
    ProjectList,
    ProjectPage,
    ProjectStatus,
    Revision,
)
from wheelyard.storage.interface import Absent, ByteRange, LocalPath, RedirectUrl

if TYPE_CHECKING:
    from wheelyard.protocol.upload_form import UploadForm
    from wheelyard.storage.spool import Spool


@dataclass(frozen=True, slots=True)
class StreamBody:
    """
    The bytes come from a stream; one of the two may be called, once, and its iterator must be closed.

    Attributes:
        open: Gives the bytes of a range, or all.
        slices: The same, but bytes that are in a file of this machine come as slices of it; None when there are none.
    """

    open: Callable[[ByteRange | None], AsyncIterator[bytes]]
    slices: Callable[[ByteRange | None], AsyncIterator[bytes | FileSlice]] | None = None


Body = LocalPath | RedirectUrl | StreamBody


@dataclass(frozen=True, slots=True)
class FileBody:
    """
    One distribution file, ready to be sent.

    Attributes:
        file: What the page says of it.
        size: Bytes.
        body: Where the bytes are.
    """

    file: DistFile
    size: int
    body: Body


@dataclass(frozen=True, slots=True)
class Upload:
    """
    One upload as it reached us.

    Attributes:
        form: The fields of the legacy upload form.
        filename: File name of the `content` part, unchecked.
        spool: The bytes on disk, with digests.
        uploader: Who publishes, for the record (`index:write`, a login, a token's name).
    """

    form: UploadForm
    filename: str
    spool: Spool
    uploader: str


class PublishOutcome(Enum):
    """Whether a publish changed the index."""

    CREATED = "created"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Published:
    """
    The result of a publish.

    Attributes:
        outcome: UNCHANGED when the same file with the same bytes was already there.
        project: Its project.
        file: The file as its page now lists it.
        warnings: What the publisher should know, one line each.
    """

    outcome: PublishOutcome
    project: NormalizedName
    file: DistFile
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Yank:
    """
    Mark files as yanked, or take the mark away (PEP 592).

    Attributes:
        filenames: Which files; empty means every file of `version`.
        version: Release; None when filenames are given.
        reason: None removes the mark; "" yanks without a reason.
    """

    filenames: frozenset[Filename]
    version: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Set the project's status marker (PEP 792)."""

    status: ProjectStatus
    reason: str | None


@dataclass(frozen=True, slots=True)
class Delete:
    """
    Remove files from the index, the record first, then the bytes.

    Attributes:
        filenames: Which files; empty with a version means the release; empty without one means the whole project.
        version: Release, or None.
    """

    filenames: frozenset[Filename] = field(default_factory=frozenset)
    version: str | None = None


Change = Yank | SetStatus | Delete


class Action(Enum):
    """What somebody may be allowed to do with an index; values complete "these credentials may not … index 'x'"."""

    READ = "read"
    PUBLISH = "publish to"
    MANAGE = "manage"


class IndexReader(ABC):
    """Reading side of an index."""

    @abstractmethod
    async def list(self) -> ProjectList:
        """
        List the projects.

        Raises:
            StorageError: The store could not be asked.
            UpstreamUnavailable: The upstream could not be asked.
        Spec: Simple repository API, project list.
        """

    @abstractmethod
    async def page(self, project: NormalizedName) -> ProjectPage:
        """
        Read one project page.

        Raises:
            ProjectNotFound: This index does not have the project, for certain.
            RecordDamaged: The stored page cannot be read.
            StorageError: The store could not be asked; nothing is known.
            UpstreamUnavailable: The upstream could not be asked; nothing is known.
            UpstreamInvalid: The upstream answered something that is no project page.
        Spec: Simple repository API, project page; PEP 691, 700, 592, 792.
        """

    @abstractmethod
    async def file(self, project: NormalizedName, filename: Filename) -> FileBody:
        """
        Open one distribution file. Yanked files are opened like any other (PEP 592).

        Args:
            project: Normalised project name.
            filename: Exactly as listed on the project page; never a path.
        Raises:
            ProjectNotFound: This index does not have the project.
            DistFileNotFound: It has the project, not this file; or the project is quarantined (PEP 792).
            StorageError: The bytes could not be had.
            UpstreamUnavailable: Could not ask; nothing is known.
        """

    @abstractmethod
    async def metadata(self, project: NormalizedName, filename: Filename) -> bytes:
        """
        Read the core metadata of a file, byte for byte as in the file (PEP 658).

        Raises:
            ProjectNotFound: This index does not have the project.
            DistFileNotFound: It has the project, not this file; or the project is quarantined.
            MetadataNotFound: It has the file, and the page advertises no metadata for it.
            StorageError: The bytes could not be had.
        """

    async def description(self, project: NormalizedName, filename: Filename) -> bytes | None:
        """
        Read a file's core metadata for showing to people, also where the page may not advertise it (old sdists).

        Returns:
            None when there is none.
        Raises:
            As `metadata`, but for MetadataNotFound.
        """
        del project, filename
        return None

    def peek(self, project: NormalizedName) -> Revision | Absent | None:
        """Tell the current revision of a project's record without waiting; None when that cannot be told."""
        del project
        return None

    def peeker(self, project: NormalizedName) -> Callable[[], Revision | Absent | None]:
        """Return a function that does what `peek` does for one project, for callers that ask again and again."""
        return lambda: self.peek(project)

    def peek_list(self) -> str | None:
        """Return a token that differs whenever the project list may have changed; None when that cannot be told."""
        return None


class IndexWriter(ABC):
    """Writing side of an index."""

    @abstractmethod
    async def publish(self, upload: Upload) -> Published:
        """
        Check one upload and publish it: files first, the record last.

        Raises:
            InvalidUpload: It breaks rules; all are named. Nothing was kept.
            FileExists: Another file of that name is published; it stays as it was.
            FileTooLarge: It is larger than the index allows.
            ProjectClosed: The project is archived or quarantined.
            StorageError: Nothing was published; the same upload may be sent again.
        """

    @abstractmethod
    async def change(self, project: NormalizedName, change: Change) -> ProjectPage:
        """
        Yank, set a status, or delete; the swap of the record is the change.

        Raises:
            ProjectNotFound: No such project.
            ReleaseNotFound: The project has no such release.
            DistFileNotFound: The project has no such file.
            StorageError: Nothing was changed.
        """


class Index(IndexReader, IndexWriter):
    """An index that can be read and written."""


class DenyAll(Index):
    """Refuses everything: the base of wrappers that restrict, so that a forgotten method never widens access."""

    async def list(self) -> ProjectList:
        """Refuse."""
        raise Unsupported("listing projects is not allowed here")

    async def page(self, project: NormalizedName) -> ProjectPage:
        """Refuse."""
        raise Unsupported(f"reading project '{project}' is not allowed here")

    async def file(self, project: NormalizedName, filename: Filename) -> FileBody:
        """Refuse."""
        raise Unsupported(f"reading file '{filename}' is not allowed here")

    async def metadata(self, project: NormalizedName, filename: Filename) -> bytes:
        """Refuse."""
        raise Unsupported(f"reading metadata of '{filename}' is not allowed here")

    async def publish(self, upload: Upload) -> Published:
        """Refuse."""
        raise Unsupported("this index takes no uploads")

    async def change(self, project: NormalizedName, change: Change) -> ProjectPage:
        """Refuse."""
        raise Unsupported("this index cannot be changed")


class PassThrough(Index):
    """Hands everything to another index: the base of wrappers that enrich."""

    def __init__(self, inner: Index) -> None:
        self._inner = inner

    async def list(self) -> ProjectList:
        """Ask the inner index."""
        return await self._inner.list()

    async def page(self, project: NormalizedName) -> ProjectPage:
        """Ask the inner index."""
        return await self._inner.page(project)

    async def file(self, project: NormalizedName, filename: Filename) -> FileBody:
        """Ask the inner index."""
        return await self._inner.file(project, filename)

    async def metadata(self, project: NormalizedName, filename: Filename) -> bytes:
        """Ask the inner index."""
        return await self._inner.metadata(project, filename)

    async def description(self, project: NormalizedName, filename: Filename) -> bytes | None:
        """Ask the inner index."""
        return await self._inner.description(project, filename)

    async def publish(self, upload: Upload) -> Published:
        """Ask the inner index."""
        return await self._inner.publish(upload)

    async def change(self, project: NormalizedName, change: Change) -> ProjectPage:
        """Ask the inner index."""
        return await self._inner.change(project, change)

    def peek(self, project: NormalizedName) -> Revision | Absent | None:
        """Ask the inner index."""
        return self._inner.peek(project)

    def peek_list(self) -> str | None:
        """Ask the inner index."""
        return self._inner.peek_list()
