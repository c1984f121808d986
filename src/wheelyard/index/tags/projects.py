"""
What a project says of itself in `pyproject.toml`, `setup.cfg` and `setup.py`, read without running code.

Rule 1: only what is certain is told. A field that a build may still fill in or change is in `dynamic`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from wheelyard.errors import InvalidName, TagSourceError, shown
from wheelyard.index.tags.literals import assigned_text, parse_module
from wheelyard.protocol.names import normalize, parse_version

ReadFile = Callable[[str], bytes | None]
"""Reads a file of the project by its path below the project's folder; None when there is none."""

RESOLVED: Final = frozenset({"Requires-Dist", "Provides-Extra", "Requires-Python"})
"""Fields that resolvers read."""

_README_TYPES = {".md": "text/markdown", ".rst": "text/x-rst", ".txt": "text/plain"}
_FROM_TAG = object()

# Build requirements that take the version from the repository's tags.
_TAG_READERS = frozenset(
    (
        *("setuptools-scm", "setuptools-git-versioning", "hatch-vcs", "versioneer", "versioningit", "flit-scm", "pbr"),
        *("poetry-dynamic-versioning", "uv-dynamic-versioning", "dunamai"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticProject:
    """
    A project at one commit.

    Attributes:
        name: As written.
        version: As written; None when the build takes it from the tag.
        summary: One line.
        requires_python: Version specifiers.
        requires: Requirements.
        extras: Extra to its requirements.
        authors: As `(name, email)`; either may be "".
        maintainers: The same.
        keywords: Words.
        classifiers: As written.
        urls: Label to URL.
        license_expression: SPDX.
        description: The README.
        description_type: Its media type.
        dynamic: Core metadata fields that a build may fill in or change.
    """

    name: str
    version: str | None
    summary: str | None = None
    requires_python: str | None = None
    requires: tuple[str, ...] = ()
    extras: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    authors: tuple[tuple[str, str], ...] = ()
    maintainers: tuple[tuple[str, str], ...] = ()
    keywords: tuple[str, ...] = ()
    classifiers: tuple[str, ...] = ()
    urls: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    license_expression: str | None = None
    description: str | None = None
    description_type: str | None = None
    dynamic: frozenset[str] = frozenset()


def read_project(read: ReadFile) -> StaticProject:
    """
    Read what a project says of itself.

    Args:
        read: Reads its files.
    Returns:
        Its name and version, checked, and whatever else is certain.
    Raises:
        TagSourceError: Name or version cannot be told without running code.
    """
    from wheelyard.index.tags.setuptools_files import read_setuptools  # noqa: PLC0415  it is written with this module's words

    content = read("pyproject.toml")
    document = {} if content is None else _toml(content)
    if "project" in document:
        project = _standard(document, read)
    elif "name" in _table(document, "tool", "poetry"):
        project = _poetry(document)
    elif _table(document, "tool", "flit", "metadata"):
        project = _old_flit(document, read)
    else:
        project = read_setuptools(read, from_tag=_reads_tags(document))
    _check(project)
    return project


# --- [project] -------------------------------------------------------------------------------------------------------


def _standard(document: Mapping[str, object], read: ReadFile) -> StaticProject:
    """Spec: pyproject.toml, the `[project]` table: what is not in `dynamic`, a build may not change."""
    table = _table(document, "project")
    name = _text(table, "name")
    if name is None:
        raise TagSourceError("pyproject.toml has a table [project] without a name")
    dynamic = set(_texts(table, "dynamic"))
    project = StaticProject(
        name=name,
        version=_version_of(document, table, dynamic, name, read),
        summary=_text(table, "description"),
        requires_python=_text(table, "requires-python"),
        requires=_texts(table, "dependencies"),
        extras={
            extra: _texts(_table(table, "optional-dependencies"), extra)
            for extra in _table(table, "optional-dependencies")
        },
        authors=_people(table, "authors"),
        maintainers=_people(table, "maintainers"),
        keywords=_texts(table, "keywords"),
        classifiers=_texts(table, "classifiers"),
        urls={label: url for label, url in _table(table, "urls").items() if isinstance(url, str)},
        license_expression=_text(table, "license"),
        dynamic=_metadata_fields(dynamic) | {"License", "License-File"},
    )
    return _with_readme(project, table.get("readme"), read)


def _version_of(
    document: Mapping[str, object], table: Mapping[str, object], dynamic: set[str], name: str, read: ReadFile
) -> str | None:
    if "version" not in dynamic:
        version = _text(table, "version")
        if version is None:
            raise TagSourceError("pyproject.toml has a table [project] with neither a version nor a dynamic one")
        return version
    found = _dynamic_version(document, name, read)
    if found is None:
        raise TagSourceError("its version is dynamic, and cannot be told without running code")
    return found if isinstance(found, str) else None


def _dynamic_version(document: Mapping[str, object], name: str, read: ReadFile) -> object:
    """Return a version that stands somewhere as text, `_FROM_TAG`, or None when it cannot be told."""
    stated = _table(document, "tool", "setuptools", "dynamic", "version")
    if stated:
        root = _text(_table(document, "tool", "setuptools", "package-dir"), "") or ""
        return version_by_attribute(_text(stated, "attr"), read, root) or version_by_file(stated.get("file"), read)
    hatch, pdm = _table(document, "tool", "hatch", "version"), _table(document, "tool", "pdm", "version")
    if hatch:
        # A pattern of its own is a stranger's regular expression, which could run for ever.
        is_plain = _text(hatch, "source") in (None, "regex") and "pattern" not in hatch
        return (
            _version_in(_text(hatch, "path"), read, ("__version__", "VERSION"))
            if is_plain
            else _from_tag(hatch, "vcs", document)
        )
    if pdm:
        if _text(pdm, "source") != "file":
            # Other builds find it in PKG-INFO; this one looks for a repository and fails.
            raise TagSourceError(
                "pdm takes its version from Git, and cannot build an archive; write it into pyproject.toml"
            )
        return _version_in(_text(pdm, "path"), read, ("__version__",))
    if _text(_table(document, "tool", "poetry"), "version") is not None and not _reads_tags(document):
        return _text(_table(document, "tool", "poetry"), "version")
    backend = _text(_table(document, "build-system"), "build-backend") or ""
    if backend.startswith("flit_core"):
        return _version_of_module(
            _text(_table(document, "tool", "flit", "module"), "name") or name.replace("-", "_"), read
        )
    return _FROM_TAG if _reads_tags(document) else None


def _from_tag(table: Mapping[str, object], word: str, document: Mapping[str, object]) -> object:
    return _FROM_TAG if _text(table, "source") == word or _reads_tags(document) else None


def _reads_tags(document: Mapping[str, object]) -> bool:
    """Tell whether a build of this project takes its version from the tag it is at."""
    tool = _table(document, "tool")
    dynamic_versioning = _table(tool, "poetry-dynamic-versioning")
    if (
        any(name in tool for name in ("setuptools_scm", "setuptools-scm", "versioneer"))
        or dynamic_versioning.get("enable") is True
    ):
        return True
    required = _texts(_table(document, "build-system"), "requires")
    return any(_name_of(requirement) in _TAG_READERS - {"poetry-dynamic-versioning"} for requirement in required)


def _with_readme(project: StaticProject, readme: object, read: ReadFile) -> StaticProject:
    """Add the README; it is for people, so one that cannot be read is no reason to refuse the release."""
    path = readme if isinstance(readme, str) else readme.get("file") if isinstance(readme, dict) else None
    kind = readme.get("content-type") if isinstance(readme, dict) else None
    text = readme.get("text") if isinstance(readme, dict) else None
    if isinstance(path, str) and is_inner(path):
        content = read(path)
        text = None if content is None else content.decode("utf-8", "replace")
        kind = kind or _README_TYPES.get(PurePosixPath(path).suffix.lower())
    if not isinstance(text, str):
        return project if readme is None else replace(project, dynamic=project.dynamic | {"Description"})
    return replace(project, description=text, description_type=kind if isinstance(kind, str) else "text/plain")


def _metadata_fields(dynamic: set[str]) -> frozenset[str]:
    """Return the core metadata fields of names that stand in `dynamic`."""
    fields = {
        "description": {"Summary"},
        "readme": {"Description", "Description-Content-Type"},
        "requires-python": {"Requires-Python"},
        "dependencies": {"Requires-Dist"},
        "optional-dependencies": {"Requires-Dist", "Provides-Extra"},
        "authors": {"Author", "Author-Email"},
        "maintainers": {"Maintainer", "Maintainer-Email"},
        "keywords": {"Keywords"},
        "classifiers": {"Classifier"},
        "urls": {"Project-URL"},
        "license": {"License-Expression"},
    }
    return frozenset(each for name in dynamic for each in fields.get(name, ()))


# --- others ----------------------------------------------------------------------------------------------------------


def _poetry(document: Mapping[str, object]) -> StaticProject:
    """Poetry's own table: its constraints are not those of the metadata, so what it requires is left to the build."""
    table = _table(document, "tool", "poetry")
    name, version = _text(table, "name"), _text(table, "version")
    if name is None or (version is None and not _reads_tags(document)):
        raise TagSourceError("pyproject.toml has a table [tool.poetry] without name and version")
    return StaticProject(
        name=name,
        version=None if _reads_tags(document) else version,
        summary=_text(table, "description"),
        dynamic=RESOLVED | {"Description", "License", "License-File"},
    )


def _old_flit(document: Mapping[str, object], read: ReadFile) -> StaticProject:
    table = _table(document, "tool", "flit", "metadata")
    module = _text(table, "module")
    if module is None:
        raise TagSourceError("pyproject.toml has a table [tool.flit.metadata] without a module")
    version = _version_of_module(module, read)
    if version is None:
        raise TagSourceError(f"module '{shown(module)}' has no __version__ that can be told without running code")
    return StaticProject(
        name=_text(table, "dist-name") or module,
        version=version,
        dynamic=RESOLVED | {"Summary", "Description", "License"},
    )


def version_by_attribute(attribute: str | None, read: ReadFile, root: str = "") -> str | None:
    """Return the text of `package.module.attribute`, as setuptools' `attr:` names it; None when it is no literal."""
    module, _, name = (attribute or "").strip().rpartition(".")
    return _version_of_module(module, read, name, root) if module and name else None


def version_by_file(path: object, read: ReadFile) -> str | None:
    """Return the content of a file that holds a version, as setuptools' `file:` names it; None when there is none."""
    if isinstance(path, list) and len(path) == 1:
        path = path[0]
    if not isinstance(path, str) or not is_inner(path.strip()):
        return None
    content = read(path.strip())
    return None if content is None else content.decode("utf-8", "replace").strip() or None


def is_inner(path: str) -> bool:
    """Tell whether a path stays inside of its folder."""
    return bool(path) and not path.startswith("/") and not {"..", "."} & set(path.split("/")) and path.isprintable()


def _version_of_module(module: str, read: ReadFile, name: str = "__version__", root: str = "") -> str | None:
    path = module.replace(".", "/")
    for folder in dict.fromkeys((root.strip("/"), "", "src")):
        for ending in (".py", "/__init__.py"):
            found = _version_in(f"{folder}/{path}{ending}".lstrip("/"), read, (name,))
            if found is not None:
                return found
    return None


def _version_in(path: str | None, read: ReadFile, names: tuple[str, ...]) -> str | None:
    content = read(path) if path is not None and is_inner(path) else None
    module = None if content is None else parse_module(content)
    if module is None:
        return None
    return next((text for name in names if (text := assigned_text(module, name)) is not None), None)


def _check(project: StaticProject) -> None:
    try:
        normalize(project.name)
    except InvalidName as error:
        raise TagSourceError(error.message) from error
    if project.version is not None and parse_version(project.version) is None:
        raise TagSourceError(f"its version '{shown(project.version)}' is not a version (PEP 440)")


# --- TOML ------------------------------------------------------------------------------------------------------------


def _toml(content: bytes) -> Mapping[str, object]:
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise TagSourceError(f"pyproject.toml cannot be read: {shown(error)}") from error


def _table(document: Mapping[str, object], *path: str) -> Mapping[str, object]:
    for name in path:
        inner = document.get(name)
        document = inner if isinstance(inner, dict) else {}
    return document


def _text(table: Mapping[str, object], name: str) -> str | None:
    value = table.get(name)
    return value if isinstance(value, str) and value.strip() else None


def _texts(table: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = table.get(name)
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def _people(table: Mapping[str, object], name: str) -> tuple[tuple[str, str], ...]:
    people = table.get(name)
    found = (each for each in people if isinstance(each, dict)) if isinstance(people, list) else ()
    return tuple((_text(each, "name") or "", _text(each, "email") or "") for each in found)


def _name_of(requirement: str) -> str:
    name = requirement.strip()
    for end, character in enumerate(name):
        if not (character.isalnum() or character in "._-"):
            name = name[:end]
            break
    return name.lower().replace("_", "-").replace(".", "-")
