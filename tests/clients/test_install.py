"""Every client that installs gets a project and what it depends on from the index, and from nowhere else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.clients import GetClient
from plugins.live import LiveServer
from plugins.projects import Project, says, write_app, write_project

Publish = Callable[..., Project]
Name = Callable[[str], str]
NewVenv = Callable[..., Path]


@pytest.fixture
def pair(publish: Publish, name: Name) -> tuple[Project, Project]:
    """Two published projects; the first depends on the second."""
    needed = publish(name("needed"), "2.1")
    return publish(name("wanted"), "1.5", requires=(f"{needed.name}>=2",)), needed


def _url_with_variable(server: LiveServer) -> str:
    """Return the URL as people keep it in a file: the secret comes from a variable."""
    return f"http://{server.index}:${{READ_SECRET}}@{server.host}/simple/"


def _check_installed(venv: Path, pair: tuple[Project, ...]) -> None:
    for project in pair:
        assert says(venv, f"import {project.module} as it; print(it.__version__)") == project.version


@pytest.mark.parametrize("version", ["pip", "pip-old"])
def test_pip_installs(
    shared_server: LiveServer, client: GetClient, new_venv: NewVenv, pair: tuple[Project, Project], version: str
) -> None:
    """NEG-04, HTML-03: the newest pip (JSON pages) and the oldest in use (HTML pages) install a project."""
    pip = client(version)
    venv = new_venv()
    target = venv / "lib" / next((venv / "lib").iterdir()).name / "site-packages"
    arguments = ["install", "--index-url", shared_server.read_url, "--target", target, pair[0].name]
    pip(*arguments, cwd=venv).check_ok()
    _check_installed(venv, pair)


def test_uv_pip_installs(
    shared_server: LiveServer, client: GetClient, new_venv: NewVenv, pair: tuple[Project, Project]
) -> None:
    """NEG-05: `uv pip install` installs a project."""
    venv = new_venv()
    python = venv / "bin" / "python"
    arguments = ["pip", "install", "--python", python, "--default-index", shared_server.read_url, pair[0].name]
    client("uv")(*arguments, cwd=venv).check_ok()
    _check_installed(venv, pair)


def test_uv_add_and_sync(
    shared_server: LiveServer, client: GetClient, tmp_path: Path, pair: tuple[Project, Project]
) -> None:
    """`uv add` finds a project at a named index whose credentials are in the environment, `uv sync` installs it."""
    folder = write_app(tmp_path / "app", "uv", shared_server.simple_url)
    uv = client("uv")
    secrets = {"UV_INDEX_OURS_USERNAME": shared_server.index, "UV_INDEX_OURS_PASSWORD": shared_server.read_secret}
    uv("add", pair[0].name, cwd=folder, **secrets).check_ok()
    uv("sync", "--locked", cwd=folder, **secrets).check_ok()
    _check_installed(folder / ".venv", pair)
    lock = (folder / "uv.lock").read_text()
    assert shared_server.read_secret not in lock


def test_poetry_adds_and_installs(
    shared_server: LiveServer, client: GetClient, tmp_path: Path, pair: tuple[Project, Project]
) -> None:
    """NEG-06: `poetry add` from a primary source, then `poetry install` from the lock alone."""
    folder = write_app(tmp_path / "app", "poetry", shared_server.simple_url)
    poetry = client("poetry")
    secrets = {
        "POETRY_HTTP_BASIC_OURS_USERNAME": shared_server.index,
        "POETRY_HTTP_BASIC_OURS_PASSWORD": shared_server.read_secret,
    }
    poetry("add", "--no-interaction", pair[0].name, cwd=folder, **secrets).check_ok()
    poetry("sync", "--no-interaction", cwd=folder, **secrets).check_ok()
    _check_installed(folder / ".venv", pair)


def test_pdm_adds(shared_server: LiveServer, client: GetClient, tmp_path: Path, pair: tuple[Project, Project]) -> None:
    """`pdm add` from a source that takes the place of the public index."""
    folder = write_app(tmp_path / "app", "pdm", _url_with_variable(shared_server))
    pdm = client("pdm")
    pdm("add", "--no-self", pair[0].name, cwd=folder, READ_SECRET=shared_server.read_secret).check_ok()
    _check_installed(folder / ".venv", pair)


def test_pipenv_installs(
    shared_server: LiveServer, client: GetClient, tmp_path: Path, pair: tuple[Project, Project]
) -> None:
    """URL-15: `pipenv install` finds the files and their hashes, then `pipenv sync` installs from the lock."""
    folder = write_app(tmp_path / "app", "pipenv", _url_with_variable(shared_server), pair[0].name)
    pipenv = client("pipenv")
    pipenv("install", cwd=folder, READ_SECRET=shared_server.read_secret).check_ok()
    pipenv("sync", cwd=folder, READ_SECRET=shared_server.read_secret).check_ok()
    _check_installed(folder / ".venv", pair)


def test_hatch_makes_an_environment(
    shared_server: LiveServer, client: GetClient, tmp_path: Path, pair: tuple[Project, Project]
) -> None:
    """`hatch run` fills an environment from the index that pip is configured with."""
    env = f'[tool.hatch.envs.default]\nskip-install = true\ndependencies = ["{pair[0].name}"]\n'
    folder = write_project(tmp_path / "app", "app", backend="none", further=env).folder
    statement = f"import {pair[0].module} as a, {pair[1].module} as b; print(a.__version__, b.__version__)"
    hatch = client("hatch")
    outcome = hatch("run", "python", "-c", statement, cwd=folder, PIP_INDEX_URL=shared_server.read_url).check_ok()
    assert f"{pair[0].version} {pair[1].version}" in outcome.output


def test_flit_installs(
    shared_server: LiveServer, client: GetClient, tmp_path: Path, new_venv: NewVenv, pair: tuple[Project, Project]
) -> None:
    """`flit install` gets what a project depends on from the index that pip is configured with."""
    project = write_project(tmp_path / "app", "app", requires=(pair[0].name,), backend="flit")
    venv = new_venv(pip=True)
    python = venv / "bin" / "python"
    arguments = ["install", "--symlink", "--deps", "production", "--python", python]
    as_root = {"FLIT_ROOT_INSTALL": "1"} if os.geteuid() == 0 else {}
    client("flit")(*arguments, cwd=project.folder, PIP_INDEX_URL=shared_server.read_url, **as_root).check_ok()
    _check_installed(venv, (project, *pair))


def test_pip_downloads_the_published_bytes(
    shared_server: LiveServer, client: GetClient, tmp_path: Path, pair: tuple[Project, Project]
) -> None:
    """URL-10: `pip download` brings exactly the published bytes, under the published name."""
    arguments = ["download", "--no-deps", "--index-url", shared_server.read_url, pair[1].name]
    client("pip")(*arguments, cwd=tmp_path).check_ok()
    wheel = next(path for path in pair[1].files if path.suffix == ".whl")
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()
