"""Where the microseconds of one ready answer go: `python -m benchmarks.profile`, timed in this process without a socket."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import httptools
import httpx2
import uvicorn
from uvicorn.server import ServerState

from wheelyard.compose import Server, make_app
from wheelyard.server.protocol import ConnectionLimits, protocol_with
from wheelyard.settings import load_settings
from wheelyard.testing.builders import WheelBuilder, form_fields, multipart_body

ROUNDS, REPEATS = 15, 4_000
CONFIG = '[main]\ntype = "file_system"\nread_secret = "r"\nwrite_secret = "w"\n'
MARKS = ("<!-- profile: begin -->", "<!-- profile: end -->")
AUTHORIZATION = b"Basic " + base64.b64encode(b"main:r")
HEAD = (
    b"GET /simple/demo/ HTTP/1.1\r\nHost: localhost:8888\r\nUser-Agent: pip/26.3\r\nAccept: application/vnd.pypi.simple.v1+json,"
    b" application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01\r\nAccept-Encoding: gzip, deflate\r\n"
    b"Connection: keep-alive\r\nAuthorization: " + AUTHORIZATION + b"\r\n\r\n"
)


class Sink:
    """A transport that takes everything and sends nothing."""

    def __init__(self) -> None:
        self.bytes = 0

    def write(self, data: bytes) -> None:
        """Count what would be sent."""
        self.bytes += len(data)

    def is_closing(self) -> bool:
        """Never."""
        return False

    def get_extra_info(self, name: str) -> None:
        """Tell nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


class Listener:
    """Callbacks of a parser that does nothing but keep what it is told, as any server must."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []

    def on_url(self, _: bytes) -> None:
        """Begin a request."""
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self.headers.append((name.lower(), value))


def microseconds(work: Callable[[], object]) -> float:
    """Return the median time of one call over some rounds."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(REPEATS):
            work()
        rounds.append((time.perf_counter() - began) / REPEATS * 1e6)
    return median(rounds)


async def measure(folder: Path) -> list[tuple[str, float]]:
    """Measure the parts of one ready answer on a folder index."""
    (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    overrides = {"extra_index_url": ""}
    app, server = make_app(load_settings(folder / "root", config=str(folder / "config.toml"), overrides=overrides))
    async with server.app_lifespan():
        await _prepare(app, folder)
        return _measured(server, folder)


async def _prepare(app: Any, folder: Path) -> None:
    path = WheelBuilder(name="demo", requires_python=">=3.8").build(folder)
    content_type, body = multipart_body(form_fields(path), path.name, path.read_bytes())
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost:8888") as client:
        answer = await client.post("/legacy/", content=body, headers={"content-type": content_type}, auth=("main", "w"))
        answer.raise_for_status()
        accept = {"accept": "application/vnd.pypi.simple.v1+json", "accept-encoding": "gzip"}
        (await client.get("/simple/demo/", headers=accept, auth=("main", "r"))).raise_for_status()


def _measured(server: Server, folder: Path) -> list[tuple[str, float]]:
    hot = server.hot()
    assert hot is not None
    config = uvicorn.Config(lambda *_: None, log_config=None)
    protocol = protocol_with(hot, ConnectionLimits())(config, ServerState(), {})
    sink = Sink()
    protocol.connection_made(sink)  # type: ignore[arg-type]  # it is asked for what a transport does
    listener = Listener()
    parser = httptools.HttpRequestParser(listener)
    headers = [(b"host", b"localhost:8888"), (b"accept", b"application/vnd.pypi.simple.v1+json")]
    headers += [(b"accept-encoding", b"gzip, deflate"), (b"authorization", AUTHORIZATION)]
    record = str(folder / "root/cache/main/storage/simple/demo/index.json")
    assert hot.answer(b"GET", b"/simple/demo/", headers) is not None
    whole = microseconds(lambda: protocol.data_received(HEAD))
    assert sink.bytes > ROUNDS * REPEATS * 100, "the hot path did not answer"
    parsing = microseconds(lambda: parser.feed_data(HEAD))
    finding = microseconds(lambda: hot.answer(b"GET", b"/simple/demo/", headers))
    asking = microseconds(lambda: os.lstat(record))
    return [
        ("from the bytes of the request to the bytes of the answer", whole),
        ("of it, parsing HTTP (httptools, with callbacks that keep the headers)", parsing),
        ("of it, finding the answer: who asks, which path, is it still right", finding),
        ("of that, asking the folder for the record's state (one `lstat`)", asking),
        ("the rest: our protocol class, joining and handing over the bytes", whole - parsing - finding),
    ]


def main() -> None:
    """Print the table; with a file name, write it there between its marks."""
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(measure(Path(folder)))
    lines = ["| part of one ready page, with authentication | µs |", "|---|---|"]
    lines += [f"| {name} | {value:.1f} |" for name, value in rows]
    print("\n".join(lines))
    for name in sys.argv[1:]:
        document = Path(name)
        before, _, rest = document.read_text(encoding="utf-8").partition(MARKS[0])
        _, _, after = rest.partition(MARKS[1])
        document.write_text("\n".join([f"{before}{MARKS[0]}", *lines, f"{MARKS[1]}{after}"]), encoding="utf-8")


if __name__ == "__main__":
    main()
