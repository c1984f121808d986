"""
Which lines of a target's source its corpus reaches: `python -m fuzz.reached NAME CORPUS` prints a JSON object.

Runs in a process of its own: coverage must be on before anything is imported.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import coverage


def main(name: str, corpus: Path) -> None:
    """Check every input of a corpus again, and count the lines that ran."""
    measured = coverage.Coverage(data_file=None, source_pkgs=["wheelyard"], config_file=False)
    measured.start()
    from fuzz.laws import LawBroken  # noqa: PLC0415  under coverage
    from fuzz.targets import target  # noqa: PLC0415

    fuzzed = target(name)
    for path in sorted(corpus.iterdir()):
        try:
            fuzzed.check(path.read_bytes())
        except LawBroken as broken:
            print(f"{path}: {broken}", file=sys.stderr)
    measured.stop()
    lines = reached = 0
    for source in fuzzed.reached:
        _, statements, _, missing, _ = measured.analysis2(source)
        lines += len(statements)
        reached += len(statements) - len(missing)
    print(json.dumps({"lines": lines, "reached": reached}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
