"""Print the longest functions of the given folders, longest first, so that growth is seen while it is small."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SHOWN = 10
REASON_WANTED = 60  # lines; a longer function wants a reason in review


def functions(path: Path) -> Iterator[tuple[int, str]]:
    """
    Measure each function of one file.

    Args:
        path: A Python file.

    Yields:
        Number of lines, and `path:line name`.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1, f"{path}:{node.lineno} {node.name}"


def main(folders: list[str]) -> None:
    """Print the table."""
    rows = [row for folder in folders for path in Path(folder).rglob("*.py") for row in functions(path)]
    print(f"Longest of {len(rows)} functions (lines):")
    for lines, where in sorted(rows, reverse=True)[:SHOWN]:
        note = "  <- wants a reason" if lines > REASON_WANTED else ""
        print(f"{lines:5} {where}{note}")


if __name__ == "__main__":
    main(sys.argv[1:])
