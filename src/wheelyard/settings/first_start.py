"""The configuration that a server without one makes for itself, once."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from wheelyard.errors import ConfigError

CONFIG_NAME = "config.toml"
"""The configuration in ROOT, read when none is given."""

ADMIN_SECRET_NAME = "admin_secret.toml"  # noqa: S105  a file name
"""The admin secrets in ROOT, read with `CONFIG_NAME`."""

_SECRET_BYTES = 24  # 192 bits of chance, 32 characters to paste

_TEMPLATE = """\
# Made by the first start of wheelyard. Change it as you like and restart;
# docs/reference/configuration.md describes every key.

[main]
type = "file_system"
# Whoever has this secret may install: user name `main`, password:
read_secret = "{read_secret}"
# Whoever has this secret may also publish: user name `main`, password:
write_secret = "{write_secret}"
"""


def default_root() -> Path:
    """Return the platform's place for data of this program; `XDG_DATA_HOME` and its like are obeyed."""
    import platformdirs  # noqa: PLC0415  needed only when no ROOT is given

    return platformdirs.user_data_path("wheelyard", appauthor=False)


def make_configuration(root: Path) -> bool:
    """
    Write `config.toml` with an index `main` and new secrets, unless there is one.

    Returns:
        True when this call made it; of several processes that start at once, exactly one gets True.
    Raises:
        ConfigError: ROOT cannot be written.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return write_private(
            root / CONFIG_NAME,
            _TEMPLATE.format(read_secret=_new_secret(), write_secret=_new_secret()),
            replace=False,
        )
    except OSError as error:
        raise ConfigError(
            [f"{root}: cannot be written: {error.strerror or error}; name a folder of yours: wheelyard server ROOT"]
        ) from error


def _new_secret() -> str:
    """Return a secret that can be pasted behind a flag: it does not start with `-`."""
    while not (secret := secrets.token_urlsafe(_SECRET_BYTES))[0].isalnum():
        pass
    return secret


def write_private(path: Path, content: str, *, replace: bool) -> bool:
    """
    Write a file that only its owner may read: whole or not at all, and durable.

    Args:
        path: Where.
        content: What.
        replace: Whether an existing file gives way.
    Returns:
        False when there was a file and it stayed.
    Raises:
        OSError: It could not be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123  a descriptor, not a path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(path)
        else:
            path.hardlink_to(temporary)
    except FileExistsError:
        return False
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    _sync_folder(path.parent)
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
