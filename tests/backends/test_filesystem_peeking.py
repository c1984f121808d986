"""Asking for one record again and again: what changes is seen at once, and what stays absent costs one question."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from wheelyard.backends.filesystem.peeking import SETTLED_NS, make_peeker
from wheelyard.model import Key
from wheelyard.storage.interface import ABSENT

RECORD = Key("simple/demo/index.json")


class Questions:
    """Counts how often the storage itself was looked for: once for each look at the record that failed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.count = 0

    def is_there(self) -> bool:
        self.count += 1
        return (self.root / ".wheelyard").is_dir()


@pytest.fixture
def storage(tmp_path: Path) -> Questions:
    (tmp_path / "storage" / ".wheelyard").mkdir(parents=True)
    return Questions(tmp_path / "storage")


def later() -> int:
    """A clock by which every folder has been as it is for long."""
    return time.time_ns() + 10 * SETTLED_NS


def peeker(storage: Questions, now_ns: Callable[[], int] = later) -> Callable[[], object]:
    return make_peeker(str(storage.root), RECORD, is_there=storage.is_there, now_ns=now_ns)


def write_record(root: Path, content: bytes = b"{}") -> None:
    path = root / RECORD
    path.parent.mkdir(parents=True, exist_ok=True)
    new = root / ".wheelyard" / "new"
    new.write_bytes(content)
    new.rename(path)


@pytest.mark.parametrize("made", ["", "simple", "simple/demo"])
def test_an_absent_record_is_looked_for_once(storage: Questions, made: str) -> None:
    """While no entry is made in the nearest folder, absence is told without asking for the record again."""
    (storage.root / made).mkdir(parents=True, exist_ok=True)
    peek = peeker(storage)
    assert [peek() for _ in range(5)] == [ABSENT] * 5
    assert storage.count == 1


@pytest.mark.parametrize("made", ["", "simple", "simple/demo"])
def test_a_record_that_comes_is_seen_at_once(storage: Questions, made: str) -> None:
    """Whichever folder was watched, the next question after a publish finds the record, and again after each change."""
    (storage.root / made).mkdir(parents=True, exist_ok=True)
    peek = peeker(storage)
    assert peek() is ABSENT
    write_record(storage.root)
    first = peek()
    assert isinstance(first, str)
    write_record(storage.root, b"{  }")
    assert isinstance(peek(), str)
    assert peek() != first
    (storage.root / RECORD).unlink()
    assert peek() is ABSENT
    write_record(storage.root)
    assert isinstance(peek(), str)


def test_a_folder_that_just_changed_is_not_watched(storage: Questions) -> None:
    """Two changes in one tick of the disk's clock look like one, so a young folder tells nothing."""
    (storage.root / "simple").mkdir()
    peek = peeker(storage, time.time_ns)
    assert [peek() for _ in range(3)] == [ABSENT] * 3
    assert storage.count == 3


def test_a_folder_of_the_future_is_not_watched(storage: Questions) -> None:
    """A clock that was wrong when the folder was changed is no reason to trust it."""
    ahead = time.time() + 86_400
    (storage.root / "simple").mkdir()
    os.utime(storage.root / "simple", (ahead, ahead))
    peek = peeker(storage)
    assert [peek() for _ in range(3)] == [ABSENT] * 3
    assert storage.count == 3


def test_setting_times_back_hides_nothing(storage: Questions) -> None:
    """A tool that copies a project in and puts the folder's time back, as backups do, is noticed all the same."""
    folder = storage.root / "simple"
    folder.mkdir()
    before = folder.stat()
    peek = peeker(storage)
    assert peek() is ABSENT
    write_record(storage.root)
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert isinstance(peek(), str)


def test_a_storage_that_went_away_is_not_an_absent_record(storage: Questions, tmp_path: Path) -> None:
    """An unmounted disk is "cannot tell", never "not there": another index would be asked for the name."""
    peek = peeker(storage)
    assert peek() is ABSENT
    storage.root.rename(tmp_path / "elsewhere")
    assert peek() is None
    storage.root.mkdir()  # the empty mount point
    assert peek() is None
    storage.root.rmdir()
    (tmp_path / "elsewhere").rename(storage.root)
    assert peek() is ABSENT


def test_a_folder_behind_a_link_is_not_watched(storage: Questions, tmp_path: Path) -> None:
    """A link says nothing about what is in the folder it leads to."""
    (tmp_path / "other" / "demo").mkdir(parents=True)
    (storage.root / "simple").symlink_to(tmp_path / "other")
    (tmp_path / "other" / "demo").rmdir()
    peek = peeker(storage)
    assert peek() is ABSENT
    assert peek() is ABSENT
    assert storage.count == 2
    (tmp_path / "other" / "demo").mkdir()
    (tmp_path / "other" / "demo" / "index.json").write_bytes(b"{}")
    assert isinstance(peek(), str)


def test_a_file_in_the_place_of_a_folder_is_not_watched(storage: Questions) -> None:
    """Only a folder shows by its times that an entry was made in it."""
    (storage.root / "simple").write_bytes(b"")
    peek = peeker(storage)
    assert [peek() for _ in range(2)] == [ABSENT] * 2
    assert storage.count == 2
