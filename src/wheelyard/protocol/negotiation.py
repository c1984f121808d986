"""Which of the three representations of a page a request gets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum

from wheelyard.errors import NotAcceptable


class Representation(Enum):
    """
    The forms in which the project list and a project page exist; the value is the media type.

    `latest` in a request means version 1; the answer always names the version (PEP 691).
    """

    JSON = "application/vnd.pypi.simple.v1+json"
    HTML = "application/vnd.pypi.simple.v1+html"
    TEXT_HTML = "text/html"

    @property
    def media_type(self) -> str:
        """The whole `Content-Type`; browsers need the charset with `text/html`."""
        return "text/html; charset=utf-8" if self is Representation.TEXT_HTML else self.value

    @property
    def content_type(self) -> bytes:
        """`media_type` as it goes into a header."""
        return self.media_type.encode("ascii")


SUPPORTED = tuple(representation.value for representation in Representation)
"""Media types a refusal names."""

_NAMES: dict[str, Representation] = {
    **{representation.value: representation for representation in Representation},
    "application/vnd.pypi.simple.latest+json": Representation.JSON,
    "application/vnd.pypi.simple.latest+html": Representation.HTML,
}

# How closely a media range fits (RFC 9110 12.5.1: "the most specific reference has precedence").
_ANY, _TYPE, _EXACT = 0, 1, 2

# Ties go to the most expressive format (PEP 691: "text/html as last resort"), unless the client takes just anything:
# then it is a browser, curl, hatch or pipenv's hash step, and those read HTML (NEG-01, NEG-02).
_PREFERENCE = {Representation.JSON: 2, Representation.HTML: 1, Representation.TEXT_HTML: 0}
_PREFERENCE_ANY = {Representation.TEXT_HTML: 2, Representation.JSON: 1, Representation.HTML: 0}

_TOKEN = r"[!#$%&'*+.^_`|~0-9a-z-]+"  # noqa: S105 - RFC 9110 5.6.2, not a secret
_MEDIA_RANGE = re.compile(rf"({_TOKEN})/({_TOKEN})\Z")
_QUALITY = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\Z")  # RFC 9110 12.4.2


def negotiate(accept: str | None, requested: str | None = None) -> Representation:
    """
    Choose the representation of a simple page.

    Args:
        accept: The `Accept` header; None when there is none. Junk in it is passed over.
        requested: Value of `?format=`; it wins over the header (PEP 691). A plus sign that arrived as a space is one.
    Returns:
        What to send.
    Raises:
        NotAcceptable: The request names only media types that do not exist here.
    Spec: PEP 691 "Version + Format Selection", RFC 9110 12.5.1.
    """
    if requested is not None and requested.strip():
        return _requested(requested)
    ranges = _parse_accept(accept or "")
    if not ranges:
        return Representation.TEXT_HTML
    ranked = [(*_fit(representation, ranges), representation) for representation in Representation]
    quality, closeness, _ = max(ranked, key=lambda rank: rank[:2])
    if quality == 0:
        raise NotAcceptable(accept or "", SUPPORTED)
    tied = [representation for q, near, representation in ranked if (q, near) == (quality, closeness)]
    preference = _PREFERENCE_ANY if closeness == _ANY else _PREFERENCE
    return max(tied, key=preference.__getitem__)


def _requested(requested: str) -> Representation:
    name = requested.strip().replace(" ", "+").lower()
    if name not in _NAMES:
        raise NotAcceptable(requested, SUPPORTED)
    return _NAMES[name]


def _parse_accept(accept: str) -> dict[str, float]:
    """Return media ranges with their qualities; of a repeated one the best."""
    ranges: dict[str, float] = {}
    for item in accept.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        if name == "*":  # as old Java clients write `*/*`
            name = "*/*"
        quality = _quality(parameters)
        if quality is not None and _MEDIA_RANGE.match(name):
            ranges[name] = max(quality, ranges.get(name, 0.0))
    return ranges


def _quality(parameters: Iterable[str]) -> float | None:
    """Return the `q` of a media range, 1 without one, None for one that is no number between 0 and 1."""
    for parameter in parameters:
        key, equals, value = (part.strip() for part in parameter.partition("="))
        if key == "q" and equals:
            return float(value) if _QUALITY.match(value) else None
    return 1.0


def _fit(representation: Representation, ranges: dict[str, float]) -> tuple[float, int]:
    """Return quality and closeness of the media range that decides about `representation`."""
    exact = [ranges[name] for name, named in _NAMES.items() if named is representation and name in ranges]
    if exact:
        return max(exact), _EXACT
    any_subtype = f"{representation.value.partition('/')[0]}/*"
    if any_subtype in ranges:
        return ranges[any_subtype], _TYPE
    return ranges.get("*/*", 0.0), _ANY
