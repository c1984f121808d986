"""A server with short limits; they are of our protocol class, so these tests always run it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connections.wire import Wire, basic
from plugins.live import LiveServer, running_server
from wheelyard.testing.builders import SdistBuilder, WheelBuilder, form_fields, multipart_body

HEAD_S, STALL_S, IDLE_S, DRAIN_S = 1, 2, 3, 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    limits = ("--head-timeout", HEAD_S, "--stall-timeout", STALL_S, "--channel-timeout", IDLE_S)
    arguments = (*limits, "--drain-timeout", DRAIN_S, "--connection-limit", 2000)
    with running_server(tmp_path / "root", *map(str, arguments), http_server="uvicorn") as made:
        yield made


@pytest.fixture
def connect(server: LiveServer) -> Iterator[Callable[[], Wire]]:
    opened: list[Wire] = []

    def make() -> Wire:
        host, _, port = server.host.rpartition(":")
        opened.append(Wire(host, int(port)))
        return opened[-1]

    yield make
    for wire in opened:
        wire.close()


@pytest.fixture
def upload_head(server: LiveServer) -> str:
    credentials = basic(server.index, server.write_secret)
    return f"POST /legacy/ HTTP/1.1\r\nHost: {server.host}\r\nAuthorization: {credentials}\r\n"


@pytest.fixture
def read_head(server: LiveServer) -> str:
    return f"Host: {server.host}\r\nAuthorization: {basic(server.index, server.read_secret)}\r\n"


@pytest.fixture
def form(tmp_path: Path) -> Callable[[WheelBuilder | SdistBuilder], tuple[str, bytes]]:
    def make(builder: WheelBuilder | SdistBuilder) -> tuple[str, bytes]:
        folder = tmp_path / "built"
        folder.mkdir(exist_ok=True)
        path = builder.build(folder)
        return multipart_body(form_fields(path), path.name, path.read_bytes())

    return make
