"""
What a trusted reverse proxy tells of its client, put where the application looks for it.

Only headers named in the settings, from addresses named in the settings, are believed; all others are passed over.
Spec: RFC 7239 (`Forwarded`) and the `X-Forwarded-*` custom it replaced.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from wheelyard.server.asgi import ASGIApp, Receive, Scope, Send

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_SCHEMES = frozenset({"http", "https"})
_OWN_PORT = {"http": "80", "https": "443"}
_PORT_DIGITS = 5


@dataclass(frozen=True, slots=True)
class Trust:
    """
    Whom to believe, and what.

    Attributes:
        proxies: Addresses or networks; `*` for every one.
        count: How many trusted proxies stand one behind the other.
        headers: Lower-case names of the headers they set.
    """

    proxies: tuple[str, ...]
    count: int
    headers: frozenset[str]


class ForwardedHeaders:
    """
    Applies forwarding headers to the scope of a request.

    Args:
        app: The application behind.
        trust: Whom to believe, and what.
    """

    def __init__(self, app: ASGIApp, trust: Trust) -> None:
        self._app = app
        self._trust = trust
        self._everyone = "*" in trust.proxies
        self._networks = tuple(ipaddress.ip_network(each, strict=False) for each in trust.proxies if each != "*")
        self._is_trusted = lru_cache(maxsize=1024)(self._look_up)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] == "http" and scope.get("client") and self._is_trusted(scope["client"][0]):
            scope = self._applied(scope)
        await self._app(scope, receive, send)

    def _look_up(self, host: str) -> bool:
        if self._everyone:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def _applied(self, scope: Scope) -> Scope:
        told = self._told(scope["headers"])
        applied = dict(scope)
        if told.get("proto") in _SCHEMES:
            applied["scheme"] = told["proto"]
        if "for" in told:
            applied["client"] = (told["for"], 0)
        if "host" in told or "port" in told:
            others = [(name, value) for name, value in scope["headers"] if name != b"host"]
            sent = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
            host = _with_port(told.get("host", sent), told.get("port", ""), applied["scheme"])
            applied["headers"] = [*others, (b"host", host.encode("latin-1"))]
        return applied

    def _told(self, headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
        told: dict[str, str] = {}
        for part in ("for", "proto", "host", "port"):
            name = f"x-forwarded-{part}"
            if name in self._trust.headers and (value := self._believed(headers, name)):
                told[part] = value
        if "forwarded" in self._trust.headers and (element := self._believed(headers, "forwarded")):
            for pair in element.split(";"):
                key, _, value = pair.strip().partition("=")
                told[key.lower()] = value.strip('"')
        return told

    def _believed(self, headers: Sequence[tuple[bytes, bytes]], name: str) -> str | None:
        """Return the element that the outermost trusted proxy added: the `count`-th from the end."""
        wanted = name.encode("ascii")
        values = [value.decode("latin-1") for key, value in headers if key == wanted]
        elements = [element.strip() for value in values for element in value.split(",") if element.strip()]
        return elements[-min(self._trust.count, len(elements))] if elements else None


def _with_port(host: str, port: str, scheme: str) -> str:
    """Return the host with the port that a proxy told, unless it names one or the port is the scheme's own."""
    names_one = host.rpartition(":")[2].isdigit() and not host.endswith("]")
    is_port = port.isascii() and port.isdigit() and len(port) <= _PORT_DIGITS
    return host if names_one or not host or not is_port or port == _OWN_PORT.get(scheme) else f"{host}:{port}"
