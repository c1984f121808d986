"""The server's own things in a backup: configuration, admin secrets, and the database of sessions."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wheelyard.cli.doctor_root import STATE
from wheelyard.errors import BackupError, shown
from wheelyard.index.backup_files import BackupSource, BackupTarget, writing
from wheelyard.storage.spool import PIECE_BYTES

if TYPE_CHECKING:
    from wheelyard.settings import Settings

CONFIG: Final = "config.toml"
ADMIN_SECRET: Final = "admin_secret.toml"  # noqa: S105  a file name
STATE_COPY: Final = "state.sqlite3"
"""Names in a backup."""

_BUSY_TIMEOUT_S: Final = 30.0
_PRIVATE: Final = 0o600
_PAGES_AT_ONCE: Final = 1000  # of the database: others may write between


def copy_root(settings: Settings, admin_secret: str | None, target: BackupTarget, place: Path) -> list[str]:
    """
    Copy configuration, secrets and the database into a backup; blocks.

    Returns:
        What could not be copied, one line each.
    Raises:
        BackupError: The backup cannot be written.
    """
    problems = []
    secrets = settings.root / ADMIN_SECRET if admin_secret is None else Path(admin_secret)
    for name, path in ((CONFIG, Path(settings.source)), (ADMIN_SECRET, secrets)):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            if name == CONFIG:
                problems.append(f"the configuration '{shown(path)}' is no file, and is not in the backup")
            continue
        except OSError as error:
            problems.append(f"'{shown(path)}' cannot be read: {error.strerror}")
            continue
        with writing(place):
            target.add(name, content)
    problem = _copy_state(settings.root / STATE, target, place)
    return [*problems, problem] if problem else problems


def _copy_state(path: Path, target: BackupTarget, place: Path) -> str:
    """Copy the database as of one moment, while the server writes to it; returns what went wrong."""
    if not path.exists():
        return ""
    with tempfile.TemporaryDirectory(prefix="wheelyard-") as folder:
        copy = Path(folder) / STATE_COPY
        try:
            _copied_database(path, copy)
        except sqlite3.Error as error:
            return f"the server's own database cannot be copied: {error}"
        with writing(place), copy.open("rb") as file:
            target.begin(STATE_COPY, copy.stat().st_size)
            while piece := file.read(PIECE_BYTES):
                target.write(piece)
            target.finish()
    return ""


def _copied_database(path: Path, copy: Path) -> None:
    source = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT_S)
    try:
        target = sqlite3.connect(copy)
        try:
            source.backup(target, pages=_PAGES_AT_ONCE)
            (answer,) = target.execute("PRAGMA integrity_check(1)").fetchone()
            if answer != "ok":
                raise sqlite3.DatabaseError(str(answer))
            target.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
        finally:
            target.close()
    finally:
        source.close()


def restore_config(source: BackupSource, root: Path, *, force: bool, now: datetime) -> list[str]:
    """
    Bring configuration and secrets back; what is there and differs stays, unless `force` sets it aside.

    Returns:
        What was done, one line each.
    Raises:
        BackupError: The backup is damaged, or ROOT cannot be written.
    """
    return [line for name in (CONFIG, ADMIN_SECRET) if (line := _restore(source, name, root / name, force, now))]


def restore_state(source: BackupSource, root: Path, *, force: bool, now: datetime) -> str:
    """
    Bring the database back; one that is there stays, unless `force` sets it aside.

    Returns:
        What was done; "" for nothing.
    Raises:
        BackupError: As `restore_config`.
    """
    path = root / STATE
    if path.exists() and not force:
        return ""
    line = _restore(source, STATE_COPY, path, force, now)
    if line.startswith("restored"):
        for suffix in ("-wal", "-shm"):
            # They belong to the database that was there: replayed into this one they would damage it.
            beside = path.with_name(path.name + suffix)
            if beside.exists():
                beside.rename(_aside(beside, now))
    return line


def _restore(source: BackupSource, name: str, path: Path, force: bool, now: datetime) -> str:  # noqa: FBT001  private
    if name not in source.manifest.files:
        return ""
    content = source.read(name)
    try:
        if path.exists():
            if hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(content).digest():
                return ""
            if not force:
                return f"kept {path}, which differs from the backup's"
            path.rename(_aside(path, now))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_private(path, content)
    except OSError as error:
        raise BackupError(f"'{shown(path)}' cannot be written: {error.strerror or error}") from error
    return f"restored {path}"


def _aside(path: Path, now: datetime) -> Path:
    return path.with_name(f"{path.name}.replaced-{now:%Y%m%dT%H%M%SZ}")


def _write_private(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    opened = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
    try:
        with os.fdopen(opened, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
