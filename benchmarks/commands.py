"""Real clients, end to end: how long a whole command takes, without any cache of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.corpus import TREE_PACKAGES
from benchmarks.place import BenchError, tool

_LIMIT_S = 300.0
_PATIENT = {"UV_HTTP_TIMEOUT": "120", "UV_HTTP_CONNECT_TIMEOUT": "120", "PIP_DEFAULT_TIMEOUT": "120"}


@dataclass(frozen=True, slots=True)
class Command:
    """
    One command of one client.

    Attributes:
        key: Its name.
        title: Its name for people.
    """

    key: str
    title: str

    def run(self, index_url: str, root: str, work: Path, *, limit_s: float = _LIMIT_S) -> float:
        """
        Run it against an index.

        Args:
            index_url: URL of the index, credentials inside.
            root: Project at the root of the dependency tree.
            work: Folder that may be emptied.
            limit_s: Longest that it may take.
        Returns:
            Seconds.
        Raises:
            BenchError: It failed, or did not do everything.
        """
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        (work / "requirements.in").write_text(f"{root}\n", encoding="utf-8")
        passed = _timed(self._arguments(index_url, root, work), work, limit_s)
        done = self._count(work)
        shutil.rmtree(work, ignore_errors=True)
        if done != TREE_PACKAGES:
            raise BenchError(f"'{self.title}' found {done} of {TREE_PACKAGES} packages")
        return passed

    def _arguments(self, index_url: str, root: str, work: Path) -> list[str]:
        target = str(work / "target")
        plain = ["--index-url", index_url]
        match self.key:
            case "uv-install":
                options = ["--quiet", "--no-cache", "--no-config", "--only-binary", ":all:", "--link-mode", "copy"]
                return [
                    tool("uv"),
                    "pip",
                    "install",
                    *options,
                    "--python",
                    sys.executable,
                    "--target",
                    target,
                    *plain,
                    root,
                ]
            case "uv-compile":
                options = ["--quiet", "--no-cache", "--no-config", "--generate-hashes", "--no-annotate", "--no-header"]
                files = ["requirements.in", "-o", "requirements.txt"]
                return [tool("uv"), "pip", "compile", *options, "--python", sys.executable, *plain, *files]
            case _:
                options = ["--quiet", "--isolated", "--no-cache-dir", "--disable-pip-version-check", "--no-compile"]
                options += ["--only-binary", ":all:"]
                return [sys.executable, "-m", "pip", "install", *options, "--target", target, *plain, root]

    def _count(self, work: Path) -> int:
        if self.key != "uv-compile":
            return len(list((work / "target").glob("*.dist-info")))
        return (work / "requirements.txt").read_text(encoding="utf-8").count("==")


UV_INSTALL = Command("uv-install", f"`uv pip install`, {TREE_PACKAGES} packages")
UV_COMPILE = Command("uv-compile", f"`uv pip compile`, {TREE_PACKAGES} packages")
PIP_INSTALL = Command("pip-install", f"`pip install`, {TREE_PACKAGES} packages")


def publish_with_uv(files: Sequence[Path], url: str, user: str, password: str, work: Path) -> float:
    """
    Publish files with `uv publish`; return seconds for each.

    Raises:
        BenchError: It failed.
    """
    work.mkdir(parents=True, exist_ok=True)
    command = [tool("uv"), "publish", "--quiet", "--no-config", "--trusted-publishing", "never", "--publish-url", url]
    command += ["--username", user, "--password", password, *map(str, files)]
    return _timed(command, work) / len(files)


def _timed(command: Sequence[str], work: Path, limit_s: float = _LIMIT_S) -> float:
    bare = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(work), "LANG": "C.UTF-8", "NO_COLOR": "1"}
    began = time.perf_counter()
    try:
        done = subprocess.run(
            list(command),
            cwd=work,
            env={**bare, **_PATIENT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"takes more than {limit_s:.0f} s") from None
    passed = time.perf_counter() - began
    if done.returncode:
        words = " ".join(done.stdout.split())
        raise BenchError(f"'{Path(command[0]).name}' ended with {done.returncode}: {words[-200:]}")
    return passed
