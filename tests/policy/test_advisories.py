"""Which releases an advisory is about, and how OSV records are read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policy.conftest import CRITICAL, osv_record
from wheelyard.cli.osv import scorer
from wheelyard.errors import InvalidDocument
from wheelyard.index.policy.advisories import Advisory, Event
from wheelyard.index.policy.osv import parse_osv
from wheelyard.index.policy.severity import Severity, severity_of

score = scorer()


def ranged(*events: tuple[str, str]) -> Advisory:
    return Advisory(id="X", ranges=(tuple(Event(kind, version) for kind, version in events),))


RANGES = [
    pytest.param(ranged(("introduced", "0"), ("fixed", "1.2")), "1.1", True, id="before-the-fix"),
    pytest.param(ranged(("introduced", "0"), ("fixed", "1.2")), "1.2", False, id="the-fix"),
    pytest.param(ranged(("introduced", "0"), ("fixed", "1.2")), "1.2.0", False, id="the-fix-otherwise-written"),
    pytest.param(ranged(("introduced", "0"), ("fixed", "1.2")), "1.2rc1", True, id="before-the-final-fix"),
    pytest.param(ranged(("introduced", "1.0"), ("fixed", "1.2")), "0.9", False, id="before-it-began"),
    pytest.param(ranged(("introduced", "1.0"), ("last_affected", "1.2")), "1.2", True, id="last-affected"),
    pytest.param(ranged(("introduced", "1.0"), ("last_affected", "1.2")), "1.2.1", False, id="after-the-last"),
    pytest.param(
        ranged(("fixed", "2.1"), ("introduced", "2.0"), ("fixed", "1.1"), ("introduced", "1.0")),
        "2.0.5",
        True,
        id="again",
    ),
    pytest.param(
        ranged(("introduced", "1.0"), ("fixed", "1.1"), ("introduced", "2.0"), ("fixed", "2.1")),
        "1.5",
        False,
        id="between",
    ),
    pytest.param(ranged(("introduced", "0"), ("fixed", "some day")), "99", True, id="an-end-that-is-none"),
    pytest.param(ranged(("introduced", "some day"), ("fixed", "2")), "1", True, id="a-beginning-that-is-none"),
    pytest.param(ranged(("introduced", "0"), ("fixed", "1")), "odd version", True, id="a-version-that-is-none"),
    pytest.param(ranged(("introduced", "1"), ("fixed", "2")), None, True, id="no-version"),
    pytest.param(ranged(("introduced", "1"), ("fixed", "2")), "odd version", True, id="a-version-that-is-none-later"),
    pytest.param(Advisory(id="X", versions=("1.0",)), "odd version", False, id="one-by-one-none"),
    pytest.param(ranged(("fixed", "2")), "1.9", True, id="an-end-without-a-beginning"),
    pytest.param(ranged(("fixed", "2")), "2", False, id="after-an-end-without-a-beginning"),
    pytest.param(ranged(("last_affected", "2")), "2", True, id="the-last-without-a-beginning"),
    pytest.param(ranged(), "1.0", False, id="an-empty-range"),
    pytest.param(Advisory(id="X"), "1.0", True, id="nothing-said"),
    pytest.param(Advisory(id="X", versions=("1.0",)), "1.0.0", True, id="one-by-one"),
    pytest.param(Advisory(id="X", versions=("1.0",)), "1.1", False, id="one-by-one-other"),
    pytest.param(ranged(("introduced", "1!0")), "2.0", False, id="epochs"),
]


@pytest.mark.parametrize(("advisory", "release", "affected"), RANGES)
def test_ranges(advisory: Advisory, release: str | None, *, affected: bool) -> None:
    """OSV ranges by PEP 440 order; what cannot be compared makes a range longer, never shorter."""
    assert advisory.affects(release) is affected


@pytest.mark.parametrize(
    ("given", "severity"),
    [
        (0.0, Severity.NONE),
        (0.1, Severity.LOW),
        (3.9, Severity.LOW),
        (4.0, Severity.MEDIUM),
        (6.9, Severity.MEDIUM),
        (7.0, Severity.HIGH),
        (8.9, Severity.HIGH),
        (9.0, Severity.CRITICAL),
        (10.0, Severity.CRITICAL),
    ],
)
def test_scale(given: float, severity: Severity) -> None:
    """The words of CVSS for its scores."""
    assert severity_of(given) is severity


@pytest.mark.parametrize(
    ("vector", "expected"),
    [
        (CRITICAL, 9.8),
        ("CVSS:3.0/AV:L/AC:H/PR:L/UI:R/S:U/C:L/I:N/A:N", 2.2),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 9.3),
        ("AV:N/AC:L/Au:N/C:P/I:P/A:P", 7.5),
        ("CVSS:3.1/AV:X", None),
        ("high", None),
        ("", None),
    ],
)
def test_scores(vector: str, expected: float | None) -> None:
    """Vectors of CVSS 2, 3 and 4 have the scores their specifications say; what is no vector has none."""
    assert score(vector) == expected


def read(**changes: Any) -> Advisory:
    (found,) = parse_osv(osv_record("GHSA-1", "Demo_Project", **changes), score).advisories
    assert found[0] == "demo-project"
    return found[1]


def test_a_record() -> None:
    """A record names its project in any spelling, with its severity, aliases and a summary of one line."""
    advisory = read(fixed="2.0", aliases=["CVE-2026-1"], summary="it\nbreaks  often")
    assert (advisory.severity, advisory.score) == (Severity.CRITICAL, 9.8)
    assert advisory.is_called(["CVE-2026-1"])
    assert advisory.described == "GHSA-1 (critical, CVSS 9.8): it breaks often"
    assert (advisory.affects("1.9"), advisory.affects("2.0")) == (True, False)


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({"severity": None}, Severity.UNKNOWN),
        ({"severity": [{"type": "CVSS_V3", "score": "nonsense"}]}, Severity.UNKNOWN),
        ({"severity": None, "database_specific": {"severity": "MODERATE"}}, Severity.MEDIUM),
        ({"severity": "nonsense", "database_specific": {"severity": 3}}, Severity.UNKNOWN),
        (
            {"severity": [{"score": "CVSS:3.0/AV:L/AC:H/PR:L/UI:R/S:U/C:L/I:N/A:N"}, {"score": CRITICAL}]},
            Severity.CRITICAL,
        ),
    ],
)
def test_severities(changes: dict[str, Any], severity: Severity) -> None:
    """The worst score counts, then the word of the database; without either the severity is unknown."""
    assert read(**changes).severity is severity


@pytest.mark.parametrize(
    "changes",
    [
        {"withdrawn": "2026-02-01T00:00:00Z"},
        {"affected": [{"package": {"ecosystem": "npm", "name": "demo"}}]},
        {"affected": [{"ranges": []}]},
        {"affected": [{"package": {"ecosystem": "PyPI", "name": "no name!"}}]},
        {"affected": None},
    ],
)
def test_nothing_for_us(changes: dict[str, Any]) -> None:
    """Withdrawn records and those about other packages say nothing."""
    assert parse_osv(osv_record("GHSA-1", "demo", **changes), score).advisories == ()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"id": 1}',
        b'{"id": ""}',
        b'{"id": "X", "affected": {}}',
        b'{"id": "X", "affected": [1]}',
        b"\xff",
        b'{"id": ' + b"[" * 100000,
    ],
)
def test_no_record(content: bytes) -> None:
    """What is no record is an error, so that a damaged database is never loaded in part."""
    with pytest.raises(InvalidDocument):
        parse_osv(content, score)


@pytest.mark.parametrize(
    ("ranges", "release", "affected"),
    [
        ([{"type": "ECOSYSTEM", "events": [{"introduced": 0}, {"fixed": "2"}]}], "1", True),
        ([{"type": "ECOSYSTEM", "events": [{"introduced": 0}, {"fixed": "2"}]}], "2", False),
        ([{"type": "ECOSYSTEM", "events": []}], "1", True),
        ([{"type": "ecosystem", "events": [{"introduced": "0"}, {"fixed": "2"}]}], "1", True),
        ([{"events": [{"introduced": "0"}, {"fixed": "2"}]}], "2", False),
        ([{"type": "ECOSYSTEM", "events": "soon"}, 5], "1", True),
    ],
)
def test_ranges_that_are_not_as_they_should_be(ranges: list[object], release: str, *, affected: bool) -> None:
    """What a record says wrongly of its range never makes it shorter; a range that says nothing is as if there were none."""
    package = {"ecosystem": "PyPI", "name": "demo.project"}
    assert read(affected=[{"package": package, "ranges": ranges}]).affects(release) is affected


def test_ranges_of_commits_are_passed_over() -> None:
    """A range of commits says nothing of versions; with nothing else said, every release counts as affected."""
    affected = [
        {"package": {"ecosystem": "PyPI", "name": "demo"}, "ranges": [{"type": "GIT", "events": [{"fixed": "a"}]}]}
    ]
    (found,) = parse_osv(json.dumps({"id": "X", "affected": affected}).encode(), score).advisories
    assert found[1].affects("1.0")
