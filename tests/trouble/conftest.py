"""Servers in trouble, and small disks to put them on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from crash.nursery import FolderServers, Nursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """The process that forks servers."""
    started = Nursery()
    yield started
    started.close()


@pytest.fixture
def servers(nursery: Nursery) -> Iterator[FolderServers]:
    """Servers with one folder index each; they end with the test."""
    made = FolderServers(nursery)
    yield made
    made.close()


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a small disk in memory with the given options; needs root."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    with ExitStack() as stack:

        def mounted(options: str) -> Path:
            place = tmp_path / "disk"
            place.mkdir()
            done = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=False, capture_output=True, text=True
            )
            if done.returncode != 0:
                pytest.skip(f"this machine mounts no disks: {done.stderr.strip()}")
            # Servers on it are killed by another fixture, perhaps after this one: so lazily.
            stack.callback(lambda: subprocess.run(["umount", "-l", place], check=True))
            return place

        yield mounted
