"""
The rules themselves: may a name be asked of other indexes, and may a file of theirs be offered here?

Rule 1: pure. Time and advisories are arguments, so that every answer can be tested and repeated.
Rule 2: a file has to pass every rule; what forbids goes before what allows, and an exception lifts only the rules it names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cached_property
from typing import Final
from urllib.parse import unquote, urlsplit

from wheelyard.errors import InvalidFilename, shown
from wheelyard.index.policy.advisories import Advisory
from wheelyard.index.policy.patterns import NamePattern, Selector, TagPattern
from wheelyard.index.policy.severity import Severity
from wheelyard.model import DistFile, FileKind, Filename, NormalizedName
from wheelyard.protocol.filenames import ParsedFilename, parse_filename, release_of


class Rule(Enum):
    """Rules by the word that settings, answers and `wheelyard why` use for them."""

    RESERVED = "reserved"
    UPSTREAM_MODE = "upstream_mode"
    DENY = "deny"
    ALLOW = "allow"
    DENY_TAGS = "deny_tags"
    ALLOW_TAGS = "allow_tags"
    FILES = "files"
    FROZEN_AT = "frozen_at"
    MINIMUM_AGE = "minimum_age"
    OSV = "osv_severity"


_INSTALLABLE: Final = (".whl", ".zip", ".gz", ".tgz", ".tar", ".bz2", ".tbz", ".xz", ".txz", ".lz", ".tlz", ".lzma")
"""Ends of what pip takes for files that it can install."""

_FOR_EVER: Final = datetime.max.replace(tzinfo=UTC)

LIFTABLE: Final = (Rule.MINIMUM_AGE, Rule.FROZEN_AT, Rule.OSV)
"""Rules that an exception may lift: those that change by themselves. The others are lifted by changing them."""


class UpstreamMode(Enum):
    """Which names are asked of other indexes."""

    ALL = "all"
    LISTED = "listed"
    NONE = "none"


class Files(Enum):
    """Which kinds of files are offered."""

    ALL = "all"
    WHEELS = "wheels"
    SDISTS = "sdists"


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What the rules say.

    Attributes:
        rule: The rule that forbids; None when nothing does.
        reason: Why, in words for the caller; of what is allowed, which exceptions made it so, or "".
        until: When this answer changes by itself; None when it does not.
    """

    rule: Rule | None = None
    reason: str = ""
    until: datetime | None = None

    @property
    def allowed(self) -> bool:
        """Whether nothing forbids it."""
        return self.rule is None


ALLOWED: Final = Verdict()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """
    Break-glass: rules that do not hold for some releases, for a while.

    Attributes:
        releases: Which.
        expires: Until when, UTC.
        reason: Why; shown by `wheelyard why`.
        rules: Which rules are lifted.
        advisories: When there are any, only these advisories are lifted, and of `rules` only `osv_severity` counts.
    """

    releases: Selector
    expires: datetime
    reason: str
    rules: frozenset[Rule] = frozenset(LIFTABLE)
    advisories: frozenset[str] = frozenset()

    def holds(self, project: NormalizedName, release: str | None, now: datetime) -> bool:
        """Tell whether it counts for a release at this moment."""
        return now < self.expires and self.is_about(project, release)

    def is_about(self, project: NormalizedName, release: str | None) -> bool:
        """Tell whether it counts for a release until it expires."""
        return self.releases.matches(project, release, unknown=False)

    def lifts(self, rule: Rule, advisory: Advisory | None = None) -> bool:
        """Tell whether it lifts a rule, or what one advisory says."""
        if rule not in self.rules:
            return False
        return not self.advisories or (advisory is not None and advisory.is_called(self.advisories))


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    What of other indexes is offered here. The defaults let everything through.

    Attributes:
        reserved: Names that no other index is ever asked for.
        upstream_mode: Which other names are.
        upstream_names: Those that are in mode `listed`.
        deny: Releases that are never offered.
        allow: When there are any, only these releases are offered.
        deny_tags: Wheels with one of these tags are not offered.
        allow_tags: When there are any, only wheels with one of these tags are.
        files: Which kinds of files are offered.
        minimum_age: How long ago a file must have been uploaded.
        minimum_age_exempt: Names for which age does not count.
        frozen_at: Files uploaded later are not offered.
        osv_severity: Releases with a vulnerability this bad or worse are not offered; None does not ask.
        exceptions: Break-glass.
        squat_check: Whether to look for names of ours on other indexes.
        squat_expected: Names that are there with our knowledge.
    """

    reserved: tuple[NamePattern, ...] = ()
    upstream_mode: UpstreamMode = UpstreamMode.ALL
    upstream_names: tuple[NamePattern, ...] = ()
    deny: tuple[Selector, ...] = ()
    allow: tuple[Selector, ...] = ()
    deny_tags: tuple[TagPattern, ...] = ()
    allow_tags: tuple[TagPattern, ...] = ()
    files: Files = Files.ALL
    minimum_age: timedelta = timedelta(0)
    minimum_age_exempt: tuple[NamePattern, ...] = ()
    frozen_at: datetime | None = None
    osv_severity: Severity | None = None
    exceptions: tuple[Exemption, ...] = ()
    squat_check: bool = True
    squat_expected: tuple[NamePattern, ...] = ()

    def may_ask(self, project: NormalizedName) -> Verdict:
        """Decide whether other indexes may be asked for a name; when not, they must not even hear it."""
        for pattern in self.reserved:
            if pattern.matches(project):
                return Verdict(Rule.RESERVED, f"the name is reserved here ('{pattern}')")
        if self.upstream_mode is UpstreamMode.NONE:
            return Verdict(Rule.UPSTREAM_MODE, "this index offers its own projects only")
        if self.upstream_mode is UpstreamMode.LISTED and not _any(self.upstream_names, project):
            return Verdict(Rule.UPSTREAM_MODE, "the name is not listed in `upstream_names`")
        return self._whole_project(project)

    def hides(self, verdict: Verdict) -> bool:
        """Tell whether a name is simply not here (DC-02: 404), rather than refused with a reason."""
        return verdict.rule is Rule.RESERVED or self.upstream_mode is UpstreamMode.NONE

    def _whole_project(self, project: NormalizedName) -> Verdict:
        """Decide what holds for every release of a project, so that nobody has to be asked about them."""
        for selector in self.deny:
            if not selector.specifier and selector.name.matches(project):
                return Verdict(Rule.DENY, f"'{selector}' is on the deny list")
        if self.allow and not _any((selector.name for selector in self.allow), project):
            return Verdict(Rule.ALLOW, "the project is not on the allow list")
        return ALLOWED

    def judge_release(self, project: NormalizedName, release: str | None) -> Verdict:
        """Decide about a release by the lists alone; None for one whose version nobody tells. Deny beats allow."""
        for selector in self.deny:
            if selector.matches(project, release, unknown=True):
                return Verdict(Rule.DENY, f"'{selector}' is on the deny list")
        if self.allow and not any(each.matches(project, release, unknown=False) for each in self.allow):
            return Verdict(Rule.ALLOW, "this release is not on the allow list")
        return ALLOWED

    def judge(self, project: NormalizedName, file: DistFile, now: datetime, advisories: Sequence[Advisory]) -> Verdict:
        """
        Decide about one file of a project that may be asked for.

        Args:
            project: Its project.
            file: As the other index lists it.
            now: The time, UTC.
            advisories: Those about its project.
        Returns:
            The first rule that forbids; when none does, until when that holds.
        """
        verdict = _Judging(self, project, file, now, advisories).verdict()
        called = None if not verdict.allowed else _other_name(file)
        if called is None:
            return verdict
        other = _Judging(self, project, replace(file, filename=called), now, advisories).verdict()
        if not other.allowed:
            return replace(other, reason=f"its address calls it '{shown(called)}': {other.reason}")
        return min(verdict, other, key=lambda each: _FOR_EVER if each.until is None else each.until)


def _other_name(file: DistFile) -> Filename | None:
    """
    Return what the address of a file elsewhere calls it, when that is a name of another distribution file.

    pip goes by the address and not by the name beside it, so a page that says one thing and means another would show a
    release that is left out. Files at addresses of ours are called as the page has it.
    """
    if "://" not in file.url or (file.url.endswith(f"/{file.filename}") and "?" not in file.url):
        return None
    try:
        path = unquote(urlsplit(file.url).path)
    except ValueError:
        return None  # no client finds a file there
    called = path.rstrip("/").rpartition("/")[2]
    if called == file.filename or not called.lower().endswith(_INSTALLABLE):
        return None
    return Filename(called)


def _any(patterns: Iterator[NamePattern] | tuple[NamePattern, ...], project: NormalizedName) -> bool:
    return any(pattern.matches(project) for pattern in patterns)


def day_and_time(moment: datetime) -> str:
    """Return a moment as texts show it: to the second, UTC."""
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


@dataclass
class _Judging:
    """One file before the rules; its name is read only when a rule wants to know, since reading takes most of the time."""

    policy: Policy
    project: NormalizedName
    file: DistFile
    now: datetime
    advisories: Sequence[Advisory]
    lifted: dict[str, datetime] = field(default_factory=dict)

    @cached_property
    def parsed(self) -> ParsedFilename | None:
        """What the name says; None when it is not that of a wheel or an sdist."""
        try:
            return parse_filename(self.file.filename, self.project)
        except InvalidFilename:
            return None

    @cached_property
    def release(self) -> str | None:
        """The version; None when the name does not tell."""
        return release_of(self.file.filename, self.project)

    def verdict(self) -> Verdict:
        for rule in _RULES:
            verdict = rule(self)
            if not verdict.allowed:
                return verdict
        return Verdict(reason="; ".join(self.lifted), until=min(self.lifted.values(), default=None))

    def named(self) -> Verdict:
        if not (self.policy.deny or self.policy.allow):
            return ALLOWED
        return self.policy.judge_release(self.project, self.release)

    def of_a_kind(self) -> Verdict:
        wanted = self.policy.files
        if wanted is Files.ALL:
            return ALLOWED
        kind = FileKind.WHEEL if wanted is Files.WHEELS else FileKind.SDIST
        if self.parsed is not None and self.parsed.kind is kind:
            return ALLOWED
        return Verdict(Rule.FILES, f"only {wanted.value} are offered")

    def tagged(self) -> Verdict:
        if not (self.policy.deny_tags or self.policy.allow_tags) or not self.file.filename.lower().endswith(".whl"):
            return ALLOWED
        if self.parsed is None:
            rule = Rule.DENY_TAGS if self.policy.deny_tags else Rule.ALLOW_TAGS
            return Verdict(rule, "the name of the wheel does not tell its tags")
        for pattern in self.policy.deny_tags:
            if pattern.matches_any(self.parsed.tags):
                return Verdict(Rule.DENY_TAGS, f"wheels for '{pattern}' are on the deny list")
        allow = self.policy.allow_tags
        if allow and not any(pattern.matches_any(self.parsed.tags) for pattern in allow):
            return Verdict(Rule.ALLOW_TAGS, "none of the wheel's tags is on the allow list")
        return ALLOWED

    def frozen(self) -> Verdict:
        frozen_at = self.policy.frozen_at
        if frozen_at is None:
            return ALLOWED
        uploaded = self.file.upload_time
        if uploaded is not None and uploaded <= frozen_at:
            return ALLOWED
        when = "nobody tells when it was uploaded" if uploaded is None else f"it was uploaded {day_and_time(uploaded)}"
        return self.unless_lifted(Verdict(Rule.FROZEN_AT, f"the index is frozen at {day_and_time(frozen_at)}; {when}"))

    def young(self) -> Verdict:
        age = self.policy.minimum_age
        if not age or _any(self.policy.minimum_age_exempt, self.project):
            return ALLOWED
        uploaded = self.file.upload_time
        if uploaded is None:
            return self.unless_lifted(
                Verdict(Rule.MINIMUM_AGE, "nobody tells when it was uploaded, so it counts as too young")
            )
        try:
            ripe = uploaded + age
        except OverflowError:
            return self.unless_lifted(Verdict(Rule.MINIMUM_AGE, "its upload time is beyond the calendar"))
        if ripe <= self.now:
            return ALLOWED
        text = f"it was uploaded {day_and_time(uploaded)} and must be {in_words(age)} old"
        return self.unless_lifted(Verdict(Rule.MINIMUM_AGE, text, until=ripe))

    def vulnerable(self) -> Verdict:
        least = self.policy.osv_severity
        if least is None:
            return ALLOWED
        for advisory in self.advisories:
            if advisory.severity >= least and advisory.affects(self.release):
                verdict = self.unless_lifted(Verdict(Rule.OSV, advisory.described), advisory)
                if not verdict.allowed:
                    return verdict
        return ALLOWED

    def unless_lifted(self, verdict: Verdict, advisory: Advisory | None = None) -> Verdict:
        """Let an exception lift a verdict; the answer then changes when the exception ends."""
        assert verdict.rule is not None
        meant = [
            exemption
            for exemption in self.policy.exceptions
            if exemption.lifts(verdict.rule, advisory) and exemption.is_about(self.project, self.release)
        ]
        if not meant:
            return verdict
        last = max(meant, key=lambda exemption: exemption.expires)
        if not last.holds(self.project, self.release, self.now):
            ended = f"an exception ended {day_and_time(last.expires)}: {last.reason}"
            return replace(verdict, reason=f"{verdict.reason}; {ended}")
        # What would be offered without the exception when it ends does not change then.
        until = last.expires if verdict.until is None else min(last.expires, verdict.until)
        self.lifted[f"{verdict.rule.value} is lifted until {day_and_time(last.expires)}: {last.reason}"] = until
        return ALLOWED


_RULES: Final[tuple[Callable[[_Judging], Verdict], ...]] = (
    _Judging.named,
    _Judging.of_a_kind,
    _Judging.tagged,
    _Judging.frozen,
    _Judging.vulnerable,
    _Judging.young,
)
"""In the order in which they are told: what never changes by itself first."""


def in_words(age: timedelta) -> str:
    """Return a duration as settings write it: the largest unit that fits."""
    seconds = int(age.total_seconds())
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length and seconds % length == 0:
            count = seconds // length
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
