"""Fixtures of the command-line tests: run the program as a user does."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

RUN_SECONDS = 60


@dataclass(frozen=True)
class Done:
    """What one run of the program gave."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `wheelyard` with arguments in an environment of its own; `program` starts it under another name."""

    def run_program(
        *arguments: str, env: Mapping[str, str] | None = None, program: str = "wheelyard", text: str = ""
    ) -> Done:
        kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE") or name == "PATH"}
        code = f"import sys; sys.argv[0] = {program!r}; from wheelyard.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=kept | {"HOME": str(tmp_path), "LANG": "C.UTF-8"} | dict(env or {}),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            input=text,
            timeout=RUN_SECONDS,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    return run_program
