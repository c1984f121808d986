"""Two servers on one folder."""

import os
from pathlib import Path

import pytest

from crash.nursery import FolderServers, storage_of
from wheelyard.testing.crash import Ledger, check_promises, package
from wheelyard.testing.crash_steps import Plan
from wheelyard.testing.crash_suite import TwoServersSuite


@pytest.mark.slow
class TestTwoServersOnAFolder(TwoServersSuite):
    """Any number of processes may use a folder at once."""


def temporary_folders(root: Path) -> list[str]:
    """The folders of processes for their temporary files."""
    return sorted(path.name for path in (storage_of(root) / ".wheelyard/tmp").iterdir())


@pytest.mark.slow
def test_the_next_process_reclaims_what_a_killed_one_left(servers: FolderServers, tmp_path: Path) -> None:
    """What a killed server left is removed by whichever process starts next, a command too; what a living one has is not."""
    root = tmp_path / "root"
    living = servers.start(root)
    ledger = Ledger()
    ledger.publish(living.client, package("demo", "1.0"))
    [ours] = temporary_folders(root)
    killed = servers.start(root, Plan(at=1, steps=["link"]))
    killed.arm()
    large = package("demo", "2.0", payload=os.urandom(90_000))  # one that goes over disk
    assert ledger.publish(killed.client, large) is None
    assert killed.wait_killed()
    assert len(temporary_folders(root)) == 2
    assert servers.command(root, "yank", "demo", "1.0") == 0
    assert temporary_folders(root) == [ours]
    check_promises(living.client, ledger)
