"""
What becomes of a project's record: pure decisions, no I/O and no clock.

`HostedIndex` reads a record, asks here, and swaps in the answer.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from wheelyard.errors import DistFileNotFound, FileExists, ProjectClosed, RecordDamaged, ReleaseNotFound
from wheelyard.index.interface import Change, Delete, SetStatus, Yank
from wheelyard.model import DistFile, Filename, NormalizedName, ProjectPage
from wheelyard.protocol.filenames import release_of
from wheelyard.protocol.names import same_version, sort_versions, version_key, with_version

DELETED = "_deleted"
"""Private key of a record: names of deleted files and the SHA-256 each had, so that a name never means other bytes."""


def decide_publish(page: ProjectPage, file: DistFile) -> DistFile | None:
    """
    Decide whether a file may be added to a page.

    Returns:
        The listed file when the very same is already published, else None: go on.
    Raises:
        FileExists: Another file of that name is, or was, published.
        ProjectClosed: The project takes no uploads.
    Spec: PEP 792; identical uploads are not an error, so that a client may repeat a request.
    """
    known = page.find(file.filename)
    if known is not None:
        if known.sha256 == file.sha256 and known.sha256 is not None:
            return known
        raise FileExists(file.filename, digest=known.sha256 or "unknown")
    if not page.status.accepts_uploads:
        raise ProjectClosed(page.name, status=page.status.value, reason=page.status_reason)
    deleted = deleted_names(page).get(file.filename)
    if deleted is not None and deleted != file.sha256:
        raise FileExists(file.filename, digest=deleted)
    return None


def with_files(page: ProjectPage, new: Sequence[DistFile]) -> ProjectPage:
    """
    Return the page with more files; files stay ordered by version, then name, and releases from old to new.

    Each is put in its place, since a page may list thousands that are in theirs already.
    """
    files, versions = list(page.files), page.versions
    for file in new:
        insort(files, file, key=lambda each: _order(each, page.name))
        release = release_of_file(file, page.name)
        versions = versions if release is None else with_version(versions, release)
    names = {file.filename for file in new}
    deleted = {name: digest for name, digest in deleted_names(page).items() if name not in names}
    return replace(page, files=tuple(files), versions=versions, private=_private_with(page, deleted))


def decide(page: ProjectPage, change: Change, *, now: datetime) -> tuple[ProjectPage, tuple[Filename, ...]]:
    """
    Decide what a change makes of a page.

    Returns:
        The new page, and the names of the files whose bytes go.
    Raises:
        ReleaseNotFound: The project has no such release.
        DistFileNotFound: The project has no such file.
    """
    del now  # kept for audit entries in the record, which come with the audit log
    match change:
        case Yank():
            chosen = _chosen(page, change.filenames, change.version)
            files = tuple(
                replace(file, yanked=change.reason) if file.filename in chosen else file for file in page.files
            )
            return replace(page, files=files), ()
        case SetStatus():
            return replace(page, status=change.status, status_reason=change.reason or None), ()
        case Delete():
            return _without(page, _chosen(page, change.filenames, change.version))
        case _:
            assert_never(change)


def is_whole_project(change: Delete) -> bool:
    """Tell whether a delete removes the project itself."""
    return not change.filenames and change.version is None


def deleted_names(page: ProjectPage) -> Mapping[str, str]:
    """Return the names of deleted files with the SHA-256 each had."""
    deleted = page.private.get(DELETED)
    if not isinstance(deleted, Mapping):
        return {}
    return {str(name): str(digest) for name, digest in deleted.items()}


def known_size(file: DistFile) -> int:
    """
    Return the size of a file of ours, bytes.

    Raises:
        RecordDamaged: The record does not tell; ours always do.
    """
    if file.size is None:
        raise RecordDamaged(file.filename, "its record has no size")
    return file.size


def release_of_file(file: DistFile, project: NormalizedName) -> str | None:
    """Return the release a listed file belongs to; None when its name does not tell."""
    version = file.private.get("_version")
    return version if isinstance(version, str) else release_of(file.filename, project)


def _without(page: ProjectPage, chosen: frozenset[Filename]) -> tuple[ProjectPage, tuple[Filename, ...]]:
    gone = tuple(file for file in page.files if file.filename in chosen)
    deleted = dict(deleted_names(page))
    deleted.update((file.filename, file.sha256 or "") for file in gone)
    kept = tuple(file for file in page.files if file.filename not in chosen)
    after = _with_versions(replace(page, files=kept, private=_private_with(page, deleted)))
    return after, tuple(file.filename for file in gone)


def _chosen(page: ProjectPage, filenames: frozenset[Filename], version: str | None) -> frozenset[Filename]:
    """Return the listed file names a change is about."""
    if filenames:
        for filename in sorted(filenames):
            if page.find(filename) is None:
                raise DistFileNotFound(page.name, filename)
        return filenames
    if version is None:
        return frozenset(file.filename for file in page.files)
    chosen = frozenset(
        file.filename
        for file in page.files
        if (release := release_of_file(file, page.name)) is not None and same_version(release, version)
    )
    if not chosen:
        raise ReleaseNotFound(page.name, version)
    return chosen


def _with_versions(page: ProjectPage) -> ProjectPage:
    """PEP 700: `versions` holds the version of every file, without duplicates."""
    releases = (release_of_file(file, page.name) for file in page.files)
    return replace(page, versions=sort_versions(release for release in releases if release is not None))


def _private_with(page: ProjectPage, deleted: Mapping[str, str]) -> Mapping[str, object]:
    private = {key: value for key, value in page.private.items() if key != DELETED}
    return {**private, DELETED: dict(sorted(deleted.items()))} if deleted else private


def _order(file: DistFile, project: NormalizedName) -> tuple[object, str]:
    return version_key(release_of_file(file, project) or ""), file.filename
