"""The first index that has a name answers alone; nothing is merged, and failures stay failures."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from wheelyard.errors import (
    DistFileNotFound,
    MetadataNotFound,
    ProjectNotFound,
    StorageUnavailable,
    Unsupported,
    UpstreamUnavailable,
    WheelyardError,
)
from wheelyard.index.interface import Delete, DenyAll, FileBody, IndexReader
from wheelyard.index.layered import LayeredIndex
from wheelyard.index.upstream import UpstreamIndex
from wheelyard.model import DistFile, Filename, NormalizedName, ProjectList, ProjectPage, ProjectStatus, Revision
from wheelyard.storage.interface import ABSENT, Absent, RedirectUrl
from wheelyard.testing.fake_upstream import Answer, FakeUpstream, UpstreamFile

from .conftest import Opened

pytestmark = pytest.mark.anyio

ACME = NormalizedName("acme")
SIX = NormalizedName("six")
OURS = Filename("acme-1.0.tar.gz")
THEIRS = Filename("acme-99.0.tar.gz")


@dataclass
class ShelfIndex(DenyAll):
    """An index of given pages, in the plainest way; `failure` is raised instead of every answer."""

    pages: dict[str, ProjectPage] = field(default_factory=dict)
    failure: WheelyardError | None = None

    async def list(self) -> ProjectList:
        return ProjectList(names=tuple(sorted(self.pages)))

    async def page(self, project: NormalizedName) -> ProjectPage:
        if self.failure is not None:
            raise self.failure
        if project not in self.pages:
            raise ProjectNotFound(project)
        return self.pages[project]

    async def file(self, project: NormalizedName, filename: Filename) -> FileBody:
        found = (await self.page(project)).find(filename)
        if found is None:
            raise DistFileNotFound(project, filename)
        return FileBody(found, 1, RedirectUrl("https://host/", expires=datetime.max.replace(tzinfo=UTC)))

    async def metadata(self, project: NormalizedName, filename: Filename) -> bytes:
        await self.file(project, filename)
        raise MetadataNotFound(project, filename)

    async def description(self, project: NormalizedName, filename: Filename) -> bytes | None:
        return (await self.file(project, filename)).file.url.encode()

    def peek(self, project: NormalizedName) -> Revision | Absent | None:
        return Revision("1") if project in self.pages else ABSENT

    def peek_list(self) -> str | None:
        return str(len(self.pages))


def shelf(*files: str, name: str = "acme", status: ProjectStatus = ProjectStatus.ACTIVE) -> ShelfIndex:
    listed = tuple(DistFile(filename=Filename(file), url=file) for file in files)
    page = ProjectPage(name=NormalizedName(name), files=listed, versions=("1.0",), status=status)
    return ShelfIndex({name: page})


@pytest.fixture
async def theirs(open_index: Opened, upstream: FakeUpstream) -> UpstreamIndex:
    upstream.offer("acme", UpstreamFile(filename=THEIRS, metadata=b"x"))
    upstream.offer("six", UpstreamFile(filename="six-1.0.tar.gz", metadata=b"metadata of six"))
    return await open_index(upstream.root)


async def test_ours_hides_theirs(theirs: UpstreamIndex, upstream: FakeUpstream) -> None:
    """DC-01, DC-02: a name of ours shows our files only, everywhere, and the upstream is never asked for it."""
    index = LayeredIndex(shelf(OURS), theirs)
    assert [file.filename for file in (await index.page(ACME)).files] == [OURS]
    assert (await index.page(ACME)).versions == ("1.0",)
    assert (await index.list()).names == ("acme",)
    assert (await index.file(ACME, OURS)).file.filename == OURS
    for ask in (index.file, index.metadata, index.description):
        with pytest.raises(DistFileNotFound):
            await ask(ACME, THEIRS)
    with pytest.raises(MetadataNotFound):
        await index.metadata(ACME, OURS)
    index.peek(ACME)
    index.peek_list()
    assert upstream.asked() == 0


@pytest.mark.parametrize("status", [ProjectStatus.ACTIVE, ProjectStatus.QUARANTINED])
async def test_empty_project_hides_too(theirs: UpstreamIndex, upstream: FakeUpstream, status: ProjectStatus) -> None:
    """DC-01: a project of ours without files, emptied or quarantined, still hides the name."""
    index = LayeredIndex(shelf(status=status), theirs)
    assert (await index.page(ACME)).files == ()
    with pytest.raises(DistFileNotFound):
        await index.file(ACME, THEIRS)
    assert upstream.asked() == 0


async def test_theirs_comes_through(theirs: UpstreamIndex, upstream: FakeUpstream) -> None:
    """DC-05: a name that is not ours comes from the upstream, page, file and metadata alike."""
    index = LayeredIndex(shelf(OURS), theirs)
    [file] = (await index.page(SIX)).files
    assert file.url == f"{upstream.url}/files/six-1.0.tar.gz"
    assert isinstance((await index.file(SIX, file.filename)).body, RedirectUrl)
    assert await index.metadata(SIX, file.filename) == b"metadata of six"
    assert await index.description(SIX, file.filename) == b"metadata of six"


async def test_list_is_ours(theirs: UpstreamIndex, upstream: FakeUpstream) -> None:
    """URL-19: the project list is our own; the upstream's is not asked for."""
    assert (await LayeredIndex(shelf(OURS), theirs).list()).names == ("acme",)
    assert upstream.asked() == 0


async def test_upstream_down(theirs: UpstreamIndex, upstream: FakeUpstream) -> None:
    """DC-03: while the upstream is down our projects are served, and its projects are an error, not "not found"."""
    upstream.script("/simple/six/", Answer(status=500))
    index = LayeredIndex(shelf(OURS), theirs)
    assert (await index.page(ACME)).files
    with pytest.raises(UpstreamUnavailable):
        await index.page(SIX)


@pytest.mark.parametrize(
    "failure", [StorageUnavailable("the disk is gone"), UpstreamUnavailable("down", upstream="x"), Unsupported("no")]
)
async def test_earlier_failure_is_not_passed_over(failure: WheelyardError) -> None:
    """DC-03: when an earlier index fails the later ones are not asked: what they have may not be theirs to answer."""
    index = LayeredIndex(ShelfIndex(failure=failure), shelf(THEIRS))
    for ask in (index.file, index.metadata, index.description):
        with pytest.raises(type(failure)):
            await ask(ACME, THEIRS)
    with pytest.raises(type(failure)):
        await index.page(ACME)


async def test_order() -> None:
    """DC-01: of several others the first that has the name answers."""
    index = LayeredIndex(shelf(name="zero"), shelf(name="one"), shelf(OURS), shelf(THEIRS))
    assert [file.filename for file in (await index.page(ACME)).files] == [OURS]
    with pytest.raises(DistFileNotFound):
        await index.file(ACME, THEIRS)


@pytest.mark.parametrize("others", [0, 1, 3])
async def test_nobody_has_it(others: int) -> None:
    """URL-07: a name that no index has is not found."""
    index = LayeredIndex(shelf(OURS), *[shelf(OURS) for _ in range(others)])
    with pytest.raises(ProjectNotFound):
        await index.page(SIX)
    with pytest.raises(ProjectNotFound):
        await index.file(SIX, OURS)


async def test_peek_never_keeps_theirs(theirs: UpstreamIndex) -> None:
    """DC-01: only our own projects have a revision, so a page of the upstream is never kept; a new one of ours shows."""
    ours = shelf(OURS)
    index = LayeredIndex(ours, theirs)
    assert index.peek(ACME) == index.peeker(ACME)() == "1"
    peek_six = index.peeker(SIX)
    assert index.peek(SIX) is peek_six() is None
    assert index.peek_list() == "1"
    await index.page(SIX)
    ours.pages["six"] = ProjectPage(name=SIX)
    assert index.peek(SIX) == peek_six() == "1"
    assert (await index.page(SIX)).files == ()


async def test_writes_go_to_the_first() -> None:
    """DC-01: changes are the first index's alone; another index's project cannot be changed."""

    class Recording(ShelfIndex):
        async def change(self, project: NormalizedName, change: object) -> ProjectPage:
            return await self.page(project)

    second = shelf(THEIRS, name="six")
    index = LayeredIndex(Recording(shelf(OURS).pages), second)
    assert (await index.change(ACME, Delete())).name == "acme"
    with pytest.raises(ProjectNotFound):
        await index.change(SIX, Delete())


def test_others_are_readers() -> None:
    """DC-01: what stands behind the first index needs no writing side."""
    assert not hasattr(UpstreamIndex, "publish")
    assert issubclass(UpstreamIndex, IndexReader)
