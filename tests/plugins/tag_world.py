"""What the tests of indexes made of tags share: an index over a store in memory, and looks at its repositories."""

from __future__ import annotations

import io
import os
import sys
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from plugins.clients import Outcome, run
from plugins.git_repositories import Repo
from wheelyard.backends.memory import MemoryBackend
from wheelyard.errors import ProjectNotFound
from wheelyard.index.checks import PublishLimits
from wheelyard.index.hosted import file_key
from wheelyard.index.tags.refresh import TagsRefresh
from wheelyard.index.tags.report import RefreshReport
from wheelyard.index.tags.sources import Owner, Repository, TagSources
from wheelyard.index.tags.tagged import TaggedIndex
from wheelyard.model import DistFile, Filename
from wheelyard.protocol.names import normalize
from wheelyard.storage.store import Store

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class World:
    """
    An index of tags and what it is made of.

    Attributes:
        folder: The index's own folder.
        store: Outlives the index, as a bucket does.
        limits: What a release may be.
    """

    folder: Path
    store: Store = field(default_factory=lambda: Store(MemoryBackend(), name="team"))
    limits: PublishLimits = field(default_factory=PublishLimits)

    def index(self, *, links: bool = False) -> TaggedIndex:
        """Make the index anew, as a restarted server does."""
        return TaggedIndex(
            "team", self.store, limits=self.limits, clock=lambda: NOW, folder=self.folder / "git", links=links
        )

    async def look(self, *sources: Repo | Repository | Owner, **options: object) -> RefreshReport:
        """Look at repositories with a new process's memory."""
        given = tuple(Repository(url=each.url) if isinstance(each, Repo) else each for each in sources)
        return await TagsRefresh(self.index(), TagSources(sources=given, **options)).run()  # type: ignore[arg-type]

    async def files(self, project: str) -> dict[str, DistFile]:
        """Return what the page of a project lists, by file name."""
        try:
            page = await self.index().page(normalize(project))
        except ProjectNotFound:
            return {}
        return {file.filename: file for file in page.files}

    async def content(self, project: str, filename: str) -> bytes:
        """Return the bytes of a file."""
        name = normalize(project)
        return b"".join([piece async for piece in self.store.open(file_key(name, filename))])

    async def members(self, project: str, filename: str) -> dict[str, tarfile.TarInfo]:
        """Return the members of an sdist by name."""
        with tarfile.open(fileobj=io.BytesIO(await self.content(project, filename)), mode="r:gz") as archive:
            return {member.name: member for member in archive}

    async def read(self, project: str, filename: str, member: str) -> bytes:
        """Return the content of one member of an sdist."""
        with tarfile.open(fileobj=io.BytesIO(await self.content(project, filename)), mode="r:gz") as archive:
            found = archive.extractfile(member)
            assert found is not None
            return found.read()

    async def metadata(self, project: str, filename: str) -> str:
        """Return the advertised metadata of a file."""
        return (await self.index().metadata(normalize(project), Filename(filename))).decode()


@asynccontextmanager
async def _started(world: World) -> AsyncIterator[World]:
    await world.store.start()
    try:
        yield world
    finally:
        await world.store.stop()


@pytest.fixture
async def world(tmp_path: Path, anyio_backend: str) -> AsyncIterator[World]:
    """An empty index."""
    async with _started(World(tmp_path / "index")) as started:
        yield started


def update_index(root: Path, config: str) -> Outcome:
    """Run `wheelyard update_index git main` on a server's folder, told nothing by this machine."""
    root.mkdir(parents=True, exist_ok=True)
    path = root.parent / f"{root.name}-update.toml"
    path.write_text(config, encoding="utf-8")
    command = [sys.executable, "-m", "wheelyard", "update_index", "git", "main", "--root", root, "--config", path]
    kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE") or name == "PATH"}
    return run(command, env=kept | {"HOME": str(root), "LANG": "C.UTF-8"}, cwd=root)
