"""
Uploads: how many a second over kept connections, and how soon the page shows one.

The client is one loop over raw sockets with bodies made beforehand, so that the server is what is measured.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.distributions import Made, make_wheel
from benchmarks.place import BenchError
from benchmarks.running import Subject
from benchmarks.web import HTML, JSON, Connection
from wheelyard.testing.builders import multipart_body

_BOUNDARY = "a4c1f0b2d3e5968778695e4d3c2b1a00"
_RECEIVE_BYTES = 65536
_TIMEOUT_S = 30.0
_SHOWN_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Form:
    """
    One upload, ready to be sent.

    Attributes:
        project: Whose file it is.
        filename: Its name.
        request: Head and body as they go over the wire.
    """

    project: str
    filename: str
    request: bytes


@dataclass(frozen=True, slots=True)
class Door:
    """
    Where a server takes uploads.

    Attributes:
        origin: Scheme, host and port.
        path: Request target.
        headers: Besides those of the form; credentials among them.
    """

    origin: str
    path: str
    headers: Mapping[str, str]


def forms(door: Door, *, prefix: str, projects: int, each: int) -> list[Form]:
    """Make forms of small wheels: `each` releases of `projects` projects, one project after the other in turn."""
    return [
        form_of(door, f"{prefix}-{number:04d}", make_wheel(f"{prefix}-{number:04d}", f"{release}.0", size=1024))
        for release in range(1, each + 1)
        for number in range(projects)
    ]


def form_of(door: Door, project: str, made: Made) -> Form:
    """Make the form of one file, with the fields that clients send."""
    entry = made.entry()
    fields = {
        ":action": ["file_upload"],
        "protocol_version": ["1"],
        "metadata_version": ["2.4"],
        "name": [project],
        "version": [made.version],
        "filetype": [made.kind],
        "pyversion": ["py3" if made.kind == "bdist_wheel" else "source"],
        "requires_python": [">=3.8"],
        "summary": ["A project that exists to be measured"],
        "sha256_digest": [entry.hashes["sha256"]],
        "md5_digest": [str(entry.private["_md5"])],
    }
    content_type, body = multipart_body(fields, made.filename, made.content, boundary=_BOUNDARY)
    lines = [f"POST {door.path} HTTP/1.1", "Host: localhost", f"Content-Type: {content_type}"]
    lines += [f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in door.headers.items())]
    return Form(project, made.filename, "\r\n".join([*lines, "", ""]).encode() + body)


def upload_all(door: Door, waiting: Sequence[Form], *, clients: int, seconds: float) -> tuple[int, float]:
    """
    Upload as fast as is answered, over `clients` kept connections, for some seconds or until no form is left.

    Returns:
        How many were acknowledged, and in how many seconds.
    Raises:
        BenchError: One was refused.
    """
    selector = selectors.DefaultSelector()
    left = iter(waiting)
    sent = done = 0
    began = time.perf_counter()
    try:
        for _ in range(clients):
            client = _Client(door)
            selector.register(client.socket, selectors.EVENT_READ, client)
            sent += client.send_next(left)
        while sent > done:
            ready = selector.select(_TIMEOUT_S)
            if not ready:
                raise BenchError(f"no answer to an upload within {_TIMEOUT_S:.0f} s")
            for key, _ in ready:
                if not key.data.receive():
                    continue
                done += 1
                client = key.data
                more = time.perf_counter() - began < seconds
                if client.closed:
                    selector.unregister(client.socket)
                    client.socket.close()
                    if more:  # an idle connection would keep a server that takes one at a time from everybody else
                        client.connect()
                        selector.register(client.socket, selectors.EVENT_READ, client)
                if more:
                    sent += client.send_next(left)
        return done, time.perf_counter() - began
    finally:
        for key in list(selector.get_map().values()):
            key.data.socket.close()
        selector.close()


def shown_after_s(door: Door, subject: Subject, waiting: Sequence[Form]) -> Iterator[float]:
    """
    Yield for each upload the seconds from its answer until the page lists the file.

    Raises:
        BenchError: It never did.
    """
    representation = "json" if subject.origin("json") else "html"
    headers = {**subject.headers, "Accept": JSON if representation == "json" else HTML}
    with Connection(subject.origin(representation) or "") as connection:
        for form in waiting:
            path, name = subject.page(form.project), form.filename.encode()
            connection.get(path, headers)  # the connection is open, and the page as it was is ready
            client = _Client(door)
            client.send_next(iter([form]))
            while not client.receive():
                pass
            began = time.perf_counter()
            while name not in connection.get(path, headers).body:
                if time.perf_counter() - began > _SHOWN_LIMIT_S:
                    raise BenchError(f"a file is not shown {_SHOWN_LIMIT_S:.0f} s after its upload")
            shown = time.perf_counter() - began
            client.socket.close()
            yield shown


class _Client:
    """One kept connection with one request at a time."""

    def __init__(self, door: Door) -> None:
        self.closed = False
        self._door = door
        self._answer = b""
        self._asked = ""
        self.connect()

    def connect(self) -> None:
        """Connect, also again after the server closed the connection."""
        parts = urlsplit(self._door.origin)
        self.socket = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.closed = False

    def send_next(self, left: Iterator[Form]) -> int:
        """Send the next form, if there is one; return how many were sent."""
        form = next(left, None)
        if form is None:
            return 0
        self._asked = form.filename
        self.socket.sendall(form.request)
        return 1

    def receive(self) -> bool:
        """
        Take what has come; return whether the answer is complete.

        Raises:
            BenchError: The upload was refused.
        """
        piece = self.socket.recv(_RECEIVE_BYTES)
        self._answer += piece
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if piece and not (end and _is_whole(head, body)):
            return False
        status = head.split(b"\r\n")[0]
        if b" 200 " not in status + b" ":
            raise BenchError(f"the upload of '{self._asked}' is answered with {self._answer[:300]!r}")
        self.closed = not piece or status.startswith(b"HTTP/1.0") or b"connection: close" in head.lower()
        self._answer = b""
        return True


def _is_whole(head: bytes, body: bytes) -> bool:
    """Tell whether a body is complete; one without a length ends with the connection."""
    for line in head.lower().split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return len(body) >= int(value)
        if name == b"transfer-encoding" and b"chunked" in value:
            return body.endswith(b"0\r\n\r\n")
    return False
