"""What `wheelyard doctor` looks at besides indexes: the configuration, its secrets, ROOT, and the server's own database."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wheelyard.index.doctor_folder import space
from wheelyard.storage.findings import Finding, Severity

if TYPE_CHECKING:
    from wheelyard.settings import IndexSettings, Settings

STATE: Final = Path("state") / "wheelyard.sqlite3"
"""The server's own database in ROOT."""

SECRET_FILES: Final = ("config.toml", "admin_secret.toml")
"""Files in ROOT that hold secrets."""

WEAK_SECRET_CHARACTERS: Final = 12  # of 64 different ones: 72 bits
_WEAK_SECRET_DIFFERENT: Final = 6  # "aaaaaaaaaaaaaa" is long and no secret
_OTHERS: Final = stat.S_IRWXO
_GROUP_WRITES: Final = stat.S_IWGRP
_BUSY_TIMEOUT_S: Final = 5.0


def examine_root(settings: Settings, *, fix: bool) -> Iterator[Finding]:
    """
    Look at a ROOT, not at its indexes.

    Args:
        settings: Its configuration, which could be loaded.
        fix: Whether modes of files with secrets are set right.
    """
    for warning in settings.warnings:
        yield _found("config-warning", settings.source, warning, "see docs/reference/configuration.md")
    for index in settings.indexes:
        yield from _weak_secrets(index, settings.source)
    yield from _secret_files(settings, fix=fix)
    yield from _writable(settings.root)
    if settings.root.is_dir():
        yield from space(settings.root, "")
    yield from _state(settings.root / STATE)


def config_findings(problems: tuple[str, ...]) -> tuple[Finding, ...]:
    """Return the mistakes of a configuration that could not be loaded."""
    return tuple(
        _found("config-wrong", "", problem, "mend it; the server does not start with it", severity=Severity.ERROR)
        for problem in problems
    )


def _weak_secrets(index: IndexSettings, source: str) -> Iterator[Finding]:
    secrets = {
        "read_secret": index.read_secret,
        "write_secret": index.write_secret,
        "admin secret": None if index.admin_secret is None else index.admin_secret.raw,
    }
    for name, secret in secrets.items():
        if secret is not None and (len(secret) < WEAK_SECRET_CHARACTERS or len(set(secret)) < _WEAK_SECRET_DIFFERENT):
            yield _found(
                "secret-weak",
                source,
                f"the {name} of index '{index.name}' can be guessed: it has {len(secret)} characters",
                "take a random one of 32 characters, as a first start makes it",
                index=index.name,
            )


def _secret_files(settings: Settings, *, fix: bool) -> Iterator[Finding]:
    paths = [settings.root / name for name in SECRET_FILES]
    given = Path(settings.source)
    if given.is_absolute() and given not in paths:
        paths.append(given)
    state = settings.root / STATE
    paths += [state, state.with_name(f"{state.name}-wal"), state.with_name(f"{state.name}-shm")]
    for path in paths:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue
        if mode & (_OTHERS | _GROUP_WRITES):
            worst = Severity.ERROR if mode & stat.S_IWOTH else Severity.WARNING
            wanted = mode & ~(_OTHERS | _GROUP_WRITES)
            yield _found(
                "secret-readable",
                str(path),
                f"'{path}' holds secrets and is open to others (mode {mode:o})",
                f"`--fix` makes it {wanted:o}",
                severity=worst,
                fixable=True,
                done=_changed(path, wanted) if fix else "",
            )


def _changed(path: Path, mode: int) -> str:
    try:
        path.chmod(mode)
    except OSError:
        return ""
    return f"its mode is {mode:o} now"


def _writable(root: Path) -> Iterator[Finding]:
    if not os.access(root, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        yield _found(
            "root-read-only",
            str(root),
            f"'{root}' cannot be written by this user, so nobody can log in and nothing can be reconfigured",
            "check owner, mode and mount options; run this as the server's user",
            severity=Severity.ERROR,
        )


def _state(path: Path) -> Iterator[Finding]:
    """Ask SQLite whether the server's own database is whole; without one nobody has logged in yet."""
    for aside in sorted(path.parent.glob(f"{path.name}.damaged-*")):
        if not aside.name.endswith(("-wal", "-shm")):
            text = f"'{aside.name}' is a damaged database that the server set aside"
            yield _found("state-set-aside", str(aside), text, "remove it when nobody needs it", severity=Severity.INFO)
    if not path.exists():
        return
    why = _integrity(path)
    if why is not None:
        yield _found(
            "state-damaged",
            str(path),
            f"the server's own database is damaged: {why}",
            "restore it from a backup, or let the server set it aside and make a new one: people log in again",
            severity=Severity.ERROR,
        )


def _integrity(path: Path) -> str | None:
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT_S)
        try:
            answers = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(3)")]
        finally:
            connection.close()
    except sqlite3.Error as error:
        return str(error)
    return None if answers == ["ok"] else "; ".join(answers)


def _found(
    code: str,
    key: str,
    text: str,
    advice: str,
    *,
    severity: Severity = Severity.WARNING,
    index: str = "",
    fixable: bool = False,
    done: str = "",
) -> Finding:
    return Finding(code, severity, index, key, text, advice, fixable, done)
