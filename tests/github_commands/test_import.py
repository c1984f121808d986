"""`wheelyard github.import`: repositories of the predecessor, in place and into another one."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from contextlib import suppress

import anyio
import pytest

from github_commands.conftest import Command, Opened, Releases, digests
from wheelyard.model import NormalizedName
from wheelyard.testing.builders import WheelBuilder
from wheelyard.testing.fake_github import FakeGitHub, Repository

pytestmark = pytest.mark.slow

WHEELS = (WheelBuilder(), WheelBuilder(version="1.1"), WheelBuilder(name="other", version="2.0+local"))


@pytest.fixture
def published(releases: Releases, store: Repository) -> dict[str, str]:
    """Files that the predecessor published, with their digests; and its list on the default branch."""
    found = {wheel.file_name: releases.of_predecessor("ana/packages", wheel) for wheel in WHEELS}
    store.commit({"index.toml": b"pkgs = []\nmtime = 1\n"})
    return found


def _writes(github: FakeGitHub) -> list[tuple[str, str]]:
    return [(call.method, call.path) for call in github.calls if call.method != "GET"]


@pytest.mark.anyio
async def test_in_place(
    command: Command, github: FakeGitHub, store: Repository, published: dict[str, str], opened: Opened
) -> None:
    """Every file is reachable under the same name and digest; nothing is uploaded, removed or changed at GitHub."""
    before = {asset.id for _, asset in store.assets()}
    default = store.files("main")
    github.calls.clear()
    done = command("github.import", "ana/packages")
    assert (done.code, done.err) == (0, "")
    assert "3 files taken over now, 0 before, 0 left alone; nothing was removed" in done.out.splitlines()[-1]
    assert {path for _, path in _writes(github)} <= {
        "/graphql", *(f"/repos/ana/packages/git/{what}" for what in ("trees", "commits", "refs")),
    }  # fmt: skip
    assert {asset.id for _, asset in store.assets()} == before
    assert store.files("main") == default
    async with opened() as index:
        assert await digests(index) == published
        page = await index.page(NormalizedName("demo"))
        assert all(file.core_metadata for file in page.files)


def test_again(command: Command, github: FakeGitHub, store: Repository, published: dict[str, str]) -> None:
    """Running again reads no file and writes nothing."""
    command("github.import", "ana/packages")
    head = store.head("index")
    github.calls.clear()
    done = command("github.import", "ana/packages")
    assert (done.code, done.err) == (0, "")
    assert f"0 files taken over now, {len(published)} before" in done.out
    assert _writes(github) == []
    assert not [call for call in github.calls if "/releases/assets/" in call.path]
    assert store.head("index") == head


@pytest.mark.anyio
async def test_into_another(
    command: Command, github: FakeGitHub, store: Repository, published: dict[str, str], opened: Opened
) -> None:
    """Files are copied into another repository, one release for each version; the first is not written to."""
    target = github.repository("ana/new")
    before = (dict(store.refs), sorted(store.releases))
    done = command("github.import", "ana/packages", "--to", "ana/new", "--name", "main")
    assert (done.code, done.err) == (0, "")
    assert (dict(store.refs), sorted(store.releases)) == before
    assert "index" not in store.branches()
    assert {release.tag for release in target.published()} == {"demo-1.0", "demo-1.1", "other-2.0+local"}
    async with opened("new") as index:
        assert await digests(index) == published
    assert "0 files taken over now, 3 before" in command("github.import", "ana/packages", "--to=ana/new").out


@pytest.mark.anyio
async def test_goes_on_after_trouble(
    command: Command, github: FakeGitHub, published: dict[str, str], opened: Opened
) -> None:
    """A run that ends half-way leaves an index that serves, and the next one takes the rest."""
    refused = ("/repos/ana/packages/releases/assets/", 403)
    for _ in range(8):
        github.switches.fail(refused[1], method="GET", path=refused[0])
    first = command("github.import", "ana/packages")
    assert first.code == 1
    github.switches.failures.clear()
    assert command("github.import", "ana/packages").code == 0
    async with opened() as index:
        assert await digests(index) == published


def test_damaged(command: Command, releases: Releases, store: Repository, published: dict[str, str]) -> None:
    """A file that is not what the predecessor wrote down is named and left alone; the rest is taken; the exit code is 1."""
    releases.of_predecessor("ana/packages", WheelBuilder(name="bad"), sha256="0" * 64)
    done = command("github.import", "ana/packages")
    assert done.code == 1
    assert "left alone: bad-1.0-py3-none-any.whl/bad-1.0-py3-none-any.whl: it is damaged" in done.out
    assert f"{len(published)} files taken over now" in done.out
    assert not [path for path in store.files("index") if path.endswith("/bad/index.json")]


@pytest.mark.anyio
async def test_names_that_github_rewrote(
    command: Command, releases: Releases, store: Repository, opened: Opened
) -> None:
    """The tag has the name of a file that the predecessor lost because GitHub rewrote the asset's."""
    wheel = WheelBuilder(version="1!2.0")
    digest = releases.of_predecessor("ana/packages", wheel)
    assert command("github.import", "ana/packages").code == 0
    async with opened() as index:
        assert await digests(index) == {wheel.file_name: digest}


@pytest.mark.anyio
async def test_list_that_github_cuts(
    command: Command,
    github: FakeGitHub,
    store: Repository,
    published: dict[str, str],
    opened: Opened,
) -> None:
    """What GitHub's own list does not show any more is found through the predecessor's; that it was cut is told."""
    rows = []
    for release, asset in store.assets():
        package = release.tag.removesuffix(".whl")
        digest = hashlib.sha256(asset.content).hexdigest()
        url = f"{github.api_url}/repos/ana/packages/releases/assets/{asset.id}"
        values = {"distrib": package.partition("-")[0], "package": package, "ext": "whl", "sha256": digest, "url": url}
        rows.append("[[pkgs]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
    store.commit({"index.toml": ("mtime = 1\n" + "".join(rows)).encode()})
    github.switches.release_list_cap = 0
    done = command("github.import", "ana/packages")
    assert done.code == 1
    assert "incomplete: GitHub lists no more releases after these" in done.out
    async with opened() as index:
        assert await digests(index) == published


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("packages",), "takes OWNER/REPO, not 'packages'"),
        (("ana/packages", "--to", "new"), "--to takes OWNER/REPO"),
        (("ana/missing",), "does not show the repository 'ana/missing'"),
        (("ana/packages", "--api-url", "http://example.org"), "would send the token unencrypted"),
    ],
)
def test_refusals(command: Command, arguments: tuple[str, ...], text: str, store: Repository) -> None:
    """What cannot be meant is refused with a reason."""
    done = command("github.import", *arguments)
    assert done.code != 0
    assert text in done.err


def test_without_token(command: Command) -> None:
    """Without a token it says how to give one."""
    done = command("github.import", "ana/packages", env={"GH_TOKEN": ""})
    assert done.code == 2
    assert "give --token, or set GH_TOKEN or GITHUB_TOKEN" in done.err


@pytest.mark.anyio
async def test_killed(
    command: Command, github: FakeGitHub, releases: Releases, token: str, opened: Opened, store: Repository
) -> None:
    """A run that is killed after its first commit has lost nothing; the next one lists the rest."""
    wheels = [WheelBuilder(version=f"1.{number}") for number in range(45)]  # more than go into two commits
    published = {wheel.file_name: releases.of_predecessor("ana/packages", wheel) for wheel in wheels}
    code = "import sys; from wheelyard.cli import main; main()"
    env = {**os.environ, "GITHUB_API_URL": github.api_url, "GH_TOKEN": token}
    async with await anyio.open_process(
        [sys.executable, "-c", code, "github.import", "ana/packages"], env=env
    ) as process:
        while not any(call.path == "/graphql" for call in github.calls):
            assert process.returncode is None
            await anyio.sleep(0.005)
        process.kill()
    done = command("github.import", "ana/packages")
    assert (done.code, done.err) == (0, "")
    assert "45 files taken over now" not in done.out
    async with opened() as index:
        assert await digests(index) == published


def test_rate_limit(command: Command, github: FakeGitHub, published: dict[str, str], store: Repository) -> None:
    """A secondary limit is waited out."""
    github.repository("ana/new")
    github.switches.secondary_limit(retry_after=1, path="/releases/assets/")
    github.switches.secondary_limit(retry_after=1, path="/graphql")
    done = command("github.import", "ana/packages", "--to", "ana/new", "--release-layout", "rolling")
    assert done.code == 0
    assert f"{len(published)} files taken over now" in done.out
    assert {release.tag for release in github.repositories["ana/new"].published()} == {"store-0001"}


def test_environment_mode(run: Command, github: FakeGitHub, token: str, published: dict[str, str]) -> None:
    """Flags come from the environment too, as those of every command."""
    env = {"GITHUB_API_URL": github.api_url, "WHEELYARD_COMMAND_TOKEN": token}
    done = run("github.import", "ana/packages", env=env)
    assert (done.code, done.err) == (0, "")
    assert f"{len(published)} files taken over now" in done.out


def test_bar(github: FakeGitHub, token: str, published: dict[str, str]) -> None:
    """Where a person watches, a bar is drawn on stderr; stdout has the result alone."""
    code = "import sys; from wheelyard.cli import main; main()"
    env = {**os.environ, "GITHUB_API_URL": github.api_url, "GH_TOKEN": token, "TERM": "xterm", "COLUMNS": "80"}
    ours, theirs = os.openpty()
    arguments = [sys.executable, "-c", code, "github.import", "ana/packages"]
    done = subprocess.run(arguments, env=env, stdout=subprocess.PIPE, stderr=theirs, check=True, timeout=60)
    os.close(theirs)
    drawn = b""
    with suppress(OSError):  # the end of a terminal is an error
        while piece := os.read(ours, 65536):
            drawn += piece
    os.close(ours)
    assert b"taking over" in drawn
    assert f"{len(published)} files taken over now".encode() in done.stdout


def test_listed_as_the_manual_has_it(run: Command) -> None:
    """The list of commands has every one of the manual's, under the name that the program had."""
    lines = run("--help", program="private_pypi").out.splitlines()
    assert lines[:2] == ["SYNOPSIS", "    private_pypi <command> <command_flags>"]
    listed = [line.split()[0] for line in lines if line.startswith("    ") and not line.startswith("    private_pypi")]
    assert {"server", "update_index", "github.init_pkg_repo", "github.gen_gh_pages", "github.import"} <= set(listed)


def test_enterprise_server(run: Command) -> None:
    """GitHub Enterprise Server, with paths of its own, does as well; from a repository that is empty."""
    with FakeGitHub.serve(base="ghes") as github:
        token = github.user("ana")
        github.repository("ana/packages")
        target = github.repository("ana/new", empty=True)
        Releases(github.api_url, token).of_predecessor("ana/packages", WheelBuilder())
        done = run("github.import", "ana/packages", "--to=ana/new", f"--api_url={github.api_url}", f"--token={token}")
        assert (done.code, done.err) == (0, "")
        assert [asset.name for _, asset in target.assets()] == [WheelBuilder().file_name]
