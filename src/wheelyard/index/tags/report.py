"""What a look at the repositories found: said by the command, and in the log of the server."""

from __future__ import annotations

from dataclasses import dataclass, field

from wheelyard.errors import shown


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
