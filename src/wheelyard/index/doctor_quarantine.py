"""
Where `wheelyard doctor --fix` puts what must not stay where it is: moved, never deleted, each with a line that says why.

    <storage>/.wheelyard/quarantine/<time>/manifest.jsonl    one line for each thing, written before it is moved
    <storage>/.wheelyard/quarantine/<time>/files/<key>       the thing under the name it had

Rule 1: nothing is overwritten and no link is followed, neither where a thing is nor where it goes.
Rule 2: every function blocks; callers are in a thread.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from wheelyard.storage.keys import RESERVED

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE_FOLDER: Final = 0o700
_PRIVATE_FILE: Final = 0o600


class Quarantine:
    """
    The quarantine of one run; its folder is made when the first thing comes.

    Args:
        storage: The storage folder.
        now: When the run began, UTC.
    """

    def __init__(self, storage: Path, now: datetime) -> None:
        self._storage = storage
        self._now = now
        # A part by chance, so that two runs in one second never meet.
        self._name = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"

    @property
    def place(self) -> str:
        """Where things go, seen from the storage folder."""
        return f"{RESERVED}/quarantine/{self._name}"

    def take(self, key: str, *, code: str, why: str) -> str | None:
        """
        Move what lies under a key: a file, a link itself, a folder with everything in it.

        Returns:
            Where it is now, seen from the storage folder; None when nothing was there.
        Raises:
            OSError: It is where it was.
        """
        *segments, name = key.split("/")
        try:
            with self._entered(segments) as source:
                found = os.stat(name, dir_fd=source, follow_symlinks=False)
                with self._entered([*self._files(), *segments], create=True) as target:
                    place = _free_name(target, name)
                    self._note(key, [*segments, place], code=code, why=why, size=found.st_size)
                    os.rename(name, place, src_dir_fd=source, dst_dir_fd=target)
                    os.fsync(target)
                os.fsync(source)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return "/".join((*self._files(), *segments, place))

    def keep(self, key: str, content: bytes, *, code: str, why: str) -> str:
        """
        Keep a copy of bytes that are about to be replaced.

        Returns:
            Where the copy is, seen from the storage folder.
        Raises:
            OSError: It could not be written; nothing may be replaced.
        """
        *segments, name = key.split("/")
        with self._entered([*self._files(), *segments], create=True) as target:
            place = _free_name(target, name)
            self._note(key, [*segments, place], code=code, why=why, size=len(content))
            opened = os.open(place, _NEW_FILE, _PRIVATE_FILE, dir_fd=target)
            with os.fdopen(opened, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.fsync(target)
        return "/".join((*self._files(), *segments, place))

    def _files(self) -> tuple[str, ...]:
        return (*self.place.split("/"), "files")

    def _note(self, key: str, place: list[str], *, code: str, why: str, size: int) -> None:
        """Write the manifest's line; it stands there before anything is moved."""
        line = {
            "key": key,
            "place": "/".join(("files", *place)),
            "code": code,
            "why": why,
            "size": size,
            "time": self._now.isoformat(),
        }
        with self._entered(self.place.split("/"), create=True) as folder:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            opened = os.open("manifest.jsonl", flags, _PRIVATE_FILE, dir_fd=folder)
            with os.fdopen(opened, "wb") as manifest:
                manifest.write(json.dumps(line, ensure_ascii=True).encode() + b"\n")
                manifest.flush()
                os.fsync(manifest.fileno())
            os.fsync(folder)

    @contextmanager
    def _entered(self, segments: list[str], *, create: bool = False) -> Iterator[int]:
        """Open a folder of the storage, step by step, following no link."""
        folder = os.open(self._storage, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for segment in segments:
                child = _opened(folder, segment, create=create)
                os.close(folder)
                folder = child
            yield folder
        finally:
            os.close(folder)


def _opened(folder: int, segment: str, *, create: bool) -> int:
    try:
        return os.open(segment, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if not create:
            raise
    os.mkdir(segment, _PRIVATE_FOLDER, dir_fd=folder)
    os.fsync(folder)
    return os.open(segment, _FOLDER, dir_fd=folder)


def _free_name(folder: int, name: str) -> str:
    """Return a name that nothing in a folder has: the one given, or one with a number behind it."""
    number, place = 1, name
    while _exists(folder, place):
        number, place = number + 1, f"{name[:200]}~{number + 1}"
    return place


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
