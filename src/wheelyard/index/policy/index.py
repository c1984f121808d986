"""
Another index behind a policy: its pages without what is left out, and a reason for whoever asks for that.

Rule 1: a name that may not be asked for causes no question at all.
Rule 2: a policy that cannot be applied denies (503); the page as it came is never returned instead.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final, Protocol

import structlog
from anyio import to_thread

from wheelyard.errors import (
    DistFileNotFound,
    Filtered,
    InvalidName,
    PolicyUnavailable,
    ProjectNotLookedUp,
    WheelyardError,
)
from wheelyard.index.interface import DenyAll, FileBody, IndexReader
from wheelyard.index.policy.advisories import Advisory
from wheelyard.index.policy.rules import Policy, Verdict
from wheelyard.index.upstream_memory import Flights
from wheelyard.model import DistFile, Filename, NormalizedName, ProjectList, ProjectPage, Revision
from wheelyard.protocol.filenames import release_of
from wheelyard.protocol.names import normalize, same_version, version_key
from wheelyard.storage.interface import ABSENT, Absent

LEFT_OUT: Final = "_left_out"
"""Private key of a filtered page: releases of which nothing is offered, each with the `Verdict` about its first file."""

_REMEMBERED_PAGES: Final = 2048
_IN_THREAD_FROM_FILES: Final = 100  # judging more takes milliseconds, of pages with thousands a tenth of a second

_log = structlog.get_logger(__name__)


class Advisories(Protocol):
    """Where advisories come from."""

    def revision(self) -> str:
        """Return a token that differs whenever they changed."""

    async def about(self, project: NormalizedName) -> tuple[Advisory, ...]:
        """
        Return those about a project.

        Raises:
            PolicyUnavailable: They cannot be read.
        """


@dataclass(frozen=True, slots=True)
class Judged:
    """One file of a page and what the policy says of it."""

    file: DistFile
    release: str | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class _Shown:
    """
    A filtered page, and what it was made of.

    Attributes:
        source: The page as it came; kept, so that the same value is recognised.
        advisories: Revision of the advisories.
        page: What is shown.
        until: When another page may be shown; None when that takes another source.
        revision: What the inner index said of the source; None when it says nothing.
        token: What `peek` says of the page.
    """

    source: ProjectPage
    advisories: str
    page: ProjectPage
    until: datetime | None
    revision: Revision | None = None
    token: Revision | None = None


class PolicyIndex(DenyAll):
    """
    Shows what a policy lets through of another index. It is for reading.

    Args:
        inner: Where the pages come from.
        policy: What is let through.
        clock: Tells the time, UTC.
        advisories: Needed when the policy asks for them.
    """

    def __init__(
        self,
        inner: IndexReader,
        policy: Policy,
        *,
        clock: Callable[[], datetime],
        advisories: Advisories | None = None,
    ) -> None:
        self.policy = policy
        self._inner = inner
        self._clock = clock
        self._advisories = advisories
        self._flights = Flights[_Shown]()
        self._remembered: OrderedDict[NormalizedName, _Shown] = OrderedDict()

    # -- reading -------------------------------------------------------------------------------------------------------

    async def list(self) -> ProjectList:
        """List the projects that may be asked for."""
        projects = await self._inner.list()
        return ProjectList(names=tuple(name for name in projects.names if self._is_listed(name)))

    async def page(self, project: NormalizedName) -> ProjectPage:
        """
        Read a page without the files, and the releases, that are left out.

        Raises:
            ProjectNotLookedUp: The name is not to be asked for.
            Filtered: The whole project is left out.
            PolicyUnavailable: The policy cannot be applied.
        """
        self.check_name(project)
        before = self._revision(project)
        source = await self._inner.page(project)
        now, advisories = self._clock(), self._advisories_revision()
        known = self._remembered.get(project)
        if known is not None and known.source is source and known.advisories == advisories and _holds(known.until, now):
            shown = known
        else:
            shown = await self._flights.join(
                f"{project}#{id(source)}#{advisories}", lambda: self._made(source, now, advisories)
            )
        after = self._revision(project)
        if after is not None and after == before:
            token = Revision(f"{after}|{shown.advisories}|{shown.until}")
            self._remember(project, replace(shown, revision=after, token=token))
        else:
            self._remember(project, replace(shown, revision=None, token=None))
        return shown.page

    async def _made(self, source: ProjectPage, now: datetime, advisories: str) -> _Shown:
        """Make what is shown of a page, once for everybody who waits for it."""
        judged = await self._judged(source, now)
        if len(judged) < _IN_THREAD_FROM_FILES:
            page = _page_of(source, judged, self.policy)
        else:
            page = await to_thread.run_sync(_page_of, source, judged, self.policy)
        return _Shown(source, advisories, page, _until(judged))

    async def file(self, project: NormalizedName, filename: Filename) -> FileBody:
        """
        Open a file that is let through.

        Raises:
            Filtered: It is left out.
            PolicyUnavailable: The policy cannot be applied.
        """
        source, judged = await self._check_file(project, filename)
        found = await self._inner.file(project, filename)
        if found.file is not judged:  # the page changed meanwhile, and what it says now counts
            await self._check_listed(source, found.file)
        return found

    async def metadata(self, project: NormalizedName, filename: Filename) -> bytes:
        """
        Read the metadata of a file that is let through.

        Raises:
            Filtered: It is left out.
            PolicyUnavailable: The policy cannot be applied.
        """
        await self._check_file(project, filename)
        return await self._inner.metadata(project, filename)

    async def description(self, project: NormalizedName, filename: Filename) -> bytes | None:
        """
        Read the description of a file that is let through.

        Raises:
            Filtered: It is left out.
            PolicyUnavailable: The policy cannot be applied.
        """
        await self._check_file(project, filename)
        return await self._inner.description(project, filename)

    def peek(self, project: NormalizedName) -> Revision | Absent | None:
        """
        Tell a revision that holds as long as the inner page, the advisories, and the time at which a file is let through.

        None until a page was made of what the inner index has now: only then is that time known.
        """
        return self._told(project, lambda: self._inner.peek(project))

    def peeker(self, project: NormalizedName) -> Callable[[], Revision | Absent | None]:
        """Return a function that does what `peek` does for one project."""
        inner = self._inner.peeker(project)
        return lambda: self._told(project, inner)

    # -- explaining ----------------------------------------------------------------------------------------------------

    async def judged(self, project: NormalizedName) -> tuple[ProjectPage, tuple[Judged, ...]]:
        """
        Return the page of a project that may be asked for as it came, and what is said of each of its files.

        Raises:
            As `page`.
        """
        self.check_name(project)
        source = await self._inner.page(project)
        return source, await self._judged(source, self._clock())

    def check_name(self, project: NormalizedName) -> None:
        """
        Make sure that the inner index may be asked for a name.

        Raises:
            ProjectNotLookedUp: It may not, since the name is not to be known there.
            Filtered: It may not, since the project would not be offered.
            PolicyUnavailable: The policy cannot be applied.
        """
        try:
            verdict = self.policy.may_ask(project)
        except Exception as error:  # whatever a rule raises, it denies
            raise _failed(project, error) from error
        if verdict.allowed:
            return
        if self.policy.hides(verdict):
            raise ProjectNotLookedUp(project, reason=verdict.reason, rule=_word(verdict))
        raise filtered(f"project '{project}'", verdict, project)

    # -- parts ---------------------------------------------------------------------------------------------------------

    async def _check_file(self, project: NormalizedName, filename: Filename) -> tuple[ProjectPage, DistFile]:
        """Judge one file by the page as it came, and return both; the whole page is not judged for it."""
        self.check_name(project)
        source = await self._inner.page(project)
        listed = source.find(filename)
        if listed is None:
            raise DistFileNotFound(project, filename)
        await self._check_listed(source, listed)
        return source, listed

    async def _check_listed(self, source: ProjectPage, listed: DistFile) -> None:
        (judged,) = await self._judged(replace(source, files=(listed,)), self._clock())
        if not judged.verdict.allowed:
            raise filtered(f"file '{listed.filename}'", judged.verdict, source.name)

    async def _judged(self, source: ProjectPage, now: datetime) -> tuple[Judged, ...]:
        try:
            advisories = await self._about(source.name)
            if len(source.files) < _IN_THREAD_FROM_FILES:
                return self._judged_by(source, now, advisories)
            return await to_thread.run_sync(self._judged_by, source, now, advisories)
        except WheelyardError:
            raise
        except Exception as error:  # whatever a rule raises, it denies
            raise _failed(source.name, error) from error

    def _judged_by(self, source: ProjectPage, now: datetime, advisories: Sequence[Advisory]) -> tuple[Judged, ...]:
        judge, project = self.policy.judge, source.name
        return tuple(
            Judged(file, release_of(file.filename, project), judge(project, file, now, advisories))
            for file in source.files
        )

    async def _about(self, project: NormalizedName) -> Sequence[Advisory]:
        if self.policy.osv_severity is None:
            return ()
        if self._advisories is None:
            raise PolicyUnavailable("the policy asks for advisories, and this index has none")
        return await self._advisories.about(project)

    def _is_listed(self, name: str) -> bool:
        try:
            return self.policy.may_ask(normalize(name)).allowed
        except InvalidName:
            return False

    def _revision(self, project: NormalizedName) -> Revision | None:
        revision = self._inner.peek(project)
        return None if revision is None or revision is ABSENT else revision

    def _told(self, project: NormalizedName, inner: Callable[[], Revision | Absent | None]) -> Revision | None:
        """Return what `peek` says, given what the inner index says now."""
        known = self._remembered.get(project)
        if known is None or known.revision is None:
            return None
        if inner() != known.revision or not _holds(known.until, self._clock()):
            return None
        return known.token if self._advisories_revision() == known.advisories else None

    def _advisories_revision(self) -> str:
        if self.policy.osv_severity is None or self._advisories is None:
            return ""
        return self._advisories.revision()

    def _remember(self, project: NormalizedName, shown: _Shown) -> None:
        self._remembered[project] = shown
        self._remembered.move_to_end(project)
        while len(self._remembered) > _REMEMBERED_PAGES:
            self._remembered.popitem(last=False)


def filtered(what: str, verdict: Verdict, project: NormalizedName) -> Filtered:
    """Make the error that tells a verdict."""
    return Filtered(
        what,
        rule=_word(verdict),
        reason=verdict.reason,
        until=None if verdict.until is None else verdict.until.isoformat(),
        project=project,
    )


def _word(verdict: Verdict) -> str:
    return "" if verdict.rule is None else verdict.rule.value


def left_out_release(page: ProjectPage, version: str | None = None) -> Filtered | None:
    """Return why a page does not list a release (by default the newest one left out); None when no policy left it out."""
    left_out = page.private.get(LEFT_OUT)
    if not isinstance(left_out, Mapping) or not left_out:
        return None
    chosen = version or max(left_out, key=version_key)
    for release, verdict in left_out.items():
        if same_version(release, chosen):
            return filtered(f"release '{chosen}' of project '{page.name}'", verdict, page.name)
    return None


def _page_of(source: ProjectPage, judged: Sequence[Judged], policy: Policy) -> ProjectPage:
    """Return a page of what is allowed, and of its releases those of which something is, or that never had a file."""
    shown = tuple(each.file for each in judged if each.verdict.allowed)
    bare = _bare_left_out(source, judged, policy)
    if len(shown) == len(source.files) and not bare:
        return source
    kept = {version_key(each.release) for each in judged if each.verdict.allowed and each.release is not None}
    left_out: dict[str, Verdict] = bare
    for each in judged:
        if not each.verdict.allowed and each.release is not None and version_key(each.release) not in kept:
            left_out.setdefault(each.release, each.verdict)
    gone = {version_key(release) for release in left_out}
    versions = tuple(version for version in source.versions if version_key(version) not in gone)
    private = MappingProxyType({**source.private, LEFT_OUT: MappingProxyType(left_out)})
    return replace(source, files=shown, versions=versions, private=private)


def _bare_left_out(source: ProjectPage, judged: Sequence[Judged], policy: Policy) -> dict[str, Verdict]:
    """Return the releases without any file that the lists forbid: dashboards would tell that they can be had."""
    if not (policy.deny or policy.allow):
        return {}
    listed = {version_key(each.release) for each in judged if each.release is not None}
    bare = (version for version in source.versions if version_key(version) not in listed)
    verdicts = {version: policy.judge_release(source.name, version) for version in bare}
    return {version: verdict for version, verdict in verdicts.items() if not verdict.allowed}


def _until(judged: Sequence[Judged]) -> datetime | None:
    return min((each.verdict.until for each in judged if each.verdict.until is not None), default=None)


def _holds(until: datetime | None, now: datetime) -> bool:
    return until is None or now < until


def _failed(project: NormalizedName, error: Exception) -> PolicyUnavailable:
    _log.error("policy-failed", project=project, error=repr(error))
    return PolicyUnavailable(
        "a rule of the policy failed", hint="The log of the server says which; an administrator should look there."
    )
