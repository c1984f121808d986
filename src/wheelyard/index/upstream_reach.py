"""
Whom an upstream may send us to: its pages and redirects name other hosts, and not every host is anybody's business.

Rule 1: what only this machine or its network can reach is asked only for an upstream that lives there itself. So a page
of a public index cannot make this server read the administration of a router, or a cloud's metadata service.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from time import monotonic

import anyio

Address = IPv4Address | IPv6Address

_REMEMBERED_S = 60.0
_REMEMBERED_HOSTS = 1024


class Reach:
    """
    Decides for one upstream.

    Args:
        host: The upstream's own host.
        private_allowed: Whether private addresses may be asked whatever the upstream's own is; link-local ones never are.
    """

    def __init__(self, host: str, *, private_allowed: bool = False) -> None:
        self._host = host
        self._private_allowed = private_allowed
        self._decided: dict[str, tuple[float, bool]] = {}

    async def allows(self, host: str) -> bool:
        """
        Tell whether another host may be asked because the upstream says so.

        A name that cannot be resolved here is allowed: a proxy may resolve it, and nothing else will connect to it.
        """
        known = self._decided.get(host)
        if known is not None and monotonic() < known[0]:
            return known[1]
        allowed = await self._decide(host)
        if len(self._decided) >= _REMEMBERED_HOSTS:
            self._decided.clear()
        self._decided[host] = monotonic() + _REMEMBERED_S, allowed
        return allowed

    async def _decide(self, host: str) -> bool:
        addresses = await _addresses(host)
        if all(address.is_global for address in addresses):
            return True
        own = await _addresses(self._host)
        if any(address.is_link_local for address in addresses):
            return any(address.is_link_local for address in own)
        return self._private_allowed or any(not address.is_global for address in own)


async def _addresses(host: str) -> tuple[Address, ...]:
    try:
        found = await anyio.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(_unmapped(address) for address in map(_address, {each[4][0] for each in found}) if address is not None)


def _address(text: object) -> Address | None:
    try:
        return ip_address(str(text).partition("%")[0])
    except ValueError:
        return None


def _unmapped(address: Address) -> Address:
    """Return the IPv4 address inside an IPv6 one: that is where the connection goes."""
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address.sixtofour or address
    return address
