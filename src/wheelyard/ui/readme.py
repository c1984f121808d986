"""
Descriptions, rendered once and remembered.

Rendering runs other people's text through parsers that were not made for attackers, so it runs in one process of its own, which is
killed when it takes too long; the description is then shown as plain text, and the server has noticed nothing.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

import anyio
import anyio.to_thread
import structlog
from markupsafe import Markup

from wheelyard.ui.description import SOURCE_LIMIT, plain_text
from wheelyard.ui.readme_worker import ANSWER, READY, REQUEST

_RENDER_S = 5.0  # ordinary descriptions take a few milliseconds
_START_S = 30.0  # of the process, which imports half a second's worth of libraries on an idle machine
_WAIT_S = 10.0  # for other descriptions to be rendered first
_RETRY_S = 10 * 60  # a description that took too long may have met a busy machine
_REMEMBERED_CHARACTERS = 16 * 1024 * 1024  # of HTML: some thousand descriptions
# What Python needs to find itself. No more: the process reads hostile text, and the environment may hold secrets.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LANG", "LC_ALL")

_Exchange = Callable[[IO[bytes], IO[bytes]], bytes]

_log = structlog.get_logger(__name__)


class _NoAnswer(Exception):
    """
    The rendering process ended before it answered.

    Attributes:
        killed: Whether its time was over; else it ended by itself.
    """

    def __init__(self, *, killed: bool) -> None:
        super().__init__("took too long" if killed else "the rendering process ended")
        self.killed = killed


@dataclass(frozen=True, slots=True)
class _Rendered:
    html: Markup
    until: float | None  # monotonic seconds; None for as long as there is room


class Descriptions:
    """
    Renders descriptions within limits of time, size and memory.

    Args:
        render_s: Longest time for one description, in seconds.
        remember_characters: How much rendered HTML is kept in memory.
    """

    def __init__(self, *, render_s: float = _RENDER_S, remember_characters: int = _REMEMBERED_CHARACTERS) -> None:
        self._render_s = render_s
        self._room = remember_characters
        self._remembered: OrderedDict[bytes, _Rendered] = OrderedDict()
        self._worker: _Worker | None = None
        self._one_at_a_time = anyio.CapacityLimiter(1)

    async def render(self, text: str, content_type: str | None) -> Markup:
        """
        Return a description as harmless HTML; as plain text when it cannot be rendered in time.

        Args:
            text: The description.
            content_type: As in core metadata; None when it has none.
        """
        if len(text) > SOURCE_LIMIT or not text.strip():
            return plain_text(text)
        key = _digest(text, content_type)
        with anyio.move_on_after(_WAIT_S):
            async with self._one_at_a_time:
                # Looked up under the limiter: the one before us may have rendered the same.
                return self._find(key) or await self._render(key, text, content_type)
        return plain_text(text)

    def remembered(self, text: str, content_type: str | None) -> Markup | None:
        """Return the HTML of a description that was rendered before, without waiting."""
        return self._find(_digest(text, content_type))

    async def close(self) -> None:
        """End the process; a later `render` starts a new one."""
        async with self._one_at_a_time:
            await anyio.to_thread.run_sync(self._stop)

    def _find(self, key: bytes) -> Markup | None:
        rendered = self._remembered.get(key)
        if rendered is None or (rendered.until is not None and time.monotonic() >= rendered.until):
            return None
        self._remembered.move_to_end(key)
        return rendered.html

    async def _render(self, key: bytes, text: str, content_type: str | None) -> Markup:
        try:
            rendered = _Rendered(await anyio.to_thread.run_sync(self._ask, text, content_type), None)
        except (_NoAnswer, OSError) as error:
            _log.warning("description could not be rendered", why=str(error), digest=key.hex())
            rendered = _Rendered(plain_text(text), time.monotonic() + _RETRY_S)
        self._remember(key, rendered)
        return rendered.html

    def _remember(self, key: bytes, rendered: _Rendered) -> None:
        previous = self._remembered.pop(key, None)
        self._room += len(previous.html) if previous else 0
        self._remembered[key] = rendered
        self._room -= len(rendered.html)
        while self._room < 0:
            _, dropped = self._remembered.popitem(last=False)
            self._room += len(dropped.html)

    def _ask(self, text: str, content_type: str | None) -> Markup:
        """Ask the process, in a thread; start it where needed, kill it when it is late."""
        try:
            if self._worker is not None:
                return self._worker.render(text, content_type, limit_s=self._render_s)
        except _NoAnswer as late:
            self._stop()
            if late.killed:
                raise
            # It ended by itself in this moment, having been idle for long enough.
        try:
            self._worker = _Worker()
            return self._worker.render(text, content_type, limit_s=self._render_s)
        except _NoAnswer:
            self._stop()
            raise

    def _stop(self) -> None:
        if self._worker is not None:
            self._worker.stop()
        self._worker = None


class _Worker:
    """The rendering process, from outside; every method blocks."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "wheelyard.ui.readme_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            # Ctrl-C is for the server, which closes this process's input when it ends.
            start_new_session=True,
        )
        self._ready = False

    def render(self, text: str, content_type: str | None, *, limit_s: float) -> Markup:
        """
        Have one description rendered.

        Raises:
            _NoAnswer: The process is of no further use; stop it.
        """
        if not self._ready:
            self._within(_START_S, lambda _, source: _read(source, len(READY)))
            self._ready = True
        kind = (content_type or "").encode("utf-8", "replace")
        body = text.encode("utf-8", "replace")

        def exchange(sink: IO[bytes], source: IO[bytes]) -> bytes:
            sink.write(REQUEST.pack(len(kind), len(body)) + kind + body)
            sink.flush()
            (length,) = ANSWER.unpack(_read(source, ANSWER.size))
            return _read(source, length)

        return Markup(self._within(limit_s, exchange).decode())  # noqa: S704 - `clean_html` ran in the process

    def stop(self) -> None:
        """End the process and forget it."""
        self._process.kill()
        # What was not sent is not sent any more.
        with suppress(BrokenPipeError):
            self._process.communicate()

    def _within(self, limit_s: float, action: _Exchange) -> bytes:
        """Do `action` on the two pipes; the end of the process, by itself or at the limit, ends it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        killer = threading.Timer(limit_s, self._process.kill)
        killer.start()
        try:
            return action(self._process.stdin, self._process.stdout)
        except (EOFError, BrokenPipeError) as error:
            raise _NoAnswer(killed=killer.finished.is_set()) from error
        finally:
            killer.cancel()


def _read(source: IO[bytes], length: int) -> bytes:
    content = source.read(length)
    if len(content) < length:
        raise EOFError
    return content


def _digest(text: str, content_type: str | None) -> bytes:
    content = f"{content_type}\0{text}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(content).digest()
