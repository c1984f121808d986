"""Private repositories over smart HTTP: the credential reaches its host, and nobody else sees it."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from plugins.git_repositories import GitHost, MakeRepo, git
from plugins.tag_world import World
from wheelyard.index.tags.sources import Credential, Repository, TagSources

pytestmark = pytest.mark.anyio

SECRET = "s3cret-4711"


def _credential(host: GitHost, secret: str = SECRET) -> Credential:
    return Credential(host=host.url.removeprefix("http://"), username="reader", secret=secret)


async def test_a_private_repository(world: World, make_repo: MakeRepo, git_host: GitHost) -> None:
    """With its credential a private repository is read, and every request carries it as Basic."""
    repo = make_repo()
    repo.release("demo", "1.0")
    git_host.password = SECRET
    report = await world.look(Repository(url=git_host.url_of(repo)), credentials=(_credential(git_host),))
    assert (report.added, report.troubles) == (["demo-1.0.tar.gz"], [])
    wanted = "Basic " + base64.b64encode(f"reader:{SECRET}".encode()).decode()
    assert set(git_host.authorizations) == {wanted}
    kept = b"".join(path.read_bytes() for path in world.folder.rglob("*") if path.is_file())
    assert SECRET.encode() not in kept


@pytest.mark.parametrize("secret", [None, "wrong"])
async def test_without_the_right_credential(
    world: World, make_repo: MakeRepo, git_host: GitHost, secret: str | None
) -> None:
    """Without one, or with a wrong one, the repository is told as private, nobody is asked, and no secret is shown."""
    repo = make_repo()
    repo.release("demo", "1.0")
    git_host.password = SECRET
    credentials = () if secret is None else (_credential(git_host, secret),)
    (trouble,) = (await world.look(Repository(url=git_host.url_of(repo)), credentials=credentials)).troubles
    assert "it is private or not there, and no credential of its host opens it" in trouble.line
    assert secret is None or secret not in trouble.line


async def test_the_credential_of_one_host_stays_there(world: World, make_repo: MakeRepo, git_host: GitHost) -> None:
    """A repository on another host, or on another port of it, gets no credential."""
    repo = make_repo()
    repo.release("demo", "1.0")
    other = Credential(host="127.0.0.1:1", username="reader", secret=SECRET)
    assert (await world.look(Repository(url=git_host.url_of(repo)), credentials=(other,))).added == ["demo-1.0.tar.gz"]
    assert set(git_host.authorizations) == {None}


def test_no_credential_in_the_clear() -> None:
    """A credential is not sent over http, but to this machine itself."""
    sources = TagSources(sources=(), credentials=(Credential(host="git.example.org", username="u", secret=SECRET),))
    assert sources.credential("http://git.example.org/a/b") is None
    assert sources.credential("https://git.example.org/a/b") is not None
    assert SECRET not in repr(sources)


def test_the_api_of_a_public_host() -> None:
    """The credential of a public host is for its API on another host, too, and for no host that only looks like it."""
    sources = TagSources(sources=(), credentials=(Credential(host="github.com", username="u", secret=SECRET),))
    assert sources.credential("https://api.github.com/orgs/acme/repos") is not None
    for url in (
        "https://api.github.com.example.org/x",
        "https://github.com:8443/a/b",
        "https://example.org/github.com",
    ):
        assert sources.credential(url) is None


@pytest.mark.parametrize(("moment", "is_new"), [(("ls-refs", 2), True), (("fetch", 1), False)])
async def test_a_tag_that_moves_while_it_is_read(
    world: World,
    make_repo: MakeRepo,
    git_host: GitHost,
    moment: tuple[str, int],
    is_new: bool,  # noqa: FBT001  a parameter of the table
) -> None:
    """A tag that is pushed at any moment of a look gives the release of one commit, and the record names that one."""
    repo = make_repo()
    old = repo.release("demo", "1.0")
    source = Repository(url=git_host.url_of(repo))

    def race() -> None:
        repo.write({"late.py": "x = 1"}).commit("v1.0")
        repo.release("demo", "1.1")

    git_host.before = {moment: race}
    report = await world.look(source)
    assert (report.added, report.troubles) == (["demo-1.0.tar.gz"], [])
    new = git(repo.folder, "rev-parse", "v1.0^{commit}")
    (file,) = (await world.files("demo")).values()
    assert file.private["_source"]["commit"] == (new if is_new else old)  # type: ignore[index]
    assert ("demo-1.0/late.py" in await world.members("demo", "demo-1.0.tar.gz")) == is_new
    report = await world.look(source)
    assert report.added == ["demo-1.1.tar.gz"]
    assert len(report.troubles) == (0 if is_new else 1)  # one that moved after all is told


async def test_a_tag_that_goes_while_it_is_read(world: World, make_repo: MakeRepo, git_host: GitHost) -> None:
    """A tag that is deleted between listing and fetching does not keep the others out."""
    repo = make_repo()
    repo.release("demo", "1.0")
    repo.release("demo", "1.1")
    git_host.before = {("ls-refs", 2): lambda: git(repo.folder, "tag", "--delete", "v1.0")}
    report = await world.look(Repository(url=git_host.url_of(repo)))
    assert (report.added, report.troubles) == (["demo-1.1.tar.gz"], [])


async def test_a_redirect_is_not_followed(world: World, git_host: GitHost, make_repo: MakeRepo, tmp_path: Path) -> None:
    """A repository that moved to another address is told: its credential must not go along."""
    from http.server import BaseHTTPRequestHandler  # noqa: PLC0415

    from plugins.git_repositories import serving  # noqa: PLC0415

    repo = make_repo()
    repo.release("demo", "1.0")
    target = git_host.url_of(repo)

    class Moved(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(301)
            self.send_header("Location", target + self.path.removeprefix("/demo"))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    with serving(Moved) as url:
        (trouble,) = (await world.look(Repository(url=f"{url}/demo"))).troubles
    assert "it moved to another address" in trouble.line
    assert git_host.requests == []
