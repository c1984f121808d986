"""What the tests with real clients share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.clients import Client, GetClient
from plugins.live import LiveServer
from plugins.projects import Project, built_project
from plugins.publishers import twine


@pytest.fixture
def name(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Make a project name that no other test on the shared server uses."""
    mark = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:8]
    return lambda base: f"{base}-{mark}"


@pytest.fixture
def twine_client(client: GetClient) -> Client:
    return client("twine")


@pytest.fixture
def publish(shared_server: LiveServer, twine_client: Client, tmp_path: Path) -> Callable[..., Project]:
    """Build a project and publish it to the shared server with twine."""

    def make(name: str, version: str = "1.0", *, requires: tuple[str, ...] = ()) -> Project:
        project = built_project(tmp_path / "projects" / f"{name}-{version}", name, version, requires=requires)
        server = shared_server
        twine(twine_client, project, server.upload_url, server.index, server.write_secret).check_ok()
        return project

    return make
