"""Fail when a tracked text file names a path of the machine it was written on: it would be wrong everywhere else."""

import re
import subprocess
import sys
from pathlib import Path

# Home folders by their usual names, plus this checkout. Not the folder around it: that may be `/srv`, or `/tmp`.
_HOMES = r"/(?:root|Users/[a-z]\w*|home/[a-z]\w*)/[.\w]"


def pattern() -> re.Pattern[str]:
    """Return what no tracked file may contain."""
    own = re.escape(str(Path.cwd().resolve())) + "/"
    return re.compile(rf"(?<![\w.$}}{{~<-])(?:{own}|{_HOMES})")


def main() -> int:
    """Print each offending line; return the exit code."""
    forbidden = pattern()
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True, text=True)  # noqa: S607 -- whichever git the machine has
    found = 0
    for name in filter(None, listed.stdout.split("\0")):
        path = Path(name)
        if not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            if forbidden.search(line):
                print(f"{name}:{number}: {line.strip()[:160]}")
                found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
