"""wrk: many requests over kept connections, from outside."""

from __future__ import annotations

import hashlib
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.place import BenchError, tool
from benchmarks.web import Connection

THREADS = 2
CONNECTIONS = 32
_TIMEOUT_S = 30
_SLOW_S = 0.1  # an answer that takes longer is measured one after the other: 32 at once would only wait for each other
_SLOW_TIMES = 2
_RESULT = re.compile(r"^result (.*)$", re.MULTILINE)
_SCRIPT = Path(__file__).with_name("requests.lua")


@dataclass(frozen=True, slots=True)
class Request:
    """
    One request to be sent again and again.

    Attributes:
        path: Request target.
        headers: Headers.
    """

    path: str
    headers: Mapping[str, str]

    def line(self) -> str:
        """Write it for the script."""
        return "\t".join((self.path, *(f"{name}: {value}" for name, value in self.headers.items()))) + "\n"


@dataclass(frozen=True, slots=True)
class Load:
    """
    Requests to one server.

    Attributes:
        origin: Scheme, host and port.
        requests: Sent in turn.
        listed: The same, written down for wrk.
        status: What each is answered with.
        slow: Whether one answer takes so long that they are sent one after the other.
    """

    origin: str
    requests: Sequence[Request]
    listed: Path
    status: int
    slow: bool = False


def rate(load: Load, seconds: int) -> float:
    """
    Return requests per second.

    Raises:
        BenchError: Answers were missing or wrong.
    """
    if load.slow:
        return _rate_in_turn(load, seconds)
    command = [tool("wrk"), f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", f"{_TIMEOUT_S}s"]
    command += ["--script", str(_SCRIPT), load.origin, "--", str(load.listed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 4 * _TIMEOUT_S, check=False)
    found = _RESULT.search(done.stdout)
    if found is None:
        raise BenchError(f"wrk ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-200:]}")
    told = {name: int(value) for name, _, value in (part.partition("=") for part in found[1].split())}
    if told["failed"] or told["status"]:
        raise BenchError(f"{told['failed'] + told['status']} of {told['requests']} requests failed")
    if not told["requests"]:
        raise BenchError(f"no answer within {seconds} s")
    return told["requests"] * 1e6 / told["microseconds"]


def _rate_in_turn(load: Load, seconds: int) -> float:
    count, began = 0, time.perf_counter()
    with Connection(load.origin) as connection:
        while True:
            request = load.requests[count % len(load.requests)]
            if connection.get(request.path, request.headers).status != load.status:
                raise BenchError(f"'{request.path}' failed")
            count += 1
            passed = time.perf_counter() - began
            if passed >= seconds:
                return count / passed


def prepared(
    origin: str, requests: Sequence[Request], listed: Path, *, status: int, may_be_slow: bool = True
) -> tuple[Load, dict[str, bytes]]:
    """
    Send each request once, so that everything that can be remembered is, and see that the answers are right.

    Args:
        origin: Scheme, host and port.
        requests: What is sent.
        listed: File that is written for wrk.
        status: What each is answered with.
        may_be_slow: Whether a server that is slow twice running is measured by one request after the other.
    Returns:
        The load, and the digest of the body of each path.
    Raises:
        BenchError: An answer has another status.
    """
    bodies: dict[str, bytes] = {}
    slow = 0
    with Connection(origin) as connection:
        for number, request in enumerate(requests if len(requests) > _SLOW_TIMES else [*requests] * (_SLOW_TIMES + 1)):
            began = time.perf_counter()
            answer = connection.get(request.path, request.headers)
            if answer.status != status:
                raise BenchError(f"'{request.path}' is answered with {answer.status}, not {status}")
            bodies[request.path] = hashlib.sha256(answer.body).digest()
            slow = (
                slow + 1 if time.perf_counter() - began > _SLOW_S and number else 0
            )  # the first pays for what is done once
            if may_be_slow and slow == _SLOW_TIMES:
                requests = requests[: number + 1]
                break
    listed.parent.mkdir(parents=True, exist_ok=True)
    listed.write_text("".join(request.line() for request in requests), encoding="utf-8")
    return Load(origin, requests, listed, status, may_be_slow and slow >= _SLOW_TIMES), bodies
