"""Where an upstream is, with which credentials, and how much it may ask of us."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit, urlunsplit

from wheelyard.errors import ConfigError, shown

_DEFAULT_PORTS = {"http": 80, "https": 443}
_URL_SAFE = "%/:?#[]@!$&'()*+,;=~"  # RFC 3986: the reserved characters, and what is encoded already

Origin = tuple[str, str, int]
"""Scheme, host and port: what credentials are bound to (RFC 6454)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamLimits:
    """
    What one question to an upstream may cost.

    Installers give up after 10 to 15 seconds, so a page is had or given up before that.

    Attributes:
        page_bytes: Largest project page, decompressed.
        list_bytes: Largest project list, decompressed.
        metadata_bytes: Largest core metadata.
        answer_s: Seconds for a page, list or metadata, retries and redirects included.
        connect_s: Seconds for one connection to come about.
        silence_s: Seconds between two pieces of one answer.
        redirects: How many are followed for one question.
        attempts: How often a question is asked while the network or a gateway fails.
        retry_s: Seconds after which a failure is not asked about again.
        remembered_bytes: Size of all documents whose parsed pages are remembered.
        fresh_s: Longest time a page is believed without asking, whatever its `max-age` says: so soon are yanks seen.
        least_fresh_s: Shortest time a page that may be kept is believed, for upstreams that say nothing or zero.
        stale_s: How long past its time a page is given while the upstream cannot be asked.
        absent_s: How long it is believed that the upstream does not have a project.
        rest_s: How long an upstream that could not be asked is left alone for pages of which there is a copy.
        downloads: Files fetched at once.
    """

    page_bytes: int = 64 * 1024 * 1024  # the longest known project pages are about 20 MiB
    list_bytes: int = 256 * 1024 * 1024  # a list of 700,000 projects is about 45 MiB
    metadata_bytes: int = 16 * 1024 * 1024
    answer_s: float = 9.0
    connect_s: float = 3.0
    silence_s: float = 8.0
    redirects: int = 5
    attempts: int = 3
    retry_s: float = 3.0
    remembered_bytes: int = 32 * 1024 * 1024  # a parsed page weighs about three times its document: below 100 MiB
    fresh_s: int = 10 * 60  # 10 minutes, what the largest public index says of its pages
    least_fresh_s: int = 0
    stale_s: int = 0
    absent_s: int = 0
    rest_s: float = 5.0
    downloads: int = 16


@dataclass(frozen=True, slots=True)
class UpstreamAddress:
    """
    The root of an upstream's simple API.

    Attributes:
        root: Ends with a slash; holds no credentials, query or fragment, so it may be shown and logged.
        authorization: Value of the `Authorization` header for `root`'s origin; None without credentials.
    """

    root: str
    authorization: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str, *, credentials: tuple[str, str] | None = None) -> Self:
        """
        Read the address of an upstream.

        Args:
            url: Credentials in it (`https://user:password@host/`) are taken out.
            credentials: User and password; go before those in the URL.
        Raises:
            ConfigError: Not the http or https URL of a host. The text repeats no credentials.
        """
        try:
            parts = urlsplit(url.strip())
            port = parts.port
        except ValueError:
            raise ConfigError(
                ("the upstream's URL cannot be read; it should be like 'https://host/simple/'",)
            ) from None
        without = urlunsplit(parts._replace(netloc=_netloc(parts, port), path=parts.path.rstrip("/") + "/", query=""))
        root = without.partition("#")[0]
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.query:
            raise ConfigError(
                (
                    f"'{shown(root)}' is no address of an upstream: it should be like 'https://host/simple/', without '?'",
                )
            )
        user, password = credentials or (unquote(parts.username or ""), unquote(parts.password or ""))
        return cls(root, _basic(user, password) if user or password else None)

    @property
    def origin(self) -> Origin:
        """The one origin that may see the credentials."""
        return origin_of(self.root)

    def needs_credentials(self, url: str) -> bool:
        """Tell whether a URL is of the one origin that our credentials are for, so that others could not fetch it."""
        return self.authorization is not None and origin_of(url) == self.origin


def origin_of(url: str) -> Origin:
    """
    Return the origin of an absolute http or https URL.

    Raises:
        ValueError: No such URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"'{shown(url)}' is no absolute http or https URL")
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme]


def absolute_file_url(base: str, url: str) -> str | None:
    """
    Return the URL of a file that a page at `base` lists, percent-encoded; None when it cannot be fetched over HTTP.

    Args:
        base: The page's own URL, after redirects.
        url: As the page says it.
    """
    try:
        absolute = quote(urljoin(base, url).partition("#")[0], safe=_URL_SAFE, errors="replace")
        origin_of(absolute)
    except ValueError:
        return None
    return absolute


def redirect_target(url: str, location: str) -> str | None:
    """
    Return where a redirect from `url` leads; None when it should not be followed.

    That is: to no http address, or from https to http, where anybody on the way could read and change the answer.
    Credentials in `location` are dropped: an answer cannot tell us who to be.
    """
    target = absolute_file_url(url, location)
    if target is None or (url.startswith("https:") and not target.startswith("https:")):
        return None
    parts = urlsplit(target)
    return urlunsplit(parts._replace(netloc=_netloc(parts, parts.port)))


def metadata_url(url: str) -> str:
    """Return the URL of a file's core metadata (PEP 658): `.metadata` at the end of the path, before any query."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path + ".metadata"))


def _netloc(parts: SplitResult, port: int | None) -> str:
    """Return host and port without user and password."""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if port is None else f"{host}:{port}"


def _basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")
