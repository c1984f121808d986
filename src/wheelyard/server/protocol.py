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
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from anyio import to_thread
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from wheelyard.server.answers import REASON_KEY, ZERO_COPY, ClientLeft
from wheelyard.server.asgi import Message
from wheelyard.server.hot import HotPath, joined
from wheelyard.server.large_body import LargeBody

if TYPE_CHECKING:
    from io import FileIO

_READS = frozenset({b"GET", b"HEAD"})
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

    stall_s = 60.0  # set by the protocol from its limits

    async def send(self, message: Message) -> None:  # type: ignore[override]  # uvicorn's message types are its own
        """
        Send one ASGI message.

        Raises:
            ClientLeft: There is more of a body to come, and nobody to take it; uvicorn would let all of it be made.
        """
        if self.disconnected and message.get("more_body", False):
            raise ClientLeft("the client left before the end of an answer")
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
        """
        Send a part of a file straight from the page cache, and end the answer unless `more_body` says otherwise.

        Spec: ASGI extension "Zero Copy Send".
        """
        source: FileIO = message["file"]
        left: int = message["count"]
        offset: int = message["offset"]
        # The head is still in the transport's buffer at times; bytes must not overtake it.
        await _drained(self.transport)
        if self.disconnected or self.transport.is_closing():
            return  # there is no socket any more
        socket = os.dup(self.transport.get_extra_info("socket").fileno())
        try:
            while left and not self.disconnected:
                sent = await to_thread.run_sync(_sendfile, socket, source.fileno(), offset, min(left, _SENDFILE_BYTES))
                if sent is None:
                    await _writable(socket, self.stall_s)
                    continue
                if sent == 0:
                    raise OSError("a stored file became shorter while it was sent")
                offset += sent
                left -= sent
        except (BrokenPipeError, ConnectionResetError):
            self.disconnected = True
        except TimeoutError:
            self.disconnected = True
            self.transport.abort()
        finally:
            os.close(socket)
        if self.disconnected:
            return
        self.expected_content_length -= message["count"]
        if message.get("more_body", False):
            return
        await super().send({"type": "http.response.body", "body": b"", "more_body": False})


def _sendfile(socket: int, source: int, offset: int, count: int) -> int | None:
    """Send what the socket takes now; None when it takes nothing. Blocks only for the disk."""
    try:
        return os.sendfile(socket, source, offset, count)
    except BlockingIOError:
        return None


async def _writable(descriptor: int, stall_s: float) -> None:
    """Wait until a socket takes bytes again; TimeoutError when it takes none for too long."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(descriptor, _settle, ready)
    try:
        await asyncio.wait_for(ready, stall_s)
    finally:
        loop.remove_writer(descriptor)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _drained(transport: asyncio.Transport) -> None:
    """Wait until the transport has nothing left to write; it tells nobody when that is, so it is asked."""
    # There is no event to wait for.
    while transport.get_write_buffer_size() and not transport.is_closing():  # noqa: ASYNC110
        await asyncio.sleep(_DRAIN_POLL_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """
    What one connection may cost before it is cut.

    Attributes:
        head_bytes: Bytes of a request line with its headers.
        head_s: Seconds from the first byte of a request (or from the connection itself) to the end of its head.
        idle_s: Seconds that a kept-alive connection may stay without a request.
        stall_s: Seconds without progress after which an upload or a download is given up.
        body_bytes_per_s: Slowest upload that is waited for, on average, once it took longer than `stall_s`.
    """

    head_bytes: int = 64 * 1024
    head_s: float = 20.0
    idle_s: float = 120.0
    stall_s: float = 60.0
    body_bytes_per_s: int = 256


class WheelyardProtocol(HttpToolsProtocol):
    """HTTP/1.1 by httptools, as uvicorn has it, behind the hot path and within limits."""

    hot: ClassVar[HotPath | None] = None
    limits: ClassVar[ConnectionLimits] = ConnectionLimits()

    _answered = False  # the request being parsed was answered by the hot path
    _refused = False  # what came is no HTTP, or costs too much: nothing more is read on this connection
    _in_head = True  # between requests, or inside the head of one
    _parsing_head = False  # the first byte of a head has come
    _head_bytes = 0  # of a head that is not complete
    _head_ended = False  # a head ended in the piece being parsed
    _big_piece = False  # what is being parsed may hold a head that is too long
    _since = 0.0  # when the present phase began: connection, first byte of a head, end of a head, end of an answer
    _body_bytes = 0
    _write_paused_since: float | None = None
    _default_headers: list[tuple[bytes, bytes]] | None = None
    _default_head = b""

    # -- what httptools and the transport tell ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Note when the connection began."""
        super().connection_made(transport)
        self._since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Parse what came, and refuse heads without end."""
        if self._refused:
            return
        self._big_piece = len(data) + self._head_bytes > self.limits.head_bytes
        self._head_ended = False
        super().data_received(data)
        if self._parsing_head and self.parser is not None:
            if self._head_bytes == 0:
                self._since = self.loop.time()
            # After pipelined requests, only what was parsed of the last head counts.
            self._head_bytes += len(self.url) if self._head_ended else len(data)
            if self._head_bytes > self.limits.head_bytes:
                self._refuse(431, b"the request line and headers are too long")

    def on_message_begin(self) -> None:
        """Note that a request begins; its scope is made only if the hot path leaves it."""
        self.url = b""
        self.headers = []
        self._parsing_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Answer from the hot path, or start the application."""
        self._in_head = self._parsing_head = False
        self._head_ended = True
        self._head_bytes = self._body_bytes = 0
        if not self._refused and self._is_head_too_long():
            self._refuse(431, b"the request line and headers are too long")
        if self._refused:
            self._answered = True
            return
        if self._answer_now():
            self._answered = True
            return
        self._since = self.loop.time()
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url, self.headers = url, headers
        self.scope["headers"] = headers
        if self.parser.should_upgrade() and not self._end_with_this_request():
            return
        if self.transport.get_extra_info("sslcontext") is None:
            self.scope["extensions"] = {ZERO_COPY: {}}
        self.expect_100_continue = (b"expect", b"100-continue") in headers
        super().on_headers_complete()
        if type(self.cycle) is httptools_impl.RequestResponseCycle:
            self.cycle.__class__ = Cycle
            cast("Cycle", self.cycle).stall_s = self.limits.stall_s
            self.cycle.keep_alive = self.cycle.keep_alive and not self._refused

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of a body; a request that was answered already has none."""
        self._body_bytes += len(body)
        if not self._answered:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of a request."""
        self._in_head = True
        if self._answered:
            self._answered = False
            self._since = self.loop.time()
        else:
            super().on_message_complete()

    def pause_writing(self) -> None:
        """Note since when the client takes nothing."""
        self._write_paused_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the client takes bytes again."""
        self._write_paused_since = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, without writing into an answer that has begun."""
        self._refuse(400, msg.encode("ascii", "replace"))

    def _unsupported_upgrade_warning(self) -> None:
        """Keep silent: clients that can speak HTTP/2 ask by default, and lose nothing."""

    def _end_with_this_request(self) -> bool:
        """
        Take a request that also asks for another protocol as the last one of its connection; False when it is refused.

        We speak no other protocol, and the parser stops behind the head: what follows cannot be read, neither a body nor
        another request. Spec: RFC 9110 section 7.8: "A server MAY ignore a received Upgrade header field".
        """
        names = dict(self.headers)
        if names.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in names:
            self._refuse(400, b"a request that asks for another protocol (`Upgrade`) cannot have a body here")
            self._answered = True
            return False
        self._refused = True
        self.headers.append((b"connection", b"close"))  # with which the answer says so too
        return True

    # -- limits ----------------------------------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """Cut the connection when it costs more than it may; called about once a second."""
        if self.transport.is_closing():
            return
        limits, waited = self.limits, now - self._since
        if self._write_paused_since is not None:
            if now - self._write_paused_since > limits.stall_s:
                self.transport.abort()
        elif self._in_head:
            self._check_between(waited)
        elif not self._answered and self.cycle.more_body and not self.flow.read_paused:
            too_slow = self._body_bytes < (waited - limits.stall_s) * limits.body_bytes_per_s
            if too_slow or (self._body_bytes == 0 and waited > limits.stall_s):
                self._refuse(408, b"the request body came too slowly")

    def _check_between(self, waited: float) -> None:
        """Cut a head that does not end, or a connection on which nothing happens."""
        if self.cycle is not None and not self.cycle.response_complete:
            return
        if self._parsing_head:
            if waited > self.limits.head_s:
                self._refuse(408, b"the request head came too slowly")
        elif self.timeout_keep_alive_task is None and waited > self.limits.idle_s:
            self.transport.close()

    def _is_head_too_long(self) -> bool:
        """Tell whether a head that is complete is longer than is allowed; most need no counting."""
        if not self._big_piece:
            return False
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > self.limits.head_bytes

    def _refuse(self, status: int, text: bytes) -> None:
        """Answer in the name of HTTP itself and close; an application under way is told that its client left."""
        if self.transport.is_closing():
            return
        self._refused = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:
                # The fault is behind a request that is whole. That one, and those before it, get their answers; a refusal
                # now would be taken for the answer to the first of them.
                cycle.keep_alive = False
                return
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started or self.pipeline:
                self.transport.abort()
                return
            if cycle.scope["method"] == "HEAD":
                text = b""
        head = joined([*self.server_state.default_headers, (b"content-type", b"text/plain; charset=utf-8")])
        length = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(text)
        self.transport.write(STATUS_LINE[status] + head + length + text)
        self.transport.close()

    # -- the hot path ----------------------------------------------------------------------------------------------

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
        if isinstance(body, bytes):
            self.transport.write(start + body)
        else:
            self._write_large(start, body)
        self.server_state.total_requests += 1
        return True

    def _write_large(self, start: bytes, body: LargeBody) -> None:
        """Send what the socket takes at once, without a copy if nothing is before it; the transport sends the rest."""
        transport, taken = self.transport, 0
        is_free = not transport.get_write_buffer_size() and not transport.is_closing()
        if is_free and transport.get_extra_info("sslcontext") is None:
            taken = body.send(transport.get_extra_info("socket").fileno(), start)
        if taken < len(start):
            transport.write(start[taken:])
            taken = len(start)
        rest = memoryview(body.content)[taken - len(start) :]
        if rest:
            transport.write(rest)


def protocol_with(hot: HotPath | None, limits: ConnectionLimits) -> type[WheelyardProtocol]:
    """Return a protocol class with this hot path and these limits; uvicorn makes its instances."""
    own = {"hot": hot, "limits": limits}
    return cast("type[WheelyardProtocol]", type("ConfiguredProtocol", (WheelyardProtocol,), own))
