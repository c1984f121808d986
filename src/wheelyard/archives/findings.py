"""What is found wrong in an archive, collected: all of it, but never more than a person reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from wheelyard.errors import UploadProblem, shown

_SHOWN_PER_CODE = 5  # of 100,000 rows that do not fit, five tell the story


@dataclass(frozen=True, slots=True)
class Contents:
    """
    What was read from an archive.

    Attributes:
        metadata: METADATA or PKG-INFO, byte for byte.
        metadata_part: Its name in the archive.
        has_license: Tells whether the archive has the file that a `License-File` header names.
        findings: What is wrong with it.
    """

    metadata: bytes
    metadata_part: str
    has_license: Callable[[str], bool]
    findings: Findings


@dataclass(slots=True)
class Findings:
    """
    Reasons to refuse an archive, and advice about it.

    Attributes:
        problems: At most a few of one code.
        advice: One line each.
    """

    problems: list[UploadProblem] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    _counts: Counter[str] = field(default_factory=Counter)

    def refuse(self, part: str, code: str, text: str) -> None:
        """
        Add a reason to refuse.

        Args:
            part: File of the archive at fault.
            code: Stable word.
            text: What is wrong and what to do, one line.
        """
        self._counts[code] += 1
        if self._counts[code] <= _SHOWN_PER_CODE:
            self.problems.append(UploadProblem(shown(part), code, text))

    def advise(self, text: str) -> None:
        """Add one line of advice."""
        if len(self.advice) < _SHOWN_PER_CODE * 4:
            self.advice.append(text)

    def told(self) -> tuple[UploadProblem, ...]:
        """Return the problems, with a line for each code that has more of them than are shown."""
        more = [
            UploadProblem("content", code, f"... and {count - _SHOWN_PER_CODE} more of the kind `{code}`")
            for code, count in self._counts.items()
            if count > _SHOWN_PER_CODE
        ]
        return (*self.problems, *more)
