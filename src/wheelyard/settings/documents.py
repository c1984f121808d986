"""Configuration documents: TOML from a file or from text, and the secrets that stand in them or are only named there."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wheelyard.errors import shown
from wheelyard.settings.mistakes import Mistakes, Place, did_you_mean
from wheelyard.settings.tables import wrong_type

SECRET_FORMS = ("raw", "env", "file")
"""Keys of which a secret written as a table has exactly one."""

_SECRET_LIMIT_BYTES = 64 * 1024  # a file named by mistake must not be read whole


@dataclass(frozen=True, slots=True)
class Document:
    """
    One parsed configuration document.

    Attributes:
        source: Its name, for people.
        folder: Where relative paths in it start; None when it came over the network and may name no files.
        tables: Its top level.
    """

    source: str
    folder: Path | None
    tables: Mapping[str, object]


def read_document(given: str, *, flag: str, text_allowed: bool, mistakes: Mistakes) -> Document | None:
    """
    Read TOML from the file that `given` names, or from `given` itself.

    Args:
        given: Path, or the text when that is allowed and no such file exists.
        flag: The flag it came from, for people.
        text_allowed: Whether text is allowed.
        mistakes: Where mistakes are noted.
    Returns:
        None when it cannot be read; a mistake is noted then.
    """
    if not given.strip():
        Place(mistakes, flag).refuse("", "is empty; give the path of a TOML file, or leave the flag out")
        return None
    if os.path.exists(given):  # noqa: PTH110  answers False for text that is no path at all, where Path.exists raises
        return _parsed(_content(Path(given), mistakes), Path(given).absolute().parent, given, mistakes)
    looks_like_text = "=" in given or "\n" in given
    if text_allowed and looks_like_text:
        return _parsed(given, Path.cwd(), f"{flag} (text)", mistakes)
    if looks_like_text:
        hint = "to pass the content itself, add --config-or-admin-secret-can-be-text"
        Place(mistakes, flag).refuse("", f"there is no such file; {hint}")
    else:
        Place(mistakes, flag).refuse("", f"there is no file '{shown(given)}'")
    return None


def parse_text(text: str, *, source: str, mistakes: Mistakes) -> Document | None:
    """Parse TOML that came over the network; None, and a mistake noted, when it is none."""
    return _parsed(text, None, source, mistakes)


def _content(path: Path, mistakes: Mistakes) -> str | None:
    try:
        return path.read_text(encoding="utf-8-sig")  # editors on Windows put a byte order mark in front
    except UnicodeDecodeError as error:
        Place(mistakes, str(path)).refuse("", f"is not UTF-8 text (byte {error.start})")
    except OSError as error:
        Place(mistakes, str(path)).refuse("", f"cannot be read: {error.strerror or error}")
    return None


def _parsed(text: str | None, folder: Path | None, source: str, mistakes: Mistakes) -> Document | None:
    if text is None:
        return None
    try:
        return Document(source, folder, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        Place(mistakes, source).refuse("", f"is not valid TOML: {error}")
    except RecursionError:
        Place(mistakes, source).refuse("", "is not valid TOML: nested too deeply")
    return None


def read_secret(
    value: object, *, key: str, place: Place, folder: Path | None, environ: Mapping[str, str]
) -> str | None:
    """
    Read a secret: text, or a table with one of `raw`, `env` and `file`.

    Args:
        value: As parsed from TOML.
        key: Where it stands in the table of `place`.
        place: Where mistakes are noted. The secret itself is never part of one.
        folder: Where a relative `file` starts; None when no file may be named.
        environ: Where `env` is looked up.
    Returns:
        None when there is none; a mistake is noted then.
    """
    if isinstance(value, str):
        return _not_empty(value, key, place, "is empty")
    if not isinstance(value, dict):
        place.refuse(key, str(wrong_type(value, "text in quotes, or a table with 'env' or 'file'")))
        return None
    return read_secret_forms(value, key=key, place=place, folder=folder, environ=environ)


def read_secret_forms(
    table: Mapping[str, object], *, key: str, place: Place, folder: Path | None, environ: Mapping[str, str]
) -> str | None:
    """Read a secret from a table with exactly one of `raw`, `env` and `file`; else note a mistake and return None."""
    for unknown in table.keys() - set(SECRET_FORMS):
        place.refuse(_under(key, unknown), f"unknown key{did_you_mean(unknown, SECRET_FORMS)}")
    forms = [form for form in SECRET_FORMS if form in table]
    if len(forms) != 1:
        what = "has several of" if forms else "needs one of"
        place.refuse(key, f"the secret {what} 'raw', 'env' and 'file'" + ("; keep one" if forms else ""))
        return None
    form = forms[0]
    value, where = table[form], _under(key, form)
    if not isinstance(value, str):
        place.refuse(where, str(wrong_type(value, "text in quotes")))
        return None
    match form:
        case "env":
            return _from_environment(value, where, place, environ)
        case "file":
            return _from_file(value, where, place, folder)
        case _:
            return _not_empty(value, where, place, "is empty")


def _from_environment(name: str, where: str, place: Place, environ: Mapping[str, str]) -> str | None:
    if name not in environ:
        place.refuse(where, f"the environment variable '{shown(name)}' is not set")
        return None
    return _not_empty(environ[name], where, place, f"the environment variable '{shown(name)}' is empty")


def _from_file(name: str, where: str, place: Place, folder: Path | None) -> str | None:
    if folder is None:
        place.refuse(where, "a configuration that comes over the network cannot name files of the server")
        return None
    path = folder / Path(name).expanduser()
    try:
        with path.open("rb") as file:
            content = file.read(_SECRET_LIMIT_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        place.refuse(where, f"'{shown(name)}' cannot be read: {reason}")
        return None
    if len(content) > _SECRET_LIMIT_BYTES:
        place.refuse(where, f"'{shown(name)}' is longer than {_SECRET_LIMIT_BYTES} bytes: no secret")
        return None
    try:
        secret = content.decode("utf-8").rstrip("\r\n")  # editors and `echo` end a file with a line end
    except UnicodeDecodeError:
        place.refuse(where, f"'{shown(name)}' is not UTF-8 text")
        return None
    return _not_empty(secret, where, place, f"'{shown(name)}' is empty")


def _not_empty(secret: str, key: str, place: Place, text: str) -> str | None:
    if secret:
        return secret
    place.refuse(key, text)
    return None


def _under(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
