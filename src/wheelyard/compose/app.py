"""Settings to the application (2): the object that knows its state, and what stands around it."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from anyio import to_thread

from wheelyard.auth.remembered import RememberedDecisions, RememberedFor
from wheelyard.compose.git_sources import Refreshing, make_refreshing
from wheelyard.compose.indexes import make_auth, make_hosted, make_index, make_store, now_utc
from wheelyard.compose.policy import make_policed, squatted, watching
from wheelyard.compose.upstreams import Upstreams, open_upstreams
from wheelyard.errors import ConfigError
from wheelyard.index.hosted import HostedIndex
from wheelyard.index.names_file import NamesFile
from wheelyard.index.upstream_memory import UpstreamCounters
from wheelyard.protocol.upload_form import FormLimits
from wheelyard.server.app import App, Parts, State
from wheelyard.server.asgi import ASGIApp
from wheelyard.server.debugging import Debugging
from wheelyard.server.gate import Gate
from wheelyard.server.hot import HotPath
from wheelyard.server.operations import Metrics
from wheelyard.server.predecessor import Initializing
from wheelyard.server.proxies import ForwardedHeaders, Trust
from wheelyard.server.ready import ReadyAnswers
from wheelyard.server.rows import Rows
from wheelyard.server.served import Catalog, Served
from wheelyard.settings import IndexSettings, Settings, keep_configuration, reconfigured
from wheelyard.state.database import Database
from wheelyard.state.sessions import Sessions

if TYPE_CHECKING:
    from wheelyard.server.browsing import Browsing

_log = structlog.get_logger(__name__)


class Server:
    """
    The application with its resources: opened and closed by the ASGI lifespan, reconfigured by `/initialize/`.

    Args:
        settings: What it was told.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.state = State()
        self._resources = AsyncExitStack()
        self._upstreams: Upstreams | None = None
        self._metrics = Metrics()
        self._metrics.upstreams = self._upstream_counters
        self._metrics.squatted = lambda: squatted(self.state.catalog)
        self._sessions: Sessions | None = None
        expires = RememberedFor(settings.server.auth_read_expires, settings.server.auth_write_expires)
        self._remembered = RememberedDecisions(expires, clock=time.monotonic)
        self._gate = Gate(lambda: self.state.catalog, self._remembered, lambda: self._sessions)
        self._browsing: Browsing | None = None
        self._refreshing: list[Refreshing] = []
        self._waiting: list[Refreshing] = []

    def app(self) -> App:
        """Make the application."""
        limits = self.settings.limits
        form_limits = FormLimits(
            max_fields=limits.form_fields, max_field_bytes=limits.form_field_bytes, max_fields_bytes=limits.form_bytes
        )
        return App(
            Parts(
                state=self.state,
                gate=self._gate,
                browsing=self.browsing,
                initializing=Initializing(
                    is_open=self._is_unconfigured,
                    admins=lambda: [served.authenticator for served in self.state.catalog.names.values()],
                    initialize=self._initialize,
                    limits=form_limits,
                ),
                metrics=self._metrics,
                clock=now_utc,
                form_limits=form_limits,
                lifespan=self.app_lifespan,
                root_path=self.settings.server.url_prefix,
                scheme="https" if self.settings.server.url_scheme == "https" else "",
                max_body_bytes=self.settings.server.max_request_body_bytes,
            )
        )

    def browsing(self) -> Browsing:
        """Make the pages for people, the first time somebody opens one: clients never do."""
        if self._browsing is None:
            from wheelyard.server.browsing import Browsing  # noqa: PLC0415  templates, READMEs: not for the first answer

            self._browsing = Browsing(
                self._gate,
                catalog=lambda: self.state.catalog,
                sessions=lambda: self._sessions,
                root_path=self.settings.server.url_prefix,
                lifetime_s=self.settings.server.auth_read_expires,
            )
            self._resources.push_async_callback(self._browsing.close)
        return self._browsing

    def hot(self) -> HotPath | None:
        """Make the hot path in front of the application; none while `--debug` shows every request."""
        if self.settings.server.debug:
            return None
        hot = HotPath(
            catalog=lambda: self.state.catalog,
            remembered=self._remembered,
            root_path=self.settings.server.url_prefix,
        )
        self._metrics.hot = hot
        return hot

    @asynccontextmanager
    async def app_lifespan(self) -> AsyncIterator[None]:
        """Open every resource, and close it at the end."""
        to_thread.current_default_thread_limiter().total_tokens = self.settings.server.threads
        async with self._resources:
            database = Database(self.settings.root / "state" / "wheelyard.sqlite3")
            self._resources.push_async_callback(database.close)
            self._sessions = Sessions(database, now_utc, self._fingerprint)
            self.state.catalog = await self._catalog(self.settings)
            await self._switch_refreshing()
            await self._resources.enter_async_context(watching(lambda: self.state.catalog))
            yield
            self.state.draining = True

    async def _catalog(self, settings: Settings) -> Catalog:
        """Open every index of the settings, or none."""
        async with AsyncExitStack() as opened:
            served: list[Served] = []
            upstreams = await open_upstreams(settings, opened)
            looking: list[Refreshing] = []
            for index in settings.indexes:
                store = await to_thread.run_sync(make_store, settings, index)  # reads which backends are installed
                await store.start()
                opened.push_async_callback(store.stop)
                names = NamesFile(settings.root / "state" / f"names-{index.name}")
                hosted = make_hosted(settings, index, store, names=names)
                await take_over_predecessor(settings, index, hosted)
                refreshing = make_refreshing(index, hosted)
                if refreshing is not None:
                    opened.push_async_callback(refreshing.stop)
                    looking.append(refreshing)
                elsewhere = upstreams.behind(index)
                origin = "" if elsewhere is None else elsewhere.url
                parts = upstreams.parts(index)
                policed = make_policed(settings, index, hosted, elsewhere, origin=origin, parts=parts)
                served.append(
                    Served(
                        name=index.name,
                        index=make_index(hosted, policed.elsewhere),
                        store=store,
                        authenticator=make_auth(settings, index, store),
                        anonymous_read=index.anonymous_read,
                        max_file_bytes=index.max_file_bytes,
                        ready=ReadyAnswers(),
                        rows=Rows(),
                        notes=_no_notes if refreshing is None else refreshing.notes,
                        explainer=policed.explainer,
                    )
                )
            self._waiting = looking
            self._upstreams = upstreams
            # Running requests may still use the stores of an earlier configuration, so all are closed at the end only.
            self._resources.push_async_callback(opened.pop_all().aclose)
        return Catalog(tuple(served))

    async def _switch_refreshing(self) -> None:
        """Look at the repositories of the indexes that are served now, and of no others."""
        for earlier in self._refreshing:
            await earlier.stop()
        self._refreshing, self._waiting = self._waiting, []
        for each in self._refreshing:
            await each.start()

    async def _initialize(self, config: str, admin_secret: str) -> None:
        """Take a new configuration; the old one stays when anything about the new one is wrong."""
        if self.settings.server.workers > 1:
            # Each process has its own: the others would serve, and believe in, what was before.
            text = (
                f"this server runs in {self.settings.server.workers} processes and cannot be configured while it runs"
            )
            raise ConfigError([f"{text}; put config.toml and admin_secret.toml into its ROOT and start it again"])
        settings = await to_thread.run_sync(
            lambda: reconfigured(self.settings, config=config, admin_secret=admin_secret)
        )
        catalog = await self._catalog(settings)
        await to_thread.run_sync(lambda: keep_configuration(settings.root, config=config, admin_secret=admin_secret))
        self.settings = settings
        self.state.catalog = catalog
        await self._switch_refreshing()
        self._remembered.clear()
        _log.info("initialized", indexes=[index.name for index in settings.indexes])

    def _upstream_counters(self) -> Mapping[str, UpstreamCounters]:
        return {} if self._upstreams is None else self._upstreams.counters()

    async def _is_unconfigured(self) -> bool:
        """Tell whether nobody configured this server yet: it made its index itself, and that one is empty."""
        if not self.settings.generated:
            return False
        for served in self.state.catalog.names.values():
            if (await served.index.list()).names:
                return False
        return True

    def _fingerprint(self, index: str, can: str) -> bytes | None:
        del can  # one fingerprint for all secrets of an index: changing any of them ends its sessions
        served = self.state.catalog.names.get(index.lower())
        return None if served is None else served.authenticator.fingerprint()


def _no_notes() -> tuple[str, ...]:
    return ()


async def take_over_predecessor(settings: Settings, index: IndexSettings, hosted: HostedIndex) -> None:
    """Take over what a private-pypi server left in this index's folder, if it did; says so in the log."""
    if index.type != "file_system" or not await to_thread.run_sync(_may_hold_predecessor, settings.folder(index)):
        return
    from wheelyard.index.takeover import take_over  # noqa: PLC0415  needed once in the life of a folder

    report = await take_over(settings.folder(index), hosted, spool_folder=hosted.store.traits.spool_folder, now=now_utc)
    if report.taken:
        _log.info("taken-over", index=index.name, files=len(report.taken))
    for line in (*report.advice, *report.damaged):
        _log.warning("takeover", index=index.name, detail=line)


def _may_hold_predecessor(folder: Path) -> bool:
    """Tell whether a folder holds more than our own storage does."""
    storage = folder / "storage"
    try:
        with os.scandir(storage) as entries:
            others = any(entry.name not in {"simple", ".wheelyard"} for entry in entries)
        with os.scandir(storage / "simple") as entries:
            return others or any(entry.is_file() for entry in entries)
    except OSError:
        return True  # the takeover itself says what is wrong


def make_app(settings: Settings) -> tuple[ASGIApp, Server]:
    """Make the whole ASGI application, and the server object that knows its state."""
    server = Server(settings)
    app: ASGIApp = server.app()
    told = settings.server
    if told.trusted_proxies:
        trust = Trust(told.trusted_proxies, told.trusted_proxy_count, frozenset(told.trusted_proxy_headers))
        app = ForwardedHeaders(app, trust)
    if told.debug:
        app = Debugging(app)
    return app, server
