"""
The names of an index as they were last listed, kept by the server, so that a start need not look at every project.

With them is the store's cursor: it tells what changed since, and a store that no longer knows it lists all. So the file may
be old, and when it is missing or damaged nothing is lost but the time to list.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import msgspec

_FORMAT = "wheelyard names 1"


@dataclass(frozen=True, slots=True)
class KnownNames:
    """
    What was listed.

    Attributes:
        cursor: The store's, as of the list.
        names: Every project there was.
    """

    cursor: str
    names: frozenset[str]


class NamesFile:
    """
    One file; every function blocks.

    Args:
        path: Where it is or will be; `save` makes the folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> KnownNames | None:
        """Return what was saved; None when that cannot be known for certain."""
        try:
            title, checksum, content = self._path.read_bytes().split(b"\n", 2)
            if title.decode() != _FORMAT or int(checksum) != crc32(content):
                return None
            cursor, names = msgspec.json.decode(content, type=tuple[str, list[str]])
        except (OSError, ValueError, msgspec.DecodeError):
            return None
        return KnownNames(cursor, frozenset(names))

    def save(self, known: KnownNames) -> None:
        """Save in one step, or not at all: a disk that takes nothing costs only the next start some time."""
        content = msgspec.json.encode((known.cursor, sorted(known.names)))
        fresh = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}")
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            fresh.write_bytes(b"%b\n%d\n%b" % (_FORMAT.encode(), crc32(content), content))
            os.replace(fresh, self._path)  # noqa: PTH105  as elsewhere where a file is replaced
        except OSError:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
