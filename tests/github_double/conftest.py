"""A client that asks the double as a program of its own would, and what most of its tests begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx2
import pytest

from plugins.github import github, github_description
from wheelyard.testing.fake_github import FakeGitHub, Repository

__all__ = ["github", "github_description"]  # fixtures

Asker = Callable[[str | None], httpx2.Client]


@pytest.fixture
def asks(github: FakeGitHub) -> Iterator[Asker]:
    """Make a client with a token, or with none."""
    with ExitStack() as stack:

        def client(token: str | None) -> httpx2.Client:
            headers = {} if token is None else {"authorization": f"Bearer {token}"}
            return stack.enter_context(httpx2.Client(base_url=github.api_url, headers=headers))

        yield client


@pytest.fixture
def store(github: FakeGitHub) -> Repository:
    """A private repository of `ana`, with `ben` as reader and `cleo` as writer."""
    return github.repository("ana/store", collaborators={"ben": "pull", "cleo": "push"})


@pytest.fixture
def ana(github: FakeGitHub, asks: Asker, store: Repository) -> httpx2.Client:
    """A client of the owner."""
    return asks(github.user("ana"))


@pytest.fixture
def release(ana: httpx2.Client) -> dict[str, str]:
    """A published release."""
    made: dict[str, str] = ana.post("/repos/ana/store/releases", json={"tag_name": "six-1.0"}).raise_for_status().json()
    return made


@pytest.fixture
def upload(ana: httpx2.Client, release: dict[str, str]) -> Callable[..., httpx2.Response]:
    """Upload an asset to the release."""

    def send(name: str, content: bytes = b"PK\x03\x04 some wheel") -> httpx2.Response:
        url = release["upload_url"].partition("{")[0]
        kind = {"content-type": "application/octet-stream"}
        return ana.post(url, params={"name": name}, content=content, headers=kind)

    return send
