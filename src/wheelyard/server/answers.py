"""
An answer, as a value: made by reading and writing, sent by ASGI or by our own protocol class.

Both ways of sending start from the same value, so that they cannot differ.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from anyio import to_thread

from wheelyard.index.slices import FileSlice
from wheelyard.server.asgi import Message, Scope, Send

Header = tuple[bytes, bytes]

PIECE_BYTES = 256 * 1024  # what one thread hop reads of a file; larger pieces gained nothing and cost memory

ZERO_COPY = "http.response.zerocopysend"
"""ASGI extension by which our protocol class sends files without copying them."""

PATH_SEND = "http.response.pathsend"
"""ASGI extension by which granian sends whole files."""

REASON_KEY = "wheelyard.reason"
"""Key of the ASGI response start message that carries a reason phrase; plain ASGI servers ignore it."""


class ClientLeft(OSError):
    """
    Nobody takes the rest of a body.

    Spec: ASGI 2.4: `send` [on a closed connection] raises a subclass of `OSError`.
    """


@dataclass(frozen=True, slots=True)
class FilePart:
    """`count` bytes of the file at `path` from `offset` on; the whole has `size` bytes."""

    path: Path
    offset: int
    count: int
    size: int


@dataclass(frozen=True, slots=True)
class StreamPart:
    """
    Bytes that come from a store or an upstream.

    Attributes:
        open: Gives them.
        count: How many.
        slices: Gives them too, those that are in a file of this machine as slices of it; None when there are none.
    """

    open: Callable[[], AsyncIterator[bytes]]
    count: int
    slices: Callable[[], AsyncIterator[bytes | FileSlice]] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """
    One HTTP answer.

    Attributes:
        status: Status code.
        headers: Lower-case names; `content-length` included.
        body: What a GET gets; left out for HEAD by whoever sends it.
        reason: Reason phrase in place of the standard one; twine shows its users nothing else.
    """

    status: int
    headers: tuple[Header, ...]
    body: bytes | FilePart | StreamPart = b""
    reason: bytes | None = None

    def with_header(self, name: bytes, value: bytes) -> Answer:
        """Return the answer with one more header."""
        return replace(self, headers=(*self.headers, (name, value)))


def head_of(answer: Answer) -> bytes:
    """Return the headers of an answer as HTTP/1.1 sends them, with the empty line that ends them."""
    return b"".join(b"%b: %b\r\n" % header for header in answer.headers) + b"\r\n"


def plain(status: int, text: str = "", *headers: Header) -> Answer:
    """Make a small plain-text answer."""
    body = text.encode()
    return Answer(
        status,
        ((b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body)), *headers),
        body,
    )


def redirect(status: int, location: str, *headers: Header) -> Answer:
    """Make a redirect; `location` is already percent-encoded."""
    return plain(status, "", (b"location", location.encode("ascii")), *headers)


async def send_answer(answer: Answer, scope: Scope, send: Send) -> None:
    """
    Send an answer through ASGI; the rest of a stream whose client left is neither made nor sent.

    Raises:
        OSError: The file went away or became shorter while it was sent; the connection is then cut.
    """
    start: Message = {"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)}
    if answer.reason is not None:
        start[REASON_KEY] = answer.reason
    head = scope["method"] == "HEAD"
    if head or isinstance(answer.body, bytes):
        await send(start)
        await send({"type": "http.response.body", "body": b"" if head else answer.body})
    elif isinstance(answer.body, FilePart):
        await _send_file(answer.body, start, scope.get("extensions") or {}, send)
    else:
        await _send_stream(answer.body, start, send, zero_copy=ZERO_COPY in (scope.get("extensions") or {}))


async def _send_file(part: FilePart, start: Message, extensions: Mapping[str, object], send: Send) -> None:
    """Send a file by the fastest way the server offers: without copying, by its path, or piece by piece."""
    with await to_thread.run_sync(_open_at, part) as source:
        await send(start)
        if ZERO_COPY in extensions:
            await send({"type": ZERO_COPY, "file": source, "offset": part.offset, "count": part.count})
            return
        if PATH_SEND in extensions and part.count == part.size:
            await send({"type": PATH_SEND, "path": str(part.path)})
            return
        left = part.count
        while left:
            piece = await to_thread.run_sync(source.read, min(PIECE_BYTES, left))
            if not piece:
                raise OSError("a stored file became shorter while it was sent")
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
        if not part.count:
            await send({"type": "http.response.body", "body": b""})


def _open_at(part: FilePart) -> BinaryIO:
    source = part.path.open("rb", buffering=0)
    source.seek(part.offset)
    return source


async def _send_stream(part: StreamPart, start: Message, send: Send, *, zero_copy: bool) -> None:
    # The first piece is fetched before the status is sent: a store that cannot be reached is then still a clean error.
    async with aclosing(_pieces(part, zero_copy=zero_copy)) as pieces:
        first = await anext(pieces, b"")
        try:
            await send(start)
            await send(_message(first))
            async for piece in pieces:
                await send(_message(piece))
        except ClientLeft:
            return
    await send({"type": "http.response.body", "body": b""})


def _message(piece: bytes | FileSlice) -> Message:
    """Make the message that sends a piece with more to come."""
    if isinstance(piece, FileSlice):
        return {"type": ZERO_COPY, "file": piece.file, "offset": piece.offset, "count": piece.count, "more_body": True}
    return {"type": "http.response.body", "body": piece, "more_body": True}


async def _pieces(part: StreamPart, *, zero_copy: bool) -> AsyncGenerator[bytes | FileSlice]:
    pieces: AsyncIterator[bytes | FileSlice] = part.slices() if zero_copy and part.slices is not None else part.open()
    try:
        async for piece in pieces:
            yield piece
    finally:
        # A client that leaves must not keep the store's or the upstream's connection open.
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()
