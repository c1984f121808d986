"""A composed application over the memory backend, asked in this process."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx2
import pytest

from wheelyard.compose import Server, make_app
from wheelyard.settings import IndexSettings, ServerSettings, Settings
from wheelyard.storage.plugins import load_backend
from wheelyard.testing.builders import SdistBuilder, WheelBuilder, form_fields, multipart_body

READ = ("main", "read-secret")
WRITE = ("main", "write-secret")


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def index_settings(name: str = "main", **changes: object) -> IndexSettings:
    settings = IndexSettings(
        name=name,
        type="memory",
        options=load_backend("memory").options(),
        read_secret="read-secret",
        write_secret="write-secret",
    )
    return replace(settings, **changes)  # type: ignore[arg-type]


@dataclass
class Site:
    """The application and a client of it."""

    server: Server
    client: httpx2.AsyncClient
    folder: Path
    published: list[str] = field(default_factory=list)

    async def get(self, path: str, *, auth: tuple[str, str] | None = READ, **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = self.client.build_request("GET", path, headers=named)
        return await self.client.send(request, auth=auth)

    async def upload(
        self,
        path: Path,
        *,
        to: str = "/legacy/",
        auth: tuple[str, str] | None = WRITE,
        accept: str | None = None,
        **fields: object,
    ) -> httpx2.Response:
        form = form_fields(path, **fields)
        content_type, body = multipart_body(form, path.name, path.read_bytes())
        headers = {"content-type": content_type} | ({"accept": accept} if accept else {})
        return await self.client.post(to, content=body, headers=headers, auth=auth)

    async def publish(self, builder: WheelBuilder | SdistBuilder) -> Path:
        path = builder.build(self.folder)
        answer = await self.upload(path)
        assert answer.status_code == 200, answer.text
        return path


@asynccontextmanager
async def composed(folder: Path, *indexes: IndexSettings, **server: object) -> AsyncIterator[Site]:
    told = replace(ServerSettings(extra_index_url=""), **server)  # type: ignore[arg-type]
    settings = Settings(root=folder / "root", indexes=indexes or (index_settings(),), server=told)
    app, made = make_app(settings)
    files = folder / "files"
    files.mkdir()
    transport = httpx2.ASGITransport(app)
    async with (
        made.app_lifespan(),
        httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client,
    ):
        yield Site(made, client, files)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with composed(tmp_path) as made:
        yield made
