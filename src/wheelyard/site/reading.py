"""A static site on this machine, read as an index."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

from anyio import to_thread

from wheelyard.errors import (
    DistFileNotFound,
    InvalidDocument,
    MetadataNotFound,
    ProjectNotFound,
    UpstreamInvalid,
    UpstreamUnavailable,
    shown,
)
from wheelyard.index.interface import FileBody, IndexReader
from wheelyard.model import DistFile, Filename, NormalizedName, ProjectList, ProjectPage
from wheelyard.protocol import simple_html, simple_json
from wheelyard.site import layout
from wheelyard.site.projects import METADATA
from wheelyard.storage.interface import LocalPath

_SOMEWHERE: Final = "https://static.invalid/simple/"


class StaticIndex(IndexReader):
    """
    An index made of files; whoever made it, with pages in HTML, JSON or both.

    Args:
        folder: The site, or its `simple` folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "simple" if (folder / "simple").is_dir() else folder

    async def list(self) -> ProjectList:
        """List the projects."""

        def read() -> ProjectList:
            if (content := self._read(layout.JSON_NAME)) is not None:
                return simple_json.parse_list(content)
            if (content := self._read(layout.HTML_NAME)) is not None:
                return simple_html.parse_list(content)
            raise UpstreamUnavailable(
                f"'{shown(self._folder)}' is no index: it has no '{layout.HTML_NAME}'", upstream=str(self._folder)
            )

        try:
            return await to_thread.run_sync(read)
        except InvalidDocument as error:
            raise self._invalid("project list", error) from error

    async def page(self, project: NormalizedName) -> ProjectPage:
        """Read one project page."""

        def read() -> ProjectPage:
            if (content := self._read(project, layout.JSON_NAME)) is not None:
                return simple_json.parse_page(content)
            if (content := self._read(project, layout.HTML_NAME)) is not None:
                base = f"{_SOMEWHERE}{project}/"  # pages are read as from the web, whose links a `file:` address may not have
                page = simple_html.parse_page(content, base_url=base, project=project)
                files = tuple(replace(file, url=file.url.removeprefix(base)) for file in page.files)
                return replace(page, files=files)
            raise ProjectNotFound(project)

        try:
            return await to_thread.run_sync(read)
        except InvalidDocument as error:
            raise self._invalid(f"page of '{project}'", error) from error

    async def file(self, project: NormalizedName, filename: Filename) -> FileBody:
        """Open one distribution file that is in the site."""
        listed = await self._listed(project, filename)
        path = self._folder / project / filename
        try:
            size = (await to_thread.run_sync(path.stat)).st_size
        except OSError:
            raise DistFileNotFound(project, filename) from None
        return FileBody(file=listed, size=size, body=LocalPath(path))

    async def metadata(self, project: NormalizedName, filename: Filename) -> bytes:
        """Read the core metadata of a file."""
        await self._listed(project, filename)
        content = await to_thread.run_sync(self._read, project, filename + METADATA)
        if content is None:
            raise MetadataNotFound(project, filename)
        return content

    async def _listed(self, project: NormalizedName, filename: Filename) -> DistFile:
        listed = (await self.page(project)).find(filename)
        if listed is None:
            raise DistFileNotFound(project, filename)
        return listed

    def _read(self, *path: str) -> bytes | None:
        """Read a file; None when there is none. Blocks."""
        try:
            return Path(self._folder, *path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            why = error.strerror or os.strerror(error.errno or 0)
            where = str(self._folder)
            raise UpstreamUnavailable(
                f"'{shown('/'.join(path))}' of '{shown(where)}': {why}", upstream=where
            ) from error

    def _invalid(self, what: str, error: InvalidDocument) -> UpstreamInvalid:
        where = str(self._folder)
        return UpstreamInvalid(f"the {what} in '{shown(where)}' cannot be read: {error.message}", upstream=where)
