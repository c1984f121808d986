"""What GitHub and the network do to a server, and what is left of a publish afterwards."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import pytest

from github.conftest import OpenBackend
from github.steps import RECORD, Asked, content_of, key, listed, publish, wheel
from wheelyard.backends.github.mirror import NAME
from wheelyard.errors import KeyNotFound, StorageError, StorageReadOnly, StorageUnavailable
from wheelyard.storage.interface import LocalPath
from wheelyard.testing.fake_github import FakeGitHub, Repository

pytestmark = pytest.mark.anyio


async def test_an_upload_that_leaves_half_an_asset(
    opened: OpenBackend, github: FakeGitHub, repository: Repository, tmp_path: Path
) -> None:
    """After a 502 the half asset is removed and the upload repeated; the file has its plain name."""
    backend = await opened()
    github.switches.fail_upload_502_leaves_starter = 2
    content = await publish(backend, tmp_path, wheel())
    assets = [asset for _, asset in repository.assets()]
    assert [(asset.name, asset.state) for asset in assets] == [(wheel(), "uploaded")]
    assert await content_of(backend, wheel()) == content


@pytest.mark.parametrize("path", ["/graphql", "/assets", "/releases"])
async def test_a_lost_answer(
    opened: OpenBackend, github: FakeGitHub, repository: Repository, tmp_path: Path, path: str
) -> None:
    """A change that was carried out and whose answer was lost is found out about, not made twice."""
    backend = await opened()
    await publish(backend, tmp_path, wheel("0.1"))
    github.switches.drop_answer_path = path
    github.switches.drop_answer_after_commit = 1
    await publish(backend, tmp_path, wheel())
    assert github.switches.drop_answer_after_commit == 0
    assert await listed(backend) == [wheel("0.1"), wheel()]
    assert len(list(repository.assets())) == 2
    assert await listed(await opened("other")) == [wheel("0.1"), wheel()]


async def test_somebody_elses_commits_come_first(opened: OpenBackend, github: FakeGitHub, tmp_path: Path) -> None:
    """When the branch moves under a commit, it is planned again on what is there."""
    backend = await opened()
    await publish(backend, tmp_path, wheel())
    github.switches.stale_data = 3
    await publish(backend, tmp_path, wheel("2.0"))
    assert await listed(backend) == [wheel(), wheel("2.0")]


async def test_two_servers_publish_at_once(opened: OpenBackend, repository: Repository, tmp_path: Path) -> None:
    """Different files of one project by two servers are all listed; of the same file there is one listed asset."""
    servers = [await opened("one"), await opened("two")]

    async def work(number: int) -> None:
        for version in range(3):
            await publish(servers[number], tmp_path, wheel(f"{number}.{version}"))
        await publish(servers[number], tmp_path, wheel("9.0"))

    async with anyio.create_task_group() as tasks:
        for number in range(2):
            tasks.start_soon(work, number)
    expected = sorted([wheel(f"{n}.{v}") for n in range(2) for v in range(3)] + [wheel("9.0")])
    for server in [*servers, await opened("three")]:
        await server.sync()
        assert await listed(server) == expected
        for name in expected:
            assert await content_of(server, name) == f"bytes of {name}".encode()


async def test_killed_between_asset_and_commit(
    opened: OpenBackend, github: FakeGitHub, repository: Repository, tmp_path: Path
) -> None:
    """What a killed publish left is listed by nobody, and the same or other bytes can be published by that name."""
    backend = await opened()
    await publish(backend, tmp_path, wheel("0.1"))
    github.switches.fail(403, times=1, path="/graphql", message="Resource not accessible")
    with pytest.raises(StorageReadOnly):
        await publish(backend, tmp_path, wheel())
    assert len(list(repository.assets())) == 2
    with pytest.raises(KeyNotFound):
        await backend.stat(key(wheel()))
    other = await opened("other")
    assert await publish(other, tmp_path, wheel(), b"other bytes") == await content_of(other, wheel())
    await backend.sync()
    assert await content_of(backend, wheel()) == b"other bytes"


async def test_a_leftover_with_the_same_bytes_is_taken(
    opened: OpenBackend, github: FakeGitHub, repository: Repository, tmp_path: Path
) -> None:
    """The publisher who tries again right away uses the asset that is there."""
    backend = await opened()
    github.switches.fail(403, times=1, path="/graphql", message="Resource not accessible")
    with pytest.raises(StorageError):
        await publish(backend, tmp_path, wheel())
    await publish(backend, tmp_path, wheel())
    assert [asset.name for _, asset in repository.assets()] == [wheel()]
    assert await listed(backend) == [wheel()]


@pytest.mark.slow
async def test_starts_and_serves_without_github(opened: OpenBackend, github: FakeGitHub, tmp_path: Path) -> None:
    """A restart while GitHub is away serves what was known, says so, refuses writes, and comes back by itself."""
    backend = await opened()
    content = await publish(backend, tmp_path, wheel())
    await backend.stop()
    with github.unreachable():
        again = await opened()
        assert await listed(again) == [wheel()]
        assert await content_of(again, wheel()) == content
        assert await content_of(again, f"{wheel()}.metadata") == b"Name: demo\n"
        assert again.trouble() is not None
        with pytest.raises(StorageUnavailable):
            await publish(again, tmp_path, wheel("2.0"))
        with pytest.raises(StorageUnavailable):
            await opened("no memory")
    await publish(again, tmp_path, wheel("2.0"))
    assert again.trouble() is None
    assert await listed(again) == [wheel(), wheel("2.0")]


def damage_mirror(folder: Path, damage: bytes | None) -> None:
    """Write over the database, or only over a record in it."""
    path = next(folder.rglob(NAME))
    text = path.read_bytes()
    assert b"demo-1.0-py3" in text
    path.write_bytes(damage if damage is not None else text.replace(b"demo-1.0-py3", b"demo-9.0-py3"))


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
async def test_a_damaged_mirror_is_made_anew(opened: OpenBackend, tmp_path: Path, damage: bytes | None) -> None:
    """A database that is cut, nonsense or has a wrong byte in a record is not believed."""
    backend = await opened()
    await publish(backend, tmp_path, wheel())
    await backend.stop()
    damage_mirror(tmp_path, damage)
    again = await opened()
    assert await listed(again) == [wheel()]


async def test_a_damaged_cache_is_not_served(opened: OpenBackend, github: FakeGitHub, tmp_path: Path) -> None:
    """A cached file that changed while the server was away is fetched again."""
    backend = await opened()
    content = await publish(backend, tmp_path, wheel())
    found = await backend.locate(key(wheel()))
    assert isinstance(found, LocalPath)
    await backend.stop()
    found.path.write_bytes(b"x" * len(content))
    again = await opened()
    assert await again.locate(key(wheel())) is None
    assert await content_of(again, wheel()) == content
    assert await again.locate(key(wheel())) == found


async def test_the_cache_is_bounded(opened: OpenBackend, tmp_path: Path) -> None:
    """The least recently used files go; a file larger than the cache, or any with a cache of 0, is served all the same."""
    backend = await opened(cache_bytes=2_500)
    for version in ("1.0", "2.0", "3.0"):
        await publish(backend, tmp_path, wheel(version), version.encode() * 400)
    assert [await backend.locate(key(wheel(v))) is not None for v in ("1.0", "2.0", "3.0")] == [False, True, True]
    assert await content_of(backend, wheel("1.0")) == b"1.0" * 400
    none = await opened("none", cache_bytes=0)
    assert await content_of(none, wheel("2.0")) == b"2.0" * 400
    assert await none.locate(key(wheel("2.0"))) is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["secondary", "primary", "unnamed"])
async def test_rate_limits_are_waited_out(opened: OpenBackend, github: FakeGitHub, tmp_path: Path, kind: str) -> None:
    """A publish waits as long as GitHub says, and is then acknowledged."""
    backend = await opened()
    await publish(backend, tmp_path, wheel("0.1"))
    if kind == "primary":
        github.switches.primary_limit(int(time.time()) + 1)
    else:
        github.switches.secondary_limit(1, times=2, status=403 if kind == "secondary" else 429)
    begun = time.monotonic()
    await publish(backend, tmp_path, wheel())
    assert time.monotonic() - begun >= 1
    assert await listed(backend) == [wheel("0.1"), wheel()]


async def test_a_long_limit_is_told(opened: OpenBackend, github: FakeGitHub, tmp_path: Path) -> None:
    """A limit of an hour is not waited for: the answer says how long, and so does the trouble; pages are served on."""
    backend = await opened()
    await publish(backend, tmp_path, wheel())
    github.switches.primary_limit(int(time.time()) + 3000)
    with pytest.raises(StorageUnavailable, match="rate limit is over, in"):
        await publish(backend, tmp_path, wheel("2.0"))
    assert "rate limit" in (backend.trouble() or "")
    assert await listed(backend) == [wheel()]


async def test_immutable_releases(
    opened: OpenBackend, github: FakeGitHub, repository: Repository, tmp_path: Path
) -> None:
    """Where published releases cannot be added to, each file gets a release of its own that is published when it is whole."""
    repository.immutable_releases = True
    backend = await opened()
    for name in (wheel(), wheel(tag="py2-none-any"), "demo-1.0.tar.gz"):
        content = await publish(backend, tmp_path, name)
        assert await content_of(await opened(f"reads {name}"), name) == content
    filled = [release for release in repository.releases.values() if release.assets]
    assert len(filled) == 3
    assert all(release.immutable and not release.draft for release in filled)
    await backend.delete(key(wheel()))
    await publish(backend, tmp_path, wheel("1.1"))


async def test_a_full_release(opened: OpenBackend, github: FakeGitHub, repository: Repository, tmp_path: Path) -> None:
    """When a release takes no more assets, the next one is begun."""
    github.switches.assets_per_release = 2
    backend = await opened()
    for number in range(5):
        await publish(backend, tmp_path, wheel(tag=f"cp3{number}-none-any"))
    assert [len(release.assets) for release in repository.releases.values()] == [2, 2, 1]


async def test_names_github_would_change(opened: OpenBackend, repository: Repository, tmp_path: Path) -> None:
    """An epoch and its look-alike, a local version and a tilde are kept apart."""
    backend = await opened()
    names = [
        "demo-1!2.0-py3-none-any.whl",
        "demo-1.2.0-py3-none-any.whl",
        "demo-1.0+a.b-py3-none-any.whl",
        "~demo-1.0.tar.gz",
    ]
    contents = {name: await publish(backend, tmp_path, name) for name in names}
    other = await opened("other")
    for name, content in contents.items():
        assert await content_of(other, name) == content
    assert len({asset.name for _, asset in repository.assets()}) == len(names)


async def test_a_revoked_token(opened: OpenBackend, github: FakeGitHub, token: str, tmp_path: Path) -> None:
    """When the server's own token is revoked, pages are served on and everything else says what to do."""
    backend = await opened()
    await publish(backend, tmp_path, wheel())
    github.revoke(token)
    with pytest.raises(StorageError, match="refuses the server's own token"):
        await publish(backend, tmp_path, wheel("2.0"))
    assert await listed(backend) == [wheel()]
    assert backend.trouble() is not None


async def test_a_token_that_may_only_read(
    opened: OpenBackend, github: FakeGitHub, repository: Repository, tmp_path: Path
) -> None:
    """A server whose token may only read serves, and refuses to write with the reason."""
    await publish(await opened(), tmp_path, wheel())
    repository.collaborators["ben"] = "pull"
    reader = await opened("reader", secret={"raw": github.user("ben")})
    assert await listed(reader) == [wheel()]
    with pytest.raises(StorageReadOnly, match="does not let the server's own token"):
        await publish(reader, tmp_path, wheel("2.0"))


async def test_an_empty_repository(opened: OpenBackend, github: FakeGitHub, tmp_path: Path) -> None:
    """The first publish to a repository without a commit makes the branch, without a parent."""
    repository = github.repository("ana/fresh", empty=True)
    backend = await opened(repo="fresh")
    await publish(backend, tmp_path, wheel())
    assert "index" in repository.branches()
    assert await listed(await opened("other", repo="fresh")) == [wheel()]


async def test_a_repository_that_is_not_there(opened: OpenBackend) -> None:
    """A mistyped repository is said to be one at the start."""
    with pytest.raises(StorageUnavailable, match="does not show the repository 'ana/packags'"):
        await opened(repo="packags")


async def test_a_branch_that_is_gone(opened: OpenBackend, repository: Repository, tmp_path: Path) -> None:
    """A removed branch does not empty the index: what was known is served, and the trouble told."""
    backend = await opened()
    await publish(backend, tmp_path, wheel())
    del repository.refs["refs/heads/index"]
    with pytest.raises(StorageUnavailable, match="is gone from GitHub"):
        await backend.sync()
    assert await listed(backend) == [wheel()]
    assert backend.peek(RECORD) is not None


@pytest.mark.parametrize("trouble", ["truncate_download", "corrupt_download", "expiring_url"])
async def test_troubled_downloads(opened: OpenBackend, github: FakeGitHub, tmp_path: Path, trouble: str) -> None:
    """A cut download is begun again, an expired address asked for again, wrong bytes are refused and not kept."""
    content = await publish(await opened(), tmp_path, wheel(), b"0123456789" * 100_000)
    cold = await opened("cold")
    setattr(github.switches, trouble, 1)
    if trouble == "corrupt_download":
        with pytest.raises(StorageError, match="other bytes"):
            await content_of(cold, wheel())
    assert await content_of(cold, wheel()) == content


async def test_an_app(opened: OpenBackend, github: FakeGitHub, repository: Repository, tmp_path: Path) -> None:
    """A server can work as a GitHub App that is installed on the repository."""
    app = github.app()
    assert app.private_key is not None
    number = github.install(app, "ana", repositories=("ana/packages",))
    secret = {"app_id": str(app.id), "installation_id": str(number), "private_key": app.private_key}
    backend = await opened(secret=secret)
    await publish(backend, tmp_path, wheel())
    asked = Asked(github)
    await publish(backend, tmp_path, wheel("2.0"))
    assert not [each for each in asked.requests if "access_tokens" in each]


async def test_two_starts_see_only_what_changed(opened: OpenBackend, github: FakeGitHub, tmp_path: Path) -> None:
    """Another server's publish is fetched by one look, one comparison and the changed records."""
    one, two = await opened("one"), await opened("two")
    await publish(one, tmp_path, wheel())
    await two.sync()
    await publish(one, tmp_path, wheel("2.0"))
    asked = Asked(github)
    await two.sync()
    assert len(asked) == 4, asked.requests
    assert not [each for each in asked.requests if "tarball" in each]
    assert await listed(two) == [wheel(), wheel("2.0")]
