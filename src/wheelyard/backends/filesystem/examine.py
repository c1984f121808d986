"""
Trouble in `.wheelyard` of a storage folder, for `wheelyard doctor`: the journal, and what killed processes left.

Lock files are no trouble: the kernel releases a lock when its process ends, and the files stay on purpose.

Rule 1: nothing is changed unless `repair` says so, not even a missing lock file made.
Rule 2: a folder below `tmp` is judged only while nobody can be making one, and removed only by who locked its `owner`.
Rule 3: every function blocks; callers are in a thread.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from wheelyard.backends.filesystem.journal import DONE, INTENT, Journal
from wheelyard.backends.filesystem.locks import lock
from wheelyard.storage.findings import Finding, Severity
from wheelyard.storage.keys import is_record_key

_LOCK_TIMEOUT_S: Final = 10.0  # the journal's lock is held for the time of one swap
_JOURNAL_HEAD: Final = b"wheelyard journal 1 "


def examine(folder: Path, *, repair: bool) -> tuple[Finding, ...]:
    """
    Look at a store's own folder; a missing one has no trouble: `start` makes it.

    Raises:
        OSError: It cannot be read.
    """
    if not folder.is_dir():
        return ()
    return (*_journal(folder, repair=repair), *_leftovers(folder, repair=repair))


# --- the journal ---------------------------------------------------------------------------------------------------


def _journal(folder: Path, *, repair: bool) -> Iterator[Finding]:
    path = folder / "journal"
    why = _journal_damage(path)
    if why is None:
        return
    done = ""
    if repair:
        _begin_new_journal(folder)
        done = "a new journal was begun; every reader lists once"
    yield _found(
        "journal-damaged",
        ".wheelyard/journal",
        f"the journal {why}, so readers list everything to learn what changed",
        "nothing is lost; `--fix` begins a new one",
        done=done,
    )


def _journal_damage(path: Path) -> str | None:
    """Tell what is wrong with the journal; None when nothing is, or there is none yet."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"cannot be opened ({error.strerror})"
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        return "is no file"
    with os.fdopen(opened, "rb") as journal:
        lines = journal.read().split(b"\n")
    if not lines[0].startswith(_JOURNAL_HEAD):
        return "does not start as one"
    bad = sum(1 for line in lines[1:-1] if not _is_line(line))
    return f"has {bad} lines that cannot be read" if bad else None


def _is_line(line: bytes) -> bool:
    text = line.decode("utf-8", "replace")
    return text[:1] in (INTENT, DONE) and is_record_key(text[1:])


def _begin_new_journal(folder: Path) -> None:
    """Put the journal aside for those who want to look at it, and begin a new one; no swap is under way meanwhile."""
    held = lock(folder / "locks" / "journal", timeout_s=_LOCK_TIMEOUT_S)
    try:
        (folder / "journal").rename(folder / "journal.damaged")
    finally:
        os.close(held)
    Journal(folder).prepare()


# --- leftovers -----------------------------------------------------------------------------------------------------


def _leftovers(folder: Path, *, repair: bool) -> Iterator[Finding]:
    with _nobody_starts(folder) as sure:
        if not sure:
            return
        for entry in sorted((folder / "tmp").glob("*")):
            with _dead(entry) as dead:
                if not dead:
                    continue
                files, size = _size(entry)
                if repair:
                    _remove(entry)
                yield _found(
                    "leftover",
                    f".wheelyard/tmp/{entry.name}",
                    f"a process that was killed left {files} temporary files with {size} bytes; none was acknowledged",
                    "`--fix` removes them, and so does the next start of the server",
                    done="removed" if repair else "",
                )


@contextmanager
def _nobody_starts(folder: Path) -> Iterator[bool]:
    """Hold the lock under which processes make their folders; False when it is not to be had."""
    with _locked(folder / "locks" / "start") as held:
        yield held


@contextmanager
def _dead(entry: Path) -> Iterator[bool]:
    """Tell whether nobody alive writes to an entry of `tmp`, and keep it so."""
    if entry.is_symlink() or not entry.is_dir() or not (entry / "owner").exists():
        yield True  # folders get their `owner` while the start lock is held, which we hold
        return
    with _locked(entry / "owner") as held:
        yield held


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Lock a file that exists; False when it is locked, missing, or not ours to open."""
    try:
        opened = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(opened)


def _size(entry: Path) -> tuple[int, int]:
    paths = [entry] if entry.is_symlink() or not entry.is_dir() else [*entry.rglob("*")]
    sizes = [path.lstat().st_size for path in paths if path.name != "owner" and not path.is_dir()]
    return len(sizes), sum(sizes)


def _remove(entry: Path) -> None:
    if entry.is_symlink() or not entry.is_dir():
        entry.unlink(missing_ok=True)
    else:
        shutil.rmtree(entry, ignore_errors=True)


def _found(code: str, key: str, text: str, advice: str, *, done: str) -> Finding:
    return Finding(code, Severity.WARNING, "", key, text, advice, fixable=True, done=done)
