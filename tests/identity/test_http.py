"""What callers with tokens of the host get over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from identity.hosts import Host, HostedOptions
from server.sites import Site, composed, index_settings
from wheelyard.settings import IndexSettings, Secret
from wheelyard.testing.builders import WheelBuilder

pytestmark = pytest.mark.anyio

V1_JSON = "application/vnd.pypi.simple.v1+json"


def hosted(name: str = "team", host: str = "here", **changes: object) -> IndexSettings:
    """Return an index whose host knows its users."""
    settings = IndexSettings(name=name, type="hosted", options=HostedOptions(host=host))
    return replace(settings, **changes)  # type: ignore[arg-type]


@pytest.fixture
async def site(tmp_path: Path, host: Host) -> AsyncIterator[Site]:
    """A server with the one index `team`, whose host is this test's."""
    del host
    async with composed(tmp_path, hosted()) as made:
        yield made


def token(name: str) -> tuple[str, str]:
    """Return credentials as clients send a token."""
    return ("__token__", name)


async def test_a_member_who_may_only_read_installs_and_does_not_publish(site: Site) -> None:
    """A read-only member gets pages and files; an upload is 403 and says who may only read."""
    path = await site.publish(WheelBuilder(name="six", version="1.0"), auth=token("write"))
    answer = await site.get(f"/simple/six/{path.name}", auth=token("read"))
    assert (answer.status_code, answer.content) == (200, path.read_bytes())
    refused = await site.upload(WheelBuilder(name="six", version="2.0").build(site.folder), auth=token("read"))
    assert refused.status_code == 403
    assert "may not publish to index 'team'" in refused.text
    assert "'rita' may only read the repository" in refused.text


async def test_the_record_says_who_published(site: Site) -> None:
    """The uploader of a file is the login that the host tells."""
    await site.publish(WheelBuilder(name="six", version="1.0"), auth=("team", "write"))
    answer = await site.get("/api/v1/indexes/team/projects/six", auth=token("read"))
    assert answer.status_code == 200, answer.text
    assert [file["uploader"] for file in answer.json()["files"]] == ["walt"]


@pytest.mark.parametrize(
    "path", ["/simple/", "/simple/six/", "/simple/six/six-1.0.whl", "/team/simple/", "/nothing/simple/"]
)
async def test_a_wrong_token_is_401_and_a_stranger_403(site: Site, path: str) -> None:
    """Never the host's own "not found": pip would go on to the next index."""
    unknown = await site.get(path, auth=token("nobody"))
    assert unknown.status_code == 401
    assert "gh auth token" in unknown.text
    assert unknown.headers["www-authenticate"].startswith("Basic")
    stranger = await site.get(path, auth=token("out"))
    assert stranger.status_code == 403
    assert "'stan' has no access" in stranger.text
    missing = await site.get(path, auth=None)
    assert missing.status_code == 401
    if path != "/nothing/simple/":
        assert "gh auth token" in missing.text


async def test_bearer_is_taken_too(site: Site) -> None:
    """A token may come as Bearer."""
    answer = await site.ask("GET", "/simple/", auth=None, headers={"authorization": "Bearer read"})
    assert answer.status_code == 200


async def test_a_host_that_is_down_is_503(site: Site, host: Host) -> None:
    """Who is not known yet hears that the host cannot be asked, never that their token is wrong; who is known reads on."""
    assert (await site.get("/simple/", auth=token("read"))).status_code == 200
    host.is_down = True
    assert (await site.get("/simple/", auth=token("read"))).status_code == 200
    answer = await site.get("/simple/", auth=token("write"))
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


async def test_reading_costs_one_question(site: Site, host: Host) -> None:
    """Pages and files, whatever the user name and the path: the host is asked once."""
    await site.publish(WheelBuilder(name="six", version="1.0"), auth=token("write"))
    host.asked.clear()
    for user in ("team", "__token__", "rita"):
        for path in ("/simple/", "/simple/six/", "/team/simple/six/"):
            assert (await site.get(path, auth=(user, "read"))).status_code == 200
    assert host.asked == ["read"]


async def test_a_secret_of_another_index_is_shown_to_no_host(tmp_path: Path, host: Host) -> None:
    """With a folder index beside it, that index's secrets are recognised here and not sent to the host."""
    async with composed(tmp_path, hosted(), index_settings("main")) as site:
        for secret in ("read-secret", "write-secret"):
            answer = await site.get("/simple/", auth=token(secret))
            assert answer.status_code == 200
        refused = await site.upload(WheelBuilder(name="six").build(site.folder), auth=token("read-secret"))
        assert refused.status_code == 403
    assert host.asked == []


async def test_no_other_index_answers_for_one_whose_host_is_down(tmp_path: Path, host: Host) -> None:
    """A token that several hosts may know is not taken to the next index when the first host cannot be asked."""
    async with composed(tmp_path, hosted(), hosted("other", "there")) as site:
        assert (await site.get("/simple/", auth=token("read"))).status_code == 200
        host.is_down = True
        upload = await site.upload(WheelBuilder(name="six").build(site.folder), auth=token("write"))
        assert upload.status_code == 503
        listed = await site.get("/other/simple/", auth=token("write"), accept=V1_JSON)
        assert (listed.status_code, listed.json()["projects"]) == (200, [])


async def test_the_index_where_a_token_has_access_is_found(tmp_path: Path, host: Host) -> None:
    """A stranger to the first index who is a member of the second one gets that."""
    async with composed(tmp_path, hosted(), hosted("other", "there")) as site:
        host.people.pop("read")
        path = await site.publish(WheelBuilder(name="six"), auth=token("write"), to="/other/legacy/")
        assert path.name in (await site.get("/simple/six/", auth=token("read"))).text
        both = await site.get("/simple/", auth=token("out"))
        assert both.status_code == 403
        assert "name the one you mean" in both.text


async def test_a_login_in_a_browser_lasts_as_long_as_the_hosts_word(site: Site, host: Host) -> None:
    """The login form takes a token; the session reads, even when its owner may write; a stranger gets the reason."""
    answer = await site.login(secret="write", index="team")
    assert answer.status_code == 303
    assert (await site.browse("/")).status_code == 200
    path = WheelBuilder(name="six").build(site.folder)
    assert (await site.upload(path, auth=None)).status_code == 403
    refused = await site.login(secret="out", index="team")
    assert refused.status_code == 403
    assert "has no access" in refused.text
    assert (await site.login(secret="nobody", index="team")).status_code == 403
    assert host.asked == ["write", "out", "nobody"]


async def test_only_the_servers_own_credential_configures_it(tmp_path: Path, host: Host) -> None:
    """An owner of the repository does not configure the server, and is not asked about; the admin secret does."""
    index = hosted(admin_secret=Secret("hosted", "boss"))
    async with composed(tmp_path, index) as site:
        body = {"config": '[team]\ntype = "hosted"\nhost = "here"\n', "admin_secret": ""}
        refused = await site.ask("POST", "/initialize/", auth=("team", "own"), data=body)
        assert refused.status_code == 401
        assert host.asked == []
        done = await site.ask("POST", "/initialize/", auth=("team", "boss"), data=body)
        assert (done.status_code, done.text) == (200, "Done")


async def test_an_answer_that_comes_after_initialize_is_not_remembered(site: Site, host: Host) -> None:
    """Whoever was asked about while the server was configured anew is asked about again."""
    host.hold()
    async with anyio.create_task_group() as group:

        async def ask() -> None:
            assert (await site.get("/simple/", auth=token("read"))).status_code == 200

        group.start_soon(ask)
        assert host.waiting is not None
        await host.waiting.wait()
        await site.server._initialize('[team]\ntype = "hosted"\nhost = "here"\n', "")
        host.release()
    host.people.pop("read")
    assert (await site.get("/simple/", auth=token("read"))).status_code == 401


async def test_readyz_tells_a_stores_trouble(site: Site, host: Host) -> None:
    """A store that serves from what it knows is ready, and says what keeps it from more."""
    host.trouble = "GitHub's rate limit is used up until 12:00:00 UTC"
    answer = await site.get("/readyz", auth=None)
    assert (answer.status_code, answer.text) == (200, f"ready\nteam: {host.trouble}\n")
    host.trouble = None
    assert (await site.get("/readyz", auth=None)).text == "ready\n"


async def test_read_secrets_work_while_the_host_is_down(tmp_path: Path, host: Host) -> None:
    """A read secret in the table lets machines read that nobody gave a token."""
    host.is_down = True
    async with composed(tmp_path, hosted(read_secret="robots")) as site:
        assert (await site.get("/simple/", auth=("team", "robots"))).status_code == 200
        refused = await site.upload(WheelBuilder(name="six").build(site.folder), auth=("team", "robots"))
        assert refused.status_code == 403
    assert host.asked == []
