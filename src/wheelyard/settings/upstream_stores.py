"""Storages that must not be one: an upstream's cache removes files, and an index's storage must lose none."""

from __future__ import annotations

import os
from pathlib import Path

from wheelyard.errors import shown
from wheelyard.settings.mistakes import Mistakes, Place
from wheelyard.settings.upstream_values import MirrorStore, UpstreamSettings
from wheelyard.settings.values import IndexSettings


def check_apart(
    root: Path,
    indexes: tuple[IndexSettings, ...],
    upstreams: tuple[UpstreamSettings, ...],
    mistakes: Mistakes,
    *,
    source: str,
) -> None:
    """
    Note each upstream whose files would be kept in the storage of an index.

    Args:
        root: Folder of the server.
        indexes: Whose storages are meant.
        upstreams: Whose stores are looked at.
        mistakes: Where mistakes are noted.
        source: Name of the configuration.
    """
    for upstream in upstreams:
        for index in indexes:
            if upstream.store is not None and _is_same(upstream.store, index, root):
                place = Place(mistakes, source, f"upstream.{upstream.name}")
                place.refuse(
                    "store",
                    f"is the storage of index '{shown(index.name)}', whose files would be removed when the cache is "
                    "full; choose a folder of its own",
                )


def _is_same(store: MirrorStore, index: IndexSettings, root: Path) -> bool:
    if store.type != index.type or not hasattr(store.options, "path"):
        return store.type == index.type and store.type != "memory" and store.options == index.options
    cache, own = getattr(store.options, "path", None), getattr(index.options, "path", None)
    if cache is None:
        return False  # below the folder of the upstream
    return _real(Path(cache)) == _real(root / "cache" / index.name / "storage" if own is None else Path(own))


def _real(path: Path) -> str:
    return os.path.realpath(path.expanduser())
