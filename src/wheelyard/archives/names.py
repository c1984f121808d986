"""Names of archive members: only what every reader on every system takes for the same place inside one folder."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import pairwise

from wheelyard.errors import ArchiveError, shown

_DRIVE = re.compile(r"[A-Za-z]:")

# The usual case, decided at once: printable ASCII, no `\` or `:`, no segment that starts with a dot, none empty.
_PLAIN = re.compile(r"(?:[!-\-0-9;-\[\]-~][!-.0-9;-\[\]-~]*/)*[!-\-0-9;-\[\]-~][!-.0-9;-\[\]-~]*\Z")


def check_member_name(name: str, *, limit_bytes: int) -> None:
    """
    Refuse a name that some reader would put outside the folder, or write otherwise than another reader.

    Args:
        name: Name of a file, or of a folder without its last `/`.
        limit_bytes: Longest name.
    Raises:
        ArchiveError: The name is empty, absolute, climbs (`..`), is too long or holds what nobody can print.
    """
    if len(name) <= limit_bytes and _PLAIN.match(name) is not None:
        return
    why = _fault(name, limit_bytes)
    if why is not None:
        raise ArchiveError(f"the member '{shown(name)}' of the archive {why}", part=shown(name))


def _fault(name: str, limit_bytes: int) -> str | None:
    if not name:
        return "has an empty name"
    if len(name.encode("utf-8", "surrogatepass")) > limit_bytes:
        return f"has a name of more than {limit_bytes} bytes"
    if not name.isprintable():
        return "has unprintable characters in its name"
    if "\\" in name:
        return "has a backslash in its name; members are separated by '/'"
    if name.startswith("/") or _DRIVE.match(name) is not None:
        return "has an absolute name; names are relative to the archive"
    segments = name.split("/")
    if ".." in segments:
        return "has '..' in its name, which leads out of the archive"
    if "." in segments or "" in segments:
        return "has an empty or '.' segment in its name"
    return None


def check_no_file_is_folder(files: set[str], names: Iterable[str]) -> None:
    """
    Refuse an archive where a file is also used as a folder.

    Args:
        files: Names of all members that are no folders.
        names: Names of all members, folders without their last `/`.
    Raises:
        ArchiveError: There is one.
    """
    # Sorted, everything below "a/" follows "a/" at once, so neighbours tell; a set of all parents could be made to
    # hold thousands of strings for one long name.
    paths = sorted(f"{name}/" for name in names)
    for path, following in pairwise(paths):
        if following.startswith(path) and (name := path[:-1]) in files:
            raise ArchiveError(f"the archive has '{shown(name)}' as a file and as a folder", part=shown(name))


def collision_key(name: str) -> str:
    """Return what two names have in common when a case-insensitive file system takes them for one."""
    return (
        name.lower() if name.isascii() else unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    )
