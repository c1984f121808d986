"""The suite of all backends, on a repository at the double: one server with its memory, two that ask at each reading."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from github.conftest import OpenBackend
from wheelyard.storage.interface import Backend
from wheelyard.storage.store import Store
from wheelyard.testing.conformance import BackendSuite
from wheelyard.testing.fake_github import FakeGitHub, Repository

pytestmark = pytest.mark.slow


class GitHubSuite(BackendSuite):
    @pytest.fixture(autouse=True)
    def looked_at(self, github: FakeGitHub, repository: Repository) -> Iterable[None]:
        yield
        assert github.bad_requests == []

    @pytest.fixture
    def branch(self, repository: Repository) -> Repository:
        return repository

    async def leftovers(self, backend: Backend) -> Iterable[str]:
        del backend
        if "index" not in self.stored.branches():
            return ()
        return [path for path in self.stored.files("index") if path != "README.md"]

    @pytest.fixture(autouse=True)
    def remember(self, repository: Repository) -> None:
        self.stored = repository


class TestGitHub(GitHubSuite):
    """As it is used: what is known is in memory."""

    @pytest.fixture
    async def backend(self, opened: OpenBackend) -> Backend:
        return await opened()


class TestTwoServers(GitHubSuite):
    """Two servers that ask GitHub at every reading."""

    @pytest.fixture
    async def backend(self, opened: OpenBackend) -> Backend:
        return await opened("one", interval_s=0)

    @pytest.fixture
    async def second_backend(self, opened: OpenBackend, backend: Backend) -> Backend:
        return await opened("two", interval_s=0)


class TestStoreOverGitHub(GitHubSuite):
    """Inside the portable store."""

    @pytest.fixture
    async def backend(self, opened: OpenBackend) -> Backend:
        return Store(await opened(), name="main")
