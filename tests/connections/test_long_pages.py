"""Long pages leave without being copied, and arrive whole whatever the client does."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from connections.wire import Wire, open_files
from plugins.live import LiveServer
from wheelyard.model import DistFile, Filename, ProjectPage
from wheelyard.protocol.names import normalize
from wheelyard.protocol.record import render_record
from wheelyard.server import large_body
from wheelyard.server.large_body import LargeBody

pytestmark = pytest.mark.slow

FILES = 60_000  # a page of more than ten megabytes, which no socket takes at once


@pytest.fixture
def request_head(server: LiveServer, read_head: str) -> str:
    names = [Filename(f"wide-1.{number}-py3-none-any.whl") for number in range(FILES)]
    files = tuple(DistFile(filename=name, url=name, hashes={"sha256": "0" * 64}, size=1) for name in names)
    record = render_record(ProjectPage(name=normalize("wide"), files=files))
    (storage,) = server.root.glob("cache/*/storage")
    folder = storage / "simple" / "wide"
    folder.mkdir(parents=True)
    (folder / "index.json").write_bytes(record)
    return f"GET /simple/wide/ HTTP/1.1\r\n{read_head}"


def own_files() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def test_a_client_that_reads_slowly(request_head: str, connect: Callable[[], Wire]) -> None:
    """A page of megabytes arrives whole at a client that takes little at a time, and the connection goes on."""
    wire = connect()
    wire.say(f"{request_head}\r\n")
    status, _, _, page = wire.answer()
    assert status == 200
    assert page.count(b"<a ") == FILES
    slow = connect()
    for _ in range(2):
        slow.say(f"{request_head}\r\n")
        for _ in range(20):
            slow.left += slow.socket.recv(4096)
            time.sleep(0.01)
        assert slow.answer()[3] == page


def test_requests_sent_at_once(request_head: str, connect: Callable[[], Wire]) -> None:
    """Answers to requests that were sent without waiting come in their order, each whole."""
    wire = connect()
    wire.say(f"{request_head}\r\n")
    page = wire.answer()[3]
    head = request_head.replace("/wide/", "/")
    wire.say(f"{head}\r\n")
    names = wire.answer()[3]
    for coding in ("", "Accept-Encoding: gzip\r\n"):
        wire.say(f"{request_head}{coding}\r\n")  # whatever has to be made is made now
        expected = wire.answer()[3]
        wire.say((f"{request_head}{coding}\r\n" + f"{head}\r\n") * 3)
        for _ in range(3):
            assert wire.answer()[3] == expected
            assert wire.answer()[3] == names
        assert (expected == page) is not bool(coding)


def test_a_client_that_leaves(server: LiveServer, request_head: str, connect: Callable[[], Wire]) -> None:
    """Clients that leave in the middle of a page cost nothing that lasts."""
    wire = connect()
    for _ in range(2):
        wire.say(f"{request_head}\r\n")
        page = wire.answer()[3]
    before = open_files(server.process.pid)
    for _ in range(20):
        gone = connect()
        gone.say(f"{request_head}\r\n")
        gone.socket.recv(1000)
        gone.close()
    wire.say(f"{request_head}\r\n")
    assert wire.answer()[3] == page
    deadline = time.monotonic() + 10
    while open_files(server.process.pid) > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert open_files(server.process.pid) <= before


def test_without_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """With too many bodies open already, nothing is sent this way and nothing is left open."""
    monkeypatch.setattr(large_body, "DESCRIPTORS", 0)
    before = own_files()
    here, there = socket.socketpair()
    with here, there:
        assert LargeBody(b"x" * 100_000).send(here.fileno(), b"head") == 0
    assert own_files() == before


def test_a_descriptor_is_given_back() -> None:
    """The file in memory is closed when the answer is forgotten."""
    before = len(own_files())
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        body = LargeBody(b"x" * 70_000)
        taken = body.send(here.fileno(), b"head")
        assert taken > 4
        assert there.recv(4) == b"head"
        del body
    assert len(own_files()) == before
