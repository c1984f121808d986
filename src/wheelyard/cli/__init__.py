"""
The command line: one module per command, loaded when it is named.

Rule 1: importing this package, and `--help`, costs nothing of the server's parts; a test counts the modules.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """
    Run one command and end the program with its exit code.

    Args:
        argv: Program name and arguments; those of this process when None.
    Raises:
        SystemExit: Always; 0 when done, 1 when it failed, 2 when it was asked wrongly or the configuration is wrong.
    """
    from wheelyard.cli.dispatch import run  # noqa: PLC0415  so that `import wheelyard.cli` stays free

    sys.exit(run(sys.argv if argv is None else argv))
