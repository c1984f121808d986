"""Several indexes on one server keep to themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.sites import V1_JSON, Site, composed, index_settings
from wheelyard.testing.builders import SdistBuilder, WheelBuilder

pytestmark = pytest.mark.anyio

TEAM_READ = ("team", "team-read-secret")
TEAM_WRITE = ("team", "team-write-secret")


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Site]:
    """`main` with an sdist of `demo`, `team` with a wheel of `demo` and a project of its own."""
    async with composed(tmp_path, index_settings(), index_settings("team")) as site:
        await site.publish(SdistBuilder())
        await site.publish(WheelBuilder(), auth=TEAM_WRITE)
        await site.publish(WheelBuilder(name="only-team"), auth=TEAM_WRITE)
        yield site


async def names(site: Site, path: str, auth: tuple[str, str]) -> list[str]:
    answer = await site.get(path, auth=auth, accept=V1_JSON)
    assert answer.status_code == 200
    return [project["name"] for project in answer.json()["projects"]]


async def test_user_name_chooses(two: Site) -> None:
    """The user name says which index is meant, as in private-pypi."""
    assert await names(two, "/simple/", ("main", "read-secret")) == ["demo"]
    assert await names(two, "/simple/", TEAM_READ) == ["demo", "only-team"]
    assert set(await two.files("demo")) == {"demo-1.0.tar.gz"}
    assert set(await two.files("demo", auth=TEAM_READ)) == {"demo-1.0-py3-none-any.whl"}


async def test_token_chooses(two: Site) -> None:
    """A secret as a token finds the index it belongs to."""
    assert await names(two, "/simple/", ("__token__", "team-read-secret")) == ["demo", "only-team"]


@pytest.mark.parametrize("path", ["/team/simple/", "/TEAM/simple/", "/Team/simple/"])
async def test_path_chooses(two: Site, path: str) -> None:
    """The path says which index is meant, whatever its case."""
    assert await names(two, path, TEAM_READ) == ["demo", "only-team"]
    assert await names(two, path, ("__token__", "team-read-secret")) == ["demo", "only-team"]


@pytest.mark.parametrize("path", ["/team/simple/", "/team/simple/demo/", "/team/simple/only-team/", "/team/"])
async def test_other_secret(two: Site, path: str) -> None:
    """AU-04: the secret of one index opens no other, whatever user name it comes with."""
    for user in ("main", "team", "__token__", ""):
        for secret in ("read-secret", "write-secret", "admin-secret"):
            assert (await two.get(path, auth=(user, secret))).status_code == 401


async def test_path_and_user_disagree(two: Site) -> None:
    """A path and a user name that name different indexes are wrong credentials."""
    assert (await two.get("/main/simple/", auth=TEAM_READ)).status_code == 401


@pytest.mark.parametrize(
    "to", ["/legacy/", "/simple/", "/team/legacy/", "/team/simple/", "/team/legacy", "/TEAM/simple"]
)
async def test_upload(two: Site, to: str) -> None:
    """UP-05: each upload address of an index leads to it, and to no other."""
    path = WheelBuilder(name="new").build(two.folder)
    assert (await two.upload(path, to=to, auth=TEAM_WRITE)).status_code == 200
    assert set(await two.files("new", auth=TEAM_READ)) == {path.name}
    assert await two.files("new") == {}


async def test_upload_elsewhere(two: Site) -> None:
    """UP-07: an upload with the secret of another index is refused."""
    path = WheelBuilder(name="new").build(two.folder)
    assert (await two.upload(path, to="/main/legacy/", auth=TEAM_WRITE)).status_code == 401
    assert (await two.upload(path, to="/nowhere/legacy/", auth=TEAM_WRITE)).status_code in {401, 404, 405}
    assert await two.files("new") == {}


async def test_links_stay(two: Site) -> None:
    """URL-08: below a path that names the index, redirects and files stay there."""
    answer = await two.get("/team/simple/DEMO", auth=TEAM_READ)
    assert answer.headers["location"] == "demo/"
    files = (await two.get("/team/pypi/demo/json", auth=TEAM_READ)).json()["urls"]
    assert files[0]["url"].startswith("http://testserver/team/simple/demo/")
    page = (await two.browse("/team/", auth=TEAM_READ)).text
    assert 'href="/team/project/only-team/"' in page
    assert "http://testserver/team/simple/" in page


async def test_ready_answers_are_not_shared(two: Site) -> None:
    """What is kept ready for one index is never sent for another."""
    for _ in range(3):
        first = await two.get("/simple/demo/")
        second = await two.get("/simple/demo/", auth=TEAM_READ)
        assert "demo-1.0.tar.gz" in first.text
        assert "demo-1.0.tar.gz" not in second.text
        assert first.headers["etag"] != second.headers["etag"]


async def test_one_open(tmp_path: Path) -> None:
    """An index that everybody may read does not open its neighbour, nor is it guessed."""
    async with composed(tmp_path, index_settings(), index_settings("open", anonymous_read=True)) as site:
        assert (await site.get("/open/simple/", auth=None)).status_code == 200
        assert (await site.get("/main/simple/", auth=None)).status_code == 401
        assert (await site.get("/simple/", auth=None)).status_code == 401


async def test_project_named_as_index(two: Site) -> None:
    """A project may have the name of an index."""
    await two.publish(WheelBuilder(name="team"))
    assert set(await two.files("team")) == {"team-1.0-py3-none-any.whl"}


@pytest.mark.parametrize("path", ["/nope/simple/", "/nope/simple/demo/", "/nope/legacy/"])
async def test_mistyped_index(two: Site, path: str) -> None:
    """A mistyped index gets a stranger 401, never 404: pip would go on to the next index."""
    assert (await two.get(path, auth=None)).status_code == 401
    assert (await two.get(path, auth=("main", "wrong"))).status_code == 401
    assert (await two.get(path)).status_code == 404
