"""
Untrusted HTML in, harmless HTML out.

Rule 1: what is not named here does not pass. Names are kept apart from the page's own by a prefix, classes by a list.
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

ID_PREFIX = "user-content-"
"""Before every `id`, so that a description cannot be taken for a part of the page; Markdown and reStructuredText use it already."""

_MOST_ROUNDS = 4
_DEEPEST = 100  # nested elements; browsers get slow, and some stop, far beyond what anybody writes
_HEADING_SHIFT = 2  # the page has an h1 and an h2 above the description

_TAGS = (
    frozenset(
        {"a", "abbr", "acronym", "b", "br", "cite", "code", "del", "em", "i", "img", "kbd", "q", "span", "strong"}
    )
    | frozenset({"sub", "sup", "tt", "var"})
    | frozenset({"aside", "blockquote", "details", "div", "figcaption", "figure", "hr", "nav", "p", "pre", "section"})
    | frozenset({"dd", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "li", "ol", "summary", "ul"})
    | frozenset({"caption", "col", "colgroup", "table", "tbody", "td", "th", "thead", "tr"})
)
_ATTRIBUTES: dict[str, set[str]] = {
    "*": {"id"},
    "a": {"href", "title"},
    "abbr": {"title"},
    "acronym": {"title"},
    "img": {"src", "alt", "width", "height", "align"},
    "ol": {"start"},
    "pre": {"class"},
    "code": {"class"},
    "span": {"class"},
    "div": {"align", "class"},
    "aside": {"class"},
    "p": {"align", "class"},
    "table": {"align"},
    "th": {"align", "colspan", "rowspan"},
    "td": {"align", "colspan", "rowspan"},
} | {f"h{level}": {"align"} for level in range(1, 7)}

# Our own classes are longer words, so none of the page's looks can be borrowed.
_HIGHLIGHT_CLASS = re.compile(r"[a-z][a-z0-9]{0,2}\Z")
_NOTE_CLASSES = frozenset(
    {"admonition", "note", "tip", "important", "warning", "caution", "danger", "attention", "hint", "error"}
    | {"markdown-alert", "markdown-alert-title", "admonition-title"}
    | {f"markdown-alert-{kind}" for kind in ("note", "tip", "important", "warning", "caution")}
)
_ID = re.compile(r"[^\s\"'<>&]{1,200}\Z")
_LENGTH = re.compile(r"[0-9]{1,4}(?:px|%)?\Z")
_NUMBER = re.compile(r"[0-9]{1,3}\Z")
_ALIGN = frozenset({"left", "right", "center", "justify"})
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)")
_VOID = frozenset({"br", "col", "hr", "img"})
# A task in a list, as Markdown writes it.
_CHECKBOX = re.compile(r'<input type="checkbox"( checked="")? disabled=""(?: /)?>')
_HEADING = re.compile(r"<(/?)h([1-6])(?=[ >])")


def clean_html(html: str) -> str | None:
    """
    Return what is harmless of some HTML, ready to stand inside a `div` below an `h2`.

    No scripts, styles, frames, forms or event handlers; links only to `http`, `https`, `mailto` and places in the text itself;
    images only over `https`. Nothing refers to this server: a picture must not be a request to it in the reader's name.

    Returns:
        None when the HTML does not settle, or is nested too deeply to show.
    """
    # No element of forms is kept, so a ticked task becomes a character.
    html = _CHECKBOX.sub(lambda box: "\N{BALLOT BOX WITH CHECK}" if box[1] else "\N{BALLOT BOX}", html)
    for _ in range(_MOST_ROUNDS):
        cleaned = _clean_once(html)
        # Taking elements away can leave a tree that reads differently when parsed again; such HTML is cleaned again.
        if cleaned == html:
            return None if _depth(html) > _DEEPEST else _HEADING.sub(_lower_heading, html)
        html = cleaned
    return None


def _clean_once(html: str) -> str:
    import nh3  # noqa: PLC0415 - only the process that renders descriptions needs it

    return nh3.clean(
        html,
        tags=set(_TAGS),
        attributes=_ATTRIBUTES,
        attribute_filter=_filter_attribute,
        link_rel="nofollow noopener noreferrer",
        url_schemes={"http", "https", "mailto"},
        # One at most for each tag: of several the order would change from call to call, and nothing would settle.
        set_tag_attribute_values={"img": {"loading": "lazy"}},
    )


def _filter_attribute(tag: str, name: str, value: str) -> str | None:
    match name:
        case "id":
            return _prefixed(value)
        case "href":
            return _link(value)
        case "src":
            return value if _scheme(value) == "https" else None
        case "class":
            return _classes(tag, value)
        case "align":
            return value if value.lower() in _ALIGN else None
        case "width" | "height":
            return value if _LENGTH.match(value) else None
        case "start" | "colspan" | "rowspan":
            return value if _NUMBER.match(value) else None
        case _:
            return value


def _prefixed(name: str) -> str | None:
    if not _ID.match(name):
        return None
    return name if name.startswith(ID_PREFIX) else ID_PREFIX + name


def _link(value: str) -> str | None:
    if value.startswith("#"):
        target = _prefixed(value[1:])
        return None if target is None else "#" + target
    return value if _scheme(value) in {"http", "https", "mailto"} else None


def _scheme(value: str) -> Literal["http", "https", "mailto"] | None:
    """Return the scheme of an absolute address; None for what is relative, other or unreadable."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    if parts.scheme == "mailto":
        return "mailto"
    # `https:path` without slashes is relative to a page that has the same scheme.
    if not parts.netloc or "\\" in value:
        return None
    return "http" if parts.scheme == "http" else "https" if parts.scheme == "https" else None


def _classes(tag: str, value: str) -> str | None:
    kept = [
        name
        for name in value.split()
        if name in _NOTE_CLASSES or (tag in {"span", "code", "pre"} and _HIGHLIGHT_CLASS.match(name))
    ]
    return " ".join(kept) or None


def _depth(html: str) -> int:
    depth = deepest = 0
    for closing, tag in _TAG.findall(html):
        if tag not in _VOID:
            depth += -1 if closing else 1
            deepest = max(deepest, depth)
    return deepest


def _lower_heading(match: re.Match[str]) -> str:
    return f"<{match[1]}h{min(6, int(match[2]) + _HEADING_SHIFT)}"
