"""What a look at the repositories found: said by the command, and in the log of the server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from wheelyard.errors import shown

_TOLD_ONE_BY_ONE = 3  # tags with one trouble; a repository that is no Python project may have hundreds


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """
    Something that did not become a release, or is not any more what it was.

    Attributes:
        source: The repository, or the owner whose list could not be had.
        tag: The tag; None when it is about the whole repository.
        text: What is wrong and what holds now.
    """

    source: str
    text: str
    tag: str | None = None

    @property
    def line(self) -> str:
        """The whole in one line."""
        where = shown(self.source) if self.tag is None else f"{shown(self.source)} tag '{shown(self.tag)}'"
        return f"{where}: {self.text}"


@dataclass(slots=True)
class RefreshReport:
    """
    The result of one look at all repositories.

    Attributes:
        repositories: How many were looked at.
        added: Names of the files that are new.
        troubles: What went wrong, in the order it was met.
        skipped: True when somebody else was looking at the same moment, so that nothing was done.
    """

    repositories: int = 0
    added: list[str] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    skipped: bool = False


def grouped(troubles: Iterable[Trouble]) -> list[Trouble]:
    """Tell the same trouble of many tags of one repository once, with one tag as an example; the order stays."""
    by_text: dict[tuple[str, str], list[Trouble]] = {}
    for trouble in troubles:
        by_text.setdefault((trouble.source, trouble.text), []).append(trouble)
    told: list[Trouble] = []
    for same in by_text.values():
        if len(same) <= _TOLD_ONE_BY_ONE:
            told += same
        else:
            told.append(replace(same[-1], text=f"{same[-1].text} (and the same of {len(same) - 1} other tags)"))
    return told
