"""The pair `python_hello -> python_world`: names with underscores, a dependency inside the index, two kinds of environment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.clients import GetClient, run, tool
from plugins.live import LiveServer, StartServer
from plugins.projects import built_project, says
from plugins.publishers import twine

NewVenv = Callable[..., Path]


@pytest.fixture
def server(start_server: StartServer, client: GetClient, tmp_path: Path) -> LiveServer:
    """A server that holds the pair."""
    server = start_server()
    world = built_project(tmp_path / "world", "python_world", "0.0.1")
    hello = built_project(tmp_path / "hello", "python_hello", "0.0.1", requires=("python_world",))
    for project in (world, hello):
        twine(client("twine"), project, server.upload_url, server.index, server.write_secret).check_ok()
    return server


def _check_pair(venv: Path) -> None:
    said = says(venv, "import python_hello as a, python_world as b; print(a.__doc__, b.__doc__, a.__version__)")
    assert said == "python_hello. python_world. 0.0.1"


def test_the_pages_have_normalised_names(server: LiveServer) -> None:
    """URL-05: `python_hello` is found at `/simple/python-hello/`."""
    assert len(server.listed("python-hello")) == 2
    assert "python-world" in server.get("/simple/").text


def test_requirements_in_a_virtualenv(server: LiveServer, client: GetClient, new_venv: NewVenv, tmp_path: Path) -> None:
    """A `requirements.txt` that names the index and a token by a variable fills a virtual environment."""
    (tmp_path / "requirements.txt").write_text(
        f"--index-url http://{server.index}:${{IDX_TOKEN}}@{server.host}/simple/\npython_hello\n"
    )
    venv = new_venv(pip=True)
    pip = [venv / "bin" / "python", "-m", "pip", "install", "-r", tmp_path / "requirements.txt"]
    env = client("pip").environment(IDX_TOKEN=server.read_secret)
    run(pip, env=env, cwd=tmp_path).check_ok()
    _check_pair(venv)


def test_a_pip_section_of_conda(server: LiveServer, client: GetClient, new_venv: NewVenv, tmp_path: Path) -> None:
    """Conda writes its `pip:` section to a file and runs `pip install -U -r FILE --exists-action=b`; any user name goes."""
    section = ["python_hello", f"--index-url http://__token__:${{IDX_TOKEN}}@{server.host}/simple/"]
    (tmp_path / "condaenv.requirements.txt").write_text("\n".join(section))
    venv = new_venv(pip=True)
    pip = [venv / "bin" / "python", "-m", "pip", "install", "-U", "-r", "condaenv.requirements.txt"]
    env = client("pip").environment(IDX_TOKEN=server.read_secret)
    run([*pip, "--exists-action=b"], env=env, cwd=tmp_path).check_ok()
    _check_pair(venv)


def test_beside_another_index(
    server: LiveServer, start_server: StartServer, client: GetClient, new_venv: NewVenv, tmp_path: Path
) -> None:
    """With `--extra-index-url`, as the pair's author installs it, pip takes the pair from the second index."""
    empty = start_server(root=tmp_path / "empty")
    venv = new_venv()
    uv = [tool("uv"), "pip", "install", "--python", venv / "bin" / "python", "python_hello"]
    indexes = ["--default-index", empty.read_url, "--index", server.read_url]
    run([*uv, *indexes], env=client("uv").environment(), cwd=tmp_path).check_ok()
    _check_pair(venv)
