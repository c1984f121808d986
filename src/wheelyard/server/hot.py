"""
The hot path: a request for something ready is answered before any task or scope exists.

Rule 1: it answers only what the ASGI application would answer with the very same bytes; whatever is unusual is left to it.
Rule 2: it never waits: at most one `stat`, no lock, no await.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from wheelyard.auth.access import Access
from wheelyard.auth.remembered import RememberedDecisions
from wheelyard.errors import WheelyardError
from wheelyard.server.large_body import LargeBody
from wheelyard.server.reading import name_of
from wheelyard.server.ready import ReadyAnswers, is_known
from wheelyard.server.served import Catalog
from wheelyard.server.targets import Kind, Target, parse_target
from wheelyard.storage.interface import ABSENT, Absent

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

Head = tuple[bytes, bytes, bytes | LargeBody]
"""Status line, headers with the empty line, body."""

_OK = b"HTTP/1.1 200 OK\r\n"
_NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\n"


@dataclass(frozen=True, slots=True)
class _Place:
    """
    Where the answer to one path is for callers of one index.

    Attributes:
        peek: Tells the revision that a ready answer must have.
        ready: Ready answers of the index.
        name: Name of the answer among them; None when it depends on `Accept`.
    """

    peek: Callable[[], str | Absent | None]
    ready: ReadyAnswers
    name: Hashable | None


@dataclass(frozen=True, slots=True)
class _Route:
    """A path that may have a ready answer, understood, with its place in each index it was asked of."""

    target: Target
    index: str | None
    places: dict[str, _Place]


class HotPath:
    """
    Finds ready answers.

    Args:
        catalog: The indexes served now.
        remembered: Decisions about callers.
        root_path: Prefix under which the server is mounted.

    Attributes:
        answers: How many it gave.
    """

    def __init__(self, *, catalog: Callable[[], Catalog], remembered: RememberedDecisions, root_path: str) -> None:
        self.answers = 0
        self._catalog_now = catalog
        self._catalog = catalog()
        self._remembered = remembered
        self._root_path = root_path
        self._routes: dict[bytes, _Route] = {}

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
        route = self._routes.get(url) or self._route(url)
        if route is None:
            return None
        authorization = by_name.get(b"authorization")
        if authorization is None:
            principal = catalog.anonymous(route.index)
        else:
            principal = self._remembered.get((route.index, authorization), Access.READ)
        if principal is None or principal.access < Access.READ:
            return None
        place = route.places.get(principal.index) or self._place(route, principal.index)
        if place is None:
            return None
        return self._found(place, route, by_name, with_body=method == b"GET")

    def _found(self, place: _Place, route: _Route, headers: Mapping[bytes, bytes], *, with_body: bool) -> Head | None:
        """Return the answer of a place, if it is there and still right."""
        revision = place.peek()
        if revision is None or revision is ABSENT:
            return None
        name = place.name
        if name is None:
            try:
                name = name_of(route.target, headers.get(b"accept"))
            except WheelyardError:
                return None
        ready = place.ready.get(name, revision)
        if ready is None:
            return None
        chosen = ready.choose(headers.get(b"accept-encoding"))
        if chosen is None:
            return None
        self.answers += 1
        not_match = headers.get(b"if-none-match")
        if not_match is not None and is_known(not_match, chosen.etag):
            return _NOT_MODIFIED, chosen.unchanged_head, b""
        return _OK, chosen.full_head, chosen.sent if with_body else b""

    def _route(self, url: bytes) -> _Route | None:
        """Understand a path once; what is not ready by nature is not remembered."""
        if b"?" in url or not url.startswith(b"/"):
            return None
        try:
            target = parse_target(url, root_path=self._root_path, indexes=self._catalog.names)
        except WheelyardError:
            return None
        if target.kind not in _READY_KINDS or target.redirect is not None:
            return None
        if len(self._routes) >= _ROUTES_LIMIT:
            self._routes.clear()
        route = self._routes[url] = _Route(target, target.index, {})
        return route

    def _place(self, route: _Route, index: str) -> _Place | None:
        """Find the place of a path in one index."""
        served = self._catalog.names.get(index)
        if served is None:
            return None
        target = route.target
        peek = served.index.peek_list if target.kind is Kind.LIST else served.index.peeker(target.project)
        fixed = target.kind in (Kind.FILE, Kind.METADATA)
        place = route.places[index] = _Place(peek, served.ready, name_of(target, None) if fixed else None)
        return place


def joined(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return headers as they go over the wire."""
    return b"".join(b"%b: %b\r\n" % header for header in headers)
