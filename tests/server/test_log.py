"""What a server prints: one JSON object a line where nobody watches, and no secret whatever is asked for."""

import io
import json
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from plugins.live import READ_SECRET, WRITE_SECRET, LiveServer, StartServer
from wheelyard.compose.log import configure_log
from wheelyard.testing.fake_upstream import Answer, FakeUpstream, UpstreamFile, redirect

CONFIG = f'[main]\ntype = "file_system"\nread_secret = "{READ_SECRET}"\nwrite_secret = "{WRITE_SECRET}"\n'
SIGNATURE = "signature-7d1e44"
PASSWORD = secrets.token_hex(12)
FILE = UpstreamFile(filename="six-1.0-py3-none-any.whl", content=b"wheel" * 1000)


@pytest.fixture
def server(start_server: StartServer) -> Iterator[LiveServer]:
    """A server that tells everything, in front of an upstream that signs its addresses."""
    with FakeUpstream() as upstream:
        upstream.offer("six", FILE)
        upstream.script(FILE.path, redirect(f"{upstream.other_origin}/elsewhere/{SIGNATURE}"))
        upstream.script(f"/elsewhere/{SIGNATURE}", Answer(body=FILE.content))
        table = f'[upstream.one]\nurl = "{upstream.root}"\nusername = "bot"\npassword = "{PASSWORD}"\n'
        yield start_server("--log-level", "debug", config=CONFIG + table)


def objects(server: LiveServer) -> list[dict[str, object]]:
    """Return the lines after those for whoever started it."""
    return [json.loads(line) for line in server.log().splitlines() if not line.startswith("Wheelyard serves ")]


def test_every_line_is_json(server: LiveServer) -> None:
    """What libraries say has the form of everything else: an event, a level, a time."""
    server.get("/simple/six/")
    server.stop()
    told = objects(server)
    assert told
    assert all({"event", "level", "timestamp"} <= line.keys() for line in told)


def test_no_secret_at_any_level(server: LiveServer) -> None:
    """Neither signed addresses nor credentials are told, though HTTP libraries tell both to whoever listens."""
    assert server.get(f"/simple/six/{FILE.filename}").content == FILE.content
    server.stop()
    log = server.log()
    assert all(secret not in log for secret in (SIGNATURE, PASSWORD, READ_SECRET, WRITE_SECRET))


@contextmanager
def configured() -> Iterator[io.StringIO]:
    """Configure the log of this process for a moment; yields what is printed."""
    root, out = logging.getLogger(), io.StringIO()
    before, level = root.handlers[:], root.level
    root.handlers.clear()  # those of the test runner, without which a program starts
    try:
        configure_log("debug", out=out)
        yield out
    finally:
        root.handlers[:] = before
        root.setLevel(level)


def test_warnings_of_libraries_are_told() -> None:
    """A library that warns is heard, with its name; one that chats is not."""
    with configured() as out:
        logging.getLogger("some.library").info("chat")
        logging.getLogger("some.library").warning("the pool is %s", "full")
        logging.getLogger("uvicorn").info("started")
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(line["logger"], line["event"], line["level"]) for line in told] == [
        ("some.library", "the pool is full", "warning"),
        ("uvicorn", "started", "info"),
    ]


def test_questions_of_a_client_are_not_told() -> None:
    """Each URL that a client asks may carry a signature."""
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200))
    with configured() as out, httpx2.Client(transport=transport) as client:
        client.get(f"http://localhost/?X-Signature={SIGNATURE}")
    assert out.getvalue() == ""
