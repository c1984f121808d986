"""
Listing a storage folder.

Rule 1: what is not ours is not listed: `.wheelyard`, links, and the files of the predecessor, which lie one folder up
    (`<project>/<filename>` with `<filename>.meta`, and `index.toml`) and are taken over by the index, not by the store.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import Final

from anyio import to_thread

from wheelyard.model import Key
from wheelyard.storage.interface import StoredFile
from wheelyard.storage.keys import PAGES, RECORD_NAME, RESERVED, is_record_key

_FOLDERS_AT_ONCE: Final = 200  # folders read in one visit to a thread
_THEIR_INDEX: Final = "index.toml"
_THEIR_SUFFIX: Final = ".meta"


async def list_files(root: str, prefix: str) -> AsyncIterator[StoredFile]:
    """List the files whose key starts with `prefix`, folder by folder; those that vanish meanwhile are left out."""
    pending = [prefix.rpartition("/")[0]]
    while pending:
        batch, pending = pending[-_FOLDERS_AT_ONCE:], pending[:-_FOLDERS_AT_ONCE]
        files, folders = await to_thread.run_sync(_scan_all, root, batch, prefix)
        pending += folders
        for file in files:
            yield file


def list_records(root: str) -> Iterator[Key]:
    """List the keys of all records; blocks."""
    try:
        projects = os.scandir(f"{root}/{PAGES}")
    except (FileNotFoundError, NotADirectoryError):
        return
    with projects:
        for project in projects:
            record = f"{PAGES}/{project.name}/{RECORD_NAME}"
            if project.is_dir(follow_symlinks=False) and os.path.lexists(f"{root}/{record}"):
                yield Key(record)


def _scan_all(root: str, folders: list[str], prefix: str) -> tuple[list[StoredFile], list[str]]:
    files: list[StoredFile] = []
    found: list[str] = []
    for folder in folders:
        try:
            _scan(root, folder, prefix, files, found)
        except (FileNotFoundError, NotADirectoryError):
            continue
    return files, found


def _scan(root: str, folder: str, prefix: str, files: list[StoredFile], folders: list[str]) -> None:
    """Add what is in one folder and may start with `prefix` to `files` and `folders`."""
    with os.scandir(f"{root}/{folder}") as scanned:
        entries = list(scanned)
    names = {entry.name for entry in entries}
    for entry in entries:
        key = f"{folder}/{entry.name}" if folder else entry.name
        if entry.is_dir(follow_symlinks=False):
            if key != RESERVED and (key.startswith(prefix) or prefix.startswith(f"{key}/")):
                folders.append(key)
        elif (
            entry.is_file(follow_symlinks=False)
            and key.startswith(prefix)
            and not is_record_key(key)
            and not _is_theirs(folder, entry.name, names)
        ):
            files.append(StoredFile(Key(key), entry.stat(follow_symlinks=False).st_size))


def _is_theirs(folder: str, name: str, names: set[str]) -> bool:
    """Tell whether a file is the predecessor's: it lies where no file of ours can, or beside its `.meta`."""
    if not folder:
        return name == _THEIR_INDEX
    if "/" in folder:
        return False
    return name.endswith(_THEIR_SUFFIX) or name + _THEIR_SUFFIX in names
