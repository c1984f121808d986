"""The double against GitHub's own description and recorded answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from github_double.conftest import Asker
from wheelyard.testing.fake_github import FakeGitHub, Repository, shapes
from wheelyard.testing.fake_github.description import FOLDER, Description
from wheelyard.testing.fake_github.routing import find, operations

STORE = "/repos/ana/store"


def test_the_description_has_every_operation(github_description: Description) -> None:
    """What was cut is what the double answers: `make github-openapi` was run since a route was added."""
    assert set(operations()) == github_description.operations.keys()


def _everything(github: FakeGitHub, ana: httpx2.Client, asks: Asker, upload: Callable[..., httpx2.Response]) -> None:
    """Ask for each operation once so that it is done well."""
    store, head = github.repositories["ana/store"], github.repositories["ana/store"].head()
    github.organization("acme", members={"ana": "admin"})
    content = {"message": "m", "content": base64.b64encode(b"on: workflow_dispatch").decode()}
    workflow = f"{STORE}/contents/.github/workflows/a.yml"
    sha = ana.put(workflow, json=content).json()["content"]["sha"]
    asset = upload("a.whl").json()
    for path in (
        "",
        "/branches",
        "/branches/main",
        "/commits",
        "/commits/main",
        f"/compare/{head}...main",
        "/contents",
    ):
        assert ana.get(STORE + path).status_code == 200, path
    for path in ("/releases", "/releases/latest", "/releases/tags/six-1.0", "/collaborators/ben/permission"):
        assert ana.get(STORE + path).status_code == 200, path
    for path in ("/git/ref/heads/main", "/git/matching-refs/heads", f"/git/commits/{head}", f"/git/blobs/{sha}"):
        assert ana.get(STORE + path).status_code == 200, path
    for path in ("/git/trees/main", "/tags", "/actions/secrets/public-key", f"/releases/{next(iter(store.releases))}"):
        assert ana.get(STORE + path).status_code == 200, path
    for path in ("/user", "/users/ana", "/rate_limit", "/orgs/acme/memberships/ana", "/user/repos", "/users/ana/repos"):
        assert ana.get(path).status_code == 200, path
    assert ana.get(f"{asset['url'].rpartition('/assets')[0]}/{next(iter(store.releases))}/assets").status_code == 200
    assert asks(github.token("ana", scopes=("read:org",))).get("/user/memberships/orgs/acme").status_code == 200
    github.repository("acme/open", private=False)
    assert [each["name"] for each in ana.get("/orgs/acme/repos").json()] == ["open"]
    assert ana.get(f"{STORE}/tarball/main").status_code == 302
    assert ana.get(asset["url"], headers={"accept": "application/octet-stream"}).status_code == 302
    _writing(ana, sha, workflow, asset)


def _writing(ana: httpx2.Client, sha: str, workflow: str, asset: dict[str, Any]) -> None:
    posts: dict[str, Any] = {
        "/pages": {"build_type": "workflow"},
        "/dispatches": {"event_type": "e", "client_payload": {"a": 1}},
        "/actions/workflows/a.yml/dispatches": {"ref": "main", "return_run_details": True},
        "/git/blobs": {"content": "x"},
    }
    for path, body in posts.items():
        assert ana.post(STORE + path, json=body).is_success, path
    assert ana.get(f"{STORE}/pages").status_code == 200
    secret = {"encrypted_value": "eA==", "key_id": "1"}
    for status in (201, 204):
        assert ana.put(f"{STORE}/actions/secrets/NAME", json=secret).status_code == status
    tree = ana.post(f"{STORE}/git/trees", json={"tree": [{"path": "a", "mode": "100644", "content": "x"}]}).json()
    commit = ana.post(f"{STORE}/git/commits", json={"message": "m", "tree": tree["sha"]}).json()
    ref = {"ref": "refs/heads/index", "sha": commit["sha"]}
    assert ana.post(f"{STORE}/git/refs", json=ref).status_code == 201
    assert ana.patch(f"{STORE}/git/refs/heads/index", json={"sha": commit["sha"]}).status_code == 200
    assert ana.delete(f"{STORE}/git/refs/heads/index").status_code == 204
    assert ana.request("DELETE", workflow, json={"message": "m", "sha": sha}).status_code == 200
    assert ana.patch(asset["url"], json={"name": "b.whl", "label": "x"}).status_code == 200
    assert ana.delete(asset["url"]).status_code == 204
    release = ana.get(f"{STORE}/releases/latest").json()["url"]
    assert ana.patch(release, json={"name": "new"}).status_code == 200
    assert ana.delete(release).status_code == 204
    for method, status in (("PUT", 204), ("GET", 200), ("DELETE", 204)):
        assert ana.request(method, f"{STORE}/immutable-releases").status_code == status
    assert ana.patch(STORE, json={"description": "x", "private": True}).status_code == 200
    assert ana.post("/user/repos", json={"name": "new", "private": True, "auto_init": True}).status_code == 201
    assert ana.post("/orgs/acme/repos", json={"name": "new", "private": True}).status_code == 201


def test_every_operation_is_answered_as_described(
    github: FakeGitHub,
    ana: httpx2.Client,
    asks: Asker,
    upload: Callable[..., httpx2.Response],
    github_description: Description,
) -> None:
    """Each operation of the double is asked for and answered well once; the fixture finds whatever breaks the description."""
    _everything(github, ana, asks, upload)
    done = set()
    for call in github.calls:
        found = find(call.method, call.host, call.path)
        if found is not None and call.status < 400:
            done.add(found[0].operation)
    left = {name for name in operations() if not name.startswith("apps/")}  # asked for in test_apps, with signatures
    assert left - done == set()


def test_a_made_up_answer_is_caught(
    github: FakeGitHub,
    ana: httpx2.Client,
    monkeypatch: pytest.MonkeyPatch,
    github_description: Description,
) -> None:
    """A field left out, made up or of a wrong type makes an answer 500, and is told."""
    right = shapes.release
    changes: list[Callable[[dict[str, object]], object]] = [
        lambda body: body.pop("tag_name"),
        lambda body: body.update(sha256="x"),
        lambda body: body.update(draft="no"),
    ]
    ana.post(f"{STORE}/releases", json={"tag_name": "a-1"})
    for change in changes:

        def wrong(*arguments: Any, change: Callable[[dict[str, object]], object] = change) -> dict[str, object]:
            body = right(*arguments)
            change(body)
            return body

        monkeypatch.setattr(shapes, "release", wrong)
        assert ana.get(f"{STORE}/releases/latest").status_code == 500
    assert [violation.split(": ")[0] for violation in github.violations] == [f"GET {STORE}/releases/latest"] * 3
    github.violations.clear()


def test_a_wrong_request_is_told(github: FakeGitHub, ana: httpx2.Client, github_description: Description) -> None:
    """What no client of GitHub should send: a missing field, a parameter nobody knows."""
    ana.post(f"{STORE}/releases", json={"name": "x"})
    ana.get(f"{STORE}/releases", params={"limit": "5"})
    assert len(github.bad_requests) == 2
    assert "tag_name" in github.bad_requests[0]
    assert "`limit`" in github.bad_requests[1]
    github.bad_requests.clear()


def _recorded(name: str, method: str, status: int) -> dict[str, Any]:
    path = FOLDER / f"recorded-{name}.json"
    for each in json.loads(path.read_text("utf-8")):
        if (each["method"], each["status"]) == (method, status):
            body: dict[str, Any] = each["response"]
            return body
    raise AssertionError(f"{path} has no {method} {status}")


def _missing(recorded: Any, ours: Any, where: str = "") -> list[str]:
    """Fields that GitHub was recorded to send and the double does not."""
    if isinstance(recorded, list) and isinstance(ours, list):
        return _missing(recorded[0], ours[0], f"{where}[0]") if recorded and ours else []
    if not isinstance(recorded, dict) or not isinstance(ours, dict):
        return []
    lost = [f"{where}.{name}" for name in recorded.keys() - ours.keys()]
    return lost + [
        each
        for name in recorded.keys() & ours.keys()
        for each in _missing(recorded[name], ours[name], f"{where}.{name}")
    ]


def test_the_conflict_of_assets_is_as_recorded(
    upload: Callable[..., httpx2.Response], github_description: Description
) -> None:
    """The refusal of a name that is taken has the recorded message and errors."""
    recorded = _recorded("release-assets-conflict", "post", 422)
    upload("a.whl")
    ours = upload("a.whl").json()
    assert (ours["message"], ours["errors"]) == (recorded["message"], recorded["errors"])


def test_bodies_have_every_recorded_field(
    ana: httpx2.Client,
    store: Repository,
    upload: Callable[..., httpx2.Response],
    github_description: Description,
) -> None:
    """Releases, assets, references and written files lack nothing that GitHub was recorded to send."""
    asset = upload("a.whl").json()
    written = ana.put(f"{STORE}/contents/a.txt", json={"message": "m", "content": "eA=="}).json()
    made = ana.post(f"{STORE}/git/refs", json={"ref": "refs/heads/x", "sha": store.head()}).json()
    pairs = [
        (_recorded("release-assets", "get", 200), ana.get(f"{STORE}/releases/latest").json()),
        (_recorded("release-assets", "post", 201), asset),
        (_recorded("create-file", "put", 201), written),
        (_recorded("git-refs", "post", 201), made),
    ]
    assert [_missing(recorded, ours) for recorded, ours in pairs] == [[], [], [], []]
