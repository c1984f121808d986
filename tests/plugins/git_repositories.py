"""Real Git repositories, and a real Git host: `git http-backend` behind a small HTTP server on loopback."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

BACKEND = '''\
"""A build backend that needs nothing: it reads `pyproject.toml` and writes a wheel of the modules beside it."""

import base64, hashlib, pathlib, tomllib, zipfile


def _project():
    return tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]


def get_requires_for_build_wheel(config_settings=None):
    return []


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    project = _project()
    stem = f"{project['name'].replace('-', '_')}-{project['version']}"
    metadata = f"Metadata-Version: 2.1\\nName: {project['name']}\\nVersion: {project['version']}\\n"
    metadata += "".join(f"Requires-Dist: {each}\\n" for each in project.get("dependencies", ()))
    info = f"{stem}.dist-info"
    members = {path.name: path.read_bytes() for path in pathlib.Path(".").glob("*.py") if path.name != "build_backend.py"}
    members[f"{info}/METADATA"] = metadata.encode()
    members[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\\nGenerator: tests\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    rows = []
    for name, content in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(content)}\\n")
    rows.append(f"{info}/RECORD,,\\n")
    members[f"{info}/RECORD"] = "".join(rows).encode()
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / f"{stem}-py3-none-any.whl", "w") as wheel:
        for name, content in members.items():
            wheel.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), content)
    return f"{stem}-py3-none-any.whl"
'''


def git_program() -> str:
    """Return the git program; skip the test where there is none, but not in CI."""
    found = shutil.which("git")
    if found is None:
        assert os.environ.get("CI") != "true", "CI installs git"
        pytest.skip("git is not installed (Debian: git)")
    return found


def git(folder: Path, *arguments: str, stdin: bytes = b"", **env: str) -> str:
    """Run git in a folder, told nothing by this machine; return what it printed."""
    known = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "The tests",
        "GIT_AUTHOR_EMAIL": "tests@example.org",
        "GIT_COMMITTER_NAME": "The tests",
        "GIT_COMMITTER_EMAIL": "tests@example.org",
        "GIT_AUTHOR_DATE": "2024-01-02T03:04:05Z",
        "GIT_COMMITTER_DATE": "2024-01-02T03:04:05Z",
    }
    done = subprocess.run(
        [git_program(), *arguments], cwd=folder, env=known | env, input=stdin, capture_output=True, check=False
    )
    assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr.decode()}"
    return done.stdout.decode().strip()


def pyproject(name: str, version: str | None = "1.0", *, requires: Sequence[str] = (), further: str = "") -> str:
    """Return the text of a `pyproject.toml` that builds without a network."""
    told = 'dynamic = ["version"]' if version is None else f'version = "{version}"'
    listed = ", ".join(f'"{requirement}"' for requirement in requires)
    return (
        '[build-system]\nrequires = []\nbuild-backend = "build_backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "{name}"\n{told}\nrequires-python = ">=3.8"\ndependencies = [{listed}]\n{further}'
    )


@dataclass
class Repo:
    """
    A repository with a work tree.

    Attributes:
        folder: Its work tree.
    """

    folder: Path

    @property
    def url(self) -> str:
        """Its URL on this machine."""
        return f"file://{self.folder}"

    def write(self, files: Mapping[str, str | bytes]) -> Repo:
        """Write files into the work tree."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return self

    def commit(self, *tags: str, annotated: bool = False) -> str:
        """Commit everything and tag it; return the commit."""
        git(self.folder, "add", "--all", "--force")
        git(self.folder, "commit", "--quiet", "--allow-empty", "--message", "a change")
        for tag in tags:
            self.tag(tag, annotated=annotated)
        return git(self.folder, "rev-parse", "HEAD")

    def tag(self, name: str, *, annotated: bool = False) -> None:
        """Set a tag to the last commit, wherever it was before."""
        options = ["--annotate", "--message", "a release"] if annotated else []
        git(self.folder, "tag", "--force", *options, name)

    def release(self, name: str, version: str, *, requires: Sequence[str] = (), tag: str | None = None) -> str:
        """Write, commit and tag a version of a project of one module; return the commit."""
        module = name.replace("-", "_")
        self.write(
            {
                "pyproject.toml": pyproject(name, version, requires=requires),
                "build_backend.py": BACKEND,
                f"{module}.py": f'"""{name}."""\n__version__ = "{version}"\n',
            }
        )
        return self.commit(f"v{version}" if tag is None else tag)


MakeRepo = Callable[..., Repo]


def new_repo(folder: Path) -> Repo:
    """Make an empty repository."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main", "--template=")
    return Repo(folder)


@pytest.fixture
def make_repo(tmp_path: Path) -> MakeRepo:
    """Make empty repositories: `make_repo("name")`."""
    return lambda name="repo": new_repo(tmp_path / "repositories" / name)


@dataclass
class GitHost:
    """
    A Git host on loopback.

    Attributes:
        url: Where it answers, without a slash at the end.
        folder: What is below it.
        password: What it asks for with any user name; None for nothing.
        requests: Path and query of each request, in order.
        authorizations: The header of each request; None where it had none.
        before: Called before the n-th answer to a command of protocol 2: `{("ls-refs", 2): race}`.
    """

    url: str
    folder: Path
    password: str | None = None
    requests: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    before: dict[tuple[str, int], Callable[[], object]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def url_of(self, repo: Repo) -> str:
        """Return the URL of a repository of the host's folder."""
        return f"{self.url}/{repo.folder.relative_to(self.folder)}"

    def asks_for(self, authorization: str | None) -> bool:
        """Tell whether a request is refused for its credentials."""
        if self.password is None:
            return False
        kind, _, value = (authorization or "").partition(" ")
        return kind != "Basic" or base64.b64decode(value).decode().partition(":")[2] != self.password


class _Handler(BaseHTTPRequestHandler):
    host: GitHost

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        authorization = self.headers.get("Authorization")
        self.host.requests.append(f"{self.command} {self.path}")
        self.host.authorizations.append(authorization)
        if self.host.asks_for(authorization):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        for command in ("ls-refs", "fetch"):
            if f"command={command}".encode() in body:
                self.host.counts[command] += 1
                self.host.before.get((command, self.host.counts[command]), lambda: None)()
        self._send(self._backend(body))

    def _backend(self, body: bytes) -> bytes:
        parts = urlsplit(self.path)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.host.folder),
            "GIT_PROJECT_ROOT": str(self.host.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type") or "",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
            "REMOTE_ADDR": "127.0.0.1",
        }
        return subprocess.run(
            [git_program(), "http-backend"], input=body, env=env, capture_output=True, check=False
        ).stdout

    def _send(self, answer: bytes) -> None:
        head, _, body = answer.partition(b"\r\n\r\n")
        headers = [line.partition(": ") for line in head.decode("latin-1").split("\r\n")]
        status = next((value for name, _, value in headers if name == "Status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for name, _, value in headers:
            if name and name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve on a free port of loopback with a class of handlers; yield the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = False  # closing waits for what is still being answered
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def hosting(folder: Path) -> Iterator[GitHost]:
    """Serve the repositories below a folder by smart HTTP."""
    git_program()
    host = GitHost("", folder)
    folder.mkdir(exist_ok=True)
    with serving(type("Handler", (_Handler,), {"host": host})) as url:
        host.url = url
        yield host


@pytest.fixture
def git_host(tmp_path: Path) -> Iterator[GitHost]:
    """A host that serves the repositories of this test by smart HTTP."""
    with hosting(tmp_path / "repositories") as host:
        yield host
