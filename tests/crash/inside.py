"""An index opened in the process of the test, as the command line opens one: for thousands of states, each quickly."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from crash.nursery import INDEX
from wheelyard.compose import open_index
from wheelyard.index.hosted import HostedIndex
from wheelyard.index.interface import Delete, SetStatus, Upload, Yank
from wheelyard.model import Filename, NormalizedName, ProjectStatus
from wheelyard.protocol.upload_form import UploadForm
from wheelyard.settings import load_settings
from wheelyard.testing.crash import Listed, Package
from wheelyard.testing.index_suite import read


class InsideIndex:
    """What a client sees and does, without HTTP."""

    def __init__(self, index: HostedIndex) -> None:
        self._index = index

    async def state(self) -> dict[str, Listed]:
        """Return every project, after everything that is listed was read and compared."""
        found: dict[str, Listed] = {}
        for name in (await self._index.list()).names:
            project = NormalizedName(name)
            page = await self._index.page(project)
            for file in page.files:
                content = await read(await self._index.file(project, file.filename))
                assert hashlib.sha256(content).hexdigest() == file.sha256, f"{file.filename} is not what is listed"
                await self._index.metadata(project, file.filename)
            files = {str(file.filename): str(file.sha256) for file in page.files}
            yanked = {str(file.filename): file.yanked for file in page.files if file.yanked is not None}
            found[name] = Listed(files, yanked, page.status.value)
        return found

    async def publish(self, each: Package) -> None:
        """Publish a file."""
        fields = {
            "metadata_version": "2.4",
            "name": each.project,
            "version": each.version,
            "filetype": "bdist_wheel" if each.filename.endswith(".whl") else "sdist",
            "pyversion": "py3" if each.filename.endswith(".whl") else "source",
            "sha256_digest": each.sha256,
        }
        form = UploadForm("file_upload", "1", {name: (value,) for name, value in fields.items()})
        spool = await self._index.store.spool()
        with spool:
            spool.write(each.content)
            await self._index.publish(Upload(form, each.filename, spool, "test"))

    async def yank(self, project: str, version: str, reason: str | None) -> None:
        """Yank a release, or take the mark away with None."""
        await self._index.change(NormalizedName(project), Yank(frozenset(), version, reason))

    async def status(self, project: str, status: str) -> None:
        """Set the status of a project."""
        await self._index.change(NormalizedName(project), SetStatus(ProjectStatus(status), "a test"))

    async def delete(self, project: str, version: str | None = None) -> None:
        """Delete a project, or one release of it."""
        await self._index.change(NormalizedName(project), Delete(frozenset[Filename](), version))


@asynccontextmanager
async def opened(root: Path, config: str) -> AsyncIterator[InsideIndex]:
    """Open the index on a ROOT."""
    settings = load_settings(str(root), config=config, text_allowed=True, may_generate=False)
    async with open_index(settings, INDEX) as index:
        yield InsideIndex(index)
