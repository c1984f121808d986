"""
Write what was fuzzed, for how long and what it found into `docs/reliability.md`: `python -m fuzz.report`.

The numbers are those of `fuzz/results.json`, which `fuzz/run.py --record` writes; nobody types them.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fuzz import api
from fuzz.targets import NAMES, target

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "reliability.md"
BEGIN, END = "<!-- fuzzing: written by `python -m fuzz.report` -->", "<!-- fuzzing: end -->"
"""Between these two lines the page belongs to this program."""


def report(runs: Mapping[str, Sequence[Mapping[str, Any]]], found: Sequence[Mapping[str, str]]) -> str:
    """Write the generated part of the page."""
    return "\n".join((BEGIN, "", *_runs(runs), "", *_found(found), "", END))


def _runs(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterable[str]:
    yield "| fuzzer | what must hold for every input | run | inputs | lines reached | most memory | last run |"
    yield "|---|---|---|---|---|---|---|"
    for name in (*NAMES, api.NAME):
        about = api.ABOUT if name == api.NAME else target(name).about
        recorded = runs.get(name, ())
        if not recorded:
            yield f"| `{name}` | {about} | not yet | | | | |"
            continue
        last = recorded[-1]
        seconds, inputs = (sum(run[key] for run in recorded) for key in ("seconds", "executions"))
        lines = f"{last['reached']} of {last['lines']}" if last["lines"] else f"{last['accepted']:,} accepted"
        memory = f"{last['peak_mb']} MiB" if last["peak_mb"] else ""
        outcome = "found something" if last["found"] else "found nothing"
        told = f"{last['day']}, `{last['commit']}`: {outcome}"
        yield f"| `{name}` | {about} | {_time(seconds)} | {inputs:,} | {lines} | {memory} | {told} |"
    machines = sorted({run["machine"] for recorded in runs.values() for run in recorded})
    yield ""
    yield f"Run on {'; '.join(machines)}."


def _time(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds >= 60 else f"{seconds} s"


def _found(found: Sequence[Mapping[str, str]]) -> Iterable[str]:
    yield "| found by | what was wrong | test that keeps it right |"
    yield "|---|---|---|"
    for each in found:
        yield f"| `{each['by']}` | {each['what']} | `{each['test']}` |"


def written() -> str:
    """Return the generated part as the recorded results ask for it."""
    runs = json.loads((REPOSITORY / "fuzz" / "results.json").read_text())["runs"]
    found = tomllib.loads((REPOSITORY / "fuzz" / "findings.toml").read_text())["found"]
    return report(runs, found)


def main() -> None:
    """Write the page anew; what stands around the generated part stays."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(before + written() + rest.partition(END)[2])


if __name__ == "__main__":
    main()
