"""
What a server is told: frozen values, checked before anyone sees them.

Rule 1: every value here has a place in `docs/reference/configuration.md`; a test compares the two.
Rule 2: no secret is shown by `repr`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from wheelyard.archives import limits
from wheelyard.settings.upstream_values import UpstreamSettings

if TYPE_CHECKING:
    from wheelyard.index.policy.rules import Policy

DEFAULT_EXTRA_INDEX_URL: Final = "https://pypi.org/simple/"
"""Where projects that are not ours are looked up unless told otherwise; the predecessor's default."""

DEFAULT_PORT: Final = 8888
"""The predecessor's port."""

FILE_SYSTEM_MAX_FILE_BYTES: Final = 5 * 1024**3 - 1  # just under 5 GiB, the predecessor's limit
"""Largest upload to a folder index unless told otherwise."""

GITHUB_MAX_FILE_BYTES: Final = 2**31 - 1  # a file of a release has less than 2 GiB
"""Largest upload to an index on GitHub unless told otherwise; the predecessor's limit."""

OTHER_MAX_FILE_BYTES: Final = 1024**3  # 1 GiB, the predecessor's limit for backends that set none
"""Largest upload to an index of another type unless told otherwise."""

HttpServer = Literal["uvicorn", "granian"]
"""Programs that can carry the application."""

ProxyHeader = Literal[
    "forwarded", "x-forwarded-by", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto"
]
"""Headers by which a trusted proxy tells about its client."""

LogLevel = Literal["debug", "info", "warning", "error"]
"""How much goes to the log."""


@dataclass(frozen=True, slots=True)
class Secret:
    """
    A secret from the admin-secret file.

    Attributes:
        type: Backend type it was written for.
        raw: The secret itself; None when it has other parts.
        parts: Keys and values of a secret that is more than one word, such as the key of a GitHub App.
        stand_in: What clients send in its place, so that the secret need not leave the server; None for nothing.
    """

    type: str
    raw: str | None = field(default=None, repr=False)
    parts: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    stand_in: str | None = field(default=None, repr=False)

    def by_key(self) -> dict[str, str]:
        """Return what a backend is given."""
        return dict(self.parts) if self.raw is None else {"raw": self.raw, **dict(self.parts)}


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings:
    """
    One index of this server.

    Attributes:
        name: Lower case; user name of Basic authentication and first part of `/<index>/simple/`.
        type: Backend type.
        options: The backend's own options, an instance of its `Options`.
        read_secret: Lets its bearer read; None for nobody.
        write_secret: Lets its bearer read and publish; None for nobody.
        admin_secret: Lets its bearer reconfigure the server; None when there is none, or when readers hold it too.
        anonymous_read: Whether everybody may read without credentials.
        max_file_bytes: Largest file that may be published.
        sync_index_interval: Seconds between looks at a remote store for changes of others.
        upstreams: Names of the upstreams that stand behind it, in this order; None for all of them.
        policy: What of other indexes is offered; None lets everything through.
    """

    name: str
    type: str
    options: object
    read_secret: str | None = field(default=None, repr=False)
    write_secret: str | None = field(default=None, repr=False)
    admin_secret: Secret | None = None
    anonymous_read: bool = False
    max_file_bytes: int = FILE_SYSTEM_MAX_FILE_BYTES
    sync_index_interval: int = 60
    upstreams: tuple[str, ...] | None = None
    policy: Policy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """
    How the server listens and behaves: the table `[server]` and the flags of `wheelyard server`.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        listen: Addresses to listen on in place of `host` and `port`, as `(host, port)`.
        unix_socket: Path of a socket to listen on in place of all addresses.
        unix_socket_perms: Its mode.
        public_url: URL by which clients reach the server, when that cannot be told from a request.
        url_prefix: Path before every route; "" or `/name` without a slash at the end.
        url_scheme: Scheme of links when no proxy tells it.
        trusted_proxies: Addresses or networks whose forwarding headers are believed; `*` for every one.
        trusted_proxy_count: How many trusted proxies stand one behind the other.
        trusted_proxy_headers: Which headers they set.
        auth_read_expires: Seconds for which a decision about reading is remembered.
        auth_write_expires: Seconds for which a decision about writing is remembered.
        extra_index_url: Simple index for projects that are not ours, with a slash at the end; "" for none.
        offline: Whether no upstream is asked, and only what is kept of them is served.
        debug: Whether each request and answer is shown, secrets masked.
        log_level: How much goes to the log.
        ident: Value of the `Server` header; "" sends none.
        http_server: The program that carries the application.
        workers: Processes.
        threads: Threads for work that would block, in each process.
        backlog: Connections the system keeps waiting.
        connection_limit: Connections open at once, in each process.
        channel_timeout: Seconds after which a connection on which nothing happens is closed.
        head_timeout: Seconds in which the head of a request must arrive.
        stall_timeout: Seconds without progress after which an upload or a download is given up.
        drain_timeout: Seconds that running requests get to finish when the server stops.
        max_request_header_bytes: Largest request head.
        max_request_body_bytes: Largest request body; None leaves it to `max_file_bytes`.
        ssl_certfile: Certificate chain in PEM form; with it the server speaks https.
        ssl_keyfile: Its private key; None when it stands in `ssl_certfile`.
    """

    host: str = "0.0.0.0"  # noqa: S104  a server for others; the predecessor's default
    port: int = DEFAULT_PORT
    listen: tuple[tuple[str, int], ...] = ()
    unix_socket: Path | None = None
    unix_socket_perms: int = 0o600
    public_url: str | None = None
    url_prefix: str = ""
    url_scheme: Literal["http", "https"] = "http"
    trusted_proxies: tuple[str, ...] = ()
    trusted_proxy_count: int = 1
    trusted_proxy_headers: tuple[ProxyHeader, ...] = ("x-forwarded-for", "x-forwarded-proto")
    auth_read_expires: int = 3600  # an hour, as the predecessor
    auth_write_expires: int = 300  # five minutes, as the predecessor
    extra_index_url: str = DEFAULT_EXTRA_INDEX_URL
    offline: bool = False
    debug: bool = False
    log_level: LogLevel = "info"
    ident: str = "wheelyard"
    http_server: HttpServer = "uvicorn"
    workers: int = 1
    threads: int = 40  # what anyio takes by itself
    backlog: int = 2048
    connection_limit: int = 1000
    channel_timeout: int = 120  # two minutes, waitress's default
    head_timeout: int = 20
    stall_timeout: int = 60
    drain_timeout: int = 60
    max_request_header_bytes: int = 64 * 1024
    max_request_body_bytes: int | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Return where to listen: `listen`, or `host` and `port`."""
        return self.listen or ((self.host, self.port),)

    @property
    def local_url(self) -> str:
        """Return a URL for people: `public_url`, or one that works on this machine."""
        if self.public_url is not None:
            return self.public_url
        host, port = self.addresses[0]
        scheme = "https" if self.ssl_certfile is not None else "http"
        name = {"0.0.0.0": "localhost", "::": "localhost", "": "localhost"}.get(host, host)  # noqa: S104  compared only
        return f"{scheme}://{f'[{name}]' if ':' in name else name}:{port}{self.url_prefix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """
    What one request may cost: the table `[limits]`.

    Attributes:
        form_fields: Fields of an upload form.
        form_field_bytes: Bytes of one field of it.
        form_bytes: Bytes of all its fields together, the file not among them.
        archive_members: Entries of an uploaded archive.
        archive_unpacked_bytes: Bytes of all entries, unpacked.
        archive_ratio: Unpacked bytes per packed byte above which an archive counts as a bomb.
        archive_metadata_bytes: Bytes of METADATA or PKG-INFO.
        archive_seconds: Seconds that reading one archive may take.
    """

    form_fields: int = 2000
    form_field_bytes: int = 4 * 1024**2
    form_bytes: int = 8 * 1024**2
    archive_members: int = limits.MEMBERS
    archive_unpacked_bytes: int = limits.UNPACKED_BYTES
    archive_ratio: int = limits.RATIO
    archive_metadata_bytes: int = limits.METADATA_BYTES
    archive_seconds: int = int(limits.SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    Everything this server was told.

    Attributes:
        root: Folder for everything the server keeps, absolute.
        indexes: At least one; the first is the default.
        server: How it listens and behaves.
        limits: What one request may cost.
        generated: True when this very start made the configuration; nobody configured the server yet.
        source: Where the configuration came from, for people.
        warnings: What the administrator should know, one line each.
        upstreams: Other indexes that are read, `extra_index_url` among them, in the order they are asked.
    """

    root: Path
    indexes: tuple[IndexSettings, ...]
    server: ServerSettings = field(default_factory=ServerSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    generated: bool = False
    source: str = ""
    warnings: tuple[str, ...] = ()
    upstreams: tuple[UpstreamSettings, ...] = ()

    def index(self, name: str) -> IndexSettings | None:
        """Return the index of that name, however it is capitalised, or None."""
        return next((index for index in self.indexes if index.name == name.lower()), None)

    def folder(self, index: IndexSettings) -> Path:
        """Return this server's own folder for an index; the predecessor's place for it."""
        return self.root / "cache" / index.name
