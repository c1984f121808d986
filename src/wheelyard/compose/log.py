"""The log: for people on a terminal, as JSON elsewhere."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog


class _UnfailingText:
    """
    Where log lines go: what cannot be written is dropped.

    A log on a full disk, or a pipe that nobody reads any more, must not fail the publish that it tells of.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        """Write, or drop."""
        with suppress(OSError):
            self._out.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, or not."""
        with suppress(OSError):
            self._out.flush()


def configure_log(level: str, *, out: TextIO = sys.stderr) -> None:
    """Send log lines to standard error: for people on a terminal, as JSON elsewhere; never with local variables."""
    numbers = logging.getLevelNamesMapping()
    if out.isatty():
        render: list[structlog.typing.Processor] = [
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        ]
    else:
        render = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numbers[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _UnfailingText(out))),
    )
    logging.basicConfig(level=numbers[level.upper()], stream=out, format="%(levelname)s %(name)s: %(message)s")
