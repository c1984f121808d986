"""A yanked release: who names it exactly still gets it, who gives a range does not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.clients import Client, GetClient, Outcome, hermetic, run
from plugins.live import LiveServer
from plugins.projects import Project, write_app

Publish = Callable[..., Project]
Name = Callable[[str], str]

REASON = 'breaks <"everything"> & more'


@pytest.fixture
def yanked(shared_server: LiveServer, publish: Publish, name: Name, tmp_path: Path) -> Project:
    """Two releases, of which the newer is yanked by the command line; the newer is returned."""
    publish(name("yanked"), "1.0")
    newer = publish(name("yanked"), "1.1")
    _wheelyard(shared_server, tmp_path, "yank", newer.name, newer.version, "--reason", REASON)
    return newer


def _wheelyard(server: LiveServer, folder: Path, *arguments: str) -> None:
    env = hermetic(folder / "home-wheelyard") | {"WRITE_SECRET": server.write_secret}
    target = ["--url", server.url, "--index", server.index, "--password-env", "WRITE_SECRET"]
    run([sys.executable, "-m", "wheelyard", *arguments, *target], env=env, cwd=folder).check_ok()


def _pip(client: Client, server: LiveServer, requirement: str, folder: Path) -> Outcome:
    return client("download", "--no-deps", "--index-url", server.read_url, requirement, cwd=folder)


@pytest.mark.parametrize("version", ["pip", "pip-old"])
def test_pip_takes_a_pin_only(
    shared_server: LiveServer, client: GetClient, tmp_path: Path, yanked: Project, version: str
) -> None:
    """YANK-01, HTML-08, JSON-12: pip avoids the yanked release in a range and takes it by its pin, with the reason."""
    pip = client(version)
    _pip(pip, shared_server, yanked.name, tmp_path).check_ok()
    assert [path.name.split("-")[1] for path in tmp_path.glob("*.whl")] == ["1.0"]
    outcome = _pip(pip, shared_server, f"{yanked.name}==1.1", tmp_path).check_ok()
    assert REASON in outcome.words
    assert len(list(tmp_path.glob("*-1.1-*.whl"))) == 1


def test_uv_takes_a_pin_only(shared_server: LiveServer, client: GetClient, tmp_path: Path, yanked: Project) -> None:
    """YANK-01: uv avoids the yanked release in a range and takes it by its pin."""
    uv = client("uv")
    for requirement, version in ((yanked.name, "1.0"), (f"{yanked.name}==1.1", "1.1")):
        (tmp_path / "in.txt").write_text(f"{requirement}\n")
        arguments = ["pip", "compile", "--default-index", shared_server.read_url, "in.txt"]
        assert f"{yanked.name}=={version}" in uv(*arguments, cwd=tmp_path).check_ok().output


def test_poetry_takes_a_pin_only(shared_server: LiveServer, client: GetClient, tmp_path: Path, yanked: Project) -> None:
    """YANK-01: poetry avoids the yanked release in a range and takes it by its pin."""
    poetry = client("poetry")
    for requirement, version in ((yanked.name, "1.0"), (f"{yanked.name}==1.1", "1.1")):
        app = write_app(tmp_path / f"app-{version}", "poetry", shared_server.read_url, requirement)
        poetry("lock", "--no-interaction", cwd=app).check_ok()
        assert f'version = "{version}"' in (app / "poetry.lock").read_text()


def test_pdm_takes_a_pin_only(shared_server: LiveServer, client: GetClient, tmp_path: Path, yanked: Project) -> None:
    """YANK-01: pdm avoids the yanked release in a range and takes it by its pin."""
    for requirement, version in ((yanked.name, "1.0"), (f"{yanked.name}==1.1", "1.1")):
        app = write_app(tmp_path / f"app-{version}", "pdm", shared_server.read_url, requirement)
        client("pdm")("lock", cwd=app).check_ok()
        assert f'version = "{version}"' in (app / "pdm.lock").read_text()


def test_a_yank_is_taken_back(shared_server: LiveServer, client: GetClient, tmp_path: Path, yanked: Project) -> None:
    """YANK-01: after `unyank` a range gives the newer release again."""
    _wheelyard(shared_server, tmp_path, "unyank", yanked.name, yanked.version)
    _pip(client("pip"), shared_server, yanked.name, tmp_path).check_ok()
    assert [path.name.split("-")[1] for path in tmp_path.glob("*.whl")] == ["1.1"]
