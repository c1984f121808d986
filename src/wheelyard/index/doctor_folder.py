"""
The storage folder of an index, for `wheelyard doctor`: what lies where no project is, times, space, owners and modes.

What is inside a project's folder is looked at with the project (`doctor_facts`), while nobody publishes to it.

Rule 1: no link is followed. Rule 2: every function blocks; callers are in a thread.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from wheelyard.errors import shown
from wheelyard.index.doctor_checks import CLOCK_TOLERANCE
from wheelyard.index.doctor_facts import kind_of, moment_of
from wheelyard.index.doctor_quarantine import Quarantine
from wheelyard.protocol.names import is_normalized
from wheelyard.storage.findings import Finding, Severity
from wheelyard.storage.keys import PAGES, RESERVED

LOW_BYTES: Final = 1024**3  # 1 GiB: a few large wheels
LOW_SHARE: Final = 0.05
NO_BYTES: Final = 64 * 1024**2  # less does not take one publish
FAR_OFF: Final = timedelta(days=1)
"""A clock that is this far behind the newest file is wrong, not merely adjusted."""

_THEIRS = ".meta"  # the predecessor's files lie beside one of these; taking them over is not ours
_OTHERS_WRITE = stat.S_IWOTH
_OWNER_READS, _OWNER_ENTERS = stat.S_IRUSR, stat.S_IRUSR | stat.S_IXUSR


def examine(
    folder: Path, index: str, *, now: datetime, grace: timedelta, quarantine: Quarantine | None
) -> tuple[Finding, ...]:
    """
    Look at a storage folder, but not into projects.

    Args:
        folder: The storage folder.
        index: Name of its index.
        now: The time, UTC.
        grace: Age below which foreign things are left alone.
        quarantine: Where what must not stay is moved; None to change nothing.
    Raises:
        OSError: It cannot be read.
    """
    return (
        *_foreign(folder, index, now=now, grace=grace, quarantine=quarantine),
        *space(folder, index),
        *clock(folder, index, now=now),
    )


# --- what lies where no project is ---------------------------------------------------------------------------------


def _foreign(
    folder: Path, index: str, *, now: datetime, grace: timedelta, quarantine: Quarantine | None
) -> Iterator[Finding]:
    """Look at `simple` itself: it holds one folder for each project, under its normalised name."""
    pages = folder / PAGES
    try:
        if stat.S_ISLNK(pages.lstat().st_mode):
            yield _link(index, PAGES, "the folder of all projects is")
            return
        with os.scandir(pages) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    names = {entry.name for entry in entries}
    for entry in entries:
        key = f"{PAGES}/{entry.name}"
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            if not is_normalized(entry.name):
                yield _not_normalised(index, key)
        elif stat.S_ISLNK(status.st_mode) and entry.is_dir():
            # Moved away, its name would be free, and another index would be asked for it.
            yield _link(index, key, "the folder of a project is")
        elif not (entry.name.endswith(_THEIRS) or entry.name + _THEIRS in names):
            yield _foreign_entry(index, key, status, now=now, grace=grace, quarantine=quarantine)


def _foreign_entry(
    index: str, key: str, status: os.stat_result, *, now: datetime, grace: timedelta, quarantine: Quarantine | None
) -> Finding:
    what = kind_of(status.st_mode) or "a file"
    text = f"'{shown(key)}' is {what} where only folders of projects are"
    if moment_of(status) > now - grace:
        return Finding("foreign", Severity.INFO, index, key, text, "it is young: look again later", fixable=False)
    place = None if quarantine is None else quarantine.take(key, code="foreign", why=text)
    done = "" if place is None else f"moved to {place}"
    advice = "nothing serves it; `--fix` moves it to quarantine"
    return Finding("foreign", Severity.WARNING, index, key, text, advice, fixable=True, done=done)


def _not_normalised(index: str, key: str) -> Finding:
    return Finding(
        "name-not-normalised",
        Severity.ERROR,
        index,
        key,
        f"'{shown(key)}' is no normalised project name, so nobody can ask for what is in it",
        "publish its files again; this program did not make the folder",
        fixable=False,
    )


def _link(index: str, key: str, what: str) -> Finding:
    return Finding(
        "link",
        Severity.ERROR,
        index,
        key,
        f"{what} a symbolic link ('{shown(key)}'), and links inside the storage are not followed",
        "put the folder itself there, or mount it there",
        fixable=False,
    )


# --- space and time ------------------------------------------------------------------------------------------------


def space(folder: Path, index: str) -> Iterator[Finding]:
    """Look for room: bytes, and entries where the file system has a fixed number of them."""
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    share = room.f_bavail / room.f_blocks if room.f_blocks else 1.0
    if free < LOW_BYTES or share < LOW_SHARE:
        severity = Severity.ERROR if free < NO_BYTES else Severity.WARNING
        text = f"there are {free // 1024**2} MiB left ({share:.0%}) where the storage is"
        yield Finding("space-low", severity, index, "", text, "make room before uploads are refused", fixable=False)
    if room.f_files and room.f_favail / room.f_files < LOW_SHARE:
        severity = Severity.ERROR if not room.f_favail else Severity.WARNING
        text = f"there is room for {room.f_favail} more files ({room.f_favail / room.f_files:.0%} of all inodes)"
        yield Finding("inodes-low", severity, index, "", text, "remove files, or use a larger disk", fixable=False)


def clock(folder: Path, index: str, *, now: datetime) -> Iterator[Finding]:
    """Compare this machine's clock with the times of files."""
    future, example, newest = 0, "", None
    for key, status in walk(folder, only_projects=True):
        moment = moment_of(status)
        newest = moment if newest is None or moment > newest else newest
        if moment > now + CLOCK_TOLERANCE:
            future, example = future + 1, example or key
    if newest is None or not future:
        return
    if newest > now + FAR_OFF:
        yield Finding(
            "clock-far-off",
            Severity.WARNING,
            index,
            "",
            f"this machine says it is {now.isoformat(timespec='seconds')}, and its newest file is from"
            f" {newest.isoformat(timespec='seconds')}",
            "set the clock (NTP); upload times and sessions depend on it",
            fixable=False,
        )
    yield Finding(
        "time-in-future",
        Severity.WARNING,
        index,
        example,
        f"{future} files were written in the future, '{shown(example)}' among them",
        "check the clocks of all machines that write here",
        fixable=False,
    )


# --- owners and modes ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Wrong:
    """One thing about a file's owner or mode, and the system call that mends it."""

    code: str
    severity: Severity
    text: str
    advice: str
    mode: int | None = None
    owner: tuple[int, int] | None = None


def permissions(folder: Path, index: str, *, fix: bool) -> Iterator[Finding]:
    """
    Look at owners and modes of everything in a storage folder; the folder's own owner is the one to be.

    Args:
        folder: The storage folder.
        index: Name of its index.
        fix: Whether modes and owners are set right, as far as whoever runs this may.
    Raises:
        OSError: It cannot be read.
    """
    own = folder.stat()
    for key, status in walk(folder):
        for wrong in _wrong(key, status, own):
            may = os.geteuid() in (0, status.st_uid) if wrong.owner is None else os.geteuid() == 0
            done = _mend(folder / key, wrong) if fix and may else ""
            yield Finding(wrong.code, wrong.severity, index, key, wrong.text, wrong.advice, fixable=may, done=done)


def _wrong(key: str, status: os.stat_result, own: os.stat_result) -> Iterator[_Wrong]:
    if stat.S_ISLNK(status.st_mode):
        return
    mode = stat.S_IMODE(status.st_mode)
    needed = _OWNER_ENTERS if stat.S_ISDIR(status.st_mode) else _OWNER_READS
    if status.st_uid != own.st_uid:
        readable = mode & stat.S_IROTH or (status.st_gid == own.st_gid and mode & stat.S_IRGRP)
        yield _Wrong(
            "other-owner",
            # A root-owned lock or temporary folder keeps the server from working as surely as an unreadable file.
            Severity.WARNING if readable and not key.startswith(RESERVED) else Severity.ERROR,
            f"'{shown(key)}' belongs to user {status.st_uid}, the storage to user {own.st_uid}",
            "run commands as the server's user; `--fix` as root gives it back",
            owner=(own.st_uid, own.st_gid),
        )
    if mode & needed != needed:
        yield _Wrong(
            "unreadable",
            Severity.ERROR,
            f"'{shown(key)}' cannot be read by its owner (mode {mode:o})",
            "`--fix` lets its owner read it",
            mode=mode | needed,
        )
    if mode & _OTHERS_WRITE:
        yield _Wrong(
            "world-writable",
            Severity.WARNING,
            f"'{shown(key)}' can be changed by everybody on this machine (mode {mode:o})",
            "`--fix` takes that away",
            mode=(mode | (needed if mode & needed != needed else 0)) & ~_OTHERS_WRITE,
        )


def _mend(path: Path, wrong: _Wrong) -> str:
    """Set mode or owner; says what was done, or nothing when it was refused."""
    try:
        if wrong.owner is not None:
            os.chown(path, *wrong.owner, follow_symlinks=False)
            return f"given to user {wrong.owner[0]}"
        path.chmod(wrong.mode or 0)
    except OSError:
        return ""
    return f"its mode is {wrong.mode or 0:o} now"


def walk(folder: Path, *, only_projects: bool = False) -> Iterator[tuple[str, os.stat_result]]:
    """
    Describe everything in a storage folder but the quarantine; what vanishes meanwhile is left out.

    Args:
        folder: The storage folder.
        only_projects: Whether what the store keeps for itself is left out too.
    """
    pending = [PAGES] if only_projects else [PAGES, RESERVED]
    while pending:
        key = pending.pop()
        try:
            status = (folder / key).lstat()
        except OSError:
            continue
        yield key, status
        if not stat.S_ISDIR(status.st_mode) or key == f"{RESERVED}/quarantine":
            continue
        try:
            pending += [f"{key}/{name}" for name in os.listdir(folder / key)]  # noqa: PTH208  names, not paths
        except OSError:
            continue  # not readable: that was told with the folder
