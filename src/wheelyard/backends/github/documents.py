"""
The list of a group's files, as it is kept on the branch: which asset, how long, what digest; pure.

Rule 1: nothing in such a list is an address. Whoever may push to the repository may change it, and must not learn where
the server sends its token.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from wheelyard.errors import RecordDamaged
from wheelyard.model import Key, Sha256Hex

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One file of a group.

    Attributes:
        size: Bytes.
        sha256: Digest of them.
        asset: Id of the asset that holds them; None when they are on the branch.
        release: Id of the release that the asset belongs to.
        name: The asset's name.
    """

    size: int
    sha256: Sha256Hex
    asset: int | None = None
    release: int | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """
    Everything that is known of a group's files.

    Attributes:
        files: Each by the name that the group calls it.
        releases: Id of each release that took files, by tag.
    """

    files: Mapping[str, Entry]
    releases: Mapping[str, int]

    def with_file(self, name: str, entry: Entry, tag: str | None = None) -> Listing:
        """Return it with a file more, or another one in its place."""
        releases = self.releases
        if tag is not None and entry.release is not None:
            releases = {**releases, tag: entry.release}
        return replace(self, files={**self.files, name: entry}, releases=releases)

    def without(self, name: str) -> Listing:
        """Return it with a file less; releases are remembered as long as there are files."""
        files = {each: entry for each, entry in self.files.items() if each != name}
        return Listing(files, self.releases if files else {})

    def assets_of(self, release: int) -> int:
        """Return how many files are known to be in a release."""
        return sum(entry.release == release for entry in self.files.values())

    def find_asset(self, asset: int) -> bool:
        """Tell whether an asset holds one of the files."""
        return any(entry.asset == asset for entry in self.files.values())


EMPTY: Final = Listing({}, {})
"""A group without files."""


def render_listing(listing: Listing) -> bytes | None:
    """Write a list down, a line for each file, so that histories can be read; None for one without files."""
    if not listing.files:
        return None
    document = {
        "version": _VERSION,
        "files": {name: _rendered(entry) for name, entry in sorted(listing.files.items())},
        "releases": dict(sorted(listing.releases.items())),
    }
    lines = json.dumps(document, ensure_ascii=False, indent=1)
    return lines.encode() + b"\n"


def _rendered(entry: Entry) -> dict[str, object]:
    rendered: dict[str, object] = {"size": entry.size, "sha256": entry.sha256}
    if entry.asset is not None:
        rendered |= {"asset": entry.asset, "release": entry.release, "name": entry.name}
    return rendered


def parse_listing(content: bytes | None, *, key: Key) -> Listing:
    """
    Read a list; None is that of a group without files.

    Raises:
        RecordDamaged: It is no such list, or one of a later version.
    """
    if content is None:
        return EMPTY
    try:
        document = json.loads(content)
        if document["version"] != _VERSION:
            raise RecordDamaged(key, f"its list of files has version {document['version']!r}, which is not known here")
        files = {str(name): _parse(entry) for name, entry in document["files"].items()}
        releases = {str(tag): _number(release) for tag, release in document["releases"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordDamaged(key, "its list of files on the branch cannot be read") from error
    return Listing(files, releases)


def _parse(entry: Any) -> Entry:
    size, digest = _number(entry["size"]), entry["sha256"]
    if not isinstance(digest, str) or len(digest) != 64 or not all(c in "0123456789abcdef" for c in digest):  # noqa: PLR2004
        raise ValueError("no digest")
    if entry.get("asset") is None:
        return Entry(size, Sha256Hex(digest))
    return Entry(size, Sha256Hex(digest), _number(entry["asset"]), _number(entry["release"]), str(entry["name"]))


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("no number")
    return value
