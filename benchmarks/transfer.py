"""One large file over a few connections: bytes per second into nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from benchmarks.place import BenchError

_BUFFER_BYTES = 1024 * 1024
_TIMEOUT_S = 60.0


def bytes_per_second(origin: str, path: str, headers: Mapping[str, str], *, size: int, connections: int) -> float:
    """
    Fetch a file over several connections at once.

    Raises:
        BenchError: An answer was not the whole file.
    """
    failures: list[str] = []
    ready = threading.Barrier(connections + 1)

    def fetch() -> None:
        try:
            opened = _opened(origin)
        except OSError as error:
            failures.append(str(error))
            ready.abort()
            return
        with opened:
            ready.wait()
            try:
                _fetch(opened, path, headers, size)
            except (OSError, BenchError) as error:
                failures.append(str(error))

    threads = [threading.Thread(target=fetch) for _ in range(connections)]
    for thread in threads:
        thread.start()
    try:
        ready.wait()
    except threading.BrokenBarrierError:
        raise BenchError(failures[0]) from None
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    passed = time.perf_counter() - began
    if failures:
        raise BenchError(failures[0])
    return connections * size / passed


def _opened(origin: str) -> socket.socket:
    parts = urlsplit(origin)
    return socket.create_connection((parts.hostname or "", parts.port or 80), timeout=_TIMEOUT_S)


def _fetch(opened: socket.socket, path: str, headers: Mapping[str, str], size: int) -> None:
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
    opened.sendall("\r\n".join([*lines, "", ""]).encode())
    buffer = bytearray(_BUFFER_BYTES)
    head = b""
    while b"\r\n\r\n" not in head:
        piece = opened.recv(65536)
        if not piece:
            raise BenchError("the connection was closed before an answer")
        head += piece
    head, _, start = head.partition(b"\r\n\r\n")
    if b" 200" not in head.split(b"\r\n")[0]:
        raise BenchError(f"answered with {head.splitlines()[0]!r}")
    received = len(start)
    while received < size:
        count = opened.recv_into(buffer)
        if not count:
            raise BenchError(f"the connection was closed after {received} of {size} bytes")
        received += count
