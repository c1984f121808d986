"""
Settings to running server: the only module that knows every part.

A request's journey, and the order of the code below:
1. `run_server` binds the sockets, and an HTTP server (uvicorn with our protocol class, or granian) speaks HTTP/1.1;
2. `make_app` puts the application behind the forwarding headers of trusted proxies, and `--debug` around it;
3. the application understands the path and asks the gate, which asks an authenticator (`make_auth`);
4. the gate hands over an index (`make_index`): ours first, then the upstream, each behind a guard;
5. our own index keeps records and files in a store (`make_store`), opened by the backend that the settings name.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

import structlog
from anyio import to_thread

from wheelyard.archives.limits import ArchiveLimits
from wheelyard.auth.authenticators import Authenticator, IndexSecrets
from wheelyard.auth.remembered import RememberedDecisions, RememberedFor
from wheelyard.errors import ConfigError
from wheelyard.index.checks import PublishLimits
from wheelyard.index.hosted import HostedIndex
from wheelyard.index.interface import Index
from wheelyard.index.layered import LayeredIndex
from wheelyard.index.upstream import UpstreamIndex
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
from wheelyard.server.running import Made, RunOptions, serve_granian, serve_uvicorn
from wheelyard.server.served import Catalog, Served
from wheelyard.settings import IndexSettings, LimitSettings, Settings, keep_configuration, reconfigured
from wheelyard.state.database import Database
from wheelyard.state.sessions import Sessions
from wheelyard.storage.interface import BackendContext
from wheelyard.storage.plugins import load_backend
from wheelyard.storage.store import Store

if TYPE_CHECKING:
    from wheelyard.server.browsing import Browsing

_log = structlog.get_logger(__name__)


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
    backend = load_backend(index.type).open(
        index.options, BackendContext(name=index.name, folder=settings.folder(index))
    )
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


def make_hosted(settings: Settings, index: IndexSettings, store: Store) -> HostedIndex:
    """Make our own part of one index."""
    return HostedIndex(index.name, store, limits=publish_limits(index, settings.limits), clock=now_utc)


def make_index(hosted: HostedIndex, upstream: UpstreamIndex | None) -> Index:
    """Put the upstream behind our own index: it is asked only for names that are not ours."""
    return hosted if upstream is None else LayeredIndex(hosted, upstream)


# --- 3. who may ----------------------------------------------------------------------------------------------------


def make_auth(index: IndexSettings) -> Authenticator:
    """Make the authenticator of one index."""
    admin = index.admin_secret
    return IndexSecrets(
        index.name,
        read_secret=index.read_secret,
        write_secret=index.write_secret,
        admin_secret=None if admin is None else admin.raw,
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


# --- 2. the application --------------------------------------------------------------------------------------------


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
        self._upstream: UpstreamIndex | None = None
        self._metrics = Metrics()
        self._sessions: Sessions | None = None
        expires = RememberedFor(settings.server.auth_read_expires, settings.server.auth_write_expires)
        self._remembered = RememberedDecisions(expires, clock=time.monotonic)
        self._gate = Gate(lambda: self.state.catalog, self._remembered, lambda: self._sessions)
        self._browsing: Browsing | None = None

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
            if self.settings.server.extra_index_url:
                self._upstream = UpstreamIndex(self.settings.server.extra_index_url)
                await self._upstream.start()
                self._resources.push_async_callback(self._upstream.stop)
            self.state.catalog = await self._catalog(self.settings)
            yield
            self.state.draining = True

    async def _catalog(self, settings: Settings) -> Catalog:
        """Open every index of the settings, or none."""
        async with AsyncExitStack() as opened:
            served: list[Served] = []
            for index in settings.indexes:
                store = await to_thread.run_sync(make_store, settings, index)  # reads which backends are installed
                await store.start()
                opened.push_async_callback(store.stop)
                hosted = make_hosted(settings, index, store)
                await take_over_predecessor(settings, index, hosted)
                served.append(
                    Served(
                        name=index.name,
                        index=make_index(hosted, self._upstream),
                        store=store,
                        authenticator=make_auth(index),
                        anonymous_read=index.anonymous_read,
                        max_file_bytes=index.max_file_bytes,
                        ready=ReadyAnswers(),
                        rows=Rows(),
                    )
                )
            # Running requests may still use the stores of an earlier configuration, so all are closed at the end only.
            self._resources.push_async_callback(opened.pop_all().aclose)
        return Catalog(tuple(served))

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
        self._remembered.clear()
        _log.info("initialized", indexes=[index.name for index in settings.indexes])

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


# --- 1. the HTTP server --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Make:
    """Makes the application in the process that runs it; can be sent to another process."""

    settings: Settings

    def __call__(self) -> Made:
        """Make the application."""
        configure_log(self.settings.server.log_level)
        app, server = make_app(self.settings)

        def start_draining() -> None:
            server.state.draining = True

        return Made(app, start_draining, lambda: server.state.running, server.hot())


def run_options(settings: Settings) -> RunOptions:
    """Return how the HTTP server runs."""
    told = settings.server
    return RunOptions(
        workers=told.workers,
        backlog=told.backlog,
        connection_limit=told.connection_limit,
        idle_timeout_s=told.channel_timeout,
        stall_timeout_s=told.stall_timeout,
        head_timeout_s=told.head_timeout,
        head_bytes=told.max_request_header_bytes,
        threads=told.threads,
        drain_timeout_s=told.drain_timeout,
        ident=told.ident,
        log_level=told.log_level,
        ssl_certfile=told.ssl_certfile,
        ssl_keyfile=told.ssl_keyfile,
    )


def bind(settings: Settings) -> list[socket.socket]:
    """
    Bind every address the settings name.

    Raises:
        ConfigError: An address is taken or not ours.
    """
    told = settings.server
    if told.unix_socket is not None:
        return [_bind_unix(told.unix_socket, told.unix_socket_perms)]
    sockets = []
    for host, port in told.addresses:
        try:
            family, _, _, _, address = socket.getaddrinfo(
                host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            sockets.append(_bound(family, address))
        except OSError as error:
            raise ConfigError([f"cannot listen on {host}:{port}: {error.strerror or error}"]) from error
    return sockets


def _bound(family: int, address: object) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    bound.bind(address)  # type: ignore[arg-type]  # as getaddrinfo gave it
    bound.set_inheritable(True)
    return bound


def _bind_unix(path: Path, mode: int) -> socket.socket:
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    bound.bind(str(path))
    path.chmod(mode)
    return bound


def url_of(settings: Settings, sockets: Sequence[socket.socket]) -> str:
    """Return a URL for people, with the port that was really bound."""
    told = settings.server
    if told.public_url is not None or told.unix_socket is not None:
        return told.local_url
    port: int = sockets[0].getsockname()[1]
    asked = told.addresses[0][1]
    return (
        told.local_url.replace(f":{asked}{told.url_prefix}", f":{port}{told.url_prefix}")
        if port != asked
        else told.local_url
    )


class _UnfailingText:
    """
    Where log lines go: what cannot be written is dropped.

    A log on a full disk, or a pipe that nobody reads any more, must not fail the publish that it tells of.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        """Write, or drop."""
        with suppress(OSError):
            self._out.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, or not."""
        with suppress(OSError):
            self._out.flush()


def configure_log(level: str, *, out: TextIO = sys.stderr) -> None:
    """Send log lines to standard error: for people on a terminal, as JSON elsewhere; never with local variables."""
    numbers = logging.getLevelNamesMapping()
    if out.isatty():
        render: list[structlog.typing.Processor] = [
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        ]
    else:
        render = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numbers[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _UnfailingText(out))),
    )
    logging.basicConfig(level=numbers[level.upper()], stream=out, format="%(levelname)s %(name)s: %(message)s")


def run_server(settings: Settings, *, announce: Callable[[str], None] | None = None) -> None:
    """
    Run the server until it is told to stop.

    Args:
        settings: What it was told.
        announce: Called with the server's URL once its sockets are bound.
    Raises:
        ConfigError: It cannot start as told.
    """
    sockets = bind(settings)
    if announce is not None:
        with suppress(OSError):  # as in the log: a banner that cannot be written keeps nobody from serving
            announce(url_of(settings, sockets))
    serve = serve_granian if settings.server.http_server == "granian" else serve_uvicorn
    serve(Make(settings), sockets, run_options(settings))
