"""Settings to indexes: stores (5), the indexes made of them (4), and who may do what with each (3)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from wheelyard.archives.limits import ArchiveLimits
from wheelyard.auth.authenticators import Authenticator, IndexSecrets
from wheelyard.auth.hosts import HostAuthenticator, StandIn
from wheelyard.auth.remembered import RememberedFor
from wheelyard.errors import ConfigError
from wheelyard.index.checks import PublishLimits
from wheelyard.index.hosted import HostedIndex
from wheelyard.index.interface import Index, IndexReader
from wheelyard.index.layered import LayeredIndex
from wheelyard.index.names_file import NamesFile
from wheelyard.settings import IndexSettings, LimitSettings, Settings
from wheelyard.settings.git_sources import GitOptions
from wheelyard.storage.interface import BackendContext
from wheelyard.storage.plugins import load_backend
from wheelyard.storage.store import Store


def now_utc() -> datetime:
    """Return the time; the clock that is handed to every part that needs one."""
    return datetime.now(UTC)


# --- 5. stores -----------------------------------------------------------------------------------------------------


def make_store(settings: Settings, index: IndexSettings) -> Store:
    """
    Make the store of one index; `Store.start` opens it.

    Raises:
        ConfigError: No backend of that type is installed.
    """
    context = BackendContext(
        name=index.name,
        folder=settings.folder(index),
        admin_secret={} if index.admin_secret is None else index.admin_secret.by_key(),
        sync_interval_s=index.sync_index_interval,
    )
    store_type, options = index.type, index.options
    if isinstance(options, GitOptions):  # an index of tags keeps what it made of them like any other index
        store_type, options = options.store_type, options.store_options
    backend = load_backend(store_type).open(options, context)
    return Store(backend, name=index.name)


# --- 4. indexes ----------------------------------------------------------------------------------------------------


def publish_limits(index: IndexSettings, limits: LimitSettings) -> PublishLimits:
    """Return what an upload to an index may be."""
    return PublishLimits(
        max_file_bytes=index.max_file_bytes,
        archive=ArchiveLimits(
            members=limits.archive_members,
            unpacked_bytes=limits.archive_unpacked_bytes,
            ratio=limits.archive_ratio,
            metadata_bytes=limits.archive_metadata_bytes,
            seconds=limits.archive_seconds,
        ),
    )


def make_hosted(
    settings: Settings, index: IndexSettings, store: Store, *, names: NamesFile | None = None
) -> HostedIndex:
    """Make our own part of one index; a server keeps its names for the next start."""
    limits = publish_limits(index, settings.limits)
    if isinstance(index.options, GitOptions):
        from wheelyard.compose.git_sources import make_tagged  # noqa: PLC0415  not for who has no such index

        return make_tagged(settings, index, store, limits=limits)
    return HostedIndex(index.name, store, limits=limits, clock=now_utc, names=names)


def make_index(hosted: HostedIndex, upstream: IndexReader | None) -> Index:
    """Put the upstream, behind its policy, behind our own index: it is asked only for names that are not ours."""
    return hosted if upstream is None else LayeredIndex(hosted, upstream)


# --- 3. who may ----------------------------------------------------------------------------------------------------


def make_auth(settings: Settings, index: IndexSettings, store: Store) -> Authenticator:
    """Make the authenticator of one index: its secrets, and the host that keeps its storage when that knows its users."""
    admin = index.admin_secret
    raw = None if admin is None else admin.raw
    if not store.traits.identities:
        return IndexSecrets(
            index.name, read_secret=index.read_secret, write_secret=index.write_secret, admin_secret=raw
        )
    own = None if admin is None or admin.raw is None else admin.stand_in
    return HostAuthenticator(
        index.name,
        store.identify,
        secrets=IndexSecrets(index.name, read_secret=index.read_secret, write_secret=index.write_secret),
        admin=IndexSecrets(index.name, read_secret=None, write_secret=None, admin_secret=raw),
        remembered_for=RememberedFor(settings.server.auth_read_expires, settings.server.auth_write_expires),
        clock=time.monotonic,
        storage=f"{index.type} {index.options!r}",
        stand_in=None if own is None or raw is None else StandIn(own, raw),
    )


@asynccontextmanager
async def open_index(settings: Settings, name: str) -> AsyncIterator[HostedIndex]:
    """
    Open one index without a server, as the command line does.

    Raises:
        ConfigError: There is no such index.
        StorageError: Its store cannot be opened.
    """
    index = settings.index(name)
    if index is None:
        known = ", ".join(f"'{each.name}'" for each in settings.indexes)
        raise ConfigError([f"{settings.source}: there is no index '{name}'; there are {known}"])
    store = make_store(settings, index)
    await store.start()
    try:
        yield make_hosted(settings, index, store)
    finally:
        await store.stop()
