"""
Advisories: which releases of a project have a known vulnerability, by the rules of the OSV format.

Rule 1: pure. Rule 2: what cannot be understood of a range is read so that more releases count as affected, not fewer.
Spec: OSV schema 1.7, "Evaluation".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wheelyard.index.policy.severity import Severity
from wheelyard.protocol.names import parse_version, same_version, version_key

KINDS = ("introduced", "fixed", "last_affected")
"""Kinds of events that count; `limit` is for commits, and without it a range is longer."""


@dataclass(frozen=True, slots=True)
class Event:
    """
    One event of a range.

    Attributes:
        kind: One of `KINDS`.
        version: Where it is.
    """

    kind: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """
    What one OSV record says of one project.

    Attributes:
        id: `GHSA-…`, `PYSEC-…`, `MAL-…`.
        aliases: Other identifiers of the same vulnerability.
        summary: One line.
        severity: The worst of its scores.
        score: The highest CVSS base score; None when there is none.
        versions: Affected versions, one by one.
        ranges: Affected ranges, each as its events.
    """

    id: str
    aliases: tuple[str, ...] = ()
    summary: str = ""
    severity: Severity = Severity.UNKNOWN
    score: float | None = None
    versions: tuple[str, ...] = ()
    ranges: tuple[tuple[Event, ...], ...] = ()

    def is_called(self, identifiers: Iterable[str]) -> bool:
        """Tell whether one of these is its identifier or an alias of it."""
        return not {self.id, *self.aliases}.isdisjoint(identifiers)

    def affects(self, release: str | None) -> bool:
        """
        Tell whether a release is affected.

        Args:
            release: None when a file does not tell its version: then it may be the one, as may one that is no PEP 440
                version, since nobody can say on which side of a range it is.
        """
        if release is None or not (self.versions or self.ranges):
            return True
        if any(self.ranges) and parse_version(release) is None:
            return True
        if any(same_version(release, version) for version in self.versions):
            return True
        return any(_in_range(release, events) for events in self.ranges)

    @property
    def described(self) -> str:
        """Identifier, severity and summary in one line."""
        how_bad = self.severity.word if self.score is None else f"{self.severity.word}, CVSS {self.score:g}"
        return f"{self.id} ({how_bad})" + (f": {self.summary}" if self.summary else "")


def _in_range(release: str, events: tuple[Event, ...]) -> bool:
    """
    Walk through the events in order; what ends a range at a version that cannot be compared ends nothing.

    A range has a beginning by the specification; one that has only an end is read as if it began with the first release.
    """
    comparable = [event for event in events if event.kind == "introduced" or parse_version(event.version) is not None]
    key = version_key(release)
    affected = bool(events) and all(event.kind != "introduced" for event in events)
    for event in sorted(comparable, key=_position):
        if event.kind == "introduced":
            starts_everywhere = event.version == "0" or parse_version(event.version) is None
            if starts_everywhere or key >= version_key(event.version):
                affected = True
        elif event.kind == "last_affected":
            affected = affected and key <= version_key(event.version)
        elif key >= version_key(event.version):
            affected = False
    return affected


def _position(event: Event) -> tuple[object, ...]:
    """Order events by version; at the same version a range ends before another starts."""
    if event.kind == "introduced" and (event.version == "0" or parse_version(event.version) is None):
        return (0,)
    return (1, version_key(event.version), event.kind == "introduced")
