"""How bad a vulnerability is: the words of CVSS, in order."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Severity(IntEnum):
    """The qualitative scale of CVSS 3 and 4; `UNKNOWN` when an advisory has no score, and counts as the worst."""

    NONE = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4
    UNKNOWN = 5

    @property
    def word(self) -> str:
        """The word for it in settings and texts."""
        return self.name.lower()


_FROM: Final = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.1, Severity.LOW))

WORDS: Final = {
    "low": Severity.LOW,
    "moderate": Severity.MEDIUM,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
    "critical": Severity.CRITICAL,
}
"""Words that advisory databases use for them."""


def severity_of(score: float) -> Severity:
    """Return the word for a score. Spec: CVSS 3.1 section 5 and CVSS 4.0 section 6, which are the same."""
    return next((severity for least, severity in _FROM if score >= least), Severity.NONE)
