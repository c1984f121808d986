"""A site in a branch: over a folder, and over real smart HTTP with a password."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from base64 import b64decode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from doctor.roots import Root
from static_site.sites import Build, build_to, tree
from wheelyard.errors import SiteError
from wheelyard.index.interface import Delete
from wheelyard.site.branch import BranchDestination
from wheelyard.site.git import Credentials
from wheelyard.testing.builders import WheelBuilder

pytestmark = pytest.mark.slow
PASSWORD = "tok3n-91b7"


@pytest.fixture(autouse=True)
def git() -> None:
    if shutil.which("git") is None:
        assert os.environ.get("CI") != "true", "CI installs git"
        pytest.skip("git is not installed (Debian: git)")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """An empty repository that takes pushes and clones without files."""
    path = tmp_path / "packages.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(path)], check=True)
    for key in ("uploadpack.allowFilter", "http.receivepack"):
        subprocess.run(["git", "-C", str(path), "config", key, "true"], check=True)
    return path


def checkout(repository: Path, folder: Path, branch: str = "gh-pages") -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", "--branch", branch, str(repository), str(folder)], check=True)
    shutil.rmtree(folder / ".git")
    return folder


def log(repository: Path, branch: str = "gh-pages") -> list[str]:
    command = ["git", "-C", str(repository), "log", "--format=%s", branch]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


class _Backend(BaseHTTPRequestHandler):
    """Smart HTTP by git's own program; asks for the password and notes what it saw."""

    server: GitServer

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def _serve(self) -> None:
        given = self.headers.get("Authorization", "")
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else self._chunks()
        if not given or b64decode(given.partition(" ")[2]).decode().partition(":")[2] != PASSWORD:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            check=False,
            env={
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(self.server.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REQUEST_METHOD": self.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "REMOTE_USER": "builder",
                "REMOTE_ADDR": "127.0.0.1",
            },
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _chunks(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return b""
        content = b""
        while size := int(self.rfile.readline().strip(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content


class GitServer(ThreadingHTTPServer):
    folder: Path


@pytest.fixture
def host(repository: Path) -> Iterator[str]:
    """Host and path of the repository over HTTP."""
    server = GitServer(("127.0.0.1", 0), _Backend)
    server.folder = repository.parent
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}/{repository.name}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_branch_is_made_and_holds_the_site(build: Build, repository: Path, site: Path, tmp_path: Path) -> None:
    """A branch that was not there holds, after one commit, what a folder would hold."""
    assert build(to=f"git+file://{repository}#gh-pages") == 0
    build()
    made = tree(checkout(repository, tmp_path / "clone"))
    assert made == tree(site)
    assert log(repository) == ["main: 3 projects changed"]


def test_only_changes_become_commits(build: Build, root: Root, repository: Path, tmp_path: Path) -> None:
    """A build without a change makes no commit; a new release and a deleted project make one."""
    address = f"git+file://{repository}#gh-pages"
    build(to=address)
    assert build(to=address) == 0
    assert len(log(repository)) == 1
    root.publish(WheelBuilder("python_hello", "1.1").build(tmp_path))
    root.change("flask", Delete())
    assert build(to=address) == 0
    assert log(repository) == ["main: 1 project changed, 1 removed", "main: 3 projects changed"]
    clone = checkout(repository, tmp_path / "clone")
    assert (clone / "simple/python-hello/python_hello-1.1-py3-none-any.whl").exists()
    assert (clone / "simple/python-world/python_world-0.0.1-py3-none-any.whl").exists()
    assert not (clone / "simple/flask").exists()


def test_folder_of_a_branch(build: Build, repository: Path, tmp_path: Path) -> None:
    """A site in `public/` leaves the rest of the branch alone."""
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "--quiet", str(repository), str(source)], check=True, capture_output=True)
    (source / "README.md").write_text("hello\n")
    identity = ["-c", "user.name=The tests", "-c", "user.email=tests@example.org"]
    subprocess.run(["git", "-C", str(source), "add", "."], check=True)
    subprocess.run(["git", "-C", str(source), *identity, "commit", "--quiet", "-m", "begin"], check=True)
    subprocess.run(["git", "-C", str(source), "push", "--quiet", "origin", "HEAD:main"], check=True)
    assert build(to=f"git+file://{repository}#main:public") == 0
    clone = checkout(repository, tmp_path / "clone", "main")
    assert (clone / "README.md").read_text() == "hello\n"
    assert (clone / "public/simple/python-hello/index.html").exists()
    assert log(repository, "main") == ["main: 3 projects changed", "begin"]


def test_push_of_somebody_else_is_not_overwritten(root: Root, repository: Path, tmp_path: Path) -> None:
    """Who pushed since the branch was fetched wins; the build says so, and a second one goes on from there."""

    class Raced(BranchDestination):
        def publish(self, message: str) -> None:
            root.publish(WheelBuilder("raced", "1.0").build(tmp_path))
            build_to(root, BranchDestination(f"file://{repository}", "gh-pages", ""))
            super().publish(message)

    build_to(root, BranchDestination(f"file://{repository}", "gh-pages", ""))
    root.publish(WheelBuilder("demo", "1.0").build(tmp_path))
    with pytest.raises(SiteError, match="somebody else has pushed"):
        build_to(root, Raced(f"file://{repository}", "gh-pages", ""))
    build_to(root, BranchDestination(f"file://{repository}", "gh-pages", ""))
    clone = checkout(repository, tmp_path / "clone")
    assert (clone / "simple/raced/index.html").exists()
    assert (clone / "simple/demo/index.html").exists()


def test_token_over_http(
    root: Root, host: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A private repository over smart HTTP: the token comes from the environment and is in no argument of git."""
    seen: list[str] = []
    real = subprocess.Popen.__init__

    def watched(self: subprocess.Popen[bytes], args: list[str], *further: object, **options: object) -> None:
        seen.extend(map(str, args))
        real(self, args, *further, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess.Popen, "__init__", watched)
    destination = BranchDestination(f"http://{host}", "gh-pages", "", credentials=Credentials("builder", PASSWORD))
    assert build_to(root, destination).files == 5
    assert build_to(root, destination).changed == 0
    assert any("push" in word for word in seen)
    assert not any(PASSWORD in word for word in seen)
    assert (checkout(repository, tmp_path / "clone") / "simple/index.html").exists()


@pytest.mark.parametrize("given", ["variable", "url"])
def test_command_takes_the_token(
    build: Build,
    host: str,
    repository: Path,
    given: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command takes the token from `WHEELYARD_SITE_PASSWORD` or from the URL, and never prints it."""
    monkeypatch.setenv("WHEELYARD_SITE_PASSWORD", PASSWORD if given == "variable" else "wrong")
    user = f"builder:{PASSWORD}@" if given == "url" else ""
    assert build(to=f"git+http://{user}{host}#gh-pages") == 0
    assert log(repository) == ["main: 3 projects changed"]
    said = capsys.readouterr()
    assert PASSWORD not in said.out + said.err


def test_wrong_or_missing_token(
    build: Build, host: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the right token nobody is prompted; the error says what is needed, and repeats no secret."""
    monkeypatch.delenv("WHEELYARD_SITE_PASSWORD", raising=False)
    assert build(to=f"git+http://{host}#gh-pages") == 1
    assert "WHEELYARD_SITE_PASSWORD" in capsys.readouterr().err
    monkeypatch.setenv("WHEELYARD_SITE_PASSWORD", "wr0ng-token")
    assert build(to=f"git+http://{host}#gh-pages") == 1
    said = capsys.readouterr()
    assert "could not be asked" in said.err
    assert "wr0ng-token" not in said.out + said.err


def test_repository_that_is_not_there(build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A repository that does not exist is an error with git's own words."""
    assert build(to=f"git+file://{tmp_path}/nowhere.git#gh-pages") == 1
    assert "could not be asked" in capsys.readouterr().err
