"""`setup.cfg` and `setup.py`: names, versions and requirements that stand in them as text."""

from __future__ import annotations

import ast
import configparser
from collections.abc import Mapping
from typing import NoReturn

from packaging.requirements import InvalidRequirement, Requirement

from wheelyard.errors import TagSourceError, shown
from wheelyard.index.tags.literals import is_bare_setup, parse_module, setup_arguments, text_of
from wheelyard.index.tags.projects import RESOLVED, ReadFile, StaticProject, version_by_attribute, version_by_file

_OTHERS = frozenset(
    {"Description", "Description-Content-Type", "License", "License-File", "Classifier", "Project-URL", "Author"}
)


def read_setuptools(read: ReadFile, *, from_tag: bool) -> StaticProject:
    """
    Read a project that only has setuptools' own files.

    Args:
        read: Reads its files.
        from_tag: Whether `pyproject.toml` says that the build takes the version from the tag.
    Raises:
        TagSourceError: Name or version cannot be told without running code.
    """
    config = _config(read("setup.cfg"))
    script = read("setup.py")
    module = None if script is None else parse_module(script)
    arguments = {} if module is None else setup_arguments(module) or {}
    metadata = config.get("metadata", {})
    name = metadata.get("name") or (None if module is None else text_of(module, arguments.get("name")))
    if name is None:
        _refuse_missing(config or script, "name")
    is_tagged = from_tag or _names_tag_reader(config, arguments)
    version = (
        None
        if is_tagged
        else _version(config, read) or (None if module is None else text_of(module, arguments.get("version")))
    )
    if version is None and not is_tagged:
        _refuse_missing(config or script, "version")
    options = config.get("options", {})
    extras = config.get("options.extras_require", {})
    values = (options.get("install_requires", ""), *extras.values())
    is_certain = (script is None or (module is not None and is_bare_setup(module))) and _is_plain(values)
    return StaticProject(
        name=name,
        version=version,
        summary=metadata.get("description") if script is None else None,
        requires_python=(options.get("python_requires") or None) if is_certain else None,
        requires=_lines(options.get("install_requires", "")) if is_certain else (),
        extras={extra: _lines(value) for extra, value in extras.items()} if is_certain else {},
        dynamic=_OTHERS | (frozenset() if is_certain else RESOLVED | {"Summary"}),
    )


def _version(config: Mapping[str, Mapping[str, str]], read: ReadFile) -> str | None:
    stated = config.get("metadata", {}).get("version", "").strip()
    kind, colon, what = stated.partition(":")
    if colon and kind.strip() == "attr":
        root = dict(_pairs(config.get("options", {}).get("package_dir", ""))).get("", "")
        return version_by_attribute(what, read, root)
    if colon and kind.strip() == "file":
        return version_by_file(what, read)
    return stated or None


def _names_tag_reader(config: Mapping[str, Mapping[str, str]], arguments: Mapping[str, ast.expr]) -> bool:
    has_pbr = "pbr" in config.get("options", {}).get("setup_requires", "") or "pbr" in arguments
    scm = arguments.get("use_scm_version")
    return has_pbr or (scm is not None and not (isinstance(scm, ast.Constant) and not scm.value))


def _is_plain(values: tuple[str, ...]) -> bool:
    """Tell whether requirements stand one on a line, and not in other files or behind conditions of their own syntax."""
    return all(
        not value.strip().startswith(("file:", "attr:"))
        and not _has_semicolons(value)
        and all(map(_is_requirement, _lines(value)))
        for value in values
    )


def _is_requirement(line: str) -> bool:
    try:
        Requirement(line)
    except (InvalidRequirement, RecursionError):
        return False
    return True


def _has_semicolons(value: str) -> bool:
    """On one line, `;` separates requirements in old files and starts a condition in newer ones."""
    return "\n" not in value.strip() and ";" in value


def _lines(value: str) -> tuple[str, ...]:
    lines = (line.strip() for line in value.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def _pairs(value: str) -> list[tuple[str, str]]:
    found = (line.partition("=") for line in value.replace(",", "\n").splitlines())
    return [(key.strip(), path.strip()) for key, equals, path in found if equals]


def _config(content: bytes | None) -> Mapping[str, Mapping[str, str]]:
    if content is None:
        return {}
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(content.decode("utf-8"))
    except (configparser.Error, ValueError) as error:
        raise TagSourceError(f"setup.cfg cannot be read: {shown(str(error).partition(chr(10))[0])}") from error
    return {section: dict(parser.items(section)) for section in parser.sections()}


def _refuse_missing(found: object, what: str) -> NoReturn:
    if not found:
        raise TagSourceError(
            "it has no pyproject.toml with a table [project], no setup.cfg and no setup.py: no Python project"
        )
    raise TagSourceError(f"its {what} cannot be told without running code; write it into pyproject.toml")
