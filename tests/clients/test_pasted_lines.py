"""The lines that a first start prints are pasted as they are, and work."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.clients import GetClient, Outcome, run
from plugins.live import LiveServer, StartServer
from plugins.projects import built_project, says, write_app, write_project

NewVenv = Callable[..., Path]


@pytest.fixture
def first_start(start_server: StartServer) -> LiveServer:
    """A server started without any configuration, with the secrets that it printed."""
    server = start_server(config="")
    (server.read_secret,) = re.findall(r"^ *read secret +(\S+)$", server.log(), re.MULTILINE)
    (server.write_secret,) = re.findall(r"^ *write secret +(\S+)$", server.log(), re.MULTILINE)
    return server


def _line(server: LiveServer, start: str) -> str:
    (line,) = re.findall(rf"  ({re.escape(start)}\b.*)$", server.log(), re.MULTILINE)
    return str(line)


def _paste(client: GetClient, line: str, folder: Path, **further: str) -> Outcome:
    """Run a printed line in a shell, with the client that it names."""
    chosen = client(shlex.split(line)[0])
    return run(["sh", "-c", line], env=chosen.environment(**further), cwd=folder).check_ok()


@pytest.mark.parametrize("publisher", ["uv", "twine"])
def test_publish_then_install(
    first_start: LiveServer, client: GetClient, new_venv: NewVenv, tmp_path: Path, publisher: str
) -> None:
    """Publish with the printed line for uv or twine, install with those for pip and uv."""
    project = built_project(tmp_path / "project", "pasted", "1.0")
    start = "uv publish" if publisher == "uv" else "twine upload"
    _paste(client, _line(first_start, start), project.folder)
    first_start.check_holds("pasted", project.files)
    target = tmp_path / "target"
    line = _line(first_start, "pip install").replace("PROJECT", "pasted")
    _paste(client, f"{line} --target {target}", tmp_path)
    assert (target / "pasted" / "__init__.py").is_file()
    venv = new_venv()
    line = _line(first_start, "uv pip install").replace("PROJECT", "pasted")
    _paste(client, line, tmp_path, UV_PYTHON=str(venv / "bin" / "python"))
    assert says(venv, "import pasted; print(pasted.__version__)") == "1.0"


def test_poetry_publishes_and_installs(first_start: LiveServer, client: GetClient, tmp_path: Path) -> None:
    """All printed lines for poetry, in their order: publish from one project, install in another."""
    lines = re.findall(r"  (poetry (?:source|config|publish) .*)$", first_start.log(), re.MULTILINE)
    assert len(lines) == 5
    build = write_project(tmp_path / "project", "pasted", "1.0", backend="poetry")
    app = write_app(tmp_path / "app", "poetry-bare", "")
    for line in lines:
        _paste(client, line, app if line.startswith("poetry source") else build.folder)
    first_start.check_holds("pasted", build.files)
    client("poetry")("add", "--no-interaction", "pasted", cwd=app).check_ok()
    assert says(app / ".venv", "import pasted; print(pasted.__version__)") == "1.0"
