"""The thread of a download: what it asks through, and how it ends."""

import json
import ssl
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import anyio
import httpx2
import pytest
import trustme
from anyio import to_thread

from wheelyard.errors import UpstreamUnavailable, WheelyardError
from wheelyard.index.interface import FileBody, StreamBody
from wheelyard.index.upstream import UpstreamIndex
from wheelyard.index.upstream_blocking import BlockingTransport
from wheelyard.model import DistFile, Filename, NormalizedName
from wheelyard.testing.fake_upstream import Answer, FakeUpstream, Gate, UpstreamFile
from wheelyard.testing.index_suite import read

from .conftest import OpenMirror

pytestmark = pytest.mark.anyio

SIX = NormalizedName("six")
NAME = Filename("six-1.0.tar.gz")
CONTENT = bytes(range(256)) * 12_000
FILE = UpstreamFile(filename=NAME, content=CONTENT)


class Secure(ThreadingHTTPServer):
    """An upstream with one file behind TLS; notes who asks for it."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), SecureHandler)
        self.context = context
        self.protocols: list[str | None] = []
        self.peers: set[tuple[str, int]] = set()
        self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def root(self) -> str:
        """Root of its simple API."""
        return f"https://localhost:{self.server_port}/simple/"


class SecureHandler(BaseHTTPRequestHandler):
    """Answers pages and files."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        file = {"filename": NAME, "url": f"/files/{NAME}", "size": len(CONTENT), "hashes": {"sha256": FILE.sha256}}
        page = {"meta": {"api-version": "1.4"}, "name": "six", "versions": ["1.0"], "files": [file]}
        is_page = self.path.startswith("/simple/")
        if not is_page:
            assert isinstance(self.server, Secure)
            assert isinstance(self.connection, ssl.SSLSocket)
            self.server.protocols.append(self.connection.selected_alpn_protocol())
            self.server.peers.add(self.client_address)
        body = json.dumps(page).encode() if is_page else CONTENT
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json" if is_page else "application/x-tar")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Secure]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    monkeypatch.setenv("NO_PROXY", "*")
    with Secure(context) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def test_transport_over_tls(secure: Secure) -> None:
    """Downloads trust what the machine trusts, and speak HTTP/1.1 to an upstream that would rather speak HTTP/2."""
    transport = BlockingTransport(connections=2)
    async with httpx2.AsyncClient(transport=transport) as client:
        for _ in range(2):
            async with client.stream("GET", secure.root.replace("/simple/", "/files/x")) as answer:
                content = b"".join([piece async for piece in answer.aiter_raw()])
            assert content == CONTENT
    assert secure.protocols == ["http/1.1"] * 2


async def test_one_connection_for_many_files(secure: Secure) -> None:
    """What was read to its end gives its connection back: one file after the other costs one handshake."""
    upstream = UpstreamIndex(secure.root)
    await upstream.start()
    listed = DistFile(filename=NAME, url=secure.root.replace("/simple/", "/files/x"))
    try:
        for _ in range(3):
            pieces = upstream.stream_in_thread(SIX, listed, len(CONTENT), None, opened=lambda _: None)
            assert b"".join([piece async for piece in pieces]) == CONTENT
    finally:
        await upstream.stop()
    assert len(secure.protocols) == 3
    assert len(secure.peers) == 1


async def test_an_untrusted_certificate(secure: Secure, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that nobody trusts is refused by downloads as by everything else."""
    monkeypatch.delenv("SSL_CERT_FILE")
    async with httpx2.AsyncClient(transport=BlockingTransport(connections=2)) as client:
        with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.get(secure.root)


def waiting(upstream: FakeUpstream, *, after: int | None) -> Gate:
    gate = Gate()
    upstream.offer("six", FILE)
    upstream.script(FILE.path, Answer(body=CONTENT, gate=gate, pause_after=after))
    return gate


async def broken(found: FileBody) -> None:
    with pytest.raises(UpstreamUnavailable, match="ended after"):
        await read(found)


@pytest.mark.parametrize("after", [None, 2_000_000], ids=["before the head", "in the body"])
async def test_stopped_while_the_upstream_is_silent(
    open_mirror: OpenMirror, upstream: FakeUpstream, after: int | None
) -> None:
    """Ending a server waits for no upstream; its readers are told, and the thread takes its spool with it."""
    gate = waiting(upstream, after=after)
    index = await open_mirror()
    with anyio.fail_after(7):  # an upstream may be silent for eight seconds
        async with anyio.create_task_group() as group:
            group.start_soon(broken, await index.file(SIX, NAME))
            await to_thread.run_sync(gate.wait_until_reached)
            await index.stop()
    gate.open()
    with anyio.fail_after(20):
        # The thread ends by itself, and has nobody to tell.
        while any(path.name.startswith("spool-") for path in open_mirror.folder.rglob("*")):  # noqa: ASYNC110
            await anyio.sleep(0.01)
    assert not list(open_mirror.files.rglob("*.tar.gz"))


async def test_a_reader_is_told_while_others_read(open_mirror: OpenMirror, upstream: FakeUpstream) -> None:
    """A download that fails after some of its bytes were read fails for everybody, at the piece where each is."""
    gate = waiting(upstream, after=2_000_000)
    index = await open_mirror()
    found = await index.file(SIX, NAME)
    assert isinstance(found.body, StreamBody)
    assert found.body.slices is not None
    async with aclosing(cast("AsyncGenerator[bytes]", found.body.slices(None))) as slices:
        await anext(slices)
        await to_thread.run_sync(gate.wait_until_reached)
        upstream.script(FILE.path, Answer(status=404))
        await index.stop()
        with pytest.raises(WheelyardError):
            async for _ in slices:
                pass
    gate.open()
