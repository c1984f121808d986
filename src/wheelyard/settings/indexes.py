"""The tables of indexes, one each, and their admin secrets: the predecessor's two files, unchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

from wheelyard.errors import WheelyardError, shown
from wheelyard.index.policy.rules import Policy
from wheelyard.server.targets import RESERVED
from wheelyard.settings.documents import SECRET_FORMS, Document, read_secret, read_secret_forms
from wheelyard.settings.git_sources import GIT_TYPE, GitKeys, git_keys, read_git_options
from wheelyard.settings.mistakes import Mistakes, Place, did_you_mean
from wheelyard.settings.policy import read_policy
from wheelyard.settings.tables import Key, keys_of, read_table, wrong_type
from wheelyard.settings.values import (
    FILE_SYSTEM_MAX_FILE_BYTES,
    GITHUB_MAX_FILE_BYTES,
    OTHER_MAX_FILE_BYTES,
    IndexSettings,
    Secret,
)

OWN_TABLES: Final = ("server", "limits", "upstream")
"""Tables that are no index, unless they have a `type`."""

APP_KEYS: Final = ("app_id", "installation_id", "private_key")
"""What an admin secret has in place of `raw` when the server works as a GitHub App."""

_NAME_LIMIT = 100  # characters; the name is a folder and a part of every URL
_SECRETS = ("read_secret", "write_secret")
_COMMON_KEYS: Mapping[str, Key] = {
    "type": Key(str),
    "read_secret": Key(Any),
    "write_secret": Key(Any),
    "anonymous_read": Key(bool),
    "max_file_bytes": Key(int, minimum=1),
    "sync_index_interval": Key(int, minimum=1),
    "upstreams": Key(tuple[str, ...]),
    "policy": Key(Any),
}

LoadOptions = Callable[[str], type]
"""From a backend type to the class of its options; raises one of our errors when there is no such backend."""


def load_options(backend_type: str) -> type:
    """
    Return the class of a backend's options.

    Raises:
        WheelyardError: No such backend is installed; the text says which are.
    """
    from wheelyard.storage.plugins import load_backend  # noqa: PLC0415  entry points are read only when there are indexes

    return load_backend(backend_type).options


def is_index(name: str, table: object) -> bool:
    """Tell whether a top-level entry of a configuration is an index, not a table of the server's own."""
    return name.lower() not in OWN_TABLES or (isinstance(table, Mapping) and "type" in table)


def read_indexes(
    document: Document, mistakes: Mistakes, *, environ: Mapping[str, str], options: LoadOptions
) -> tuple[IndexSettings, ...]:
    """Return every index of a configuration whose table has no mistake, in the order of the file."""
    found: dict[str, IndexSettings] = {}
    spelled: dict[str, str] = {}
    for given, table in document.tables.items():
        if not is_index(given, table):
            continue
        place, name = Place(mistakes, document.source, given), given.lower()
        if name in spelled:
            place.refuse("", f"is the same index as [{shown(spelled[name])}]: capitals do not count")
        spelled.setdefault(name, given)
        if not isinstance(table, Mapping):
            Place(mistakes, document.source).refuse(given, f"unknown key{_about_top_level(given)}")
            continue
        if name == "policy" and "type" not in table:
            place.refuse("", "a policy is that of one index: write it as [main.policy], with the name of the index")
            continue
        _check_name(name, place)
        index = read_index(name, table, place, document=document, environ=environ, options=options)
        if index is not None:
            found.setdefault(name, index)
    if not spelled:
        Place(mistakes, document.source).refuse("", 'has no index; add a table like [main] with type = "file_system"')
    return tuple(found.values())


def read_index(
    name: str,
    table: Mapping[str, object],
    place: Place,
    *,
    document: Document,
    environ: Mapping[str, str],
    options: LoadOptions,
) -> IndexSettings | None:
    """Read one table; None when its type is missing or unknown, since then nothing can be said of its other keys."""
    cls = _options_class(table, place, options)
    if cls is None:
        return None
    theirs = git_keys() if cls is GitKeys else keys_of(cls)
    values = read_table(table, {**theirs, **_COMMON_KEYS}, place)
    secrets = _read_secrets(values, place, document=document, environ=environ)
    _check_secrets(table, values, secrets, place, required=not getattr(cls, "identities", False))
    built = _build_options(cls, {key: value for key, value in values.items() if key in theirs}, theirs, place)
    if isinstance(built, GitKeys):
        build = _build_store(options)
        built = read_git_options(built, place, document=document, environ=environ, build=build)
    backend_type = str(table["type"])
    return IndexSettings(
        name=name,
        type=backend_type,
        options=built,
        anonymous_read=bool(values.get("anonymous_read", False)),
        max_file_bytes=_number(values, "max_file_bytes", _default_max_file_bytes(backend_type)),
        sync_index_interval=_number(values, "sync_index_interval", 60),
        upstreams=cast("tuple[str, ...] | None", values.get("upstreams")),
        policy=_read_policy(values, place),
        **secrets,
    )


def with_admin_secrets(
    indexes: tuple[IndexSettings, ...], document: Document, mistakes: Mistakes, *, environ: Mapping[str, str]
) -> tuple[IndexSettings, ...]:
    """Return the indexes with the secrets of the admin-secret file."""
    by_name = {index.name: index for index in indexes}
    seen: set[str] = set()
    for given, table in document.tables.items():
        place, name = Place(mistakes, document.source, given), given.lower()
        if not isinstance(table, Mapping):
            Place(mistakes, document.source).refuse(
                given, "unknown key; each secret is a table like [main] with type and raw"
            )
            continue
        if name in seen:
            place.refuse("", "is there twice: capitals do not count")
        seen.add(name)
        secret = _read_admin_secret(table, place, document=document, environ=environ)
        index = by_name.get(name)
        if index is None:
            if not mistakes.found:  # else its index may only have been left out for a mistake
                place.warn("", f"there is no index of that name{did_you_mean(name, by_name)}")
        elif secret is not None:
            by_name[name] = _with_admin_secret(index, secret, place)
    return tuple(by_name.values())


def _read_admin_secret(
    table: Mapping[str, object], place: Place, *, document: Document, environ: Mapping[str, str]
) -> Secret | None:
    backend_type = table.get("type")
    if "type" not in table:
        place.refuse("type", "is missing; write the type of the index")
    elif not isinstance(backend_type, str):
        place.refuse("type", str(wrong_type(backend_type, "text in quotes")))
    forms = {key: value for key, value in table.items() if key != "type"}
    if backend_type == "github" and forms.keys() & set(APP_KEYS):
        parts = _read_app(forms, place, folder=document.folder, environ=environ)
        return None if parts is None else Secret("github", parts=parts)
    raw = read_secret_forms(forms, key="", place=place, folder=document.folder, environ=environ)
    return Secret(backend_type, raw) if isinstance(backend_type, str) and raw is not None else None


def _read_app(
    table: Mapping[str, object], place: Place, *, folder: Path | None, environ: Mapping[str, str]
) -> tuple[tuple[str, str], ...] | None:
    """Read the three parts of a GitHub App's key; None when one is missing or wrong, which is noted then."""
    for unknown in table.keys() - set(APP_KEYS):
        if unknown in SECRET_FORMS:
            place.refuse(unknown, "stands beside the key of a GitHub App; keep one of the two")
        else:
            place.refuse(unknown, f"unknown key{did_you_mean(unknown, APP_KEYS)}")
    parts: dict[str, str | None] = {}
    for key in APP_KEYS:
        value = table.get(key)
        if value is None:
            place.refuse(key, f"is missing; the key of a GitHub App is {', '.join(APP_KEYS)}")
        elif key != "private_key" and isinstance(value, int) and not isinstance(value, bool):
            parts[key] = str(value)
        else:
            parts[key] = read_secret(value, key=key, place=place, folder=folder, environ=environ)
    found = tuple((key, _unescaped(value)) for key, value in parts.items() if value is not None)
    if "private_key" in dict(found) and "-----BEGIN " not in dict(found)["private_key"]:
        place.refuse("private_key", "is no PEM text; it is the whole content of the .pem file that GitHub gave")
        return None
    return found if len(found) == len(APP_KEYS) else None


def _unescaped(text: str) -> str:
    """Undo what one-line environment variables do to a PEM text."""
    return text.replace("\\n", "\n")


def _with_admin_secret(index: IndexSettings, secret: Secret, place: Place) -> IndexSettings:
    if secret.type != index.type:
        place.refuse("type", f"is '{shown(secret.type)}', but the index is of type '{shown(index.type)}'")
        return index
    if secret.raw is not None and secret.raw == index.read_secret:
        # The predecessor's manual shows it so. Readers must not be able to reconfigure the server.
        place.warn("raw", "is the read secret too: it will not be accepted as admin secret; choose another one")
        return index
    if secret.raw is not None and secret.raw == index.write_secret:
        place.warn("raw", "is the write secret too: whoever may publish may also reconfigure the server")
    return replace(index, admin_secret=secret)


def _options_class(table: Mapping[str, object], place: Place, options: LoadOptions) -> type | None:
    if "type" not in table:
        place.refuse("type", 'is missing; an index has a type like "file_system"' + _about_table(place.table))
        return None
    backend_type = table["type"]
    if not isinstance(backend_type, str):
        place.refuse("type", str(wrong_type(backend_type, "text in quotes")))
        return None
    if backend_type == GIT_TYPE:
        return GitKeys
    try:
        return options(backend_type)
    except WheelyardError as error:
        place.refuse("type", error.message)
        return None


def _check_name(name: str, place: Place) -> None:
    if name in RESERVED:
        reserved = f"URLs of this server start with '/{name}'"
        place.refuse("", f"'{name}' cannot be the name of an index: {reserved}; rename the table and its folder")
    elif not name or len(name) > _NAME_LIMIT:
        place.refuse("", f"the name of an index has 1 to {_NAME_LIMIT} characters")
    elif name.startswith(".") or any(character in "/\\:?#%" or not character.isprintable() for character in name):
        place.refuse(
            "", "the name of an index stands in URLs: it has no '/', '\\', ':', '?', '#', '%' and no '.' in front"
        )


def _read_secrets(
    values: Mapping[str, object], place: Place, *, document: Document, environ: Mapping[str, str]
) -> dict[str, Any]:
    return {
        key: read_secret(values[key], key=key, place=place, folder=document.folder, environ=environ)
        for key in _SECRETS
        if key in values
    }


def _check_secrets(
    table: Mapping[str, object],
    values: Mapping[str, object],
    secrets: Mapping[str, str | None],
    place: Place,
    *,
    required: bool,
) -> None:
    for key in _SECRETS if required else ():
        if key == "write_secret" and table.get("type") == GIT_TYPE:
            continue  # it takes no uploads; with one, releases can be yanked
        if key not in table and not (key == "read_secret" and values.get("anonymous_read") is True):
            open_to_all = ", or anonymous_read = true" if key == "read_secret" else ""
            place.refuse(key, f'is missing; write {key} = "…", {{ env = "NAME" }} or {{ file = "PATH" }}{open_to_all}')
    if (read := secrets.get("read_secret")) is not None and read == secrets.get("write_secret"):
        place.warn("read_secret", "is the write secret too: whoever may read may also publish")


def _build_options(cls: type, values: Mapping[str, object], keys: Mapping[str, Key], place: Place) -> object:
    """Make the backend's options; None when a key is missing, which is noted already, or when they refuse themselves."""
    if any(key.required and name not in values for name, key in keys.items()):
        return None
    try:
        return cls(**values)
    except WheelyardError as error:
        place.refuse("", error.message)
    except (TypeError, ValueError) as error:
        place.refuse("", str(error))
    return None


def _build_store(options: LoadOptions) -> Callable[[str, Mapping[str, object], Place], object]:
    """Return what makes the options of the store that an index of tags keeps its releases in."""

    def build(store_type: str, table: Mapping[str, object], place: Place) -> object:
        cls = _options_class({"type": store_type}, place, options)
        if cls is None:
            return None
        keys = keys_of(cls)
        return _build_options(cls, read_table(table, keys, place), keys, place)

    return build


def _default_max_file_bytes(backend_type: str) -> int:
    if backend_type == "github":
        return GITHUB_MAX_FILE_BYTES
    return FILE_SYSTEM_MAX_FILE_BYTES if backend_type in ("file_system", "memory") else OTHER_MAX_FILE_BYTES


def _read_policy(values: Mapping[str, object], place: Place) -> Policy | None:
    if "policy" not in values:
        return None
    return read_policy(values["policy"], Place(place.mistakes, place.source, f"{place.table}.policy"))


def _number(values: Mapping[str, object], key: str, default: int) -> int:
    value = values.get(key, default)
    return value if isinstance(value, int) else default


def _about_top_level(name: str) -> str:
    return f"; put it into a table like [main] or [server]{did_you_mean(name, OWN_TABLES)}"


def _about_table(name: str) -> str:
    return did_you_mean(name, OWN_TABLES)
