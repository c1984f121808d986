"""
Our HTTP/1.1 protocol class for uvicorn: what ASGI cannot do.

1. Requests for something ready are answered by the hot path when their head is complete, before a task or scope exists.
2. Status lines carry the application's reason phrase, which is all that twine shows its users.
3. Large files leave by sendfile (the ASGI extension `http.response.zerocopysend`).
4. Heads that are too long or too slow, bodies and downloads that stall, and idle connections are cut (`Watch`).

Parsing and its strictness are httptools' and uvicorn's.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, ClassVar, cast

from anyio import to_thread
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from wheelyard.server.answers import REASON_KEY, ZERO_COPY
from wheelyard.server.asgi import Message
from wheelyard.server.hot import HotPath, joined

if TYPE_CHECKING:
    from io import FileIO

_READS = frozenset({b"GET", b"HEAD"})
_LARGE_BODY_BYTES = 64 * 1024  # from here a copy into one buffer costs more than a second write
_DRAIN_POLL_S = 0.001
_SENDFILE_BYTES = 4 * 1024 * 1024  # what one thread hop may send; a socket buffer takes about half of it


class _ReasonTransport:
    """Stands in for the transport during one write, and puts the reason phrase into the status line."""

    def __init__(self, transport: asyncio.Transport, standard: bytes, status_line: bytes) -> None:
        self._transport = transport
        self._standard = standard
        self._status_line = status_line

    def write(self, data: bytes) -> None:
        """Write the head of an answer."""
        if data.startswith(self._standard):
            data = self._status_line + data[len(self._standard) :]
        self._transport.write(data)


class Cycle(httptools_impl.RequestResponseCycle):
    """One request and its response, with a reason phrase of its own and files sent without copying them."""

    async def send(self, message: Message) -> None:  # type: ignore[override]  # uvicorn's message types are its own
        """Send one ASGI message."""
        if message["type"] == ZERO_COPY:
            await self._send_file(message)
            return
        reason = message.get(REASON_KEY) if message["type"] == "http.response.start" else None
        if not reason:
            await super().send(message)  # type: ignore[arg-type]
            return
        status = message["status"]
        transport = self.transport
        status_line = b"HTTP/1.1 %d %b\r\n" % (status, reason)
        self.transport = _ReasonTransport(transport, STATUS_LINE[status], status_line)  # type: ignore[assignment]
        try:
            await super().send(message)  # type: ignore[arg-type]
        finally:
            self.transport = transport

    async def _send_file(self, message: Message) -> None:
        """Send a part of a file straight from the page cache. Spec: ASGI extension "Zero Copy Send"."""
        source: FileIO = message["file"]
        left: int = message["count"]
        offset: int = message["offset"]
        # The head is still in the transport's buffer at times; bytes must not overtake it.
        await _drained(self.transport)
        socket = os.dup(self.transport.get_extra_info("socket").fileno())
        try:
            while left and not self.disconnected:
                sent = await to_thread.run_sync(_sendfile, socket, source.fileno(), offset, min(left, _SENDFILE_BYTES))
                if sent is None:
                    await _writable(socket)
                    continue
                if sent == 0:
                    raise OSError("a stored file became shorter while it was sent")
                offset += sent
                left -= sent
        except (BrokenPipeError, ConnectionResetError):
            self.disconnected = True
        finally:
            os.close(socket)
        if self.disconnected:
            return
        self.expected_content_length = 0
        await super().send({"type": "http.response.body", "body": b"", "more_body": False})


def _sendfile(socket: int, source: int, offset: int, count: int) -> int | None:
    """Send what the socket takes now; None when it takes nothing. Blocks only for the disk."""
    try:
        return os.sendfile(socket, source, offset, count)
    except BlockingIOError:
        return None


async def _writable(descriptor: int) -> None:
    """Wait until a socket takes bytes again."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(descriptor, _settle, ready)
    try:
        await ready
    finally:
        loop.remove_writer(descriptor)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _drained(transport: asyncio.Transport) -> None:
    """Wait until the transport has nothing left to write; it tells nobody when that is, so it is asked."""
    while transport.get_write_buffer_size() and not transport.is_closing():
        await asyncio.sleep(_DRAIN_POLL_S)


class WheelyardProtocol(HttpToolsProtocol):
    """HTTP/1.1 by httptools, as uvicorn has it, behind the hot path."""

    hot: ClassVar[HotPath | None] = None

    _answered = False
    _default_headers: list[tuple[bytes, bytes]] | None = None
    _default_head = b""

    def on_message_begin(self) -> None:
        """Note that a request begins; its scope is made only if the hot path leaves it."""
        self.url = b""
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Answer from the hot path, or start the application."""
        if self._answer_now():
            self._answered = True
            return
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url, self.headers = url, headers
        self.scope["headers"] = headers
        if self.hot is not None and self.transport.get_extra_info("sslcontext") is None:
            self.scope["extensions"] = {ZERO_COPY: {}}
        self.expect_100_continue = (b"expect", b"100-continue") in headers
        super().on_headers_complete()
        if type(self.cycle) is httptools_impl.RequestResponseCycle:
            self.cycle.__class__ = Cycle

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of a body; a request that was answered already has none."""
        if not self._answered:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of a request."""
        if self._answered:
            self._answered = False
        else:
            super().on_message_complete()

    def _answer_now(self) -> bool:
        """Answer from the hot path if that can be done without overtaking anything."""
        parser = self.parser
        method = parser.get_method()
        if (
            self.hot is None
            or method not in _READS
            or not parser.should_keep_alive()
            or (self.cycle is not None and not self.cycle.response_complete)
            or self.flow.write_paused
        ):
            return False
        answer = self.hot.answer(method, self.url, self.headers)
        if answer is None:
            return False
        status_line, head, body = answer
        if self.server_state.default_headers is not self._default_headers:
            self._default_headers = self.server_state.default_headers
            self._default_head = joined(self._default_headers)
        start = status_line + self._default_head + head
        if len(body) < _LARGE_BODY_BYTES:
            self.transport.write(start + body)
        else:
            self.transport.write(start)
            self.transport.write(body)
        self.server_state.total_requests += 1
        self._rearm()
        return True

    def _rearm(self) -> None:
        """Close the connection when nothing more comes on it."""
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)


def protocol_with(hot: HotPath | None) -> type[WheelyardProtocol]:
    """Return a protocol class that answers from this hot path; uvicorn makes its instances."""
    return cast("type[WheelyardProtocol]", type("WheelyardProtocolWithHotPath", (WheelyardProtocol,), {"hot": hot}))
