"""Every client that locks writes the published digests into its lock."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.clients import GetClient
from plugins.live import LiveServer
from plugins.projects import Project, write_app

Publish = Callable[..., Project]
Name = Callable[[str], str]


@pytest.fixture
def locked(publish: Publish, name: Name) -> Project:
    """A published project."""
    return publish(name("locked"), "3.2")


def _check_digests(server: LiveServer, project: Project, text: str) -> None:
    digests = server.listed(project.name)
    assert len(digests) == 2
    for digest in digests.values():
        assert digest in text


def test_uv_lock(shared_server: LiveServer, client: GetClient, tmp_path: Path, locked: Project) -> None:
    """URL-12, JSON-07, JSON-08: uv.lock holds URL, digest, size and upload time of both files, and no secret."""
    folder = write_app(tmp_path / "app", "uv", shared_server.simple_url, locked.name)
    secrets = {"UV_INDEX_OURS_USERNAME": shared_server.index, "UV_INDEX_OURS_PASSWORD": shared_server.read_secret}
    client("uv")("lock", cwd=folder, **secrets).check_ok()
    text = (folder / "uv.lock").read_text()
    _check_digests(shared_server, locked, text)
    assert shared_server.read_secret not in text
    package = next(package for package in tomllib.loads(text)["package"] if package["name"] == locked.name)
    entries = {entry["url"].rpartition("/")[2]: entry for entry in (package["sdist"], *package["wheels"])}
    for path in locked.files:
        entry = entries[path.name]
        assert entry["url"].startswith(f"{shared_server.url}/simple/{locked.name}/")
        assert entry["size"] == path.stat().st_size
        assert "upload-time" in entry


def test_poetry_lock(shared_server: LiveServer, client: GetClient, tmp_path: Path, locked: Project) -> None:
    """JSON-06: poetry.lock holds the sha256 digests of both files."""
    folder = write_app(tmp_path / "app", "poetry", shared_server.simple_url, locked.name)
    client("poetry")(
        "lock",
        "--no-interaction",
        cwd=folder,
        POETRY_HTTP_BASIC_OURS_USERNAME=shared_server.index,
        POETRY_HTTP_BASIC_OURS_PASSWORD=shared_server.read_secret,
    ).check_ok()
    _check_digests(shared_server, locked, (folder / "poetry.lock").read_text())


def test_pdm_lock(shared_server: LiveServer, client: GetClient, tmp_path: Path, locked: Project) -> None:
    """pdm.lock holds the digests of both files."""
    folder = write_app(tmp_path / "app", "pdm", shared_server.read_url, locked.name)
    client("pdm")("lock", cwd=folder).check_ok()
    _check_digests(shared_server, locked, (folder / "pdm.lock").read_text())


def test_pipenv_lock(shared_server: LiveServer, client: GetClient, tmp_path: Path, locked: Project) -> None:
    """URL-15: Pipfile.lock holds the digests of both files, found behind a double slash."""
    folder = write_app(tmp_path / "app", "pipenv", shared_server.read_url, locked.name)
    client("pipenv")("lock", cwd=folder).check_ok()
    text = (folder / "Pipfile.lock").read_text()
    _check_digests(shared_server, locked, text)
    assert locked.name in json.loads(text)["default"]


def test_pip_lock(shared_server: LiveServer, client: GetClient, tmp_path: Path, locked: Project) -> None:
    """`pip lock` writes a pylock.toml with URL and digest."""
    output = tmp_path / "pylock.toml"
    arguments = ["lock", "--index-url", shared_server.read_url, "--output", output, locked.name]
    client("pip")(*arguments, cwd=tmp_path).check_ok()
    package = next(p for p in tomllib.loads(output.read_text())["packages"] if p["name"] == locked.name)
    wheel = package["wheels"][0]
    assert wheel["hashes"]["sha256"] == shared_server.listed(locked.name)[wheel["name"]]


def test_uv_pip_compile(shared_server: LiveServer, client: GetClient, tmp_path: Path, locked: Project) -> None:
    """`uv pip compile --generate-hashes` writes the digests of both files."""
    (tmp_path / "requirements.in").write_text(f"{locked.name}\n")
    arguments = ["pip", "compile", "--generate-hashes", "--default-index", shared_server.read_url, "requirements.in"]
    outcome = client("uv")(*arguments, cwd=tmp_path).check_ok()
    _check_digests(shared_server, locked, outcome.output)
