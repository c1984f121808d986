"""All repositories of an organisation, user, group or workspace, as the API of each host lists them."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from plugins.forge_lists import Forge
from plugins.git_repositories import GitHost, MakeRepo, Repo
from plugins.tag_world import World
from wheelyard.index.tags.sources import Credential, HostKind, Owner

pytestmark = pytest.mark.anyio

Entry = dict[str, object]
Describe = Callable[[str, str], Entry]


def _github(name: str, url: str) -> Entry:
    return {
        "name": name,
        "full_name": f"acme/{name}",
        "clone_url": url,
        "archived": False,
        "disabled": False,
        "topics": ["python"],
    }


def _gitlab(name: str, url: str) -> Entry:
    return {
        "path": name,
        "path_with_namespace": f"acme/{name}",
        "http_url_to_repo": url,
        "archived": False,
        "topics": ["python"],
    }


def _gitea(name: str, url: str) -> Entry:
    return {
        "name": name,
        "full_name": f"acme/{name}",
        "clone_url": url,
        "archived": False,
        "empty": False,
        "topics": ["python"],
    }


def _bitbucket(name: str, url: str) -> Entry:
    https = url.replace("://", "://somebody@")
    return {
        "slug": name,
        "links": {"clone": [{"name": "https", "href": https}, {"name": "ssh", "href": "git@host:a/b.git"}]},
    }


HOSTS = [
    pytest.param(HostKind.GITHUB, "/orgs/acme/repos", _github, "Bearer t0ken", id="github"),
    pytest.param(HostKind.GITLAB, "/groups/acme/projects", _gitlab, "Bearer t0ken", id="gitlab"),
    pytest.param(HostKind.GITEA, "/orgs/acme/repos", _gitea, "token t0ken", id="gitea"),
    pytest.param(HostKind.BITBUCKET, "/repositories/acme", _bitbucket, "Bearer t0ken", id="bitbucket"),
]


@pytest.fixture
def repos(make_repo: MakeRepo) -> list[Repo]:
    """Five repositories with one release each: more than fit on a page."""
    made = [make_repo(f"lib-{letter}") for letter in "abcde"]
    for repo in made:
        repo.release(repo.folder.name, "1.0")
    return made


@pytest.mark.parametrize(("kind", "path", "describe", "authorization"), HOSTS)
async def test_every_page_is_read(
    world: World,
    repos: list[Repo],
    git_host: GitHost,
    forge: Forge,
    kind: HostKind,
    path: str,
    describe: Describe,
    authorization: str,
) -> None:
    """Every repository of an owner becomes a source, over all pages; the token goes along as the host takes it."""
    forge.lists[path] = [describe(repo.folder.name, git_host.url_of(repo)) for repo in repos]
    forge.authorization = authorization
    secret = Credential(host=forge.url.removeprefix("http://"), username="u", secret="t0ken")
    report = await world.look(Owner(kind=kind, name="acme", api_url=forge.url, wheels=False), credentials=(secret,))
    assert report.troubles == []
    assert sorted(report.added) == [f"lib_{letter}-1.0.tar.gz" for letter in "abcde"]
    assert forge.paths() == [path] * 3
    assert set(git_host.authorizations) == {None}  # the API's host is not git's


@pytest.mark.parametrize(("kind", "path", "describe", "authorization"), HOSTS)
async def test_what_is_chosen(
    world: World,
    repos: list[Repo],
    git_host: GitHost,
    forge: Forge,
    kind: HostKind,
    path: str,
    describe: Describe,
    authorization: str,
) -> None:
    """Names choose among the repositories, archived ones are left out, and topics choose where the host has them."""
    entries = [describe(repo.folder.name, git_host.url_of(repo)) for repo in repos]
    entries[1]["archived"] = True
    if kind is not HostKind.BITBUCKET:
        entries[2]["topics"] = ["else"]
    forge.lists[path] = entries
    topic = None if kind is HostKind.BITBUCKET else "python"
    owner = Owner(
        kind=kind, name="acme", api_url=forge.url, include=("lib-*",), exclude=("*-e",), topic=topic, wheels=False
    )
    report = await world.look(owner)
    letters = "acd" if kind is HostKind.BITBUCKET else "ad"
    assert report.added == [f"lib_{letter}-1.0.tar.gz" for letter in letters]


@pytest.mark.parametrize("kind", [HostKind.GITHUB, HostKind.GITLAB, HostKind.GITEA])
async def test_a_user_is_an_owner_too(
    world: World, repos: list[Repo], git_host: GitHost, forge: Forge, kind: HostKind
) -> None:
    """A name that is no organisation's is looked up as a user's."""
    path, describe = {
        HostKind.GITHUB: ("/users/acme/repos", _github),
        HostKind.GITLAB: ("/users/acme/projects", _gitlab),
        HostKind.GITEA: ("/users/acme/repos", _gitea),
    }[kind]
    forge.lists[path] = [describe("lib-a", git_host.url_of(repos[0]))]
    report = await world.look(Owner(kind=kind, name="acme", api_url=forge.url, wheels=False))
    assert (report.added, report.troubles) == (["lib_a-1.0.tar.gz"], [])


async def test_a_subgroup_is_one_segment(world: World, forge: Forge) -> None:
    """The path of a GitLab subgroup is quoted whole, and its own subgroups are included."""
    await world.look(Owner(kind=HostKind.GITLAB, name="acme/libs", api_url=forge.url))
    assert forge.requests[0][0].startswith("/groups/acme%2Flibs/projects?include_subgroups=true")


async def test_an_address_for_the_api(world: World, forge: Forge) -> None:
    """Bitbucket's API tokens are sent as Basic with the address of their owner."""
    secret = Credential(host=forge.url.removeprefix("http://"), username="x", secret="t0ken", email="a@example.org")
    forge.lists["/repositories/acme"] = []
    await world.look(Owner(kind=HostKind.BITBUCKET, name="acme", api_url=forge.url), credentials=(secret,))
    assert forge.requests[0][1] == "Basic " + base64.b64encode(b"a@example.org:t0ken").decode()


async def test_a_list_that_cannot_be_had(world: World, repos: list[Repo], git_host: GitHost, forge: Forge) -> None:
    """An owner whose list fails is told by its name; what was published of it stays, and other sources are looked at."""
    owner = Owner(kind=HostKind.GITHUB, name="acme", api_url=forge.url, wheels=False)
    forge.lists["/orgs/acme/repos"] = [_github("lib-a", git_host.url_of(repos[0]))]
    await world.look(owner)
    forge.authorization = "Bearer other"
    report = await world.look(owner, repos[1])
    (trouble,) = report.troubles
    assert trouble.line == "github:acme: there is nothing of that name, or the credential may not see it (404)"
    assert report.added == ["lib_b-1.0.tar.gz"]
    assert list(await world.files("lib-a")) == ["lib_a-1.0.tar.gz"]


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "x"},
        {"name": "x", "clone_url": 5},
        {"name": "x", "clone_url": "ext::sh -c x"},
        {"name": "x", "clone_url": "--upload-pack=x"},
    ],
)
async def test_an_answer_that_is_none(world: World, forge: Forge, entry: Entry) -> None:
    """An entry that no host would send is refused before git sees any of it."""
    forge.lists["/orgs/acme/repos"] = [entry]
    (trouble,) = (await world.look(Owner(kind=HostKind.GITHUB, name="acme", api_url=forge.url))).troubles
    assert trouble.source == "github:acme"


async def test_the_next_page_of_another_host(world: World, repos: list[Repo], git_host: GitHost, forge: Forge) -> None:
    """A list is followed on its own host only, since the token goes along."""
    forge.lists["/orgs/acme/repos"] = [_github(repo.folder.name, git_host.url_of(repo)) for repo in repos]
    forge.elsewhere = "http://127.0.0.1:9"
    (trouble,) = (await world.look(Owner(kind=HostKind.GITHUB, name="acme", api_url=forge.url))).troubles
    assert "on another host" in trouble.line
