"""Check single inputs again, with a whole traceback and without a fuzzer: `python -m fuzz.again NAME FILE...`."""

from __future__ import annotations

import sys
from pathlib import Path

from fuzz.targets import target


def main(name: str, paths: list[str]) -> None:
    """Check each file; the first broken law ends it."""
    fuzzed = target(name)
    for path in paths:
        print(path)
        fuzzed.check(Path(path).read_bytes())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
