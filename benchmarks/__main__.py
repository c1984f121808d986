"""Command line of the benchmark: see `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks import by_url, report
from benchmarks.place import CACHE, DOCUMENT, BenchError, machine, tool
from benchmarks.run import FULL, QUICK, Run

_RESULTS = CACHE / "results.json"
_BEGAN = time.monotonic()
_RESULTS_QUICK = CACHE / "results-quick.json"


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments say; return the exit code."""
    told = _parser().parse_args(arguments)
    try:
        for name in ("wrk",) if told.url or told.table else ("wrk", "nginx"):
            tool(name)
        if told.url:
            by_url.measure(told.url, told.user, told.password, rounds=told.rounds, seconds=told.seconds, say=_say)
        elif told.table:
            _write_table(Path(told.table), into_document=True)
        else:
            _compare(quick=told.quick, only=told.only or ())
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure this server beside nginx and other package indexes, or any index by its URL.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="one corpus and few rounds, in three minutes; the docs stay as they are"
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="ROW",
        help="measure only rows whose key begins so (page, wide, uploads, start, ...)",
    )
    parser.add_argument("--table", metavar="FILE", help="write the docs' table from the results of an earlier run")
    parser.add_argument("--url", help="measure this running index instead")
    parser.add_argument("--user", default="", help="user name for --url")
    parser.add_argument("--password", default="", help="password for --url")
    parser.add_argument("--rounds", type=int, default=3, help="rounds with --url (default: 3)")
    parser.add_argument("--seconds", type=int, default=2, help="seconds of one measurement with --url (default: 2)")
    return parser


def _compare(*, quick: bool, only: tuple[str, ...] | list[str]) -> None:
    began = time.monotonic()
    plan = QUICK if quick else FULL
    run = Run(plan, only=only, say=_say)
    results = run.measure()
    minutes = (time.monotonic() - began) / 60
    how = f"{plan.rounds} rounds of {plan.seconds} s, {minutes:.0f} minutes in all"
    path = _RESULTS_QUICK if quick or only else _RESULTS
    path.write_text(report.dump(results, machine=machine(), how=how), encoding="utf-8")
    _say(f"numbers of each round: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    _write_table(path, into_document=not quick and not only)


def _write_table(path: Path, *, into_document: bool) -> None:
    results, on, how = report.load(path.read_text(encoding="utf-8"))
    text = report.tables(results, machine=on, how=how)
    print(text)
    if into_document:
        report.write_between_markers(DOCUMENT, text)
        _say(f"written to docs/{DOCUMENT.name}")


def _say(text: str) -> None:
    passed = int(time.monotonic() - _BEGAN)
    print(f"{passed // 60:2}:{passed % 60:02} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
