"""Requests and answers on real sockets: one listener for each of GitHub's hosts, a thread for each connection."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, urlsplit

JSON = "application/json; charset=utf-8"
DOCUMENTATION = "https://docs.github.com/rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    One request.

    Attributes:
        method: As sent.
        body: Whole.
        host: Which of the hosts was asked: `api`, `uploads` or `assets`.
        path: As sent, still percent-encoded, without the query.
        query: Decoded; the last of equal names.
        headers: By lower-case name.
    """

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def accept(self) -> str:
        """What the client wants to get."""
        return self.headers.get("accept", "*/*")


@dataclass(slots=True, kw_only=True)
class Answer:
    """
    One answer.

    Attributes:
        status: Of HTTP.
        headers: By lower-case name; the length is added.
        body: Whole.
        value: What JSON bodies are made of; kept for checking.
        cut_after: So many bytes of the body are sent, then the connection is cut; None sends all.
        drop: The connection is cut before any byte is sent.
        delay_s: How long to wait before.
        etag: The entity tag when it is not made from body and token.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    value: object = None
    cut_after: int | None = None
    drop: bool = False
    delay_s: float = 0
    etag: str | None = None


class Refused(Exception):
    """What is asked is not done; carries GitHub's own words."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        errors: list[dict[str, str]] | list[str] | None = None,
        headers: Mapping[str, str] | None = None,
        documentation: str = DOCUMENTATION,
    ) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message
        self.errors = errors
        self.headers = dict(headers or {})
        self.documentation = documentation

    def answer(self) -> Answer:
        """As sent."""
        value: dict[str, object] = {"message": self.message}
        if self.errors is not None:
            value["errors"] = self.errors
        value["documentation_url"] = self.documentation
        if self.status != HTTPStatus.UNPROCESSABLE_ENTITY:  # the description has it in all others
            value["status"] = str(self.status)
        return json_answer(value, status=self.status, headers=self.headers)


def json_answer(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON answer."""
    body = json.dumps(value, separators=(",", ":")).encode()
    return Answer(status=status, headers={"content-type": JSON, **(headers or {})}, body=body, value=value)


def not_found() -> Refused:
    """GitHub's answer for what is not there and for what the caller may not see."""
    return Refused(404, "Not Found")


class Listener(socketserver.ThreadingMixIn, HTTPServer):
    """
    One host on a port of its own.

    Args:
        host: What its requests are marked with.
        handle: Answers one request; called in the connection's thread.
        port: 0 for a free one.
    """

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, host: str, handle: Callable[[Request], Answer], *, port: int = 0) -> None:
        self.host = host
        self.handle_request_of = handle
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Connection)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def server_bind(self) -> None:
        """Bind without asking any name server for this machine's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Cut every connection and give the port back."""
        self.shutdown()
        self.socket.close()
        with self._open_lock:
            for connection in self._open:
                _cut(connection)
        self.server_close()
        self._thread.join()

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Remember the connection, so that stopping does not wait for its client."""
        assert isinstance(request, socket.socket)
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Forget the connection."""
        assert isinstance(request, socket.socket)
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away in the middle are no news."""


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):  # its client was quicker
        connection.shutdown(socket.SHUT_RDWR)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: calls are recorded."""

    def handle(self) -> None:
        with suppress(ConnectionError, TimeoutError):  # the client went away, or we stopped
            super().handle()

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        length = self.headers.get("content-length")
        body = self._chunked() if length is None else self.rfile.read(int(length))
        request = Request(
            method=self.command,
            host=self.server.host,
            path=parts.path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
        )
        self._send(self.server.handle_request_of(request))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815  the standard library's names

    def _chunked(self) -> bytes:
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return b""
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(pieces)

    def _send(self, answer: Answer) -> None:
        if answer.drop:
            self._hang_up()
            return
        head = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
        headers = {"server": "github.com", "date": self.date_time_string(), **answer.headers}
        if answer.status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            headers["content-length"] = str(len(answer.body))
        head += [f"{name}: {value}" for name, value in headers.items()]
        body = b"" if self.command == "HEAD" else answer.body
        self.wfile.write("\r\n".join([*head, "", ""]).encode("latin-1") + body[: answer.cut_after])
        if answer.cut_after is not None:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        _cut(self.connection)
