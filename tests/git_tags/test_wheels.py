"""Wheels attached to the release of a tag are listed beside its sdist."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from urllib.parse import quote

import pytest

from plugins.forge_lists import Forge
from plugins.git_repositories import GitHost, MakeRepo, Repo
from plugins.tag_world import World
from wheelyard.index.tags.refresh import TagsRefresh
from wheelyard.index.tags.sources import Credential, HostKind, Repository, TagSources
from wheelyard.testing.builders import WheelBuilder

pytestmark = pytest.mark.anyio

WHEEL = "demo-1.0-py3-none-any.whl"


@pytest.fixture
def wheel() -> bytes:
    return WheelBuilder("demo", "1.0").bytes()


@pytest.fixture
def source(make_repo: MakeRepo, git_host: GitHost, forge: Forge) -> Repository:
    """A repository that its host calls `acme/demo`."""
    repo = make_repo("acme/demo")
    repo.release("demo", "1.0")
    return Repository(url=git_host.url_of(repo), kind=HostKind.GITHUB, api_url=forge.url)


def _attach(forge: Forge, source: Repository, content: bytes, *, name: str = WHEEL, tag: str = "v1.0") -> None:
    """Attach a wheel as each host describes it."""
    path = f"/files/{name}"
    forge.files[path] = content
    download = f"{forge.url}/download{path}"
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    match source.kind:
        case HostKind.GITHUB:
            assets: object = [
                {"name": name, "size": len(content), "state": "uploaded", "digest": digest, "url": download}
            ]
            place = f"/repos/{quote(source.path)}/releases"
        case HostKind.GITLAB:
            assets = {"links": [{"name": "the wheel", "direct_asset_url": download}]}
            place = f"/projects/{quote(source.path, safe='')}/releases"
        case _:
            assets = [{"name": name, "size": len(content), "browser_download_url": download}]
            place = f"/repos/{quote(source.path)}/releases"
    forge.lists.setdefault(place, []).append({"tag_name": tag, "draft": False, "assets": assets})


@pytest.mark.parametrize("kind", [HostKind.GITHUB, HostKind.GITLAB, HostKind.GITEA])
async def test_a_wheel_is_listed(world: World, forge: Forge, source: Repository, wheel: bytes, kind: HostKind) -> None:
    """A wheel that came later than its tag is listed at the next look, with its metadata and where it is from."""
    source = replace(source, kind=kind)
    await world.look(source)
    _attach(forge, source, wheel)
    report = await world.look(source)
    assert (report.added, report.troubles) == ([WHEEL], [])
    files = await world.files("demo")
    assert list(files) == [WHEEL, "demo-1.0.tar.gz"]
    assert files[WHEEL].core_metadata is not None
    assert await world.content("demo", WHEEL) == wheel
    assert (await world.look(source)).added == []


async def test_looking_again_is_one_conditional_request(
    world: World, forge: Forge, source: Repository, wheel: bytes
) -> None:
    """The list of releases is asked for with its ETag, and an answer of 304 costs nothing."""
    _attach(forge, source, wheel)
    forge.authorization = "Bearer t0ken"
    secret = Credential(host=forge.url.removeprefix("http://"), username="u", secret="t0ken")
    refresh = TagsRefresh(world.index(), TagSources(sources=(source,), credentials=(secret,)))
    await refresh.run()
    forge.statuses.clear()
    assert (await refresh.run()).added == []
    assert forge.statuses == [304]


async def test_without_a_credential_hosts_are_asked_seldom(
    world: World, forge: Forge, source: Repository, wheel: bytes, git_host: GitHost
) -> None:
    """Without a credential a host is asked again only for a new tag, or after an hour: it counts such requests."""
    refresh = TagsRefresh(world.index(), TagSources(sources=(source,)))
    await refresh.run()
    await refresh.run()
    assert len(forge.requests) == 1
    Repo(git_host.folder / "acme/demo").release("demo", "1.1")
    _attach(forge, source, wheel)
    assert (await refresh.run()).added == ["demo-1.1.tar.gz", WHEEL]


async def test_the_token_stays_with_its_host(world: World, forge: Forge, source: Repository, wheel: bytes) -> None:
    """A download that is redirected to another host goes there without the token."""
    _attach(forge, source, wheel)
    forge.authorization = "Bearer t0ken"
    forge.elsewhere = forge.url.replace("127.0.0.1", "localhost")
    secret = Credential(host=forge.url.removeprefix("http://"), username="u", secret="t0ken")
    report = await world.look(source, credentials=(secret,))
    (trouble,) = report.troubles  # http to another host: refused, and never asked
    assert "leads to an address that is not followed" in trouble.line
    assert not [path for path in forge.paths() if path.startswith("/files/")]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("other-1.0-py3-none-any.whl", "is none of 'demo' 1.0"),
        ("demo-1.1-py3-none-any.whl", "is none of 'demo' 1.0"),
        ("demo-1.0.whl", "is not listed"),
    ],
)
async def test_a_wheel_of_something_else(
    world: World, forge: Forge, source: Repository, wheel: bytes, name: str, told: str
) -> None:
    """A wheel of another project or version than its tag's is told and not listed."""
    _attach(forge, source, wheel, name=name)
    (trouble,) = (await world.look(source)).troubles
    assert told in trouble.line
    assert list(await world.files("demo")) == ["demo-1.0.tar.gz"]


async def test_a_wheel_that_is_none(world: World, forge: Forge, source: Repository) -> None:
    """An attached file is checked as any upload: one that is no wheel inside is told."""
    _attach(forge, source, b"no zip")
    (trouble,) = (await world.look(source)).troubles
    assert "Invalid distribution file" in trouble.line


async def test_a_wheel_that_was_replaced(world: World, forge: Forge, source: Repository, wheel: bytes) -> None:
    """Another file under the name of a listed wheel is told, and the listed one stays."""
    _attach(forge, source, wheel)
    await world.look(source)
    forge.lists.clear()
    _attach(forge, source, WheelBuilder("demo", "1.0", requires_python=">=3.9").bytes())
    (trouble,) = (await world.look(source)).troubles
    assert "was replaced; the one that is listed stays" in trouble.line
    assert await world.content("demo", WHEEL) == wheel


async def test_a_wheel_on_another_host(world: World, forge: Forge, source: Repository, wheel: bytes) -> None:
    """Whoever may edit a release cannot send this server to other addresses."""
    _attach(forge, source, wheel)
    ((_, (release,)),) = forge.lists.items()
    release["assets"] = [{"name": WHEEL, "state": "uploaded", "url": "http://169.254.169.254/latest"}]
    (trouble,) = (await world.look(source)).troubles
    assert "its wheel is on '169.254.169.254'" in trouble.line


async def test_wheels_that_are_not_wanted(world: World, forge: Forge, source: Repository, wheel: bytes) -> None:
    """With `wheels = false` the host is not asked."""
    _attach(forge, source, wheel)
    await world.look(replace(source, wheels=False))
    assert forge.requests == []
