"""Clients that take only what is old enough: they need the upload time of every file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from plugins.clients import GetClient
from plugins.live import LiveServer
from plugins.projects import Project

Publish = Callable[..., Project]
Name = Callable[[str], str]


def _day(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def fresh(publish: Publish, name: Name) -> Project:
    """A project published a moment ago."""
    return publish(name("fresh"))


def test_uv_excludes_newer(shared_server: LiveServer, client: GetClient, tmp_path: Path, fresh: Project) -> None:
    """JSON-08: `uv --exclude-newer` leaves out what is younger and takes what is older."""
    uv = client("uv")
    (tmp_path / "in.txt").write_text(f"{fresh.name}\n")
    compile_ = ["pip", "compile", "--default-index", shared_server.read_url, "in.txt", "--exclude-newer"]
    uv(*compile_, _day(-1), cwd=tmp_path).check_refused(fresh.name, "no versions")
    outcome = uv(*compile_, _day(1), cwd=tmp_path).check_ok()
    assert f"{fresh.name}=={fresh.version}" in outcome.output


def test_pip_uploaded_prior_to(shared_server: LiveServer, client: GetClient, tmp_path: Path, fresh: Project) -> None:
    """JSON-08: `pip --uploaded-prior-to` leaves out what is younger and takes what is older."""
    pip = client("pip")
    download = ["download", "--no-deps", "--index-url", shared_server.read_url, fresh.name, "--uploaded-prior-to"]
    pip(*download, _day(-1), cwd=tmp_path).check_refused("No matching distribution found")
    pip(*download, _day(1), cwd=tmp_path).check_ok()
    wheel = next(path for path in fresh.files if path.suffix == ".whl")
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()
