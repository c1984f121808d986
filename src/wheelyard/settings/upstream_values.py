"""What a server is told of one upstream: the table `[upstream.NAME]`, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from wheelyard.index.policy.patterns import NamePattern

EXTRA_UPSTREAM: Final = "extra-index-url"
"""Name of the upstream that `extra_index_url` is short for."""

CACHE_BYTES: Final = 10 * 1024**3  # 10 GiB: the wheels of a few hundred environments
"""How large the files kept of one upstream may get unless told otherwise."""

MirrorMode = Literal["cache", "redirect"]
"""Whether files of an upstream are kept here, or clients are sent to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorStore:
    """
    Where the files of an upstream are kept, when not in the server's own folder.

    Attributes:
        type: Backend type, as of an index.
        options: The backend's own options, an instance of its `Options`.
        admin_secret: The server's own credential for that storage, by the keys of the admin-secret file.
    """

    type: str
    options: object
    admin_secret: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSettings:
    """
    One upstream.

    Attributes:
        name: As written; the name of a folder, and in the log and the metrics.
        url: Root of its simple API.
        username: For Basic authentication; None for none.
        password: The same.
        mirror: Whether files are kept here (`cache`) or clients are sent to the upstream (`redirect`).
        cache_bytes: How large the kept files together may get; the least recently used go first.
        page_max_age: Longest time in seconds that a page is believed without asking, whatever the upstream says.
        page_min_age: Shortest time in seconds that a page is believed, for upstreams that say nothing.
        stale_max_age: Seconds past its time that a page is given while the upstream cannot be asked.
        absent_max_age: Seconds for which it is believed that the upstream does not have a project.
        timeout: Seconds in which a page must be there.
        connect_timeout: Seconds in which a connection must come about.
        owns: Names of projects that this upstream is asked for and no other, whether it has them or not.
        private_addresses: Whether its pages may name files on private networks though it is not in one itself.
        store: Where files are kept; None for a folder of this server.
    """

    name: str
    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    mirror: MirrorMode = "cache"
    cache_bytes: int = CACHE_BYTES
    page_max_age: int = 600
    page_min_age: int = 0
    stale_max_age: int = 7 * 24 * 3600
    absent_max_age: int = 30
    timeout: int = 9
    connect_timeout: int = 3
    owns: tuple[NamePattern, ...] = ()
    private_addresses: bool = False
    store: MirrorStore | None = None
