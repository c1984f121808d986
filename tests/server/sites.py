"""A composed application over stores in memory, asked in this process: no socket, no program."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx2
from blockbuster import blockbuster_ctx

from wheelyard.compose import Server, make_app
from wheelyard.settings import IndexSettings, Secret, ServerSettings, Settings
from wheelyard.storage.plugins import load_backend
from wheelyard.testing.builders import SdistBuilder, WheelBuilder, form_fields, multipart_body

Credentials = tuple[str, str]

READ: Final = ("main", "read-secret")
WRITE: Final = ("main", "write-secret")
ADMIN: Final = ("main", "admin-secret")
BROWSER: Final = {
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
    "sec-fetch-site": "none",
}
"""Headers of a person who opens an address."""

V1_JSON: Final = "application/vnd.pypi.simple.v1+json"


def basic(user: str, password: str) -> str:
    """Return the value of an `Authorization` header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def index_settings(name: str = "main", **changes: object) -> IndexSettings:
    """Return an index in memory; `main` has the secrets of `READ`, `WRITE` and `ADMIN`."""
    prefix = "" if name == "main" else f"{name}-"
    settings = IndexSettings(
        name=name,
        type="memory",
        options=load_backend("memory").options(),
        read_secret=f"{prefix}read-secret",
        write_secret=f"{prefix}write-secret",
        admin_secret=Secret("memory", f"{prefix}admin-secret"),
    )
    return replace(settings, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Site:
    """
    The application and a client of it.

    Attributes:
        server: What was composed.
        client: Follows no redirects and keeps cookies.
        folder: Where files for uploads are built.
        root: The server's ROOT.
    """

    server: Server
    client: httpx2.AsyncClient
    folder: Path
    root: Path

    async def ask(
        self,
        method: str,
        path: str,
        *,
        auth: Credentials | None = READ,
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        **content: Any,
    ) -> httpx2.Response:
        """Send one request; redirects are not followed."""
        given = list(headers.items()) if isinstance(headers, dict) else list(headers or ())
        if auth is not None:
            given.append(("authorization", basic(*auth)))
        return await self.client.request(method, path, headers=given, **content)

    async def get(self, path: str, *, auth: Credentials | None = READ, **headers: str) -> httpx2.Response:
        """GET with the read secret."""
        return await self.ask("GET", path, auth=auth, headers={key.replace("_", "-"): headers[key] for key in headers})

    async def browse(self, path: str, *, auth: Credentials | None = None, **headers: str) -> httpx2.Response:
        """Open an address as a person's browser does."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return await self.ask("GET", path, auth=auth, headers={**BROWSER, **named})

    async def send(self, method: str, path: str, body: object, *, auth: Credentials | None = WRITE) -> httpx2.Response:
        """Send a JSON body with the write secret."""
        return await self.ask(method, path, auth=auth, json=body)

    async def upload(
        self,
        path: Path,
        *,
        to: str = "/legacy/",
        auth: Credentials | None = WRITE,
        headers: dict[str, str] | None = None,
        **fields: Any,
    ) -> httpx2.Response:
        """Upload a file with a form like twine's, changed by `fields`."""
        content_type, body = _form(path, **fields)
        given = {"content-type": content_type, **(headers or {})}
        return await self.ask("POST", to, auth=auth, headers=given, content=body)

    async def publish(self, builder: WheelBuilder | SdistBuilder, **options: Any) -> Path:
        """Build and upload a file that must be taken; return its path."""
        path = builder.build(self.folder)
        answer = await self.upload(path, **{"name": builder.name, "version": builder.version, **options})
        assert answer.status_code == 200, answer.text
        return path

    async def files(self, project: str, **options: Any) -> dict[str, dict[str, Any]]:
        """Return the listed files of a project by name; empty when there is no such project."""
        answer = await self.get(f"/simple/{project}/", accept=V1_JSON, **options)
        if answer.status_code == 404:
            return {}
        assert answer.status_code == 200, answer.text
        return {file["filename"]: file for file in answer.json()["files"]}

    async def login(self, *, secret: str = READ[1], index: str = "main", **further: str) -> httpx2.Response:
        """Send the login form, as a browser does from our own page."""
        form = {"pkg_repo_name": index, "pkg_repo_secret_raw": secret, **further}
        headers = {**BROWSER, "sec-fetch-site": "same-origin", "origin": "http://testserver"}
        return await self.ask("POST", "/login/", auth=None, headers=headers, data=form)


def _form(path: Path, **fields: Any) -> tuple[str, bytes]:
    return multipart_body(form_fields(path, **fields), path.name, path.read_bytes())


@contextmanager
def nothing_blocks() -> Iterator[None]:
    """Fail whatever blocks the event loop in our own code, but for the one `stat` that a question to a folder costs."""
    with blockbuster_ctx("wheelyard", excluded_modules=["wheelyard.testing"]) as blockbuster:
        blockbuster.functions["os.stat"].deactivate()
        yield


@asynccontextmanager
async def composed(
    folder: Path,
    *indexes: IndexSettings,
    client_address: tuple[str, int] = ("127.0.0.1", 50000),
    generated: bool = False,
    settings: Settings | None = None,
    **server: object,
) -> AsyncIterator[Site]:
    """
    Compose and open a server.

    Args:
        folder: Its ROOT is `root` in it.
        indexes: By default one index `main` in memory.
        client_address: Where requests seem to come from.
        generated: Whether the server seems to have made its own configuration.
        settings: In place of all that.
        server: Changes of `ServerSettings`.
    """
    told = replace(ServerSettings(extra_index_url=""), **server)  # type: ignore[arg-type]
    chosen = settings or Settings(
        root=folder / "root", indexes=indexes or (index_settings(),), server=told, generated=generated
    )
    app, made = make_app(chosen)
    files = folder / "files"
    files.mkdir(exist_ok=True)
    transport = httpx2.ASGITransport(app, client=client_address)
    async with (
        made.app_lifespan(),
        httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client,
    ):
        client.headers.clear()  # each test says what is sent
        with nothing_blocks():
            yield Site(made, client, files, chosen.root)
