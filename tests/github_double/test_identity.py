"""Who is asking, and what they may know and do: facts about GitHub's tokens that the double keeps to."""

from __future__ import annotations

import base64

import httpx2
import pytest

from github_double.conftest import Asker
from wheelyard.testing.fake_github import FakeGitHub, Repository
from wheelyard.testing.fake_github.model import Kind

REPOSITORY = "/repos/ana/store"


@pytest.mark.parametrize(
    ("login", "permissions"),
    [
        ("ana", {"admin": True, "maintain": True, "push": True, "triage": True, "pull": True}),
        ("cleo", {"admin": False, "maintain": False, "push": True, "triage": True, "pull": True}),
        ("ben", {"admin": False, "maintain": False, "push": False, "triage": False, "pull": True}),
    ],
)
def test_a_repository_tells_each_person_their_role(
    github: FakeGitHub, asks: Asker, store: Repository, login: str, permissions: dict[str, bool]
) -> None:
    """One call tells a caller's right, also to those who may only pull."""
    body = asks(github.token(login)).get(REPOSITORY).raise_for_status().json()
    assert body["permissions"] == permissions
    assert body["visibility"] == "private"


def test_a_private_repository_is_not_found_by_others(github: FakeGitHub, asks: Asker, store: Repository) -> None:
    """A private repository without right is 404, not 403, with and without a token."""
    for token in (github.user("mallory"), None):
        answer = asks(token).get(REPOSITORY)
        assert (answer.status_code, answer.json()["message"]) == (404, "Not Found")


def test_a_public_repository_is_read_by_anybody(github: FakeGitHub, asks: Asker) -> None:
    """Without a token there are no permissions in the answer, and sixty requests an hour."""
    github.repository("ana/open", private=False)
    answer = asks(None).get("/repos/ana/open")
    assert "permissions" not in answer.json()
    assert answer.headers["x-ratelimit-limit"] == "60"


@pytest.mark.parametrize("kind", ["installation", "actions"])
def test_tokens_without_a_person_are_told_no_push(
    github: FakeGitHub, asks: Asker, store: Repository, kind: Kind
) -> None:
    """GitHub answers `push: false` to an installation however wide the grant, which it may still use."""
    token = github.token(None, kind, permissions={"contents": "write"}, repositories=("ana/store",))
    client = asks(token)
    assert client.get(REPOSITORY).json()["permissions"]["push"] is False
    assert client.post(f"{REPOSITORY}/releases", json={"tag_name": "a-1"}).status_code == 201


@pytest.mark.parametrize("kind", ["installation", "actions"])
def test_tokens_without_a_person_are_no_user(github: FakeGitHub, asks: Asker, store: Repository, kind: Kind) -> None:
    """`GET /user` is refused to them."""
    token = github.token(None, kind, repositories=("ana/store",))
    answer = asks(token).get("/user")
    assert (answer.status_code, answer.json()["message"]) == (403, "Resource not accessible by integration")


def test_a_workflow_token_knows_only_its_own_repository(github: FakeGitHub, asks: Asker, store: Repository) -> None:
    """`GITHUB_TOKEN` can not read another repository's packages."""
    github.repository("ana/other")
    token = github.token(None, "actions", repositories=("ana/other",))
    assert asks(token).get(REPOSITORY).status_code == 404


def test_installation_tokens_are_long(github: FakeGitHub) -> None:
    """Nobody may count on forty letters, or on any set of them."""
    assert len(github.token(None, "installation")) > 255


def test_a_fine_grained_token_shows_the_role_of_its_owner_not_its_grant(
    github: FakeGitHub, asks: Asker, store: Repository
) -> None:
    """`permissions` says push, the write itself is refused."""
    client = asks(github.token("ana", "fine-grained", permissions={"contents": "read"}))
    assert client.get(REPOSITORY).json()["permissions"]["push"] is True
    answer = client.post(f"{REPOSITORY}/releases", json={"tag_name": "a-1"})
    assert (answer.status_code, answer.json()["message"]) == (403, "Resource not accessible by personal access token")
    assert answer.headers["x-accepted-github-permissions"] == "contents=write"


def test_a_fine_grained_token_without_contents_sees_the_repository_and_no_release(
    github: FakeGitHub, asks: Asker, store: Repository
) -> None:
    """That the repository answers does not prove that its contents may be read."""
    client = asks(github.token("ana", "fine-grained", permissions={}))
    assert client.get(REPOSITORY).status_code == 200
    assert client.get(f"{REPOSITORY}/releases", params={"per_page": "1"}).status_code == 403


def test_an_app_user_token_is_the_person_cut_down_to_the_app(
    github: FakeGitHub, asks: Asker, store: Repository
) -> None:
    """A reader does not write through an app that may, nor a writer through one that may not."""
    for login, contents in (("ben", "write"), ("cleo", "read")):
        client = asks(github.token(login, "app-user", permissions={"contents": contents}))
        assert client.get(f"{REPOSITORY}/releases").status_code == 200
        assert client.post(f"{REPOSITORY}/releases", json={"tag_name": "a-1"}).status_code == 403


def test_a_classic_token_says_its_scopes(github: FakeGitHub, asks: Asker, store: Repository) -> None:
    """`X-OAuth-Scopes` is on the answers; without `repo` private repositories are not found."""
    answer = asks(github.token("ana", scopes=("read:org", "gist"))).get("/user")
    assert answer.headers["x-oauth-scopes"] == "gist, read:org"
    assert asks(github.token("ana", scopes=("gist",))).get(REPOSITORY).status_code == 404


def test_a_reader_that_writes_is_told_not_found(github: FakeGitHub, asks: Asker, store: Repository) -> None:
    """GitHub hides even the refusal."""
    assert asks(github.token("ben")).post(f"{REPOSITORY}/releases", json={"tag_name": "a-1"}).status_code == 404


def test_the_collaborator_endpoint_needs_push(github: FakeGitHub, asks: Asker, store: Repository) -> None:
    """Readers can not ask for anybody's permission, writers can."""
    url = f"{REPOSITORY}/collaborators/ben/permission"
    refused = asks(github.token("ben")).get(url)
    assert refused.status_code == 403
    assert refused.json()["message"] == "Must have push access to view collaborator permission."
    told = asks(github.token("cleo")).get(url).json()
    assert (told["permission"], told["role_name"]) == ("read", "read")


@pytest.mark.parametrize("header", ["token ghp_wrong", "Bearer ghs_1_a.b.c", "Basic !", "Negotiate abc"])
def test_a_wrong_token_is_a_bad_credential(github: FakeGitHub, store: Repository, header: str) -> None:
    """401 in GitHub's words, for reading public things too."""
    answer = httpx2.get(f"{github.api_url}{REPOSITORY}", headers={"authorization": header})
    assert (answer.status_code, answer.json()["message"]) == (401, "Bad credentials")


def test_a_revoked_token_ends_at_once(github: FakeGitHub, asks: Asker, store: Repository) -> None:
    """The next request of a revoked token is refused."""
    token = github.token("ben")
    client = asks(token)
    assert client.get(REPOSITORY).status_code == 200
    github.revoke(token)
    assert client.get(REPOSITORY).status_code == 401


def test_a_token_may_come_as_the_password_of_any_user(github: FakeGitHub, store: Repository) -> None:
    """Basic authentication, as git and curl send it."""
    header = "Basic " + base64.b64encode(f"x-access-token:{github.token('ben')}".encode()).decode()
    assert httpx2.get(f"{github.api_url}{REPOSITORY}", headers={"authorization": header}).status_code == 200


def test_single_sign_on_is_asked_of_scoped_tokens(github: FakeGitHub, asks: Asker) -> None:
    """403 with a header that says where to sign on; a token that did is let through."""
    github.organization("acme", members={"ana": "admin"}, sso=True)
    github.repository("acme/store")
    answer = asks(github.token("ana")).get("/repos/acme/store")
    assert answer.status_code == 403
    assert answer.headers["x-github-sso"].startswith("required; url=https://github.com/orgs/acme/sso?")
    assert answer.json()["message"].startswith("Resource protected by organization SAML enforcement.")
    assert asks(github.token("ana", sso=True)).get("/repos/acme/store").status_code == 200


def test_lists_hold_what_the_caller_sees(github: FakeGitHub, asks: Asker, store: Repository) -> None:
    """Private repositories are in the lists of those with a role in them, and never in a person's public one."""
    github.repository("ana/open", private=False)
    for login, own in (("ana", ["store", "open"]), ("ben", ["store"]), ("mallory", [])):
        client = asks(github.user(login))
        assert [each["name"] for each in client.get("/user/repos").json()] == own
        assert [each["name"] for each in client.get("/users/ana/repos").json()] == ["open"]


def test_an_organisation_has_administrators_everywhere(github: FakeGitHub, asks: Asker) -> None:
    """Its admins administer every repository, its members none by that alone."""
    github.organization("acme", members={"ana": "admin", "ben": "member"})
    github.repository("acme/store")
    assert asks(github.token("ana")).get("/repos/acme/store").json()["permissions"]["admin"] is True
    assert asks(github.token("ben")).get("/repos/acme/store").status_code == 404
