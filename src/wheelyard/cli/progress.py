"""A progress bar on stderr, where a person watches."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wheelyard.index.doctor import Progress, Size

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


class BarProgress(Progress):
    """
    Shows how far something is.

    Args:
        bar: What draws it.
        verb: What is done, for the line.
    """

    def __init__(self, bar: Bar, verb: str) -> None:
        self._bar = bar
        self._verb = verb
        self._task: TaskID | None = None
        self._counts_bytes = True

    def begin(self, what: str, size: Size) -> None:
        """Begin a line for an index; without bytes to read it counts projects."""
        self._counts_bytes = size.bytes > 0
        total = size.bytes if self._counts_bytes else size.projects
        self._task = self._bar.add_task(f"{self._verb} {what}", total=total, project="")

    def at(self, project: str) -> None:
        """Name the project that is next."""
        if self._task is not None:
            self._bar.update(self._task, project=project, advance=0 if self._counts_bytes else 1)

    def advance(self, size: int) -> None:
        """Count bytes."""
        if self._task is not None and self._counts_bytes:
            self._bar.update(self._task, advance=size)


@contextmanager
def progress(verb: str) -> Iterator[Progress]:
    """Show a bar while the block runs, if stderr is a terminal."""
    if not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console  # noqa: PLC0415  only where a person watches
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415  as above
    from rich.progress import Progress as Bar  # noqa: PLC0415  as above

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[project]}", markup=False),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        yield BarProgress(bar, verb)
