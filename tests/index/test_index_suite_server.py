"""The suite of all indexes on one stack: a store, our server over real HTTP, and the upstream index as its client."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from anyio import to_thread

from wheelyard.compose import make_app
from wheelyard.errors import UpstreamUnavailable
from wheelyard.index.interface import Change, Delete, IndexReader, SetStatus, Yank
from wheelyard.index.upstream import UpstreamIndex
from wheelyard.model import NormalizedName
from wheelyard.settings import load_settings
from wheelyard.testing.builders import form_fields, multipart_body
from wheelyard.testing.index_suite import DEMO, IndexStack, IndexSuite
from wheelyard.testing.loopback import LoopbackServer

READ, WRITE = ("main", "read-secret-1"), ("main", "write-secret-2")
SECRETS = f'read_secret = "{READ[1]}"\nwrite_secret = "{WRITE[1]}"\n'

pytestmark = pytest.mark.slow


class ServerStack(IndexStack):
    """Reads as a client of a server and writes by its upload form and its API."""

    def __init__(self, reader: IndexReader, url: str) -> None:
        self.reader = reader
        self._url = url
        self._client = httpx2.AsyncClient(auth=WRITE, trust_env=False)

    async def publish(self, path: Path) -> None:
        content = await to_thread.run_sync(path.read_bytes)
        content_type, body = multipart_body(form_fields(path), path.name, content)
        answer = await self._client.post(f"{self._url}/legacy/", content=body, headers={"content-type": content_type})
        assert answer.status_code == 200, answer.text

    async def change(self, project: NormalizedName, change: Change) -> None:
        url = f"{self._url}/api/v1/indexes/main/projects/{project}"
        match change:
            case Yank(filenames, _, None):
                answer = await self._client.post(f"{url}/unyank", json={"files": sorted(filenames)})
            case Yank(filenames, _, reason):
                answer = await self._client.post(f"{url}/yank", json={"files": sorted(filenames), "reason": reason})
            case SetStatus(status, reason):
                answer = await self._client.put(f"{url}/status", json={"status": status.value, "reason": reason or ""})
            case Delete(filenames):
                paths = [f"{url}/files/{filename}" for filename in filenames] or [url]
                [answer] = [await self._client.delete(path) for path in paths]
        assert answer.status_code == 200, answer.text

    async def close(self) -> None:
        await self._client.aclose()


class ServerSuite(IndexSuite):
    config: str

    @pytest.fixture
    def server(self, tmp_path: Path) -> object:
        settings = load_settings(
            tmp_path / "root", config=self.config, text_allowed=True, overrides={"extra_index_url": ""}
        )
        app, _ = make_app(settings)
        with LoopbackServer(app, lifespan=True) as server:
            yield server

    @pytest.fixture
    async def stack(self, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[IndexStack]:
        monkeypatch.setenv("NO_PROXY", "*")
        reader = UpstreamIndex(f"{server.url}/simple/", credentials=READ)
        await reader.start()
        stack = ServerStack(reader, server.url)
        yield stack
        await stack.close()
        await reader.stop()

    async def test_wrong_credentials(self, stack: IndexStack, server: LoopbackServer) -> None:
        """DC-04: a server that refuses our credentials is an upstream that is not available."""
        reader = UpstreamIndex(f"{server.url}/simple/", credentials=("main", "wrong"))
        await reader.start()
        with pytest.raises(UpstreamUnavailable, match="401"):
            await reader.page(DEMO)
        await reader.stop()


class TestServerOverMemory(ServerSuite):
    config = f'[main]\ntype = "memory"\n{SECRETS}'


class TestServerOverFileSystem(ServerSuite):
    config = f'[main]\ntype = "file_system"\n{SECRETS}'
