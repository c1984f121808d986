"""Laws of the rules, whatever the policy and the page: filtering takes away, forbidding wins, time brings back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from wheelyard.index.policy.advisories import Advisory, Event
from wheelyard.index.policy.index import LEFT_OUT, Judged, _page_of
from wheelyard.index.policy.patterns import NamePattern, Selector
from wheelyard.index.policy.rules import Exemption, Files, Policy, Rule, UpstreamMode, Verdict
from wheelyard.index.policy.severity import Severity
from wheelyard.model import DistFile, Filename, NormalizedName, ProjectPage
from wheelyard.protocol.filenames import release_of
from wheelyard.protocol.names import sort_versions, version_key

SIX = NormalizedName("six")
NOW = datetime(2026, 3, 1, tzinfo=UTC)

versions = st.sampled_from(["0.9", "1.0", "1.0.0", "1.1rc1", "1.1", "2.0", "2!1.0", "1.0+local", "odd"])
moments = st.datetimes(datetime(2025, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  bounds are naive
specifiers = st.sampled_from(["", "<1.1", ">=1.0", "==1.*", "!=2.0", "~=1.0"])
selectors = st.builds(Selector, st.sampled_from(["six", "s*", "*", "seven"]).map(NamePattern), specifiers)
patterns = st.sampled_from(["six", "s*", "seven", "*"]).map(NamePattern)
files = st.builds(
    lambda version, ending, uploaded: DistFile(
        filename=Filename(f"six-{version}{ending}"), url="x", upload_time=uploaded
    ),
    versions,
    st.sampled_from(["-py3-none-any.whl", "-cp27-cp27m-win32.whl", ".tar.gz", ".zip", "-py2.7.egg", ".exe"]),
    st.none() | moments,
)
pages = st.lists(files, unique_by=lambda file: file.filename, max_size=8).map(
    lambda found: ProjectPage(
        name=SIX,
        files=tuple(found),
        versions=sort_versions(
            ["7.0", *(version for file in found if (version := release_of(file.filename, SIX)) is not None)]
        ),
    )
)
advisories = st.lists(
    st.builds(
        lambda severity, start, end: Advisory(
            id="X-1", severity=severity, ranges=((Event("introduced", start), Event("fixed", end)),)
        ),
        st.sampled_from(Severity),
        versions,
        versions,
    ),
    max_size=2,
).map(tuple)
exemptions = st.builds(
    lambda releases, expires, rules: Exemption(releases=releases, expires=expires, reason="why", rules=rules),
    selectors,
    moments,
    st.frozensets(st.sampled_from([Rule.MINIMUM_AGE, Rule.FROZEN_AT, Rule.OSV])),
)
policies = st.builds(
    Policy,
    reserved=st.lists(patterns, max_size=1).map(tuple),
    upstream_mode=st.sampled_from(UpstreamMode),
    upstream_names=st.lists(patterns, max_size=1).map(tuple),
    deny=st.lists(selectors, max_size=2).map(tuple),
    allow=st.lists(selectors, max_size=2).map(tuple),
    files=st.sampled_from(Files),
    minimum_age=st.sampled_from([timedelta(0), timedelta(days=7), timedelta(days=300)]),
    minimum_age_exempt=st.lists(patterns, max_size=1).map(tuple),
    frozen_at=st.none() | moments,
    osv_severity=st.none() | st.sampled_from([Severity.NONE, Severity.HIGH]),
    exceptions=st.lists(exemptions, max_size=2).map(tuple),
)


def judged(policy: Policy, page: ProjectPage, about: tuple[Advisory, ...], now: datetime = NOW) -> tuple[Judged, ...]:
    return tuple(
        Judged(file, release_of(file.filename, SIX), policy.judge(SIX, file, now, about)) for file in page.files
    )


@given(policies, pages, advisories)
def test_filtering_never_adds(policy: Policy, page: ProjectPage, about: tuple[Advisory, ...]) -> None:
    """A filtered page holds only files and releases of the page it was made of, in their order, each unchanged."""
    shown = _page_of(page, judged(policy, page, about), policy)
    files, releases = iter(page.files), iter(page.versions)
    assert all(any(file is each for each in files) for file in shown.files)
    assert all(any(release == each for each in releases) for release in shown.versions)
    assert shown.status is page.status


@given(policies, pages, advisories)
def test_pages_and_files_agree(policy: Policy, page: ProjectPage, about: tuple[Advisory, ...]) -> None:
    """A file is on the page exactly when it is offered; its release stays, and others go with the last of their files."""
    each = judged(policy, page, about)
    shown = _page_of(page, each, policy)
    assert {file.filename for file in shown.files} == {one.file.filename for one in each if one.verdict.allowed}
    kept = {version_key(one) for file in shown.files if (one := release_of(file.filename, SIX)) is not None}
    assert kept <= set(map(version_key, shown.versions))
    # No file says anything against it, so only the lists do.
    assert ("7.0" in shown.versions) is policy.judge_release(SIX, "7.0").allowed
    left_out = shown.private.get(LEFT_OUT, {})
    assert isinstance(left_out, Mapping)
    assert not set(left_out) & set(shown.versions)


@given(policies, files, advisories)
def test_deny_beats_everything(policy: Policy, file: DistFile, about: tuple[Advisory, ...]) -> None:
    """What is on the deny list is not offered, whatever else allows it or lifts rules."""
    denying = Policy(
        deny=(Selector(NamePattern("six")),),
        allow=policy.allow,
        minimum_age_exempt=policy.minimum_age_exempt,
        exceptions=policy.exceptions,
    )
    assert denying.judge(SIX, file, NOW, about).rule is Rule.DENY
    assert not denying.may_ask(SIX).allowed


@given(policies, patterns)
def test_reserved_beats_everything(policy: Policy, pattern: NamePattern) -> None:
    """A reserved name is never asked for, whatever else lists it."""
    reserving = Policy(
        reserved=(pattern,),
        upstream_mode=policy.upstream_mode,
        upstream_names=policy.upstream_names,
        allow=policy.allow,
    )
    if pattern.matches(SIX):
        assert reserving.may_ask(SIX).rule is Rule.RESERVED


@given(policies, files, advisories, exemptions)
def test_exceptions_only_lift(policy: Policy, file: DistFile, about: tuple[Advisory, ...], further: Exemption) -> None:
    """One more exception never takes away what was offered."""
    options = {name: getattr(policy, name) for name in Policy.__dataclass_fields__}
    more = Policy(**{**options, "exceptions": (*policy.exceptions, further)})
    if policy.judge(SIX, file, NOW, about).allowed:
        assert more.judge(SIX, file, NOW, about).allowed


@given(policies, files, advisories, moments, st.floats(0, 1))
def test_verdicts_hold_until_they_say(
    policy: Policy, file: DistFile, about: tuple[Advisory, ...], now: datetime, part: float
) -> None:
    """Up to the moment that a verdict names, or for ever when it names none, time alone does not change it."""
    verdict = policy.judge(SIX, file, now, about)
    last = verdict.until or now + timedelta(days=3650)
    assert last > now
    later = now + (last - now) * part
    if later < last:
        assert policy.judge(SIX, file, later, about).allowed is verdict.allowed


@given(policies, files, advisories, moments)
def test_age_ends(policy: Policy, file: DistFile, about: tuple[Advisory, ...], now: datetime) -> None:
    """At the moment that the minimum age names, it is no longer the reason."""
    verdict = policy.judge(SIX, file, now, about)
    if verdict.rule is Rule.MINIMUM_AGE and verdict.until is not None:
        assert policy.judge(SIX, file, verdict.until, about).rule is not Rule.MINIMUM_AGE


@given(files, advisories)
def test_no_policy_no_change(file: DistFile, about: tuple[Advisory, ...]) -> None:
    """A policy that says nothing offers everything."""
    assert Policy().judge(SIX, file, NOW, about) == Verdict()
