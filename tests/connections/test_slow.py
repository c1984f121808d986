"""Slow and idle clients are cut in time, and others do not notice them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import httpx2
import pytest

from connections.conftest import HEAD_S, IDLE_S, STALL_S
from connections.wire import Wire, open_files, resident_kib, wires
from plugins.live import LiveServer
from wheelyard.testing.builders import WheelBuilder

pytestmark = pytest.mark.slow

Connect = Callable[[], Wire]
MANY = 200
IDLE = 500


def upload(server: LiveServer, content_type: str, body: bytes) -> httpx2.Response:
    with httpx2.Client(trust_env=False, timeout=60) as client:
        return client.post(
            f"{server.url}/legacy/",
            content=body,
            headers={"content-type": content_type},
            auth=(server.index, server.write_secret),
        )


def seconds_of_a_read(server: LiveServer) -> float:
    began = time.monotonic()
    assert server.get("/simple/").status_code == 200
    return time.monotonic() - began


def test_two_hundred_slow_heads(server: LiveServer) -> None:
    """Clients that send their head byte by byte get 408 in time; meanwhile others are answered as always."""
    host, _, port = server.host.rpartition(":")
    with wires(host, int(port), MANY) as slow:
        for wire in slow:
            wire.say("GET /simple/ HTTP/1.1\r\nX: ")
        deadline = time.monotonic() + HEAD_S
        while time.monotonic() < deadline:
            for wire in slow:
                with suppress(OSError):  # cut already
                    wire.say("x")
            assert seconds_of_a_read(server) < 2
        for wire in slow:
            assert wire.ended(within_s=HEAD_S + 4)
            assert wire.left.startswith(b"HTTP/1.1 408 ")


def test_two_hundred_slow_bodies(server: LiveServer, upload_head: str) -> None:
    """Uploads that stop coming get 408 in time, leave nothing behind, and do not slow others down."""
    host, _, port = server.host.rpartition(":")
    before = resident_kib(server.process.pid)
    with wires(host, int(port), MANY) as slow:
        for wire in slow:
            wire.say(
                f"{upload_head}Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n--b\r\n"
            )
        assert seconds_of_a_read(server) < 2
        for wire in slow:
            assert wire.ended(within_s=STALL_S + 6)
            assert wire.left.startswith(b"HTTP/1.1 408 ")
    assert resident_kib(server.process.pid) - before < 64 * 1024
    spools = [path for path in (server.root / "cache").rglob("spool-*") if path.is_file()]
    assert spools == []


def test_drip(server: LiveServer, connect: Connect, upload_head: str) -> None:
    """A body that drips just often enough to look alive is cut too."""
    wire = connect()
    wire.say(f"{upload_head}Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n")
    wire.say('--b\r\nContent-Disposition: form-data; name="summary"\r\n\r\n')
    deadline = time.monotonic() + STALL_S + 8
    cut = False
    while not cut and time.monotonic() < deadline:
        try:
            wire.say("x")
        except OSError:
            break
        cut = wire.ended(within_s=0.3)
    assert time.monotonic() < deadline
    # What we drip after the refusal resets the connection, and may take the refusal with it.
    assert wire.left == b"" or wire.left.startswith(b"HTTP/1.1 408 ")
    assert server.get("/simple/").status_code == 200


def test_idle_readers(server: LiveServer, read_head: str) -> None:
    """Five hundred idle keep-alive readers cost little, delay nobody, and are closed when their time is up."""
    host, _, port = server.host.rpartition(":")
    before, files_before = resident_kib(server.process.pid), open_files(server.process.pid)
    with wires(host, int(port), IDLE) as idle:
        for wire in idle:
            wire.say(f"GET /simple/ HTTP/1.1\r\n{read_head}\r\n")
        for wire in idle:
            assert wire.answer()[0] == 200
        assert seconds_of_a_read(server) < 2
        assert resident_kib(server.process.pid) - before < 48 * 1024
        for wire in idle:
            assert wire.ended(within_s=IDLE_S + 6)
    assert open_files(server.process.pid) <= files_before + 3


def test_silent_connections(server: LiveServer) -> None:
    """Connections that never say anything are closed."""
    host, _, port = server.host.rpartition(":")
    with wires(host, int(port), 20) as silent:
        assert all(wire.ended(within_s=IDLE_S + 6) for wire in silent)


def test_reader_that_stops_reading(
    server: LiveServer, connect: Connect, read_head: str, form: Callable[[WheelBuilder], tuple[str, bytes]]
) -> None:
    """A client that takes nothing of a large file any more is cut, and its file is closed."""
    large = WheelBuilder(name="large", files={"large/data.bin": bytes(range(256)) * 160_000}, method=0)
    content_type, body = form(large)
    assert upload(server, content_type, body).status_code == 200
    files_before = open_files(server.process.pid)
    wire = connect()
    wire.say(f"GET /simple/large/{large.file_name} HTTP/1.1\r\n{read_head}\r\n")
    assert wire.more().startswith(b"HTTP/1.1 200 ")
    deadline = time.monotonic() + STALL_S + 8
    while open_files(server.process.pid) > files_before and time.monotonic() < deadline:
        seconds_of_a_read(server)
    assert open_files(server.process.pid) <= files_before
