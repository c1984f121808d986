"""The pair `python_hello -> python_world` from a static site: a plain file server, nginx, the disk; and from the live server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from doctor.roots import READ_SECRET, Root, make_root
from plugins.clients import GetClient, run, tool
from plugins.live import StartServer, free_port
from plugins.projects import built_project, says, write_app
from static_site.sites import Build, tree
from wheelyard.cli.dispatch import run as wheelyard
from wheelyard.testing.builders import WheelBuilder

pytestmark = pytest.mark.slow
NewVenv = Callable[..., Path]
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    default_type application/octet-stream;
    types {{ text/html html; }}
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; root {site}; }}
}}
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Root, Path]:
    """A ROOT with the pair, and its static site. One release of the needed project is too new to be taken."""
    folder = tmp_path_factory.mktemp("pair")
    root = make_root(folder / "root")
    for version in ("0.0.1", "0.1.0", "1.0.0"):
        root.publish(*built_project(folder / f"world-{version}", "python_world", version).files)
    root.publish(*built_project(folder / "hello", "python_hello", "0.0.1", requires=("python_world>=0.0.1,<1",)).files)
    assert wheelyard(["wheelyard", "site", "build", str(root.path), "main", "--to", str(folder / "site")], {}) == 0
    return root, folder / "site"


def waited(url: str, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 30
    with httpx2.Client(trust_env=False, timeout=20) as client:
        while True:
            try:
                client.get(url)
            except httpx2.TransportError:
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.02)
                continue
            return url


def started(command: list[str], url: str) -> Iterator[str]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield waited(url, process)
        finally:
            process.terminate()


def nginx(site: Path, folder: Path) -> Iterator[str]:
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        assert os.environ.get("CI") != "true", "CI installs nginx"
        pytest.skip("nginx is not installed (Debian: nginx-light)")
    port = free_port()
    folder.mkdir()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, site=site))
    # As root nginx reads as somebody else, who may not enter the folders of the tests.
    as_root = ["-g", "user root;"] if os.geteuid() == 0 else []
    command = [found, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log"), *as_root]
    yield from started(command, f"http://127.0.0.1:{port}/simple/")


def served(site: Path, how: str, folder: Path) -> Iterator[str]:
    """Yield where a static index is, served in one of three ways."""
    if how == "disk":
        yield f"file://{site}/simple/"
    elif how == "nginx":
        yield from nginx(site, folder / "nginx")
    else:
        port = free_port()
        command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(site)]
        yield from started(command, f"http://127.0.0.1:{port}/simple/")


@pytest.fixture(params=["plain file server", "nginx", "disk"])
def index_url(request: pytest.FixtureRequest, published: tuple[Root, Path], tmp_path: Path) -> Iterator[str]:
    """The static index, served in three ways."""
    yield from served(published[1], request.param, tmp_path)


@pytest.fixture(params=["plain file server", "nginx"])
def web_url(request: pytest.FixtureRequest, published: tuple[Root, Path], tmp_path: Path) -> Iterator[str]:
    """The same for clients that read no disk."""
    yield from served(published[1], request.param, tmp_path)


def check_pair(venv: Path) -> None:
    said = says(venv, "import python_hello as a, python_world as b; print(a.__version__, b.__version__)")
    assert said == "0.0.1 0.1.0"


def test_pip(index_url: str, client: GetClient, new_venv: NewVenv, tmp_path: Path) -> None:
    """Versions of the pair are solved by pip, which takes it from `--extra-index-url` too."""
    venv = new_venv(pip=True)
    pip = [venv / "bin" / "python", "-m", "pip", "install"]
    env = client("pip").environment()
    run([*pip, "--index-url", index_url, "python_hello"], env=env, cwd=tmp_path).check_ok()
    check_pair(venv)
    (tmp_path / "empty/simple").mkdir(parents=True)
    other = new_venv("other", pip=True)
    pip = [other / "bin" / "python", "-m", "pip", "install"]
    indexes = ["--index-url", f"file://{tmp_path}/empty/simple/", "--extra-index-url", index_url]
    run([*pip, *indexes, "python_hello"], env=env, cwd=tmp_path).check_ok()
    check_pair(other)


def test_requirements_and_hashes(index_url: str, client: GetClient, new_venv: NewVenv, tmp_path: Path) -> None:
    """A `requirements.txt` that names the index fills an environment; conda's pip section is such a file."""
    (tmp_path / "requirements.txt").write_text(f"--index-url {index_url}\npython_hello\n")
    venv = new_venv(pip=True)
    pip = [venv / "bin" / "python", "-m", "pip", "install", "-U", "-r", "requirements.txt", "--exists-action=b"]
    run(pip, env=client("pip").environment(), cwd=tmp_path).check_ok()
    check_pair(venv)


def test_uv(index_url: str, client: GetClient, new_venv: NewVenv, tmp_path: Path) -> None:
    """`uv pip install`, and `uv add` with a lock; with a cooldown it knows how old the files are."""
    venv = new_venv()
    uv = [tool("uv"), "pip", "install", "--python", venv / "bin" / "python", "--default-index", index_url]
    env = client("uv").environment()
    refused = run([*uv, "--exclude-newer", "2020-01-01", "python_hello"], env=env, cwd=tmp_path)
    refused.check_refused("exclude")
    run([*uv, "--exclude-newer", "2099-01-01", "python_hello"], env=env, cwd=tmp_path).check_ok()
    check_pair(venv)
    folder = write_app(tmp_path / "app", "uv", index_url)
    client("uv")("add", "python_hello", cwd=folder).check_ok()
    check_pair(folder / ".venv")


def test_poetry(web_url: str, client: GetClient, tmp_path: Path) -> None:
    """`poetry add` from a primary source; poetry reads no index from a disk."""
    folder = write_app(tmp_path / "app", "poetry", web_url)
    client("poetry")("add", "--no-interaction", "python_hello", cwd=folder).check_ok()
    check_pair(folder / ".venv")


def test_pdm(index_url: str, client: GetClient, tmp_path: Path) -> None:
    """`pdm add` from a source that takes the place of the public index."""
    folder = write_app(tmp_path / "app", "pdm", index_url)
    client("pdm")("add", "--no-self", "python_hello", cwd=folder).check_ok()
    check_pair(folder / ".venv")


def test_same_bytes_as_the_live_server(published: tuple[Root, Path], start_server: StartServer, tmp_path: Path) -> None:
    """Pages in both forms, metadata and files of the site are, byte for byte, what a live server sends."""
    root, site = published
    config = (root.path / "config.toml").read_text()
    server = start_server(root=root.path, config=config, read_secret=READ_SECRET)
    compared = 0
    for path, content in tree(site).items():
        if not path.startswith("simple/") or b"http-equiv" in content[:400]:
            continue
        url = f"/{path.removesuffix('index.html').removesuffix('index.v1_json')}"
        media_type = "application/vnd.pypi.simple.v1+json" if path.endswith("_json") else "text/html"
        answer = server.get(url, headers={"Accept": "*/*" if path.endswith(".metadata") else media_type})
        assert answer.status_code == 200, path
        assert answer.content == content, path
        compared += 1
    assert compared == 2 * 3 + 2 * 8  # list and two projects, files and their metadata


def test_watch(root: Root, build: Build, site: Path, tmp_path: Path) -> None:
    """`--watch` builds again when somebody publishes, and ends in order when told to."""
    env = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE") or name == "PATH"}
    command = [sys.executable, "-m", "wheelyard", "site", "build", str(root.path), "main", "--to", str(site), "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith("3 projects (3 written)")
            root.publish(WheelBuilder("demo", "1.0").build(tmp_path))
            assert process.stdout.readline().startswith("4 projects (1 written)")
            assert (site / "simple/demo/index.html").exists()
        finally:
            process.terminate()
            _, wrong = process.communicate(timeout=60)
    assert "Traceback" not in wrong
    assert build() == 0
