"""
Asking for one record's revision again and again, at the cost of one system call that succeeds.

A record that is there is one `lstat`. One that is not there would be a failing `lstat` and a second question, whether the
storage is there at all: together three times as dear, and what a server asks at each request for a project of an upstream.
So of a record that is absent the nearest folder that exists is watched: while no entry of it was made or removed, the
record stays absent.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from typing import Final

from wheelyard.backends.filesystem.placing import revision_of
from wheelyard.model import Key, Revision
from wheelyard.storage.interface import ABSENT, Absent

SETTLED_NS: Final = 3_000_000_000
"""
A folder must have stayed the same for so long before it is watched.

A file system's clock may stand still for some time (two seconds at worst): two changes in one of its ticks look like one.
"""

_Stamp = tuple[int, int, int, int]
_NEVER: Final = (-1, -1, -1)


def make_peeker(
    root: str, key: Key, *, is_there: Callable[[], bool], now_ns: Callable[[], int] = time.time_ns
) -> Callable[[], Revision | Absent | None]:
    """
    Return a function that tells the revision of one record; it writes the revision out only when it changed.

    Args:
        root: The storage folder.
        key: Of the record.
        is_there: Tells whether the storage folder is there at all.
        now_ns: Nanoseconds since 1970, by the clock that stamps folders.
    Returns:
        A function that returns None when it cannot tell.
    """
    path, lstat = f"{root}/{key}", os.lstat
    absence = _Absence(root, path, is_there=is_there, now_ns=now_ns)
    last_seen, last_revision = _NEVER, Revision("")

    def peek() -> Revision | Absent | None:
        nonlocal last_seen, last_revision
        if absence.folder and absence.lasts():
            return ABSENT
        try:
            status = lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return absence.noticed()
        except OSError:
            return None
        seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        if seen != last_seen:
            last_seen, last_revision = seen, revision_of(status)
        return last_revision

    return peek


class _Absence:
    """
    What is known of one record that is not there.

    Args:
        root: The storage folder.
        path: Of the record.
        is_there: Tells whether the storage folder is there at all.
        now_ns: As for `make_peeker`.

    Attributes:
        folder: The folder that is watched; empty when none is.
    """

    __slots__ = ("_is_there", "_now_ns", "_path", "_root", "_stamp", "folder")

    def __init__(self, root: str, path: str, *, is_there: Callable[[], bool], now_ns: Callable[[], int]) -> None:
        self.folder = ""
        self._root = root
        self._path = path
        self._is_there = is_there
        self._now_ns = now_ns
        self._stamp: _Stamp | None = None

    def lasts(self) -> bool:
        """Tell whether the watched folder is as it was; if not, it is watched no longer."""
        try:
            if _stamp(os.lstat(self.folder)) == self._stamp:
                return True
        except OSError:
            pass
        self.folder = ""
        return False

    def noticed(self) -> Revision | Absent | None:
        """Tell what it means that the record was not found, and watch the folder that would show its coming."""
        if not self._is_there():
            return None
        nearest = _nearest_folder(self._root, self._path)
        if nearest is None:
            return ABSENT
        folder, status = nearest
        if max(status.st_mtime_ns, status.st_ctime_ns) + SETTLED_NS >= self._now_ns():
            return ABSENT
        try:
            # Once more: it may have come after it was looked for, and before the folder was.
            return revision_of(os.lstat(self._path))
        except (FileNotFoundError, NotADirectoryError):
            self.folder, self._stamp = folder, _stamp(status)
            return ABSENT
        except OSError:
            return None


def _stamp(status: os.stat_result) -> _Stamp:
    """Return what changes when an entry of a folder is made or removed; nobody can set `st_ctime` back."""
    return status.st_ctime_ns, status.st_mtime_ns, status.st_ino, status.st_dev


def _nearest_folder(root: str, path: str) -> tuple[str, os.stat_result] | None:
    """Return the deepest folder above a path that exists, not above the root; None when what is there is no folder."""
    while len(path) > len(root):
        path = path.rpartition("/")[0]
        try:
            status = os.lstat(path)
        except OSError:
            continue
        return (path, status) if stat.S_ISDIR(status.st_mode) else None
    return None
