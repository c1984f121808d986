"""What is no HTTP behind what is: found by fuzzing our protocol class, so these run under it whatever the others run under."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connections.wire import Wire, basic
from hostile.senders import form_of, send
from plugins.live import LiveServer, running_server
from wheelyard.testing.builders import WheelBuilder


@pytest.fixture(scope="module")
def uvicorn_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running_server(tmp_path_factory.mktemp("streams") / "root", http_server="uvicorn") as server:
        yield server


@pytest.fixture
def wire(uvicorn_server: LiveServer) -> Iterator[Wire]:
    host, _, port = uvicorn_server.host.rpartition(":")
    made = Wire(host, int(port))
    yield made
    made.close()


@pytest.fixture
def credentials(uvicorn_server: LiveServer) -> str:
    return f"Host: x\r\nAuthorization: {basic(uvicorn_server.index, uvicorn_server.write_secret)}\r\n"


pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.mark.parametrize("garbage", ["\x00\x01\x02\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /\x7f HTTP/1.1\r\n\r\n"])
def test_requests_in_front_of_garbage_are_answered(wire: Wire, credentials: str, garbage: str) -> None:
    """Whole requests get their own answers, in order; the refusal of what follows is never taken for one of them."""
    wire.say(f"GET /readyz HTTP/1.1\r\n{credentials}\r\nHEAD /simple/ HTTP/1.1\r\n{credentials}\r\n{garbage}")
    assert wire.answer()[0] == 200
    assert wire.answer(head=True)[0] == 200
    assert wire.ended()
    assert wire.left == b"" or wire.left.startswith(b"HTTP/1.1 400 ")


def test_a_head_request_is_refused_without_a_body(wire: Wire, credentials: str) -> None:
    """RFC 9110 section 9.3.2: whatever goes wrong in its body, the answer to HEAD has none."""
    wire.say(f"HEAD /legacy/ HTTP/1.1\r\n{credentials}Transfer-Encoding: chunked\r\n\r\nno chunk\r\n")
    _, _, headers, _ = wire.answer(head=True)
    assert wire.ended()
    assert wire.left == b""
    assert headers["connection"] == "close"


def test_a_request_behind_a_refusal_is_not_run(
    wire: Wire, uvicorn_server: LiveServer, credentials: str, tmp_path: Path
) -> None:
    """What comes behind a head that was refused is not looked at, also when it came in the same piece."""
    assert send(uvicorn_server, *form_of(WheelBuilder(name="kept"), tmp_path)).status == 200
    path = f"/api/v1/indexes/{uvicorn_server.index}/projects/kept"
    behind = f"DELETE {path} HTTP/1.1\r\n{credentials}\r\n"
    wire.say(f"GET /{'x' * 80_000} HTTP/1.1\r\n{credentials}\r\n{behind}")
    assert wire.answer()[0] == 431
    assert wire.ended()
    assert wire.left == b""
    assert uvicorn_server.listed("kept")
    assert uvicorn_server.request("DELETE", path).status_code == 200


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "TLS/1.2"])
def test_a_request_that_also_asks_for_another_protocol(wire: Wire, credentials: str, protocol: str) -> None:
    """
    RFC 9110 section 7.8: the request is answered as if it had not asked, and the connection ends with it.

    Java's client asks for HTTP/2 in each first request; without the end it would wait for its second answer for ever.
    """
    upgrade = f"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocol}\r\nHTTP2-Settings: AAMAAABk\r\n"
    wire.say(f"GET /simple/ HTTP/1.1\r\n{credentials}{upgrade}\r\n" + f"GET /simple/ HTTP/1.1\r\n{credentials}\r\n")
    status, _, headers, _ = wire.answer()
    assert (status, headers["connection"]) == (200, "close")
    assert wire.ended()
    assert wire.left == b""


def test_an_upload_that_also_asks_for_another_protocol(wire: Wire, credentials: str) -> None:
    """Its body cannot be read, so it is refused at once instead of being taken for an empty one."""
    upgrade = "Connection: Upgrade\r\nUpgrade: h2c\r\n"
    wire.say(f"POST /legacy/ HTTP/1.1\r\n{credentials}{upgrade}Content-Length: 5\r\n\r\nhello")
    status, _, headers, body = wire.answer()
    assert (status, headers["connection"]) == (400, "close")
    assert b"Upgrade" in body
    assert wire.ended()
