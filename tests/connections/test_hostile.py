"""Requests that try to confuse HTTP itself: each is refused cleanly, and nothing that follows is misread."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from connections.wire import Wire, basic
from plugins.live import LiveServer
from wheelyard.testing.builders import WheelBuilder

pytestmark = pytest.mark.slow

Connect = Callable[[], Wire]
Form = Callable[[WheelBuilder], tuple[str, bytes]]


@pytest.mark.parametrize(
    "head",
    [
        "POST /legacy/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /legacy/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        "POST /legacy/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
        "POST /legacy/ HTTP/1.1\r\nHost: x\r\nContent-Length: +4\r\n\r\nabcd",
        "POST /legacy/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /legacy/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST /legacy/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST /legacy/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST /legacy/ HTTP/1.1\r\nHost: x\r\n Content-Length: 4\r\n\r\nabcd",
        "POST /legacy/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\n\r\nabcd",
        "GET /simple/ HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        "GET /simple/ HTTP/9.9\r\nHost: x\r\n\r\n",
        "G@T /simple/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_smuggling_shapes(connect: Connect, server: LiveServer, head: str) -> None:
    """Lengths that contradict each other and heads that are no HTTP end in 400 or 401 and a closed connection."""
    wire = connect()
    wire.say(head)
    wire.say("GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    assert wire.ended(within_s=10)
    answers = wire.left.split(b"HTTP/1.1 ")[1:]
    assert 1 <= len(answers) <= 2
    assert all(answer[:3] in {b"400", b"401", b"405"} for answer in answers)
    assert b"smuggled" not in wire.left
    assert server.get("/simple/").status_code == 200


def test_pipelining(connect: Connect, read_head: str, server: LiveServer) -> None:
    """Requests sent without waiting are answered in their order, ready ones and others mixed."""
    server.get("/simple/")
    wire = connect()
    paths = ["/simple/", "/simple/nope/", "/healthz", "/simple/", "/simple", "/api/openapi.json", "/simple/"]
    wire.say("".join(f"GET {path} HTTP/1.1\r\n{read_head}\r\n" for path in paths))
    assert [wire.answer()[0] for _ in paths] == [200, 404, 200, 200, 301, 200, 200]


def test_pipelined_flood(connect: Connect, read_head: str, server: LiveServer) -> None:
    """Thousands of pipelined requests by a client that reads late are all answered, in bounded memory."""
    server.get("/simple/")
    wire = connect()
    count = 3000
    request = f"GET /simple/ HTTP/1.1\r\n{read_head}\r\n".encode()
    wire.socket.setblocking(False)
    sent = 0
    content = request * count
    answered = b""
    while sent < len(content):
        try:
            sent += wire.socket.send(content[sent : sent + 65536])
        except BlockingIOError:
            try:
                answered += wire.socket.recv(1 << 20)
            except BlockingIOError:
                continue
    wire.socket.setblocking(True)
    wire.left = answered
    assert {wire.answer()[0] for _ in range(count)} == {200}


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://example.invalid/simple/", 200),
        ("http://example.invalid/simple/nope/", 404),
        ("*", 400),
        ("/simple/../../etc/passwd", 404),
        ("/simple/%2e%2e/%2e%2e/etc/passwd", 404),
        ("/simple/..%2f..%2fetc%2fpasswd", 404),
        ("/simple/a%00b/", 404),
        ("/simple/%ff%fe/", 404),
        ("//simple//", 200),
        ("/simple/?format=%0d%0aX:y", 406),
        ("/simple/%0d%0aSet-Cookie:%20a=b/", 404),
        ("/" + "a/" * 2000, 404),
        ("/simple/" + "a" * 10_000 + "/", 404),
    ],
)
def test_odd_targets(connect: Connect, read_head: str, target: str, status: int) -> None:
    """URL-17: absolute-form and odd paths mean what they say or nothing, and never inject a header."""
    wire = connect()
    wire.say(f"GET {target} HTTP/1.1\r\n{read_head}\r\n")
    got, _, headers, _ = wire.answer()
    assert got in {status, 404 if status == 400 else status}
    assert "set-cookie" not in headers
    assert "x" not in headers


@pytest.mark.parametrize("count", [1, 3000])
def test_heads_too_long(connect: Connect, server: LiveServer, read_head: str, count: int) -> None:
    """A head longer than the limit gets 431, whether it is one header or thousands."""
    wire = connect()
    filler = "".join(f"X-{number}: {'a' * (200_000 // count)}\r\n" for number in range(count))
    with suppress(OSError):  # refused before all of it was sent
        wire.say(f"GET /simple/ HTTP/1.1\r\n{read_head}{filler}\r\n")
    assert wire.ended(within_s=5)
    assert wire.left.startswith(b"HTTP/1.1 431 ")
    assert server.get("/simple/").status_code == 200


def test_head_without_end(connect: Connect, server: LiveServer) -> None:
    """A single header that never ends is refused before it fills the memory."""
    wire = connect()
    wire.say("GET /simple/ HTTP/1.1\r\nX: ")
    with suppress(OSError):
        for _ in range(1000):
            wire.say("a" * 65536)
    assert wire.ended(within_s=5)
    assert server.get("/simple/").status_code == 200


def test_header_injection(connect: Connect, server: LiveServer, upload_head: str, form: Form) -> None:
    """UP-22: a name with line breaks comes back in no header and no status line."""
    content_type, body = form(WheelBuilder(name="demo"))
    hostile = body.replace(b'name="name"\r\n\r\ndemo', b'name="name"\r\n\r\ndemo\r\nX-Injected: yes')
    wire = connect()
    wire.say(f"{upload_head}Content-Type: {content_type}\r\nContent-Length: {len(hostile)}\r\n\r\n".encode() + hostile)
    status, reason, headers, _ = wire.answer()
    assert status == 400
    assert "x-injected" not in headers
    assert "\r" not in reason
    assert "\n" not in reason


def test_yank_reason_is_no_header(connect: Connect, server: LiveServer, form: Form, upload_head: str) -> None:
    """A reason with markup and line breaks is data on the page, nothing else."""
    content_type, body = form(WheelBuilder(name="demo"))
    wire = connect()
    wire.say(f"{upload_head}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    assert wire.answer()[0] == 200
    reason = '"><script>alert(1)</script>\r\nX-Injected: yes'
    answer = server.request(
        "POST", "/api/v1/indexes/main/projects/demo/yank", body={"version": "1.0", "reason": reason}
    )
    assert answer.status_code == 200
    page = server.get("/simple/demo/", headers={"Accept": "text/html"})
    assert "<script>" not in page.text
    assert "x-injected" not in page.headers


def test_client_that_leaves_mid_upload(connect: Connect, server: LiveServer, upload_head: str, form: Form) -> None:
    """An upload cut off half-way leaves nothing behind, and the same file may be sent again."""
    content_type, body = form(WheelBuilder(name="demo", files={"demo/data.bin": bytes(300_000)}, method=0))
    wire = connect()
    wire.say(
        f"{upload_head}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:-5000]
    )
    wire.close()
    again = connect()
    again.say(f"{upload_head}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    assert again.answer()[0] == 200
    left = [path for path in (server.root / "cache").rglob("spool-*") if path.is_file()]
    assert left == []


def test_client_that_leaves_mid_download(
    connect: Connect, server: LiveServer, read_head: str, form: Form, upload_head: str
) -> None:
    """A download cut off half-way costs nobody anything."""
    large = WheelBuilder(name="large", files={"large/data.bin": bytes(range(256)) * 80_000}, method=0)
    content_type, body = form(large)
    sender = connect()
    sender.say(f"{upload_head}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    assert sender.answer()[0] == 200
    for _ in range(20):
        wire = connect()
        wire.say(f"GET /simple/large/{large.file_name} HTTP/1.1\r\n{read_head}\r\n")
        assert wire.more()
        wire.close()
    answer = server.get(f"/simple/large/{large.file_name}")
    assert len(answer.content) == int(answer.headers["content-length"])
    assert "Traceback" not in server.log()


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\nabc\r\n0\r\n\r\n",
        b"5\r\nabc\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\nabc",
        b"-1\r\nabc\r\n0\r\n\r\n",
    ],
)
def test_broken_chunks(connect: Connect, server: LiveServer, upload_head: str, body: bytes) -> None:
    """A chunked body that is no chunked body gets 400 and a closed connection."""
    wire = connect()
    wire.say(
        f"{upload_head}Content-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        + body
    )
    assert wire.ended(within_s=10)
    assert wire.left.startswith(b"HTTP/1.1 4")
    assert server.get("/simple/").status_code == 200


def test_two_authorization_headers(connect: Connect, server: LiveServer, read_head: str) -> None:
    """Two Authorization headers are refused: a proxy in front may have looked at the other one."""
    wire = connect()
    wire.say(f"GET /simple/ HTTP/1.1\r\n{read_head}Authorization: {basic('main', 'wrong')}\r\n\r\n")
    assert wire.answer()[0] == 401
