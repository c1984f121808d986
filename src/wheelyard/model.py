"""
The nouns: what an index holds, as plain values.

Rule 1: no I/O, no clock, no async here; a page from a bucket, from an upstream or from a test is the same value.
Rule 2: every value is frozen. Names are the packaging glossary's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import NewType

NormalizedName = NewType("NormalizedName", str)
"""A project name after normalisation; made only by `protocol.names.normalize`."""

Filename = NewType("Filename", str)
"""The name of a distribution file, exactly as listed on its project page; never a path."""

Sha256Hex = NewType("Sha256Hex", str)
"""64 lower-case hexadecimal digits."""

Key = NewType("Key", str)
"""Where a document or a file is in a store: `/`-separated segments, no `.`, `..` or empty segment."""

Revision = NewType("Revision", str)
"""Opaque token of one state of one record; equal tokens mean equal bytes."""

API_VERSION = "1.4"
"""Version of the simple repository API spoken here. HTML stays 1.4 for ever (PEP 833)."""

_NOTHING: Mapping[str, object] = MappingProxyType({})
_NO_HASHES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` up to but not including `stop`; `0 <= start < stop`, `stop` may pass the end of the file."""

    start: int
    stop: int


class FileKind(Enum):
    """The two kinds of distribution file; values are the `filetype` words of the upload form."""

    WHEEL = "bdist_wheel"
    SDIST = "sdist"


class ProjectStatus(Enum):
    """Project status markers of PEP 792."""

    ACTIVE = "active"
    ARCHIVED = "archived"
    QUARANTINED = "quarantined"
    DEPRECATED = "deprecated"

    @property
    def accepts_uploads(self) -> bool:
        """PEP 792: archived and quarantined projects take no new files."""
        return self in (ProjectStatus.ACTIVE, ProjectStatus.DEPRECATED)

    @property
    def offers_files(self) -> bool:
        """PEP 792: a quarantined project offers no file for installation."""
        return self is not ProjectStatus.QUARANTINED


@dataclass(frozen=True, slots=True, kw_only=True)
class DistFile:
    """
    One distribution file as a project page lists it.

    Attributes:
        filename: Its name; also the last part of its URL.
        url: Relative to the project page (own files) or absolute (an upstream's), percent-encoded, no fragment.
        hashes: Algorithm name to lower-case hex digest. `sha256` comes first (pip looks at the first only).
        size: Bytes. None only for files of an upstream that speaks HTML.
        upload_time: When it was published, UTC. None when an upstream does not tell.
        requires_python: Raw specifier string of the core metadata; None when it has none.
        core_metadata: Hashes of `<url>.metadata`. None when there is no such file; empty when there is one without a hash.
        yanked: None when not yanked; else the reason, "" when none was given (PEP 592).
        gpg_sig: Whether `<url>.asc` exists; None when unknown.
        provenance: Absolute https URL of the provenance object (PEP 740).
        private: Keys of ours, each starting with `_`; kept in the record, never shown on a page.
    """

    filename: Filename
    url: str
    hashes: Mapping[str, str] = field(default_factory=lambda: _NO_HASHES)
    size: int | None = None
    upload_time: datetime | None = None
    requires_python: str | None = None
    core_metadata: Mapping[str, str] | None = None
    yanked: str | None = None
    gpg_sig: bool | None = None
    provenance: str | None = None
    private: Mapping[str, object] = field(default_factory=lambda: _NOTHING)

    @property
    def sha256(self) -> Sha256Hex | None:
        """The SHA-256 digest, when the page gives one."""
        digest = self.hashes.get("sha256")
        return None if digest is None else Sha256Hex(digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPage:
    """
    One project page: the record of a project and what clients read.

    Attributes:
        name: Normalised project name.
        files: In the order they are listed.
        versions: Every release, canonical PEP 440 where it parses, oldest first, no duplicates (PEP 700).
        status: Status marker (PEP 792).
        status_reason: Free text that goes with the status; None when none was given.
        private: Keys of ours, each starting with `_`; never shown.
    """

    name: NormalizedName
    files: tuple[DistFile, ...] = ()
    versions: tuple[str, ...] = ()
    status: ProjectStatus = ProjectStatus.ACTIVE
    status_reason: str | None = None
    private: Mapping[str, object] = field(default_factory=lambda: _NOTHING)

    def find(self, filename: str) -> DistFile | None:
        """Return the file of that name, or None."""
        return next((file for file in self.files if file.filename == filename), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectList:
    """
    The list of projects of one index.

    Attributes:
        names: Project names as they are shown, sorted, no duplicates after normalisation.
    """

    names: tuple[str, ...] = ()
