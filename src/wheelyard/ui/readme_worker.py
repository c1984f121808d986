"""
The process that renders descriptions for `ui/readme.py`: one request after the other on its standard input.

A regular expression that never ends holds Python's one lock, so no thread could stop it; a process can be killed.
It has no more memory than it needs, writes no files, gives way to the server, and ends by itself when it is not used.
"""

from __future__ import annotations

import os
import resource
import select
import struct
import sys
from typing import BinaryIO

REQUEST = struct.Struct(">II")
"""Lengths in bytes of the content type and of the text that follow."""

ANSWER = struct.Struct(">I")
"""Length in bytes of the HTML that follows."""

READY = b"\n"
"""Sent once, when everything is imported."""

_IDLE_S = 120.0  # the next request starts a new process
_MEMORY_BYTES = 1024 * 1024 * 1024  # of address space; about 300 MB are taken by libraries


def main() -> None:
    """Answer requests until the input ends or nobody has asked for a while."""
    _limit_self()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    # Nothing a library prints may get between the answers.
    sys.stdout = sys.stderr
    # Loads every library that a description can need, so that a request's time is its own.
    _answer(sink=None, content_type="text/markdown", text="```python\npass\n```")
    _answer(sink=None, content_type="text/x-rst", text=".. code:: python\n\n   pass\n")
    sink.write(READY)
    sink.flush()
    while select.select([source], [], [], _IDLE_S)[0]:
        header = source.read(REQUEST.size)
        if len(header) < REQUEST.size:
            return
        type_length, text_length = REQUEST.unpack(header)
        content_type = source.read(type_length).decode()
        _answer(sink, content_type or None, source.read(text_length).decode())


def _answer(sink: BinaryIO | None, content_type: str | None, text: str) -> None:
    from wheelyard.ui.description import render_description  # noqa: PLC0415 - after the limits are set

    html = render_description(text, content_type).encode()
    if sink is not None:
        sink.write(ANSWER.pack(len(html)) + html)
        sink.flush()


def _limit_self() -> None:
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
