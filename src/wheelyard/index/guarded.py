"""
An index behind a guard: each call asks a plain function first.

Rule 1: who is asking is the function's business; this part never learns about users, tokens or requests.
"""

from __future__ import annotations

from collections.abc import Callable

from wheelyard.errors import InvalidFilename, InvalidName
from wheelyard.index.interface import Action, Change, DenyAll, FileBody, Index, Published, Upload
from wheelyard.model import Filename, NormalizedName, ProjectList, ProjectPage, Revision
from wheelyard.protocol.filenames import parse_filename
from wheelyard.protocol.names import normalize
from wheelyard.storage.interface import Absent

Check = Callable[[Action, NormalizedName | None], None]
"""Returns nothing when the action is allowed and raises an `AccessError` when not; the project is None for the whole index."""


class GuardedIndex(DenyAll):
    """
    Asks before it does.

    Whatever the function raises leaves the call undone; a method that is not written here refuses (`DenyAll`).

    Args:
        inner: The index to guard.
        check: Decides. Called again for each call, so a caller who wants to remember decisions does so inside it.
    """

    def __init__(self, inner: Index, check: Check) -> None:
        self._inner = inner
        self._check: Callable[[Action, NormalizedName | None], object] = check

    async def list(self) -> ProjectList:
        """Ask for READ of the whole index, then list."""
        self._ask(Action.READ, None)
        return await self._inner.list()

    async def page(self, project: NormalizedName) -> ProjectPage:
        """Ask for READ of the project, then read its page."""
        self._ask(Action.READ, project)
        return await self._inner.page(project)

    async def file(self, project: NormalizedName, filename: Filename) -> FileBody:
        """Ask for READ of the project, then open the file."""
        self._ask(Action.READ, project)
        return await self._inner.file(project, filename)

    async def metadata(self, project: NormalizedName, filename: Filename) -> bytes:
        """Ask for READ of the project, then read the metadata."""
        self._ask(Action.READ, project)
        return await self._inner.metadata(project, filename)

    async def description(self, project: NormalizedName, filename: Filename) -> bytes | None:
        """Ask for READ of the project, then read the description."""
        self._ask(Action.READ, project)
        return await self._inner.description(project, filename)

    async def publish(self, upload: Upload) -> Published:
        """Ask for PUBLISH to every project that the upload names, then publish."""
        for project in _projects_of(upload):
            self._ask(Action.PUBLISH, project)
        return await self._inner.publish(upload)

    async def change(self, project: NormalizedName, change: Change) -> ProjectPage:
        """Ask for MANAGE of the project, then change it."""
        self._ask(Action.MANAGE, project)
        return await self._inner.change(project, change)

    def peek(self, project: NormalizedName) -> Revision | Absent | None:
        """Ask for READ of the project, then peek: that a project exists is already an answer."""
        self._ask(Action.READ, project)
        return self._inner.peek(project)

    def peek_list(self) -> str | None:
        """Ask for READ of the whole index, then peek."""
        self._ask(Action.READ, None)
        return self._inner.peek_list()

    def _ask(self, action: Action, project: NormalizedName | None) -> None:
        answer = self._check(action, project)
        if answer is not None:
            # A coroutine nobody awaits, or a False meant as "no", must not count as permission.
            if hasattr(answer, "close"):
                answer.close()
            raise TypeError("a check answers by returning None or by raising")


def _projects_of(upload: Upload) -> set[NormalizedName | None]:
    """
    Return the projects that an upload names, in its form and in its file name.

    They should be one; that is checked by the index itself, with a better answer than "not allowed". None stands for a
    name that is none, so that only who may publish anything gets as far as that answer.
    """
    projects: set[NormalizedName | None] = set()
    try:
        projects.add(parse_filename(upload.filename).name)
        projects.add(normalize(upload.form.one("name") or ""))
    except (InvalidFilename, InvalidName):
        projects.add(None)
    return projects
