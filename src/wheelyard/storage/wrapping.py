"""
Raw errors of disks and networks become ours, once, naming the store and the key.

Rule 1: the cause is kept (`__cause__`) for the log; the text is for people and names no path of the server's disk.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from wheelyard.errors import StorageError, StorageFull, StorageReadOnly, StorageUnavailable, WheelyardError, shown

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_READ_ONLY: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_TOO_MANY_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE})

# A bug is not weather: these pass unchanged, so that nobody is told to try again.
_BUGS: Final = (AssertionError, AttributeError, NameError, NotImplementedError, TypeError)


def storage_error(error: Exception, *, store: str, key: str | None = None) -> StorageError:
    """Return our error for what a disk or a network raised; the caller raises it `from` the cause."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return StorageFull(store=store, key=key)
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return StorageFull(store=store, key=key, file_limit=True)
    if isinstance(error, OSError) and error.errno in _READ_ONLY:
        return StorageReadOnly(store=store, key=key)
    about = "" if key is None else f" for '{shown(key)}'"
    hint = "Try again; an administrator finds the cause in the log."
    if isinstance(error, OSError) and error.errno in _TOO_MANY_FILES:
        why = "this server has too many files open"
        hint = "Try again; an administrator should raise the limit of open files (`ulimit -n`)."
    else:
        # The errno's own text names no path, unlike `str(error)`.
        why = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
    return StorageUnavailable(
        f"the storage of index '{shown(store)}' did not answer{about}: {shown(why)}", store=store, key=key, hint=hint
    )


@contextmanager
def wrapped(store: str, key: str | None = None) -> Iterator[None]:
    """
    Turn raw errors raised inside into ours, and add what ours do not name.

    Raises:
        StorageError: As raised inside, or in place of a raw error.
    """
    try:
        yield
    except StorageError as error:
        error.store = error.store or store
        error.key = error.key or key
        raise
    except (WheelyardError, *_BUGS):
        raise
    except Exception as error:
        raise storage_error(error, store=store, key=key) from error
