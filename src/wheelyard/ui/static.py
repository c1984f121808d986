"""Static files under names that contain a digest of their content, so that browsers keep them for ever."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

_TYPES = MappingProxyType({"css": b"text/css; charset=utf-8", "svg": b"image/svg+xml"})
_DIGEST_DIGITS = 16


@dataclass(frozen=True, slots=True)
class StaticFile:
    """
    One static file.

    Attributes:
        name: With its digest: `style.0123456789abcdef.css`.
        content: Its bytes.
        headers: Everything but the length.
    """

    name: str
    content: bytes
    headers: tuple[tuple[bytes, bytes], ...]


def static_name(name: str) -> str:
    """Return the name under which the file `name` is served now."""
    return _load()[name].name


def static_file(name: str) -> StaticFile | None:
    """Return the file of a name made by `static_name`; None for any other name."""
    return _by_served_name().get(name)


@cache
def _load() -> dict[str, StaticFile]:
    folder = resources.files("wheelyard.ui") / "static"
    return {entry.name: _static_file(entry.name, entry.read_bytes()) for entry in folder.iterdir() if _type(entry.name)}


@cache
def _by_served_name() -> dict[str, StaticFile]:
    return {file.name: file for file in _load().values()}


def _static_file(name: str, content: bytes) -> StaticFile:
    stem, _, extension = name.rpartition(".")
    digest = hashlib.sha256(content).hexdigest()[:_DIGEST_DIGITS]
    headers = (
        (b"content-type", _TYPES[extension]),
        # Needs no credentials, and never changes under this name.
        (b"cache-control", b"public, max-age=31536000, immutable"),
        (b"x-content-type-options", b"nosniff"),
        # An image opened by itself is a page: it may not do anything either.
        (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; sandbox"),
    )
    return StaticFile(f"{stem}.{digest}.{extension}", content, headers)


def _type(name: str) -> bytes | None:
    return _TYPES.get(name.rpartition(".")[2])
