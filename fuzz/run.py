"""
Run fuzzers one after the other and tell what came of it: `make fuzz`, `make fuzz SECONDS=600 FUZZ=raw_http`.

`--record` keeps the outcome in `fuzz/results.json` and writes the tables of `docs/reliability.md` from it.
The exit code is 1 when anything was found.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from fuzz import api, report  # noqa: E402  the repository's root is known only now
from fuzz.targets import NAMES  # noqa: E402

RESULTS = REPOSITORY / "fuzz" / "results.json"
"""What recorded runs found; written by this program only."""

CORPUS = REPOSITORY / ".cache" / "fuzz" / "corpus"
FOUND = REPOSITORY / ".cache" / "fuzz" / "found"

_MEMORY = Path("/dev/shm")  # where the files of the fuzzers go: they are written thousands of times a second
_ENDING_SECONDS = 300  # what a fuzzer may take beyond its time, for imports, seeds and the last input
_PROGRESS = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)/")
_FINAL = re.compile(r"^stat::(\w+):\s*(\d+)", re.MULTILINE)
_TELLING = re.compile(
    r"^(?:.*Uncaught Python exception: ===\n(.*)|(.*ERROR: libFuzzer: .*)|.*(Test unit written to .*))$", re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """
    One run of one fuzzer.

    Attributes:
        day: When, UTC.
        commit: Of what.
        seconds: How long it ran.
        executions: Inputs checked, or requests sent.
        edges: Places in the instrumented code that were reached, as libFuzzer counts them; 0 where nothing is instrumented.
        corpus: Inputs that reach something no other reaches.
        lines: Lines of the target's own source files.
        reached: How many of them the corpus reaches.
        peak_mb: Most memory the process took, in MiB.
        accepted: Requests that were answered 2xx; only of the API.
        found: What was found; empty when all laws held.
    """

    day: str
    commit: str
    seconds: int
    executions: int
    edges: int = 0
    corpus: int = 0
    lines: int = 0
    reached: int = 0
    peak_mb: int = 0
    accepted: int = 0
    found: str = ""


def run_target(name: str, seconds: int) -> Run:
    """Fuzz one target in a process of its own."""
    start = time.monotonic()
    command = [sys.executable, "-m", "fuzz.one", name, str(seconds)]
    with tempfile.TemporaryDirectory(prefix="wheelyard-fuzz-", dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONHASHSEED": "0", "TMPDIR": folder},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=seconds + _ENDING_SECONDS,
            check=False,
        )
    (CORPUS.parent / f"{name}.log").write_text(done.stdout)
    final = {key: int(value) for key, value in _FINAL.findall(done.stdout)}
    edges, _, corpus = (_PROGRESS.findall(done.stdout) or [("0", "0", "0")])[-1]
    found = "" if done.returncode == 0 else " | ".join("".join(match) for match in _TELLING.findall(done.stdout))[:3000]
    lines = _reached(name)
    return Run(
        day=datetime.now(UTC).date().isoformat(),
        commit=_commit(),
        seconds=round(time.monotonic() - start),
        executions=final.get("number_of_executed_units", 0),
        edges=int(edges),
        corpus=int(corpus),
        lines=lines["lines"],
        reached=lines["reached"],
        peak_mb=final.get("peak_rss_mb", 0),
        found=found or ("" if done.returncode == 0 else f"ended with {done.returncode}"),
    )


def run_api(seconds: int) -> Run:
    """Fuzz the management API by its description."""
    start = time.monotonic()
    outcome = api.fuzz_api(seconds)
    CORPUS.parent.mkdir(parents=True, exist_ok=True)
    (CORPUS.parent / f"{api.NAME}.log").write_text(outcome.log)
    return Run(
        day=datetime.now(UTC).date().isoformat(),
        commit=_commit(),
        seconds=round(time.monotonic() - start),
        executions=outcome.cases,
        accepted=outcome.accepted,
        found=" | ".join(outcome.problems)[:3000],
    )


def _reached(name: str) -> dict[str, int]:
    command = [sys.executable, "-m", "fuzz.reached", name, str(CORPUS / name)]
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return {"lines": 0, "reached": 0}
    counted: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return counted


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=False).stdout.strip()


def record(name: str, run: Run) -> None:
    """Add a run to the results."""
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {"runs": {}}
    machine = f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    results["runs"].setdefault(name, []).append({**asdict(run), "machine": machine})
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="for each fuzzer")
    parser.add_argument("--record", action="store_true", help="keep the outcome in fuzz/results.json")
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"any of {', '.join((*NAMES, api.NAME))}; all by default"
    )
    asked = parser.parse_args()
    unknown = [name for name in asked.names if name not in (*NAMES, api.NAME)]
    if unknown:
        parser.error(f"there is no fuzzer '{unknown[0]}'; there are {', '.join((*NAMES, api.NAME))}")
    is_found = False
    for name in asked.names or (*NAMES, api.NAME):
        run = run_api(asked.seconds) if name == api.NAME else run_target(name, asked.seconds)
        share = (
            f"{run.reached}/{run.lines} lines, corpus {run.corpus}, {run.peak_mb} MiB"
            if run.lines
            else f"{run.accepted} accepted"
        )
        print(f"{name:12} {run.seconds:5} s {run.executions:9,} runs  {share}", flush=True)
        if run.found:
            is_found = True
            print(f"  FOUND {run.found}\n  see {FOUND / name} and {CORPUS.parent / name}.log", flush=True)
        if asked.record:
            record(name, run)
            report.main()
    return int(is_found)


if __name__ == "__main__":
    sys.exit(main())
