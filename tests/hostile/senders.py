"""Sending what no client sends, and looking at what it did to the server."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from connections.wire import Wire, basic
from plugins.live import LiveServer
from wheelyard.testing.builders import SdistBuilder, WheelBuilder, form_fields, multipart_body

MIB = 1024 * 1024


@dataclass(frozen=True)
class Refusal:
    """
    How an upload was refused.

    Attributes:
        status: 0 when the connection was closed without an answer.
        text: Reason phrase and body.
        seconds: From the last byte sent to the answer.
    """

    status: int
    text: str
    seconds: float


def connect(server: LiveServer) -> Wire:
    host, _, port = server.host.rpartition(":")
    return Wire(host, int(port))


def head(server: LiveServer, *lines: str, path: str = "/legacy/") -> str:
    """Write the head of an upload by somebody who may upload."""
    own = (
        f"POST {path} HTTP/1.1",
        f"Host: {server.host}",
        f"Authorization: {basic(server.index, server.write_secret)}",
    )
    return "\r\n".join((*own, *lines, "", ""))


def form_of(builder: WheelBuilder | SdistBuilder, folder: Path, **fields: object) -> tuple[str, bytes]:
    """Fill in the form that uploads a file; returns content type and body."""
    path = builder.build(folder)
    return multipart_body(form_fields(path, **fields), path.name, path.read_bytes())  # type: ignore[arg-type]


def send(server: LiveServer, content_type: str, body: bytes) -> Refusal:
    """Send one whole upload on a connection of its own."""
    return say(server, head(server, f"Content-Type: {content_type}", f"Content-Length: {len(body)}"), body)


def say(server: LiveServer, *pieces: str | bytes, then_leave: bool = False) -> Refusal:
    """
    Say something on a connection of its own, and wait for what comes of it.

    Args:
        server: Who is told.
        pieces: What is said.
        then_leave: Say that nothing more will come, as a client does whose program ended.
    """
    wire = connect(server)
    try:
        try:
            for piece in pieces:
                wire.say(piece)
            if then_leave:
                wire.socket.shutdown(1)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before everything was said; the answer may be there all the same
        start = time.monotonic()
        try:
            status, reason, _, body = wire.answer()
        except EOFError:
            return Refusal(0, "", time.monotonic() - start)
        return Refusal(status, f"{reason} {body.decode('utf-8', 'replace')}", time.monotonic() - start)
    finally:
        wire.close()


def tree(folder: Path) -> dict[str, str]:
    """Return every path below a folder with the digest of its bytes, but for the server's own books and empty lock files."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not name.startswith("state") and not (path.parent.name == "locks" and path.stat().st_size == 0):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    return found


def processes(server: LiveServer) -> list[int]:
    """Return the ids of the server's process and all below it."""
    found = [server.process.pid]
    for pid in found:
        for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
            found += [int(child) for child in tasks.read_text().split()]
    return found


def _kib(pid: int, what: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{what}:")), 0)


@dataclass
class Memory:
    """How much the server's memory grew at its highest point, in MiB."""

    grown_mib: float = 0.0


@contextmanager
def measured_memory(server: LiveServer) -> Iterator[Memory]:
    """Measure the peak of the server's resident memory while something happens to it; renderers may come and go."""
    before = {}
    for pid in processes(server):
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc(5): resets the peak resident set size
        before[pid] = _kib(pid, "VmRSS")
    memory = Memory()
    yield memory
    for pid, resident in before.items():
        if Path(f"/proc/{pid}").exists():
            memory.grown_mib += max(0, _kib(pid, "VmHWM") - resident) / 1024


def is_published(server: LiveServer, project: str) -> bool:
    return bool(server.listed(project))


def open_file_names(server: LiveServer) -> list[str]:
    """Return what the server has open below its own folder: what is unlinked and open still takes space."""
    names = []
    for pid in processes(server):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                name = str(link.readlink())
            except FileNotFoundError:
                continue
            if name.startswith(str(server.root)) and not name.startswith(str(server.root / "state")):
                names.append(name)
    return sorted(names)


def chunked(body: bytes, size: int) -> bytes:
    """Write a body in chunks of a size."""
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def with_headers(headers: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{name}: {value}" for name, value in headers.items())
