"""
Real servers, started quickly: a process that has imported everything forks one for each order.

As a program it reads orders from its standard input, one JSON document per line, and answers each with one line.
The other half of the module sends the orders.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from wheelyard.cli import main
from wheelyard.testing.crash import IndexClient
from wheelyard.testing.crash_power import Recorder
from wheelyard.testing.crash_steps import Plan, install
from wheelyard.testing.crash_suite import Running, Servers

INDEX, READ_SECRET, WRITE_SECRET = "main", "read-3f9d02", "write-77c1ab"
START_S = 60.0
_POLL_S = 0.005
_URL = re.compile(r"at (http://[^\s/]+)/")


# -- the program -------------------------------------------------------------------------------------------------------


# Also what a server imports late: by then it may have changed its user, or have no descriptors left.
_MODULES = (
    "sqlalchemy.dialects.sqlite",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
    "wheelyard.backends.filesystem.backend",
    "wheelyard.cli.dispatch",
    "wheelyard.cli.server",
    "wheelyard.compose",
    "wheelyard.server.protocol",
)


def _become(order: dict[str, Any]) -> None:
    """Be the ordered program; never returns."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, 256)
    os.environ.update(order["env"])
    for name, limit in order["limits"].items():
        kind = getattr(resource, name)
        resource.setrlimit(kind, (limit, resource.getrlimit(kind)[1]))
    if order["as_user"]:
        _forget_privileges()
    if order["plan"] is not None:
        install(Plan(**order["plan"]))
    if order["trace"]:
        folder, path = order["trace"]
        Recorder(Path(folder), Path(path), ignore=["state"]).install()
    main(order["argv"])


def _forget_privileges() -> None:
    """Obey the modes of files as everybody does: root without `CAP_DAC_OVERRIDE` and `CAP_DAC_READ_SEARCH`."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable of the first 32, then of the others
    assert libc.capget(header, sets) == 0
    for number in range(3):
        sets[number] &= ~0b110
    assert libc.capset(header, sets) == 0


def _serve_orders() -> None:
    for module in _MODULES:
        importlib.import_module(module)
    _tell("ready")
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            _tell(json.dumps(_status(order["wait"])))
            continue
        pid = os.fork()
        if pid == 0:
            try:
                _become(order)
            except SystemExit as end:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(end.code if isinstance(end.code, int) else 1)
            except BaseException:  # noqa: BLE001  the child must not go on as its parent
                sys.excepthook(*sys.exc_info())
                os._exit(70)
        _tell(str(pid))


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _status(pid: int) -> str | int | None:
    """Return what became of a child: its exit code, "stopped", or None when it runs."""
    done, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
    if done == 0:
        return None
    return "stopped" if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status)


# -- the other half ----------------------------------------------------------------------------------------------------


class Nursery:
    """The far end of the program above."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def order(self, **order: object) -> Any:
        """Send one order and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._turn:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)


@dataclass
class Child:
    """One forked program."""

    nursery: Nursery
    pid: int
    log: Path
    code: int | None = None
    guard: threading.Lock = field(default_factory=threading.Lock)

    def status(self) -> int | str | None:
        """Return its exit code, "stopped", or None."""
        with self.guard:
            if self.code is not None:
                return self.code
            status: int | str | None = self.nursery.order(wait=self.pid)
            if isinstance(status, int):
                self.code = status
            return status

    def wait(self, timeout_s: float = 30.0) -> int | None:
        """Wait until it ends; None when it does not."""
        deadline = time.monotonic() + timeout_s
        while not isinstance(status := self.status(), int):
            if time.monotonic() > deadline:
                return None
            time.sleep(_POLL_S)
        return status

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if not isinstance(self.status(), int):
            os.kill(self.pid, number)

    def text(self) -> str:
        """Return what it printed."""
        return self.log.read_text(errors="replace")


class Server(Running):
    """One forked server."""

    def __init__(self, child: Child, root: Path, armed: Path, url: str) -> None:
        self.child = child
        self.root = root
        self.armed = armed
        self.url = url
        self.client = IndexClient(url, INDEX, WRITE_SECRET)

    def kill(self) -> None:
        self.child.signal(signal.SIGKILL)
        assert self.child.wait() is not None

    def stop(self) -> int | None:
        """Ask it to end, and return its exit code."""
        self.child.signal(signal.SIGTERM)
        return self.child.wait()

    def resume(self) -> None:
        self.child.signal(signal.SIGCONT)

    def wait_stopped(self, request: threading.Thread) -> bool:
        while self.child.status() != "stopped":
            if not request.is_alive():
                return False
            time.sleep(_POLL_S)
        return True

    def wait_killed(self) -> bool:
        return self.child.wait(5) is not None

    def arm(self, at: int | None = None) -> None:
        fresh = self.armed.with_suffix(".new")
        fresh.write_text("" if at is None else str(at))
        fresh.rename(self.armed)

    def disarm(self) -> None:
        self.armed.unlink(missing_ok=True)

    def log(self) -> str:
        """Return what it printed."""
        return self.child.text()


class FolderServers(Servers):
    """Servers with one folder index on ROOT."""

    def __init__(self, nursery: Nursery) -> None:
        self._nursery = nursery
        self._started: list[Child] = []
        self._clients: list[IndexClient] = []

    def start(
        self,
        root: Path,
        plan: Plan | None = None,
        *,
        arguments: Sequence[str] = (),
        limits: Mapping[str, int] | None = None,
        as_user: bool = False,
        log: Path | None = None,
        trace: Path | None = None,
        config: str | None = None,
        wait: bool = True,
    ) -> Server:
        root.mkdir(parents=True, exist_ok=True)
        armed = armed_file(root)
        if plan is not None:
            plan = replace(plan, armed=str(armed), tally=str(tally_file(root)) if plan.at == 0 else "")
        argv = ["wheelyard", "server", str(root), "--host", "127.0.0.1", "--port", "0", "--extra-index-url", ""]
        argv += ["--config", str(self._config(root, config)), *arguments]
        child = self._fork(argv, root, plan, limits=limits, as_user=as_user, log=log, trace=trace)
        url = self._url(child, give_up=not wait or (plan is not None and armed.exists()))
        server = Server(child, root, armed, url)
        self._clients.append(server.client)
        return server

    def command(self, root: Path, *arguments: str) -> int:
        child = self._fork(
            ["wheelyard", *arguments, "--root", str(root), "--config", str(self._config(root))], root, None
        )
        code = child.wait()
        assert code is not None, child.text()
        return code

    def tally(self, root: Path) -> list[str]:
        return tally_file(root).read_text().split()

    def close(self) -> None:
        """End everything that was started."""
        for child in self._started:
            child.signal(signal.SIGKILL)
        for child in self._started:
            child.wait()
        for client in self._clients:
            client.close()

    def config_text(self, *, fsync: bool = True) -> str:
        """Return the text of a configuration."""
        text = f'[{INDEX}]\ntype = "file_system"\nread_secret = "{READ_SECRET}"\nwrite_secret = "{WRITE_SECRET}"\n'
        return text if fsync else text + "fsync = false\n"

    def _config(self, root: Path, text: str | None = None) -> Path:
        path = root.with_name(f"{root.name}.toml")
        content = text or self.config_text()
        if not path.exists() or path.read_text() != content:
            path.write_text(content)
        return path

    def _fork(
        self,
        argv: Sequence[str],
        root: Path,
        plan: Plan | None,
        *,
        limits: Mapping[str, int] | None = None,
        as_user: bool = False,
        log: Path | None = None,
        trace: Path | None = None,
    ) -> Child:
        path = log or root.with_name(f"{root.name}-{uuid.uuid4().hex[:8]}.log")
        pid = self._nursery.order(
            argv=list(argv),
            log=str(path),
            env={"HOME": str(root)},
            limits=dict(limits or {}),
            as_user=as_user,
            plan=None if plan is None else asdict(plan),
            trace=None if trace is None else [str(root), str(trace)],
        )
        child = Child(self._nursery, pid, path)
        self._started.append(child)
        return child

    def _url(self, child: Child, *, give_up: bool) -> str:
        """Wait until a server answers; "" when it ended before and may."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            found = _URL.search(child.text()) if child.log.exists() else None
            if found is not None and _answers(found[1]):
                return found[1]
            if isinstance(child.status(), int):
                assert give_up, child.text()
                return "http://127.0.0.1:9"
            time.sleep(_POLL_S)
        raise AssertionError(child.text())


def _answers(url: str) -> bool:
    """Tell whether a server answers; without a client, whose making takes as long as the server's start."""
    host, _, port = url.removeprefix("http://").partition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b" 200 " in connection.recv(100)
    except OSError:
        return False


def storage_of(root: Path) -> Path:
    """Return the storage folder of the index."""
    return root / "cache" / INDEX / "storage"


def armed_file(root: Path) -> Path:
    return root.with_name(f"{root.name}.armed")


def tally_file(root: Path) -> Path:
    return root.with_name(f"{root.name}.tally")


if __name__ == "__main__":
    _serve_orders()
