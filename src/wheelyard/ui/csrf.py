"""Whether a form was sent from a page of ours; no token is needed for it, so no page depends on a session."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from wheelyard.errors import CrossSiteRequest

_DEFAULT_PORTS = {"http": 80, "https": 443}


def check_same_site(headers: Mapping[str, str], own_origin: str) -> None:
    """
    Refuse a form that another site's page sent.

    A browser says where a form comes from: newer ones on trustworthy addresses in `Sec-Fetch-Site`, all in `Origin` or `Referer`.
    Programs such as curl say nothing and carry no cookie that somebody else could use; they pass.

    Args:
        headers: By lower-case name.
        own_origin: Scheme and host of this server as its caller knows it, such as `https://packages.example`.
    Raises:
        CrossSiteRequest: It came from elsewhere, or it carries a cookie and does not say where it came from.
    """
    if headers.get("sec-fetch-dest", "document") != "document":
        # A picture or a frame on one of our own pages, such as a description may contain, is no form.
        raise CrossSiteRequest
    site = headers.get("sec-fetch-site")
    if site is not None:
        # `same-site` is another host of the domain; `none` is the person's own doing (address bar, bookmark).
        if site.strip().lower() not in {"same-origin", "none"}:
            raise CrossSiteRequest
        return
    source = headers.get("origin")
    if source is None:
        source = headers.get("referer")
    if source is not None:
        if _host(source) is None or _host(source) != _host(own_origin):
            raise CrossSiteRequest
        return
    if headers.get("cookie") is not None:
        raise CrossSiteRequest


def _host(address: str) -> tuple[str, int | None] | None:
    """
    Return host and port; the port is None when it is the scheme's own.

    The scheme is not compared: behind a proxy that ends TLS we may know ourselves as http while the browser says https.
    """
    try:
        parts = urlsplit(address.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not host:
        return None
    return host, None if port == _DEFAULT_PORTS[parts.scheme] else port
