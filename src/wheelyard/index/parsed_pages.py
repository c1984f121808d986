"""Parsed project pages, remembered by revision and bounded by the number of files they list."""

from __future__ import annotations

from collections import OrderedDict

from wheelyard.model import NormalizedName, ProjectPage, Revision

FILES_LIMIT = 50_000  # a parsed file costs about 1.5 kB, so all of them stay below 75 MB


class ParsedPages:
    """
    Least-recently-used memory of parsed pages.

    Args:
        files_limit: How many files the remembered pages may list together; the newest page is kept whatever its length.
    """

    def __init__(self, files_limit: int = FILES_LIMIT) -> None:
        self._files_limit = files_limit
        self._pages: OrderedDict[NormalizedName, tuple[Revision, ProjectPage]] = OrderedDict()
        self._files = 0

    def get(self, project: NormalizedName, revision: Revision) -> ProjectPage | None:
        """Return the page of exactly that revision, or None."""
        known = self._pages.get(project)
        if known is None or known[0] != revision:
            return None
        self._pages.move_to_end(project)
        return known[1]

    def newest(self, project: NormalizedName) -> tuple[Revision, ProjectPage] | None:
        """Return the last page seen of a project with its revision, right or not; None when none is remembered."""
        return self._pages.get(project)

    def put(self, project: NormalizedName, revision: Revision, page: ProjectPage) -> None:
        """Remember a page and forget the least recently used ones beyond the limit."""
        before = self._pages.pop(project, None)
        if before is not None:
            self._files -= _weight(before[1])
        self._pages[project] = (revision, page)
        self._files += _weight(page)
        while self._files > self._files_limit and len(self._pages) > 1:
            _, (_, dropped) = self._pages.popitem(last=False)
            self._files -= _weight(dropped)


def _weight(page: ProjectPage) -> int:
    return 1 + len(page.files)
