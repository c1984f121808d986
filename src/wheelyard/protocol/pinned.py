"""
What a project needs, as its lock file says it: names, versions and files, from any of the four common formats.

Rule 1: nothing is resolved here. A lock names what was chosen; a plain requirement names what may be chosen.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from wheelyard.errors import InvalidDocument, InvalidName, shown
from wheelyard.model import NormalizedName
from wheelyard.protocol.names import normalize

FORMATS: Final = ("requirements.txt", "uv.lock", "pylock.toml", "poetry.lock")
"""What is understood; any other name counts as the first."""

_SHA256 = re.compile(r"sha256:([0-9a-f]{64})")
_HASH_OPTION = re.compile(r"\s--hash[= ]\s*(\S+)")
_COMMENT = re.compile(r"(^|\s)#.*$")
_PYLOCK = re.compile(r"pylock(\.[^.]+)?\.toml\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """
    One project that is needed.

    Attributes:
        project: Its name.
        versions: Which releases will do.
        filenames: The files that were chosen; empty when the lock names none.
        digests: SHA-256 digests of the files that were chosen; empty when the lock names none.
    """

    project: NormalizedName
    versions: SpecifierSet
    filenames: frozenset[str] = frozenset()
    digests: frozenset[str] = frozenset()

    def wants(self, filename: str, digest: str | None, version: str | None) -> bool:
        """Tell whether a file is one of those that are needed."""
        if self.filenames or self.digests:
            return filename in self.filenames or (digest is not None and digest in self.digests)
        try:
            return version is not None and self.versions.contains(Version(version), prereleases=True)
        except InvalidVersion:
            return False

    @property
    def is_exact(self) -> bool:
        """Whether one release, or a set of files, is named."""
        exact = [each for each in self.versions if each.operator in ("==", "===") and not each.version.endswith("*")]
        return bool(self.filenames or self.digests or exact)


@dataclass(frozen=True, slots=True)
class Pins:
    """
    What a lock file says.

    Attributes:
        pins: What is needed, in the order of the file.
        passed_over: Lines or packages that no index has, with the reason; for people.
    """

    pins: tuple[Pin, ...]
    passed_over: tuple[str, ...] = field(default_factory=tuple)


def read_pins(name: str, content: bytes) -> Pins:
    """
    Read a lock file.

    Args:
        name: Its file name, which tells the format.
        content: Its bytes.
    Raises:
        InvalidDocument: It is not of the format that its name tells.
    """
    try:
        text = content.decode("utf-8-sig")
        if name == "uv.lock":
            return _read(_uv_packages(tomllib.loads(text)))
        if name == "poetry.lock":
            return _read(_poetry_packages(tomllib.loads(text)))
        if _PYLOCK.match(name):
            return _read(_pylock_packages(tomllib.loads(text)))
        return _read(_requirements(text))
    except UnicodeDecodeError as error:
        raise InvalidDocument(f"'{shown(name)}' is not UTF-8 text (byte {error.start})") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidDocument(f"'{shown(name)}' is not valid TOML: {error}") from error


def _read(found: Iterator[Pin | str]) -> Pins:
    pins, passed_over = [], []
    for each in found:
        if isinstance(each, str):
            passed_over.append(each)
        else:
            pins.append(each)
    return Pins(tuple(pins), tuple(passed_over))


# --- requirements.txt ----------------------------------------------------------------------------------------------


def _requirements(text: str) -> Iterator[Pin | str]:
    joined = re.sub(r"\\\r?\n", " ", text)
    for raw in joined.splitlines():
        line = _COMMENT.sub("", raw).strip()
        if not line:
            continue
        if line.startswith("-"):
            if not line.startswith(("--hash", "-i ", "--index-url", "--extra-index-url")):
                yield f"'{shown(line)}': options are not followed; name further files on the command line"
            continue
        yield _requirement(line)


def _requirement(line: str) -> Pin | str:
    hashes = _HASH_OPTION.findall(line)
    digests = frozenset(match[1] for each in hashes if (match := _SHA256.fullmatch(each)))
    try:
        requirement = Requirement(re.split(r"\s--", line, maxsplit=1)[0])
        project = normalize(requirement.name)
    except (InvalidRequirement, InvalidName):
        return f"'{shown(line)}' is no requirement"
    if requirement.url is not None:
        return f"'{shown(requirement.name)}' comes from a URL, not from an index"
    return Pin(project=project, versions=requirement.specifier, digests=digests)


# --- TOML ----------------------------------------------------------------------------------------------------------


def _uv_packages(document: Mapping[str, Any]) -> Iterator[Pin | str]:
    for package in _tables(document, "package"):
        source = package.get("source")
        if not isinstance(source, Mapping) or "registry" not in source:
            yield f"'{shown(package.get('name'))}' comes from no index"
            continue
        files = [
            *_tables(package, "wheels"),
            *([package["sdist"]] if isinstance(package.get("sdist"), Mapping) else []),
        ]
        yield _pin(package, files, hash_of=lambda file: file.get("hash"))


def _pylock_packages(document: Mapping[str, Any]) -> Iterator[Pin | str]:
    for package in _tables(document, "packages"):
        files = [
            *_tables(package, "wheels"),
            *([package["sdist"]] if isinstance(package.get("sdist"), Mapping) else []),
        ]
        if not files:
            yield f"'{shown(package.get('name'))}' comes from no index"
            continue
        yield _pin(package, files, hash_of=_pylock_hash)


def _poetry_packages(document: Mapping[str, Any]) -> Iterator[Pin | str]:
    for package in _tables(document, "package"):
        source = package.get("source")
        if isinstance(source, Mapping) and source.get("type") in ("git", "url", "directory", "file"):
            yield f"'{shown(package.get('name'))}' comes from no index"
            continue
        yield _pin(package, _tables(package, "files"), hash_of=lambda file: file.get("hash"))


def _pin(package: Mapping[str, Any], files: list[Mapping[str, Any]], *, hash_of: Any) -> Pin | str:
    name, version = package.get("name"), package.get("version")
    try:
        project = normalize(name if isinstance(name, str) else "")
        versions = SpecifierSet(f"=={version}") if isinstance(version, str) else SpecifierSet()
    except (InvalidName, InvalidSpecifier):
        return f"'{shown(name)}' {shown(version)} is no release"
    digests = (match[1] for file in files if (match := _SHA256.fullmatch(str(hash_of(file) or ""))))
    return Pin(
        project=project,
        versions=versions,
        filenames=frozenset(filter(None, map(_filename, files))),
        digests=frozenset(digests),
    )


def _pylock_hash(file: Mapping[str, Any]) -> str | None:
    hashes = file.get("hashes")
    digest = hashes.get("sha256") if isinstance(hashes, Mapping) else None
    return None if digest is None else f"sha256:{digest}"


def _filename(file: Mapping[str, Any]) -> str:
    for key in ("filename", "name", "file"):
        if isinstance(file.get(key), str):
            return str(file[key])
    for key in ("url", "path"):
        if isinstance(file.get(key), str):
            return unquote(urlsplit(file[key]).path.rpartition("/")[2])
    return ""


def _tables(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    value = document.get(key, [])
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
