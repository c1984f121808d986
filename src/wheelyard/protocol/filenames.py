"""Names of distribution files: what a wheel's or an sdist's name says, strictly for uploads, tolerantly for upstreams."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from packaging.utils import canonicalize_name, parse_wheel_filename

from wheelyard.errors import InvalidFilename, InvalidName
from wheelyard.model import FileKind, NormalizedName
from wheelyard.protocol.names import canonical_version, normalize, parse_version

FILENAME_LIMIT_BYTES = 255
"""What every file system can hold as one name."""

SDIST_EXTENSIONS = (".tar.gz", ".zip")
"""Endings of source distributions; `.zip` is from before PEP 625."""

_PARTS, _PARTS_WITH_BUILD = 5, 6  # name, version, (build,) python tag, abi tag, platform tag

_ALLOWED = re.compile(r"[A-Za-z0-9._+!~-]+\Z")

# PEP 625: "{name}-{version}.tar.gz"
_PEP625 = re.compile(r"(?P<name>[a-z0-9_]+)-(?P<version>[^-]+)\.tar\.gz\Z")

# What an upstream's page may list besides wheels and sdists, each with the release in its name.
_OTHER_EXTENSIONS = re.compile(
    r"(?:-variants\.json|\.whl|\.egg|\.exe|\.msi|\.rpm|\.deb|\.dmg|\.tar\.(?:bz2|xz|Z|lzma)|\.tgz|\.tbz|\.tar)\Z"
)
_INSTALLER_PLATFORM = re.compile(r"\.(?:win32|win-amd64|win-arm64|linux-|macosx-).*\Z")  # foo-1.0.win32-py2.7.exe


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedFilename:
    """
    What the name of a distribution file says.

    Attributes:
        filename: As given.
        kind: Wheel or sdist.
        name: Normalised project name.
        version: Canonical PEP 440 version.
        build: Build number of a wheel with what follows it (`1a`); None when it has none.
        tags: Expanded tags of a wheel (`py3-none-any`); empty for an sdist.
        python_tag: `py3`, `py2.py3`, `cp311`; `source` for an sdist.
    """

    filename: str
    kind: FileKind
    name: NormalizedName
    version: str
    build: str | None = None
    tags: frozenset[str] = frozenset()
    python_tag: str = "source"


def parse_filename(filename: str, project: NormalizedName | None = None) -> ParsedFilename:
    """
    Read the name of a wheel or an sdist.

    Old sdist names (`Foo.Bar-1.0.zip`, `foo-bar-1.0.tar.gz`) are read too: a private index keeps such files.

    Args:
        filename: Never a path.
        project: Says where an sdist's name ends when there are several ways (`foo-1.0-1.tar.gz`). No check:
            a file of another project is read all the same.
    Returns:
        Its parts.
    Raises:
        InvalidFilename: Not such a name; the reason is in the text.
    Spec: PEP 491 (wheels), PEP 625 (sdists).
    """
    _check_characters(filename)
    if filename.endswith(".whl"):
        return _parse_wheel(filename)
    for extension in SDIST_EXTENSIONS:
        if filename.endswith(extension):
            return _parse_sdist(filename, filename.removesuffix(extension), project)
    raise InvalidFilename(filename, "it must end in '.whl', '.tar.gz' or '.zip' (in lower case)")


def is_pep625(filename: str) -> bool:
    """Tell whether an sdist is named as PEP 625 asks: normalised name with `_`, one `-`, canonical version, `.tar.gz`."""
    match = _PEP625.match(filename)
    if match is None:
        return False
    name, version = match["name"], match["version"]
    return canonicalize_name(name).replace("-", "_") == name and _canonical_or_none(version) == version


def release_of(filename: str, project: NormalizedName) -> str | None:
    """
    Return the version that a file of any kind belongs to, canonical where it parses; never raise.

    For pages of other indexes, which list eggs, installers, variant wheels and worse beside the good files.

    Args:
        filename: Any string.
        project: Whose page lists it.
    Returns:
        The version, or None when the name does not tell.
    """
    try:
        parsed = parse_filename(filename, project)
    except InvalidFilename:
        return _release_of_odd(filename, project)
    return parsed.version if parsed.name == project else None


def quote_filename(filename: str) -> str:
    """Percent-encode a file name for use as one segment of a URL path (`+` as `%2B`, `!` as `%21`)."""
    return quote(filename, safe="", errors="replace")


def _check_characters(filename: str) -> None:
    if len(filename.encode("utf-8", "surrogatepass")) > FILENAME_LIMIT_BYTES:
        raise InvalidFilename(filename, f"it is longer than {FILENAME_LIMIT_BYTES} bytes")
    if "/" in filename or "\\" in filename:
        raise InvalidFilename(filename, "it must be a plain name without '/' or '\\'")
    if _ALLOWED.match(filename) is None:
        raise InvalidFilename(filename, "only ASCII letters, digits and '.', '_', '-', '+', '!', '~' may stand in it")


def _parse_wheel(filename: str) -> ParsedFilename:
    parts = filename.removesuffix(".whl").split("-")
    try:
        _, version, _, tags = parse_wheel_filename(filename)
    except ValueError as error:  # InvalidWheelFilename is one, and so are integers of thousands of digits
        raise InvalidFilename(filename, _wheel_fault(parts)) from error
    return ParsedFilename(
        filename=filename,
        kind=FileKind.WHEEL,
        # packaging takes `_foo` for the name `-foo`; the name pattern does not.
        name=_checked_name(filename, parts[0]),
        version=str(version),
        build=parts[2] if len(parts) == _PARTS_WITH_BUILD else None,
        tags=frozenset(str(tag) for tag in tags),
        python_tag=parts[-3],
    )


def _wheel_fault(parts: list[str]) -> str:
    if len(parts) not in (_PARTS, _PARTS_WITH_BUILD):
        return "a wheel is named '{name}-{version}(-{build})-{python}-{abi}-{platform}.whl'"
    if "__" in parts[0]:
        return "the name part must not contain '__'"
    if parse_version(parts[1]) is None:
        return f"'{parts[1]}' is not a version (PEP 440)"
    if len(parts) == _PARTS_WITH_BUILD and not parts[2][:1].isdigit():
        return f"the build number '{parts[2]}' must start with a digit"
    return f"'{'-'.join(parts[-3:])}' is no set of tags '{{python}}-{{abi}}-{{platform}}'"


def _parse_sdist(filename: str, stem: str, project: NormalizedName | None) -> ParsedFilename:
    name, version = _split_sdist(stem, project)
    if not name:
        raise InvalidFilename(filename, "an sdist is named '{name}-{version}.tar.gz'")
    canonical = _canonical_or_none(version)
    if canonical is None:
        raise InvalidFilename(filename, f"'{version}' is not a version (PEP 440)")
    return ParsedFilename(filename=filename, kind=FileKind.SDIST, name=_checked_name(filename, name), version=canonical)


def _split_sdist(stem: str, project: NormalizedName | None) -> tuple[str, str]:
    for name, version in _splits(stem):
        if project is not None and str(canonicalize_name(name)) == project and parse_version(version) is not None:
            return name, version
    # As packaging does: a canonical version has no hyphen, so the last one is the border.
    name, _, version = stem.rpartition("-")
    return name, version


def _splits(stem: str) -> Iterator[tuple[str, str]]:
    """Yield every way to cut `stem` in two at a hyphen."""
    for hyphen in re.finditer("-", stem):
        yield stem[: hyphen.start()], stem[hyphen.end() :]


def _checked_name(filename: str, name: str) -> NormalizedName:
    try:
        return normalize(name)
    except InvalidName as error:
        raise InvalidFilename(filename, f"'{name}' is not a project name") from error


def _canonical_or_none(version: str) -> str | None:
    return None if parse_version(version) is None else canonical_version(version)


def _release_of_odd(filename: str, project: NormalizedName) -> str | None:
    for extension in SDIST_EXTENSIONS:
        if filename.endswith(extension):
            # An sdist with a legacy version: all that follows the name.
            rest = _after_project(filename.removesuffix(extension), project)
            return None if rest is None else canonical_version(rest)
    stem = _OTHER_EXTENSIONS.sub("", filename)
    rest = None if stem == filename else _after_project(stem, project)
    if rest is None:
        return None
    # Tags follow the version, each behind a hyphen; an old tar file may have a hyphen in the version itself.
    rest = _INSTALLER_PLATFORM.sub("", rest)
    return canonical_version(rest if parse_version(rest) is not None else rest.partition("-")[0]) or None


def _after_project(stem: str, project: NormalizedName) -> str | None:
    for name, rest in _splits(stem):
        if str(canonicalize_name(name)) == project and rest:
            return rest
    return None
