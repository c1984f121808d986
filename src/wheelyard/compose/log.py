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


_SERVERS = ("uvicorn", "granian", "_granian")


def configure_log(level: str, *, out: TextIO = sys.stderr) -> None:
    """
    Send log lines to standard error: for people on a terminal, as JSON elsewhere; never with local variables.

    What libraries say goes the same way, in the same form. Of the HTTP servers at the level that is asked for; of all
    others warnings only, whatever is asked for: HTTP clients tell each URL, with its signature, and some every header.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if out.isatty():
        render: list[structlog.typing.Processor] = [
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        ]
    else:
        render = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    text = cast("TextIO", _UnfailingText(out))
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(text),
    )
    handler = logging.StreamHandler(text)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler])
    for name in _SERVERS:
        logging.getLogger(name).setLevel(number)
