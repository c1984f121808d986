"""An upstream behind a policy: what is asked of it, what is shown of it, and how long an answer may be kept."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from plugins.clocks import SteppingClock
from policy.conftest import osv_record
from wheelyard.cli.osv import scorer
from wheelyard.errors import (
    DistFileNotFound,
    Filtered,
    PolicyUnavailable,
    ProjectNotFound,
    ProjectNotLookedUp,
    Unsupported,
    UpstreamUnavailable,
    WheelyardError,
)
from wheelyard.index.interface import Delete, DenyAll, FileBody, IndexReader
from wheelyard.index.layered import LayeredIndex
from wheelyard.index.policy.database import AdvisoryDatabase, load_database
from wheelyard.index.policy.index import PolicyIndex, left_out_release
from wheelyard.index.policy.patterns import NamePattern, Selector
from wheelyard.index.policy.rules import Exemption, Policy, UpstreamMode
from wheelyard.index.policy.severity import Severity
from wheelyard.model import DistFile, Filename, NormalizedName, ProjectList, ProjectPage, ProjectStatus, Revision
from wheelyard.storage.interface import ABSENT, Absent, RedirectUrl

pytestmark = pytest.mark.anyio

SIX = NormalizedName("six")
ACME = NormalizedName("acme-x")
WEEK = timedelta(days=7)


@dataclass
class Elsewhere(DenyAll):
    """Another index, in the plainest way; it remembers what it was asked."""

    pages: dict[str, ProjectPage] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    revision: Revision | None = None
    failure: WheelyardError | None = None

    async def list(self) -> ProjectList:
        return ProjectList(names=tuple(self.pages))

    async def page(self, project: NormalizedName) -> ProjectPage:
        self.asked.append(project)
        if self.failure is not None:
            raise self.failure
        if project not in self.pages:
            raise ProjectNotFound(project)
        return self.pages[project]

    async def file(self, project: NormalizedName, filename: Filename) -> FileBody:
        found = (await self.page(project)).find(filename)
        if found is None:
            raise DistFileNotFound(project, filename)
        return FileBody(found, 1, RedirectUrl("https://host/", expires=SteppingClock().now))

    async def metadata(self, project: NormalizedName, filename: Filename) -> bytes:
        return (await self.file(project, filename)).file.filename.encode()

    async def description(self, project: NormalizedName, filename: Filename) -> bytes | None:
        return await self.metadata(project, filename)

    def peek(self, project: NormalizedName) -> Revision | Absent | None:
        return self.revision if project in self.pages else ABSENT


def listed(version: str, clock: SteppingClock, *, days: float | None) -> DistFile:
    uploaded = None if days is None else clock.now - timedelta(days=days)
    return DistFile(filename=Filename(f"six-{version}-py3-none-any.whl"), url="x", upload_time=uploaded)


@pytest.fixture
def elsewhere(clock: SteppingClock) -> Elsewhere:
    files = (listed("1.0", clock, days=90), listed("1.1", clock, days=30), listed("1.2", clock, days=2))
    pages = {
        "six": ProjectPage(name=SIX, files=files, versions=("1.0", "1.1", "1.2")),
        "acme-x": ProjectPage(name=ACME, files=(), versions=()),
    }
    return Elsewhere(pages, revision=Revision("r1"))


def behind(
    inner: IndexReader, clock: SteppingClock, advisories: AdvisoryDatabase | None = None, **rules: Any
) -> PolicyIndex:
    return PolicyIndex(inner, Policy(**rules), clock=clock, advisories=advisories)


async def shown(index: IndexReader) -> list[str]:
    return [file.filename.split("-")[1] for file in (await index.page(SIX)).files]


async def test_page(elsewhere: Elsewhere, clock: SteppingClock) -> None:
    """Files that are too young are not on the page, and their releases are not among its versions (PEP 700)."""
    page = await behind(elsewhere, clock, minimum_age=WEEK).page(SIX)
    assert [file.filename for file in page.files] == ["six-1.0-py3-none-any.whl", "six-1.1-py3-none-any.whl"]
    assert page.versions == ("1.0", "1.1")


async def test_long_page(elsewhere: Elsewhere, clock: SteppingClock) -> None:
    """A page of thousands of files keeps nobody waiting: it is judged off the event loop, once for all who ask for it."""
    files = tuple(listed(f"{number}.0", clock, days=number / 100) for number in range(3000))
    elsewhere.pages["six"] = ProjectPage(name=SIX, files=files, versions=())
    index, pages, turns = behind(elsewhere, clock, minimum_age=WEEK), [], 0

    async def ask() -> None:
        pages.append(await index.page(SIX))

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(ask)
        while not pages:
            turns += 1
            await anyio.lowlevel.checkpoint()
    assert len(pages[0].files) == 2300
    assert all(page is pages[0] for page in pages)
    assert turns > 5


async def test_releases_without_files(elsewhere: Elsewhere, clock: SteppingClock) -> None:
    """A release that has no file is among the versions only when the lists let it: nobody shall hope for another."""
    page = replace(elsewhere.pages["six"], versions=("0.5", "1.0", "1.1", "1.2", "2.0"))
    elsewhere.pages["six"] = page
    denied = await behind(elsewhere, clock, deny=(Selector.parse("six>=2"),)).page(SIX)
    assert (denied.versions, denied.files) == (("0.5", "1.0", "1.1", "1.2"), page.files)
    reason = left_out_release(denied, "2")
    assert reason is not None
    assert reason.rule == "deny"
    allowed = await behind(elsewhere, clock, allow=(Selector.parse("six>=1.2"),)).page(SIX)
    assert allowed.versions == ("1.2", "2.0")


async def test_untouched_page(elsewhere: Elsewhere, clock: SteppingClock) -> None:
    """A page of which nothing is left out is the very page of the other index."""
    assert await behind(elsewhere, clock).page(SIX) is elsewhere.pages["six"]


async def test_file_that_changes_while_it_is_opened(elsewhere: Elsewhere, clock: SteppingClock) -> None:
    """A file is judged by what the page says when it is opened, not only by what it said before."""

    class Changing(Elsewhere):
        async def page(self, project: NormalizedName) -> ProjectPage:
            page = await super().page(project)
            return page if len(self.asked) == 1 else replace(page, files=(listed("1.0", clock, days=1),))

    changing = Changing(elsewhere.pages)
    with pytest.raises(Filtered) as caught:
        await behind(changing, clock, minimum_age=WEEK).file(SIX, Filename("six-1.0-py3-none-any.whl"))
    assert caught.value.rule == "minimum_age"


async def test_files_of_what_is_left_out(elsewhere: Elsewhere, clock: SteppingClock) -> None:
    """File, metadata and description of what a page leaves out are refused with rule, reason and end."""
    index = behind(elsewhere, clock, minimum_age=WEEK)
    young, old = Filename("six-1.2-py3-none-any.whl"), Filename("six-1.1-py3-none-any.whl")
    for ask in (index.file, index.metadata, index.description):
        with pytest.raises(Filtered, match="must be 7 days old") as caught:
            await ask(SIX, young)
        assert (caught.value.rule, caught.value.until) == ("minimum_age", (clock.now + timedelta(days=5)).isoformat())
        assert await ask(SIX, old)
        with pytest.raises(DistFileNotFound):
            await ask(SIX, Filename("six-9.tar.gz"))


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        ({"reserved": (NamePattern("acme-*"),)}, ProjectNotLookedUp),
        ({"upstream_mode": UpstreamMode.NONE}, ProjectNotLookedUp),
        ({"upstream_mode": UpstreamMode.LISTED}, Filtered),
        ({"deny": (Selector(NamePattern("acme-x")),)}, Filtered),
        ({"allow": (Selector(NamePattern("six")),)}, Filtered),
    ],
)
async def test_names_that_are_not_asked(
    rules: dict[str, Any], error: type[WheelyardError], elsewhere: Elsewhere, clock: SteppingClock
) -> None:
    """DC-02: a name that may not be asked for reaches the other index in no way, not even by a question for its revision."""
    index = behind(elsewhere, clock, **rules)
    name = Filename("acme_x-1.0.tar.gz")
    for question in (
        index.page(ACME),
        index.file(ACME, name),
        index.metadata(ACME, name),
        index.description(ACME, name),
    ):
        with pytest.raises(error):
            await question
    assert index.peek(ACME) is None
    assert elsewhere.asked == []
    assert "acme-x" not in (await index.list()).names


async def test_reserved_is_told(elsewhere: Elsewhere, clock: SteppingClock) -> None:
    """Behind our own index the reason why a name is not looked up reaches the caller, as "no such project"."""
    index = LayeredIndex(Elsewhere(), behind(elsewhere, clock, reserved=(NamePattern("acme-*"),)))
    with pytest.raises(ProjectNotFound, match="reserved here"):
        await index.page(ACME)
    assert elsewhere.asked == []


@pytest.mark.parametrize("status", list(ProjectStatus))
async def test_ours_hides_theirs(status: ProjectStatus, elsewhere: Elsewhere, clock: SteppingClock) -> None:
    """DC-01: a project of ours hides theirs, with files or without, whatever its status; theirs is not even asked for."""
    ours = Elsewhere({"six": ProjectPage(name=SIX, status=status)})
    index = LayeredIndex(ours, behind(elsewhere, clock))
    assert (await index.page(SIX)).files == ()
    with pytest.raises(DistFileNotFound):
        await index.file(SIX, Filename("six-1.0-py3-none-any.whl"))
    assert elsewhere.asked == []


async def test_failures_pass(elsewhere: Elsewhere, clock: SteppingClock) -> None:
    """DC-03: an upstream that fails is a failure, never an empty page."""
    elsewhere.failure = UpstreamUnavailable("down", upstream="x")
    with pytest.raises(UpstreamUnavailable):
        await behind(elsewhere, clock, minimum_age=WEEK).page(SIX)


async def test_broken_rules_deny(elsewhere: Elsewhere, clock: SteppingClock) -> None:
    """A rule that raises denies everything it would decide about: page, files and names."""
    index = behind(elsewhere, clock, deny=("no selector",))
    for question in (index.page(SIX), index.file(SIX, Filename("six-1.0-py3-none-any.whl"))):
        with pytest.raises(PolicyUnavailable):
            await question
    age = behind(elsewhere, clock, minimum_age="no age")
    with pytest.raises(PolicyUnavailable):
        await age.page(SIX)


async def test_writes_are_refused(elsewhere: Elsewhere, clock: SteppingClock) -> None:
    """A policy is for reading."""
    with pytest.raises(Unsupported):
        await behind(elsewhere, clock).change(SIX, Delete())


# --- keeping answers -------------------------------------------------------------------------------------------------


async def test_peek(elsewhere: Elsewhere, clock: SteppingClock) -> None:
    """A revision is told once a page was made, and until the next file is old enough; then another page is made."""
    index = behind(elsewhere, clock, minimum_age=WEEK)
    assert index.peek(SIX) is None
    assert await shown(index) == ["1.0", "1.1"]
    first = index.peek(SIX)
    assert first is not None
    clock.now += timedelta(days=4, hours=23)
    assert index.peek(SIX) == first
    clock.now += timedelta(hours=1)
    assert index.peek(SIX) is None
    assert await shown(index) == ["1.0", "1.1", "1.2"]
    assert index.peek(SIX) not in (None, first)


async def test_peeker_agrees_with_peek(elsewhere: Elsewhere, clock: SteppingClock) -> None:
    """What is asked again and again is told the same, whatever happened since the question was prepared."""
    index = behind(elsewhere, clock, minimum_age=WEEK)
    peek = index.peeker(SIX)
    told = [(index.peek(SIX), peek())]
    await shown(index)
    told.append((index.peek(SIX), peek()))
    clock.now += timedelta(days=5)
    told.append((index.peek(SIX), peek()))
    assert all(one == other for one, other in told)
    assert [one is None for one, _ in told] == [True, False, True]


async def test_peek_follows_the_upstream(elsewhere: Elsewhere, clock: SteppingClock) -> None:
    """When the other index has another page, or cannot tell, no revision is told."""
    index = behind(elsewhere, clock, minimum_age=WEEK)
    await index.page(SIX)
    before = index.peek(SIX)
    elsewhere.revision = None
    assert index.peek(SIX) is None
    elsewhere.revision = Revision("r2")
    elsewhere.pages["six"] = replace(elsewhere.pages["six"], files=elsewhere.pages["six"].files[:1])
    assert index.peek(SIX) is None
    assert await shown(index) == ["1.0"]
    assert index.peek(SIX) not in (None, before)


async def test_peek_when_an_exception_ends(elsewhere: Elsewhere, clock: SteppingClock) -> None:
    """What an exception shows is not kept beyond its end."""
    given = Exemption(releases=Selector.parse("six"), expires=clock.now + timedelta(days=1), reason="why")
    index = behind(elsewhere, clock, minimum_age=WEEK, exceptions=(given,))
    assert await shown(index) == ["1.0", "1.1", "1.2"]
    assert index.peek(SIX) is not None
    clock.now += timedelta(days=1)
    assert index.peek(SIX) is None
    assert await shown(index) == ["1.0", "1.1"]


async def test_pages_are_made_once(elsewhere: Elsewhere, clock: SteppingClock) -> None:
    """As long as nothing changed the very same page is shown, so that nothing is rendered again."""
    index = behind(elsewhere, clock, minimum_age=WEEK)
    assert await index.page(SIX) is await index.page(SIX)


# --- advisories ------------------------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def load(root: Path, clock: SteppingClock, *, fixed: str) -> None:
    record = root.parent / "record.json"
    record.write_bytes(osv_record("GHSA-1", "six", fixed=fixed))
    load_database(record, root, score=scorer(), now=clock.now)


async def test_vulnerable_releases(elsewhere: Elsewhere, clock: SteppingClock, root: Path) -> None:
    """Releases with a known vulnerability are left out, and the reason names it; another database counts at once."""
    load(root, clock, fixed="1.1")
    index = behind(elsewhere, clock, AdvisoryDatabase(root), osv_severity=Severity.HIGH)
    assert await shown(index) == ["1.1", "1.2"]
    with pytest.raises(Filtered, match=r"GHSA-1 \(critical, CVSS 9.8\): it breaks"):
        await index.file(SIX, Filename("six-1.0-py3-none-any.whl"))
    before = index.peek(SIX)
    assert before is not None
    load(root, clock, fixed="1.2")
    assert index.peek(SIX) is None
    assert await shown(index) == ["1.2"]


@pytest.mark.parametrize("has_database", [True, False])
async def test_no_advisories(elsewhere: Elsewhere, clock: SteppingClock, root: Path, *, has_database: bool) -> None:
    """Without advisories nothing is offered, but for what needs no advisory to be refused."""
    database = AdvisoryDatabase(root) if has_database else None
    index = behind(elsewhere, clock, database, osv_severity=Severity.HIGH, reserved=(NamePattern("acme-*"),))
    for question in (index.page(SIX), index.file(SIX, Filename("six-1.0-py3-none-any.whl"))):
        with pytest.raises(PolicyUnavailable):
            await question
    with pytest.raises(ProjectNotLookedUp):
        await index.page(ACME)


async def test_why_a_release_is_not_listed(elsewhere: Elsewhere, clock: SteppingClock) -> None:
    """A page knows which releases were left out of it, however they are spelled, and which nobody has."""
    page = await behind(elsewhere, clock, minimum_age=WEEK).page(SIX)
    for spelling in ("1.2", "1.2.0", "v1.2"):
        found = left_out_release(page, spelling)
        assert found is not None
        assert found.rule == "minimum_age"
    assert left_out_release(page, "9") is None
    assert left_out_release(elsewhere.pages["six"], "1.2") is None
