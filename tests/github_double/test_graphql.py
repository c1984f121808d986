"""Facts about GraphQL: one mutation is the only true compare-and-swap over many files, and errors come with HTTP 200."""

from __future__ import annotations

import base64
import threading
from typing import Any

import httpx2
import pytest

from github_double.conftest import Asker
from wheelyard.testing.fake_github import FakeGitHub, Repository
from wheelyard.testing.fake_github.description import FOLDER, Description
from wheelyard.testing.fake_github.endpoints.graphql import schema

CREATE = "mutation($input: CreateCommitOnBranchInput!) { createCommitOnBranch(input: $input) { commit { oid } } }"


def _ask(client: httpx2.Client, query: str, **variables: object) -> dict[str, Any]:
    answer = client.post("/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def _commit(
    client: httpx2.Client, head: str, files: dict[str, bytes], *, branch: str = "main", deletions: tuple[str, ...] = ()
) -> dict[str, Any]:
    additions = [{"path": path, "contents": base64.b64encode(text).decode()} for path, text in files.items()]
    return _ask(
        client,
        CREATE,
        input={
            "branch": {"repositoryNameWithOwner": "ana/store", "branchName": branch},
            "expectedHeadOid": head,
            "message": {"headline": "publish", "body": "more"},
            "fileChanges": {"additions": additions, "deletions": [{"path": path} for path in deletions]},
        },
    )


def test_one_call_commits_many_files(ana: httpx2.Client, store: Repository) -> None:
    """Additions and removals, by the token's owner."""
    store.commit({"old": b"x"})
    body = _commit(ana, store.head(), {"a/b": b"1", "c": b"\0\xff"}, deletions=("old",))
    assert body["data"]["createCommitOnBranch"]["commit"]["oid"] == store.head()
    assert store.files() == {"README.md": b"# store\n", "a/b": b"1", "c": b"\0\xff"}
    made = store.git.commits[store.head()]
    assert (made.author.name, made.message) == ("ana", "publish\n\nmore")


def test_a_stale_head_is_an_error_with_http_200(ana: httpx2.Client, store: Repository) -> None:
    """`STALE_DATA`, and nothing is committed."""
    head = store.head()
    _commit(ana, head, {"a": b"1"})
    after = store.head()
    body = _commit(ana, head, {"b": b"1"})
    (error,) = body["errors"]
    assert body["data"] == {"createCommitOnBranch": None}
    assert error["type"] == "STALE_DATA"
    assert error["message"] == f'Expected branch to point to "{head}" but it did not.  Pull and try again.'
    assert store.head() == after


def test_a_switch_lets_somebody_be_quicker(github: FakeGitHub, ana: httpx2.Client, store: Repository) -> None:
    """Their commit really lands, so that reading again shows it."""
    github.switches.stale_data = 1
    head = store.head()
    assert _commit(ana, head, {"a": b"1"})["errors"][0]["type"] == "STALE_DATA"
    assert store.git.commits[store.head()].parents == (head,)
    assert "errors" not in _commit(ana, store.head(), {"a": b"1"})


def test_of_many_at_once_one_wins(github: FakeGitHub, asks: Asker, store: Repository) -> None:
    """The swap holds between threads."""
    clients = [asks(github.token("ana")) for _ in range(6)]
    head = store.head()
    outcomes: list[bool] = []
    threads = [
        threading.Thread(
            target=lambda c=client, n=number: outcomes.append("errors" in _commit(c, head, {f"{n}": b"x"}))
        )
        for number, client in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False, *([True] * 5)]


@pytest.mark.parametrize(
    ("login", "branch", "kind"),
    [("ben", "main", "FORBIDDEN"), ("mallory", "main", "NOT_FOUND"), ("ana", "no", "NOT_FOUND")],
)
def test_refusals_have_types(
    github: FakeGitHub, asks: Asker, store: Repository, login: str, branch: str, kind: str
) -> None:
    """Readers are forbidden, strangers find nothing, and commits make no branches."""
    body = _commit(asks(github.user(login)), store.head(), {"a": b"1"}, branch=branch)
    assert body["errors"][0]["type"] == kind


def test_an_installation_without_the_grant_is_forbidden(github: FakeGitHub, asks: Asker, store: Repository) -> None:
    """In the words of REST."""
    token = github.token(None, "installation", permissions={"contents": "read"}, repositories=("ana/store",))
    error = _commit(asks(token), store.head(), {"a": b"1"})["errors"][0]
    assert (error["type"], error["message"]) == ("FORBIDDEN", "Resource not accessible by integration")


def test_nobody_is_let_in(asks: Asker, store: Repository) -> None:
    """GraphQL takes no request without a token."""
    assert asks(None).post("/graphql", json={"query": "{viewer{login}}"}).status_code == 401


def test_what_is_not_in_the_schema_is_refused(ana: httpx2.Client) -> None:
    """Requests are parsed and checked for real: a release asset has no digest here."""
    query = '{repository(owner:"ana",name:"store"){releases(first:1){nodes{releaseAssets(first:1){nodes{digest}}}}}}'
    body = _ask(ana, query)
    assert "digest" in body["errors"][0]["message"]
    assert "data" not in body
    assert "Syntax Error" in _ask(ana, "{viewer{")["errors"][0]["message"]


def test_requests_have_a_size(github: FakeGitHub, ana: httpx2.Client) -> None:
    """Forty megabytes, which others have measured."""
    assert github.switches.graphql_bytes == 40_000_000
    github.switches.graphql_bytes = 100
    assert ana.post("/graphql", json={"query": "#" * 100}).status_code == 502


def test_files_and_folders_are_read_in_one_query(ana: httpx2.Client, store: Repository) -> None:
    """By expression, as `rev-parse` takes it; texts whole, bytes not at all."""
    store.commit({"p/six/index.json": b'{"a": 1}', "p/bin": b"\0"}, branch="index")
    body = _ask(
        ana,
        """{ repository(owner: "ana", name: "store") {
            viewerPermission isPrivate
            ref(qualifiedName: "refs/heads/index") { target { oid } }
            none: ref(qualifiedName: "none") { name }
            a: object(expression: "index:p/six/index.json") { ... on Blob { text oid byteSize isTruncated } }
            b: object(expression: "index:p/bin") { ... on Blob { text isBinary } }
            c: object(expression: "index:p") { ... on Tree { entries { name path type object { __typename oid } } } }
            d: object(expression: "index:none") { oid }
        } rateLimit { remaining } viewer { login } }""",
    )
    found = body["data"]["repository"]
    assert (found["viewerPermission"], found["isPrivate"], found["none"], found["d"]) == ("ADMIN", True, None, None)
    assert found["ref"]["target"]["oid"] == store.head("index")
    assert (found["a"]["text"], found["a"]["byteSize"], found["a"]["isTruncated"]) == ('{"a": 1}', 8, False)
    assert found["b"] == {"text": None, "isBinary": True}
    assert [(each["name"], each["path"], each["type"]) for each in found["c"]["entries"]] == [
        ("bin", "p/bin", "blob"),
        ("six", "p/six", "tree"),
    ]
    assert body["data"]["viewer"]["login"] == "ana"


def test_a_private_repository_is_not_resolved_for_others(github: FakeGitHub, asks: Asker, store: Repository) -> None:
    """`NOT_FOUND`, with HTTP 200."""
    body = _ask(asks(github.user("mallory")), '{repository(owner:"ana",name:"store"){id}}')
    assert body["errors"][0]["type"] == "NOT_FOUND"
    assert body["errors"][0]["message"] == "Could not resolve to a Repository with the name 'ana/store'."


def test_references_move_together_or_not_at_all(ana: httpx2.Client, store: Repository) -> None:
    """`updateRefs` swaps several references by what each was before."""
    old, new = store.head(), store.commit({"a": b"1"})
    store.refs |= {"refs/heads/main": old, "refs/tags/t": old}
    node = _ask(ana, '{repository(owner:"ana",name:"store"){id}}')["data"]["repository"]["id"]
    query = "mutation($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }"
    right = {"name": "refs/heads/main", "beforeOid": old, "afterOid": new}
    wrong = {"name": "refs/tags/t", "beforeOid": new, "afterOid": new}
    body = _ask(ana, query, input={"repositoryId": node, "refUpdates": [right, wrong]})
    assert body["errors"][0]["type"] == "STALE_DATA"
    assert store.head() == old
    body = _ask(ana, query, input={"repositoryId": node, "refUpdates": [right, {**wrong, "beforeOid": old}]})
    assert "errors" not in body
    assert (store.head(), store.refs["refs/tags/t"]) == (new, new)


def test_releases_come_in_pages(ana: httpx2.Client) -> None:
    """By cursor, and only when a size is asked for."""
    for number in range(3):
        ana.post("/repos/ana/store/releases", json={"tag_name": f"a-{number}"})
    query = """query($after: String) { repository(owner: "ana", name: "store") {
        releases(first: 2, after: $after) { totalCount nodes { tagName databaseId } pageInfo { hasNextPage endCursor } } } }"""
    first = _ask(ana, query, after=None)["data"]["repository"]["releases"]
    second = _ask(ana, query, after=first["pageInfo"]["endCursor"])["data"]["repository"]["releases"]
    assert [each["tagName"] for each in (*first["nodes"], *second["nodes"])] == ["a-2", "a-1", "a-0"]
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)
    unbounded = _ask(ana, '{repository(owner:"ana",name:"store"){releases{totalCount}}}')
    assert unbounded["errors"][0]["type"] == "MISSING_PAGINATION_BOUNDARIES"


def test_every_line_of_our_schema_is_githubs(github_description: Description) -> None:
    """Each type, field, argument and value of the double's schema is in the published one, with the same type."""
    from graphql import build_schema  # noqa: PLC0415  only the double needs it

    published = build_schema((FOLDER / "schema.graphql").read_text("utf-8"), assume_valid=True)
    wrong = []
    for name, ours in schema().type_map.items():
        theirs = published.type_map.get(name)
        if type(theirs) is not type(ours):
            wrong.append(name)
            continue
        for field, mine in getattr(ours, "fields", getattr(ours, "values", {})).items():
            other = getattr(theirs, "fields", getattr(theirs, "values", {})).get(field)
            if other is None or str(getattr(mine, "type", "")) != str(getattr(other, "type", "")):
                wrong.append(f"{name}.{field}")
                continue
            arguments = getattr(other, "args", {})
            wrong += [
                f"{name}.{field}({each})"
                for each, argument in getattr(mine, "args", {}).items()
                if each not in arguments or str(argument.type) != str(arguments[each].type)
            ]
    assert wrong == []
