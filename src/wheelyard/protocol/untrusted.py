"""
Reading what others wrote: each function takes a value of a foreign page and returns one that is safe to list, or says no.

Rule 1: one bad entry must not hide the good ones. Rule 2: what would let a file go unchecked counts as bad.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from wheelyard.errors import InvalidDocument, InvalidName, shown
from wheelyard.model import DistFile, Filename, NormalizedName, ProjectList, ProjectStatus
from wheelyard.protocol.filenames import FILENAME_LIMIT_BYTES, release_of
from wheelyard.protocol.json_keys import stored_hashes
from wheelyard.protocol.names import normalize, sort_versions

DIGEST_LENGTHS: Final = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}
"""Hexadecimal digits of each hash that clients check."""

_HASH_NAME = re.compile(r"[a-z0-9_]{1,32}\Z")
_HEX = re.compile(r"(?:[0-9a-f]{2})+\Z")
_URL_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_LARGEST_SIZE = 2**63 - 1

_decode = msgspec.json.Decoder().decode


def read_object(content: bytes, what: str) -> dict[str, Any]:
    """Return the object that a JSON document is; `what` names it in the error."""
    try:
        document = _decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidDocument(f"the {what} is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidDocument(f"the {what} is not a JSON object")
    return document


def check_api_version(document: Mapping[str, Any]) -> None:
    """PEP 629: "if the major version [is] greater than expected [a client] MUST refuse"."""
    meta = document.get("meta")
    version = meta.get("api-version", "1.0") if isinstance(meta, dict) else "1.0"
    if str(version).partition(".")[0] != "1":
        raise InvalidDocument(f"the simple API version is '{shown(version)}', only 1.x is understood")


def read_filename(value: object) -> Filename | None:
    """Return a file name that is safe to list and to store, of whatever kind of file; None for others."""
    if not isinstance(value, str) or value in ("", ".", "..") or "/" in value or "\\" in value:
        return None
    if not value.isprintable() or len(value.encode()) > FILENAME_LIMIT_BYTES:
        return None
    return Filename(value)


def read_url(value: object) -> str | None:
    """Return a URL without its fragment; None for one that is not relative, http or https (`javascript:`)."""
    if not isinstance(value, str):
        return None
    url = value.strip().partition("#")[0]
    scheme = _URL_SCHEME.match(url)
    if not url or _CONTROL.search(url) or (scheme and scheme[1].lower() not in ("http", "https")):
        return None
    return url


def read_hashes(value: object) -> dict[str, str] | None:
    """Return well-formed hashes, `sha256` first; None when what is given for a known algorithm is no such hash."""
    if not isinstance(value, dict):
        return None
    hashes: dict[str, str] = {}
    for name, digest in value.items():
        algorithm, hexadecimal = str(name).lower(), digest.lower() if isinstance(digest, str) else ""
        if not _HASH_NAME.match(algorithm) or not _is_digest(algorithm, hexadecimal):
            if algorithm in DIGEST_LENGTHS:
                return None  # without it the file would go unchecked
            continue
        hashes[algorithm] = hexadecimal
    return stored_hashes(hashes)


def read_time(value: object) -> datetime | None:
    """Return an upload time in UTC; None for what is none."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def read_size(value: object) -> int | None:
    """Return a size in bytes; None for what is none."""
    return value if type(value) is int and 0 <= value <= _LARGEST_SIZE else None


def read_text(value: object) -> str | None:
    """Return a text that says something; None for others."""
    return value if isinstance(value, str) and value.strip() else None


def read_provenance(value: object) -> str | None:
    """Return the URL of a provenance object; PEP 740 wants it absolute and secure."""
    url = read_url(value)
    return url if url is not None and url.lower().startswith("https://") else None


def read_status(status: object) -> ProjectStatus:
    """Return a project status; one that is not known (yet) counts as active, as clients do."""
    try:
        return ProjectStatus(status)
    except ValueError:
        return ProjectStatus.ACTIVE


def versions_of(name: NormalizedName, files: Iterable[DistFile]) -> tuple[str, ...]:
    """Return the releases that the names of files tell."""
    releases = (release_of(file.filename, name) for file in files)
    return sort_versions(release for release in releases if release is not None)


def list_of_names(names: Iterable[object]) -> ProjectList:
    """Make a project list of what claims to be project names: sorted, each project once, the first spelling stays."""
    found: dict[NormalizedName, str] = {}
    for name in names:
        if isinstance(name, str):
            with suppress(InvalidName):
                found.setdefault(normalize(name), name)
    return ProjectList(names=tuple(sorted(found.values())))


def _is_digest(algorithm: str, digest: str) -> bool:
    return bool(_HEX.match(digest)) and len(digest) == DIGEST_LENGTHS.get(algorithm, len(digest))
