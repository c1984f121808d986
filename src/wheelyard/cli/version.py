"""`wheelyard version`: print the version."""

from __future__ import annotations

import click

from wheelyard import __version__
from wheelyard.cli.flags import examples, flag_command


@flag_command(epilog=examples("wheelyard version"))
def command() -> None:
    """Print the version of Wheelyard."""
    click.echo(f"wheelyard {__version__}")
