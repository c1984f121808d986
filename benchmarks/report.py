"""
The tables: results as Markdown, for the terminal and between two markers of `docs/performance.md`.

Rule 1: every number and every verdict here comes from a run; nobody writes one by hand.
Rule 2: requests, transfers and commands are shown as ratios, since absolute numbers are those of one machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.behind import GROUP as BEHIND
from benchmarks.figures import OURS, REFERENCES, Row, Spread, verdict
from benchmarks.marks import MARKS
from benchmarks.place import BenchError
from benchmarks.run import COMMANDS, LARGE_FILE, REQUESTS, START, UPLOADS, Results
from benchmarks.sites import GROUP as SITE

BEGIN = "<!-- benchmark: begin -->"
END = "<!-- benchmark: end -->"
_NOTE_LENGTH = 240
_RELATIVE = (REQUESTS, LARGE_FILE, COMMANDS)
_GROUPS = (*_RELATIVE, BEHIND, UPLOADS, START, SITE)


def tables(results: Results, *, machine: str, how: str) -> str:
    """Write all tables, with the machine and the versions they are of."""
    peers = [key for key in results.titles if key not in (OURS, *REFERENCES)]
    versions = ", ".join(dict.fromkeys(results.titles.values()))
    parts = [f"Measured on {machine}; {how}. Versions: {versions}."]
    for group in _GROUPS:
        rows = [row for row in results.rows.values() if row.group == group and row.title and row.values]
        if rows:
            table = _relative(rows, results, peers) if group in _RELATIVE else _absolute(rows, results, peers)
            parts += [f"### {group}", table]
    if growth := _growth(results):
        parts += ["### As the index grows", growth]
    parts += failures(results)
    return "\n\n".join(parts) + "\n"


def write_between_markers(document: Path, text: str) -> None:
    """
    Put text between the markers of a document.

    Raises:
        BenchError: It has no markers.
    """
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchError(f"'{document.name}' has no '{BEGIN}' and '{END}'")
    document.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


def dump(results: Results, *, machine: str, how: str) -> str:
    """Write everything that was measured as JSON."""
    rows = [asdict(row) for row in results.rows.values()]
    return json.dumps({"machine": machine, "how": how, "titles": results.titles, "rows": rows}, indent=1)


def load(text: str) -> tuple[Results, str, str]:
    """Read what `dump` wrote: results, machine, how."""
    told = json.loads(text)
    results = Results({row["key"]: Row(**row) for row in told["rows"]}, told["titles"])
    return results, told["machine"], told["how"]


def failures(results: Results) -> list[str]:
    """Say which servers failed, at what, and why."""
    lines = [
        f"- {results.titles.get(server, server)}, {row.title or _corpus_of(row.key)}: {note[:_NOTE_LENGTH]}"
        for row in results.rows.values()
        for server, note in row.notes.items()
        if not _is_absence(note)
    ]
    return ["Not measured:\n\n" + "\n".join(dict.fromkeys(lines))] if lines else []


def _relative(rows: Sequence[Row], results: Results, peers: Sequence[str]) -> str:
    """Ratios to nginx; of the others, how many times better we are."""
    timed = any(row.costs for row in rows)
    head = ["what", "this server / nginx", "second nginx / first", *(["processor time / nginx"] if timed else [])]
    head += [*(f"against {peer}" for peer in peers), "marks"]
    return _table(
        head,
        (
            [
                row.title,
                _shown(row.ratio(OURS), "{:.2f}"),
                _shown(row.ratio(REFERENCES[1], to=REFERENCES[0]), "{:.2f}"),
                *([_shown(row.cost_ratio(OURS), "{:.2f}")] if timed else []),
                *(_times(row, peer, results) for peer in peers),
                _marks(row.key, results.rows),
            ]
            for row in rows
        ),
    )


def _absolute(rows: Sequence[Row], results: Results, peers: Sequence[str]) -> str:
    """Numbers with their unit, for what nginx does not do or what a mark asks in seconds and megabytes."""
    head = ["what", "unit", "this server", "nginx", *peers, "marks"]
    return _table(
        head,
        (
            [
                row.title,
                row.unit,
                _shown(row.spread(OURS), "{:,.4g}"),
                _shown(row.spread(REFERENCES[0]), "{:,.4g}"),
                *(_number(row, peer, results) for peer in peers),
                _marks(row.key, results.rows),
            ]
            for row in rows
        ),
    )


_GROWTH = (
    ("page, HTML, this server / nginx", ("page-html", "page-2000", "page-20000"), "{:.2f}"),
    ("list, HTML, this server / nginx", ("list-160", "list-2000", "list-20000"), "{:.2f}"),
    ("uploads/s, 1 client", ("uploads-1", "uploads-1-2000", "uploads-1-20000"), "{:,.0f}"),
    ("uploads/s, 8 clients", ("uploads-8", "uploads-8-2000", "uploads-8-20000"), "{:,.0f}"),
    ("processor time of an upload, ms", ("upload-cost-8", "upload-cost-8-2000", "upload-cost-8-20000"), "{:.2f}"),
    ("upload to page, ms", ("shown", "shown-2000", "shown-20000"), "{:.2f}"),
    ("start to first answer, s", ("start-160", "start-2000", "start-20000"), "{:.3f}"),
    ("first list, ms", ("first-list-160", "first-list-2000", "first-list-20000"), "{:.1f}"),
    ("memory then, MB", ("memory-160", "memory-2000", "memory-20000"), "{:.0f}"),
)


def _growth(results: Results) -> str:
    """Write our numbers side by side for each corpus; what does not depend on its size is flat."""
    rows = []
    for title, keys, form in _GROWTH:
        found = [results.rows.get(key) for key in keys]
        shown = [
            None if row is None else row.ratio(OURS) if row.group in _RELATIVE else row.spread(OURS) for row in found
        ]
        if all(spread is not None for spread in shown):
            rows.append([title, *(_shown(spread, form) for spread in shown)])
    return _table(["this server", "160 projects", "2,000", "20,000"], rows) if rows else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(cells) + " |" for cells in rows)])


def _shown(spread: Spread | None, form: str) -> str:
    """Write a median, with its range when there was more than one round."""
    if spread is None:
        return ""
    middle = form.format(spread.middle)
    if spread.rounds == 1:
        return middle
    return f"{middle} ({form.format(spread.low)} to {form.format(spread.high)})"


def _times(row: Row, peer: str, results: Results) -> str:
    ours, theirs = row.spread(OURS), row.spread(peer)
    if ours is None or theirs is None or not theirs.middle or not ours.middle:
        return _why(row, peer, results)
    times = ours.middle / theirs.middle if row.more_is_better else theirs.middle / ours.middle
    return f"{times:,.1f} times" if times < 10 else f"{times:,.0f} times"  # noqa: PLR2004  digits that mean something


def _number(row: Row, peer: str, results: Results) -> str:
    return _shown(row.spread(peer), "{:,.4g}") or _why(row, peer, results)


def _why(row: Row, peer: str, results: Results) -> str:
    """Say in a word why there is no number; the sentence stands below the tables."""
    note = row.notes.get(peer, "")
    if _is_absence(note):
        return "has none"
    if note:
        return _failure(note)
    key = next((f"failed-{size}" for size in ("20000", "2000") if row.key.endswith(size)), "failed-160")
    failed = results.rows.get(key)
    if failed is None or peer not in failed.notes or not row.values.keys() - {OURS, *REFERENCES}:
        return ""
    return _failure(failed.notes[peer])


def _failure(note: str) -> str:
    return "not tried" if note.startswith("not tried") else "fails"


def _is_absence(note: str) -> bool:
    """Tell whether a server does not have what is asked, which is no failure."""
    return note.startswith(("has no", "no entity tag", "pages offer no"))


def _marks(key: str, rows: Mapping[str, Row]) -> str:
    return "; ".join(
        f"{each.mark.text}: {each.text}" for mark in MARKS if mark.row == key for each in [verdict(mark, rows)]
    )


def _corpus_of(key: str) -> str:
    return f"corpus of {int(key.rpartition('-')[2]):,} projects"
