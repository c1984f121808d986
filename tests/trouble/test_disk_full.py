"""A disk that is full: at every step, for bytes and for names, by a limit, at the start, and under the log."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from crash.nursery import INDEX, READ_SECRET, WRITE_SECRET, FolderServers, storage_of
from trouble.answers import check_told, tree
from wheelyard.testing.crash import Ledger, check_promises, package
from wheelyard.testing.crash_steps import CHANGES, NEEDS_ROOM, Plan
from wheelyard.testing.crash_suite import SCENARIOS, KillSuite, Scenario

pytestmark = pytest.mark.slow

PAGE = 4096
Mount = Callable[[str], Path]
LARGE = os.urandom(90_000)

FAULTS = {
    "ENOSPC": (507, "storage-full", NEEDS_ROOM),
    "EDQUOT": (507, "storage-full", NEEDS_ROOM),
    "EROFS": (503, "storage-read-only", CHANGES),
    "EIO": (503, "storage-unavailable", CHANGES),
}


def config_on(disk: Path) -> str:
    """A configuration whose storage is on a small disk, and all else elsewhere."""
    return (
        f'[{INDEX}]\ntype = "file_system"\nread_secret = "{READ_SECRET}"\nwrite_secret = "{WRITE_SECRET}"\n'
        f'path = "{disk}/storage"\n'
    )


def free_pages(disk: Path) -> int:
    return os.statvfs(disk).f_bavail


def leave(disk: Path, pages: int) -> None:
    """Fill a disk so that just some pages are free."""
    ballast = disk / "ballast"
    ballast.touch()
    size = ballast.stat().st_size + (free_pages(disk) - pages) * PAGE
    os.truncate(ballast, size - size % PAGE)
    with ballast.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, max(size - size % PAGE, 1))
    if free_pages(disk) != pages:  # the ballast's own page
        os.truncate(ballast, max(0, ballast.stat().st_size + (free_pages(disk) - pages) * PAGE))
    assert free_pages(disk) == pages


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_full_at_every_page(content: bytes, servers: FolderServers, mount: Mount, tmp_path: Path) -> None:
    """UP-13: whatever room is left, a publish is taken whole or refused with 507, nothing half stays, the rest is served."""
    disk = mount("size=1m")
    client = servers.start(tmp_path / "root", config=config_on(disk)).client
    ledger = Ledger()
    ledger.publish(client, package("demo", "1.0"))
    refused = 0
    for pages in range(60):
        leave(disk, pages)
        each = package("demo", "2.0", payload=content) if pages % 2 else package("new", "1.0", payload=content)
        before = tree(disk / "storage")
        answer = ledger.publish(client, each)
        assert answer is not None
        if answer.status_code == 200:
            if pages % 2 == 0:
                continue
            break
        check_told(answer, 507, "storage-full", "full", "nothing was kept", "make room")
        assert tree(disk / "storage") == before
        assert free_pages(disk) >= pages - 1, "the journal may have grown by a page, nothing else"
        refused += 1
        check_promises(client, ledger)
    else:
        pytest.fail("there was room enough")
    assert refused > 2
    check_promises(client, ledger)


def test_no_names_left(servers: FolderServers, mount: Mount, tmp_path: Path) -> None:
    """UP-13: a disk that has room but no inodes refuses as a full one, and takes the same file when there are some."""
    disk = mount("size=4m,nr_inodes=60")
    client = servers.start(tmp_path / "root", config=config_on(disk)).client
    ledger = Ledger()
    ledger.publish(client, package("demo", "1.0"))
    ballast = [disk / f"ballast-{number}" for number in range(os.statvfs(disk).f_favail)]
    for each in ballast:
        each.touch()
    refused = 0
    while ballast:
        before = tree(disk / "storage")
        answer = ledger.publish(client, package("demo", "2.0", payload=LARGE))
        assert answer is not None
        if answer.status_code == 200:
            break
        check_told(answer, 507, "storage-full")
        assert tree(disk / "storage") == before
        check_promises(client, ledger)
        refused += 1
        ballast.pop().unlink()
    assert refused > 2
    check_promises(client, ledger)


def test_other_work_on_a_full_disk(servers: FolderServers, mount: Mount, tmp_path: Path) -> None:
    """On a full disk pages and files are served, changes are refused whole, and room can be made by deleting a project."""
    disk = mount("size=1m")
    client = servers.start(tmp_path / "root", config=config_on(disk)).client
    ledger = Ledger()
    for name in ("demo", "other"):
        ledger.publish(client, package(name, "1.0", payload=LARGE))
    leave(disk, 0)
    check_told(client.yank("demo", "1.0"), 507, "storage-full", "make room")
    check_promises(client, ledger)
    assert client.delete("other").status_code == 200
    ledger.kept["other"] = {}
    assert free_pages(disk) > 20
    assert client.yank("demo", "1.0").status_code == 200
    check_promises(client, ledger)


def test_a_start_on_a_full_disk(servers: FolderServers, mount: Mount, tmp_path: Path) -> None:
    """A server starts on a full disk and serves what is there; when there is room again it publishes, without a restart."""
    disk = mount("size=1m,nr_inodes=60")
    root = tmp_path / "root"
    server = servers.start(root, config=config_on(disk))
    ledger = Ledger()
    ledger.publish(server.client, package("demo", "1.0"))
    server.kill()
    leave(disk, 0)
    for number in range(os.statvfs(disk).f_favail):
        (disk / f"name-{number}").touch()
    client = servers.start(root, config=config_on(disk)).client
    check_promises(client, ledger)
    check_told(client.publish(package("demo", "2.0")), 507, "storage-full")
    check_told(client.publish(package("demo", "2.0", payload=LARGE)), 507, "storage-full")
    for each in (disk / "ballast", *disk.glob("name-*")):
        each.unlink()
    answer = ledger.publish(client, package("demo", "2.0", payload=LARGE))
    assert answer is not None
    assert answer.status_code == 200
    check_promises(client, ledger)


def test_a_limit_of_the_system_on_file_sizes(servers: FolderServers, tmp_path: Path) -> None:
    """A limit such as `ulimit -f` refuses the file that passes it, says so, and nothing else is in trouble."""
    client = servers.start(tmp_path / "root", limits={"RLIMIT_FSIZE": 80_000}).client
    ledger = Ledger()
    ledger.publish(client, package("demo", "1.0"))
    before = tree(storage_of(tmp_path / "root"))
    check_told(client.publish(package("demo", "2.0", payload=LARGE)), 507, "storage-full", "limit", "file")
    assert tree(storage_of(tmp_path / "root")) == before
    ledger.publish(client, package("demo", "3.0"))
    check_promises(client, ledger)


def test_the_log_on_a_full_disk(servers: FolderServers, mount: Mount, tmp_path: Path) -> None:
    """A log that cannot be written is no trouble of those who publish and install."""
    disk = mount("size=64k")
    server = servers.start(tmp_path / "root", log=disk / "log")
    leave(disk, 0)
    ledger = Ledger()
    for number in range(100):  # more than fits into the last page of the log
        answer = ledger.publish(server.client, package("demo", f"1.{number}"))
        assert answer is not None
        assert answer.status_code == 200, answer.text
    check_promises(server.client, ledger)
    assert server.stop() == 0


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("scenario", [SCENARIOS[1], SCENARIOS[2], SCENARIOS[5]], ids=lambda each: each.name)
def test_a_fault_at_every_step(scenario: Scenario, fault: str, servers: FolderServers, tmp_path: Path) -> None:
    """UP-13: from any step on everything fails: the answer says so, the project is as before or after, and it works again."""
    status, code, steps = FAULTS[fault]
    server = servers.start(tmp_path / "root", Plan(fault=fault, steps=steps, lasting=True))
    client = server.client
    suite = KillSuite()
    failed = 0
    for number in range(1, 60):
        ledger = suite.prepare(scenario, client)
        ledger.kept["demo"] = {} if scenario.before is None else dict(scenario.before.files)
        server.arm(number)
        answer = scenario.act(client)
        server.disarm()
        found = client.listed("demo")
        if answer.status_code != 200:
            failed += 1
            check_told(answer, status, code)
            assert found in (scenario.before, scenario.after)
            if found == scenario.before:
                assert scenario.act(client).status_code == 200
        assert client.listed("demo") == scenario.after
        last = number
        if answer.status_code == 200 and number > 25:
            break
        assert client.delete("demo").status_code == 200
    assert failed > 3, last
    assert "internal-error" not in server.log()
