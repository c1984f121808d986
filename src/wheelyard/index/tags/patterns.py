"""
Tag names and the versions they speak of: pure, no git.

A pattern is text with `{version}` once and `{name}` at most once; everything else stands for itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from wheelyard.errors import InvalidName, TagSourceError, shown
from wheelyard.model import NormalizedName
from wheelyard.protocol.names import normalize, parse_version

_FIELD = re.compile(r"\{([^{}]*)\}")
_TAG_LIMIT = 200  # characters; longer ones name nothing a file name has room for


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What a tag says under one pattern.

    Attributes:
        version: PEP 440 version, as it stands in the tag.
        name: The project it names; None when it names none.
    """

    version: str
    name: NormalizedName | None = None


@dataclass(frozen=True, slots=True)
class TagPattern:
    """
    One way to name a version tag.

    Attributes:
        text: As configured: `v{version}`.
    """

    text: str

    def __post_init__(self) -> None:
        fields = _FIELD.findall(self.text)
        if fields.count("version") != 1 or fields.count("name") > 1 or set(fields) - {"version", "name"}:
            raise TagSourceError(
                f"'{shown(self.text)}' is not a pattern of tags: it has '{{version}}' once, may have '{{name}}' once, "
                "and no other braces"
            )
        if _FIELD.sub("", self.text).count("{") or "}{" in self.text:
            raise TagSourceError(f"'{shown(self.text)}' is not a pattern of tags: its parts cannot be told apart")

    def readings(self, tag: str) -> Iterator[Reading]:
        """Yield everything the tag can mean; there are several when a name may end at several places."""
        before, first, middle, second, after = _split(self.text)
        if len(tag) > _TAG_LIMIT or not tag.startswith(before) or not tag.endswith(after):
            return
        inner = tag[len(before) : len(tag) - len(after)] if len(tag) >= len(before) + len(after) else ""
        if second is None:
            yield from _reading(inner, None)
            return
        for found in re.finditer(f"(?={re.escape(middle)})", inner):
            halves = {first: inner[: found.start()], second: inner[found.start() + len(middle) :]}
            yield from _reading(halves["version"], halves["name"])


ONE_PACKAGE_PATTERNS: Final = tuple(
    map(
        TagPattern,
        ("v{version}", "{version}", "{name}-{version}", "{name}-v{version}", "{name}/{version}", "{name}/v{version}"),
    )
)
"""What is understood of a repository with one project."""

MONOREPO_PATTERNS: Final = ONE_PACKAGE_PATTERNS[2:]
"""What is understood of a repository with several: the tag has to say which it is."""


def readings_of(tag: str, patterns: Iterable[TagPattern], name: NormalizedName | None) -> tuple[Reading, ...]:
    """
    Return everything a tag can mean, in the order of the patterns.

    Args:
        tag: Without `refs/tags/`.
        patterns: Which tags are releases.
        name: The project, when it is known: readings for others are left out.
    """
    found = (reading for pattern in patterns for reading in pattern.readings(tag))
    return tuple(dict.fromkeys(each for each in found if name is None or each.name in (None, name)))


def _split(text: str) -> tuple[str, str, str, str | None, str]:
    """Return what stands before, the first field, what stands between, the second field or None, what stands behind."""
    parts = _FIELD.split(text)
    if len(parts) == 3:  # noqa: PLR2004  before, field, after
        return parts[0], parts[1], "", None, parts[2]
    return parts[0], parts[1], parts[2], parts[3], parts[4]


def _reading(version: str, name: str | None) -> Iterator[Reading]:
    if parse_version(version) is None or not version.isascii():
        return
    if name is None:
        yield Reading(version)
        return
    try:
        yield Reading(version, normalize(name))
    except InvalidName:
        return
