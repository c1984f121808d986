"""The whole application in this process, and conversations with it over a transport that is only memory."""

from __future__ import annotations

import asyncio
import base64
import logging
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from uvicorn.server import ServerState

from fuzz.laws import require, workplace
from wheelyard.compose import make_app
from wheelyard.server.protocol import ConnectionLimits, WheelyardProtocol, protocol_with
from wheelyard.settings import IndexSettings, ServerSettings, Settings
from wheelyard.storage.plugins import load_backend
from wheelyard.testing.builders import WheelBuilder, form_fields, multipart_body

READ_SECRET = "read1"
WRITE_SECRET = "write1"
FILENAME = "demo-1.0-py3-none-any.whl"

_PATIENCE_S = 10.0  # until an answer counts as one that never comes
_HEAD_BYTES = 4096  # small, so that the fuzzer reaches it


@dataclass(slots=True)
class Seen:
    """
    One request as a reader of HTTP sees it.

    Attributes:
        method: As sent.
        target: As sent.
        body_bytes: Length of its body so far.
        complete: Whether its end was seen.
    """

    method: bytes
    target: bytes
    body_bytes: int = 0
    complete: bool = False


@dataclass(slots=True)
class Conversation:
    """
    What came of one stream of bytes.

    Attributes:
        sent: All bytes that came back.
        closed: Whether the server closed the connection.
        aborted: Whether it cut it off.
        left: Whether the client left while an answer was under way.
        seen: The requests that were understood.
        trouble: What was logged as an error or raised where nobody caught it.
    """

    sent: bytes
    closed: bool
    aborted: bool
    left: bool
    seen: list[Seen]
    trouble: list[str]


class _Transport(asyncio.Transport):
    """Keeps what is written, and closes as a socket does: later, in a turn of the loop of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 80)})
        self.sent = bytearray()
        self.aborted = False
        self.reads = True
        self._closing = False
        self._loop = loop
        self.protocol: asyncio.Protocol | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._closing:  # as sockets do, it drops what is written behind their end
            self.sent += data

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing and self.protocol is not None:
            self._closing = True
            self._loop.call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.aborted = True
        self.close()

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        raise NotImplementedError("a connection stays with HTTP/1.1")


@dataclass(slots=True)
class _Trouble(logging.Handler):
    """Collects what is logged as an error, and what the loop found nobody to catch."""

    found: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        logging.Handler.__init__(self, logging.ERROR)

    def __hash__(self) -> int:
        return id(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))

    def from_loop(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        del loop
        self.found.append(f"{context.get('message')}: {context.get('exception')!r}")


class World:
    """One application with one project in its index; made anew after a change, so that every input meets the same one."""

    def __init__(self) -> None:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        logging.getLogger().addHandler(logging.NullHandler())
        self._loop = asyncio.new_event_loop()
        self._trouble = _Trouble()
        self._loop.set_exception_handler(self._trouble.from_loop)
        logger = logging.getLogger("uvicorn.error")
        logger.addHandler(self._trouble)
        logger.propagate = False
        self._root = workplace()
        self._lifespan: Any = None
        self.renew()

    def renew(self) -> None:
        """Make everything anew."""
        self._loop.run_until_complete(self._renew())

    def converse(self, pieces: Iterable[bytes]) -> Conversation:
        """Send a stream piece by piece on a connection of its own, and wait until nothing more comes."""
        self._trouble.found = []
        return self._loop.run_until_complete(self._converse(pieces))

    async def _renew(self) -> None:
        if self._lifespan is not None:
            await self._lifespan.__aexit__(None, None, None)
        index = IndexSettings(
            name="main",
            type="memory",
            options=load_backend("memory").options(),
            read_secret=READ_SECRET,
            write_secret=WRITE_SECRET,
        )
        settings = Settings(root=self._root, indexes=(index,), server=ServerSettings(extra_index_url=""))
        app, server = make_app(settings)
        self._lifespan = server.app_lifespan()
        await self._lifespan.__aenter__()
        limits = ConnectionLimits(head_bytes=_HEAD_BYTES)
        self._protocol_class = _watched(protocol_with(server.hot(), limits))
        self._config = uvicorn.Config(
            app, http=self._protocol_class, lifespan="off", access_log=False, log_config=None, proxy_headers=False
        )
        self._config.server_header = False
        self._config.load()
        content_type, form, authorization = upload_stream("demo")
        head = b"POST /legacy/ HTTP/1.1\r\nContent-Type: %b\r\nAuthorization: %b\r\nContent-Length: %d\r\n\r\n"
        published = await self._converse([head % (content_type, authorization, len(form)) + form])
        require(published.sent.startswith(b"HTTP/1.1 200 OK"), "the world has a project", published)

    async def _converse(self, pieces: Iterable[bytes]) -> Conversation:
        state = ServerState()
        protocol = self._protocol_class(config=self._config, server_state=state, app_state={}, _loop=self._loop)
        transport = _Transport(self._loop)
        transport.protocol = protocol
        protocol.connection_made(transport)
        for piece in pieces:
            if not await _readable(transport, state):
                break
            protocol.data_received(piece)
            await asyncio.sleep(0)
        left = await _settled(protocol, transport, state)
        closed = transport.is_closing()
        if not closed:
            protocol.eof_received()
            transport.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=_PATIENCE_S)
        if state.tasks:
            self._trouble.found.append("an answer does not end although its client left")
        if protocol in state.connections:
            self._trouble.found.append("the connection stays in the server's list")
        return Conversation(
            bytes(transport.sent),
            closed and not left,
            transport.aborted,
            left,
            protocol.seen,
            list(self._trouble.found),
        )


def upload_stream(name: str, *, boundary: str = "b") -> tuple[bytes, bytes, bytes]:
    """Return the content type, the form that uploads a small wheel of a project, and an `Authorization` that may."""
    with tempfile.TemporaryDirectory() as folder:
        path = WheelBuilder(name=name, description="# Demo").build(Path(folder))
        content_type, form = multipart_body(form_fields(path), path.name, path.read_bytes(), boundary=boundary)
    return content_type.encode(), form, b"Basic " + base64.b64encode(f"main:{WRITE_SECRET}".encode())


async def _readable(transport: _Transport, state: ServerState) -> bool:
    """Wait until the server takes bytes, as the system's buffers would; tell whether it ever will."""
    while not transport.reads and state.tasks and not transport.is_closing():
        _, waiting = await asyncio.wait(state.tasks, timeout=_PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        if len(waiting) == len(state.tasks) and not transport.reads:
            await asyncio.sleep(0)
    return not transport.is_closing()


async def _settled(protocol: WheelyardProtocol, transport: _Transport, state: ServerState) -> bool:
    """Wait until every request that is whole is answered; a client whose request is not whole leaves then."""
    for _ in range(1000):
        await asyncio.sleep(0)
        if not state.tasks:
            return False
        if len(state.tasks) == 1 and not protocol.pipeline and protocol.cycle.more_body:
            finished, _ = await asyncio.wait(state.tasks, timeout=0.005)
            if not finished:
                transport.close()
                return True
        else:
            await asyncio.wait(state.tasks, timeout=_PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
    return False


def _watched(protocol_class: type[WheelyardProtocol]) -> Any:
    """Return the class with a list of what its parser saw."""

    class Watched(protocol_class):  # type: ignore[misc, valid-type]
        def connection_made(self, transport: asyncio.Transport) -> None:
            self.seen: list[Seen] = []
            super().connection_made(transport)

        def on_headers_complete(self) -> None:
            self.seen.append(Seen(self.parser.get_method(), self.url))
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self.seen[-1].body_bytes += len(body)
            super().on_body(body)

        def on_message_complete(self) -> None:
            self.seen[-1].complete = not self.parser.should_upgrade()
            super().on_message_complete()

    return Watched


@cache
def world() -> World:
    """Return the one world of this process."""
    return World()
