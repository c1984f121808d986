"""
Ready answers: bytes and headers of pages, metadata and small files, kept until the record moves.

An answer is right as long as its revision is the store's; the store is asked (one `stat` for a folder) at each request.
"""

from __future__ import annotations

import gzip
import sys
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import lru_cache

from wheelyard.protocol.http import accepts_encoding, etag_of, if_none_match
from wheelyard.protocol.negotiation import Representation, negotiate
from wheelyard.server.answers import Answer, Header, head_of
from wheelyard.server.large_body import FROM_BYTES, LargeBody
from wheelyard.server.rows import Rendered

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LIMIT_BYTES = 128 * 1024 * 1024  # ready answers of one index, all representations and encodings together
COMPRESS_FROM_BYTES = 512  # below, the header of the encoding eats what it saves
GZIP_LEVEL = 6
ZSTD_LEVEL = 3  # its default: as small as gzip 6 on our pages, in a fraction of the time
HTML_POLICY = (b"content-security-policy", b"sandbox; default-src 'none'; base-uri 'none'; form-action 'none'")
_KEPT_IN_304 = frozenset({b"etag", b"cache-control", b"vary", b"last-modified"})
_CODINGS = ("zstd", "gzip")  # the order in which they are preferred when a client takes both


@dataclass(frozen=True, slots=True)
class Encoded:
    """
    One encoding of one resource.

    Attributes:
        etag: Its strong validator, as bytes of the header.
        full: The 200 answer.
        unchanged: The 304 answer.
        full_head: Headers of `full` as they go over the wire, without those of the HTTP server.
        unchanged_head: The same of `unchanged`.
        body: Of `full`.
        sent: The body as the hot path sends it.
    """

    etag: bytes
    full: Answer
    unchanged: Answer
    full_head: bytes
    unchanged_head: bytes
    body: bytes
    sent: bytes | LargeBody

    @property
    def weight(self) -> int:
        """Bytes of memory, about."""
        return len(self.body) * (1 if self.sent is self.body else 2)


@dataclass(slots=True)
class Ready:
    """
    One resource, ready to be sent; its encodings are made when they are first asked for.

    Attributes:
        revision: Of the record (or of the list) it was made from.
        identity: Not encoded.
        headers: What every encoding of it says of caching and policy.
        is_encodable: Whether encoding it pays.
        encoded: What was made, by coding.
    """

    revision: str
    identity: Encoded
    headers: tuple[Header, ...] = ()
    is_encodable: bool = False
    encoded: dict[str, Encoded] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        """Bytes of memory, about."""
        return self.identity.weight + sum(each.weight for each in self.encoded.values()) + 2048

    def missing(self, accept_encoding: bytes | None) -> str | None:
        """Return the coding that a caller should get and that was not made yet; None when there is none."""
        if accept_encoding is None or not self.is_encodable:
            return None
        coding = next(iter(accepted_codings(accept_encoding)), None)
        return None if coding in self.encoded else coding

    def choose(self, accept_encoding: bytes | None) -> Encoded | None:
        """Choose the encoding (RFC 9110 section 12.5.3); None when it has to be made first."""
        if accept_encoding is None or not self.is_encodable:
            return self.identity
        for coding in accepted_codings(accept_encoding):
            return self.encoded.get(coding)
        return self.identity

    def encode(self, coding: str) -> None:
        """Make one encoding. Blocks while it compresses."""
        content = self.identity.body
        packed = gzip.compress(content, GZIP_LEVEL, mtime=0) if coding == "gzip" else zstd.compress(content, ZSTD_LEVEL)
        self.encoded[coding] = _encoded(
            packed,
            etag=self.identity.etag[:-1] + b"-" + coding.encode("ascii") + b'"',
            content_type=dict(self.identity.full.headers)[b"content-type"],
            headers=(*self.headers, (b"content-encoding", coding.encode("ascii"))),
        )

    def answer(self, *, accept_encoding: bytes | None, not_match: bytes | None) -> Answer:
        """Tell whether the caller has it already (RFC 9110 section 13.1.2), else send it."""
        chosen = self.choose(accept_encoding) or self.identity
        return chosen.unchanged if is_known(not_match, chosen.etag) else chosen.full


def is_known(not_match: bytes | None, etag: bytes) -> bool:
    """Tell whether an `If-None-Match` header names this entity tag."""
    if not_match is None:
        return False
    return not_match == etag or if_none_match(not_match.decode("latin-1"), etag.decode("latin-1"))


@lru_cache(maxsize=512)
def accepted_codings(header: bytes) -> tuple[str, ...]:
    """Return the codings of ours that an `Accept-Encoding` header allows, preferred ones first."""
    text = header.decode("latin-1")
    return tuple(coding for coding in _CODINGS if accepts_encoding(text, coding))


@lru_cache(maxsize=512)
def accepted_representation(header: bytes | None) -> Representation:
    """
    Return the representation that an `Accept` header asks for.

    Raises:
        NotAcceptable: It allows none of ours.
    """
    return negotiate(None if header is None else header.decode("latin-1"))


def make_page(
    rendered: Rendered, *, revision: str, representation: Representation, headers: tuple[Header, ...]
) -> Ready:
    """
    Make the answer of one page.

    Args:
        rendered: The page in its representation.
        revision: What it was rendered from.
        representation: Its media type.
        headers: Caching headers, sent with 200 and 304 alike.
    """
    content, content_type = rendered.content, representation.content_type
    # The type is part of the validator: two representations may have the same bytes (RFC 9110 section 8.8.3).
    etag = etag_of(rendered.identity, kind=content_type).encode("ascii")
    if representation is not Representation.JSON:
        headers = (*headers, HTML_POLICY)
    identity = _encoded(content, etag=etag, content_type=content_type, headers=headers)
    return Ready(revision, identity, headers, is_encodable=len(content) >= COMPRESS_FROM_BYTES)


def make_fixed(
    content: bytes, *, revision: str, etag: bytes, content_type: bytes, headers: tuple[Header, ...]
) -> Ready:
    """Make the answers of bytes that are never encoded: a small file, or core metadata."""
    return Ready(revision, _encoded(content, etag=etag, content_type=content_type, headers=headers))


def _encoded(body: bytes, *, etag: bytes, content_type: bytes, headers: tuple[Header, ...]) -> Encoded:
    validators: tuple[Header, ...] = ((b"etag", etag), *headers)
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
    sent = LargeBody(body) if len(body) >= FROM_BYTES else body
    return Encoded(etag, full, unchanged, head_of(full), head_of(unchanged), body, sent)


class ReadyAnswers:
    """
    Least-recently-used memory of ready answers.

    Args:
        limit_bytes: How much they may take together; the newest is kept whatever its size.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._ready: OrderedDict[Hashable, tuple[Ready, int]] = OrderedDict()
        self._bytes = 0

    def get(self, name: Hashable, revision: str) -> Ready | None:
        """Return what was made from exactly that revision, or None."""
        known = self._ready.get(name)
        if known is None or known[0].revision != revision:
            return None
        self._ready.move_to_end(name)
        return known[0]

    def put(self, name: Hashable, ready: Ready) -> None:
        """Remember an answer (again, when an encoding was added) and forget the least recently used ones."""
        weight = ready.weight
        self._bytes += weight - self._ready.pop(name, (ready, 0))[1]
        self._ready[name] = (ready, weight)
        while self._bytes > self._limit_bytes and len(self._ready) > 1:
            _, (_, dropped) = self._ready.popitem(last=False)
            self._bytes -= dropped
