"""Repositories made to harm whoever reads them: nothing of theirs runs, leaves its folder, or is read without a limit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plugins.git_repositories import MakeRepo, Repo, git, pyproject
from plugins.tag_world import World
from wheelyard.errors import TagSourceError
from wheelyard.index.checks import PublishLimits
from wheelyard.index.tags.program import Git
from wheelyard.index.tags.sources import Package, Repository, TagLimits, TagSources, check_subdirectory, checked_url

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch /tmp/x",
        "-oProxyCommand=x",
        "ext::sh -c touch% x",
        "ssh://-oProxyCommand=x/y",
        "git://host/x",
        "http://user:secret@host/x",
        "https://token@host/x",
        "https://host/x\n--upload-pack=y",
        "https://host/a b",
        "https://host/",
        "file:relative",
        "/srv/repository",
        "https://[/x",
    ],
)
def test_a_url_that_git_must_not_see(url: str) -> None:
    """Options, other transports, credentials and line breaks are refused before git is started; no secret is repeated."""
    with pytest.raises(TagSourceError) as caught:
        checked_url(url)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("path", ["/etc", "..", "a/../b", "a//b", "./a", "a\nb", "a\\b", ":(top)x"])
def test_a_subdirectory_that_leaves(path: str) -> None:
    """The folder of a package is a plain path below the top."""
    with pytest.raises(TagSourceError):
        check_subdirectory(path)


async def test_tags_that_look_like_options(world: World, make_repo: MakeRepo) -> None:
    """A tag called like an option of git is a name like any other."""
    repo = make_repo()
    repo.release("demo", "1.0")
    commit = git(repo.folder, "rev-parse", "HEAD")
    for name in ("--upload-pack=touch-1.0", "-1.0", "--output=x-v1.0", "$(touch${IFS}x)-1.0"):
        git(repo.folder, "update-ref", f"refs/tags/{name}", commit)
    package = Package(patterns=())
    report = await world.look(Repository(url=repo.url, packages=(package,)))
    assert report.added == ["demo-1.0.tar.gz"]
    assert not (world.folder / "git" / "x").exists()


async def test_links_that_leave_the_repository(world: World, make_repo: MakeRepo) -> None:
    """A link to somewhere outside is refused, absolute or climbing; the file it names is never read."""
    for number, target in enumerate(("/etc/passwd", "../../../../etc/passwd", "missing/../../x")):
        repo = make_repo(f"repo{number}")
        repo.write({"pyproject.toml": pyproject(f"demo{number}", "1.0")})
        (repo.folder / "link").symlink_to(target)
        repo.commit("v1.0")
        (trouble,) = (await world.look(repo)).troubles
        assert "link" in trouble.text
        assert await world.files(f"demo{number}") == {}


async def test_a_project_file_that_is_a_link_outside(world: World, make_repo: MakeRepo) -> None:
    """A `pyproject.toml` that links out of the repository is not there."""
    repo = make_repo()
    (repo.folder / "pyproject.toml").symlink_to("/etc/passwd")
    repo.commit("v1.0")
    (trouble,) = (await world.look(repo)).troubles
    assert "no Python project" in trouble.text


async def test_names_that_climb(world: World, make_repo: MakeRepo) -> None:
    """A tree with `..` in it, as no git makes it, is refused while it is fetched."""
    repo = make_repo()
    repo.release("demo", "1.0")
    blob = git(repo.folder, "rev-parse", "HEAD:pyproject.toml")
    raw = b"100644 ..\0" + bytes.fromhex(blob) + b"100644 pyproject.toml\0" + bytes.fromhex(blob)
    tree = git(repo.folder, "hash-object", "-t", "tree", "-w", "--stdin", "--literally", stdin=raw)
    commit = git(repo.folder, "commit-tree", "-m", "x", tree)
    git(repo.folder, "update-ref", "refs/tags/v1.0", commit)
    report = await world.look(repo)
    assert report.added == []
    assert len(report.troubles) == 1


async def test_submodules_are_not_followed(world: World, make_repo: MakeRepo) -> None:
    """A submodule is an empty folder: its URL is never asked."""
    repo = make_repo()
    repo.write({".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = ext::sh -c "touch /tmp/never"\n'})
    repo.write({"pyproject.toml": pyproject("demo", "1.0")})
    git(repo.folder, "add", "--all")
    git(repo.folder, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},x")
    git(repo.folder, "commit", "--quiet", "--message", "x")
    repo.tag("v1.0")
    report = await world.look(repo)
    assert (report.added, report.troubles) == (["demo-1.0.tar.gz"], [])
    assert not [name for name in await world.members("demo", "demo-1.0.tar.gz") if name.startswith("demo-1.0/x/")]


async def test_hooks_and_settings_of_this_machine(
    world: World, make_repo: MakeRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git reads no configuration of this machine or user, and runs no hook, filter or helper that one names."""
    witness = tmp_path / "witness"
    config = tmp_path / ".gitconfig"
    config.write_text(
        f'[core]\n\tfsmonitor = "touch {witness}"\n[credential]\n\thelper = "!touch {witness}"\n'
        f'[filter "evil"]\n\tsmudge = "touch {witness}"\n[url "file:///nowhere/"]\n\tinsteadOf = file:///\n'
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_SSH_COMMAND", f"touch {witness}")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    repo = make_repo()
    repo.write({".gitattributes": "* filter=evil\n"})
    repo.release("demo", "1.0")
    assert (await world.look(repo)).added == ["demo-1.0.tar.gz"]
    assert not witness.exists()


async def test_signatures_are_not_checked_by_a_program(
    world: World, make_repo: MakeRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`export-subst` that asks for the state of a signature starts no program."""
    witness = tmp_path / "witness"
    fake = tmp_path / "bin" / "gpg"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\ntouch {witness}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent), prepend=os.pathsep)
    repo = make_repo()
    repo.write({".gitattributes": "a export-subst\n", "a": "$Format:%G? %GG$"})
    repo.release("demo", "1.0")
    head = git(repo.folder, "cat-file", "commit", "HEAD")
    before, _, after = head.partition("\n\n")
    signed = f"{before}\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n{after}\n"
    commit = git(repo.folder, "hash-object", "-t", "commit", "-w", "--stdin", stdin=signed.encode())
    git(repo.folder, "update-ref", "refs/tags/v1.0", commit)
    assert (await world.look(repo)).added == ["demo-1.0.tar.gz"]
    assert not witness.exists()


@pytest.fixture
def large(make_repo: MakeRepo) -> Repo:
    repo = make_repo("large")
    repo.write({"pyproject.toml": pyproject("large", "1.0"), "noise.bin": os.urandom(3_000_000)}).commit("v1.0")
    return repo


@pytest.mark.parametrize(
    ("limits", "file_bytes", "told"),
    [
        pytest.param(
            TagLimits(repository_bytes=1_000_000), 10_000_000, "the repository takes more than", id="repository"
        ),
        pytest.param(TagLimits(unpacked_bytes=1_000_000), 10_000_000, "its files take more than", id="files"),
        pytest.param(TagLimits(), 1_000_000, "is larger than the 1000000 bytes this index allows", id="release"),
    ],
)
async def test_more_than_the_limits(world: World, large: Repo, limits: TagLimits, file_bytes: int, told: str) -> None:
    """A repository, the files of a tag, and a release have each their limit; what is too large leaves nothing behind."""
    world.limits = PublishLimits(max_file_bytes=file_bytes)
    (trouble,) = (await world.look(large, limits=limits)).troubles
    assert told in trouble.text
    assert await world.files("large") == {}
    if limits.repository_bytes == 1_000_000:
        assert not list((world.folder / "git").glob("*.git"))


async def test_a_project_file_without_end(world: World, make_repo: MakeRepo) -> None:
    """A `pyproject.toml` of many megabytes is not read."""
    repo = make_repo()
    repo.write({"pyproject.toml": pyproject("demo", "1.0") + "#" * 5_000_000}).commit("v1.0")
    (trouble,) = (await world.look(repo)).troubles
    assert "'pyproject.toml' has 5000" in trouble.text


def test_stopping_ends_a_running_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that stops does not wait for a git that hangs."""
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(slow.parent), prepend=os.pathsep)
    git_program = Git(tmp_path / "git", TagSources(sources=()))
    git_program.stop()
    with pytest.raises(TagSourceError, match="stopping"):
        git_program.tags("https://127.0.0.1/x")
