"""Storage that can only be read: served, changes refused by name, and written again as soon as it can be."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from crash.nursery import FolderServers, storage_of
from trouble.answers import check_told, tree
from trouble.test_disk_full import config_on
from wheelyard.testing.crash import IndexClient, Ledger, check_promises, package

pytestmark = pytest.mark.slow

LARGE = os.urandom(90_000)


def check_refused(client: IndexClient, ledger: Ledger, storage: Path) -> None:
    """Every change is refused with 503, nothing of it stays, and everything is served."""
    before = tree(storage)
    changes: tuple[Callable[[], httpx2.Response], ...] = (
        lambda: client.publish(package("demo", "2.0")),
        lambda: client.publish(package("demo", "2.0", payload=LARGE)),
        lambda: client.publish(package("new", "1.0")),
        lambda: client.yank("demo", "1.0"),
        lambda: client.set_status("demo", "archived"),
        lambda: client.delete("demo", version="1.0"),
        lambda: client.delete("demo"),
    )
    for change in changes:
        check_told(change(), 503, "storage-read-only", "cannot be written", "owner and mode")
    assert tree(storage) == before
    check_promises(client, ledger)


def check_works(client: IndexClient, ledger: Ledger) -> None:
    """Changes are taken."""
    for each in (package("demo", "2.0"), package("new", "1.0", payload=LARGE)):
        answer = ledger.publish(client, each)
        assert answer is not None
        assert answer.status_code == 200, answer.text
    assert client.yank("demo", "1.0").status_code == 200
    check_promises(client, ledger)


def test_a_read_only_mount(servers: FolderServers, mount: Callable[[str], Path], tmp_path: Path) -> None:
    """A server starts on a disk that is mounted read-only and serves it; mounted writable, it publishes without a restart."""
    disk = mount("size=4m")
    server = servers.start(tmp_path / "root", config=config_on(disk))
    ledger = Ledger()
    ledger.publish(server.client, package("demo", "1.0"))
    server.kill()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    client = servers.start(tmp_path / "root", config=config_on(disk)).client
    check_refused(client, ledger, disk / "storage")
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    check_works(client, ledger)


def set_writable(folder: Path, *, writable: bool) -> None:
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode & 0o777
        path.chmod(mode | 0o200 if writable else mode & ~0o222)


def test_taken_rights(servers: FolderServers, tmp_path: Path) -> None:
    """Rights that are taken away while the server runs are told, and given back they are used at once."""
    root = tmp_path / "root"
    server = servers.start(root, as_user=True)
    ledger = Ledger()
    ledger.publish(server.client, package("demo", "1.0"))
    storage = storage_of(root)
    set_writable(storage, writable=False)
    check_refused(server.client, ledger, storage)
    set_writable(storage, writable=True)
    check_works(server.client, ledger)
