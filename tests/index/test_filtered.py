"""Only what the rules allow is shown; page and file agree; a rule that fails, denies."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from wheelyard.errors import DistFileNotFound, MetadataNotFound, NotOffered, ProjectNotFound, Unsupported
from wheelyard.index.filtered import RULE_FAILED, FilteredIndex
from wheelyard.index.interface import Delete, IndexReader
from wheelyard.index.upstream import UpstreamIndex
from wheelyard.model import DistFile, Filename, NormalizedName, ProjectPage
from wheelyard.testing.fake_upstream import Answer, FakeUpstream, UpstreamFile, json_page

from .conftest import Opened

pytestmark = pytest.mark.anyio

SIX = NormalizedName("six")
OLD, NEW, NEW_WHEEL = (Filename(name) for name in ("six-1.0.tar.gz", "six-2.0.tar.gz", "six-2.0-py3-none-any.whl"))


@pytest.fixture
async def inner(open_index: Opened, upstream: FakeUpstream) -> UpstreamIndex:
    files = [UpstreamFile(filename=name, metadata=b"m") for name in (OLD, NEW, NEW_WHEEL)]
    upstream.offer("six", *files, page=json_page("six", files, versions=["0.5", "1.0", "2.0.0"]))
    projects = [{"name": name} for name in ("Six", "eve", "evil")]
    upstream.script("/simple/", json_page("", [], projects=projects))
    return await open_index(upstream.root)


def no_evil(project: NormalizedName) -> str | None:
    return "it is evil" if project.startswith("ev") else None


def only(*names: str) -> Callable[[ProjectPage, DistFile], str | None]:
    return lambda page, file: None if file.filename in names else "it is too new"


def askers(index: IndexReader) -> list[Callable[[NormalizedName, Filename], Awaitable[object]]]:
    return [index.file, index.metadata, index.description]


async def test_files(inner: UpstreamIndex) -> None:
    """DC-01: a hidden file is not on the page, and its URL and metadata answer with the reason."""
    index = FilteredIndex(inner, file_rule=only(OLD))
    assert [file.filename for file in (await index.page(SIX)).files] == [OLD]
    for ask in askers(index):
        await ask(SIX, OLD)
        with pytest.raises(NotOffered, match="it is too new") as caught:
            await ask(SIX, NEW)
        assert str(NEW) in caught.value.message


async def test_page_and_files_agree(inner: UpstreamIndex) -> None:
    """DC-01: exactly the files of the page can be opened, whichever are allowed."""
    for allowed in ((), (OLD,), (NEW, NEW_WHEEL), (OLD, NEW, NEW_WHEEL)):
        index = FilteredIndex(inner, file_rule=only(*allowed))
        listed = {file.filename for file in (await index.page(SIX)).files}
        opened = set()
        for name in (OLD, NEW, NEW_WHEEL):
            try:
                opened.add((await index.file(SIX, name)).file.filename)
            except NotOffered:
                continue
        assert listed == opened == set(allowed)


async def test_versions(inner: UpstreamIndex) -> None:
    """JSON-04: releases that have hidden files only go with them; those without any file, and half-hidden ones, stay."""
    assert (await FilteredIndex(inner, file_rule=only(OLD)).page(SIX)).versions == ("0.5", "1.0")
    assert (await FilteredIndex(inner, file_rule=only(NEW)).page(SIX)).versions == ("0.5", "2.0.0")
    assert (await FilteredIndex(inner).page(SIX)).versions == ("0.5", "1.0", "2.0.0")


async def test_projects(inner: UpstreamIndex, upstream: FakeUpstream) -> None:
    """DC-02: a hidden project is refused with the reason before the inner index is asked, and is in no list."""
    index = FilteredIndex(inner, project_rule=no_evil)
    evil = NormalizedName("evil")
    with pytest.raises(NotOffered, match="it is evil"):
        await index.page(evil)
    for ask in askers(index):
        with pytest.raises(NotOffered, match="it is evil"):
            await ask(evil, OLD)
    assert upstream.asked() == 0
    assert (await index.list()).names == ("Six",)


async def test_failing_file_rule(inner: UpstreamIndex) -> None:
    """DC-03: a rule that raises hides the file it raised about, on the page and behind its URL, and only that."""

    def broken(page: ProjectPage, file: DistFile) -> str | None:
        if file.filename == NEW:
            raise RuntimeError("secret detail")
        return None

    index = FilteredIndex(inner, file_rule=broken)
    assert [file.filename for file in (await index.page(SIX)).files] == [OLD, NEW_WHEEL]
    for ask in askers(index):
        with pytest.raises(NotOffered) as caught:
            await ask(SIX, NEW)
        assert caught.value.reason == RULE_FAILED
        assert "secret" not in caught.value.message


async def test_failing_project_rule(inner: UpstreamIndex) -> None:
    """DC-03: a rule about projects that raises hides them all."""

    def broken(project: NormalizedName) -> str | None:
        raise ValueError(project)

    index = FilteredIndex(inner, project_rule=broken)
    with pytest.raises(NotOffered, match=RULE_FAILED):
        await index.page(SIX)
    assert (await index.list()).names == ()


async def test_unknown_stays_unknown(inner: UpstreamIndex, upstream: FakeUpstream) -> None:
    """URL-07: what the inner index does not have is not found, whatever the rules say of it."""
    index = FilteredIndex(inner, file_rule=only())
    for ask in askers(index):
        with pytest.raises(DistFileNotFound):
            await ask(SIX, Filename("six-9.tar.gz"))
    with pytest.raises(ProjectNotFound):
        await index.page(NormalizedName("seven"))
    upstream.offer("six", UpstreamFile(filename=OLD))
    with pytest.raises(MetadataNotFound):
        await FilteredIndex(inner).metadata(SIX, OLD)


async def test_failures_pass(inner: UpstreamIndex, upstream: FakeUpstream) -> None:
    """DC-03: a failing inner index is an error, not an empty page."""
    upstream.script("/simple/six/", Answer(status=500))
    with pytest.raises(Exception, match="not available"):
        await FilteredIndex(inner).page(SIX)


async def test_reading_only(inner: UpstreamIndex, tmp_path: Path) -> None:
    """DC-01: a filtered index takes no writes, and tells no revision under which a filtered page might be kept."""
    index = FilteredIndex(inner)
    with pytest.raises(Unsupported):
        await index.change(SIX, Delete())
    assert index.peek(SIX) is None
    assert index.peek_list() is None
