"""
Fuzz the management API by its own description, with schemathesis against a started server.

Two halves: one with names out of the air, one with names that exist, so that operations get past "there is no such project".
"""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wheelyard.testing.builders import WheelBuilder, form_fields, multipart_body

NAME = "api"
ABOUT = "answers as described (status, type, schema), nothing without credentials, no server error"

_SECRET = "write-1"
_CONFIG = f'[main]\ntype = "memory"\nread_secret = "read-1"\nwrite_secret = "{_SECRET}"\n'
_KNOWN = '[parameters]\n"path.index" = "main"\n"path.project" = "demo"\n"path.version" = "1.0"\n'
_KNOWN_FILE = '"path.filename" = "demo-1.0-py3-none-any.whl"\n'
_EXAMPLES = 1_000_000  # for each operation: time ends the run, not their number
_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What came of a run.

    Attributes:
        cases: Requests sent and checked.
        accepted: How many of them were answered 2xx.
        problems: What was found, one line each; empty when all is well.
        log: All that schemathesis printed.
    """

    cases: int
    accepted: int
    problems: tuple[str, ...]
    log: str = ""


def fuzz_api(seconds: int) -> Outcome:
    """Run both halves."""
    with tempfile.TemporaryDirectory(prefix="wheelyard-fuzz-") as folder, _server(Path(folder)) as (url, log):
        strange = _run(url, Path(folder), seconds // 2, config="", arguments=())
        _publish(url, Path(folder))
        # What is deleted stays away, so deletions get names out of the air only.
        known = _run(
            url,
            Path(folder),
            seconds - seconds // 2,
            config=_KNOWN + _KNOWN_FILE,
            arguments=("--exclude-method", "DELETE"),
        )
        internal = [line[:2000] for line in log.read_text().splitlines() if '"internal-error"' in line]
    return Outcome(
        strange.cases + known.cases,
        strange.accepted + known.accepted,
        (*strange.problems, *known.problems, *internal),
        strange.log + known.log,
    )


def _run(url: str, folder: Path, seconds: int, *, config: str, arguments: tuple[str, ...]) -> Outcome:
    settings, report = folder / "schemathesis.toml", folder / "report.json"
    settings.write_text(config)
    report.unlink(missing_ok=True)
    command = [Path(sys.executable).with_name("st"), "--config-file", settings, "--no-color", "run"]
    command += [f"{url}/api/openapi.json", "--auth", f"main:{_SECRET}", "--max-time", str(seconds)]
    command += ["--max-examples", str(_EXAMPLES), "--continue-on-failure", "--generation-database", "none"]
    command += ["--report", "json", "--report-json-path", report, *arguments]
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=seconds * 3 + 120,
        check=False,
    )
    if not report.is_file():
        return Outcome(
            0, 0, (f"schemathesis ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}",)
        )
    found = json.loads(report.read_text())
    accepted = sum(phase["accepted"] for operation in found["valid_rates"].values() for phase in operation.values())
    problems = [json.dumps(each)[:2000] for each in (*found["failures"], *found["errors"])]
    if done.returncode and not problems:
        problems = [f"schemathesis ended with {done.returncode}: {done.stdout[-2000:]}"]
    return Outcome(found["test_cases"]["generated"], accepted, tuple(problems), done.stdout)


@contextmanager
def _server(folder: Path) -> Iterator[tuple[str, Path]]:
    """Start a server over the memory backend; gives its URL and its log."""
    config, log = folder / "config.toml", folder / "server.log"
    config.write_text(_CONFIG)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "wheelyard", "server", folder / "root", "--config", config]
    command += ["--host", "127.0.0.1", "--port", port]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "NO_COLOR": "1"},
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url, process, log)
        yield url, log
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the server does not answer; it printed:\n{log.read_text()}")


def _publish(url: str, folder: Path) -> None:
    path = WheelBuilder().build(folder)
    content_type, body = multipart_body(form_fields(path), path.name, path.read_bytes())
    credentials = base64.b64encode(f"main:{_SECRET}".encode()).decode()
    headers = {"Content-Type": content_type, "Authorization": f"Basic {credentials}"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/legacy/", data=body, headers=headers), timeout=30):
        pass
