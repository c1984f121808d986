"""A table of open files that is full: told, and over as soon as there is room again."""

from __future__ import annotations

import base64
import os
import re
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from crash.nursery import INDEX, READ_SECRET, WRITE_SECRET, FolderServers, Server
from wheelyard.testing.crash import IndexClient, Ledger, check_promises, package
from wheelyard.testing.fake_upstream import FakeUpstream, UpstreamFile

pytestmark = pytest.mark.slow

LIMIT = 64
LARGE = os.urandom(90_000)


def connected(server: Server) -> socket.socket:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=5)


def open_files(server: Server) -> int:
    return len(list(Path(f"/proc/{server.child.pid}/fd").iterdir()))


def ask(connection: socket.socket, path: str) -> bytes:
    """Send a request on a connection that is open already."""
    credentials = base64.b64encode(f"{INDEX}:{WRITE_SECRET}".encode())
    connection.sendall(b"GET %b HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %b\r\n\r\n" % (path.encode(), credentials))
    answer = b""
    while (head_end := answer.find(b"\r\n\r\n")) < 0 or len(answer) < head_end + 4 + body_length(answer[:head_end]):
        received = connection.recv(100_000)
        assert received, answer
        answer += received
    return answer


def body_length(head: bytes) -> int:
    (length,) = re.findall(rb"(?i)\r\ncontent-length: (\d+)", head)
    return int(length)


def fill(server: Server, stack: ExitStack) -> None:
    """Open connections until the server cannot take another."""
    while open_files(server) < LIMIT:
        before = open_files(server)
        stack.enter_context(connected(server))
        if open_files(server) == before and open_files(server) >= LIMIT - 1:
            break


def test_a_full_table(servers: FolderServers, tmp_path: Path) -> None:
    """With no descriptor left, pages that are ready are served, the rest is 503 that names `ulimit -n`; then all works again."""
    server = servers.start(tmp_path / "root", limits={"RLIMIT_NOFILE": LIMIT})
    ledger = Ledger()
    for each in (package("demo", "1.0"), package("other", "1.0", payload=LARGE)):
        ledger.publish(server.client, each)
    check_promises(server.client, ledger)
    with ExitStack() as stack:
        mine = stack.enter_context(connected(server))
        assert b" 200 " in ask(mine, "/simple/demo/")
        fill(server, stack)
        assert b" 200 " in ask(mine, "/simple/demo/")
        refused = ask(mine, "/simple/other/other-1.0-py3-none-any.whl")
        assert b" 503 " in refused, refused
        assert b"ulimit -n" in refused, refused
        assert b"retry-after" in refused.lower()
    client = IndexClient(server.url, INDEX, WRITE_SECRET)
    for version in ("2.0", "3.0"):
        answer = ledger.publish(client, package("demo", version, payload=LARGE))
        assert answer is not None
        assert answer.status_code == 200
    check_promises(client, ledger)
    client.close()
    assert server.stop() == 0
    assert "internal-error" not in server.log()


def test_a_full_table_and_a_file_of_an_upstream(servers: FolderServers, tmp_path: Path) -> None:
    """With no descriptor left a file that is not here yet is 503, and no fault of the program; later it is fetched."""
    name = "six-1.0-py3-none-any.whl"
    config = (
        f'[{INDEX}]\ntype = "file_system"\nread_secret = "{READ_SECRET}"\nwrite_secret = "{WRITE_SECRET}"\n'
        '[upstream.one]\nurl = "{}"\n'
    )
    path = f"/simple/six/{name}"
    with FakeUpstream() as upstream:
        # Elsewhere than its page, so that no connection to it is open yet.
        upstream.offer("six", UpstreamFile(filename=name, content=LARGE, url=f"{upstream.other_origin}/files/{name}"))
        server = servers.start(tmp_path / "root", config=config.format(upstream.root), limits={"RLIMIT_NOFILE": LIMIT})
        with connected(server) as mine:
            assert b" 200 " in ask(mine, "/simple/six/")
            with ExitStack() as stack:
                fill(server, stack)
                for _ in range(3):
                    assert b" 503 " in ask(mine, path)
            # The server has yet to see that the others left.
            assert any(ask(mine, path).endswith(LARGE) for _ in range(200))
    assert server.stop() == 0
    assert "internal-error" not in server.log()
    assert "download-failed" not in server.log()
