"""
What things are called at GitHub: paths on the branch, tags of releases, assets; pure.

A folder of a repository should not have more than 3,000 entries, so projects are spread over 256 folders by the start of
a digest of their name, and so are the metadata files of one project. What is not plain in a name is written with a
percent sign and two hexadecimal digits for each byte, as in an address.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from wheelyard.model import Key
from wheelyard.storage.keys import PAGES, RECORD_NAME

METADATA_SUFFIX: Final = ".metadata"
ASSETS_LIMIT: Final = 1000
"""How many assets GitHub lets one release have."""

_FILES_NAME: Final = "files.json"
_OTHERS: Final = "other"  # keys outside `simple/<project>/`
_PLAIN: Final = re.compile(r"[^A-Za-z0-9._+!-]")
_ASSET_LIMIT: Final = 200
_TAG_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._+!-]|\.\.|^[.-]|\.$|\.lock$")
_ROLLING_ASSETS: Final = 900
_PROJECT_SEGMENTS: Final = 3


@dataclass(frozen=True, slots=True)
class Place:
    """
    Which group of files a key belongs to.

    Attributes:
        group: Name of the project; "" for keys that are in none.
        name: What the group calls the file.
    """

    group: str
    name: str


def place_of(key: str) -> Place:
    """Return the group of a key and its name there."""
    segments = key.split("/", _PROJECT_SEGMENTS - 1)
    if len(segments) == _PROJECT_SEGMENTS and segments[0] == PAGES:
        return Place(segments[1], segments[2])
    return Place("", key)


def key_of(place: Place) -> Key:
    """Return the key that `place_of` took apart."""
    return Key(f"{PAGES}/{place.group}/{place.name}" if place.group else place.name)


def short_digest(text: str, length: int = 12) -> str:
    """Return the start of the digest of a name."""
    return sha256(text.encode()).hexdigest()[:length]


def segment(text: str) -> str:
    """Return a name as one segment of a path on the branch; plain names stay as they are."""
    written = "".join(_written(character) if _PLAIN.match(character) else character for character in text)
    if written.startswith("."):
        written = f"%2E{written[1:]}"
    return f"{written[:-1]}%2E" if written.endswith(".") else written


def _written(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())


def unwritten(text: str) -> str:
    """Return the name that `segment` wrote."""
    return re.sub(r"(?:%[0-9A-F]{2})+", lambda found: bytes.fromhex(found[0].replace("%", "")).decode(), text)


def folder_path(group: str) -> str:
    """Return the folder of a group on the branch."""
    return f"{PAGES}/{short_digest(group, 2)}/{segment(group)}" if group else _OTHERS


def record_path(key: str) -> str:
    """Return where a record is on the branch."""
    return f"{folder_path(place_of(key).group)}/{RECORD_NAME}"


def files_path(group: str) -> str:
    """Return where the list of a group's files is on the branch."""
    return f"{folder_path(group)}/{_FILES_NAME}"


def metadata_path(place: Place) -> str:
    """Return where a small file is on the branch."""
    return f"{folder_path(place.group)}/metadata/{short_digest(place.name, 2)}/{segment(place.name)}"


def is_record_path(path: str) -> bool:
    """Tell whether a path of the branch is one of a record."""
    parts = path.split("/")
    return len(parts) == 4 and parts[0] == PAGES and parts[3] == RECORD_NAME  # noqa: PLR2004  simple, digest, project, name


def is_files_path(path: str) -> bool:
    """Tell whether a path of the branch is a list of files."""
    parts = path.split("/")
    in_project = len(parts) == 4 and parts[0] == PAGES and parts[3] == _FILES_NAME  # noqa: PLR2004  as above
    return in_project or path == f"{_OTHERS}/{_FILES_NAME}"


def record_key_of(path: str) -> Key:
    """Return the key of the record at a path of the branch."""
    return Key(f"{PAGES}/{unwritten(path.split('/')[2])}/{RECORD_NAME}")


# --- releases ------------------------------------------------------------------------------------------------------


def distribution(place: Place) -> tuple[str, str] | None:
    """Return project and version of a wheel or sdist that is in its own project's group; None for other files."""
    try:
        if place.name.endswith(".whl"):
            project, version = parse_wheel_filename(place.name)[:2]
        else:
            project, version = parse_sdist_filename(place.name)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None
    return (project, str(version)) if project == canonicalize_name(place.group) else None


def tag_of(place: Place, layout: str) -> str:
    """Return the tag of the first release that a file may go to."""
    if layout == "rolling":
        return "store-0001"
    if layout == "file":
        return _safe_tag(place.name if distribution(place) else f"{short_digest(key_of(place))}-{place.name}")
    known = distribution(place)
    return _safe_tag("-".join(known) if known else f"{place.group or 'other'}-files")


def next_tag(tag: str) -> str:
    """Return the tag of the release after one that is full."""
    base, _, number = tag.rpartition("-")
    if base == "store" and number.isdigit():
        return f"{base}-{int(number) + 1:04d}"
    found = re.fullmatch(r"(.*)-part(\d+)", tag)
    return f"{found[1]}-part{int(found[2]) + 1}" if found else f"{tag}-part2"


def most_assets(layout: str) -> int:
    """Return after how many assets the next release is taken."""
    return _ROLLING_ASSETS if layout == "rolling" else ASSETS_LIMIT


def _safe_tag(text: str) -> str:
    if _TAG_UNSAFE.search(text) is None and len(text) <= _ASSET_LIMIT:
        return text
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', text).strip('-')[:100]}-{short_digest(text)}".lstrip("-")


# --- assets --------------------------------------------------------------------------------------------------------


def github_name(name: str) -> str:
    """Return what GitHub makes of the name of an asset."""
    plain = "".join(c for c in unicodedata.normalize("NFD", name) if unicodedata.category(c) != "Mn")
    plain = re.sub(r"[^a-zA-Z0-9\-_+@]+", ".", plain)
    return re.sub(r"\.\.+", ".", plain).strip(".")


def asset_name(place: Place) -> str:
    """Return the name under which a file's bytes are kept: its own, when GitHub keeps that and no other file has it."""
    if distribution(place) is not None and github_name(place.name) == place.name and len(place.name) <= _ASSET_LIMIT:
        return place.name
    return marked_name(place, short_digest(key_of(place)))


def marked_name(place: Place, mark: str) -> str:
    """Return a name that begins with a mark of its own, so that nothing else has it."""
    return f"{mark}-{github_name(place.name)[-_ASSET_LIMIT:].lstrip('.')}".rstrip("-")
