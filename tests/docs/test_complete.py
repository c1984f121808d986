"""Whatever a user can meet is documented: error codes, commands and their flags, settings, routes."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import wheelyard
from wheelyard.cli.commands import COMMANDS, find_command
from wheelyard.errors import WheelyardError
from wheelyard.server.openapi import description
from wheelyard.server.problems import STATUS
from wheelyard.server.targets import RESERVED
from wheelyard.settings.values import IndexSettings, LimitSettings, ServerSettings

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
SOURCE = Path(wheelyard.__path__[0])


def _text(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def _in_code(text: str) -> set[str]:
    """Everything the page puts in backticks or blocks, in words that keep flags and paths whole."""
    return set(re.findall(r"[\w./{}\[\]<>+-]+", " ".join(re.findall(r"```.*?```|`[^`]+`", text, re.DOTALL))))


def _errors(cls: type[WheelyardError] = WheelyardError) -> Iterator[type[WheelyardError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from _errors(child)


def _all_errors() -> list[type[WheelyardError]]:
    for module in pkgutil.walk_packages(wheelyard.__path__, "wheelyard."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return sorted(set(_errors()), key=lambda error: error.code)


def test_each_error_code_has_a_line_with_its_status() -> None:
    """Each error of the tree stands in one table, once, with the status it is answered with; and nothing else does."""
    rows = re.findall(r"^\| `([\w-]+)` \| *(\d*) *\|", _text("errors.md"), re.MULTILINE)
    assert sorted(rows) == sorted((error.code, str(STATUS.get(error.code, ""))) for error in _all_errors())


def _trees() -> list[ast.Module]:
    """The parts that judge uploads; what looks for damage speaks of findings, which have codes of their own."""
    paths = [path for part in ("archives", "protocol", "server") for path in (SOURCE / part).rglob("*.py")]
    return [ast.parse(path.read_text(encoding="utf-8")) for path in (*paths, *(SOURCE / "index").glob("checks*.py"))]


def _places_of_codes(trees: list[ast.Module]) -> dict[str, int]:
    """Functions that are given the code of an upload problem, by name, and at which place it stands."""
    places = {"UploadProblem": 1}
    for node in (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        names = [argument.arg for argument in node.args.args if argument.arg != "self"]
        if "code" in names:
            places[node.name] = names.index("code")
    return places


def _problem_codes() -> Iterator[str]:
    """Codes given to whatever makes an upload problem, as a constant or by the name of one."""
    trees = _trees()
    places = _places_of_codes(trees)
    for tree in trees:
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            place = places.get(ast.unparse(node.func).rpartition(".")[2])
            if place is None or place >= len(node.args):
                continue
            argument = node.args[place]
            code = argument.value if isinstance(argument, ast.Constant) else constants.get(ast.unparse(argument))
            if isinstance(code, str) and re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", code):
                yield code


def test_each_upload_problem_is_explained() -> None:
    """Each code of an upload problem is named on the page of errors."""
    codes = set(_problem_codes())
    assert len(codes) > 10  # else they are no longer found
    text = _text("errors.md")
    assert [code for code in sorted(codes) if f"`{code}`" not in text] == []


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_and_flag_is_explained(name: str) -> None:
    """Each command has a heading, and under it each of its flags is named."""
    command = find_command(name)
    assert command is not None
    sections = re.split(r"^## ", _text("commands.md"), flags=re.MULTILINE)
    section = next((text for text in sections if text.startswith(f"wheelyard {name}\n")), None)
    assert section is not None, f"no heading '## wheelyard {name}'"
    words = _in_code(section)
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden and parameter.name != "help":
            shown = [flag for flag in parameter.opts if flag.startswith("--") and "_" not in flag]
            assert words.intersection(shown), f"none of {shown} of 'wheelyard {name}'"


@pytest.mark.parametrize("settings", [ServerSettings, IndexSettings, LimitSettings], ids=lambda cls: cls.__name__)
def test_each_setting_is_explained(settings: type) -> None:
    """Each key of the configuration is named on its page."""
    derived = {"name", "options", "admin_secret"}  # the table's own name, the backend's keys, another file
    words = _in_code(_text("configuration.md"))
    assert {field.name for field in dataclasses.fields(settings)} - derived - words == set()


def test_each_route_is_explained() -> None:
    """Each first segment of our URLs and each operation of the API is named on the page about HTTP."""
    words = _in_code(_text("http.md"))
    firsts = {word.strip("/").partition("/")[0] for word in words if word.startswith("/")}
    assert RESERVED - {""} - firsts == set()
    assert set(json.loads(description())["paths"]) - words == set()
