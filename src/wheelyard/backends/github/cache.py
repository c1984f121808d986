"""
Files that were read once, on this server's disk: bounded, the least recently used go first, each named by its digest.

A file that an earlier process left is hashed before it is believed. Whole files only get their name by a rename.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Final

import structlog
from anyio import to_thread

from wheelyard.storage.spool import PIECE_BYTES, Spool

_log = structlog.get_logger(__name__)

_TEMPORARY: Final = "part-"
_ABANDONED_S: Final = 24 * 3600.0  # no download takes that long
_DIGEST: Final = 64


class FileCache:
    """
    A folder of whole files.

    Args:
        folder: Where they are; made when missing.
        limit_bytes: Their sum is kept below this; 0 keeps none.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit = limit_bytes
        self._sizes: OrderedDict[str, int] = OrderedDict()  # least recently used first
        self._sum = 0
        self._verified: set[str] = set()

    async def start(self) -> None:
        """Make the folder and take up what an earlier process left."""
        found = await to_thread.run_sync(self._scan)
        self._sizes = OrderedDict(found)
        self._sum = sum(self._sizes.values())
        await self._shrink()

    def path(self, sha256: str) -> Path:
        """Return where the file with a digest is or would be."""
        return self._folder / sha256[:2] / sha256

    def takes(self, size: int) -> bool:
        """Tell whether a file of that size may be kept."""
        return size <= self._limit and self._limit > 0

    async def find(self, sha256: str, size: int) -> Path | None:
        """Return the path of a whole file; None when it is not here, or not what it should be."""
        if sha256 not in self._sizes:
            return None
        path = self.path(sha256)
        if not await to_thread.run_sync(self._is_good, path, sha256, size, sha256 in self._verified):
            self._forget(sha256)
            return None
        if sha256 in self._sizes:
            self._verified.add(sha256)
            self._sizes.move_to_end(sha256)
        return path

    def temporary(self) -> Path:
        """Return where a file may be written before it gets its name; blocks."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{_TEMPORARY}{os.getpid()}-{token_hex(8)}"

    async def adopt(self, temporary: Path, sha256: str, size: int) -> None:
        """Give a whole, verified file its name, and remove others until all fit."""

        def rename() -> None:
            path = self.path(sha256)
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(path)

        await to_thread.run_sync(rename)
        self._forget(sha256)
        self._sizes[sha256] = size
        self._sum += size
        self._verified.add(sha256)
        await self._shrink()

    async def keep(self, spool: Spool) -> None:
        """Keep a copy of what was just stored, so that its first reader need not wait; trouble with it is only logged."""
        if not self.takes(spool.size) or spool.sha256 in self._sizes:
            return
        temporary = self._folder
        try:
            temporary = await to_thread.run_sync(self.temporary)
            if await to_thread.run_sync(_copied, spool, temporary) == spool.sha256:
                await self.adopt(temporary, spool.sha256, spool.size)
        except OSError as error:
            _log.warning("github-cache-not-kept", why=error.strerror)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)  # one unlink, of nothing when it was adopted

    # -- parts -----------------------------------------------------------------------------------------------------

    def _forget(self, sha256: str) -> None:
        self._sum -= self._sizes.pop(sha256, 0)
        self._verified.discard(sha256)

    async def _shrink(self) -> None:
        gone: list[Path] = []
        while self._sum > self._limit and self._sizes:
            sha256 = next(iter(self._sizes))
            self._forget(sha256)
            gone.append(self.path(sha256))
        if gone:
            await to_thread.run_sync(_remove, gone)

    def _scan(self) -> list[tuple[str, int]]:
        self._folder.mkdir(parents=True, exist_ok=True)
        found: list[tuple[float, str, int]] = []
        for folder, _, names in os.walk(self._folder):
            for name in names:
                path = Path(folder, name)
                with suppress(OSError):
                    status = path.stat()
                    if name.startswith(_TEMPORARY):
                        if time.time() - status.st_mtime > _ABANDONED_S:
                            path.unlink()
                    elif len(name) == _DIGEST and path == self.path(name):
                        found.append((status.st_mtime, name, status.st_size))
        return [(name, size) for _, name, size in sorted(found)]

    def _is_good(self, path: Path, sha256: str, size: int, is_verified: bool) -> bool:  # noqa: FBT001  passed by a thread
        try:
            if path.stat().st_size == size and (is_verified or _digest(path) == sha256):
                if not is_verified:
                    os.utime(path)  # the order after the next start
                return True
            path.unlink()
        except OSError:
            return False
        _log.warning("github-cache-damaged", file=sha256)
        return False


def _digest(path: Path) -> str:
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copied(spool: Spool, path: Path) -> str:
    digest = hashlib.sha256()
    with spool.open() as source, path.open("xb", buffering=0) as copy:
        while piece := source.read(PIECE_BYTES):
            digest.update(piece)
            view = memoryview(piece)
            while view:
                view = view[copy.write(view) :]
    return digest.hexdigest()


def _remove(paths: list[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            path.unlink(missing_ok=True)
