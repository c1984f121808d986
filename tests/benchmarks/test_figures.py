"""Rounds become medians, ratios and verdicts."""

from __future__ import annotations

import pytest
from benchmarks.cases import CASES, LARGER_CASES, many_callers
from benchmarks.figures import Against, Mark, Row, Spread, spread, verdict
from benchmarks.marks import MARKS


def _row(**values: list[float | None]) -> Row:
    return Row("x", "X", "", "", values={key.replace("_", "-"): numbers for key, numbers in values.items()})


def test_a_ratio_is_taken_within_a_round() -> None:
    """A round in which everything was slow does not change the ratio."""
    row = _row(ours=[50, 5, 52], nginx=[90, 9, 104], nginx_2=[110, 11, 104])
    assert row.ratio("ours") == Spread(0.5, 0.5, 0.5, 3)


def test_the_control_is_one_nginx_against_the_other() -> None:
    """The second nginx is divided by the first alone."""
    row = _row(nginx=[100, 100], nginx_2=[80, 130])
    assert row.ratio("nginx-2", to="nginx") == Spread(1.05, 0.8, 1.3, 2)


def test_processor_time_is_compared_likewise() -> None:
    """What a request costs is divided by what it costs nginx in the same round."""
    row = _row()
    for number, (ours, nginx) in enumerate([(30.0, 20.0), (66.0, 40.0)]):
        row.add_cost("ours", number, ours)
        row.add_cost("nginx", number, nginx)
        row.add_cost("nginx-2", number, nginx)
    assert row.cost_ratio("ours") == Spread(1.575, 1.5, 1.65, 2)


def test_rounds_without_a_number_are_left_out() -> None:
    """A server that takes part in some rounds is compared in those."""
    row = _row(ours=[None, 50], nginx=[10, 100], nginx_2=[None, None])
    assert row.ratio("ours") == Spread(0.5, 0.5, 0.5, 1)
    assert row.spread("nobody") is None
    assert _row(ours=[1.0]).ratio("ours") is None


def test_numbers_are_noted_by_round() -> None:
    """Rounds may be noted in any order."""
    row = _row()
    row.add("ours", 2, 3.0)
    row.add("ours", 0, 1.0)
    assert row.values == {"ours": [1.0, None, 3.0]}


def test_the_median_of_an_even_number_lies_between() -> None:
    """The median is the statistician's."""
    assert spread([4, 1, 2, 3]) == Spread(2.5, 1, 4, 4)
    assert spread([]) is None


@pytest.mark.parametrize(("more_is_better", "best"), [(True, "a"), (False, "b")])
def test_the_best_other_index(*, more_is_better: bool, best: str) -> None:
    """Neither ours nor nginx is an other index."""
    row = _row(ours=[9], nginx=[10], nginx_2=[10], a=[3], b=[2])
    row.more_is_better = more_is_better
    assert row.best_peer() == best


@pytest.mark.parametrize(
    ("mark", "met", "text"),
    [
        (Mark("x", Against.NGINX, at_least=0.5), True, "met"),
        (Mark("x", Against.NGINX, at_least=0.8), False, "missed by 25 %"),
        (Mark("x", Against.NGINX, at_most=0.5), False, "missed by 20 %"),
        (Mark("x", Against.BEST_PEER, at_least=40), False, "missed by 50 %"),
        (Mark("x", Against.NOTHING, at_least=60), True, "met"),
        (Mark("x", Against.NOTHING, at_most=60), True, "met"),
        (Mark("y", Against.NOTHING, at_most=60), False, "not measured"),
    ],
)
def test_a_mark_is_met_or_missed_by_so_much(*, mark: Mark, met: bool, text: str) -> None:
    """The verdict follows from the numbers alone."""
    row = _row(ours=[60], nginx=[100], nginx_2=[100], peer=[3])
    found = verdict(mark, {"x": row})
    assert (found.met, found.text) == (met, text)


def test_a_mark_without_another_index_is_not_measured() -> None:
    """No peer, no ratio to the best one."""
    assert verdict(Mark("x", Against.BEST_PEER, at_least=40), {"x": _row(ours=[60])}).text == "not measured"


def test_each_mark_is_about_something_that_is_measured() -> None:
    """No mark names a row that no run makes."""
    cases = (*CASES, *(case for cases in LARGER_CASES.values() for case in cases), many_callers(1))
    others = {"large-1", "large-4", "uv-install", "uv-compile", "shown-wide"}
    grown = {f"{name}{size}" for name in ("uploads-1", "uploads-8", "shown") for size in ("", "-2000", "-20000")}
    started = {f"{name}-{size}" for name in ("start", "memory") for size in ("160", "2000", "20000")}
    sites = {f"site{what}-20000" for what in ("", "-memory", "-again")}
    behind = {f"behind-{what}" for what in ("page", "compile-cold", "compile-warm", "crowd", "large")}
    assert {mark.row for mark in MARKS} <= sites | behind | {case.key for case in cases} | others | grown | started
