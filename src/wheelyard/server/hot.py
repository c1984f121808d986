"""
The hot path: a request for something ready is answered before any task or scope exists.

Rule 1: it answers only what the ASGI application would answer with the very same bytes; whatever is unusual is left to it.
Rule 2: it never waits: at most one `stat`, no lock, no await.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from wheelyard.auth.access import Access, Principal
from wheelyard.auth.remembered import RememberedDecisions
from wheelyard.errors import WheelyardError
from wheelyard.server.reading import find
from wheelyard.server.ready import is_known
from wheelyard.server.served import Catalog
from wheelyard.server.targets import Kind, Target, parse_target

_ROUTES_LIMIT = 65_536  # understood paths; about 600 bytes each
_READY_KINDS = frozenset({Kind.LIST, Kind.PAGE, Kind.FILE, Kind.METADATA})
_UNUSUAL: Final = frozenset(
    {
        b"content-length",
        b"cookie",
        b"expect",
        b"if-modified-since",
        b"if-range",
        b"range",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers with which a request is left to the application: they change the answer, or promise a body."""

Head = tuple[bytes, bytes, bytes]
"""Status line, headers with the empty line, body."""

_OK = b"HTTP/1.1 200 OK\r\n"
_NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\n"


class HotPath:
    """
    Finds ready answers.

    Args:
        catalog: The indexes served now.
        remembered: Decisions about callers.
        root_path: Prefix under which the server is mounted.
        answered: Told of each answer.
    """

    def __init__(
        self,
        *,
        catalog: Callable[[], Catalog],
        remembered: RememberedDecisions,
        root_path: str,
        answered: Callable[[], None],
    ) -> None:
        self._catalog_now = catalog
        self._catalog: Catalog | None = None
        self._remembered = remembered
        self._root_path = root_path
        self._answered = answered
        self._routes: dict[bytes, Target | None] = {}

    def answer(self, method: bytes, url: bytes, headers: list[tuple[bytes, bytes]]) -> Head | None:
        """
        Answer one request, or leave it.

        Args:
            method: As sent.
            url: Request target as sent.
            headers: Names in lower case.
        Returns:
            None for everything that is not ready.
        """
        by_name = dict(headers)
        if len(by_name) != len(headers) or not _UNUSUAL.isdisjoint(by_name):
            return None
        catalog = self._catalog_now()
        if catalog is not self._catalog:
            self._catalog = catalog
            self._routes.clear()
        target = self._routes.get(url) or self._route(url)
        if target is None:
            return None
        principal = self._who(target, by_name.get(b"authorization"), catalog)
        served = None if principal is None else catalog.names.get(principal.index)
        if served is None:
            return None
        try:
            ready = find(served, target, by_name.get(b"accept"))
        except WheelyardError:
            return None
        if ready is None:
            return None
        chosen = ready.choose(by_name.get(b"accept-encoding"))
        self._answered()
        if is_known(by_name.get(b"if-none-match"), chosen.etag):
            return _NOT_MODIFIED, chosen.unchanged_head, b""
        return _OK, chosen.full_head, b"" if method == b"HEAD" else chosen.body

    def _who(self, target: Target, authorization: bytes | None, catalog: Catalog) -> Principal | None:
        """Return who was admitted with this header before, or the anonymous reader of an index open to all."""
        if authorization is not None:
            known = self._remembered.get((target.index, authorization), Access.READ)
            return known if known is not None and known.access >= Access.READ else None
        return catalog.anonymous(target.index)

    def _route(self, url: bytes) -> Target | None:
        """Understand a path once; what is not ready by nature is not remembered."""
        if b"?" in url or not url.startswith(b"/") or self._catalog is None:
            return None
        try:
            target = parse_target(url, root_path=self._root_path, indexes=self._catalog.names)
        except WheelyardError:
            return None
        if target.kind not in _READY_KINDS or target.redirect is not None:
            return None
        if len(self._routes) >= _ROUTES_LIMIT:
            self._routes.clear()
        self._routes[url] = target
        return target


def joined(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return headers as they go over the wire."""
    return b"".join(b"%b: %b\r\n" % header for header in headers)
