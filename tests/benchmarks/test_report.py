"""Results become tables, and the tables go between two markers of a document."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.place import DOCUMENT, BenchError
from benchmarks.run import Results

from benchmarks import report


@pytest.fixture
def results() -> Results:
    """What a run of two rounds with one other index found."""
    made = Results(titles={"ours": "wheelyard 1", "nginx": "nginx 2", "nginx-2": "nginx 2", "peer": "peer 3"})
    page = made.row("page-html", "page of 10 files", "Requests", "requests/s")
    tag = made.row("unchanged", "page not changed", "Requests", "requests/s")
    start = made.row("start-160", "start", "Start and memory", "s", more_is_better=False)
    for number in range(2):
        for key, value in {"ours": 95.0, "nginx": 100.0, "nginx-2": 100.0 + number, "peer": 2.0}.items():
            page.add(key, number, value)
        tag.add("ours", number, 1.0)
        start.add("ours", number, 0.25)
    tag.notes["peer"] = "no entity tag on pages"
    start.notes["peer"] = "it ended with 1: boom"
    return made


def test_requests_are_shown_as_ratios(results: Results) -> None:
    """A row says our ratio, the noise, how many times better we are, and what became of its marks."""
    text = report.tables(results, machine="a machine", how="2 rounds")
    (line,) = [line for line in text.splitlines() if line.startswith("| page of 10 files")]
    assert line.split(" | ")[1:] == [
        "0.95 (0.95 to 0.95)",
        "1.00 (1.00 to 1.01)",
        "48 times",
        "≥ 0.9 of nginx: met; ≥ 40 times the best other index: met |",
    ]
    assert "95.0" not in text
    assert text.startswith("Measured on a machine; 2 rounds. Versions: wheelyard 1, nginx 2, peer 3.")


def test_who_has_none_and_who_fails(results: Results) -> None:
    """What a server does not offer is no failure; a failure stands below with its reason."""
    text = report.tables(results, machine="", how="")
    assert "| has none |" in next(line for line in text.splitlines() if line.startswith("| page not changed"))
    assert "| fails |" in next(line for line in text.splitlines() if line.startswith("| start"))
    assert "- peer 3, start: it ended with 1: boom" in text
    assert "entity tag" not in text


def test_a_server_that_never_started_fails_everywhere(results: Results) -> None:
    """Each row that others were asked for says so, and the reason is given once."""
    results.titles["late"] = "late 4"
    results.row("failed-160", "", "", "").notes["late"] = "it cannot be installed"
    text = report.tables(results, machine="", how="")
    line = next(line for line in text.splitlines() if line.startswith("| page of 10 files"))
    assert line.split(" | ")[4] == "fails"
    assert text.count("late 4, corpus of 160 projects: it cannot be installed") == 1


def test_growth_is_shown_when_every_size_was_measured(results: Results) -> None:
    """One line holds our numbers for each corpus."""
    assert "As the index grows" not in report.tables(results, machine="", how="")
    for size in ("2000", "20000"):
        results.row(f"start-{size}", "start", "Start and memory", "s", more_is_better=False).add("ours", 0, 0.26)
    text = report.tables(results, machine="", how="")
    assert "| start to first answer, s | 0.250 (0.250 to 0.250) | 0.260 | 0.260 |" in text


def test_results_are_kept_whole(results: Results) -> None:
    """Tables can be written again from the file of a run."""
    again, machine, how = report.load(report.dump(results, machine="m", how="h"))
    assert report.tables(again, machine=machine, how=how) == report.tables(results, machine="m", how="h")


def test_only_what_is_between_the_markers_changes(tmp_path: Path) -> None:
    """The rest of a document stays as it is, also when it is written twice."""
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    for text in ("first", "second"):
        report.write_between_markers(document, text)
    assert document.read_text(encoding="utf-8") == f"before\n{report.BEGIN}\n\nsecond\n{report.END}\nafter\n"


def test_a_document_without_markers_is_refused(tmp_path: Path) -> None:
    """Nothing is overwritten by guess."""
    document = tmp_path / "performance.md"
    document.write_text("all mine\n", encoding="utf-8")
    with pytest.raises(BenchError, match=r"performance\.md"):
        report.write_between_markers(document, "x")


def test_our_document_has_the_markers() -> None:
    """The page that a run writes into can take it."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text.count(report.BEGIN) == text.count(report.END) == 1
    assert text.index(report.BEGIN) < text.index(report.END)
