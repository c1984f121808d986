"""The few types of ASGI that are used here, and the body of a request as a stream. Spec: ASGI 3."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from wheelyard.errors import ClientGone, RequestTooLarge

# ASGI messages are dictionaries of anything; they are taken apart at this border.
Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


async def body_of(receive: Receive) -> AsyncIterator[bytes]:
    """
    Stream the body of a request.

    Raises:
        ClientGone: The client left before the end.
    """
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        if piece := message.get("body", b""):
            yield piece
        more = message.get("more_body", False)


async def small_body(receive: Receive, *, limit_bytes: int) -> bytes:
    """
    Read a whole body.

    Raises:
        RequestTooLarge: It is longer than `limit_bytes`; the rest is not read.
        ClientGone: The client left before the end.
    """
    body = bytearray()
    async for piece in body_of(receive):
        body += piece
        if len(body) > limit_bytes:
            raise RequestTooLarge("the request body", limit_bytes=limit_bytes)
    return bytes(body)
