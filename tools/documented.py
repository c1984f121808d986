"""
Fail when something public has no words: a module, class, function or method, or a field of a dataclass that lists others.

Functions inside functions are nobody's business but their function's, also in `async def`.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path


def _is_public(name: str) -> bool:
    return not name.startswith("_")


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


def _repeats(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether the words stand elsewhere: at what is overridden, or at the function that is overloaded."""
    return any(
        ast.unparse(decorator).endswith(("override", "overload", ".setter")) for decorator in node.decorator_list
    )


def _attributes(node: ast.ClassDef) -> Iterator[tuple[int, str]]:
    """Each public field that is missing in the `Attributes:` of its dataclass; without that section names speak."""
    words = ast.get_docstring(node) or ""
    if "Attributes:" not in words:
        return
    for line in node.body:
        name = line.target.id if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) else "_"
        if _is_public(name) and not re.search(rf"^\s*{name}\s*(\(.*?\))?:", words, re.MULTILINE):
            yield line.lineno, f"{node.name}.{name}"


def _missing(body: list[ast.stmt], inside: str = "") -> Iterator[tuple[int, str]]:
    for node in body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or not _is_public(node.name):
            continue
        if not isinstance(node, ast.ClassDef):
            if ast.get_docstring(node) is None and not _repeats(node):
                yield node.lineno, inside + node.name
            continue
        if ast.get_docstring(node) is None:
            yield node.lineno, inside + node.name
        elif _is_dataclass(node):
            yield from _attributes(node)
        yield from _missing(node.body, f"{inside}{node.name}.")


def main(folders: list[str]) -> int:
    """Print each place without words; return the exit code."""
    found = 0
    for path in sorted(path for folder in folders for path in Path(folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        places = list(_missing(tree.body))
        if ast.get_docstring(tree) is None and tree.body:
            places.insert(0, (1, "the module"))
        for line, name in places:
            print(f"{path}:{line}: {name} is not documented")
        found += len(places)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
