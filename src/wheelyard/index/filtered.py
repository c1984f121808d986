"""
An index that shows only what rules allow; its pages and its files agree.

Rule 1: a rule that fails, denies. Neither the unfiltered page nor the file behind it is ever returned instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog

from wheelyard.errors import DistFileNotFound, InvalidName, NotOffered
from wheelyard.index.interface import DenyAll, FileBody, IndexReader
from wheelyard.model import DistFile, Filename, NormalizedName, ProjectList, ProjectPage
from wheelyard.protocol.filenames import release_of
from wheelyard.protocol.names import normalize, same_version

ProjectRule = Callable[[NormalizedName], str | None]
"""Returns None for a project that is shown, and for any other the reason why it is not: one line, shown to callers."""

FileRule = Callable[[ProjectPage, DistFile], str | None]
"""The same for one file, given the page of its project with all its files."""

RULE_FAILED = "the rule that decides about it failed"
"""The reason that callers see when a rule raised; the log tells more."""

_log = structlog.get_logger(__name__)


def every_project(project: NormalizedName) -> None:
    """Show all projects."""
    del project


def every_file(page: ProjectPage, file: DistFile) -> None:
    """Show all files."""
    del page, file


class FilteredIndex(DenyAll):
    """
    Shows what two rules allow of another index. It is for reading; writes are refused.

    Nothing is told by `peek`: a rule may change its mind while the record stays, so what was filtered must not be kept
    under the record's revision.

    Args:
        inner: The index to filter.
        project_rule: Decides about projects.
        file_rule: Decides about files.
    """

    def __init__(
        self, inner: IndexReader, *, project_rule: ProjectRule = every_project, file_rule: FileRule = every_file
    ) -> None:
        self._inner = inner
        self._project_rule = project_rule
        self._file_rule = file_rule

    async def list(self) -> ProjectList:
        """List the projects that are shown."""
        projects = await self._inner.list()
        return ProjectList(names=tuple(name for name in projects.names if self._is_listed(name)))

    async def page(self, project: NormalizedName) -> ProjectPage:
        """
        Read a page without the files, and the releases, that are not shown.

        Raises:
            NotOffered: The project is not shown.
        """
        return self._shown(await self._whole_page(project))

    async def file(self, project: NormalizedName, filename: Filename) -> FileBody:
        """
        Open a file that its page shows.

        Raises:
            NotOffered: The project or the file is not shown.
        """
        await self._check_file(project, filename)
        return await self._inner.file(project, filename)

    async def metadata(self, project: NormalizedName, filename: Filename) -> bytes:
        """
        Read the metadata of a file that its page shows.

        Raises:
            NotOffered: The project or the file is not shown.
        """
        await self._check_file(project, filename)
        return await self._inner.metadata(project, filename)

    async def description(self, project: NormalizedName, filename: Filename) -> bytes | None:
        """
        Read the description of a file that its page shows.

        Raises:
            NotOffered: The project or the file is not shown.
        """
        await self._check_file(project, filename)
        return await self._inner.description(project, filename)

    async def _whole_page(self, project: NormalizedName) -> ProjectPage:
        """Read the unfiltered page; the rule goes first, so that a hidden name is not even asked for."""
        reason = self._project_reason(project)
        if reason is not None:
            raise NotOffered(f"project '{project}'", reason=reason)
        return await self._inner.page(project)

    async def _check_file(self, project: NormalizedName, filename: Filename) -> None:
        page = await self._whole_page(project)
        listed = page.find(filename)
        if listed is None:
            raise DistFileNotFound(project, filename)
        reason = self._file_reason(page, listed)
        if reason is not None:
            raise NotOffered(f"file '{filename}'", reason=reason)

    def _shown(self, page: ProjectPage) -> ProjectPage:
        """Return a page without hidden files, and without releases that have hidden files only."""
        shown = tuple(file for file in page.files if self._file_reason(page, file) is None)
        if len(shown) == len(page.files):
            return page
        kept = _releases(page.name, shown)
        hidden = _releases(page.name, page.files) - kept
        versions = tuple(version for version in page.versions if not _names_one_of(version, hidden))
        return replace(page, files=shown, versions=versions)

    def _is_listed(self, name: str) -> bool:
        try:
            return self._project_reason(normalize(name)) is None
        except InvalidName:
            return False

    def _project_reason(self, project: NormalizedName) -> str | None:
        try:
            return self._project_rule(project)
        except Exception as error:  # noqa: BLE001  whatever a rule raises, it denies
            _log.error("rule-failed", project=project, error=repr(error))
            return RULE_FAILED

    def _file_reason(self, page: ProjectPage, file: DistFile) -> str | None:
        try:
            return self._file_rule(page, file)
        except Exception as error:  # noqa: BLE001  whatever a rule raises, it denies
            _log.error("rule-failed", project=page.name, file=file.filename, error=repr(error))
            return RULE_FAILED


def _releases(project: NormalizedName, files: tuple[DistFile, ...]) -> frozenset[str]:
    releases = (release_of(file.filename, project) for file in files)
    return frozenset(release for release in releases if release is not None)


def _names_one_of(version: str, releases: frozenset[str]) -> bool:
    return version in releases or any(same_version(version, release) for release in releases)
