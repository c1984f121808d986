"""Each rule, by itself and beside others: which file is offered, by which rule it is not, and until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from wheelyard.index.policy.advisories import Advisory, Event
from wheelyard.index.policy.patterns import NamePattern, Selector, TagPattern
from wheelyard.index.policy.rules import Exemption, Files, Policy, Rule, UpstreamMode, Verdict, day_and_time, in_words
from wheelyard.index.policy.severity import Severity
from wheelyard.model import DistFile, Filename, NormalizedName

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OLD = datetime(2025, 1, 1, tzinfo=UTC)
FRESH = NOW - timedelta(days=2)
SIX = NormalizedName("six")
WHEEL = "six-1.16.0-py2.py3-none-any.whl"
SDIST = "six-1.16.0.tar.gz"
BAD = Advisory(id="GHSA-1", aliases=("CVE-1",), severity=Severity.HIGH, ranges=((Event("introduced", "0"),),))
UNSCORED = Advisory(id="MAL-1")


def names(*texts: str) -> tuple[NamePattern, ...]:
    return tuple(map(NamePattern.parse, texts))


def selectors(*texts: str) -> tuple[Selector, ...]:
    return tuple(map(Selector.parse, texts))


def tags(*texts: str) -> tuple[TagPattern, ...]:
    return tuple(map(TagPattern.parse, texts))


def exemption(
    releases: str = "six", *, expires: datetime = NOW + timedelta(days=1), reason: str = "why", **options: Any
) -> Exemption:
    return Exemption(releases=Selector.parse(releases), expires=expires, reason=reason, **options)


def judge(
    policy: Policy, filename: str = WHEEL, *, uploaded: datetime | None = OLD, about: tuple[Advisory, ...] = ()
) -> Verdict:
    file = DistFile(filename=Filename(filename), url=filename, upload_time=uploaded)
    return policy.judge(SIX, file, NOW, about)


@pytest.mark.parametrize(
    ("policy", "rule"),
    [
        pytest.param(Policy(), None, id="everything"),
        pytest.param(Policy(reserved=names("six")), Rule.RESERVED, id="reserved"),
        pytest.param(Policy(reserved=names("s*")), Rule.RESERVED, id="reserved-pattern"),
        pytest.param(Policy(reserved=names("SIX")), Rule.RESERVED, id="reserved-spelling"),
        pytest.param(Policy(reserved=names("six-*")), None, id="reserved-others"),
        pytest.param(Policy(upstream_mode=UpstreamMode.NONE), Rule.UPSTREAM_MODE, id="none"),
        pytest.param(Policy(upstream_mode=UpstreamMode.LISTED), Rule.UPSTREAM_MODE, id="not-listed"),
        pytest.param(Policy(upstream_mode=UpstreamMode.LISTED, upstream_names=names("six")), None, id="listed"),
        pytest.param(
            Policy(upstream_mode=UpstreamMode.LISTED, upstream_names=names("six"), reserved=names("six")),
            Rule.RESERVED,
            id="reserved-beats-listed",
        ),
        pytest.param(Policy(deny=selectors("six")), Rule.DENY, id="denied"),
        pytest.param(Policy(deny=selectors("six<1")), None, id="denied-in-part"),
        pytest.param(Policy(deny=selectors("six"), allow=selectors("six")), Rule.DENY, id="deny-beats-allow"),
        pytest.param(Policy(allow=selectors("seven")), Rule.ALLOW, id="not-allowed"),
        pytest.param(Policy(allow=selectors("six<1")), None, id="allowed-in-part"),
    ],
)
def test_names(policy: Policy, rule: Rule | None) -> None:
    """DC-02: which names other indexes may be asked for; what is reserved beats every list."""
    assert policy.may_ask(SIX).rule is rule


FILE_CASES = [
    pytest.param(Policy(), WHEEL, None, id="everything"),
    pytest.param(Policy(deny=selectors("six<1.17")), WHEEL, Rule.DENY, id="denied-version"),
    pytest.param(Policy(deny=selectors("six>1.16.0")), WHEEL, None, id="denied-other-version"),
    pytest.param(Policy(deny=selectors("s*==1.16")), SDIST, Rule.DENY, id="denied-equal-version"),
    pytest.param(Policy(deny=selectors("six<2")), "six-2.0rc1.tar.gz", None, id="pep440-pre-release"),
    pytest.param(Policy(deny=selectors("six<2.1")), "six-2.0rc1.tar.gz", Rule.DENY, id="pre-releases-count"),
    pytest.param(Policy(deny=selectors("six<1")), "six-odd.tar.gz", Rule.DENY, id="denied-when-unknown"),
    pytest.param(Policy(allow=selectors("six<1")), "six-odd.tar.gz", Rule.ALLOW, id="not-allowed-when-unknown"),
    pytest.param(Policy(allow=selectors("six")), "six-odd.tar.gz", None, id="allowed-by-name"),
    pytest.param(Policy(allow=selectors("six==1.*")), WHEEL, None, id="allowed-version"),
    pytest.param(Policy(allow=selectors("six==2.*")), WHEEL, Rule.ALLOW, id="other-version-allowed"),
    pytest.param(
        Policy(allow=selectors("six==1.*"), deny=selectors("six==1.16")), WHEEL, Rule.DENY, id="deny-beats-allow"
    ),
    pytest.param(Policy(files=Files.WHEELS), WHEEL, None, id="wheels-wheel"),
    pytest.param(Policy(files=Files.WHEELS), SDIST, Rule.FILES, id="wheels-sdist"),
    pytest.param(Policy(files=Files.SDISTS), WHEEL, Rule.FILES, id="sdists-wheel"),
    pytest.param(Policy(files=Files.SDISTS), SDIST, None, id="sdists-sdist"),
    pytest.param(Policy(files=Files.WHEELS), "six-1.16.0-py2.7.egg", Rule.FILES, id="wheels-egg"),
    pytest.param(Policy(deny_tags=tags("py2-*")), WHEEL, Rule.DENY_TAGS, id="one-tag-denied"),
    pytest.param(Policy(deny_tags=tags("*-win32")), WHEEL, None, id="other-tag-denied"),
    pytest.param(Policy(deny_tags=tags("*")), SDIST, None, id="sdists-have-no-tags"),
    pytest.param(Policy(allow_tags=tags("py3-*")), WHEEL, None, id="one-tag-allowed"),
    pytest.param(Policy(allow_tags=tags("*-win32")), WHEEL, Rule.ALLOW_TAGS, id="no-tag-allowed"),
    pytest.param(
        Policy(allow_tags=tags("py3-*"), deny_tags=tags("py2-*")), WHEEL, Rule.DENY_TAGS, id="tags-deny-first"
    ),
    pytest.param(Policy(deny_tags=tags("*-win32")), "six-1.0-odd.whl", Rule.DENY_TAGS, id="tags-unknown"),
    pytest.param(Policy(allow_tags=tags("*")), "six-1.0-odd.whl", Rule.ALLOW_TAGS, id="tags-unknown-allow"),
    pytest.param(Policy(deny_tags=tags("*-win32")), "six-1.0-py3-none-win32.WHL", Rule.DENY_TAGS, id="tags-capitals"),
]


@pytest.mark.parametrize(("policy", "filename", "rule"), FILE_CASES)
def test_files(policy: Policy, filename: str, rule: Rule | None) -> None:
    """Lists by name, version and tag, and kinds of files; what cannot be told is not offered."""
    verdict = judge(policy, filename)
    assert (verdict.rule, verdict.until) == (rule, None)


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("https://files.example/six-1.16.0-py2.py3-none-any.whl", None),
        ("https://files.example/six%2D1.16.0-py2.py3-none-any.whl", None),
        ("https://files.example/assets/4711", None),
        ("https://files.example/download?file=six-2.0-py3-none-any.whl", None),
        ("six-2.0-py3-none-any.whl", None),  # an address of ours, which is not made of what the page says
        ("https://files.example/six-2.0-py3-none-any.whl", Rule.DENY),
        ("https://files.example/six-2.0-py3-none-any.whl/", Rule.DENY),
        ("https://files.example/six-2%2E0-py3-none-any.whl", Rule.DENY),
        ("https://files.example/x%2Fsix-2.0-py3-none-any.whl", Rule.DENY),
        ("https://files.example/six-2.0.tar.gz?as=/six-1.16.0-py2.py3-none-any.whl", Rule.DENY),
        ("https://files.example/six-odd.tar.gz", Rule.DENY),
        ("https://[files.example/six-2.0.tar.gz", None),  # no address at all
    ],
)
def test_address_with_another_name(url: str, rule: Rule | None) -> None:
    """A file whose address calls it otherwise, as pip reads it, has to pass under both names."""
    file = DistFile(filename=Filename(WHEEL), url=url, upload_time=OLD)
    verdict = Policy(deny=selectors("six>=2")).judge(SIX, file, NOW, ())
    assert verdict.rule is rule
    assert verdict.allowed or verdict.reason.startswith("its address calls it 'six-")


def test_address_with_another_name_and_an_exception() -> None:
    """When an exception lifts a rule for one of two names only, the answer holds until it ends."""
    file = DistFile(filename=Filename(WHEEL), url="https://files.example/six-2.0.tar.gz", upload_time=FRESH)
    ends = NOW + timedelta(hours=1)
    lifted = (exemption("six<2"), exemption("six>=2", expires=ends))
    assert Policy(minimum_age=timedelta(days=7), exceptions=lifted).judge(SIX, file, NOW, ()).until == ends


WEEK = Policy(minimum_age=timedelta(days=7))


@pytest.mark.parametrize(
    ("uploaded", "rule", "until"),
    [
        pytest.param(OLD, None, None, id="old"),
        pytest.param(FRESH, Rule.MINIMUM_AGE, FRESH + timedelta(days=7), id="fresh"),
        pytest.param(NOW - timedelta(days=7), None, None, id="just-ripe"),
        pytest.param(
            NOW - timedelta(days=7) + timedelta(microseconds=1),
            Rule.MINIMUM_AGE,
            NOW + timedelta(microseconds=1),
            id="not-quite",
        ),
        pytest.param(NOW + timedelta(days=1), Rule.MINIMUM_AGE, NOW + timedelta(days=8), id="from-the-future"),
        pytest.param(None, Rule.MINIMUM_AGE, None, id="unknown"),
        pytest.param(datetime.max.replace(tzinfo=UTC), Rule.MINIMUM_AGE, None, id="beyond-the-calendar"),
    ],
)
def test_minimum_age(uploaded: datetime | None, rule: Rule | None, until: datetime | None) -> None:
    """DC-07: age counts from the upstream's own upload time; a file without one is too young."""
    verdict = judge(WEEK, uploaded=uploaded)
    assert (verdict.rule, verdict.until) == (rule, until)


def test_exempt_from_age() -> None:
    """Names that are exempt from the minimum age are offered at once, even without an upload time."""
    policy = Policy(minimum_age=timedelta(days=7), minimum_age_exempt=names("s*"))
    assert judge(policy, uploaded=FRESH).allowed
    assert judge(policy, uploaded=None).allowed


@pytest.mark.parametrize(
    ("uploaded", "rule"),
    [(OLD, None), (FRESH, None), (FRESH + timedelta(seconds=1), Rule.FROZEN_AT), (None, Rule.FROZEN_AT)],
)
def test_frozen(uploaded: datetime | None, rule: Rule | None) -> None:
    """A freeze at a date shows what was uploaded by then, and nothing whose upload time is not told."""
    assert judge(Policy(frozen_at=FRESH), uploaded=uploaded).rule is rule


@pytest.mark.parametrize(
    ("threshold", "severity", "blocked"),
    [
        (Severity.HIGH, Severity.HIGH, True),
        (Severity.HIGH, Severity.CRITICAL, True),
        (Severity.HIGH, Severity.MEDIUM, False),
        (Severity.LOW, Severity.NONE, False),
        (Severity.NONE, Severity.NONE, True),
        (Severity.CRITICAL, Severity.UNKNOWN, True),
        (None, Severity.CRITICAL, False),
    ],
)
def test_advisories(threshold: Severity | None, severity: Severity, *, blocked: bool) -> None:
    """Releases with a vulnerability at least as bad as the threshold are left out; one without a score always is."""
    verdict = judge(Policy(osv_severity=threshold), about=(Advisory(id="GHSA-2", severity=severity),))
    assert verdict.rule is (Rule.OSV if blocked else None)


LIFTED = [
    pytest.param(exemption(), True, id="by-name"),
    pytest.param(exemption("six==1.16.0"), True, id="by-version"),
    pytest.param(exemption("six<1"), False, id="other-version"),
    pytest.param(exemption("seven"), False, id="other-name"),
    pytest.param(exemption(expires=NOW), False, id="expired"),
    pytest.param(exemption(rules=frozenset({Rule.FROZEN_AT})), False, id="other-rule"),
    pytest.param(exemption(rules=frozenset({Rule.MINIMUM_AGE})), True, id="this-rule"),
    pytest.param(exemption(advisories=frozenset({"GHSA-1"})), False, id="only-an-advisory"),
]


@pytest.mark.parametrize(("given", "lifted"), LIFTED)
def test_exceptions(given: Exemption, *, lifted: bool) -> None:
    """An exception lifts the rules it names, for the releases it names, until it expires."""
    verdict = judge(Policy(minimum_age=timedelta(days=7), exceptions=(given,)), uploaded=FRESH)
    assert verdict.allowed is lifted
    if lifted:
        assert verdict.until == given.expires
        assert "why" in verdict.reason


@pytest.mark.parametrize(
    ("advisories", "about", "allowed"),
    [
        ((), (BAD,), True),
        (("GHSA-1",), (BAD,), True),
        (("CVE-1",), (BAD,), True),
        (("GHSA-9",), (BAD,), False),
        (("GHSA-1",), (BAD, UNSCORED), False),
    ],
)
def test_exception_for_advisories(advisories: tuple[str, ...], about: tuple[Advisory, ...], *, allowed: bool) -> None:
    """An exception may be for single advisories, by any of their names; others still count."""
    given = exemption(advisories=frozenset(advisories))
    assert judge(Policy(osv_severity=Severity.HIGH, exceptions=(given,)), about=about).allowed is allowed


def test_no_end_is_told_of_what_does_not_end() -> None:
    """A young file with a vulnerability is not said to be offered once it is old enough."""
    advisory = Advisory(id="GHSA-1", severity=Severity.HIGH)
    policy = replace(WEEK, osv_severity=Severity.HIGH)
    verdict = judge(policy, uploaded=FRESH, about=(advisory,))
    assert (verdict.rule, verdict.until) == (Rule.OSV, None)


def test_an_exception_that_ended_is_told() -> None:
    """Whoever wonders why an exception no longer helps is told when it ended, to the second at which it did."""
    policy = replace(WEEK, exceptions=(exemption("six", expires=NOW, reason="OPS-12"), exemption("seven")))
    verdict = judge(policy, uploaded=FRESH)
    assert verdict.rule is Rule.MINIMUM_AGE
    assert verdict.reason.endswith(f"must be 7 days old; an exception ended {day_and_time(NOW)}: OPS-12")
    still = replace(policy, exceptions=(exemption("six", expires=NOW + timedelta(microseconds=1)),))
    assert judge(still, uploaded=FRESH).allowed


def test_exceptions_lift_no_list() -> None:
    """What an administrator wrote by hand on a list is changed by hand: no exception lifts it."""
    for policy in (Policy(deny=selectors("six<2")), Policy(allow=selectors("six<1")), Policy(files=Files.SDISTS)):
        lifted = Policy(deny=policy.deny, allow=policy.allow, files=policy.files, exceptions=(exemption(),))
        assert not judge(lifted).allowed


def test_exception_ends_when_the_file_is_ripe() -> None:
    """What is offered by an exception for its age is offered by itself once it is old enough."""
    given = exemption(expires=NOW + timedelta(days=90))
    verdict = judge(Policy(minimum_age=timedelta(days=7), exceptions=(given,)), uploaded=FRESH)
    assert verdict.until == FRESH + timedelta(days=7)


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(days=7), "7 days"),
        (timedelta(days=1), "1 day"),
        (timedelta(hours=36), "36 hours"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(seconds=61), "61 seconds"),
    ],
)
def test_ages_in_words(age: timedelta, words: str) -> None:
    """Ages are told in the largest unit that fits."""
    assert in_words(age) == words
