"""
Several upstreams as one: the first that has the name answers alone.

As `layered`, of which this is the half that is only read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from wheelyard.errors import ProjectNotFound, UpstreamOffline
from wheelyard.index.interface import FileBody, IndexReader
from wheelyard.model import Filename, NormalizedName, ProjectList, ProjectPage, Revision
from wheelyard.protocol.untrusted import list_of_names
from wheelyard.storage.interface import ABSENT, Absent

T = TypeVar("T")


class BoundUpstream(IndexReader):
    """
    An upstream that is asked for some names only: those that no other upstream owns.

    To the others it says that it does not have them, without a question to anybody. Its list stays whole: it names nothing
    that is ours, and shows whoever looks for squatters what is there.

    Args:
        inner: The upstream.
        may_be_asked: Tells for which names.
    """

    def __init__(self, inner: IndexReader, may_be_asked: Callable[[NormalizedName], bool]) -> None:
        self._inner = inner
        self._may_be_asked = may_be_asked

    async def list(self) -> ProjectList:
        """List its projects."""
        return await self._inner.list()

    async def page(self, project: NormalizedName) -> ProjectPage:
        """Read a page, of a name that it may be asked for."""
        return await self._asked(project).page(project)

    async def file(self, project: NormalizedName, filename: Filename) -> FileBody:
        """Open a file, of a name that it may be asked for."""
        return await self._asked(project).file(project, filename)

    async def metadata(self, project: NormalizedName, filename: Filename) -> bytes:
        """Read metadata, of a name that it may be asked for."""
        return await self._asked(project).metadata(project, filename)

    async def description(self, project: NormalizedName, filename: Filename) -> bytes | None:
        """Read a description, of a name that it may be asked for."""
        return await self._asked(project).description(project, filename)

    def peek(self, project: NormalizedName) -> Revision | Absent | None:
        """Tell the revision, of a name that it may be asked for."""
        return self._inner.peek(project) if self._may_be_asked(project) else ABSENT

    def peeker(self, project: NormalizedName) -> Callable[[], Revision | Absent | None]:
        """Return a function that does what `peek` does for one project."""
        return self._inner.peeker(project) if self._may_be_asked(project) else lambda: ABSENT

    def _asked(self, project: NormalizedName) -> IndexReader:
        if not self._may_be_asked(project):
            raise ProjectNotFound(project)
        return self._inner


class UpstreamChain(IndexReader):
    """
    Upstreams in the order they are asked.

    An upstream that fails is an error of the whole: one that comes after it might have the name for the wrong reason.

    Args:
        upstreams: At least one.
        url: What they are called, for people.
    """

    def __init__(self, upstreams: Sequence[IndexReader], *, url: str) -> None:
        self.url = url
        self._upstreams = tuple(upstreams)

    async def list(self) -> ProjectList:
        """List the projects of all."""
        names: list[str] = []
        for upstream in self._upstreams:
            names += (await upstream.list()).names
        return list_of_names(names)

    async def page(self, project: NormalizedName) -> ProjectPage:
        """Read the page of the first that has the project."""
        return await self._ask(project, lambda upstream: upstream.page(project))

    async def file(self, project: NormalizedName, filename: Filename) -> FileBody:
        """Open a file of the first that has the project."""
        return await self._ask(project, lambda upstream: upstream.file(project, filename))

    async def metadata(self, project: NormalizedName, filename: Filename) -> bytes:
        """Read metadata from the first that has the project."""
        return await self._ask(project, lambda upstream: upstream.metadata(project, filename))

    async def description(self, project: NormalizedName, filename: Filename) -> bytes | None:
        """Read a description from the first that has the project."""
        return await self._ask(project, lambda upstream: upstream.description(project, filename))

    def peek(self, project: NormalizedName) -> Revision | Absent | None:
        """Tell the revision of the first that has the project; ABSENT when none has it, None when one cannot tell."""
        for upstream in self._upstreams:
            revision = upstream.peek(project)
            if revision is not ABSENT:
                return revision
        return ABSENT

    def peeker(self, project: NormalizedName) -> Callable[[], Revision | Absent | None]:
        """Return a function that does what `peek` does for one project."""
        peeks = tuple(upstream.peeker(project) for upstream in self._upstreams)
        if len(peeks) == 1:
            return peeks[0]

        def peek() -> Revision | Absent | None:
            for each in peeks:
                revision = each()
                if revision is not ABSENT:
                    return revision
            return ABSENT

        return peek

    async def _ask(self, project: NormalizedName, question: Callable[[IndexReader], Awaitable[T]]) -> T:
        offline: UpstreamOffline | None = None
        for upstream in self._upstreams:
            try:
                return await question(upstream)
            except ProjectNotFound:
                continue
            except UpstreamOffline as error:
                # Nobody is asked, so all that is known is what is kept; a page is kept of the one that answered only.
                if await _has_page(upstream, project):
                    raise
                offline = offline or error
        raise offline or ProjectNotFound(project)


async def _has_page(upstream: IndexReader, project: NormalizedName) -> bool:
    try:
        await upstream.page(project)
    except (ProjectNotFound, UpstreamOffline):
        return False
    return True
