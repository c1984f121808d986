"""A large file on its way through a real server: sent while it comes in, from the disk, to readers of every kind."""

import base64
import hashlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from plugins.live import READ_SECRET, WRITE_SECRET, LiveServer, StartServer
from wheelyard.testing.fake_upstream import Answer, FakeUpstream, Gate, UpstreamFile

CONFIG = f'[main]\ntype = "file_system"\nread_secret = "{READ_SECRET}"\nwrite_secret = "{WRITE_SECRET}"\n'
CONTENT = bytes(range(251)) * 80_000  # 20 MB: more than every socket buffer on the way
LARGE = UpstreamFile(filename="large-1.0-py3-none-any.whl", content=CONTENT)
PATH = f"/simple/large/{LARGE.filename}"
PAUSE = 8_000_000


@pytest.fixture
def offered() -> Iterator[FakeUpstream]:
    with FakeUpstream() as upstream:
        upstream.offer("large", LARGE)
        yield upstream


@pytest.fixture
def server(start_server: StartServer, offered: FakeUpstream) -> LiveServer:
    return start_server(config=f'{CONFIG}[upstream.one]\nurl = "{offered.root}"\n')


def paused(offered: FakeUpstream) -> Gate:
    """Let the upstream stop in the middle of the file until the gate opens."""
    gate = Gate()
    offered.script(LARGE.path, Answer(body=CONTENT, gate=gate, pause_after=PAUSE))
    return gate


def client_of(server: LiveServer) -> httpx2.Client:
    return httpx2.Client(base_url=server.url, auth=("main", server.read_secret), trust_env=False, timeout=30)


def drain(pieces: Iterator[bytes], into: bytearray) -> None:
    for piece in pieces:
        into += piece


def spools(server: LiveServer) -> list[Path]:
    return [path for path in server.root.rglob("spool-*") if path.is_file()]


def test_bytes_pass_while_more_come_in(server: LiveServer, offered: FakeUpstream) -> None:
    """FILE-01: what has come in is sent on before the rest is there, all of it, in order, with its length told."""
    gate = paused(offered)
    with client_of(server) as client, client.stream("GET", PATH) as answer:
        assert answer.headers["content-length"] == str(len(CONTENT))
        pieces = answer.iter_raw()
        received = bytearray()
        while len(received) < PAUSE // 2:
            received += next(pieces)
        gate.open()
        for piece in pieces:
            received += piece
    assert received == CONTENT


def test_readers_of_every_kind(server: LiveServer, offered: FakeUpstream) -> None:
    """DC-06: fast readers, one that reads slowly, and readers of ranges share one download."""
    gate = paused(offered)

    def whole() -> bytes:
        with client_of(server) as client:
            return client.get(PATH).raise_for_status().content

    def part() -> bytes:
        with client_of(server) as client:
            return client.get(PATH, headers={"range": "bytes=100-4999999"}).raise_for_status().content

    with ThreadPoolExecutor(8) as pool, client_of(server) as client, client.stream("GET", PATH) as slow:
        pieces = slow.iter_raw()
        received = bytearray(next(pieces))
        gate.wait_until_reached()
        others = [pool.submit(each) for each in (whole, part, whole, part)]
        gate.open()
        contents = [each.result(60) for each in others]
        for piece in pieces:  # by now the rest waits on the disk
            received += piece
    assert received == CONTENT
    assert contents == [CONTENT, CONTENT[100:5_000_000]] * 2
    assert offered.asked(LARGE.path) == 1


def test_a_reader_who_leaves(server: LiveServer, offered: FakeUpstream) -> None:
    """DC-06: a client that breaks off in the middle costs the next one nothing, and leaves nothing behind."""
    gate = paused(offered)
    with client_of(server) as client, client.stream("GET", PATH) as answer:
        next(answer.iter_raw())
    gate.open()
    with client_of(server) as client:
        assert hashlib.sha256(client.get(PATH).raise_for_status().content).hexdigest() == LARGE.sha256
        assert client.get(PATH).raise_for_status().content == CONTENT
    assert offered.asked(LARGE.path) == 1
    assert spools(server) == []


def test_those_who_left_are_no_trouble(server: LiveServer, offered: FakeUpstream) -> None:
    """FILE-01: when the next bytes come in, who left in the meantime is no error, and the others get theirs."""
    gate = paused(offered)
    for _ in range(3):
        with client_of(server) as client, client.stream("GET", PATH) as answer:
            next(answer.iter_raw())
    with client_of(server) as client, client.stream("GET", PATH) as answer:
        gate.open()
        assert answer.read() == CONTENT
    assert server.stop() == 0
    assert "Traceback" not in server.log()


def test_wrong_bytes_never_arrive_whole(server: LiveServer, offered: FakeUpstream) -> None:
    """DC-06: when the digest is wrong at the end the connection is cut: the client has fewer bytes than it was told, the log why."""
    offered.script(LARGE.path, Answer(body=CONTENT[:-1] + b"!"))
    received = bytearray()
    with client_of(server) as client, client.stream("GET", PATH) as answer:
        pieces = answer.iter_raw()
        with pytest.raises(httpx2.RemoteProtocolError):
            drain(pieces, received)
    assert len(received) < len(CONTENT)
    assert CONTENT.startswith(received)
    assert server.stop() == 0
    assert server.log().count("answer-broken-off") == 1
    assert "SHA-256" in server.log()
    assert "Traceback" not in server.log()


def test_the_next_request_on_the_same_connection(server: LiveServer, offered: FakeUpstream) -> None:
    """FILE-01: an answer sent from a growing file ends where its length says, and the connection goes on."""
    del offered
    credentials = base64.b64encode(f"main:{server.read_secret}".encode()).decode()
    head = f"GET {{}} HTTP/1.1\r\nHost: here\r\nAuthorization: Basic {credentials}\r\n\r\n"
    host, port = server.host.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as opened:
        opened.sendall((head.format(PATH) + head.format("/healthz")).encode())
        received = bytearray()
        while received.count(b"HTTP/1.1 200") < 2:
            piece = opened.recv(1 << 20)
            assert piece, "the connection ended before the second answer"
            received += piece
    first, _, rest = bytes(received).partition(b"\r\n\r\n")
    assert b"200" in first.splitlines()[0]
    assert rest[: len(CONTENT)] == CONTENT
    assert rest[len(CONTENT) :].startswith(b"HTTP/1.1 200")


def test_stopping_in_the_middle(server: LiveServer, offered: FakeUpstream) -> None:
    """A server that is told to end does not wait for a silent upstream, and the next one finds no rest of a file."""
    gate = paused(offered)
    with client_of(server) as client, client.stream("GET", PATH) as answer:
        next(answer.iter_raw())
    gate.wait_until_reached()
    assert server.stop() == 0
    gate.open()
    assert spools(server) == []
