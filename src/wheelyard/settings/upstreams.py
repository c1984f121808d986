"""The tables `[upstream.NAME]`: other indexes that are read, in the order of the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, cast

from wheelyard.errors import WheelyardError, shown
from wheelyard.index.policy.patterns import NamePattern
from wheelyard.settings import addresses
from wheelyard.settings.documents import Document, read_secret
from wheelyard.settings.indexes import LoadOptions
from wheelyard.settings.mistakes import Mistakes, Place
from wheelyard.settings.policy import each_of
from wheelyard.settings.tables import Key, keys_of, read_table, wrong_type
from wheelyard.settings.upstream_values import EXTRA_UPSTREAM, MirrorStore, UpstreamSettings
from wheelyard.settings.values import IndexSettings

TABLE: Final = "upstream"
"""Top-level table whose tables are upstreams."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_SECRETS = ("username", "password")
_MINIMUMS = {
    "cache_bytes": 1,
    "page_max_age": 0,
    "page_min_age": 0,
    "stale_max_age": 0,
    "absent_max_age": 0,
    "timeout": 1,
    "connect_timeout": 1,
}


def _index_url(value: object) -> str:
    url = addresses.extra_index_url(value)
    if not url:
        raise ValueError("is empty; write the root of a simple index like 'https://packages.example.org/simple/'")
    return url


UPSTREAM_KEYS: Final[Mapping[str, Key]] = {
    name: replace(key, type=Any) if name in (*_SECRETS, "store") else key
    for name, key in keys_of(
        UpstreamSettings, parsers={"url": _index_url, "owns": each_of(NamePattern.parse)}, minimums=_MINIMUMS
    ).items()
    if name != "name"
}
"""Keys of `[upstream.NAME]`."""


def read_upstreams(
    document: Document | None, mistakes: Mistakes, *, environ: Mapping[str, str], options: LoadOptions
) -> tuple[UpstreamSettings, ...]:
    """
    Return every upstream of a configuration whose table has no mistake.

    Args:
        document: The configuration.
        mistakes: Where mistakes are noted.
        environ: Where secrets named by `env` are looked up.
        options: Finds the class of a backend's options.
    """
    table = None if document is None else document.tables.get(TABLE)
    if document is None or table is None or (isinstance(table, Mapping) and "type" in table):
        return ()
    if not isinstance(table, Mapping):
        Place(mistakes, document.source).refuse(TABLE, f"must hold a table for each upstream, like [{TABLE}.public]")
        return ()
    found = []
    for name, each in table.items():
        place = Place(mistakes, document.source, f"{TABLE}.{name}")
        if not isinstance(each, Mapping):
            _refuse_key(name, each, place)
            continue
        if name == EXTRA_UPSTREAM:
            place.refuse(
                "", "this name is that of the upstream that `extra_index_url` is short for; choose another one"
            )
        elif _NAME.match(name) is None:
            place.refuse("", "the name of an upstream has letters, digits, '.', '_' and '-'; choose another one")
        upstream = _read_upstream(name, each, place, document=document, environ=environ, options=options)
        if upstream is not None:
            found.append(upstream)
    return tuple(found)


def _refuse_key(name: str, value: object, place: Place) -> None:
    """Note what stands in `[upstream]` and is no table: most often the key of one whose name was forgotten."""
    if name in UPSTREAM_KEYS:
        outer = replace(place, table=TABLE)
        outer.refuse(name, f"belongs into a table with the name of the upstream, like [{TABLE}.public]")
    else:
        place.refuse("", str(wrong_type(value, f"a table [{TABLE}.{name}]")))


def check_named(
    indexes: tuple[IndexSettings, ...], upstreams: tuple[UpstreamSettings, ...], mistakes: Mistakes, *, source: str
) -> None:
    """Note each upstream that an index names and that is none."""
    known = {upstream.name for upstream in upstreams}
    for index in indexes:
        for name in index.upstreams or ():
            if name not in known and not mistakes.found:  # else its table may only have been left out for a mistake
                text = f"there is no upstream '{shown(name)}'; write a table [{TABLE}.{shown(name)}] with its url"
                Place(mistakes, source, index.name).refuse("upstreams", text)


def _read_upstream(
    name: str,
    table: Mapping[str, object],
    place: Place,
    *,
    document: Document,
    environ: Mapping[str, str],
    options: LoadOptions,
) -> UpstreamSettings | None:
    before = len(place.mistakes.found)
    values = read_table(table, UPSTREAM_KEYS, place)
    for key in _SECRETS:
        if key in values:
            secret = read_secret(values[key], key=key, place=place, folder=document.folder, environ=environ)
            values[key] = secret
    if "store" in values:
        values["store"] = _read_store(values["store"], place, document=document, environ=environ, options=options)
        if values.get("mirror") == "redirect":
            place.refuse("store", 'means nothing with mirror = "redirect": no file is kept')
    if ("password" in values) != ("username" in values):
        place.refuse("username", "and password go together; for a token, see which user name the upstream wants")
    if len(place.mistakes.found) > before:
        return None
    return UpstreamSettings(name=name, **cast("Any", values))


def _read_store(
    value: object, place: Place, *, document: Document, environ: Mapping[str, str], options: LoadOptions
) -> MirrorStore | None:
    """Read where files are kept: the type of a backend and its own keys, as in the table of an index."""
    inner = replace(place, table=f"{place.table}.store")
    if not isinstance(value, Mapping):
        inner.refuse("", str(wrong_type(value, 'a table like { type = "file_system", path = "/mnt/cache" }')))
        return None
    backend_type = value.get("type")
    if not isinstance(backend_type, str):
        inner.refuse("type", 'is missing; write the type of a backend like "file_system"')
        return None
    try:
        cls = options(backend_type)
    except WheelyardError as error:
        inner.refuse("type", error.message)
        return None
    keys = keys_of(cls)
    secret = _admin_secret(value, inner, document=document, environ=environ)
    given = {key: each for key, each in value.items() if key not in ("type", "admin_secret")}
    before = len(inner.mistakes.found)
    values = read_table(given, keys, inner)
    if len(inner.mistakes.found) > before:
        return None
    try:
        return MirrorStore(type=backend_type, options=cls(**values), admin_secret=secret)
    except (WheelyardError, TypeError, ValueError) as error:
        inner.refuse("", str(error))
        return None


def _admin_secret(
    table: Mapping[str, object], place: Place, *, document: Document, environ: Mapping[str, str]
) -> Mapping[str, str]:
    if "admin_secret" not in table:
        return {}
    secret = read_secret(
        table["admin_secret"], key="admin_secret", place=place, folder=document.folder, environ=environ
    )
    return {} if secret is None else {"raw": secret}
