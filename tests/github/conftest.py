"""A repository at the double, and started backends over it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from plugins.github import github, github_description
from wheelyard.backends.github import GitHubOptions
from wheelyard.backends.github.backend import GitHubBackend
from wheelyard.storage.interface import BackendContext
from wheelyard.testing.fake_github import FakeGitHub, Repository

__all__ = ["github", "github_description"]  # fixtures

OpenBackend = Callable[..., Awaitable[GitHubBackend]]


@pytest.fixture
def repository(github: FakeGitHub) -> Repository:
    """The private repository of `ana` that keeps the packages."""
    return github.repository("ana/packages")


@pytest.fixture
def token(github: FakeGitHub, repository: Repository) -> str:
    """The server's own token."""
    return github.user("ana")


@pytest.fixture
def options(github: FakeGitHub) -> GitHubOptions:
    return GitHubOptions(owner="ana", repo="packages", api_url=github.api_url)


@pytest.fixture
async def opened(options: GitHubOptions, token: str, tmp_path: Path) -> AsyncIterator[OpenBackend]:
    """Start a backend in a folder of its own, with other options or another credential where told; stop it at the end."""
    running: list[GitHubBackend] = []

    async def start(
        folder: str = "one", *, interval_s: int = 3600, secret: dict[str, str] | None = None, **changes: object
    ) -> GitHubBackend:
        context = BackendContext(
            name="main",
            folder=tmp_path / folder,
            admin_secret={"raw": token} if secret is None else secret,
            sync_interval_s=interval_s,
        )
        backend = GitHubBackend(replace(options, **changes), context)  # type: ignore[arg-type]
        await backend.start()
        running.append(backend)
        return backend

    yield start
    for backend in running:
        await backend.stop()
