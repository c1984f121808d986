"""
Power loss on a real file system: ext4 on a disk image that is copied while the server works.

The image holds what the file system has written to its disk so far: a copy is what a power loss at this moment leaves. The
system's own regular writing is put off, so that what nobody synced is not there.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from crash.nursery import FolderServers, Server
from wheelyard.testing.crash import Ledger, check_promises
from wheelyard.testing.crash_suite import some_uploads

SNAPSHOTS = 8
UPLOADS = 160
IMAGE_BYTES = 96 * 1024 * 1024
MountImage = Callable[[Path, str], Path]


def run(*command: str | Path) -> str:
    """Run a program; return what was wrong, "" for nothing."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return (done.stderr or "failed").strip() if done.returncode else ""


@pytest.fixture
def mount_image(tmp_path: Path) -> Iterator[MountImage]:
    """Mount disk images; needs root, loop devices and ext4."""
    if os.geteuid() != 0:
        pytest.skip("mounting a disk image needs root")
    with ExitStack() as stack:

        def mounted(image: Path, options: str) -> Path:
            place = tmp_path / f"mounted-{image.name}"
            place.mkdir()
            if wrong := run("mount", "-t", "ext4", "-o", f"loop,{options}", image, place):
                pytest.skip(f"this machine mounts no disk images: {wrong}")
            stack.callback(run, "umount", "-l", place)
            return place

        yield mounted


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An empty ext4 file system in a file."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("mkfs.ext4 is not installed (Debian: e2fsprogs)")
    path = tmp_path / "image"
    path.touch()
    os.truncate(path, IMAGE_BYTES)
    assert run("mkfs.ext4", "-q", "-F", path) == ""
    return path


def written(image: Path) -> list[int]:
    """Where and when something was written to an image."""
    status = image.stat()
    return [status.st_blocks, status.st_mtime_ns]


def snapshot(image: Path, server: Server, number: int) -> Path:
    """Stop the server in whatever it does, and copy the disk as it is then."""
    server.child.signal(signal.SIGSTOP)
    copy = image.with_name(f"copy-{number}")
    while True:
        seen = written(image)
        time.sleep(0.05)  # what was on its way to the disk arrives
        if written(image) != seen:
            continue
        assert run("cp", "--sparse=always", image, copy) == ""
        if written(image) == seen:  # so the copy is of one moment
            break
    server.resume()
    return copy


@pytest.mark.slow
def test_power_loss_on_ext4(servers: FolderServers, image: Path, mount_image: MountImage, tmp_path: Path) -> None:
    """UP-13: a power loss at random moments of 160 uploads leaves every acknowledged file whole, and pages that are right."""
    seed = int(os.environ.get("WHEELYARD_SEED", "") or random.SystemRandom().randrange(2**32))
    print(f"WHEELYARD_SEED={seed}")  # noqa: T201  shown when the test fails: it makes the round again
    chance = random.Random(seed)
    disk = mount_image(image, "commit=300")
    uploads = some_uploads(chance, UPLOADS, round_number=0)
    server = servers.start(tmp_path / "root", config=servers.config_text() + f'path = "{disk}/storage"\n')
    ledger = Ledger()
    taken: list[tuple[Ledger, Path]] = []
    moments = sorted(chance.sample(range(len(uploads) // 2), SNAPSHOTS))
    with ThreadPoolExecutor(16) as pool:
        sending = pool.map(partial(ledger.publish, server.client), uploads)
        for number, moment in enumerate(moments):
            while ledger.count() < moment:
                time.sleep(0.001)
            known = ledger.copy()
            taken.append((known, snapshot(image, server, number)))
            known.sent = ledger.copy().sent
        list(sending)
    server.kill()
    for number, (known, copy) in enumerate(taken):
        place = mount_image(copy, "noatime")
        config = servers.config_text() + f'path = "{place}/storage"\n'
        again = servers.start(tmp_path / f"root-{number}", config=config)
        check_promises(again.client, known)
        for each in chance.sample(uploads, 10):
            known.publish(again.client, each)
        check_promises(again.client, known)
        again.kill()
        assert run("umount", place) == ""


@pytest.mark.slow
def test_copied_disks_lack_what_was_not_synced(
    servers: FolderServers, image: Path, mount_image: MountImage, tmp_path: Path
) -> None:
    """The copies are no formality: of a server that syncs nothing they lack what it acknowledged."""
    disk = mount_image(image, "commit=300")
    config = servers.config_text(fsync=False) + f'path = "{disk}/storage"\n'
    server = servers.start(tmp_path / "root", config=config)
    ledger = Ledger()
    for each in some_uploads(random.Random(1), 20, round_number=0):
        ledger.publish(server.client, each)
    place = mount_image(snapshot(image, server, 0), "noatime")
    assert not list(place.glob("storage/simple/*/index.json"))
    server.kill()
