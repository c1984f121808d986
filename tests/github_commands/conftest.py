"""The program run against the double of GitHub, and repositories as the predecessor and people leave them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import anyio
import httpx2
import pytest

from cli.conftest import Done, run
from plugins.github import github, github_description
from wheelyard.backends.github import GitHubOptions
from wheelyard.backends.github.backend import GitHubBackend
from wheelyard.index.checks import PublishLimits
from wheelyard.index.hosted import HostedIndex
from wheelyard.index.interface import StreamBody
from wheelyard.protocol.names import normalize
from wheelyard.storage.interface import BackendContext, LocalPath
from wheelyard.storage.store import Store
from wheelyard.testing.builders import WheelBuilder
from wheelyard.testing.fake_github import FakeGitHub, Repository

__all__ = ["github", "github_description", "run"]  # fixtures

Command = Callable[..., Done]
Opened = Callable[..., AbstractAsyncContextManager[HostedIndex]]


@dataclass(frozen=True)
class Releases:
    """Makes releases as clients of GitHub do."""

    url: str
    token: str

    def make(self, full_name: str, tag: str, files: Mapping[str, bytes], **values: object) -> dict[int, str]:
        """Make a release with files; returns their names at GitHub by id."""
        with httpx2.Client(headers={"authorization": f"Bearer {self.token}"}) as client:
            made = client.post(f"{self.url}/repos/{full_name}/releases", json={"tag_name": tag, **values})
            url = made.raise_for_status().json()["upload_url"].partition("{")[0]
            stored: dict[int, str] = {}
            for name, content in files.items():
                kind = {"content-type": "application/octet-stream"}
                answer = client.post(url, params={"name": name}, content=content, headers=kind).raise_for_status()
                stored[answer.json()["id"]] = answer.json()["name"]
        return stored

    def of_predecessor(self, full_name: str, wheel: WheelBuilder, **values: str) -> str:
        """Make a release as private-pypi did: one for each file, the upload form as text; returns the file's digest."""
        content = wheel.bytes()
        digest = hashlib.sha256(content).hexdigest()
        form = {"name": wheel.name, "version": wheel.version, "distrib": wheel.name, "sha256": digest, **values}
        body = "".join(f"{key} = {json.dumps(value)}\n" for key, value in form.items())
        self.make(full_name, wheel.file_name, {wheel.file_name: content}, name=wheel.file_name, body=body)
        return form["sha256"]


@pytest.fixture
def token(github: FakeGitHub) -> str:
    """A classic token of `ana`."""
    return github.user("ana")


@pytest.fixture
def releases(github: FakeGitHub, token: str) -> Releases:
    return Releases(github.api_url, token)


@pytest.fixture
def store(github: FakeGitHub, token: str) -> Repository:
    """A private repository of `ana`."""
    return github.repository("ana/packages")


@pytest.fixture
def command(run: Command, github: FakeGitHub, token: str) -> Command:
    """Run a command as `ana`, with the double as GitHub."""

    def run_command(*arguments: str, env: Mapping[str, str] | None = None) -> Done:
        told = {"GITHUB_API_URL": github.api_url, "GH_TOKEN": token, **(env or {})}
        return run(*arguments, env=told)

    return run_command


@pytest.fixture
def opened(github: FakeGitHub, token: str, tmp_path: Path) -> Opened:
    """Open the index of a repository, as a server has it."""

    @asynccontextmanager
    async def open_index(repo: str = "packages", folder: str = "server") -> AsyncIterator[HostedIndex]:
        options = GitHubOptions(owner="ana", repo=repo, api_url=github.api_url)
        context = BackendContext(
            name="main", folder=tmp_path / folder, admin_secret={"raw": token}, sync_interval_s=3600
        )
        served = Store(GitHubBackend(options, context), name="main")
        await served.start()
        try:
            yield HostedIndex("main", served, limits=PublishLimits(), clock=lambda: datetime.now(UTC))
        finally:
            await served.stop()

    return open_index


async def digests(index: HostedIndex) -> dict[str, str]:
    """Read every file through an index, and return its digest by name."""
    read: dict[str, str] = {}
    for name in (await index.list()).names:
        page = await index.page(normalize(name))
        for file in page.files:
            body = (await index.file(page.name, file.filename)).body
            if isinstance(body, StreamBody):
                content = b"".join([piece async for piece in body.open(None)])
            else:
                assert isinstance(body, LocalPath)
                content = await anyio.Path(body.path).read_bytes()
            read[file.filename] = hashlib.sha256(content).hexdigest()
            assert read[file.filename] == file.sha256
    return read
