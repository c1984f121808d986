"""
Which files of a cache were used when, so that the least recently used go first when it grows beyond its bound.

The times are a courtesy: they are kept in a small file beside the cache and may be lost or a little old. How large the
cache is, is always asked of the store itself, since other processes use the same one.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import structlog
from anyio import to_thread

from wheelyard.errors import StorageError
from wheelyard.model import Key
from wheelyard.storage.interface import StoredFile
from wheelyard.storage.store import Store

_KEPT_SHARE = 0.9  # what is left after tidying up, so that the next file does not start it again
_PREFIX = "simple/"

_log = structlog.get_logger(__name__)


class MirrorBooks:
    """
    The books of one cache.

    Args:
        store: Where its files are.
        limit_bytes: How large it may get.
        path: Where times outlive the process; None for nowhere.
        clock: Seconds since 1970.
    """

    def __init__(
        self, store: Store, *, limit_bytes: int, path: Path | None, clock: Callable[[], float] = time.time
    ) -> None:
        self.limit_bytes = limit_bytes
        self._store = store
        self._path = path
        self._clock = clock
        self._used: dict[str, float] = {}
        self._bytes: int | None = None

    def used(self, key: Key) -> None:
        """Note that a file is used now."""
        self._used[key] = self._clock()

    async def added(self, key: Key, size: int) -> tuple[Key, ...]:
        """
        Note a new file, and remove others when there is too much.

        Returns:
            The keys of the files that were removed.
        """
        self.used(key)
        if self._bytes is None:
            self._bytes = sum([file.size async for file in self._store.list(_PREFIX)])
        else:
            self._bytes += size
        return await self._evict(key) if self._bytes > self.limit_bytes else ()

    async def save(self) -> None:
        """Write the times down, with those that other processes wrote meanwhile."""
        if self._path is not None:
            await to_thread.run_sync(self._save, self._path)

    async def _evict(self, newest: Key) -> tuple[Key, ...]:
        files = [file async for file in self._store.list(_PREFIX)]
        await self.save()
        left = sum(file.size for file in files)
        removed: list[Key] = []
        for file in self._oldest_first(files, but=newest):
            if left <= self.limit_bytes * _KEPT_SHARE:
                break
            try:
                await self._store.delete(file.key)
            except StorageError as error:
                _log.warning("mirror-not-removed", key=file.key, error=error.message)
                continue
            self._used.pop(file.key, None)
            left -= file.size
            removed.append(file.key)
        self._bytes = left
        return tuple(removed)

    def _oldest_first(self, files: Iterable[StoredFile], *, but: Key) -> list[StoredFile]:
        return sorted((file for file in files if file.key != but), key=lambda file: self._used.get(file.key, 0.0))

    def _save(self, path: Path) -> None:
        for key, when in _read(path).items():
            self._used[key] = max(when, self._used.get(key, 0.0))
        partial = path.with_name(f"{path.name}.{secrets.token_hex(6)}")
        with suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial.write_text(json.dumps({key: round(when) for key, when in self._used.items()}), encoding="utf-8")
            os.replace(partial, path)  # noqa: PTH105  readers see one whole file or the other


def _read(path: Path) -> dict[str, float]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): float(when) for key, when in known.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
