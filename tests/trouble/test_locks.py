"""A lock that somebody holds and never gives back: named after a while; what does not need it goes on."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

import httpx2
import pytest

from crash.nursery import FolderServers, storage_of
from trouble.answers import check_told
from wheelyard.testing.crash import Ledger, check_promises, package

pytestmark = pytest.mark.slow


@contextmanager
def held(path: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold a lock as a process does that hangs."""
    opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(opened, how)
        yield
    finally:
        os.close(opened)


def shard(kind: str, project: str) -> str:
    return f"{kind}-{crc32(f'simple/{project}/index.json'.encode()) % 64:02x}"


@pytest.mark.parametrize("kind", ["publish", "record", "journal"])
def test_a_lock_of_the_storage(kind: str, servers: FolderServers, tmp_path: Path) -> None:
    """Whoever needs the lock is told after `lock_timeout` which one it is; others are served, and afterwards it works."""
    root = tmp_path / "root"
    client = servers.start(root, config=servers.config_text() + "lock_timeout = 1\n").client
    ledger = Ledger()
    ledger.publish(client, package("demo", "1.0"))
    name = kind if kind == "journal" else shard(kind, "demo")
    with held(storage_of(root) / ".wheelyard/locks" / name):
        changes: tuple[Callable[[], httpx2.Response], ...] = (
            lambda: client.publish(package("demo", "2.0")),
            lambda: client.yank("demo", "1.0"),
        )
        for change in changes:
            check_told(change(), 503, "storage-unavailable", f"'{name}'", "seconds", "fuser")
        check_promises(client, ledger)
        if kind != "journal":
            assert shard(kind, "other") != shard(kind, "demo")
            answer = ledger.publish(client, package("other", "1.0"))
            assert answer is not None
            assert answer.status_code == 200
    answer = ledger.publish(client, package("demo", "2.0"))
    assert answer is not None
    assert answer.status_code == 200
    assert client.yank("demo", "1.0").status_code == 200
    check_promises(client, ledger)


def test_lock_files_left_behind_mean_nothing(servers: FolderServers, tmp_path: Path) -> None:
    """Lock files that dead processes left, whatever is in them, hold nobody up; nor does their removal while it runs."""
    root = tmp_path / "root"
    server = servers.start(root)
    ledger = Ledger()
    ledger.publish(server.client, package("demo", "1.0"))
    server.kill()
    locks = storage_of(root) / ".wheelyard/locks"
    for path in locks.iterdir():
        path.write_bytes(b"12345 and whatever")
    client = servers.start(root, config=servers.config_text() + "lock_timeout = 1\n").client
    ledger.publish(client, package("demo", "2.0"))
    for path in locks.iterdir():
        path.unlink()
    ledger.publish(client, package("demo", "3.0"))
    assert len(ledger.kept["demo"]) == 3
    check_promises(client, ledger)
