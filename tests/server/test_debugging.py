"""`--debug` shows each request and answer, and no secret."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from server.sites import READ, WRITE, basic, composed
from wheelyard.server.asgi import Message, Receive, Scope, Send
from wheelyard.server.debugging import Debugging
from wheelyard.testing.builders import WheelBuilder

pytestmark = pytest.mark.anyio


async def test_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Method, path with query, headers and the start of a textual answer are shown."""
    async with composed(tmp_path, debug=True) as site:
        await site.publish(WheelBuilder())
        await site.get("/simple/demo/?format=text/html", accept="*/*")
    shown = capsys.readouterr().err
    assert "GET /simple/demo/?format=text/html" in shown
    assert "accept: */*" in shown
    assert "ANSWER 200" in shown
    assert "demo-1.0-py3-none-any.whl" in shown


async def test_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """AU-05: no secret, no session and no cookie is shown, whichever way it comes."""
    async with composed(tmp_path, debug=True) as site:
        await site.publish(WheelBuilder())
        await site.get("/simple/")
        await site.get("/simple/", auth=("main", "wrong-guess"))
        await site.get("/simple/", auth=None, authorization="Bearer write-secret")
        await site.get("/simple/", auth=None, authorization="write-secret")
        await site.get("/simple/", auth=None, proxy_authorization=basic(*WRITE))
        await site.login()
        token = site.client.cookies["wheelyard_session"]
        await site.browse("/")
        await site.browse("/logout/")
    shown = capsys.readouterr()
    everything = shown.out + shown.err
    for secret in (READ[1], WRITE[1], "wrong-guess", token, basic(*READ), basic(*WRITE), basic(*READ).split()[1]):
        assert secret not in everything, secret
    assert "authorization: Basic ***" in everything
    assert "set-cookie: ***" in everything


async def shown_of(headers: list[tuple[bytes, bytes]], answer: list[Message]) -> str:
    """Return what is shown of one request and its answer."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        for message in answer:
            await send(message)

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    async def drop(message: Message) -> None:
        del message

    out = io.StringIO()
    scope: Scope = {"type": "http", "method": "GET", "raw_path": b"/x", "query_string": b"", "headers": headers}
    await Debugging(app, out)(scope, nothing, drop)
    return out.getvalue()


def start(*headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": 200, "headers": list(headers)}


async def test_long_body() -> None:
    """Only the start of a long answer is shown."""
    body: Message = {"type": "http.response.body", "body": b"x" * 100_000}
    shown = await shown_of([], [start((b"content-type", b"text/html")), body])
    assert 1000 < shown.count("x") < 5000


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-type", b"application/octet-stream")],
        [(b"content-type", b"text/html"), (b"content-encoding", b"gzip")],
        [],
    ],
)
async def test_binary_body(headers: list[tuple[bytes, bytes]]) -> None:
    """Bytes that are no text are not shown."""
    body: Message = {"type": "http.response.body", "body": b"\x1f\x8bZZZZ"}
    assert "ZZZZ" not in await shown_of([], [start(*headers), body])


async def test_cannot_write_over_the_terminal() -> None:
    """Control characters of a sender do not reach the terminal."""
    shown = await shown_of([(b"user-agent", b"\x1b[2J\x1b]0;owned\x07")], [start()])
    assert "\x1b" not in shown
