"""
When root runs a command on the folder of somebody else's server.

What root makes there (a lock file, a temporary folder) the server could not use afterwards. And what the server may not
read, root should not find readable.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def acting_as_owner_of(folder: Path) -> Iterator[None]:
    """
    Act as the owner of a folder for the time of the block, if this is root and the folder somebody else's.

    Raises:
        OSError: The folder cannot be looked at.
    """
    status = folder.stat()
    if os.geteuid() != 0 or status.st_uid == 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    os.setgroups([status.st_gid])
    os.setegid(status.st_gid)
    os.seteuid(status.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


@contextmanager
def giving_to_owner_of(folder: Path) -> Iterator[None]:
    """
    Give what root made below a folder to the folder's owner, when the block is over.

    For commands that read with root's eyes what the owner may not see, as a backup. Links are not followed.
    """
    yield
    if os.geteuid() != 0 or not folder.is_dir():
        return
    own = folder.stat()
    if own.st_uid == 0:
        return
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent) / name
            if path.lstat().st_uid == 0:
                os.chown(path, own.st_uid, own.st_gid, follow_symlinks=False)
