"""The simulation of power loss itself: it knows what a careless writer loses, and what a careful one does not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from crash.inside import opened
from crash.nursery import INDEX
from wheelyard.testing.crash import package
from wheelyard.testing.crash_power import Disk, Recorder, Tree, read_observations, write_tree

OLD, NEW = b"old content", b"the new content"


def sync_folder(folder: Path) -> None:
    opened_folder = os.open(folder, os.O_RDONLY)
    os.fsync(opened_folder)
    os.close(opened_folder)


def write(path: Path, *, sync: bool) -> None:
    opened_file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(opened_file, NEW)
    if sync:
        os.fsync(opened_file)
    os.close(opened_file)


def careful(folder: Path) -> None:
    write(folder / "file.new", sync=True)
    (folder / "file.new").rename(folder / "file")
    sync_folder(folder)


def no_file_sync(folder: Path) -> None:
    write(folder / "file.new", sync=False)
    (folder / "file.new").rename(folder / "file")
    sync_folder(folder)


def no_folder_sync(folder: Path) -> None:
    write(folder / "file.new", sync=True)
    (folder / "file.new").rename(folder / "file")


def in_place(folder: Path) -> None:
    write(folder / "file", sync=True)
    sync_folder(folder)


def states(folder: Path, act: Callable[[Path], None]) -> tuple[list[Tree], list[Tree]]:
    """Do something; return the states it may leave at any moment, and those at its end."""
    folder.mkdir()
    (folder / "file").write_bytes(OLD)
    trace = folder.with_name("trace")
    with Recorder(folder, trace).observing():
        act(folder)
    disk, every, last = Disk(), list[Tree](), list[Tree]()
    for observation in read_observations(trace):
        disk.apply(observation)
        last = list(disk.states())
        every += last
    return every, last


@pytest.mark.parametrize(
    ("act", "while_under_way", "at_the_end"),
    [
        (careful, {OLD, NEW}, {NEW}),
        (no_file_sync, {OLD, NEW, b"", NEW[:7], bytes(len(NEW))}, {NEW, b"", NEW[:7], bytes(len(NEW))}),
        (no_folder_sync, {OLD, NEW}, {OLD, NEW}),
        (in_place, {OLD, NEW, b"", NEW[:7], bytes(len(NEW))}, {NEW}),
    ],
)
def test_what_a_writer_may_leave(
    act: Callable[[Path], None], while_under_way: set[bytes], at_the_end: set[bytes], tmp_path: Path
) -> None:
    """Of a file that is replaced, the states are exactly those that its writer's syncs allow."""
    every, last = states(tmp_path / "folder", act)
    assert {tree["file"] for tree in every} == while_under_way
    assert {tree["file"] for tree in last} == at_the_end


def test_a_new_folder_is_lost_with_all_that_is_in_it(tmp_path: Path) -> None:
    """A file that was synced in a folder whose own name was not is lost with it; without the folder nothing is found."""

    def act(folder: Path) -> None:
        (folder / "new").mkdir()
        write(folder / "new/file", sync=True)
        sync_folder(folder / "new")

    _, last = states(tmp_path / "folder", act)
    assert {"new/file" in tree for tree in last} == {True, False}
    assert all(("new" in tree) == ("new/file" in tree) for tree in last)


@pytest.mark.anyio
async def test_power_loss_during_a_publish(tmp_path: Path) -> None:
    """UP-13: whatever is lost at whatever step of a publish, the page is there whole or not at all; at the end it is there."""
    config = f'[{INDEX}]\ntype = "file_system"\nread_secret = "read-1"\nwrite_secret = "write-1"\n'
    root, trace, each = tmp_path / "root", tmp_path / "trace", package("demo", "1.0")
    root.mkdir()
    async with opened(root, config) as index:
        with Recorder(root, trace).observing():
            await index.publish(each)
        wanted = await index.state()
    disk, number = Disk(), 0
    for observation in read_observations(trace):
        disk.apply(observation)
        if observation.step not in ("rename", "fsync", "write"):
            continue
        for tree in list(disk.states())[:6]:
            number += 1
            write_tree(tree, tmp_path / f"{number}")
            async with opened(tmp_path / f"{number}", config + "fsync = false\n") as index:
                assert await index.state() in ({}, wanted)
    async with opened(tmp_path / f"{number}", config) as index:
        assert await index.state() == wanted
    assert number > 20
