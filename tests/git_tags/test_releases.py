"""From tags to releases: what is made, what is in it, and what it costs to look again."""

from __future__ import annotations

import gzip
import hashlib

import pytest

from plugins.git_repositories import GitHost, MakeRepo, pyproject
from plugins.tag_world import World
from wheelyard.index.tags.patterns import TagPattern
from wheelyard.index.tags.sources import Package, Repository
from wheelyard.model import NormalizedName

pytestmark = pytest.mark.anyio


async def test_each_version_tag_becomes_a_release(world: World, make_repo: MakeRepo) -> None:
    """`v1.0`, `1.1` and `name-1.2` are releases; a tag that is no version is none."""
    repo = make_repo()
    repo.release("python_world", "1.0")
    repo.release("python_world", "1.1", tag="1.1")
    repo.release("python_world", "1.2", tag="python_world-1.2")
    repo.tag("nightly")
    report = await world.look(repo)
    assert report.troubles == []
    assert list(await world.files("python-world")) == [f"python_world-1.{n}.tar.gz" for n in range(3)]
    assert report.added == list(await world.files("python-world"))


async def test_the_sdist_is_shaped_like_one(world: World, make_repo: MakeRepo) -> None:
    """AR-04, FN-02: one top folder `name-version/` with PKG-INFO; owners and modes are nobody's, the gzip header is empty."""
    repo = make_repo()
    repo.write({"bin/run": "#!/bin/sh\n", "docs/a.txt": "a"})
    (repo.folder / "bin/run").chmod(0o755)
    commit = repo.release("Python.World", "1.0")
    await world.look(repo)
    members = await world.members("python-world", "python_world-1.0.tar.gz")
    assert {name.split("/")[0] for name in members} == {"python_world-1.0"}
    assert {f"python_world-1.0/{name}" for name in ("PKG-INFO", "pyproject.toml", "docs/a.txt")} <= set(members)
    assert members["python_world-1.0/bin/run"].mode == 0o755
    assert {(each.uid, each.gid, each.uname, each.gname) for each in members.values()} == {(0, 0, "", "")}
    assert {each.mtime for each in members.values()} == {1704164645}
    content = await world.content("python-world", "python_world-1.0.tar.gz")
    assert content[3:8] == bytes(5)  # no name, no time
    assert commit.encode() in gzip.decompress(content)[:1024]


async def test_the_same_commit_gives_the_same_bytes(
    world: World, make_repo: MakeRepo, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Two servers that make a release of the same tag make the same bytes."""
    repo = make_repo()
    repo.release("demo", "1.0")
    other = World(tmp_path_factory.mktemp("other"))
    await other.store.start()
    await world.look(repo)
    await other.look(repo)
    contents = [await each.content("demo", "demo-1.0.tar.gz") for each in (world, other)]
    assert contents[0] == contents[1]
    await other.store.stop()


async def test_the_record_tells_where_a_file_came_from(world: World, make_repo: MakeRepo) -> None:
    """The page entry has digest, size, time and Requires-Python like any upload's, and privately repository, tag and commit."""
    repo = make_repo()
    commit = repo.release("demo", "1.0")
    await world.look(repo)
    (file,) = (await world.files("demo")).values()
    content = await world.content("demo", file.filename)
    assert (file.sha256, file.size) == (hashlib.sha256(content).hexdigest(), len(content))
    assert file.requires_python == ">=3.8"
    assert file.private["_source"] == {"commit": commit, "repository": repo.url, "tag": "v1.0"}


async def test_static_metadata_is_offered(world: World, make_repo: MakeRepo) -> None:
    """META-03: dependencies that a build cannot change stand in `.metadata`, extras with their markers."""
    further = "[project.optional-dependencies]\nFast_Mode = [\"c>=1; python_version < '3.12' or os_name == 'nt'\"]\n"
    repo = make_repo()
    repo.write({"pyproject.toml": pyproject("demo", "1.0", requires=["b>=2"], further=further)}).commit("v1.0")
    await world.look(repo)
    metadata = await world.metadata("demo", "demo-1.0.tar.gz")
    assert "Requires-Dist: b>=2\n" in metadata
    assert "Provides-Extra: fast-mode\n" in metadata
    wanted = 'c>=1; (python_version < "3.12" or os_name == "nt") and extra == "fast-mode"'
    assert f"Requires-Dist: {wanted}\n" in metadata
    assert metadata.encode() == await world.read("demo", "demo-1.0.tar.gz", "demo-1.0/PKG-INFO")


async def test_dynamic_metadata_is_not_offered(world: World, make_repo: MakeRepo) -> None:
    """META-03: with dynamic dependencies the release is there, its metadata is not advertised."""
    text = '[project]\nname = "demo"\nversion = "1.0"\ndynamic = ["dependencies"]\n'
    repo = make_repo()
    repo.write({"pyproject.toml": text}).commit("v1.0")
    await world.look(repo)
    (file,) = (await world.files("demo")).values()
    assert file.core_metadata is None
    assert b"Dynamic: Requires-Dist\n" in await world.read("demo", "demo-1.0.tar.gz", "demo-1.0/PKG-INFO")


async def test_what_is_not_for_export_is_left_out(world: World, make_repo: MakeRepo) -> None:
    """`export-ignore` and `export-subst` hold as in `git archive`."""
    repo = make_repo()
    repo.write(
        {
            ".gitattributes": "secret.txt export-ignore\nwhat.txt export-subst\n",
            "secret.txt": "s",
            "what.txt": "$Format:%H$",
        }
    )
    commit = repo.release("demo", "1.0")
    await world.look(repo)
    assert "demo-1.0/secret.txt" not in await world.members("demo", "demo-1.0.tar.gz")
    assert await world.read("demo", "demo-1.0.tar.gz", "demo-1.0/what.txt") == commit.encode()


async def test_an_annotated_tag_is_its_commit(world: World, make_repo: MakeRepo) -> None:
    """An annotated tag stands for its commit, and tagging the same commit anew is no move."""
    repo = make_repo()
    repo.write({"pyproject.toml": pyproject("demo", "1.0")})
    commit = repo.commit("v1.0", annotated=True)
    await world.look(repo)
    (file,) = (await world.files("demo")).values()
    assert file.private["_source"]["commit"] == commit  # type: ignore[index]
    repo.tag("v1.0")
    assert (await world.look(repo)).troubles == []


async def test_a_version_taken_from_the_tag(world: World, make_repo: MakeRepo) -> None:
    """A project whose build reads the version from Git gets the tag's, and PKG-INFO says so to that build."""
    text = '[build-system]\nrequires = ["setuptools", "setuptools_scm>=8"]\n[project]\nname = "demo"\ndynamic = ["version"]\n'
    repo = make_repo()
    repo.write({"pyproject.toml": text}).commit("v1.2.3")
    await world.look(repo)
    assert "Version: 1.2.3\n" in await world.metadata("demo", "demo-1.2.3.tar.gz")


async def test_several_packages_in_one_repository(world: World, make_repo: MakeRepo) -> None:
    """Each package of a monorepo is released by tags that name it, from its own folder; links to the top become files."""
    repo = make_repo()
    repo.write(
        {
            "LICENSE": "free",
            "packages/a/pyproject.toml": pyproject("a", "1.0"),
            "packages/b/pyproject.toml": pyproject("b", "2.0"),
        }
    )
    (repo.folder / "packages/a/LICENSE").symlink_to("../../LICENSE")
    repo.commit("a-1.0", "b/v2.0", "v3.0")
    packages = tuple(Package(name=NormalizedName(name), subdirectory=f"packages/{name}") for name in "ab")
    report = await world.look(Repository(url=repo.url, packages=packages))
    assert report.troubles == []
    assert sorted(report.added) == ["a-1.0.tar.gz", "b-2.0.tar.gz"]
    members = await world.members("a", "a-1.0.tar.gz")
    assert set(members) == {"a-1.0/LICENSE", "a-1.0/PKG-INFO", "a-1.0/pyproject.toml"}
    assert await world.read("a", "a-1.0.tar.gz", "a-1.0/LICENSE") == b"free"
    (file,) = (await world.files("a")).values()
    assert file.private["_source"]["subdirectory"] == "packages/a"  # type: ignore[index]


async def test_a_pattern_of_ones_own(world: World, make_repo: MakeRepo) -> None:
    """With a pattern of its own a source takes exactly the tags that fit it."""
    repo = make_repo()
    repo.release("demo", "1.0", tag="release/1.0/final")
    repo.tag("v9.9")
    package = Package(patterns=(TagPattern("release/{version}/final"),))
    report = await world.look(Repository(url=repo.url, packages=(package,)))
    assert (report.added, report.troubles) == (["demo-1.0.tar.gz"], [])


async def test_no_change_costs_one_request(world: World, make_repo: MakeRepo, git_host: GitHost) -> None:
    """Looking again at a repository where nothing is new asks for its list of tags and fetches nothing."""
    repo = make_repo()
    repo.release("demo", "1.0")
    source = Repository(url=git_host.url_of(repo))
    await world.look(source)
    git_host.requests.clear()
    report = await world.look(source)
    assert report.added == []
    # Protocol 2 asks for abilities, then for tags; nothing else.
    assert [request.partition("?")[0].rpartition("/")[2] for request in git_host.requests] == [
        "refs",
        "git-upload-pack",
    ]


async def test_a_new_tag_is_fetched_alone(world: World, make_repo: MakeRepo) -> None:
    """A tag that is new is added to those that are there, and what is there keeps its bytes."""
    repo = make_repo()
    repo.release("demo", "1.0")
    await world.look(repo)
    before = await world.files("demo")
    repo.release("demo", "1.1")
    assert (await world.look(repo)).added == ["demo-1.1.tar.gz"]
    assert (await world.files("demo")).items() >= before.items()


async def test_a_server_that_lost_its_copies_goes_on(
    world: World, make_repo: MakeRepo, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What was published is known from the records: with an empty folder nothing is fetched or made again."""
    repo = make_repo()
    repo.release("demo", "1.0")
    await world.look(repo)
    world.folder = tmp_path_factory.mktemp("rebuilt")
    report = await world.look(repo)
    assert (report.added, report.troubles) == ([], [])
    assert not list((world.folder / "git").glob("*.git"))


async def test_a_deleted_release_does_not_come_back(world: World, make_repo: MakeRepo) -> None:
    """A release that an administrator deleted is not made again while its project exists."""
    from wheelyard.index.interface import Delete  # noqa: PLC0415

    repo = make_repo()
    repo.release("demo", "1.0")
    repo.release("demo", "1.1")
    await world.look(repo)
    await world.index().change(NormalizedName("demo"), Delete(version="1.0"))
    report = await world.look(repo)
    assert (report.added, report.troubles) == ([], [])
    assert list(await world.files("demo")) == ["demo-1.1.tar.gz"]
