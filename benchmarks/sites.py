"""How long a static site takes to build, from nothing and again, and how much memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.corpus import INDEX, Corpus
from benchmarks.figures import OURS, Row
from benchmarks.ours import CONFIG
from benchmarks.place import BenchError

GROUP = "Static site"


def measure(corpus: Corpus, work: Path, row: Callable[..., Row], *, rounds: int) -> None:
    """
    Build the site of a corpus with the command, from nothing and then again.

    Args:
        corpus: What is built.
        work: Folder on the disk of the corpus, so that files can be linked.
        row: Gives the row of a key.
        rounds: How often.
    """
    size, files = corpus.size.name, f"{corpus.manifest.files:,} files"
    first = row(f"site-{size}", f"site built from nothing, {files}", GROUP, "s", more_is_better=False)
    memory = row(f"site-memory-{size}", f"memory for that, {files}", GROUP, "MB", more_is_better=False)
    again = row(f"site-again-{size}", f"site built again, nothing new, {files}", GROUP, "s", more_is_better=False)
    folder = work / "site"
    config = work / "site.toml"
    config.write_text(CONFIG, encoding="utf-8")
    for number in range(rounds):
        shutil.rmtree(folder, ignore_errors=True)
        took, most = _built(corpus, config, folder)
        first.add(OURS, number, took)
        memory.add(OURS, number, most)
        again.add(OURS, number, _built(corpus, config, folder)[0])
    shutil.rmtree(folder, ignore_errors=True)


def _built(corpus: Corpus, config: Path, folder: Path) -> tuple[float, float]:
    """Run the command; returns seconds and the most megabytes it had."""
    command = [sys.executable, "-m", "wheelyard", "site", "build", str(corpus.root), INDEX, "--config", str(config)]
    began = time.perf_counter()
    process = subprocess.Popen([*command, "--to", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise BenchError(f"the site was not built: exit code {process.returncode}")
    return time.perf_counter() - began, used.ru_maxrss / 1024
