"""Settings to upstreams (4): what stands behind our own indexes, each opened once and read by all that name it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from anyio import to_thread

from wheelyard.compose.indexes import now_utc, open_index
from wheelyard.index.hosted import HostedIndex
from wheelyard.index.interface import IndexReader
from wheelyard.index.mirrored import MirroredIndex, MirrorParts
from wheelyard.index.policy.patterns import NamePattern
from wheelyard.index.upstream import UpstreamIndex
from wheelyard.index.upstream_address import UpstreamLimits
from wheelyard.index.upstream_disk import DocumentFolder
from wheelyard.index.upstream_memory import UpstreamCounters
from wheelyard.index.upstreams import BoundUpstream, UpstreamChain
from wheelyard.model import NormalizedName
from wheelyard.settings import IndexSettings, Settings
from wheelyard.settings.upstream_values import UpstreamSettings
from wheelyard.storage.interface import BackendContext
from wheelyard.storage.plugins import load_backend
from wheelyard.storage.store import Store

_FOLDER: Final = Path("cache") / "upstream"
_LOCAL = "file_system"


class Upstreams:
    """
    The upstreams of a server, opened.

    Args:
        opened: By name, in the order they are asked.
        owners: By name, which projects are asked of that upstream and of no other.
    """

    def __init__(
        self,
        opened: Mapping[str, UpstreamIndex | MirroredIndex],
        owners: Mapping[str, tuple[NamePattern, ...]] = MappingProxyType({}),
    ) -> None:
        self._opened = opened
        self._owners = {name: patterns for name, patterns in owners.items() if patterns}

    def behind(self, index: IndexSettings) -> UpstreamChain | None:
        """Return the upstreams behind one index as one; None when there are none."""
        names = tuple(self._opened) if index.upstreams is None else index.upstreams
        if not names:
            return None
        url = ", ".join(self._opened[name].url for name in names)
        return UpstreamChain([self._reader(name) for name in names], url=url)

    def parts(self, index: IndexSettings) -> tuple[tuple[str, IndexReader], ...]:
        """Return the upstreams behind one index one by one, with what each is called, for people."""
        names = tuple(self._opened) if index.upstreams is None else index.upstreams
        return tuple((f"upstream '{name}' ({self._opened[name].url})", self._reader(name)) for name in names)

    def _reader(self, name: str) -> IndexReader:
        """Return one upstream, which is not asked for what only others own, even where those are not asked either."""
        if not self._owners:
            return self._opened[name]
        own = self._owners.get(name, ())
        others = [pattern for other, patterns in self._owners.items() if other != name for pattern in patterns]

        def may_be_asked(project: NormalizedName) -> bool:
            if any(pattern.matches(project) for pattern in own):
                return True
            return not any(pattern.matches(project) for pattern in others)

        return BoundUpstream(self._opened[name], may_be_asked)

    async def settle(self) -> None:
        """Wait until no download is under way."""
        for upstream in self._opened.values():
            if isinstance(upstream, MirroredIndex):
                await upstream.settle()

    def counters(self) -> Mapping[str, UpstreamCounters]:
        """Return what each upstream did so far, by name."""
        return {name: upstream.counters for name, upstream in self._opened.items()}


async def open_upstreams(settings: Settings, opened: AsyncExitStack, *, patiently: bool = False) -> Upstreams:
    """
    Open every upstream of the settings.

    Args:
        settings: What the server was told.
        opened: Closes them, and their stores.
        patiently: Whether closing waits for downloads under way.
    Raises:
        ConfigError: A store's backend is not installed.
        StorageError: A store cannot be opened.
    """
    found: dict[str, UpstreamIndex | MirroredIndex] = {}
    for told in settings.upstreams:
        if told.mirror == "redirect":
            upstream = _upstream(settings, told)
            await upstream.start()
            opened.push_async_callback(upstream.stop)
            found[told.name] = upstream
        else:
            mirrored = await _open_mirrored(settings, told, opened)
            opened.push_async_callback(mirrored.stop, patiently=patiently)
            found[told.name] = mirrored
    return Upstreams(found, {told.name: told.owns for told in settings.upstreams})


async def _open_mirrored(settings: Settings, told: UpstreamSettings, opened: AsyncExitStack) -> MirroredIndex:
    store = await to_thread.run_sync(_store, settings, told)  # reads which backends are installed
    await store.start()
    opened.push_async_callback(store.stop)
    upstream = _upstream(settings, told)
    mirrored = MirroredIndex(
        upstream,
        MirrorParts(
            store=store,
            documents=_documents(settings, told),
            folder=_folder(settings, told),
            limit_bytes=told.cache_bytes,
            offline=settings.server.offline,
        ),
    )
    await mirrored.start()
    return mirrored


def _upstream(settings: Settings, told: UpstreamSettings) -> UpstreamIndex:
    credentials = None if told.username is None or told.password is None else (told.username, told.password)
    limits = UpstreamLimits(
        answer_s=told.timeout,
        connect_s=told.connect_timeout,
        silence_s=min(UpstreamLimits().silence_s, told.timeout),
        fresh_s=told.page_max_age,
        least_fresh_s=told.page_min_age,
        stale_s=told.stale_max_age,
        absent_s=told.absent_max_age,
    )
    return UpstreamIndex(
        told.url,
        credentials=credentials,
        limits=limits,
        clock=now_utc,
        own_urls=told.mirror == "cache",
        documents=_documents(settings, told),
        offline=settings.server.offline,
        private_allowed=told.private_addresses,
    )


def _store(settings: Settings, told: UpstreamSettings) -> Store:
    """Make the store of an upstream's files: as told, or a folder of this server that may be lost."""
    name = f"upstream {told.name}"
    if told.store is None:
        plugin = load_backend(_LOCAL)
        options: object = plugin.options(fsync=False)
        context = BackendContext(name=name, folder=_folder(settings, told))
    else:
        plugin = load_backend(told.store.type)
        options = told.store.options
        context = BackendContext(name=name, folder=_folder(settings, told), admin_secret=told.store.admin_secret)
    return Store(plugin.open(options, context), name=name)


def _documents(settings: Settings, told: UpstreamSettings) -> DocumentFolder:
    return DocumentFolder(_folder(settings, told) / "pages")


def _folder(settings: Settings, told: UpstreamSettings) -> Path:
    return settings.root / _FOLDER / told.name


@dataclass(frozen=True, slots=True)
class Behind:
    """
    One index without a server: what is its own, and what stands behind it.

    Attributes:
        hosted: Its own projects.
        elsewhere: Its upstreams behind its policy; None when there are none.
        upstreams: The upstreams themselves.
    """

    hosted: HostedIndex
    elsewhere: IndexReader | None
    upstreams: Upstreams


@asynccontextmanager
async def open_behind(settings: Settings, name: str) -> AsyncIterator[Behind]:
    """
    Open one index and its upstreams without a server, as the command line does; downloads finish at the end.

    Raises:
        ConfigError: There is no such index.
        StorageError: A store cannot be opened.
    """
    from wheelyard.compose.policy import make_policed  # noqa: PLC0415  advisories and explanations: not for a server's start

    async with AsyncExitStack() as opened:
        hosted = await opened.enter_async_context(open_index(settings, name))
        index = settings.index(name)
        assert index is not None  # `open_index` has found it
        upstreams = await open_upstreams(settings, opened, patiently=True)
        chain = upstreams.behind(index)
        policed = make_policed(settings, index, hosted, chain, origin="" if chain is None else chain.url)
        yield Behind(hosted, policed.elsewhere, upstreams)
