"""Mistakes of a configuration: collected, then told all at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from wheelyard.errors import ConfigError, shown


@dataclass(slots=True)
class Mistakes:
    """
    What is wrong, and what is only odd.

    Attributes:
        found: Mistakes, one line each; any of them keeps the server from starting.
        warnings: What the administrator should know, one line each.
    """

    found: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def raise_if_any(self) -> None:
        """
        Stop when there are mistakes.

        Raises:
            ConfigError: Lists all of them.
        """
        if self.found:
            raise ConfigError(self.found)


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where in which file; starts the line that tells of a mistake.

    Attributes:
        mistakes: Where mistakes go.
        source: File, as the administrator named it.
        table: Table in it; "" at the top, or for flags.
    """

    mistakes: Mistakes
    source: str
    table: str = ""

    def refuse(self, key: str, text: str) -> None:
        """Note a mistake at `key`; "" means the whole table or file."""
        self.mistakes.found.append(f"{self._start(key)}: {text}")

    def warn(self, key: str, text: str) -> None:
        """Note something odd at `key`."""
        self.mistakes.warnings.append(f"{self._start(key)}: {text}")

    def _start(self, key: str) -> str:
        where = " ".join(part for part in (f"[{shown(self.table)}]" if self.table else "", shown(key)) if part)
        return f"{self.source}: {where}" if where else self.source


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest known word, or ""."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
