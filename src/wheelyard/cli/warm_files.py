"""What `wheelyard warm` is told to fetch: lock files, and the files that they name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from wheelyard.protocol.pinned import Pin, constrained, read_pins


@dataclass(slots=True)
class Wanted:
    """
    Everything that files on a command line say.

    Attributes:
        pins: What is needed, each once, with the constraints of all files.
        passed_over: Lines that name nothing of an index, for people.
    """

    pins: tuple[Pin, ...] = ()
    passed_over: list[str] = field(default_factory=list)
    _needed: list[Pin] = field(default_factory=list)
    _constraints: list[Pin] = field(default_factory=list)
    _seen: set[tuple[Path, bool]] = field(default_factory=set)

    @classmethod
    def of(cls, paths: Sequence[str]) -> Wanted:
        """
        Read files, and those that they name.

        Raises:
            click.UsageError: One cannot be read.
            InvalidDocument: One is not of the format that its name tells.
        """
        wanted = cls()
        for path in paths:
            wanted._read(Path(path).expanduser(), constrains=False, named_by=None)
        wanted.pins = tuple(dict.fromkeys(constrained(wanted._needed, wanted._constraints)))
        return wanted

    def _read(self, path: Path, *, constrains: bool, named_by: Path | None) -> None:
        seen = (path.resolve(), constrains)
        if seen in self._seen:  # files may name each other
            return
        self._seen.add(seen)
        found = read_pins(path.name, _content(path, named_by))
        self.passed_over += found.passed_over
        (self._constraints if constrains else self._needed).extend(found.pins)
        for further in found.further:
            # As pip does: relative to the file that names it, and all below a constraint is one.
            self._read(path.parent / further.path, constrains=constrains or further.constrains, named_by=path)


def _content(path: Path, named_by: Path | None) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        by = "" if named_by is None else f", which '{named_by}' names,"
        raise click.UsageError(f"'{path}'{by} cannot be read: {error.strerror or error}") from error
