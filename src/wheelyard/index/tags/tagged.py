"""
The index that clients read: a hosted index whose files were all made of tags.

Until all repositories were looked at once, a project that is not here is "not known yet", never "not found": a 404 would
send pip to the next index, where somebody else may have taken the name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from anyio import to_thread

from wheelyard.errors import ProjectNotFound, StorageUnavailable, Unsupported
from wheelyard.index.checks import PublishLimits
from wheelyard.index.hosted import HostedIndex
from wheelyard.index.interface import Published, Upload
from wheelyard.model import DistFile, FileKind, NormalizedName, ProjectList, ProjectPage
from wheelyard.protocol.simple_html import VCS_LINK
from wheelyard.storage.store import Store

SOURCE = "_source"
"""Private key of a file: the `repository`, `tag`, `commit` and `subdirectory` it was made of."""

MARKER_NAME = "looked"
"""File in the index's own folder that says that all repositories were looked at once."""


_LINKED_PAGES = 1000  # pages with links kept; a page more costs making it again


class TaggedIndex(HostedIndex):
    """
    An index made of tags; `refresh.TagsRefresh` fills it.

    Args:
        name: Name of the index, for messages.
        store: Where records and files are.
        limits: What a release may be.
        clock: Tells the time of a publish, UTC.
        folder: This server's own folder for the repositories of this index.
        links: Whether HTML pages also offer `git+` links.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        *,
        limits: PublishLimits,
        clock: Callable[[], datetime],
        folder: Path,
        links: bool,
    ) -> None:
        super().__init__(name, store, limits=limits, clock=clock)
        self.limits = limits
        self.clock = clock
        self.folder = folder
        self._links = links
        self._linked: dict[str, tuple[ProjectPage, ProjectPage]] = {}
        self._is_known = False

    async def list(self) -> ProjectList:
        """
        List the projects.

        Raises:
            StorageUnavailable: The repositories were not looked at yet.
            StorageError: The store could not be asked.
        """
        await self._check_known()
        return await super().list()

    async def listed(self) -> ProjectList:
        """List the projects that are here already, for whoever looks at the repositories."""
        return await super().list()

    async def record(self, project: NormalizedName) -> ProjectPage:
        """Read the page of a project with all its files, whatever its status; an empty one of a project that is not here."""
        try:
            page, _ = await self._read(project)
        except ProjectNotFound:
            return ProjectPage(name=project)
        return page

    async def page(self, project: NormalizedName) -> ProjectPage:
        """
        Read one project page.

        Raises:
            StorageUnavailable: It is not here, and the repositories were not looked at yet.
        """
        try:
            page = await super().page(project)
        except ProjectNotFound:
            await self._check_known()
            raise
        return self._with_links(page) if self._links else page

    async def publish(self, upload: Upload) -> Published:
        """
        Refuse: releases come from tags.

        Raises:
            Unsupported: Always.
        """
        del upload
        raise Unsupported(
            f"index '{self.name}' is made of the tags of Git repositories and takes no uploads",
            hint="Push a version tag to the repository of the project.",
        )

    async def set_known(self) -> None:
        """Note that all repositories were looked at, for this process and later ones."""

        def touch() -> None:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / MARKER_NAME).touch()

        await to_thread.run_sync(touch)
        self._is_known = True

    async def _check_known(self) -> None:
        self._is_known = self._is_known or await to_thread.run_sync((self.folder / MARKER_NAME).exists)
        if not self._is_known:
            raise StorageUnavailable(
                "the repositories of this index were not all looked at yet",
                store=self.name,
                hint="Try again in a minute.",
            )

    def _with_links(self, page: ProjectPage) -> ProjectPage:
        """Return the page with `git+` links; the same value for the same page, since rendered rows are kept by it."""
        known = self._linked.get(page.name)
        if known is not None and known[0] is page:
            return known[1]
        if len(self._linked) >= _LINKED_PAGES:
            self._linked.clear()
        linked = replace(page, files=tuple(_with_link(file, page.name) for file in page.files))
        self._linked[page.name] = (page, linked)
        return linked


def source_of(file: DistFile) -> Mapping[str, str] | None:
    """Return what a file was made of; None for one that was not made of a tag."""
    source = file.private.get(SOURCE)
    if not isinstance(source, Mapping):
        return None
    return {str(key): str(value) for key, value in source.items()}


def _with_link(file: DistFile, project: NormalizedName) -> DistFile:
    source = source_of(file)
    if source is None or file.private.get("_kind") != FileKind.SDIST.value:
        return file
    return replace(file, private={**file.private, VCS_LINK: vcs_link(source, project, str(file.private["_version"]))})


def vcs_link(source: Mapping[str, str], project: NormalizedName, version: str) -> str:
    """
    Return the `git+` link of a release.

    The fragment has two `=`: uv gives up a whole page for a link with one that is no digest, and passes over this one.

    Args:
        source: What the release was made of.
        project: Its project.
        version: Its version.
    """
    folder = source.get("subdirectory", "")
    inner = f"&subdirectory={quote(folder)}" if folder else ""
    egg = f"{project.replace('-', '_')}-{version}"
    return f"git+{source['repository']}@{quote(source['tag'])}#egg={egg}&vcs=git{inner}"
