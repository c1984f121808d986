"""The part of a request that reading needs, the same for ASGI and for our own protocol class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from wheelyard.server.asgi import Scope

SESSION_COOKIE = "wheelyard_session"
_SINGLE = frozenset({b"authorization", b"host", b"content-length", b"content-type"})


@dataclass(slots=True)
class Request:
    """
    One request line with its headers.

    Attributes:
        method: Upper case.
        raw_path: Path as sent, percent-encoded, without the query.
        query: Query as sent, without the question mark.
        headers: By lower-case name; lists joined with commas.
        repeated: Names of headers that may come once and came more often.
        scheme: `http` or `https`, as a trusted proxy tells.
        root_path: Path prefix under which the server is mounted, without a slash at its end.
    """

    method: str
    raw_path: bytes
    query: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    repeated: frozenset[bytes] = frozenset()
    scheme: str = "http"
    root_path: str = ""

    def text(self, name: bytes) -> str | None:
        """Return a header as text; None when it did not come."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def parameter(self, name: str) -> str | None:
        """Return one query parameter; None when it did not come or cannot be read."""
        if not self.query:
            return None
        pairs = parse_qsl(self.query.decode("latin-1"), keep_blank_values=True)
        return next((value for key, value in pairs if key == name), None)

    def cookie(self, name: str) -> str | None:
        """Return one cookie; None when it did not come."""
        for pair in (self.text(b"cookie") or "").split(";"):
            key, _, value = pair.strip().partition("=")
            if key == name:
                return value
        return None

    @property
    def origin(self) -> str:
        """Scheme and host under which the caller knows us."""
        return f"{self.scheme}://{self.text(b'host') or 'localhost'}"

    @property
    def is_navigation(self) -> bool:
        """Whether a person's browser opened this address, rather than a program."""
        mode = self.headers.get(b"sec-fetch-mode")
        if mode is not None:
            return mode == b"navigate"
        accepts = self.headers.get(b"accept", b"").startswith(b"text/html")
        return accepts and b"Mozilla/" in self.headers.get(b"user-agent", b"")


def collect(pairs: Iterable[tuple[bytes, bytes]]) -> tuple[dict[bytes, bytes], frozenset[bytes]]:
    """Join repeated headers, and name those that must not be repeated."""
    headers: dict[bytes, bytes] = {}
    repeated: set[bytes] = set()
    for name, value in pairs:
        if name in headers:
            if name in _SINGLE:
                repeated.add(name)
            separator = b"; " if name == b"cookie" else b", "
            headers[name] += separator + value
        else:
            headers[name] = value
    return headers, frozenset(repeated)


def from_scope(scope: Scope) -> Request:
    """Read an ASGI scope."""
    headers, repeated = collect(scope["headers"])
    root_path = scope.get("root_path", "").rstrip("/")
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    return Request(
        method=scope["method"],
        raw_path=raw_path.partition(b"?")[0],
        query=scope.get("query_string", b""),
        headers=headers,
        repeated=repeated,
        scheme=scope.get("scheme", "http"),
        root_path=root_path,
    )
