"""How often GitHub is asked: the promises of issue and guide, counted at the double."""

from __future__ import annotations

import shutil
from pathlib import Path

import anyio
import pytest

from github.conftest import OpenBackend
from github.steps import Asked, content_of, key, listed, publish, wheel
from wheelyard.testing.fake_github import FakeGitHub, Repository


@pytest.mark.anyio
async def test_a_wheel_of_a_known_version(opened: OpenBackend, github: FakeGitHub, tmp_path: Path) -> None:
    """A further wheel of a version costs an upload and a commit; a server that starts cold asks the release once more."""
    backend = await opened()
    await publish(backend, tmp_path, wheel())
    asked = Asked(github)
    await publish(backend, tmp_path, wheel(tag="py2-none-any"))
    assert len(asked) == 2, asked.requests
    other = await opened("other")
    asked = Asked(github)
    await publish(other, tmp_path, wheel(tag="cp311-none-any"))
    assert len(asked) <= 3, asked.requests


@pytest.mark.anyio
@pytest.mark.parametrize("layout", ["version", "file", "rolling"])
async def test_at_most_four(opened: OpenBackend, github: FakeGitHub, tmp_path: Path, layout: str) -> None:
    """In every layout a wheel of an existing version costs at most four requests."""
    backend = await opened(release_layout=layout)
    await publish(backend, tmp_path, wheel())
    asked = Asked(github)
    await publish(backend, tmp_path, wheel(tag="py2-none-any"))
    assert len(asked) <= 4, asked.requests
    assert await listed(backend) == sorted([wheel(), wheel(tag="py2-none-any")])


@pytest.mark.anyio
async def test_a_look_without_a_change_is_free(opened: OpenBackend, github: FakeGitHub, tmp_path: Path) -> None:
    """A look at a branch that did not move is one question, answered 304."""
    backend = await opened()
    await publish(backend, tmp_path, wheel())
    asked = Asked(github)
    await backend.sync()
    assert [call.status for call in github.calls[-1:]] == [304]
    assert len(asked) == 1


@pytest.mark.anyio
async def test_a_cold_start(opened: OpenBackend, github: FakeGitHub, repository: Repository, tmp_path: Path) -> None:
    """A server without a memory has everything after three requests, however many projects there are."""
    await publish(await opened(), tmp_path, wheel())
    many = {f"simple/{n % 256:02x}/p{n}/index.json": b"{}" for n in range(2_000)}
    repository.commit(many, branch="index", message="many", author="ana", when=github.now())
    asked = Asked(github)
    cold = await opened("cold")
    assert len((await cold.changes(None)).keys) == 2_001
    assert len(asked) <= 3, asked.requests


@pytest.mark.anyio
async def test_reading_from_a_warm_server(opened: OpenBackend, github: FakeGitHub, tmp_path: Path) -> None:
    """Page, metadata and file of a warm server cost nothing; a cold one asks for the bytes once however many want them."""
    backend = await opened()
    content = await publish(backend, tmp_path, wheel())
    asked = Asked(github)
    assert await listed(backend) == [wheel()]
    assert await content_of(backend, f"{wheel()}.metadata") == b"Name: demo\n"
    assert await content_of(backend, wheel()) == content
    assert await backend.locate(key(wheel())) is not None
    assert len(asked) == 0, asked.requests
    cold = await opened("cold")
    asked = Asked(github)

    async def read() -> None:
        assert await content_of(cold, wheel()) == content

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(read)
    assert len([each for each in asked.requests if "/releases/assets/" in each]) == 1


@pytest.mark.anyio
async def test_publishes_of_one_moment_share_commits(opened: OpenBackend, github: FakeGitHub, tmp_path: Path) -> None:
    """Thirty wheels that come at once make far fewer commits, and every one of them is listed."""
    backend = await opened()
    await publish(backend, tmp_path, wheel())
    asked = Asked(github)
    names = [f"demo-1.0-cp3{n}-none-any.whl" for n in range(30)]

    async def put(name: str) -> None:
        spool = tmp_path / name
        spool.mkdir()
        from wheelyard.storage.spool import spool_bytes  # noqa: PLC0415

        with await spool_bytes(spool, name.encode()) as one:
            await backend.put(key(name), one)
        shutil.rmtree(spool)

    async with anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(put, name)
    commits = [each for each in asked.requests if each.endswith("/graphql")]
    assert len(commits) < len(names)
    for name in names:
        assert (await backend.stat(key(name))).size == len(name)
