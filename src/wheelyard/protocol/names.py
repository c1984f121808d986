"""Project names and versions: one spelling for comparison, and an order for releases."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache

from packaging.utils import canonicalize_name, is_normalized_name
from packaging.version import Version

from wheelyard.errors import InvalidName
from wheelyard.model import NormalizedName

VersionKey = tuple[int, Version, str]
"""What `version_key` returns: sortable against every other key."""

_NAME_LIMIT = 200  # characters; a file name of 255 bytes has room for it with a version and tags

# PEP 508: "^([A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9])$" run with re.IGNORECASE. `$` would let a trailing newline
# pass, hence \Z; ASCII, since case folding lets U+017F and U+212A through.
_NAME = re.compile(r"(?:[A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9])\Z", re.IGNORECASE | re.ASCII)

_DIGITS = re.compile(r"[0-9]+")
_NO_VERSION = Version("0")
_LEGACY, _STANDARD = 0, 1


def normalize(name: str) -> NormalizedName:
    """
    Return the one spelling of a project name that is used for comparison, keys and URLs.

    Args:
        name: As a person, a URL or a file spells it.
    Returns:
        Lower case, every run of `-`, `_` and `.` as one `-`.
    Raises:
        InvalidName: Not a project name, or longer than any file name has room for.
    Spec: PEP 503: "The name should be lowercased with all runs of the characters ., -, or _ replaced with a single -".
    """
    if len(name) > _NAME_LIMIT or _NAME.match(name) is None:
        raise InvalidName(name)
    return NormalizedName(canonicalize_name(name))


def is_normalized(name: str) -> bool:
    """Tell whether `name` is a project name that `normalize` returns unchanged."""
    return len(name) <= _NAME_LIMIT and is_normalized_name(name)


@lru_cache(maxsize=16_384)  # an index has few distinct versions; sorting a large page asks for each many times
def parse_version(version: str) -> Version | None:
    """Return the PEP 440 version, or None for a legacy string."""
    try:
        return Version(version)
    except ValueError:
        # InvalidVersion is one; the other is Python's refusal to read integers of thousands of digits.
        return None


@lru_cache(maxsize=16_384)
def canonical_version(version: str) -> str:
    """
    Return the canonical spelling of a version; a legacy version unchanged.

    `1.0` and `1.0.0` keep their zeros: they are equal (`same_version`), but each is somebody's choice of words.
    """
    parsed = parse_version(version)
    return version if parsed is None else str(parsed)


def same_version(a: str, b: str) -> bool:
    """Tell whether two strings name one release (PEP 440: `1.0`, `1.0.0` and `v1` are equal)."""
    return version_key(a) == version_key(b)


def version_key(version: str) -> VersionKey:
    """Return a sort key: legacy versions first, then PEP 440 order; equal releases have equal keys."""
    parsed = parse_version(version)
    if parsed is not None:
        return (_STANDARD, parsed, "")
    # Padding makes numbers inside legacy versions compare as numbers. Cut: padding must not multiply a hostile string.
    return (_LEGACY, _NO_VERSION, _DIGITS.sub(lambda digits: digits[0].zfill(12), version[:255]) + version[255:])


def sort_versions(versions: Iterable[str]) -> tuple[str, ...]:
    """
    Return versions canonical, oldest first, each release once.

    Of several spellings of one release the first stays, so that a later `1.0.0` does not rename a release `1.0`.
    """
    found: dict[VersionKey, str] = {}
    for version in versions:
        found.setdefault(version_key(version), canonical_version(version))
    return tuple(found[key] for key in sorted(found))


def with_version(versions: tuple[str, ...], version: str) -> tuple[str, ...]:
    """
    Return versions that `sort_versions` sorted with one more, which takes its place.

    A release that is there under another spelling keeps the one it has.
    """
    key = version_key(version)
    place = bisect_left(versions, key, key=version_key)
    if place < len(versions) and version_key(versions[place]) == key:
        return versions
    return (*versions[:place], canonical_version(version), *versions[place:])
