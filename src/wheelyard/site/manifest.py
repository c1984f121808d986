"""What a site holds, by digest: with it a build knows what changed, and what to remove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import msgspec

from wheelyard.errors import InvalidDocument
from wheelyard.protocol.untrusted import read_object
from wheelyard.site.destination import OWN_FOLDER

PATH: Final = f"{OWN_FOLDER}/site.json"
"""Where the manifest is in a site."""

_FORMAT: Final = 1
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One project as it is published.

    Attributes:
        revision: Of the record it was made from; "" where the storage does not tell without being asked.
        digest: Of its pages.
        aliases: Spellings of its name that lead to it.
    """

    revision: str
    digest: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    What was published.

    Attributes:
        made_by: Version of this program and options that pages depend on; another one means rendering everything again.
        projects: By normalised name.
        others: Digest of every other page, by path.
        unfinished: Whether a build began since and was not heard of again.
    """

    made_by: str = ""
    projects: Mapping[str, Entry] = field(default_factory=lambda: MappingProxyType({}))
    others: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    unfinished: bool = False


def render(manifest: Manifest) -> bytes:
    """Write a manifest."""
    return _encode(
        {
            "format": _FORMAT,
            "made_by": manifest.made_by,
            "unfinished": manifest.unfinished,
            "others": dict(manifest.others),
            "projects": {
                name: (entry.revision, entry.digest, *entry.aliases) for name, entry in manifest.projects.items()
            },
        }
    )


def parse(content: bytes) -> Manifest:
    """
    Read a manifest.

    Raises:
        InvalidDocument: It is none, or a newer version's.
    """
    document = read_object(content, "manifest of a site")
    projects, others = document.get("projects"), document.get("others")
    if document.get("format") != _FORMAT or not isinstance(projects, dict) or not isinstance(others, dict):
        raise InvalidDocument("it is not the manifest of a site that this version builds")
    return Manifest(
        made_by=_text(document.get("made_by")),
        projects={name: _entry(entry) for name, entry in projects.items()},
        others={path: _text(digest) for path, digest in others.items()},
        unfinished=document.get("unfinished") is True,
    )


def _entry(value: Any) -> Entry:
    if not isinstance(value, list) or len(value) < 2:  # noqa: PLR2004  revision, digest, aliases
        raise InvalidDocument("it lists something else than projects")
    revision, digest, *aliases = map(_text, value)
    return Entry(revision, digest, tuple(aliases))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidDocument("it holds something else than text")
    return value
