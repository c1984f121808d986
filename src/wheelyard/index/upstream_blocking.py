"""
The HTTP client of downloads: the same conversation with an upstream, held in a thread that may block.

A large file in the event loop costs every other request its share of the loop, and itself several times the work: small
pieces, a wake-up for each, and over HTTP/2 every frame in Python. What is asked, checked and followed is the same, so the
same code asks, in an event loop of the thread's own; only the transport below it blocks.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

import httpx2

_READ_BYTES: Final = 1024 * 1024  # asked of a socket at once, where it may have so much


class BlockingTransport(httpx2.AsyncBaseTransport):
    """
    Lets an asynchronous client ask through blocking sockets.

    Any number of threads may use it at once, each with an event loop that nothing else needs. HTTP/1.1 only: HTTP/2 in
    Python takes four times the processor's time for a file, and each file has a connection of its own anyway.

    Args:
        connections: Most connections at once.
    """

    def __init__(self, *, connections: int) -> None:
        self._connections = connections
        self._client: httpx2.Client | None = None
        self._making = threading.Lock()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Ask, and return when the head of the answer is there; blocks."""
        plain = httpx2.Request(request.method, request.url, headers=request.headers.raw, extensions=request.extensions)
        response = self._opened().send(plain, stream=True, auth=None, follow_redirects=False)
        _read_much_at_once(response)
        return httpx2.Response(
            response.status_code,
            headers=response.headers.raw,
            stream=_BlockingBody(response),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close the connections that are idle."""
        with self._making:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _opened(self) -> httpx2.Client:
        """Return the client, made at the first download: it reads the certificates that the machine trusts."""
        with self._making:
            if self._client is None:
                limits = httpx2.Limits(max_connections=self._connections)
                self._client = httpx2.Client(http2=False, limits=limits, headers={})
            return self._client


class _BlockingBody(httpx2.AsyncByteStream):
    """The body of an answer that is read by blocking."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._response.iter_raw():
            yield piece

    async def aclose(self) -> None:
        self._response.close()


def _read_much_at_once(response: httpx2.Response) -> None:
    """
    Let the body of an answer be read in large pieces; measured, they come in at twice the speed of the usual 64 KiB.

    Not through TLS, which gives 16 KiB at a time whatever it is asked for: making room for more costs half its speed.
    """
    stream = response.extensions.get("network_stream")
    if stream is None or "read" in vars(stream) or stream.get_extra_info("ssl_object") is not None:
        return
    read = stream.read
    # The client has no setting for it. Where its streams become other things, they are read as it likes.
    stream.read = lambda max_bytes, timeout=None: read(max(max_bytes, _READ_BYTES), timeout)


def interrupt(response: httpx2.Response) -> None:
    """End the reading of an answer from another thread: whoever waits for its bytes gets an error at once."""
    stream = response.extensions.get("network_stream")
    opened = None if stream is None else stream.get_extra_info("socket")
    if isinstance(opened, socket.socket):
        with suppress(OSError):  # closed already
            # Not a TLS socket's own method, which takes away what the reading thread is using.
            socket.socket.shutdown(opened, socket.SHUT_RDWR)
