"""What a release says about itself, read from core metadata for showing: tolerant, bounded, and pure."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.metadata import parse_email

_MOST_ENTRIES = 300  # of one list; real metadata stays below, hostile metadata must not make a page of megabytes
_LONGEST_ENTRY = 500  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """
    Core metadata as a person wants to see it. Every text is as somebody wrote it, cut where it is very long.

    Attributes:
        name: Name of the project as its author spells it; None when the metadata gives none.
        version: As in the metadata; None when it gives none.
        summary: One line; None when there is none.
        description: Unrendered; None when there is none.
        description_content_type: As given; None when it is not.
        people: `(role, who)` pairs: author, maintainer.
        license: Expression, or the text of the older field when that is short; None when neither is given.
        keywords: In their order.
        requires_python: Raw specifiers; None when any version will do.
        requires: Requirements, raw.
        extras: Names of optional features.
        links: `(label, url)` pairs; the urls are not checked.
        classifiers: In their order.
    """

    name: str | None = None
    version: str | None = None
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


def read_about(metadata: bytes) -> About:
    """
    Read core metadata for showing; what cannot be read is left out.

    Args:
        metadata: A METADATA or PKG-INFO file.
    """
    # Damaged characters are shown as such; the parser would drop the whole field.
    raw, _ = parse_email(metadata.decode("utf-8", "replace"))
    return About(
        name=_line(raw.get("name")),
        version=_line(raw.get("version")),
        summary=_line(raw.get("summary")),
        description=raw.get("description") or None,
        description_content_type=_line(raw.get("description_content_type")),
        people=_people(
            ("Author", raw.get("author"), raw.get("author_email")),
            ("Maintainer", raw.get("maintainer"), raw.get("maintainer_email")),
        ),
        license=_line(raw.get("license_expression")) or _short(raw.get("license")),
        keywords=_lines(raw.get("keywords")),
        requires_python=_line(raw.get("requires_python")),
        requires=_lines(raw.get("requires_dist")),
        extras=_lines(raw.get("provides_extra")),
        links=_links(raw.get("home_page"), raw.get("download_url"), raw.get("project_urls")),
        classifiers=_lines(raw.get("classifiers")),
    )


def _line(value: str | None) -> str | None:
    if value is None:
        return None
    line = " ".join(value[:_LONGEST_ENTRY].split())
    # UNKNOWN is what old build tools wrote for nothing.
    return None if line in {"", "UNKNOWN"} else line


def _short(value: str | None) -> str | None:
    """Return the old licence field when it is a name; many put the whole licence there."""
    return _line(value) if value is not None and len(value) <= 100 and "\n" not in value.strip() else None  # noqa: PLR2004 - a name


def _lines(values: list[str] | None) -> tuple[str, ...]:
    found = (_line(value) for value in (values or ())[:_MOST_ENTRIES])
    return tuple(value for value in found if value is not None)


def _people(*fields: tuple[str, str | None, str | None]) -> tuple[tuple[str, str], ...]:
    found = []
    for role, name, address in fields:
        who = " · ".join(part for part in (_line(name), _line(address)) if part is not None)
        if who:
            found.append((role, who))
    return tuple(found)


def _links(home: str | None, download: str | None, others: dict[str, str] | None) -> tuple[tuple[str, str], ...]:
    pairs = [("Homepage", home), ("Download", download), *(others or {}).items()]
    found = []
    for label, url in pairs[:_MOST_ENTRIES]:
        shown_label, address = _line(label), (url or "").strip()
        if address and address != "UNKNOWN":
            found.append((shown_label or address[:_LONGEST_ENTRY], address))
    return tuple(found)
