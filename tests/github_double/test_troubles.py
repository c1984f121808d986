"""The troubles a test can order: each does what its name says, for as long as it says."""

from __future__ import annotations

import httpx2
import pytest

from wheelyard.testing.fake_github import FakeGitHub, Repository

RELEASES = "/repos/ana/store/releases"


def test_an_answer_is_lost_after_the_deed(github: FakeGitHub, ana: httpx2.Client, store: Repository) -> None:
    """The release is made, its maker hears nothing."""
    github.switches.drop_answer_after_commit = 1
    with pytest.raises(httpx2.RemoteProtocolError):
        ana.post(RELEASES, json={"tag_name": "a-1"})
    assert [release.tag for release in store.published()] == ["a-1"]
    assert ana.post(RELEASES, json={"tag_name": "a-2"}).status_code == 201


def test_an_answer_is_lost_for_one_kind_of_request(github: FakeGitHub, ana: httpx2.Client) -> None:
    """Reads and other paths are spared."""
    github.switches.drop_answer_after_commit = 1
    github.switches.drop_answer_path = "/graphql"
    assert ana.post(RELEASES, json={"tag_name": "a-1"}).status_code == 201
    with pytest.raises(httpx2.RemoteProtocolError):
        ana.post("/graphql", json={"query": "{viewer{login}}"})


def test_everything_is_down(github: FakeGitHub, ana: httpx2.Client) -> None:
    """503 from every host, or no answer at all, until it is taken back."""
    github.switches.down = "503"
    for url in (github.api_url, github.uploads_url, github.assets_url):
        assert httpx2.get(url).status_code == 503
    github.switches.down = "cut"
    with pytest.raises(httpx2.RemoteProtocolError):
        ana.get(RELEASES)
    github.switches.down = None
    assert ana.get(RELEASES).status_code == 200


def test_nobody_listens(github: FakeGitHub, ana: httpx2.Client) -> None:
    """Connections are refused; afterwards all is on the same ports as before."""
    url = github.api_url
    with github.unreachable(), pytest.raises(httpx2.ConnectError):
        ana.get(RELEASES)
    assert github.api_url == url
    assert ana.get(RELEASES).status_code == 200


def test_an_error_of_ones_own(github: FakeGitHub, ana: httpx2.Client, store: Repository) -> None:
    """For some requests; nothing is done."""
    github.switches.fail(500, times=2, method="POST", path="/releases")
    statuses = [ana.post(RELEASES, json={"tag_name": "a-1"}).status_code for _ in range(3)]
    assert statuses == [500, 500, 201]
    assert len(store.releases) == 1


def test_single_sign_on_may_be_switched_on(github: FakeGitHub, ana: httpx2.Client) -> None:
    """For everything that organisations own."""
    github.organization("acme", members={"ana": "admin"})
    github.repository("acme/store")
    assert ana.get("/repos/acme/store").status_code == 200
    github.switches.sso_required = True
    assert ana.get("/repos/acme/store").status_code == 403
    assert ana.get("/repos/ana/store").status_code == 200


def test_requests_are_counted(github: FakeGitHub, ana: httpx2.Client) -> None:
    """With host, path and status, so that tests can say how many a deed may take."""
    github.calls.clear()
    ana.get(RELEASES)
    ana.post(RELEASES, json={"tag_name": "a-1"})
    assert github.calls == [("GET", "api", RELEASES, 200), ("POST", "api", RELEASES, 201)]
