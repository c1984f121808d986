"""
Syncs that wait for each other: several files and folders made durable at the same time.

A journalling disk commits what is synced together in one go, so four syncs at once cost little more than one.
"""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

_THREADS: Final = 8  # syncs under way at once, for all publishes of this process
_POOL: Final = ThreadPoolExecutor(_THREADS, thread_name_prefix="sync")


class PendingSyncs:
    """
    Files and folders that are being made durable.

    Args:
        enabled: False makes every call do nothing.
    """

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._waiting: list[Future[None]] = []
        self._folders: dict[tuple[int, int], int] = {}

    def add(self, folder: int, name: str) -> None:
        """Begin to make a new file durable; its name in its folder follows when all names are given."""
        if not self._enabled:
            return
        self._begin(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder))
        status = os.fstat(folder)
        if (status.st_dev, status.st_ino) not in self._folders:
            self._folders[status.st_dev, status.st_ino] = os.dup(folder)

    def add_open(self, opened: int) -> None:
        """Begin to make an open file durable; it may be closed meanwhile."""
        if self._enabled:
            self._begin(os.dup(opened))

    def wait(self) -> None:
        """
        Wait until all of it is on disk.

        Raises:
            OSError: Some of it is not.
        """
        folders, self._folders = self._folders, {}
        for folder in folders.values():
            self._begin(folder)
        waiting, self._waiting = self._waiting, []
        troubles = [trouble for each in waiting if (trouble := each.exception()) is not None]
        if troubles:
            raise troubles[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what is under way, so that no descriptor outlives the transaction."""
        for folder in self._folders.values():
            os.close(folder)
        for each in self._waiting:
            each.exception()

    def _begin(self, opened: int) -> None:
        self._waiting.append(_POOL.submit(_synced, opened))


def _synced(opened: int) -> None:
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
