"""What a release says about itself, from core metadata for showing: bounded, and pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wheelyard.errors import InvalidDocument
from wheelyard.protocol.core_metadata import CoreMetadata, parse_core_metadata

_MOST_ENTRIES = 300  # of one list; real metadata stays below, hostile metadata must not make a page of megabytes
_LONGEST_ENTRY = 500  # characters
_LONGEST_LICENSE_NAME = 100  # characters; longer ones are the licence itself


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """
    Core metadata as a person wants to see it: every text but the description on one line, and cut where it is very long.

    Attributes:
        name: Name of the project as its author spells it; None when there is no metadata.
        summary: None when there is none.
        description: As written, not rendered and of any length; None when there is none.
        description_content_type: Says how to render it; None when nothing does.
        people: `(role, who)` pairs: author, maintainer.
        license: Expression, or the older field when that is a name; None when neither is given.
        keywords: In their order.
        requires_python: Raw specifiers; None when any version will do.
        requires: Requirements, raw.
        extras: Names of optional features.
        links: `(label, url)` pairs; the urls are not checked.
        classifiers: In their order.
    """

    name: str | None = None
    summary: str | None = None
    description: str | None = None
    description_content_type: str | None = None
    people: tuple[tuple[str, str], ...] = ()
    license: str | None = None
    keywords: tuple[str, ...] = ()
    requires_python: str | None = None
    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    classifiers: tuple[str, ...] = ()


def read_about(content: bytes) -> About:
    """
    Read what a page shows of core metadata.

    Args:
        content: A METADATA or PKG-INFO file; untrusted.
    Returns:
        Nothing of what cannot be read.
    """
    try:
        metadata = parse_core_metadata(content)
    except InvalidDocument:
        return About()
    return About(
        name=_line(metadata.name),
        summary=_line(metadata.summary),
        description=metadata.description,
        description_content_type=_line(metadata.description_content_type),
        people=tuple(_people(metadata)),
        license=_line(metadata.license_expression) or _license_name(metadata.license),
        keywords=_lines(metadata.keywords),
        requires_python=_line(metadata.requires_python),
        requires=_lines(metadata.requires_dist),
        extras=_lines(metadata.provides_extra),
        links=tuple(_links(metadata))[:_MOST_ENTRIES],
        classifiers=_lines(metadata.classifiers),
    )


def _line(value: str | None) -> str | None:
    if value is None:
        return None
    whole = " ".join(value[: _LONGEST_ENTRY + 1].split())
    return (whole if len(whole) <= _LONGEST_ENTRY else whole[: _LONGEST_ENTRY - 1] + "…") or None


def _lines(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(line for value in tuple(values)[:_MOST_ENTRIES] if (line := _line(value)) is not None)


def _license_name(value: str | None) -> str | None:
    """Return the old licence field when it is a name; many put the whole licence there."""
    if value is None or len(value) > _LONGEST_LICENSE_NAME or "\n" in value.strip():
        return None
    return _line(value)


def _people(metadata: CoreMetadata) -> Iterator[tuple[str, str]]:
    for role, name, address in (
        ("Author", metadata.author, metadata.author_email),
        ("Maintainer", metadata.maintainer, metadata.maintainer_email),
    ):
        who = " · ".join(part for part in (_line(name), _line(address)) if part is not None)
        if who:
            yield role, who


def _links(metadata: CoreMetadata) -> Iterator[tuple[str, str]]:
    pairs = (("Homepage", metadata.home_page), ("Download", metadata.download_url), *metadata.project_urls.items())
    for label, url in pairs:
        address = (url or "").strip()
        if address:
            yield _line(label) or address[:_LONGEST_ENTRY], address
