"""Programs under measurement: started on a port of their own, watched from outside, stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from benchmarks.place import BenchError
from benchmarks.web import HTML, Connection

_POLL_S = 0.002
_STOP_S = 20.0
_QUIET_CPU = 0.05  # of one core; what an idle server with background threads stays below
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Subject:
    """
    A server as it is asked.

    Attributes:
        key: Its name in results.
        title: Its name for people, with the version.
        origins: Scheme, host and port by representation (`html`, `json`, `zstd`); nginx has one for each.
        simple: Path of the list of projects.
        headers: Sent with each request, credentials among them.
        client_url: URL of the index for pip and uv, credentials inside.
    """

    key: str
    title: str
    origins: Mapping[str, str]
    simple: str = "/simple/"
    headers: Mapping[str, str] = field(default_factory=dict)
    client_url: str = ""

    def origin(self, representation: str = "html") -> str | None:
        """Return where it offers a representation; None when it has none."""
        return self.origins.get(representation)

    def page(self, project: str) -> str:
        """Return the path of a project page."""
        return f"{self.simple}{project}/"


@dataclass
class Program:
    """
    A running program.

    Attributes:
        process: Its first process.
        log: What it prints.
        ready_s: Seconds from the start of the process to the first correct answer.
    """

    process: subprocess.Popen[bytes]
    log: Path
    ready_s: float = 0.0

    def memory_mb(self) -> float:
        """Return resident memory of all its processes, MB; what they share is divided among them (PSS) if there are several."""
        pids = _family(self.process.pid)
        if len(pids) == 1:
            return _status_kb(pids[0], "status", "VmRSS:") / 1024
        return sum(_status_kb(pid, "smaps_rollup", "Pss:") for pid in pids) / 1024

    def settle(self, limit_s: float = 90.0) -> None:
        """Wait until it is idle: a server that is still busy with requests nobody waits for would slow down the next one."""
        deadline = time.monotonic() + limit_s
        before = self.cpu_s()
        while time.monotonic() < deadline:
            time.sleep(0.1)
            now = self.cpu_s()
            if now - before <= _QUIET_CPU * 0.1 + 1 / _TICKS:
                return
            before = now

    def stop(self) -> None:
        """End it with all its processes."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def cpu_s(self) -> float:
        """Return the processor time that all its processes have used, seconds."""
        ticks = 0
        for pid in _family(self.process.pid):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            except OSError:
                continue
            ticks += int(fields[11]) + int(fields[12])
        return ticks / _TICKS


def free_port() -> int:
    """Return a port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(
    command: Sequence[str],
    subject: Subject,
    *,
    work: Path,
    expect: tuple[str, bytes],
    environment: Mapping[str, str] | None = None,
    limit_s: float = 60.0,
) -> Program:
    """
    Start a server, and wait for its first correct answer.

    Args:
        command: The program.
        subject: How it is asked.
        work: Folder for its log and as its home.
        expect: A project, and bytes that its page holds when it is right.
        environment: Variables besides a bare environment.
        limit_s: Longest wait.
    Raises:
        BenchError: It ended, or did not answer right in time.
    """
    work.mkdir(parents=True, exist_ok=True)
    log = work / f"{subject.key}.log"
    bare = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(work), "LANG": "C.UTF-8", "NO_COLOR": "1"}
    began = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**bare, **(environment or {})},
            cwd=work,
            start_new_session=True,
        )
    program = Program(process, log)
    try:
        _await_answer(program, subject, expect, began + limit_s)
    except BaseException:
        program.stop()
        raise
    program.ready_s = time.perf_counter() - began
    return program


def _await_answer(program: Program, subject: Subject, expect: tuple[str, bytes], deadline: float) -> None:
    project, content = expect
    origin = subject.origin() or subject.origin("json") or ""
    host, _, port = origin.rpartition("//")[2].partition(":")
    seen = "nothing"
    while time.perf_counter() < deadline:
        if program.process.poll() is not None:
            raise BenchError(f"it ended with {program.process.returncode}: {_last_line(program.log)}")
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            with Connection(origin, subject.headers) as connection:
                answer = connection.get(subject.page(project), {"Accept": HTML})
            if answer.status == HTTPStatus.OK and content in answer.body:
                return
            seen = f"{answer.status}: {answer.body[:120]!r}"
        except OSError:
            pass
        time.sleep(_POLL_S)
    raise BenchError(f"no correct answer in time; the last was {seen}; it printed: {_last_line(program.log)}")


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "nothing"


def _family(pid: int) -> list[int]:
    """Return a process and everything below it."""
    found = [pid]
    for parent in found:
        try:
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
        except OSError:
            continue
        found += map(int, children)
    return found


def _status_kb(pid: int, file: str, name: str) -> int:
    try:
        text = Path(f"/proc/{pid}/{file}").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(name)), 0)
