"""
Several indexes behind one address: the first that has the name answers alone.

Rule 1: nothing is merged. A name that the first index has is never asked of another, so nobody elsewhere can offer a
higher version of it (dependency confusion).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from wheelyard.errors import ProjectNotFound
from wheelyard.index.interface import FileBody, Index, IndexReader, PassThrough
from wheelyard.model import Filename, NormalizedName, ProjectPage, Revision
from wheelyard.storage.interface import ABSENT, Absent

T = TypeVar("T")


class LayeredIndex(PassThrough):
    """
    An index of our own in front of others.

    A name belongs to the first index that has it, even when it offers no file: an empty or quarantined project of ours
    hides the name too. An index that fails is an error of the whole, never "not found": what comes after it might have
    the name for the wrong reason. Writes, and the project list, are the first index's alone: an upstream's list has
    hundreds of thousands of names and says nothing about what is used here.

    Args:
        first: Takes the writes; goes before all others.
        others: Asked in this order for names that no index before them has.
    """

    def __init__(self, first: Index, *others: IndexReader) -> None:
        super().__init__(first)
        self._sources: tuple[IndexReader, ...] = (first, *others)

    async def page(self, project: NormalizedName) -> ProjectPage:
        """Read the page of the first index that has the project."""
        return await self._ask(project, lambda index: index.page(project))

    async def file(self, project: NormalizedName, filename: Filename) -> FileBody:
        """Open a file of the first index that has the project; another index's file of that name does not count."""
        return await self._ask(project, lambda index: index.file(project, filename))

    async def metadata(self, project: NormalizedName, filename: Filename) -> bytes:
        """Read metadata from the first index that has the project."""
        return await self._ask(project, lambda index: index.metadata(project, filename))

    async def description(self, project: NormalizedName, filename: Filename) -> bytes | None:
        """Read a description from the first index that has the project."""
        return await self._ask(project, lambda index: index.description(project, filename))

    def peek(self, project: NormalizedName) -> Revision | Absent | None:
        """
        Tell the revision of the first index that has the project; None when one before it cannot tell.

        So a project that appears in an earlier index is seen at once. ABSENT is never said: what the last one knows of
        a name that nobody has is not worth keeping an answer for.
        """
        for index in self._sources:
            revision = index.peek(project)
            if revision is not ABSENT:
                return revision
        return None

    def peeker(self, project: NormalizedName) -> Callable[[], Revision | Absent | None]:
        """Return a function that does what `peek` does for one project."""
        first, *others = (index.peeker(project) for index in self._sources)

        def peek() -> Revision | Absent | None:
            revision = first()
            if revision is not ABSENT:
                return revision
            for other in others:
                revision = other()
                if revision is not ABSENT:
                    return revision
            return None

        return peek

    async def _ask(self, project: NormalizedName, question: Callable[[IndexReader], Awaitable[T]]) -> T:
        missing = ProjectNotFound(project)
        for index in self._sources:
            try:
                return await question(index)
            except ProjectNotFound as error:
                missing = error  # the last one knows most: why a name is not looked up elsewhere
        raise missing
