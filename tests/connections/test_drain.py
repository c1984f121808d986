"""SIGTERM drains: running uploads finish, new ones are asked to come again, then the server ends."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from connections.wire import Wire
from plugins.live import LiveServer, running_server
from wheelyard.testing.builders import WheelBuilder

pytestmark = pytest.mark.slow

Connect = Callable[[], Wire]
Form = Callable[[WheelBuilder], tuple[str, bytes]]


def test_running_uploads_finish(
    connect: Connect, server: LiveServer, upload_head: str, read_head: str, form: Form
) -> None:
    """An upload under way at SIGTERM is published; a new one gets 503 with Retry-After; reading goes on until the end."""
    content_type, body = form(WheelBuilder(name="demo"))
    head = f"{upload_head}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    running, late = connect(), connect()
    running.say(head + body[:-100])
    late.say(f"GET /simple/ HTTP/1.1\r\n{read_head}\r\n")
    assert late.answer()[0] == 200
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: b"503" in ready(connect, server))
    late.say(head + body)
    status, _, headers, text = late.answer()
    assert (status, headers.get("retry-after")) == (503, "5")
    assert b"stopping" in text
    running.say(body[-100:])
    assert running.answer()[0] == 200
    assert server.process.wait(timeout=15) == 0
    with running_server(server.root, http_server="uvicorn") as again:
        assert list(again.listed("demo")) == ["demo-1.0-py3-none-any.whl"]


def test_idle_server_ends_at_once(server: LiveServer) -> None:
    """A server with nothing under way ends within a moment."""
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=10) == 0
    assert time.monotonic() - began < 5


def test_drain_has_an_end(connect: Connect, server: LiveServer, upload_head: str) -> None:
    """A second signal ends the server at once, whatever is under way."""
    wire = connect()
    wire.say(f"{upload_head}Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100\r\n\r\n--b")
    time.sleep(0.2)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=10) is not None


def ready(connect: Connect, server: LiveServer) -> bytes:
    wire = connect()
    wire.say(f"GET /readyz HTTP/1.1\r\nHost: {server.host}\r\nConnection: close\r\n\r\n")
    wire.ended(within_s=5)
    return wire.left


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
