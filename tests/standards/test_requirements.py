"""The list of requirements and the tests hold each other to account."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
ID = re.compile(r"\b(URL|HTML|JSON|NEG|META|FILE|CACHE|YANK|ST|ATT|DC|NS|UP|UF|FN|AR|MD|PJ|XR|TP|AU|VA|U2|SB)-(\d\d)\b")
LEVELS = {"MUST", "SHOULD", "MAY", "DE-FACTO", "PYPI", "DRAFT"}

_document = tomllib.loads((HERE / "requirements.toml").read_text(encoding="utf-8"))
MISSED: list[list[str]] = _document.pop("most-often-missed")
REQUIREMENTS: dict[str, dict[str, str]] = {
    f"{section}-{number}": dict(requirement)
    for section, requirements in _document.items()
    for number, requirement in requirements.items()
}


@cache
def named_in(path: Path) -> frozenset[str]:
    """Return the requirements that docstrings of tests in a file name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset("-".join(found) for text in _docstrings(tree) for found in ID.findall(text))


def _docstrings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        is_test = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        if is_test and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def here() -> frozenset[str]:
    """Return the requirements that tests in this folder name."""
    return frozenset[str]().union(*(named_in(path) for path in HERE.glob("test_*.py")))


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_proven(name: str) -> None:
    """A requirement has a test here, or one elsewhere, or a reason why not; and only one of the three."""
    requirement: dict[str, Any] = REQUIREMENTS[name]
    assert requirement["level"] in LEVELS
    assert requirement["says"]
    assert set(requirement) <= {"level", "says", "covered-by", "reason"}
    given = [name in here(), "covered-by" in requirement, "reason" in requirement]
    assert sum(given) == 1, f"{name}: a test here, `covered-by` and `reason`: {given}"
    if "covered-by" in requirement:
        assert name in named_in(REPOSITORY / requirement["covered-by"]), (
            f"no test of {requirement['covered-by']} names it"
        )


def test_no_unknown() -> None:
    """What tests name is on the list."""
    named = frozenset[str]().union(*(named_in(path) for path in (REPOSITORY / "tests").rglob("test_*.py")))
    assert named <= set(REQUIREMENTS)


def test_none_left_out() -> None:
    """What binds an index without an `if` is never excused by a reason but for what is not offered at all."""
    excused = {name for name, requirement in REQUIREMENTS.items() if "reason" in requirement}
    binding = {name for name in excused if REQUIREMENTS[name]["level"] == "MUST"}
    assert {name.partition("-")[0] for name in binding} <= {"ATT", "NS", "TP", "UP"}


@pytest.mark.parametrize("group", MISSED, ids="+".join)
def test_most_often_missed(group: list[str]) -> None:
    """What is most often missed has a test."""
    assert not [name for name in group if "reason" in REQUIREMENTS[name]]


def test_every_test_names_one() -> None:
    """Every test of this folder proves a requirement of the list."""
    silent = []
    for path in HERE.glob("test_*.py"):
        if path == Path(__file__):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                silent += [] if ID.search(ast.get_docstring(node) or "") else [f"{path.name}::{node.name}"]
    assert silent == []
