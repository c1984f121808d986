"""`--debug`: each request and its answer on the terminal, with secrets masked."""

from __future__ import annotations

import sys
from typing import TextIO

from wheelyard.server.asgi import ASGIApp, Message, Receive, Scope, Send

_SECRET = frozenset({b"authorization", b"cookie", b"set-cookie", b"proxy-authorization"})
_SHOWN_BYTES = 2000  # start of a textual answer body


class Debugging:
    """
    Shows requests and answers.

    Args:
        app: The application behind.
        out: Where they are shown; standard error when None.
    """

    def __init__(self, app: ASGIApp, out: TextIO | None = None) -> None:
        self._app = app
        self._out = out

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        query = scope.get("query_string", b"")
        path = (scope.get("raw_path") or scope["path"].encode()) + (b"?" + query if query else b"")
        self._show(f"==== REQUEST {scope['method']} {path.decode('latin-1')}", scope["headers"])

        textual = False

        async def shown(message: Message) -> None:
            nonlocal textual
            if message["type"] == "http.response.start":
                self._show(f"==== ANSWER {message['status']}", message["headers"])
                textual = _is_textual(message["headers"])
            elif textual and (body := message.get("body", b"")):
                self._print(body[:_SHOWN_BYTES].decode("utf-8", "replace"))
                textual = False
            await send(message)

        await self._app(scope, receive, shown)

    def _show(self, line: str, headers: list[tuple[bytes, bytes]]) -> None:
        lines = [line]
        for name, value in headers:
            text = _masked(name, value).decode("latin-1")
            lines.append(f"{name.decode('latin-1')}: {text}")
        self._print("\n".join(lines) + "\n")

    def _print(self, text: str) -> None:
        # A sender must not be able to write over the terminal of who looks.
        clean = "".join(each if each.isprintable() or each in "\n\t" else "\N{REPLACEMENT CHARACTER}" for each in text)
        print(clean, file=self._out or sys.stderr, flush=True)


def _is_textual(headers: list[tuple[bytes, bytes]]) -> bool:
    by_name = dict(headers)
    kind = by_name.get(b"content-type", b"")
    return b"content-encoding" not in by_name and (b"text" in kind or b"json" in kind)


def _masked(name: bytes, value: bytes) -> bytes:
    if name not in _SECRET:
        return value
    scheme, space, _ = value.partition(b" ")
    return scheme + space + b"***" if name.endswith(b"authorization") and space else b"***"
