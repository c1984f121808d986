"""
`.wheelyard` of a storage folder: what the store needs for itself, and what killed processes left there.

    .wheelyard/locks/             lock files; never removed
    .wheelyard/journal            see `journal`
    .wheelyard/tmp/<process>/     temporary files of one process, with a locked file `owner` that tells that it lives

Rule 1: a folder below `tmp` is removed only by who could lock its `owner`: nobody is alive who wrote there.
Rule 2: every function blocks; callers are in a thread.
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from wheelyard.backends.filesystem.folders import make_folders
from wheelyard.backends.filesystem.journal import Journal
from wheelyard.backends.filesystem.locks import lock, try_lock
from wheelyard.storage.keys import RESERVED

_PRIVATE: Final = 0o700
_FILE_MODE: Final = 0o644  # less the umask
_OWNER: Final = "owner"
RECLAIM_EVERY_S: Final = 10 * 60.0  # looking costs one visit to a folder with a few names
_START_TIMEOUT_S: Final = 60.0  # reclaiming what a crash under load left takes a while


class Workplace:
    """
    This process's place in one storage folder.

    Attributes:
        tmp: Folder for this process's temporary files; None before `open` and on read-only storage.
        file_mode: The mode that files get here: 0644 less the umask.
    """

    def __init__(self, root: Path, *, fsync: bool, reclaim_every_s: float = RECLAIM_EVERY_S) -> None:
        self._root = root
        self._fsync = fsync
        self._owner: int | None = None
        self._claiming = threading.Lock()
        self._reclaim_every_s = reclaim_every_s
        self._reclaimed_at = 0.0  # monotonic
        self.folder = root / RESERVED
        self.locks = self.folder / "locks"
        self.tmp: Path | None = None
        self.file_mode = _FILE_MODE

    def open(self, journal: Journal) -> None:
        """
        Make what is missing, remove what dead processes left, and claim a folder for this one.

        Raises:
            OSError: The storage cannot be written. Reading may still work.
        """
        make_folders(self._root, fsync=self._fsync)
        self.folder.mkdir(_PRIVATE, exist_ok=True)
        self._begin()
        journal.prepare()

    def close(self) -> None:
        """Remove this process's folder and everything in it."""
        tmp, self.tmp = self.tmp, None
        owner, self._owner = self._owner, None
        if tmp is not None:
            shutil.rmtree(tmp, ignore_errors=True)
        if owner is not None:
            os.close(owner)

    def temporary(self, kind: str) -> tuple[int, Path]:
        """
        Make an empty temporary file with the mode of a stored one; the caller closes, then renames or removes it.

        Raises:
            OSError: It cannot be made.
        """
        name = f"{kind}-{secrets.token_hex(8)}"
        tmp = self.tmp
        if tmp is not None:
            with suppress(FileNotFoundError):
                return _made(tmp / name)
        with self._claiming:
            if self.tmp is tmp:  # nobody else in this process was faster
                self._begin()
            return _made((self.tmp or self.folder / "tmp") / name)

    def reclaim_again(self) -> None:
        """Remove now and then what dead processes left: perhaps no process starts here for months."""
        if time.monotonic() < self._reclaimed_at + self._reclaim_every_s:
            return
        self._reclaimed_at = time.monotonic()
        with suppress(OSError):
            held = try_lock(self.locks / "start")
            if held is None:
                return  # somebody who starts is at it
            try:
                self._reclaim()
            finally:
                os.close(held)

    def _begin(self) -> None:
        """
        Remove what dead processes left, and claim a folder for this one.

        Done again when the storage could not be written at first, or somebody removed our folder.
        """
        for folder in (self.locks, self.folder / "tmp"):
            folder.mkdir(_PRIVATE, exist_ok=True)
        held = lock(self.locks / "start", timeout_s=_START_TIMEOUT_S)
        try:
            self._reclaimed_at = time.monotonic()
            self._reclaim()
            self._claim()
        finally:
            os.close(held)

    def _reclaim(self) -> None:
        """Remove the folders of dead processes; the caller holds the start lock, so nobody is just making one."""
        for folder in (self.folder / "tmp").iterdir():
            if not folder.is_dir() or folder.is_symlink():
                folder.unlink(missing_ok=True)
                continue
            held = try_lock(folder / _OWNER)
            if held is None:
                continue  # it lives
            try:
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(held)

    def _claim(self) -> None:
        # The process id is for people who look; what counts is the lock.
        tmp = self.folder / "tmp" / f"{os.getpid()}-{secrets.token_hex(4)}"
        tmp.mkdir(_PRIVATE)
        try:
            # Made with the mode of a stored file, to learn what the umask leaves of it.
            os.close(os.open(tmp / _OWNER, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE))
            self.file_mode = (tmp / _OWNER).stat().st_mode & 0o777
            before, self._owner = self._owner, try_lock(tmp / _OWNER)
            if before is not None:
                os.close(before)
        except BaseException:
            shutil.rmtree(tmp, ignore_errors=True)
            raise
        self.tmp = tmp


def _made(path: Path) -> tuple[int, Path]:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE), path
