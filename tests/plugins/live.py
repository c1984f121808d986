"""A real server, started as a program, on a port of its own: fixtures `start_server`, `live_server`, `shared_server`."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from urllib.parse import quote

import httpx2
import pytest
from packaging.utils import canonicalize_name

INDEX = "main"
READ_SECRET = "read-4f1c9a"
WRITE_SECRET = "write-8b27de"
START_SECONDS = 60.0  # a machine that runs other tests at the same moment starts slowly
STOP_SECONDS = 30.0
_TRIES = 3  # the free port found may be taken before the server binds it
_SERVER_FIXTURES = {"http_server", "start_server", "live_server", "shared_server"}

V1_JSON = "application/vnd.pypi.simple.v1+json"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--http-server",
        choices=("uvicorn", "granian"),
        default="uvicorn",
        help="HTTP server that started servers run under (default: uvicorn)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whatever starts a server; it is slow, and it runs again under the other HTTP server."""
    for item in items:
        if _SERVER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.live)
            item.add_marker(pytest.mark.slow)


def default_config(read_secret: str = READ_SECRET, write_secret: str = WRITE_SECRET) -> str:
    """Return the text of a configuration with one folder index that has these secrets."""
    return f'[{INDEX}]\ntype = "file_system"\nread_secret = "{read_secret}"\nwrite_secret = "{write_secret}"\n'


@dataclass
class LiveServer:
    """
    One running server.

    Attributes:
        url: Where it answers, without a slash at the end.
        root: Its ROOT folder.
        index: Name of its index; also the user name.
        process: The started program.
    """

    url: str
    root: Path
    process: subprocess.Popen[bytes]
    log_path: Path
    index: str = INDEX
    read_secret: str = READ_SECRET
    write_secret: str = WRITE_SECRET
    command: tuple[str, ...] = field(default=(), repr=False)

    @property
    def simple_url(self) -> str:
        """URL of the index for reading, without credentials."""
        return f"{self.url}/simple/"

    @property
    def upload_url(self) -> str:
        """URL that takes uploads, without credentials."""
        return f"{self.url}/legacy/"

    @property
    def read_url(self) -> str:
        """URL of the index for reading with the read secret inside."""
        return self.url_with(self.read_secret)

    @property
    def host(self) -> str:
        """Host and port."""
        return self.url.removeprefix("http://")

    def url_with(self, password: str, *, user: str | None = None, path: str = "/simple/") -> str:
        """Return a URL that carries credentials."""
        return f"http://{quote(user or self.index, safe='')}:{quote(password, safe='')}@{self.host}{path}"

    def get(self, path: str, *, secret: str | None = None, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        """Ask for a path with the read secret."""
        with httpx2.Client(trust_env=False, timeout=30) as client:
            return client.get(
                self.url + path, headers=dict(headers or {}), auth=(self.index, secret or self.read_secret)
            )

    def request(self, method: str, path: str, *, secret: str | None = None, body: object = None) -> httpx2.Response:
        """Send a JSON request with the write secret."""
        with httpx2.Client(trust_env=False, timeout=30) as client:
            return client.request(method, self.url + path, json=body, auth=(self.index, secret or self.write_secret))

    def listed(self, project: str) -> dict[str, str]:
        """Return file names and their SHA-256 as the project's page lists them; empty when there is no such project."""
        answer = self.get(f"/simple/{canonicalize_name(project)}/", headers={"Accept": V1_JSON})
        if answer.status_code == 404:
            return {}
        answer.raise_for_status()
        return {file["filename"]: file["hashes"]["sha256"] for file in answer.json()["files"]}

    def check_holds(self, project: str, files: list[Path]) -> None:
        """Fail unless the page lists exactly these files, and each downloads with its digest."""
        expected = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
        assert self.listed(project) == expected
        for name, digest in expected.items():
            answer = self.get(f"/simple/{canonicalize_name(project)}/{quote(name)}")
            assert answer.status_code == 200
            assert hashlib.sha256(answer.content).hexdigest() == digest

    def log(self) -> str:
        """Return everything the server has printed."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """End it at once, as a power cut would end the process."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """Ask it to end, wait, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
                pytest.fail(f"the server did not stop within {STOP_SECONDS:.0f} s; it printed:\n{self.log()}")
        return self.process.returncode


StartServer = Callable[..., LiveServer]


def free_port() -> int:
    """Return a port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment(root: Path) -> dict[str, str]:
    """The server's environment: nothing of this machine but where programs are, and coverage if that is on."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE") or name == "PATH"}
    return kept | {"HOME": str(root), "LANG": "C.UTF-8", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}


def _answers(url: str) -> bool:
    try:
        with httpx2.Client(trust_env=False, timeout=5) as client:
            return client.get(f"{url}/healthz").status_code == 200
    except httpx2.TransportError:
        return False


def _wait_until_ready(server: LiveServer) -> bool:
    """Return whether it came up; False when the program ended, which a taken port explains."""
    deadline = monotonic() + START_SECONDS
    while monotonic() < deadline:
        try:
            server.process.wait(0.05)
        except subprocess.TimeoutExpired:
            if _answers(server.url):
                return True
        else:
            return False
    server.kill()
    pytest.fail(f"the server was not ready within {START_SECONDS:.0f} s; it printed:\n{server.log()}")


def _spawn(root: Path, http_server: str, config: str | None, arguments: tuple[str, ...], **known: str) -> LiveServer:
    port = free_port()
    root.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "wheelyard", "server", str(root), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--extra-index-url", "", "--http-server", http_server]
    if config is not None:
        config_path = root.parent / f"{root.name}-config.toml"
        config_path.write_text(config, encoding="utf-8")
        command += ["--config", str(config_path)]
    command += arguments
    log_path = root.parent / f"{root.name}-server-{port}.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=_environment(root), cwd=root
        )
    return LiveServer(f"http://127.0.0.1:{port}", root, process, log_path, command=tuple(command), **known)


@contextmanager
def running_server(
    root: Path,
    *arguments: str,
    http_server: str = "uvicorn",
    config: str | None = None,
    read_secret: str = READ_SECRET,
    write_secret: str = WRITE_SECRET,
) -> Iterator[LiveServer]:
    """
    Start a server, wait until it answers, and stop it at the end.

    Args:
        root: Its ROOT folder; made when it is not there.
        arguments: Further arguments of the command line.
        http_server: `uvicorn` or `granian`.
        config: Text of the configuration; by default one folder index with the two secrets.
        read_secret: Secret that reads.
        write_secret: Secret that also publishes.

    Yields:
        The running server.
    """
    text = default_config(read_secret, write_secret) if config is None else config
    for _ in range(_TRIES):
        server = _spawn(root, http_server, text or None, arguments, read_secret=read_secret, write_secret=write_secret)
        if _wait_until_ready(server):
            break
    else:
        pytest.fail(f"the server ended at once, {_TRIES} times; it printed:\n{server.log()}")
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def http_server(pytestconfig: pytest.Config) -> str:
    """Name of the HTTP server of this run."""
    return str(pytestconfig.getoption("--http-server"))


@pytest.fixture
def start_server(tmp_path: Path, http_server: str) -> Iterator[StartServer]:
    """Start servers that end with the test: `start_server(root=…, config=…)`; `config=""` means without `--config`."""
    with ExitStack() as stack:

        def start(*arguments: str, root: Path | None = None, **options: str) -> LiveServer:
            folder = root or tmp_path / "root"
            return stack.enter_context(running_server(folder, *arguments, **{"http_server": http_server, **options}))

        yield start


@pytest.fixture
def live_server(start_server: StartServer) -> LiveServer:
    """A server of this test's own, with one empty index."""
    return start_server()


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory, http_server: str) -> Iterator[LiveServer]:
    """One server for many tests; each uses project names of its own."""
    with running_server(tmp_path_factory.mktemp("shared") / "root", http_server=http_server) as server:
        yield server
