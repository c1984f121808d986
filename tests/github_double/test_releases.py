"""Facts about releases that shape a store of packages."""

from __future__ import annotations

import httpx2
import pytest

from github_double.conftest import Asker
from wheelyard.testing.fake_github import FakeGitHub, Repository

RELEASES = "/repos/ana/store/releases"


def test_a_release_makes_its_tag(ana: httpx2.Client, store: Repository) -> None:
    """Publishing tags the target; a draft does not."""
    ana.post(RELEASES, json={"tag_name": "a-1", "draft": True})
    assert "refs/tags/a-1" not in store.refs
    ana.post(RELEASES, json={"tag_name": "a-2", "make_latest": "false"})
    assert store.refs["refs/tags/a-2"] == store.head()


def test_a_tag_has_one_release(ana: httpx2.Client, release: dict[str, str]) -> None:
    """A second one is refused with `already_exists`."""
    answer = ana.post(RELEASES, json={"tag_name": "six-1.0"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"resource": "Release", "code": "already_exists", "field": "tag_name"}]


def test_drafts_of_one_tag_may_be_many(github: FakeGitHub, asks: Asker, ana: httpx2.Client) -> None:
    """A draft is not found by its tag, so a careless retry makes a second one; readers see neither."""
    for _ in range(2):
        assert ana.post(RELEASES, json={"tag_name": "a-1", "draft": True}).status_code == 201
    assert ana.get(f"{RELEASES}/tags/a-1").status_code == 404
    assert len(ana.get(RELEASES).json()) == 2
    assert asks(github.token("ben")).get(RELEASES).json() == []


def test_a_tag_may_hold_slashes(ana: httpx2.Client) -> None:
    """Plain and percent-encoded slashes name the same release."""
    assert ana.post(RELEASES, json={"tag_name": "six/1.0+local"}).status_code == 201
    for tag in ("six/1.0+local", "six%2F1.0%2Blocal"):
        assert ana.get(f"{RELEASES}/tags/{tag}").json()["tag_name"] == "six/1.0+local"


def test_lists_come_in_pages_with_links(ana: httpx2.Client) -> None:
    """Thirty on a page unless told otherwise, a hundred at most, newest first."""
    for number in range(35):
        ana.post(RELEASES, json={"tag_name": f"a-{number}"})
    first = ana.get(RELEASES)
    assert [len(first.json()), first.json()[0]["tag_name"]] == [30, "a-34"]
    second = ana.get(first.links["next"]["url"])
    assert len(second.json()) == 5
    assert "next" not in second.links
    assert len(ana.get(RELEASES, params={"per_page": "500"}).json()) == 35


def test_only_the_first_thousand_are_listed(github: FakeGitHub, ana: httpx2.Client) -> None:
    """What lies behind can not be enumerated; at other times GitHub said ten thousand."""
    answer = ana.get(RELEASES, params={"per_page": "100", "page": "11"})
    assert (answer.status_code, answer.json()["message"]) == (422, "Only the first 1000 results are available.")
    assert ana.get(RELEASES, params={"per_page": "100", "page": "10"}).status_code == 200
    github.switches.release_list_cap = 10_000
    assert ana.get(RELEASES, params={"per_page": "100", "page": "11"}).json() == []


def test_a_target_with_other_workflows_takes_a_right(
    github: FakeGitHub, asks: Asker, ana: httpx2.Client, store: Repository
) -> None:
    """404 for classic tokens without `workflow`, 403 for a workflow's own, which can never have it."""
    store.commit({".github/workflows/a.yml": b"on: push\n"}, branch="other")
    wanted = {"tag_name": "a-1", "target_commitish": "other"}
    assert asks(github.token("ana", scopes=("repo",))).post(RELEASES, json=wanted).status_code == 404
    own = github.token(None, "actions", permissions={"contents": "write"}, repositories=("ana/store",))
    assert asks(own).post(RELEASES, json=wanted).status_code == 403
    assert ana.post(RELEASES, json=wanted).status_code == 201


def test_deleting_leaves_the_tag(ana: httpx2.Client, store: Repository, release: dict[str, str]) -> None:
    """A release goes with its assets, its tag stays."""
    assert ana.delete(release["url"]).status_code == 204
    assert store.releases == {}
    assert "refs/tags/six-1.0" in store.refs


@pytest.mark.parametrize("tag", ["", "a b", "a..b", "a~1", "end.lock"])
def test_tags_are_names_of_git(ana: httpx2.Client, tag: str) -> None:
    """What git refuses as a name is refused as a tag: a version with `~` is none."""
    assert ana.post(RELEASES, json={"tag_name": tag}).status_code == 422


def test_a_release_needs_a_tag(github: FakeGitHub, ana: httpx2.Client) -> None:
    """The one field that must be there."""
    answer = ana.post(RELEASES, json={"name": "no tag"})
    assert answer.status_code == 422
    assert "wasn't supplied" in answer.json()["message"]
    github.bad_requests.clear()  # meant


class TestImmutable:
    """Releases of a repository or owner that forbids changing what is published."""

    @pytest.fixture(params=["repository", "policy"])
    def immutable(self, request: pytest.FixtureRequest, github: FakeGitHub, ana: httpx2.Client) -> None:
        if request.param == "policy":
            github.switches.immutable_releases = True
        else:
            assert ana.put("/repos/ana/store/immutable-releases").status_code == 204
        assert ana.get("/repos/ana/store/immutable-releases").json()["enabled"] is True

    def test_draft_upload_publish_works(self, ana: httpx2.Client, immutable: None) -> None:
        """The answer to publishing says that it is immutable now; nothing of its assets changes from then on."""
        draft = ana.post(RELEASES, json={"tag_name": "a-1", "draft": True}).json()
        url, kind = draft["upload_url"].partition("{")[0], {"content-type": "application/octet-stream"}
        asset = ana.post(url, params={"name": "a.whl"}, content=b"x", headers=kind).json()
        published = ana.patch(draft["url"], json={"draft": False}).json()
        assert (published["immutable"], draft["immutable"]) == (True, False)
        late = ana.post(url, params={"name": "b.whl"}, content=b"x", headers=kind)
        assert (late.status_code, late.json()["message"]) == (422, "Cannot upload assets to an immutable release.")
        gone = ana.delete(asset["url"])
        assert (gone.status_code, gone.json()["message"]) == (422, "Cannot delete asset from an immutable release")
        assert ana.patch(draft["url"], json={"body": "notes may change"}).status_code == 200

    def test_its_tag_is_spent_for_ever(self, ana: httpx2.Client, immutable: None) -> None:
        """A tag of a deleted immutable release can not be used again."""
        made = ana.post(RELEASES, json={"tag_name": "a-1"}).json()
        assert ana.delete("/repos/ana/store/git/refs/tags/a-1").status_code == 422
        assert ana.delete(made["url"]).status_code == 204
        answer = ana.post(RELEASES, json={"tag_name": "a-1"})
        assert answer.json()["errors"][0]["message"] == "tag_name was used by an immutable release"
