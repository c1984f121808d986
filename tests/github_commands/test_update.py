"""`wheelyard update_index github`: the index rebuilt and repaired from the releases."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from github_commands.conftest import Command, Opened, Releases, digests
from wheelyard.index.hosted import HostedIndex
from wheelyard.index.interface import Delete, Upload
from wheelyard.model import Filename, NormalizedName
from wheelyard.protocol.upload_form import UploadForm
from wheelyard.storage.spool import spool_bytes
from wheelyard.testing.builders import SdistBuilder, WheelBuilder, form_fields
from wheelyard.testing.fake_github import FakeGitHub, Repository

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

DEMO = NormalizedName("demo")
UPDATE = ("update_index", "github", "main", "--owner", "ana", "--repo", "packages", "--secret_env", "GH_TOKEN")

Update = Callable[[str], tuple[int, str]]


@pytest.fixture
def update(command: Command, github: FakeGitHub, tmp_path: Path) -> Update:
    """Run the command with a folder of its own; returns exit code and output."""

    def run(folder: str = "elsewhere") -> tuple[int, str]:
        done = command(*UPDATE, "--api_url", github.api_url, "--root", str(tmp_path / folder))
        assert done.err == ""
        return done.code, done.out

    return run


async def _publish(index: HostedIndex, path: Path) -> str:
    """Publish a file as a server does; returns its digest."""
    content = await anyio.Path(path).read_bytes()
    form = UploadForm("file_upload", "1", {name: tuple(values) for name, values in form_fields(path).items()})
    with await spool_bytes(path.parent, content) as spool:
        await index.publish(Upload(form=form, filename=path.name, spool=spool, uploader="ana"))
    return hashlib.sha256(content).hexdigest()


def _writes(github: FakeGitHub) -> list[str]:
    return [call.path for call in github.calls if call.method != "GET"]


async def test_rebuilds_a_lost_branch(
    update: Update, github: FakeGitHub, store: Repository, opened: Opened, tmp_path: Path
) -> None:
    """Without a branch every file of the releases is listed again: wheels, sdists, and names that GitHub rewrote."""
    builders = (WheelBuilder(), SdistBuilder(), WheelBuilder(version="1!2.0"), WheelBuilder(name="other"))
    async with opened() as index:
        published = {path.name: await _publish(index, path) for path in (each.build(tmp_path) for each in builders)}
    del store.refs["refs/heads/index"]
    assets = {asset.id for _, asset in store.assets()}
    code, out = update("elsewhere")
    assert code == 0
    assert "repository 'ana/packages': 4 files added, 0 were listed, 0 left alone, 0 lost" in out
    assert out.splitlines()[-1] == "index 'main': 4 files listed, 4 of them there"
    assert {asset.id for _, asset in store.assets()} == assets
    async with opened(folder="new server") as index:
        assert await digests(index) == published
        page = await index.page(DEMO)
        wheel = page.find("demo-1.0-py3-none-any.whl")
        assert wheel is not None
        assert wheel.core_metadata is not None
        assert wheel.private["_uploader"] == "ana"


async def test_nothing_to_do(
    update: Update, github: FakeGitHub, store: Repository, opened: Opened, tmp_path: Path
) -> None:
    """With nothing to do it asks for the releases and the branch, reads no file and writes nothing."""
    async with opened() as index:
        await _publish(index, WheelBuilder().build(tmp_path))
    update("elsewhere")
    head = store.head("index")
    github.calls.clear()
    code, out = update("elsewhere")
    assert (code, store.head("index")) == (0, head)
    assert "0 files added, 1 were listed" in out
    assert _writes(github) == []
    assert len(github.calls) <= 4  # the branch twice, the releases, and the predecessor's list


async def test_takes_what_people_uploaded(
    update: Update, releases: Releases, opened: Opened, store: Repository, tmp_path: Path
) -> None:
    """A release made by hand is listed beside a running server, which sees it; files that are none are named."""
    wheel = WheelBuilder(version="3.0")
    async with opened() as index:
        await _publish(index, WheelBuilder().build(tmp_path))
        releases.make("ana/packages", "v3.0", {wheel.file_name: wheel.bytes(), "notes.pdf": b"%PDF"}, body="By hand")
        code, out = update("elsewhere")
        assert code == 0
        assert f"added: demo/{wheel.file_name}" in out
        assert "left alone: v3.0/notes.pdf: its name is not that of a wheel or an sdist" in out
        assert await _publish(index, WheelBuilder(version="4.0").build(tmp_path))
        assert len(await digests(index)) == 3


async def test_another_file_of_the_name(
    update: Update, releases: Releases, opened: Opened, store: Repository, tmp_path: Path
) -> None:
    """A published name never means other bytes, and what was deleted stays so; neither is read again and again."""
    wheel, gone = WheelBuilder(), WheelBuilder(version="2.0")
    async with opened() as index:
        digest = await _publish(index, wheel.build(tmp_path))
        await _publish(index, gone.build(tmp_path))
        await index.change(DEMO, Delete(frozenset({Filename(gone.file_name)})))
        other = WheelBuilder(description="other").bytes()
        releases.make("ana/packages", "again", {wheel.file_name: other, gone.file_name: gone.bytes()})
        code, out = update("elsewhere")
    assert code == 0
    assert f"left alone: again/{wheel.file_name}: another file of that name is published here already" in out
    assert f"left alone: again/{gone.file_name}: it was deleted here, and stays so" in out
    async with opened(folder="new server") as index:
        assert await digests(index) == {wheel.file_name: digest}


async def test_lost_files_are_named(update: Update, store: Repository, opened: Opened, tmp_path: Path) -> None:
    """A listed file whose asset somebody removed, or replaced, is named, and the exit code is 1."""
    async with opened() as index:
        for version in ("1.0", "2.0", "3.0"):
            await _publish(index, WheelBuilder(version=version).build(tmp_path))
    for release, asset in list(store.assets()):
        if release.tag == "demo-1.0":
            del release.assets[asset.id]
        if release.tag == "demo-2.0":
            asset.content, asset._digest = b"other", None
    code, out = update("elsewhere")
    assert code == 1
    assert "lost: demo/demo-1.0-py3-none-any.whl: its asset is gone from GitHub" in out
    assert "lost: demo/demo-2.0-py3-none-any.whl: its asset has other bytes than were published" in out
    assert "demo-3.0" not in out


async def test_a_list_of_files_that_was_lost(update: Update, store: Repository, opened: Opened, tmp_path: Path) -> None:
    """A record whose list of files is gone from the branch gets its files back, without an upload."""
    async with opened() as index:
        digest = await _publish(index, WheelBuilder().build(tmp_path))
    store.commit({path: None for path in store.files("index") if path.endswith("files.json")}, branch="index")
    code, out = update("elsewhere")
    assert code == 0, out
    async with opened(folder="new server") as index:
        assert await digests(index) == {"demo-1.0-py3-none-any.whl": digest}
    assert len(list(store.assets())) == 1


async def test_half_uploaded(update: Update, github: FakeGitHub, releases: Releases, store: Repository) -> None:
    """An asset whose upload was cut is nothing, and stays for its uploader to send again."""
    wheel = WheelBuilder()
    releases.make("ana/packages", "v1", {wheel.file_name: wheel.bytes()})
    for _, asset in store.assets():
        asset.state = "starter"
    code, out = update("elsewhere")
    assert (code, len(list(store.assets()))) == (0, 1)
    assert "0 files added" in out


async def test_many_assets_in_one_release(
    update: Update, releases: Releases, store: Repository, github: FakeGitHub
) -> None:
    """A list of assets inside a release that may have been cut is asked for page by page; commits are shared."""
    wheels = [WheelBuilder(name=f"demo{number}") for number in range(30)]
    releases.make("ana/packages", "all", {wheel.file_name: wheel.bytes() for wheel in wheels})
    github.calls.clear()
    code, out = update("elsewhere")
    assert code == 0
    assert "30 files added" in out
    assert any(call.path.endswith("/assets") for call in github.calls)
    assert sum(call.path == "/graphql" for call in github.calls) < 30


async def test_with_a_configuration(
    command: Command, github: FakeGitHub, store: Repository, releases: Releases, tmp_path: Path
) -> None:
    """With a configuration file the secret takes the place of its admin secret; without either it is told what lacks."""
    wheel = WheelBuilder()
    releases.make("ana/packages", "v1", {wheel.file_name: wheel.bytes()})
    values = {"type": "github", "owner": "ana", "repo": "packages", "api_url": github.api_url}
    (tmp_path / "c.toml").write_text("[main]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in values.items()))
    arguments = ("update_index", "--type=github", "--name=main", "--config", "c.toml", "--root", str(tmp_path / "r"))
    done = command(*arguments, "--secret", "wrong")
    assert (done.code, "GitHub refuses the server's own token" in done.err) == (1, True)
    assert command(*arguments, "--secret_env=NONE").code == 2
    done = command(*arguments, "--secret_env=GH_TOKEN")
    assert (done.code, done.err) == (0, "")
    assert "1 files added" in done.out


async def test_a_token_that_may_only_read(
    command: Command, github: FakeGitHub, store: Repository, releases: Releases, tmp_path: Path
) -> None:
    """A token without the right to write is refused with what it needs; the repository is as it was."""
    wheel = WheelBuilder()
    releases.make("ana/packages", "v1", {wheel.file_name: wheel.bytes()})
    token = github.token("ana", "fine-grained", permissions={"contents": "read"})
    refs = dict(store.refs)
    arguments = (*UPDATE, "--api_url", github.api_url, "--root", str(tmp_path / "r"))
    done = command(*arguments, env={"GH_TOKEN": token})
    assert done.code == 1
    assert "write access to the repository's contents" in done.err
    assert {name: sha for name, sha in store.refs.items() if "tags" not in name} == {
        name: sha for name, sha in refs.items() if "tags" not in name
    }


async def test_beside_a_server_and_another_run(
    update: Update, releases: Releases, opened: Opened, store: Repository, github: FakeGitHub, tmp_path: Path
) -> None:
    """Two runs at once and a server that publishes meanwhile lose nothing and list everything once."""
    wheels = [WheelBuilder(name=f"by-hand{number}", version="1.0") for number in range(6)]
    releases.make("ana/packages", "all", {wheel.file_name: wheel.bytes() for wheel in wheels})
    paths = [WheelBuilder(version=f"{number}.0").build(tmp_path) for number in range(1, 6)]
    codes: list[int] = []

    async def run(folder: str) -> None:
        codes.append((await anyio.to_thread.run_sync(update, folder))[0])

    async with opened() as index, anyio.create_task_group() as tasks:
        tasks.start_soon(run, "one")
        tasks.start_soon(run, "two")
        for path in paths:
            await _publish(index, path)
    assert codes == [0, 0]
    async with opened(folder="new server") as index:
        assert set(await digests(index)) == {path.name for path in paths} | {wheel.file_name for wheel in wheels}
    assert len(list(store.assets())) == len(wheels) + len(paths)
