"""What cannot become a release is told by name; everything else is published, and what is published stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.git_repositories import MakeRepo, Repo, git, git_program, pyproject
from plugins.tag_world import World
from wheelyard.errors import StorageUnavailable
from wheelyard.index.hosted import record_key
from wheelyard.index.interface import SetStatus, Yank
from wheelyard.index.tags.refresh import TagsRefresh
from wheelyard.index.tags.sources import Package, Repository, TagLimits, TagSources, place_of
from wheelyard.model import NormalizedName, ProjectStatus
from wheelyard.protocol.names import normalize

pytestmark = pytest.mark.anyio


@pytest.fixture
def good(make_repo: MakeRepo) -> Repo:
    repo = make_repo("good")
    repo.release("good", "1.0")
    return repo


@pytest.mark.parametrize(
    ("files", "told"),
    [
        pytest.param({"README.md": "x"}, "no pyproject.toml with a table [project]", id="no-project"),
        pytest.param(
            {"setup.py": "from setuptools import setup\nsetup(name=compute())\n"},
            "its name cannot be told",
            id="computed",
        ),
        pytest.param(
            {"pyproject.toml": '[project]\nname = "x"\ndynamic = ["version"]\n'}, "its version is dynamic", id="dynamic"
        ),
        pytest.param(
            {"pyproject.toml": pyproject("x", "1.1")},
            "the tag says version 1.0, the project's own files say 1.1",
            id="mismatch",
        ),
        pytest.param({"pyproject.toml": "[project\n"}, "pyproject.toml cannot be read", id="broken"),
        pytest.param({"pyproject.toml": pyproject("x!", "1.0")}, "is not a project name", id="bad-name"),
        pytest.param({"pyproject.toml": pyproject("x", "one")}, "is not a version (PEP 440)", id="bad-version"),
        pytest.param(
            {"pyproject.toml": pyproject("x", "1.0", requires=["a b c"])}, "is not a requirement", id="bad-requirement"
        ),
    ],
)
async def test_a_tag_that_is_no_release(
    world: World, make_repo: MakeRepo, good: Repo, files: dict[str, str], told: str
) -> None:
    """Each reason is told with repository and tag, once per look, and the other repositories are published."""
    bad = make_repo("bad")
    bad.write(files).commit("v1.0")
    for added in (["good-1.0.tar.gz"], []):
        report = await world.look(bad, good)
        assert report.added == added
        (trouble,) = report.troubles
        assert (trouble.source, trouble.tag) == (bad.url, "v1.0")
        assert told in trouble.line


async def test_the_same_of_many_tags_is_told_once(world: World, make_repo: MakeRepo, good: Repo) -> None:
    """A repository with many tags and no Python project is one line, not one for each tag."""
    bad = make_repo("bad")
    bad.commit(*(f"v1.{number}" for number in range(20)))
    report = await world.look(bad, good)
    (trouble,) = report.troubles
    assert trouble.line.startswith(f"{bad.url} tag 'v1.9': it has no pyproject.toml")
    assert trouble.line.endswith("(and the same of 19 other tags)")
    assert report.added == ["good-1.0.tar.gz"]


async def test_a_repository_that_is_not_there(world: World, good: Repo, tmp_path: Path) -> None:
    """A repository that cannot be reached is told by its URL, and what was published of it stays."""
    await world.look(good)
    good.folder.rename(tmp_path / "elsewhere")
    report = await world.look(good)
    (trouble,) = report.troubles
    assert (trouble.source, trouble.tag) == (good.url, None)
    assert list(await world.files("good")) == ["good-1.0.tar.gz"]


async def test_a_moved_tag_is_told_and_not_followed(world: World, good: Repo) -> None:
    """A tag that was set to another commit changes nothing, and each look tells it until the release is yanked."""
    first = (await world.look(good)).added
    before = await world.content("good", first[0])
    old = git(good.folder, "rev-parse", "v1.0")
    good.write({"more.py": "x = 1"}).commit("v1.0")
    new = git(good.folder, "rev-parse", "v1.0")
    for _ in range(2):
        (trouble,) = (await world.look(good)).troubles
        assert f"moved from {old[:12]} to {new[:12]}; 'good' 1.0 stays what it was" in trouble.line
    assert await world.content("good", first[0]) == before
    await world.index().change(NormalizedName("good"), Yank(frozenset(), "1.0", "the tag moved"))
    assert (await world.look(good)).troubles == []


async def test_a_deleted_tag_is_told(world: World, good: Repo) -> None:
    """A tag that is gone leaves its release, and each look tells it."""
    await world.look(good)
    git(good.folder, "tag", "--delete", "v1.0")
    (trouble,) = (await world.look(good)).troubles
    assert (
        trouble.line
        == f"{good.url} tag 'v1.0': was deleted; 'good' 1.0 stays what it was; yank it if it should not be used"
    )
    assert list(await world.files("good")) == ["good-1.0.tar.gz"]


async def test_a_project_belongs_to_its_first_repository(world: World, make_repo: MakeRepo, good: Repo) -> None:
    """Another repository that calls its project the same gets nothing in, neither together with the first nor later."""
    thief = make_repo("thief")
    thief.release("Good", "9.0")
    for sources in ((good, thief), (thief, good), (thief,)):
        report = await world.look(*sources)
        (trouble,) = report.troubles
        assert f"project 'good' belongs to {place_of(good.url)}; this tag is not taken" in trouble.line
    assert list(await world.files("good")) == ["good-1.0.tar.gz"]


async def test_a_repository_that_moved(world: World, good: Repo, tmp_path: Path) -> None:
    """A repository with another URL is another one, unless the configuration says that it moved there."""
    await world.look(good)
    moved = Repo(good.folder.rename(tmp_path / "moved"))
    moved.release("good", "1.1")
    assert len((await world.look(moved)).troubles) == 2
    report = await world.look(moved, moved={good.url: moved.url})
    assert (report.added, report.troubles) == (["good-1.1.tar.gz"], [])


def test_urls_of_one_repository() -> None:
    """However a repository is reached, it is the same; another host, port or path is another one."""
    same = (
        "https://h.example.org/a/b",
        "https://H.example.org/a/b.git",
        "ssh://git@h.example.org/a/b.git",
        "https://h.example.org:443/a/b/",
    )
    assert {place_of(url) for url in same} == {"h.example.org/a/b"}
    others = (
        "https://h.example.org:8443/a/b",
        "https://h.example.org/a/c",
        "https://example.org/a/b",
        "file:///h.example.org/a/b",
    )
    assert len({place_of(url) for url in (*others, same[0])}) == 5


async def test_a_damaged_record_stops_nothing_else(world: World, make_repo: MakeRepo, good: Repo) -> None:
    """A project whose record cannot be read gets no release, and its tags are told; the others are looked at."""
    await world.look(good)
    other = make_repo("other")
    other.release("other", "1.0")
    key = record_key(NormalizedName("good"))
    record = await world.store.read(key)
    await world.store.write({key: b"damaged"}, {key: record.revision})
    good.release("good", "1.1")
    report = await world.look(good, other)
    assert report.added == ["other-1.0.tar.gz"]
    assert {trouble.tag for trouble in report.troubles} == {"v1.0", "v1.1"}
    assert "is damaged" in report.troubles[0].line


async def test_two_tags_of_one_version(world: World, make_repo: MakeRepo) -> None:
    """Two tags of one commit are one release; of two commits the first is, and the other is told."""
    repo = make_repo()
    repo.release("demo", "1.0", tag="1.0")
    repo.tag("v1.0")
    assert (await world.look(repo)).troubles == []
    repo.write({"more.py": ""}).commit("demo-1.0")
    (trouble,) = (await world.look(repo)).troubles
    assert "tag 'demo-1.0': says version 1.0, which tag '1.0' of another commit is already" in trouble.line


async def test_the_configured_name_is_checked(world: World, good: Repo) -> None:
    """A package whose own files call it otherwise than the configuration is told."""
    (trouble,) = (
        await world.look(Repository(url=good.url, packages=(Package(name=NormalizedName("better")),)))
    ).troubles
    assert "the configuration calls the project 'better', its own files call it 'good'" in trouble.line


async def test_a_tag_of_something_else(world: World, good: Repo) -> None:
    """A tag that names another project is none of this one's business."""
    good.tag("docs-2.0")
    assert (await world.look(good)).troubles == []


async def test_a_closed_project_takes_no_release(world: World, good: Repo) -> None:
    """PEP 792: an archived project takes no new release, and the tag is told."""
    await world.look(good)
    await world.index().change(NormalizedName("good"), SetStatus(ProjectStatus.ARCHIVED, None))
    good.release("good", "1.1")
    (trouble,) = (await world.look(good)).troubles
    assert "project 'good' is archived and takes no new releases" in trouble.line


@pytest.mark.slow
async def test_git_that_takes_too_long(
    world: World, good: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A git that does not finish is ended, and told."""
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(slow.parent), prepend=":")
    (trouble,) = (await world.look(good, limits=TagLimits(git_timeout_s=1))).troubles
    assert "git did not finish within 1 seconds" in trouble.line


async def test_passing_trouble_is_tried_again(
    world: World, good: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What failed for a passing reason is done at the next look of the same server."""
    flag = tmp_path / "flag"
    flag.touch()
    failing = tmp_path / "bin" / "git"
    failing.parent.mkdir()
    failing.write_text(
        f'#!/bin/sh\ncase "$*" in *cat-file*) [ -e {flag} ] && exit 1;; esac\nexec {git_program()} "$@"\n'
    )
    failing.chmod(0o755)
    monkeypatch.setenv("PATH", str(failing.parent), prepend=":")
    refresh = TagsRefresh(world.index(), TagSources(sources=(Repository(url=good.url),)))
    assert len((await refresh.run()).troubles) == 1
    flag.unlink()
    assert (await refresh.run()).added == ["good-1.0.tar.gz"]


async def test_a_damaged_copy_is_made_again(world: World, good: Repo) -> None:
    """A copy of a repository that was damaged, as by a crash, is thrown away and fetched anew."""
    await world.look(good)
    (copy,) = (world.folder / "git").glob("*.git")
    (copy / "HEAD").unlink()
    good.release("good", "1.1")
    report = await world.look(good)
    assert (report.added, report.troubles) == (["good-1.1.tar.gz"], [])


async def test_a_machine_without_git(world: World, good: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the git program each repository is told, and nothing breaks."""
    monkeypatch.setenv("PATH", "/nowhere")
    (trouble,) = (await world.look(good)).troubles
    assert "the program git is not installed" in trouble.line


async def test_a_project_is_not_unknown_before_the_first_look(world: World, good: Repo) -> None:
    """Until the repositories were looked at once, a name that is not here is no 404: pip would go on to the next index."""
    with pytest.raises(StorageUnavailable):
        await world.index().page(normalize("good"))
    with pytest.raises(StorageUnavailable):
        await world.index().list()
    await world.look(good)
    assert (await world.index().list()).names == ("good",)
