"""What commands share that ask upstreams themselves, without a server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import click

extra_index_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--extra-index-url",
    metavar="URL",
    help="As the server is told it, when that is by flag and not in its configuration; '' for none.",
)
"""Adds `--extra-index-url`, which `upstream_overrides` takes."""


def upstream_overrides(extra_index_url: str | None) -> Mapping[str, object]:
    """Return what `load_settings` is to put in place of the configuration."""
    return {} if extra_index_url is None else {"extra_index_url": extra_index_url}


def quiet_log() -> None:
    """
    Send warnings of upstreams to standard error as plain lines, and none of each attempt.

    Standard output belongs to the command: structlog would write there unless told otherwise.
    """
    import structlog  # noqa: PLC0415  not for --help
    from stamina.instrumentation import set_on_retry_hooks  # noqa: PLC0415  as above

    set_on_retry_hooks([])
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.dev.ConsoleRenderer(colors=False)],
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
