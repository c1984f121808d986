"""
Locks between processes: `flock` on files below `.wheelyard/locks`.

The kernel releases a lock when its process ends, however it ends, so a lock is never left behind; the files stay.
Names are spread over a fixed number of files, so that the folder does not grow with the index.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, TypeVar
from zlib import crc32

import anyio
from anyio import to_thread

from wheelyard.errors import StorageUnavailable

T = TypeVar("T")

_FIRST_WAIT_S: Final = 0.001
_LONGEST_WAIT_S: Final = 0.05
_LOCK_FILE_MODE: Final = 0o600
_LOCK_FOLDER_MODE: Final = 0o700


def try_lock(path: Path, *, shared: bool = False) -> int | None:
    """
    Take a lock without waiting; closing the returned descriptor releases it. Blocks only as `open` does.

    Returns:
        None when another process (or another descriptor of this one) has it.
    """
    try:
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _LOCK_FILE_MODE)
    except FileNotFoundError:  # somebody cleaned up; of the storage itself nothing is made here
        path.parent.mkdir(_LOCK_FOLDER_MODE, exist_ok=True)
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _LOCK_FILE_MODE)
    try:
        fcntl.flock(opened, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        # Somebody may have removed the file meanwhile: then ours is a lock that nobody else will ask.
        if os.fstat(opened).st_ino == path.stat().st_ino:
            return opened
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(opened)
        raise
    os.close(opened)
    return None


def lock(path: Path, *, timeout_s: float, shared: bool = False) -> int:
    """
    Take a lock that is held for moments only; blocks, so call it in a thread.

    Raises:
        StorageUnavailable: It was not to be had in time.
    """
    deadline = time.monotonic() + timeout_s
    while (opened := try_lock(path, shared=shared)) is None:
        if time.monotonic() > deadline:
            raise lock_held(path, timeout_s)
        time.sleep(_FIRST_WAIT_S)
    return opened


def lock_held(path: Path, timeout_s: float) -> StorageUnavailable:
    """Return the error that names a lock which was not to be had."""
    return StorageUnavailable(
        f"the lock '{path.name}' of the storage was held by someone else for more than {timeout_s:g} seconds",
        hint="Try again. An administrator finds the process that holds it with `fuser` on that file in"
        " `.wheelyard/locks` of the storage; removing the file does not help.",
    )


class _Taken:
    """A lock taken in a thread for a task that may be cancelled before it hears of it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._opened: int | None = None
        self._released = False

    def take(self, path: Path) -> bool | None:
        """Take the lock unless nobody wants it any more; None when another process has it."""
        opened = try_lock(path)
        if opened is None:
            return None
        with self._guard:
            if not self._released:
                self._opened = opened
                return True
        os.close(opened)
        return True

    def release(self) -> None:
        """Release the lock, or make a `take` that is still under way do so."""
        with self._guard:
            self._released = True
            opened, self._opened = self._opened, None
        if opened is not None:
            os.close(opened)


class FileLocks:
    """
    Locks by name, between the tasks of this process and between processes.

    Args:
        folder: Where the lock files are.
        kind: Start of their names.
        shards: How many there are; names that share one wait for each other.
        timeout_s: Longest wait for another holder.
    """

    def __init__(self, folder: Path, *, kind: str, shards: int, timeout_s: float) -> None:
        self._folder = folder
        self._kind = kind
        self._shards = shards
        self._timeout_s = timeout_s
        # Tasks of this process queue here, first come first served, so that only one of them asks the kernel.
        self._queues: defaultdict[Path, anyio.Lock] = defaultdict(anyio.Lock)

    async def run(self, name: str, work: Callable[[], T]) -> T:
        """
        Do `work` in a thread while holding the lock of `name`.

        Taking the lock, the work and the release are one visit to a thread. Work that began is never cut short.

        Raises:
            StorageUnavailable: Somebody held the lock for too long.
        """
        path = self._path(name)

        def attempt() -> tuple[T] | None:
            opened = try_lock(path)
            if opened is None:
                return None
            try:
                return (work(),)
            finally:
                os.close(opened)

        async with self._turn(path):
            return (await self._until_had(path, attempt))[0]

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """
        Hold the lock of `name` for the time of the block; the loop goes on meanwhile.

        Raises:
            StorageUnavailable: Somebody held the lock for too long.
        """
        path = self._path(name)
        taken = _Taken()
        async with self._turn(path):
            try:
                await self._until_had(path, lambda: taken.take(path))
                yield
            finally:
                taken.release()

    @contextmanager
    def held_here(self, name: str) -> Iterator[None]:
        """
        Hold the lock of `name` for the time of the block; blocks, so call it in a thread.

        Raises:
            StorageUnavailable: Somebody held it for too long.
        """
        opened = lock(self._path(name), timeout_s=self._timeout_s)
        try:
            yield
        finally:
            os.close(opened)

    def try_run(self, name: str, work: Callable[[], object]) -> bool:
        """Do `work` here and now if nobody holds the lock of `name`; blocks as `work` does."""
        opened = try_lock(self._path(name))
        if opened is None:
            return False
        try:
            work()
        finally:
            os.close(opened)
        return True

    @asynccontextmanager
    async def _turn(self, path: Path) -> AsyncIterator[None]:
        """Wait until the tasks of this process that came first are done."""
        queue = self._queues[path]
        try:
            with anyio.fail_after(self._timeout_s):
                await queue.acquire()
        except TimeoutError:
            raise lock_held(path, self._timeout_s) from None
        try:
            yield
        finally:
            queue.release()

    async def _until_had(self, path: Path, attempt: Callable[[], T | None]) -> T:
        """Repeat `attempt` in a thread until it gets the lock; waiting occupies no thread."""
        deadline = time.monotonic() + self._timeout_s
        wait_s = _FIRST_WAIT_S
        while (got := await to_thread.run_sync(attempt)) is None:
            if time.monotonic() > deadline:
                raise lock_held(path, self._timeout_s)
            await anyio.sleep(wait_s)
            wait_s = min(wait_s * 1.5, _LONGEST_WAIT_S)
        return got

    def _path(self, name: str) -> Path:
        return self._folder / f"{self._kind}-{crc32(name.encode()) % self._shards:02x}"
