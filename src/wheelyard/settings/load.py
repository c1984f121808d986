"""
From files, text, environment and flags to `Settings`: every mistake is found before anything starts.

1. The configuration: `--config`, or `<ROOT>/config.toml`, or a new one.
2. Its indexes, then `[server]` and `[limits]`; flags win over `[server]`.
3. The admin secrets: `--admin-secret`, or `<ROOT>/admin_secret.toml` beside the configuration found there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

from wheelyard.errors import ConfigError
from wheelyard.settings import addresses
from wheelyard.settings.documents import Document, parse_text, read_document
from wheelyard.settings.first_start import (
    ADMIN_SECRET_NAME,
    CONFIG_NAME,
    default_root,
    make_configuration,
    write_private,
)
from wheelyard.settings.indexes import LoadOptions, is_index, load_options, read_indexes, with_admin_secrets
from wheelyard.settings.mistakes import Mistakes, Place
from wheelyard.settings.tables import Key, Parser, keys_of, read_table, wrong_type
from wheelyard.settings.upstream_stores import check_apart
from wheelyard.settings.upstream_values import EXTRA_UPSTREAM, UpstreamSettings
from wheelyard.settings.upstreams import check_named, read_upstreams
from wheelyard.settings.values import IndexSettings, LimitSettings, ServerSettings, Settings

T = TypeVar("T")

_PARSERS: Mapping[str, Parser] = {
    "extra_index_url": addresses.extra_index_url,
    "listen": addresses.listen,
    "public_url": addresses.public_url,
    "ssl_certfile": addresses.existing_file,
    "ssl_keyfile": addresses.existing_file,
    "trusted_proxies": addresses.trusted_proxies,
    "trusted_proxy_headers": addresses.trusted_proxy_headers,
    "unix_socket_perms": addresses.unix_socket_perms,
    "url_prefix": addresses.url_prefix,
}

_MINIMUMS: Mapping[str, int] = {
    "port": 0,
    "auth_read_expires": 0,
    "auth_write_expires": 0,
    "drain_timeout": 0,
    "head_timeout": 1,
    "stall_timeout": 1,
    "trusted_proxy_count": 1,
    "workers": 1,
    "threads": 1,
    "backlog": 1,
    "connection_limit": 1,
    "channel_timeout": 1,
    "max_request_header_bytes": 1024,  # less does not hold what pip sends
    "max_request_body_bytes": 1,
}

SERVER_KEYS: Mapping[str, Key] = {
    name: replace(key, maximum=65535) if name == "port" else key
    for name, key in keys_of(ServerSettings, parsers=_PARSERS, minimums=_MINIMUMS).items()
}
"""Keys of `[server]`."""

LIMIT_KEYS: Mapping[str, Key] = {name: replace(key, minimum=1) for name, key in keys_of(LimitSettings).items()}
"""Keys of `[limits]`."""


def load_settings(
    root: Path | str | None = None,
    *,
    config: str | None = None,
    admin_secret: str | None = None,
    text_allowed: bool = False,
    may_generate: bool = True,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] = os.environ,
    options: LoadOptions = load_options,
) -> Settings:
    """
    Load everything the server is told.

    Args:
        root: Folder for everything the server keeps; the platform's data folder when None.
        config: Path of the configuration, or its text; None reads or makes `<ROOT>/config.toml`.
        admin_secret: Path of the admin secrets, or their text.
        text_allowed: Whether the two may be text.
        may_generate: Whether a missing configuration is made; only a server's start does that.
        overrides: Values of `[server]` that flags or the environment gave; text is converted.
        environ: Where secrets named by `env` are looked up.
        options: Finds the class of a backend's options.
    Raises:
        ConfigError: Lists every mistake, with file and key.
    """
    mistakes = Mistakes()
    folder = Path(os.path.abspath(Path(root).expanduser() if root else default_root()))  # noqa: PTH100  links stay
    generated = config is None and _make_missing(folder, may_generate=may_generate)
    document = read_document(
        str(folder / CONFIG_NAME) if config is None else config,
        flag="--config",
        text_allowed=text_allowed,
        mistakes=mistakes,
    )
    secrets = _admin_document(folder, config, admin_secret, text_allowed=text_allowed, mistakes=mistakes)
    indexes = _indexes(document, secrets, mistakes, environ=environ, options=options)
    upstreams = read_upstreams(document, mistakes, environ=environ, options=options)
    server = _with_extra(_server(document, overrides or {}, mistakes), upstreams, document, overrides or {})
    upstreams = (*upstreams, *_extra(server))
    source = "configuration" if document is None else document.source
    check_named(indexes, upstreams, mistakes, source=source)
    check_apart(folder, indexes, upstreams, mistakes, source=source)
    limits = _own_table(document, "limits", LIMIT_KEYS, mistakes)
    mistakes.raise_if_any()
    return Settings(
        root=folder,
        indexes=indexes,
        server=server,
        limits=LimitSettings(**cast("Any", limits)),
        generated=generated,
        source=document.source if document else "",
        warnings=tuple(mistakes.warnings),
        upstreams=upstreams,
    )


def reconfigured(
    settings: Settings,
    *,
    config: str,
    admin_secret: str,
    environ: Mapping[str, str] = os.environ,
    options: LoadOptions = load_options,
) -> Settings:
    """
    Return the settings with the indexes of another configuration, as `POST /initialize/` sends it.

    How the server listens stays as it is: a running server cannot change that.

    Args:
        settings: What holds now.
        config: Text of the new configuration.
        admin_secret: Text of the new admin secrets; "" for none.
        environ: Where secrets named by `env` are looked up.
        options: Finds the class of a backend's options.
    Raises:
        ConfigError: Lists every mistake.
    """
    mistakes = Mistakes()
    document = parse_text(config, source="config", mistakes=mistakes)
    secrets = parse_text(admin_secret, source="admin_secret", mistakes=mistakes)
    indexes = _indexes(document, secrets, mistakes, environ=environ, options=options)
    upstreams = (*read_upstreams(document, mistakes, environ=environ, options=options), *_extra(settings.server))
    check_named(indexes, upstreams, mistakes, source="config")
    check_apart(settings.root, indexes, upstreams, mistakes, source="config")
    _server(document, {}, mistakes)
    limits = _own_table(document, "limits", LIMIT_KEYS, mistakes)
    mistakes.raise_if_any()
    return replace(
        settings,
        indexes=indexes,
        limits=LimitSettings(**cast("Any", limits)),
        generated=False,
        source="POST /initialize/",
        warnings=tuple(mistakes.warnings),
        upstreams=upstreams,
    )


def keep_configuration(root: Path, *, config: str, admin_secret: str) -> None:
    """
    Keep a configuration in ROOT, where the next start without `--config` finds it. Blocks.

    Raises:
        ConfigError: ROOT cannot be written; the old files stay.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(root / ADMIN_SECRET_NAME, admin_secret, replace=True)
        write_private(root / CONFIG_NAME, config, replace=True)
    except OSError as error:
        raise ConfigError([f"{root}: the configuration cannot be kept: {error.strerror or error}"]) from error


def _make_missing(root: Path, *, may_generate: bool) -> bool:
    """Make a configuration in ROOT when there is none; tell whether this call made it."""
    if (root / CONFIG_NAME).exists():
        return False
    if not may_generate:
        raise ConfigError(
            [f"{root / CONFIG_NAME}: there is no such file; name the server's folder with --root or its --config"]
        )
    return make_configuration(root)


def _admin_document(
    root: Path, config: str | None, admin_secret: str | None, *, text_allowed: bool, mistakes: Mistakes
) -> Document | None:
    beside = root / ADMIN_SECRET_NAME
    if admin_secret is None and config is None and beside.exists():
        admin_secret = str(beside)
    if admin_secret is None:
        return None
    return read_document(admin_secret, flag="--admin-secret", text_allowed=text_allowed, mistakes=mistakes)


def _indexes(
    document: Document | None,
    secrets: Document | None,
    mistakes: Mistakes,
    *,
    environ: Mapping[str, str],
    options: LoadOptions,
) -> tuple[IndexSettings, ...]:
    indexes = () if document is None else read_indexes(document, mistakes, environ=environ, options=options)
    return indexes if secrets is None else with_admin_secrets(indexes, secrets, mistakes, environ=environ)


def _server(document: Document | None, overrides: Mapping[str, object], mistakes: Mistakes) -> ServerSettings:
    written = _own_table(document, "server", SERVER_KEYS, mistakes)
    flags = Place(mistakes, "command line")
    given = read_table(overrides, SERVER_KEYS, flags, text=True)
    if {"host", "port"} & overrides.keys():
        written.pop("listen", None)  # a flag names one address in place of those in the file
    values = {**written, **given}
    if values.get("trusted_proxy_headers") and not values.get("trusted_proxies"):
        flags.refuse("trusted_proxy_headers", "means nothing without trusted_proxies (--trusted-proxy)")
    if values.get("ssl_keyfile") and not values.get("ssl_certfile"):
        flags.refuse("ssl_keyfile", "means nothing without ssl_certfile")
    return ServerSettings(**cast("Any", values))


def _with_extra(
    server: ServerSettings,
    upstreams: tuple[UpstreamSettings, ...],
    document: Document | None,
    overrides: Mapping[str, object],
) -> ServerSettings:
    """Let the default of `extra_index_url` count only where no upstream is configured by a table of its own."""
    written = {} if document is None else document.tables.get("server", {})
    is_told = "extra_index_url" in overrides or (isinstance(written, Mapping) and "extra_index_url" in written)
    return replace(server, extra_index_url="") if upstreams and not is_told else server


def _extra(server: ServerSettings) -> tuple[UpstreamSettings, ...]:
    """Return the upstream that `extra_index_url` is short for; the last one asked."""
    url = server.extra_index_url
    return (UpstreamSettings(name=EXTRA_UPSTREAM, url=url),) if url else ()


def _own_table(document: Document | None, name: str, keys: Mapping[str, Key], mistakes: Mistakes) -> dict[str, object]:
    if document is None:
        return {}
    for given, table in document.tables.items():
        if given.lower() == name and not is_index(given, table):
            place = Place(mistakes, document.source, given)
            if isinstance(table, Mapping):
                return read_table(_from_folder(table, document.folder), keys, place)
            Place(mistakes, document.source).refuse(given, str(wrong_type(table, f"a table [{name}]")))
    return {}


def _from_folder(table: Mapping[str, object], folder: Path | None) -> dict[str, object]:
    """Let relative paths of a file start at its folder."""
    if folder is None:
        return dict(table)
    paths = ("ssl_certfile", "ssl_keyfile", "unix_socket")
    return {
        key: str(folder / Path(value).expanduser()) if key in paths and isinstance(value, str) and value else value
        for key, value in table.items()
    }
