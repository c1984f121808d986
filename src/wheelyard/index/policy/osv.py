"""
OSV records as their databases publish them, read into advisories about projects of this kind of index.

Rule 1: pure. Rule 2: a record that cannot be read is an error of the whole: a database with holes lets things through.
Spec: OSV schema 1.7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from wheelyard.errors import InvalidDocument, InvalidName, shown
from wheelyard.index.policy.advisories import KINDS, Advisory, Event
from wheelyard.index.policy.severity import WORDS, Severity, severity_of
from wheelyard.model import NormalizedName
from wheelyard.protocol.names import normalize

ECOSYSTEM: Final = "pypi"
_COMMITS: Final = "GIT"
"""The one type of range that is not about versions."""
_SUMMARY_CHARACTERS: Final = 200

Score = Callable[[str], float | None]
"""From a CVSS vector to its base score; None when it is no vector."""


@dataclass(frozen=True, slots=True)
class OsvRecord:
    """
    One record.

    Attributes:
        id: Its identifier.
        modified: When it was last changed, as written; "" when it does not tell.
        advisories: What it says of each project; none when it is withdrawn or about other kinds of packages.
    """

    id: str
    modified: str
    advisories: tuple[tuple[NormalizedName, Advisory], ...]


def parse_osv(content: bytes, score: Score) -> OsvRecord:
    """
    Read one record.

    Args:
        content: Its JSON.
        score: Computes scores of vectors.
    Raises:
        InvalidDocument: It is no OSV record.
    """
    document = _object(content)
    identifier = document.get("id")
    if not isinstance(identifier, str) or not identifier.strip():
        raise InvalidDocument("the OSV record has no 'id'")
    modified = document.get("modified")
    affected = document.get("affected", [])
    if not isinstance(affected, list) or not all(isinstance(entry, dict) for entry in affected):
        raise InvalidDocument(f"'affected' of OSV record '{shown(identifier)}' is no list of objects")
    advisories: tuple[tuple[NormalizedName, Advisory], ...] = ()
    if document.get("withdrawn") is None:
        advisories = tuple(_advisories(identifier, document, affected, score))
    return OsvRecord(identifier, modified if isinstance(modified, str) else "", advisories)


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidDocument(f"the OSV record is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidDocument("the OSV record is no JSON object")
    return document


def _advisories(
    identifier: str, document: Mapping[str, Any], affected: list[dict[str, Any]], score: Score
) -> Iterator[tuple[NormalizedName, Advisory]]:
    whole = _scores(document, score)
    for entry in affected:
        project = _project(entry.get("package"))
        if project is None:
            continue
        scores = _scores(entry, score) or whole
        highest = max(scores, default=None)
        word = _word(entry) or _word(document)
        yield (
            project,
            Advisory(
                id=identifier,
                aliases=tuple(_texts(document.get("aliases"))),
                summary=_summary(document),
                severity=word or Severity.UNKNOWN if highest is None else severity_of(highest),
                score=highest,
                versions=tuple(_texts(entry.get("versions"))),
                ranges=tuple(_ranges(entry.get("ranges"))),
            ),
        )


def _project(package: object) -> NormalizedName | None:
    """Return the project a package is; None for packages of other kinds, and for names that no project can have."""
    if not isinstance(package, dict) or not isinstance(package.get("ecosystem"), str):
        return None
    if package["ecosystem"].partition(":")[0].lower() != ECOSYSTEM:
        return None
    try:
        return normalize(str(package.get("name", "")))
    except InvalidName:
        return None


def _scores(holder: Mapping[str, Any], score: Score) -> list[float]:
    """Return the scores of every vector that can be read."""
    entries = holder.get("severity")
    vectors = [entry.get("score") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    found = (score(vector) for vector in vectors if isinstance(vector, str))
    return [each for each in found if each is not None]


def _word(holder: Mapping[str, Any]) -> Severity | None:
    """Return the severity that a database gives in words beside, or in place of, vectors."""
    for key in ("database_specific", "ecosystem_specific"):
        details = holder.get(key)
        word = details.get("severity") if isinstance(details, dict) else None
        if isinstance(word, str) and word.strip().lower() in WORDS:
            return WORDS[word.strip().lower()]
    return None


def _summary(document: Mapping[str, Any]) -> str:
    summary = document.get("summary")
    text = " ".join(summary.split()) if isinstance(summary, str) else ""
    return text if len(text) <= _SUMMARY_CHARACTERS else text[: _SUMMARY_CHARACTERS - 1] + "…"


def _texts(value: object) -> Iterator[str]:
    return (text for text in value if isinstance(text, str)) if isinstance(value, list) else iter(())


def _ranges(value: object) -> Iterator[tuple[Event, ...]]:
    """Yield the events of each range of versions; one without any that can be read says nothing, and is passed over."""
    for each in value if isinstance(value, list) else ():
        if not isinstance(each, dict) or each.get("type") == _COMMITS:
            continue
        events = each.get("events")
        found = tuple(
            Event(kind, version)
            for event in (events if isinstance(events, list) else ())
            if isinstance(event, dict)
            for kind, version in event.items()
            if kind in KINDS and isinstance(version, str)
        )
        if found:
            yield found
