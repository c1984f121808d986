"""
How rules name projects, releases and wheels: `acme-*`, `requests<2.32`, `*-win32`.

Rule 1: pure. Rule 2: where a file does not tell its version or tags, a rule that forbids matches and one that allows
does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import Self

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from wheelyard.errors import shown
from wheelyard.model import NormalizedName
from wheelyard.protocol.names import parse_version

_NAME_PATTERN = re.compile(r"[A-Za-z0-9*](?:[A-Za-z0-9._*-]*[A-Za-z0-9*])?\Z")
_SELECTOR = re.compile(r"\s*(?P<name>[A-Za-z0-9._*-]+)\s*(?P<specifier>[<>=!~].*)?\Z", re.DOTALL)
_TAG_PATTERN = re.compile(r"[A-Za-z0-9._*-]+\Z")
_SEPARATORS = re.compile(r"[-_.]+")


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


@dataclass(frozen=True, slots=True)
class NamePattern:
    """
    A project name, or a pattern in which `*` stands for any characters.

    Attributes:
        text: Normalised as project names are: lower case, one `-` for every run of `-`, `_` and `.`.
    """

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read a pattern.

        Raises:
            ValueError: It can match no project name; the text says what a pattern is.
        """
        stripped = text.strip()
        if _NAME_PATTERN.match(stripped) is None:
            raise ValueError(f"'{shown(text)}' is no project name and no pattern like 'acme-*'")
        return cls(_SEPARATORS.sub("-", stripped).lower())

    def matches(self, project: NormalizedName) -> bool:
        """Tell whether a project is meant."""
        return self.text == project or ("*" in self.text and _compiled(self.text).match(project) is not None)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Selector:
    """
    Projects by name, and of them all releases or those of a version specifier.

    Attributes:
        name: Which projects.
        specifier: PEP 440 specifiers (`<2.32,!=2.30`); "" for every release.
    """

    name: NamePattern
    specifier: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read `name`, `name-*` or `name<2,>=1`.

        Raises:
            ValueError: It is none of these.
        """
        match = _SELECTOR.match(text)
        if match is None:
            raise ValueError(f"'{shown(text)}' is not like 'requests', 'acme-*' or 'requests<2.32'")
        return cls(NamePattern.parse(match["name"]), checked_specifier(match["specifier"] or ""))

    def matches(self, project: NormalizedName, release: str | None, *, unknown: bool) -> bool:
        """
        Tell whether a release is meant.

        Args:
            project: Its project.
            release: Its version; None when the file does not tell.
            unknown: The answer when specifiers cannot be applied to that version.
        """
        if not self.name.matches(project):
            return False
        return not self.specifier or contains(self.specifier, release, unknown=unknown)

    def __str__(self) -> str:
        return f"{self.name}{self.specifier}"


def checked_specifier(text: str) -> str:
    """
    Return PEP 440 specifiers as they were written, once they are known to be some; "" stays.

    Raises:
        ValueError: They are not.
    """
    try:
        return str(SpecifierSet(text.strip()))
    except InvalidSpecifier:
        raise ValueError(f"'{shown(text)}' is no version specifier like '<2.32' or '>=1,<2'") from None


def contains(specifier: str, release: str | None, *, unknown: bool) -> bool:
    """Tell whether a release is one of a specifier's, pre-releases too; `unknown` when its version is not PEP 440."""
    version = None if release is None else parse_version(release)
    return unknown if version is None else _specifiers(specifier).contains(version, prereleases=True)


@lru_cache(maxsize=4096)
def _specifiers(text: str) -> SpecifierSet:
    return SpecifierSet(text)


@dataclass(frozen=True, slots=True)
class TagPattern:
    """
    Wheel tags `{python}-{abi}-{platform}`, `*` for any characters.

    Attributes:
        text: Lower case.
    """

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read a pattern.

        Raises:
            ValueError: It can match no tag.
        """
        stripped = text.strip()
        if _TAG_PATTERN.match(stripped) is None:
            raise ValueError(f"'{shown(text)}' is no pattern for wheel tags like 'cp27-*' or '*-win32'")
        return cls(stripped.lower())

    def matches_any(self, tags: Iterable[str]) -> bool:
        """Tell whether one of the tags is meant."""
        pattern = _compiled(self.text)
        return any(pattern.match(tag) for tag in tags)

    def __str__(self) -> str:
        return self.text
