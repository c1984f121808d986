"""Real projects of other people: fetched by name from the package registry, published here, installed from here alone."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.clients import CACHE, GetClient, file_lock, installed, registry_environment, run
from plugins.live import LiveServer, StartServer
from plugins.projects import says

NewVenv = Callable[..., Path]

# Small, old and new, pure and compiled; the last three build the sdists.
WHEELS = ("six", "packaging", "idna", "attrs", "MarkupSafe", "zope.interface", "flit_core", "setuptools", "wheel")
SDISTS = ("six", "idna", "packaging")


@pytest.fixture(scope="session")
def fetched() -> list[Path]:
    """Files of real projects; fetched once and kept."""
    wanted = hashlib.sha256(repr((WHEELS, SDISTS, sys.version)).encode()).hexdigest()[:16]
    folder = CACHE / "third-party" / wanted
    with file_lock(CACHE / "third-party.lock"):
        if not (folder / "complete").is_file():
            pip = [installed("pip") / "bin" / "pip", "download", "--no-deps", "--dest", folder]
            env = registry_environment()
            CACHE.mkdir(exist_ok=True)
            run([*pip, "--only-binary=:all:", *WHEELS], env=env, cwd=CACHE).check_ok()
            run([*pip, "--no-binary=:all:", *SDISTS], env=env, cwd=CACHE).check_ok()
            (folder / "complete").touch()
    return sorted(path for path in folder.iterdir() if path.name.endswith((".whl", ".tar.gz")))


@pytest.fixture
def server(start_server: StartServer, client: GetClient, tmp_path: Path, fetched: list[Path]) -> LiveServer:
    """A server that holds them: sdists published with uv, wheels with twine."""
    server = start_server()
    secrets = ["--username", server.index, "--password", server.write_secret]
    wheels = [path for path in fetched if path.suffix == ".whl"]
    sdists = [path for path in fetched if path.suffix != ".whl"]
    twine = ["upload", "--non-interactive", "--disable-progress-bar", "--repository-url", server.upload_url]
    client("twine")(*twine, *secrets, *wheels, cwd=tmp_path).check_ok()
    client("uv")("publish", "--publish-url", server.upload_url, *secrets, *sdists, cwd=tmp_path).check_ok()
    return server


def test_every_file_is_kept_whole(server: LiveServer, fetched: list[Path]) -> None:
    """META-01, SB-04: each real file is listed once, with the digest of the registry's bytes."""
    listed: dict[str, str] = {}
    for project in (*WHEELS, *SDISTS):
        listed |= server.listed(project)
    assert listed == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in fetched}
    assert len(fetched) == len(WHEELS) + len(SDISTS)


def test_wheels_install_with_uv(server: LiveServer, client: GetClient, new_venv: NewVenv, tmp_path: Path) -> None:
    """Real wheels, a compiled one among them, install from here alone."""
    venv = new_venv()
    arguments = ["pip", "install", "--python", venv / "bin" / "python", "--default-index", server.read_url]
    client("uv")(*arguments, "--only-binary", ":all:", *WHEELS, cwd=tmp_path).check_ok()
    assert says(venv, "import six, attrs, idna, markupsafe, zope.interface; print(markupsafe.escape('<'))") == "&lt;"


@pytest.mark.parametrize("version", ["pip", "pip-old"])
def test_sdists_build_with_pip(
    server: LiveServer, client: GetClient, new_venv: NewVenv, tmp_path: Path, version: str
) -> None:
    """Real sdists are built by pip, whose build backends come from here, too."""
    pip = client(version)
    target = tmp_path / "target"
    arguments = ["install", "--index-url", server.read_url, "--no-binary", "six,idna,packaging", "--target", target]
    pip(*arguments, "six", "idna", "packaging", cwd=tmp_path).check_ok()
    assert {"six.py", "idna", "packaging"} <= {path.name for path in target.iterdir()}
