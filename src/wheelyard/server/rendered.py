"""
Rendered pages: ready bytes and headers for each representation and encoding, kept until the record moves.

An entry is right as long as its revision is the store's; the store is asked (one `stat` for a folder) at each request.
"""

from __future__ import annotations

import gzip
from collections import OrderedDict
from dataclasses import dataclass

from wheelyard.protocol.http import accepts_encoding, etag_of, if_none_match
from wheelyard.protocol.negotiation import Representation
from wheelyard.server.answers import Answer, Header

PAGES_LIMIT_BYTES = 128 * 1024 * 1024  # rendered pages of one index, all representations and encodings together
GZIP_FROM_BYTES = 512  # below, the gzip header eats what compression saves
GZIP_LEVEL = 6
HTML_POLICY = (b"content-security-policy", b"sandbox; default-src 'none'; base-uri 'none'; form-action 'none'")


@dataclass(frozen=True, slots=True)
class Encoded:
    """One encoding of one representation: the 200 answer and its 304."""

    etag: str
    full: Answer
    unchanged: Answer


@dataclass(frozen=True, slots=True)
class RenderedPage:
    """
    One page in one representation.

    Attributes:
        revision: Of the record (or of the list) it was rendered from.
        identity: Not encoded.
        gzipped: Encoded with gzip; None when that does not pay.
    """

    revision: str
    identity: Encoded
    gzipped: Encoded | None

    @property
    def weight(self) -> int:
        """Bytes of memory, about."""
        return sum(
            len(each.full.body) for each in (self.identity, self.gzipped) if each and isinstance(each.full.body, bytes)
        )

    def answer(self, *, accept_encoding: str | None, not_match: str | None) -> Answer:
        """Choose the encoding and tell whether the caller has it already (RFC 9110 sections 12.5.3 and 13.1.2)."""
        chosen = self.identity
        if self.gzipped is not None and accepts_encoding(accept_encoding, "gzip"):
            chosen = self.gzipped
        if not_match is not None and if_none_match(not_match, chosen.etag):
            return chosen.unchanged
        return chosen.full


def render(
    content: bytes, *, revision: str, representation: Representation, headers: tuple[Header, ...]
) -> RenderedPage:
    """
    Make the answers of one page; blocks while it compresses.

    Args:
        content: The page in its representation.
        revision: What it was rendered from.
        representation: Its media type.
        headers: Caching headers, sent with 200 and 304 alike.
    """
    content_type = representation.content_type
    extra = (HTML_POLICY,) if representation is not Representation.JSON else ()
    etag = etag_of(content_type + b"\0" + content)
    identity = _encoded(content, etag=etag, content_type=content_type, headers=(*headers, *extra))
    gzipped = None
    if len(content) >= GZIP_FROM_BYTES:
        packed = gzip.compress(content, GZIP_LEVEL, mtime=0)
        gzipped = _encoded(
            packed,
            etag=etag[:-1] + '-gz"',
            content_type=content_type,
            headers=(*headers, *extra, (b"content-encoding", b"gzip")),
        )
    return RenderedPage(revision, identity, gzipped)


def _encoded(body: bytes, *, etag: str, content_type: bytes, headers: tuple[Header, ...]) -> Encoded:
    validators: tuple[Header, ...] = ((b"etag", etag.encode("ascii")), *headers)
    full = Answer(
        200,
        (
            (b"content-type", content_type),
            (b"content-length", b"%d" % len(body)),
            *validators,
            (b"x-content-type-options", b"nosniff"),
        ),
        body,
    )
    # RFC 9110 section 15.4.5: a 304 repeats what a 200 would say of caching, and nothing of the body.
    unchanged = Answer(304, tuple(header for header in validators if header[0] in _KEPT_IN_304))
    return Encoded(etag, full, unchanged)


_KEPT_IN_304 = frozenset({b"etag", b"cache-control", b"vary", b"last-modified"})


class RenderedPages:
    """
    Least-recently-used memory of rendered pages.

    Args:
        limit_bytes: How much they may take together; the newest is kept whatever its size.
    """

    def __init__(self, limit_bytes: int = PAGES_LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._pages: OrderedDict[tuple[str, Representation], RenderedPage] = OrderedDict()
        self._bytes = 0

    def get(self, name: str, representation: Representation, revision: str) -> RenderedPage | None:
        """Return the page of exactly that revision, or None."""
        page = self._pages.get((name, representation))
        if page is None or page.revision != revision:
            return None
        self._pages.move_to_end((name, representation))
        return page

    def put(self, name: str, representation: Representation, page: RenderedPage) -> None:
        """Remember a page and forget the least recently used ones beyond the limit."""
        before = self._pages.pop((name, representation), None)
        if before is not None:
            self._bytes -= before.weight
        self._pages[(name, representation)] = page
        self._bytes += page.weight
        while self._bytes > self._limit_bytes and len(self._pages) > 1:
            _, dropped = self._pages.popitem(last=False)
            self._bytes -= dropped.weight
