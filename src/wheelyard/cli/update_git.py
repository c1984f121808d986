"""`wheelyard update_index git NAME`: look for new tags in all repositories of an index, now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from wheelyard.settings import IndexSettings, Settings


async def update_git(settings: Settings, index: IndexSettings) -> int:
    """
    Publish what is new, say what went wrong; 0 when nothing did, else 1. A running server sees it at once.

    Args:
        settings: What the server is told.
        index: The index; its type is `git`.
    Returns:
        The exit code.
    """
    from wheelyard.compose import open_index  # noqa: PLC0415  every part of the server: not for --help
    from wheelyard.compose.git_sources import refresh_once  # noqa: PLC0415  as above

    async with open_index(settings, index.name) as hosted:
        report = await refresh_once(index, hosted, click.echo)
    for trouble in report.troubles:
        click.echo(f"trouble: {trouble.line}", err=True)
    count = len(report.troubles)
    click.echo(
        f"index '{index.name}': {report.repositories} repositories looked at, {len(report.added)} files added, "
        f"{count} trouble{'' if count == 1 else 's'}"
    )
    return 1 if count else 0
