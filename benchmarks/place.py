"""Where things are on this machine, and what the benchmark needs from it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
CACHE = REPOSITORY / ".cache" / "bench"
LOCKS = REPOSITORY / "requirements" / "bench"
DOCUMENT = REPOSITORY / "docs" / "performance.md"


class BenchError(Exception):
    """Something cannot be measured; the text says what and why, in one line."""


def tool(name: str) -> str:
    """
    Return the path of a program, beside our interpreter or on the system.

    Raises:
        BenchError: It is not installed.
    """
    found = shutil.which(name, path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    if found is None:
        found = shutil.which(name, path="/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")  # where nginx is on some systems
    if found is None:
        raise BenchError(f"'{name}' is not installed; install it with the system's package manager")
    return found


def machine() -> str:
    """Describe this machine as far as numbers depend on it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}"
