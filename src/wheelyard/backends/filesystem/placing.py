"""Single steps on files inside an open folder; every function blocks."""

from __future__ import annotations

import hashlib
import os
from io import FileIO
from pathlib import Path
from typing import Final

from wheelyard.errors import RecordDamaged
from wheelyard.model import Key, Revision, Sha256Hex
from wheelyard.storage.spool import PIECE_BYTES, Spool

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def revision_of(status: os.stat_result) -> Revision:
    """Return the revision of a record from what the disk says of its file."""
    return Revision(f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}")


def link_file(source: Path, folder: int, name: str) -> None:
    """Give a file a second name, inside an open folder; replaces nothing."""
    os.link(source, name, dst_dir_fd=folder, follow_symlinks=False)


def link_and_open(source: Path, folder: int, name: str) -> int:
    """Link and open a file; the caller closes it."""
    link_file(source, folder, name)
    return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)


def write_new(content: bytes, mode: int, folder: int, name: str) -> int:
    """Write a new file; the caller closes it."""
    opened = os.open(name, _NEW, mode, dir_fd=folder)
    try:
        write_all(opened, content)
    except BaseException:
        os.close(opened)
        os.unlink(name, dir_fd=folder)
        raise
    return opened


def copy_new(spool: Spool, mode: int, folder: int, name: str) -> int:
    """Copy a spool from elsewhere into a new file; the caller closes it."""
    opened = os.open(name, _NEW, mode, dir_fd=folder)
    try:
        with os.fdopen(opened, "wb", buffering=0, closefd=False) as copy, spool.path.open("rb", buffering=0) as source:
            copy_spool(source, copy, expected=spool.sha256, key=Key(name))
    except BaseException:
        os.close(opened)
        os.unlink(name, dir_fd=folder)
        raise
    return opened


def rename_file(source: Path, folder: int, name: str) -> None:
    """Move a file into an open folder, in place of what is there."""
    os.rename(source, name, dst_dir_fd=folder)


def copy_spool(source: FileIO, copy: FileIO, *, expected: Sha256Hex, key: Key) -> None:
    """
    Copy a spool.

    Raises:
        RecordDamaged: It is not what its digest says.
    """
    digest = hashlib.sha256()
    while piece := source.read(PIECE_BYTES):
        digest.update(piece)
        write_all(copy.fileno(), piece)
    if digest.hexdigest() != expected:
        raise RecordDamaged(key, "its temporary file changed before it was stored")


def read_piece(opened: int, start: int, stop: int | None) -> bytes:
    """Read one piece at a place; empty at the end."""
    return os.pread(opened, PIECE_BYTES if stop is None else min(PIECE_BYTES, stop - start), start)


def write_all(opened: int, content: bytes) -> None:
    """Write all of `content`, however little the system takes at a time."""
    view = memoryview(content)
    while view:
        view = view[os.write(opened, view) :]
