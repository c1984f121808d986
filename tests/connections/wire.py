"""A client that says exactly what it is told to say."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WAIT_S = 15.0  # longest wait for an answer; everything tested here is much faster


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Wire:
    """One TCP connection."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port), timeout=WAIT_S)
        self.left = b""

    def say(self, content: bytes | str) -> None:
        self.socket.sendall(content.encode("latin-1") if isinstance(content, str) else content)

    def more(self) -> bytes:
        """Return what comes next, b"" at the end."""
        try:
            return self.socket.recv(65536)
        except ConnectionResetError:
            return b""

    def answer(self, *, head: bool = False) -> tuple[int, str, dict[str, str], bytes]:
        """Read one answer: status, reason, headers, body."""
        while b"\r\n\r\n" not in self.left:
            piece = self.more()
            if not piece:
                raise EOFError(self.left)
            self.left += piece
        start, _, self.left = self.left.partition(b"\r\n\r\n")
        lines = start.decode("latin-1").split("\r\n")
        _, status, reason = lines[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = 0 if head or status in {"204", "304"} else int(headers.get("content-length", "0"))
        while len(self.left) < length:
            piece = self.more()
            if not piece:
                raise EOFError(self.left)
            self.left += piece
        body, self.left = self.left[:length], self.left[length:]
        return int(status), reason, headers, body

    def ended(self, within_s: float = WAIT_S) -> bool:
        """Tell whether the server closes the connection in time; whatever it still says is kept."""
        deadline = time.monotonic() + within_s
        while (left_s := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left_s)
            try:
                piece = self.more()
            except TimeoutError:
                return False
            if not piece:
                return True
            self.left += piece
        return False

    def close(self) -> None:
        self.socket.close()


@contextmanager
def wires(host: str, port: int, count: int) -> Iterator[list[Wire]]:
    opened = [Wire(host, port) for _ in range(count)]
    try:
        yield opened
    finally:
        for each in opened:
            each.close()


def resident_kib(pid: int) -> int:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
