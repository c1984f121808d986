"""What the store keeps for itself is gone or damaged, or the whole storage is: never an answer that means "not there"."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from crash.nursery import FolderServers, Server, storage_of
from trouble.answers import check_told
from wheelyard.testing.crash import Ledger, check_promises, package

pytestmark = pytest.mark.slow

JSON = "application/vnd.pypi.simple.v1+json"
LARGE = os.urandom(90_000)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def server(servers: FolderServers, tmp_path: Path, ledger: Ledger) -> Server:
    """A server with two projects."""
    started = servers.start(tmp_path / "root")
    for each in (package("demo", "1.0"), package("other", "1.0")):
        ledger.publish(started.client, each)
    check_promises(started.client, ledger)
    return started


def check_works(server: Server, ledger: Ledger) -> None:
    """Changes are taken, and listed at once."""
    for each in (
        package("demo", f"2.{os.urandom(3)[0]}.{os.urandom(1)[0]}"),
        package(f"new-{os.urandom(4).hex()}", payload=LARGE),
    ):
        answer = ledger.publish(server.client, each)
        assert answer is not None
        assert answer.status_code == 200, answer.text
        assert each.project in server.client.names()
    check_promises(server.client, ledger)


def test_the_storage_folder_vanishes(server: Server, ledger: Ledger) -> None:
    """DC-01: storage that is gone (a volume unmounted) is 503, never 404: pip must not go on to the next index. It comes back as it was."""
    storage = storage_of(server.root)
    storage.rename(storage.with_name("away"))
    for path in ("/simple/", "/simple/demo/", "/simple/unknown/", "/simple/demo/demo-1.0-py3-none-any.whl"):
        check_told(server.client.get(path, accept=JSON), 503, "storage-unavailable", "gone", "mounted")
    for answer in (server.client.publish(package("demo", "2.0")), server.client.yank("demo", "1.0")):
        check_told(answer, 503, "storage-unavailable")
    assert not storage.exists()
    ready = server.client.get("/readyz")
    assert ready.status_code == 503
    storage.with_name("away").rename(storage)
    check_works(server, ledger)


def test_an_empty_mount_point(server: Server, ledger: Ledger) -> None:
    """DC-01: an empty folder where the volume should be is no empty index, and nothing is written into it."""
    storage = storage_of(server.root)
    storage.rename(storage.with_name("away"))
    storage.mkdir()
    for path in ("/simple/", "/simple/demo/", "/simple/unknown/"):
        check_told(server.client.get(path, accept=JSON), 503, "storage-unavailable", "gone", "mounted")
    for each in (package("demo", "2.0"), package("new", "1.0", payload=LARGE)):
        check_told(server.client.publish(each), 503, "storage-unavailable", "gone", "mounted")
    assert list(storage.iterdir()) == []
    storage.rmdir()
    storage.with_name("away").rename(storage)
    check_works(server, ledger)


def test_only_the_stores_own_folder_vanishes(server: Server, ledger: Ledger, servers: FolderServers) -> None:
    """Without `.wheelyard` what is listed is served and the rest is 503; put back, or after a restart, all works."""
    own = storage_of(server.root) / ".wheelyard"
    own.rename(own.with_name("away"))
    assert server.client.get("/simple/demo/", accept=JSON).status_code == 200
    check_told(server.client.get("/simple/unknown/", accept=JSON), 503, "storage-unavailable")
    check_told(server.client.publish(package("demo", "2.0")), 503, "storage-unavailable", "gone")
    assert not own.exists()
    own.with_name("away").rename(own)
    check_works(server, ledger)
    shutil.rmtree(own)
    again = servers.start(server.root)
    check_works(again, ledger)
    check_works(server, ledger)


@pytest.mark.parametrize("part", ["locks", "tmp", "journal"])
def test_a_part_of_it_vanishes(part: str, server: Server, ledger: Ledger) -> None:
    """A part of `.wheelyard` that somebody removed is made anew, without a restart."""
    path = storage_of(server.root) / ".wheelyard" / part
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    assert server.client.names() == ["demo", "other"]
    check_works(server, ledger)


def emptied(journal: Path) -> None:
    journal.write_bytes(b"")


def truncated(journal: Path) -> None:
    os.truncate(journal, journal.stat().st_size - 10)


def without_its_last_lines(journal: Path) -> None:
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:2]))


def garbled(journal: Path) -> None:
    journal.write_bytes(os.urandom(journal.stat().st_size))


def garbage_at_its_end(journal: Path) -> None:
    with journal.open("ab") as file:
        file.write(b"+simple/de\xff\x00 garbage")


def replaced(journal: Path) -> None:
    journal.unlink()
    journal.write_bytes(b"wheelyard journal 1 " + b"0" * 32 + b"\n")


def a_link(journal: Path) -> None:
    journal.rename(journal.with_name("elsewhere"))
    journal.symlink_to("elsewhere")


def a_folder(journal: Path) -> None:
    journal.unlink()
    journal.mkdir()


@pytest.mark.parametrize(
    "damage", [emptied, truncated, without_its_last_lines, garbled, garbage_at_its_end, replaced, a_link, a_folder]
)
def test_a_damaged_journal(
    damage: Callable[[Path], None], server: Server, ledger: Ledger, servers: FolderServers
) -> None:
    """Whatever becomes of the journal while servers run, lists stay complete and publishes are listed at once, by all."""
    beside = servers.start(server.root)
    damage(storage_of(server.root) / ".wheelyard/journal")
    for one in (server, beside):
        assert one.client.names() == ["demo", "other"]
    for number in range(3):
        writer, reader = (server, beside) if number % 2 else (beside, server)
        each = package(f"new-{number}")
        answer = ledger.publish(writer.client, each)
        assert answer is not None
        assert answer.status_code == 200, answer.text
        assert each.project in reader.client.names()
        assert each.project in writer.client.names()
    third = servers.start(server.root)
    for one in (server, beside, third):
        check_promises(one.client, ledger)
