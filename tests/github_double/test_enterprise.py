"""The double as GitHub Enterprise Server, and as a program of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx2
import pytest

from wheelyard.testing.fake_github import FakeGitHub


@pytest.fixture
def server() -> Iterator[FakeGitHub]:
    with FakeGitHub.serve(base="ghes") as served:
        yield served
    assert served.violations == []
    assert served.bad_requests == []


def test_an_enterprise_server_has_its_own_paths(server: FakeGitHub) -> None:
    """REST below `/api/v3`, GraphQL at `/api/graphql`, uploads below `/api/uploads`; no rate limits."""
    header = {"authorization": f"token {server.user('ana')}"}
    store = server.repository("ana/store")
    with httpx2.Client(base_url=server.api_url, headers=header) as client:
        assert server.api_url.endswith("/api/v3")
        answer = client.get("/repos/ana/store")
        assert answer.json()["url"] == f"{server.api_url}/repos/ana/store"
        assert "x-ratelimit-limit" not in answer.headers
        assert answer.headers["x-github-enterprise-version"].startswith("3.")
        graphql = client.post(server.graphql_url, json={"query": "{viewer{login}}"})
        assert graphql.json() == {"data": {"viewer": {"login": "ana"}}}
        release = client.post("/repos/ana/store/releases", json={"tag_name": "a-1"}).json()
        url = release["upload_url"].partition("{")[0]
        assert "/api/uploads/repos/ana/store/" in url
        kind = {"content-type": "application/octet-stream"}
        assert client.post(url, params={"name": "a.whl"}, content=b"x", headers=kind).status_code == 201
        assert client.get("/repos/ana/store/immutable-releases").status_code == 404
    assert [asset.name for _, asset in store.assets()] == ["a.whl"]
    assert httpx2.get(f"{server.api_url.removesuffix('/api/v3')}/user", headers=header).status_code == 404


def test_the_double_runs_as_a_program() -> None:
    """It says on one line where it answers and with which tokens, and ends when it is told to."""
    command = [sys.executable, "-m", "wheelyard.testing.fake_github", "--repository", "ana/store", "--reader", "ben"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ.copy()) as process:
        assert process.stdout is not None
        try:
            said = json.loads(process.stdout.readline())
            header = {"authorization": f"Bearer {said['tokens']['ben']}"}
            found = httpx2.get(f"{said['api_url']}/repos/ana/store", headers=header).json()
            assert (found["permissions"]["pull"], found["permissions"]["push"]) == (True, False)
            assert said["tokens"].keys() == {"ana", "ben"}
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
