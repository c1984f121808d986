"""The releases of a project page, and which of them a reader wants to see: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from wheelyard.errors import ReleaseNotFound
from wheelyard.model import DistFile, NormalizedName, ProjectPage
from wheelyard.protocol.filenames import release_of
from wheelyard.protocol.names import parse_version, same_version, version_key
from wheelyard.protocol.pypi_json import shown_version

_release_of = lru_cache(maxsize=32_768)(release_of)  # a page of 5,000 files is asked for again and again


@dataclass(frozen=True, slots=True)
class Release:
    """
    One release with its files.

    Attributes:
        version: As the page lists it.
        files: In the page's order; empty for a release whose files were deleted.
    """

    version: str
    files: tuple[DistFile, ...]

    @property
    def is_yanked(self) -> bool:
        """Whether every file of it is yanked."""
        return bool(self.files) and all(file.yanked is not None for file in self.files)

    @property
    def yank_reason(self) -> str:
        """Why, where somebody said so; of several reasons the first."""
        return next((file.yanked for file in self.files if file.yanked), "")

    @property
    def is_prerelease(self) -> bool:
        """Whether installers pass it over unless they are asked for it."""
        parsed = parse_version(self.version)
        return parsed is not None and parsed.is_prerelease

    @property
    def published(self) -> datetime | None:
        """When its first file came."""
        return min((file.upload_time for file in self.files if file.upload_time is not None), default=None)

    @property
    def described_by(self) -> DistFile | None:
        """The file whose core metadata speaks for the release: a wheel's, which is final, before an sdist's."""
        with_metadata = [file for file in self.files if file.core_metadata is not None]
        wheels = [file for file in with_metadata or self.files if file.filename.endswith(".whl")]
        return next(iter(wheels or with_metadata or self.files), None)


def releases_of(page: ProjectPage) -> tuple[Release, ...]:
    """Return the releases of a page, newest first; files whose name tells no version are left out."""
    files: dict[object, list[DistFile]] = {}
    names = {version_key(version): version for version in page.versions}
    for file in page.files:
        version = _version_of(file.filename, page.name)
        if version is not None:
            key = version_key(version)
            names.setdefault(key, version)
            files.setdefault(key, []).append(file)
    newest_first = sorted(names, reverse=True)
    return tuple(Release(names[key], tuple(files.get(key, ()))) for key in newest_first)


def other_files(page: ProjectPage) -> tuple[DistFile, ...]:
    """Return the files of a page whose name tells no version."""
    return tuple(file for file in page.files if _version_of(file.filename, page.name) is None)


def choose_release(page: ProjectPage, releases: Sequence[Release], wanted: str | None) -> Release | None:
    """
    Return the release a reader wants to see.

    Args:
        page: Whose releases they are.
        releases: Of `releases_of`.
        wanted: The version asked for in any spelling; None for the one that installers would take.
    Returns:
        None when the project has no releases and none was asked for.
    Raises:
        ReleaseNotFound: The project has no such release.
    """
    wanted = wanted or shown_version(page)
    if wanted is None:
        # A page without a list of versions, from an upstream that speaks HTML.
        return next(iter(releases), None)
    found = next((release for release in releases if same_version(release.version, wanted)), None)
    if found is None:
        raise ReleaseNotFound(page.name, wanted)
    return found


def _version_of(filename: str, project: NormalizedName) -> str | None:
    return _release_of(filename, project)
