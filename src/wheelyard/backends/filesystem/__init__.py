"""
A store in a folder of this machine (or of a file server that all machines mount with working locks).

The key is the path: `simple/<project>/<filename>` below the storage folder, so the storage is also a plain copy of the
index. What is the store's own (locks, journal, temporary files) is in `.wheelyard` beside `simple`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wheelyard.storage.interface import Backend, BackendContext
from wheelyard.storage.plugins import BackendPlugin


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystemOptions:
    """
    Where the folder is.

    Attributes:
        path: The storage folder; made when missing. Default: `cache/<index>/storage` in the server's root folder.
        fsync: Whether everything is on disk before it is acknowledged. Switch it off only for storage that may be lost.
        lock_timeout: Seconds to wait for another process that changes the same project; then the answer is 503.
    """

    path: str | None = None
    fsync: bool = True
    lock_timeout: int = 30


def _open(options: FileSystemOptions, context: BackendContext) -> Backend:
    """Make the store; nothing is touched before `start`."""
    from wheelyard.backends.filesystem.backend import FileSystemBackend  # noqa: PLC0415  options load without it

    folder = context.folder / "storage" if options.path is None else Path(options.path).expanduser()
    return FileSystemBackend(folder, fsync=options.fsync, lock_timeout_s=options.lock_timeout)


plugin = BackendPlugin(name="file_system", options=FileSystemOptions, open=_open)
"""Found through the entry point `file_system`."""
