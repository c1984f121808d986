"""Readers of large files are sent to GitHub where that is wanted; and what GitHub Enterprise Server has elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from github.conftest import OpenBackend
from github.steps import content_of, key, listed, publish, wheel
from wheelyard.backends.github.redirects import REDIRECTED_BYTES
from wheelyard.storage.interface import LocalPath, RedirectUrl
from wheelyard.testing.fake_github import FakeGitHub

pytestmark = pytest.mark.anyio


async def test_large_files_are_redirected(opened: OpenBackend, tmp_path: Path) -> None:
    """A large file that is not cached is had from GitHub's address without credentials, before it ends; others never."""
    content = b"0123456789abcdef" * (REDIRECTED_BYTES // 16)
    writer = await opened()
    await publish(writer, tmp_path, wheel(), content)
    await publish(writer, tmp_path, wheel("0.1"))
    reader = await opened("reader", downloads="redirect", cache_bytes=100)
    found = await reader.locate(key(wheel()))
    assert isinstance(found, RedirectUrl)
    assert found.expires > datetime.now(UTC)
    async with httpx2.AsyncClient() as client:
        assert (await client.get(found.url)).content == content
    for small in (wheel("0.1"), f"{wheel()}.metadata"):
        assert await reader.locate(key(small)) is None
    assert isinstance(await writer.locate(key(wheel())), LocalPath)


async def test_github_that_sends_the_bytes_itself(opened: OpenBackend, github: FakeGitHub, tmp_path: Path) -> None:
    """An answer with the bytes in place of a redirect is as good."""
    content = await publish(await opened(), tmp_path, wheel())
    github.switches.stream_assets = True
    assert await content_of(await opened("cold"), wheel()) == content


async def test_enterprise_server(opened: OpenBackend, tmp_path: Path) -> None:
    """With the API at `/api/v3`, GraphQL and uploads are found beside it."""
    with FakeGitHub.serve(base="ghes") as ghes:
        ghes.repository("ana/packages")
        backend = await opened(api_url=ghes.api_url, secret={"raw": ghes.user("ana")})
        content = await publish(backend, tmp_path, wheel())
        cold = await opened("cold", api_url=ghes.api_url, secret={"raw": ghes.user("ana")})
        assert await listed(cold) == [wheel()]
        assert await content_of(cold, wheel()) == content
        await backend.stop()
        await cold.stop()
        assert ghes.bad_requests == []
