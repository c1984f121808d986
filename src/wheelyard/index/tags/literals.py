"""Python files read as text: values that stand in them as literals, found without running anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_SOURCE_LIMIT_BYTES = 512 * 1024  # a module that holds a version has a few lines; parsing takes memory


def parse_module(content: bytes) -> ast.Module | None:
    """Parse a Python file; None when it is none, or larger than anybody writes."""
    if len(content) > _SOURCE_LIMIT_BYTES:
        return None
    try:
        return ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def assigned_text(module: ast.Module, name: str) -> str | None:
    """Return the text that the last plain assignment to a module's variable gives it; None when there is none."""
    found: str | None = None
    for statement in module.body:
        targets: list[ast.expr] = []
        value: ast.expr | None = None
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign):
            targets, value = [statement.target], statement.value
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            found = _text(value)
    return found


def setup_arguments(module: ast.Module) -> dict[str, ast.expr] | None:
    """Return the keyword arguments of the one call of `setup`; None when there is no such call, or several."""
    calls = [node for node in ast.walk(module) if isinstance(node, ast.Call) and _is_setup(node.func)]
    if len(calls) != 1:
        return None
    return {keyword.arg: keyword.value for keyword in calls[0].keywords if keyword.arg is not None}


def text_of(module: ast.Module, value: ast.expr | None) -> str | None:
    """Return the text of an expression: a literal, or the name of a variable that is assigned one."""
    if isinstance(value, ast.Name):
        return assigned_text(module, value.id)
    return _text(value)


def is_bare_setup(module: ast.Module) -> bool:
    """Tell whether a `setup.py` only imports setuptools and calls `setup()` without arguments: it changes nothing."""
    return all(map(_is_harmless, _statements(module)))


def _statements(module: ast.Module) -> Iterator[ast.stmt]:
    for statement in module.body:
        if (
            isinstance(statement, ast.If)
            and ast.unparse(statement.test) == "__name__ == '__main__'"
            and not statement.orelse
        ):
            yield from statement.body
        else:
            yield statement


def _is_harmless(statement: ast.stmt) -> bool:
    match statement:
        case ast.Import(names=names):
            return all(name.name == "setuptools" for name in names)
        case ast.ImportFrom(module="setuptools"):
            return True
        case ast.Expr(value=ast.Constant(value=str())):
            return True
        case ast.Expr(value=ast.Call(func=called, args=[], keywords=[])):
            return _is_setup(called)
        case _:
            return False


def _is_setup(called: ast.expr) -> bool:
    return (isinstance(called, ast.Name) and called.id == "setup") or (
        isinstance(called, ast.Attribute) and called.attr == "setup"
    )


def _text(value: ast.expr | None) -> str | None:
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None
