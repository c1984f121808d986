"""
What a project needs, as its lock file says it: names, versions and files, from any of the common formats.

Rule 1: nothing is resolved here. A lock names what was chosen; a plain requirement names what may be chosen.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from wheelyard.errors import InvalidDocument, InvalidName, shown
from wheelyard.model import NormalizedName
from wheelyard.protocol.names import normalize

FORMATS: Final = ("requirements.txt", "uv.lock", "pylock.toml", "poetry.lock", "pdm.lock")
"""What is understood; any other name counts as the first."""

_SHA256 = re.compile(r"sha256:([0-9a-f]{64})")
_HASH_OPTION = re.compile(r"\s--hash[= ]\s*(\S+)")
_COMMENT = re.compile(r"(^|\s)#.*$")
_FURTHER_FILE = re.compile(r"(?P<option>-r|-c|--requirement|--constraint)(?![\w-])[= ]?\s*(?P<path>.+)\Z")
_GLUED_FILE = re.compile(r"(?P<option>-r|-c)(?P<path>[^\s=].*)\Z")  # pip takes "-rother.txt", too
# They say from where or how to install, which is this server's business here; each may have a value.
_NAMING_NOTHING = frozenset(
    {
        *("-i", "--index-url", "--extra-index-url", "--no-index", "--trusted-host", "--require-hashes"),
        *("--no-binary", "--only-binary", "--prefer-binary", "--use-feature"),
    }
)
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
        """Tell whether a file is one of those that are needed; where both sides know a digest, it decides."""
        if self.digests and digest is not None:
            return digest in self.digests
        if self.filenames or self.digests:
            return filename in self.filenames
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
class FurtherFile:
    """
    A file that a requirements file names.

    Attributes:
        path: As written, relative to the file that names it.
        constrains: Whether it only says which releases of what is needed will do (`-c`).
    """

    path: str
    constrains: bool


@dataclass(frozen=True, slots=True)
class Pins:
    """
    What a lock file says.

    Attributes:
        pins: What is needed, in the order of the file.
        passed_over: Lines or packages that no index has, with the reason; for people.
        further: Files that are to be read, too.
    """

    pins: tuple[Pin, ...]
    passed_over: tuple[str, ...] = field(default_factory=tuple)
    further: tuple[FurtherFile, ...] = field(default_factory=tuple)


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
        if name == "pdm.lock":
            return _read(_pdm_packages(tomllib.loads(text)))
        if _PYLOCK.match(name):
            return _read(_pylock_packages(tomllib.loads(text)))
        return _read(_requirements(name, text))
    except UnicodeDecodeError as error:
        raise InvalidDocument(f"'{shown(name)}' is not UTF-8 text (byte {error.start})") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidDocument(f"'{shown(name)}' is not valid TOML: {error}") from error


def constrained(pins: Iterable[Pin], constraints: Iterable[Pin]) -> list[Pin]:
    """Return pins with the versions of constraints on the same projects added to their own."""
    added: dict[NormalizedName, SpecifierSet] = {}
    for each in constraints:
        added[each.project] = added.get(each.project, SpecifierSet()) & each.versions
    return [replace(pin, versions=pin.versions & added.get(pin.project, SpecifierSet())) for pin in pins]


def _read(found: Iterator[Pin | FurtherFile | str]) -> Pins:
    pins, further, passed_over = [], [], []
    for each in found:
        if isinstance(each, str):
            passed_over.append(each)
        elif isinstance(each, FurtherFile):
            further.append(each)
        else:
            pins.append(each)
    return Pins(tuple(pins), tuple(passed_over), tuple(further))


# --- requirements.txt ----------------------------------------------------------------------------------------------


def _requirements(name: str, text: str) -> Iterator[Pin | FurtherFile | str]:
    for line in _logical_lines(text):
        if line.startswith(("[", "{")):
            raise InvalidDocument(
                f"'{shown(name)}' is no requirements file (line '{shown(line)}'); files are known by their names: "
                f"{', '.join(FORMATS)}, pylock.NAME.toml, and any other name for requirements"
            )
        if not line.startswith("-"):
            yield _requirement(line)
        elif (each := _option(line)) is not None:
            yield each


def _logical_lines(text: str) -> Iterator[str]:
    """Yield lines with their continuations, without comments; a comment is never continued."""
    waiting = ""
    for raw in text.splitlines():
        is_comment = raw.lstrip().startswith("#")
        if raw.endswith("\\") and not is_comment:
            waiting += raw[:-1] + " "
            continue
        line = _COMMENT.sub("", waiting + ("" if is_comment else raw)).strip()
        waiting = ""
        if line:
            yield line
    if last := _COMMENT.sub("", waiting).strip():
        yield last


def _option(line: str) -> FurtherFile | str | None:
    """Read a line that is an option of pip; None when it names nothing."""
    match = _FURTHER_FILE.match(line) or _GLUED_FILE.match(line)
    if match is not None:
        path = _unquoted(match["path"])
        if "://" in path:
            return f"'{shown(line)}': only files are read; download it and name it on the command line"
        return FurtherFile(path, constrains=match["option"] in ("-c", "--constraint"))
    name = re.split(r"[\s=]", line, maxsplit=1)[0]
    if name in _NAMING_NOTHING:
        return None
    if name in ("-e", "--editable", "-f", "--find-links"):
        return f"'{shown(line)}' comes from no index"
    return f"'{shown(line)}': this option is not followed"


def _unquoted(text: str) -> str:
    try:
        return (shlex.split(text) or [""])[0]
    except ValueError:  # a quote that is not closed: taken as it stands
        return text


def _requirement(line: str) -> Pin | str:
    hashes = _HASH_OPTION.findall(line)
    digests = frozenset(match[1] for each in hashes if (match := _SHA256.fullmatch(each)))
    try:
        requirement = Requirement(re.split(r"\s--", line, maxsplit=1)[0])
        project = normalize(requirement.name)
    except (InvalidRequirement, InvalidName):
        if line.startswith((".", "/", "file:", "git+", "http:", "https:")) or re.search(r"\.(whl|gz|zip)\b", line):
            return f"'{shown(line)}' comes from no index"
        return f"'{shown(line)}' is no requirement"
    if requirement.url is not None:
        return f"'{shown(requirement.name)}' comes from a URL, not from an index"
    return Pin(project=project, versions=requirement.specifier, digests=digests)


# --- TOML ----------------------------------------------------------------------------------------------------------


def _uv_packages(document: Mapping[str, Any]) -> Iterator[Pin | str]:
    for package in _tables(document, "package"):
        source = package.get("source")
        if isinstance(source, Mapping) and "." in (source.get("editable"), source.get("virtual")):
            continue  # the project that is locked
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


def _pdm_packages(document: Mapping[str, Any]) -> Iterator[Pin | str]:
    for package in _tables(document, "package"):
        if any(key in package for key in ("path", "url", "git", "hg", "svn", "bzr")):
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
