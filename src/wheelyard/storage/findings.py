"""What `wheelyard doctor` finds, wherever it looks: in a store's own things, in records and files, in a ROOT."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How bad a finding is; the values are what JSON says."""

    INFO = "info"
    """Good to know; nothing is wrong."""

    WARNING = "warning"
    """Nobody is served anything wrong, but somebody should look."""

    ERROR = "error"
    """Something is damaged, missing, or served wrongly."""


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that is not as it should be.

    Attributes:
        code: Stable word for programs; each is explained in `docs/guides/doctor-and-backup.md`.
        severity: How bad it is.
        index: Name of the index; "" for the server's own things.
        key: Which record or file; "" for none in particular.
        text: What is wrong, one sentence.
        advice: What to do about it.
        fixable: Whether `--fix` can do something about it without guessing.
        done: What `--fix` did; "" when it did nothing.
        lost: True when what `--fix` did could not bring back what was stored.
    """

    code: str
    severity: Severity
    index: str
    key: str
    text: str
    advice: str
    fixable: bool
    done: str = ""
    lost: bool = False

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to do something: nothing was repaired, or not all of it could be."""
        return self.severity is not Severity.INFO and (not self.done or self.lost)
