"""
Folders of the storage: entering them without following links, and making them durably.

Rule 1: nothing here follows a symbolic link below the storage folder; a link that somebody put there could lead to any
    file of the machine. (The storage folder itself may be one: that is the administrator's choice.)
Rule 2: every function blocks; callers are in a thread.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wheelyard.errors import KeyNotFound, RecordDamaged, StorageUnavailable
from wheelyard.storage.keys import PAGES, RESERVED

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # non-blocking: a named pipe must not hang us
_FOLDER_MODE = 0o755  # less the umask
_REMEMBERED_FOLDERS = 100_000  # about 20 MB at most
_ENTER_ATTEMPTS = 50  # others may remove the empty folder that we just made, but not for ever

LINK = "a symbolic link is in its way, and links inside the storage are not followed"


class Folders:
    """
    The folders below one storage folder.

    Args:
        root: The storage folder.
        fsync: Whether changes are made durable.

    Attributes:
        root: As given.
        fsync: As given.
        had_pages: Whether the folder of all projects was ever there.
    """

    def __init__(self, root: str, *, fsync: bool) -> None:
        self.root = root
        self.fsync = fsync
        self.had_pages = False
        # Folders whose entry in their parent is known to be on disk, by inode. Another process may have made one a
        # moment ago and not yet synced its parent, so the first use by this process syncs it too.
        self._durable: dict[str, int] = {}
        self._walked = threading.local()

    def sync(self, folder: int) -> None:
        """Make the entries of an open folder, or the bytes of an open file, durable."""
        if self.fsync:
            os.fsync(folder)

    def check_there(self) -> None:
        """
        Tell "the file is not there" from "the disk is not there".

        Raises:
            StorageUnavailable: The storage folder lost what `start` made in it: a volume was unmounted, most likely.
        """
        if not self.is_there():
            raise StorageUnavailable(
                "the storage folder of this index is gone, or what the server made in it",
                hint="An administrator should check that its volume is mounted. If somebody removed `.wheelyard`, restart the"
                f" server; if somebody removed `{PAGES}`, put it back, or make it anew, empty, if the index is to be empty.",
            )

    def is_there(self) -> bool:
        """
        Tell whether the storage folder still holds what was made in it.

        The folder of all projects is never removed once it is there (`drop_if_empty`): without it every name would look
        as if it were not ours, and another index would be asked for it.
        """
        if not os.path.isdir(f"{self.root}/{RESERVED}"):  # noqa: PTH112  hot: no Path object per question
            return False
        had_pages = self.had_pages  # before the folder is looked for: another thread may make it at this moment
        if os.path.isdir(f"{self.root}/{PAGES}"):  # noqa: PTH112  as above
            self.had_pages = True
            return True
        return not had_pages

    @contextmanager
    def presence(self) -> Iterator[None]:
        """
        Tell what it means when something of the store's own is missing inside.

        Raises:
            StorageUnavailable: The storage is not there.
        """
        try:
            yield
        except FileNotFoundError:
            self.check_there()
            raise

    @contextmanager
    def absence(self, key: str) -> Iterator[None]:
        """
        Turn "no such file" raised inside into its meaning for `key`.

        Raises:
            KeyNotFound: The storage is there and has no such key.
            StorageUnavailable: The storage is not there.
        """
        try:
            yield
        except (FileNotFoundError, NotADirectoryError):
            self.check_there()
            raise KeyNotFound(key) from None

    @contextmanager
    def walking(self) -> Iterator[None]:
        """
        Keep what this thread enters inside the block open until its end, so that the way to it is walked once.

        Whoever takes a lock inside must `forget` what was entered before, for others may have removed it meanwhile.
        """
        self._walked.kept = {}
        try:
            yield
        finally:
            self.forget()
            self._walked.kept = None

    def forget(self) -> None:
        """Let go of what this thread keeps open while `walking`: the next `entered` walks again."""
        kept = self._kept()
        while kept:
            os.close(kept.popitem()[1])

    @contextmanager
    def entered(self, key: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
        """
        Open the folder that `key` is in, for the time of the block.

        Args:
            key: The file or record.
            create: Make missing folders, durably.
        Yields:
            The open folder and the last segment of the key.
        Raises:
            FileNotFoundError: The folder does not exist.
            RecordDamaged: A link is in the way.
        """
        path, _, name = key.rpartition("/")
        kept = self._kept()
        if kept is None:
            folder = self._walk(path, key, create=create)
            try:
                yield folder, name
            finally:
                os.close(folder)
            return
        known = kept.get(path)
        if known is None or (create and self._durable.get(f"/{path}") != os.fstat(known).st_ino):
            folder = self._walk(path, key, create=create)
            if known is not None:
                os.close(known)
            known = kept[path] = folder
        yield known, name

    def _kept(self) -> dict[str, int] | None:
        return getattr(self._walked, "kept", None)

    def _walk(self, path: str, key: str, *, create: bool) -> int:
        """Open the folder `path`, segment by segment; the caller closes it."""
        folder = os.open(self.root, _FOLDER)
        try:
            walked = ""
            for segment in path.split("/") if path else ():
                walked = f"{walked}/{segment}"
                is_pages = walked == f"/{PAGES}"
                # Made anew, the folder of all projects would make everything that was in it "not here" for good.
                child = self._child(folder, segment, key, create=create and not (is_pages and self.had_pages))
                self.had_pages = self.had_pages or is_pages
                try:
                    if create:
                        self._settle(folder, child, walked)
                finally:
                    os.close(folder)
                    folder = child
        except BaseException:
            os.close(folder)
            raise
        return folder

    def open_file(self, key: str) -> tuple[int, os.stat_result]:
        """
        Open a regular file; the caller closes it.

        Raises:
            KeyNotFound: There is none, or it is a folder.
            RecordDamaged: It is a link, a device, a pipe.
            StorageUnavailable: The storage is not there.
        """
        with self.absence(key), self.entered(key) as (folder, name):
            try:
                opened = os.open(name, _FILE, dir_fd=folder)
            except OSError as error:
                if error.errno == errno.ELOOP:
                    raise RecordDamaged(key, LINK) from error
                raise
        status = os.fstat(opened)
        try:
            check_regular(key, status)
        except BaseException:
            os.close(opened)
            raise
        return opened, status

    def status(self, key: str) -> os.stat_result:
        """
        Describe a regular file.

        Raises:
            As `open_file`.
        """
        with self.absence(key), self.entered(key) as (folder, name):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        check_regular(key, status)
        return status

    def drop_if_empty(self, key: str) -> None:
        """
        Remove the folders of `key` in which nothing is, but for `simple`.

        The system removes only empty folders, so a file that arrives at the same moment is safe: either it is there
        first, or its writer finds the folder gone and makes it anew. After a power cut the empty folder may be back.
        """
        self.forget()
        folder = key.rpartition("/")[0]
        while folder not in ("", PAGES):
            try:
                with self.entered(folder) as (parent, name):
                    os.rmdir(name, dir_fd=parent)
            except (OSError, RecordDamaged):
                return  # not empty, not there, not allowed: then it stays
            self._durable.pop(f"/{folder}", None)
            folder = folder.rpartition("/")[0]

    def _child(self, folder: int, segment: str, key: str, *, create: bool) -> int:
        """Open one folder inside an open one."""
        for _ in range(_ENTER_ATTEMPTS):
            try:
                return os.open(segment, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            except FileNotFoundError:
                if not create:
                    raise
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR) and _is_link(folder, segment):
                    raise RecordDamaged(key, LINK) from error
                raise
            with suppress(FileExistsError):
                os.mkdir(segment, _FOLDER_MODE, dir_fd=folder)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    def _settle(self, parent: int, child: int, path: str) -> None:
        """Make sure that the entry of `child` in `parent` is on disk, once per folder and process."""
        inode = os.fstat(child).st_ino
        if self._durable.get(path) == inode:
            return
        self.sync(parent)
        if len(self._durable) >= _REMEMBERED_FOLDERS:
            self._durable.clear()
        self._durable[path] = inode


def check_regular(key: str, status: os.stat_result) -> None:
    """
    Check that what is at `key` is a plain file.

    Raises:
        KeyNotFound: It is a folder.
        RecordDamaged: It is a link, a device, a pipe.
    """
    if stat.S_ISREG(status.st_mode):
        return
    if stat.S_ISDIR(status.st_mode):
        raise KeyNotFound(key)
    raise RecordDamaged(key, LINK if stat.S_ISLNK(status.st_mode) else "it is no regular file")


def make_folders(path: Path, *, fsync: bool) -> None:
    """Make a folder and its missing parents durably; blocks."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(_FOLDER_MODE, exist_ok=True)
        if fsync:
            parent = os.open(folder.parent, _FOLDER)
            try:
                os.fsync(parent)
            finally:
                os.close(parent)


def _is_link(folder: int, segment: str) -> bool:
    try:
        return stat.S_ISLNK(os.stat(segment, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False
