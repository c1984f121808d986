"""Checks shared by the tests of pages for people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast
from xml.etree.ElementTree import Element

import html5lib  # type: ignore[import-untyped, unused-ignore]

HARMLESS_TAGS = frozenset(
    "a abbr acronym aside b blockquote br caption cite code col colgroup dd del details div dl dt em figcaption figure"  # noqa: SIM905 - a list of 50 lines reads worse
    " h3 h4 h5 h6 hr i img kbd li nav ol p pre q section span strong sub summary sup table tbody td th thead tr tt ul var".split()
)
HARMLESS_ATTRIBUTES = frozenset(
    {"align", "alt", "class", "colspan", "height", "href", "id", "loading", "rel", "rowspan", "src", "start", "title"}
    | {"width"}
)
NOTES = frozenset(
    {"admonition", "admonition-title", "note", "tip", "important", "warning", "caution", "danger", "attention", "hint"}
    | {"error", "plain-text"}
)


def parse_strictly(page: bytes) -> Element:
    """Parse a whole page; any error of HTML's grammar fails."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    return cast("Element", parser.parse(page, transport_encoding="utf-8"))


def text_of(element: Element) -> str:
    """Text of an element with white space folded."""
    return " ".join("".join(element.itertext()).split())


def walk(root: Element) -> Iterator[Element]:
    """Every element, without comments."""
    return (element for element in root.iter() if isinstance(element.tag, str))


def check_harmless(html: str) -> None:
    """Fail when a piece of HTML, inside a page, could do anything but be read."""
    document = html5lib.parse(
        f"<!doctype html><title>t</title><div id=before></div><div id=readme>{html}</div><p id=after>",
        namespaceHTMLElements=False,
    )
    body = document.find("body")
    assert [child.get("id") for child in body] == ["before", "readme", "after"], "it broke out of its place"
    for element in walk(body[1]):
        if element is not body[1]:
            assert element.tag in HARMLESS_TAGS, element.tag
            assert set(element.keys()) <= HARMLESS_ATTRIBUTES, dict(element.items())
            _check_attributes(element)


def _check_attributes(element: Element) -> None:
    href, src, name = element.get("href"), element.get("src"), element.get("id")
    assert href is None or re.match(r"(https?://|mailto:|#user-content-)", href, re.IGNORECASE), href
    assert src is None or re.match(r"https://", src, re.IGNORECASE), src
    assert name is None or name.startswith("user-content-"), name
    for word in (element.get("class") or "").split():
        assert len(word) <= 3 or word.startswith("markdown-alert") or word in NOTES, word
