"""
Our HTTP protocol class for uvicorn.

It adds one thing that ASGI cannot say: the reason phrase of a status line, which is all that twine shows its users.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from wheelyard.server.answers import REASON_KEY
from wheelyard.server.asgi import Message


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
    """One request and its response, with the application's own reason phrase."""

    async def send(self, message: Message) -> None:  # type: ignore[override]  # uvicorn's message types are its own
        """Send one ASGI message."""
        reason = message.get(REASON_KEY) if message["type"] == "http.response.start" else None
        if not reason:
            await super().send(message)  # type: ignore[arg-type]
            return
        status = message["status"]
        transport = self.transport
        status_line = b"HTTP/1.1 %d %s\r\n" % (status, reason)
        self.transport = _ReasonTransport(transport, STATUS_LINE[status], status_line)  # type: ignore[assignment]
        try:
            await super().send(message)  # type: ignore[arg-type]
        finally:
            self.transport = transport


class WheelyardProtocol(HttpToolsProtocol):
    """HTTP/1.1 by httptools, as uvicorn has it, with our response cycle."""

    def on_headers_complete(self) -> None:
        """Start the response to a request whose head has arrived."""
        super().on_headers_complete()
        if type(self.cycle) is httptools_impl.RequestResponseCycle:
            self.cycle.__class__ = Cycle
