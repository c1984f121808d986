"""Facts about GitHub's limits, and how it tells them."""

from __future__ import annotations

import time

import httpx2
import pytest

from github_double.conftest import Asker
from wheelyard.testing.fake_github import FakeGitHub, Repository

REPOSITORY = "/repos/ana/store"


def test_every_answer_tells_what_is_left(ana: httpx2.Client) -> None:
    """Also those that refuse; GraphQL counts apart."""
    first = ana.get(REPOSITORY).headers
    assert (first["x-ratelimit-limit"], first["x-ratelimit-resource"]) == ("5000", "core")
    second = ana.get("/repos/ana/none").headers
    assert int(second["x-ratelimit-remaining"]) == int(first["x-ratelimit-remaining"]) - 1
    graph = ana.post("/graphql", json={"query": "{viewer{login}}"}).headers
    assert (graph["x-ratelimit-resource"], graph["x-ratelimit-used"]) == ("graphql", "1")


def test_a_person_has_one_limit_for_all_tokens(github: FakeGitHub, asks: Asker, ana: httpx2.Client) -> None:
    """More tokens are not more requests."""
    ana.get(REPOSITORY)
    other = asks(github.token("ana", "fine-grained"))
    assert other.get(REPOSITORY).headers["x-ratelimit-used"] == "2"


def test_a_workflow_has_a_thousand(github: FakeGitHub, asks: Asker, store: Repository) -> None:
    """An hour, for each repository."""
    token = github.token(None, "actions", repositories=("ana/store",))
    assert asks(token).get(REPOSITORY).headers["x-ratelimit-limit"] == "1000"


def test_304_is_free_with_a_token_only(github: FakeGitHub, asks: Asker, ana: httpx2.Client) -> None:
    """Without one it counts like any other."""
    github.repository("ana/open", private=False)
    for client, counted in ((ana, 0), (asks(None), 1)):
        first = client.get("/repos/ana/open").headers
        again = client.get("/repos/ana/open", headers={"if-none-match": first["etag"]})
        used = int(again.headers["x-ratelimit-used"]) - int(first["x-ratelimit-used"])
        assert (again.status_code, used) == (304, counted)


def test_the_hour_ends(github: FakeGitHub, ana: httpx2.Client) -> None:
    """When the requests are used up all are refused until the time the headers tell."""
    github.limits.usual = 2
    statuses = [ana.get(REPOSITORY).status_code for _ in range(3)]
    refused = ana.get(REPOSITORY)
    assert (statuses, refused.headers["x-ratelimit-remaining"]) == ([200, 200, 403], "0")
    assert refused.json()["message"].startswith("API rate limit exceeded for user ID")
    reset = int(refused.headers["x-ratelimit-reset"])
    github.clock = lambda: reset + 1.0
    assert ana.get(REPOSITORY).status_code == 200


def test_a_switch_uses_them_up(github: FakeGitHub, ana: httpx2.Client) -> None:
    """Once, with the end the test wants."""
    end = int(time.time()) + 2
    github.switches.primary_limit(end)
    refused = ana.get(REPOSITORY)
    assert (refused.status_code, refused.headers["x-ratelimit-remaining"]) == (403, "0")
    assert refused.headers["x-ratelimit-reset"] == str(end)
    assert ana.get(REPOSITORY).status_code == 200


@pytest.mark.parametrize("status", [403, 429])
def test_the_secondary_limit_has_its_own_words(github: FakeGitHub, ana: httpx2.Client, status: int) -> None:
    """`retry-after`, while the hour's requests are far from used up."""
    github.switches.secondary_limit(retry_after=7, times=2, status=status)
    for _ in range(2):
        refused = ana.get(REPOSITORY)
        assert (refused.status_code, refused.headers["retry-after"]) == (status, "7")
        assert refused.json()["message"].startswith("You have exceeded a secondary rate limit.")
        assert int(refused.headers["x-ratelimit-remaining"]) > 0
    assert ana.get(REPOSITORY).status_code == 200


def test_the_secondary_limit_may_leave_clients_to_guess(github: FakeGitHub, ana: httpx2.Client) -> None:
    """Without `retry-after` a minute and more is to be waited."""
    github.switches.secondary_limit(retry_after=None)
    assert "retry-after" not in ana.get(REPOSITORY).headers
