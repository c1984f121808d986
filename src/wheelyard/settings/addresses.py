"""Values of `[server]` that are more than their type: URLs, addresses, prefixes. Each function reads one or raises `ValueError`."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

from wheelyard.errors import shown
from wheelyard.settings.mistakes import did_you_mean
from wheelyard.settings.tables import wrong_type
from wheelyard.settings.values import DEFAULT_PORT, ProxyHeader

PROXY_HEADERS: tuple[str, ...] = get_args(ProxyHeader)
"""All headers that may be trusted."""

_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)*\Z")
_MODE = re.compile(r"(?:0o)?[0-7]{3,4}\Z")
_LARGEST_PORT = 65535
_LARGEST_MODE = 0o777


def extra_index_url(value: object) -> str:
    """Return an index URL with a slash at the end; "" and "/" mean none, as they did before."""
    text = _text(value)
    return "" if text in ("", "/") else _http_url(text).rstrip("/") + "/"


def public_url(value: object) -> str:
    """Return the server's own URL without a slash at the end."""
    return _http_url(_text(value)).rstrip("/")


def url_prefix(value: object) -> str:
    """Return "" or a path that starts with a slash and does not end with one."""
    text = _text(value).strip("/")
    prefix = f"/{text}" if text else ""
    if _PREFIX.match(prefix) is None:
        raise ValueError(f"'{shown(value)}' is no path like '/packages'")
    return prefix


def listen(value: object) -> tuple[tuple[str, int], ...]:
    """Return addresses as `(host, port)` from `HOST:PORT HOST:PORT` or a list; `*` is every interface."""
    return tuple(_address(each) for each in _words(value))


def trusted_proxies(value: object) -> tuple[str, ...]:
    """Return addresses and networks, or `*`."""
    for each in (proxies := _words(value)):
        if each == "*":
            continue
        try:
            ipaddress.ip_network(each, strict=False)
        except ValueError:
            raise ValueError(f"'{shown(each)}' is no IP address, no network and not '*'") from None
    return proxies


def trusted_proxy_headers(value: object) -> tuple[str, ...]:
    """Return header names, lower case, each once."""
    headers = tuple(dict.fromkeys(each.lower() for each in _words(value)))
    for each in headers:
        if each not in PROXY_HEADERS:
            known = ", ".join(PROXY_HEADERS)
            raise ValueError(f"'{shown(each)}' is none of {known}{did_you_mean(each, PROXY_HEADERS)}")
    if "forwarded" in headers and len(headers) > 1:
        raise ValueError("'forwarded' cannot be combined with the 'x-forwarded-…' headers; keep what your proxy sends")
    return headers


def unix_socket_perms(value: object) -> int:
    """Return a file mode; text is octal, as in `600`."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_MODE:
        return value
    if isinstance(value, str) and _MODE.match(value):
        return int(value.removeprefix("0o"), 8)
    raise ValueError("must be a file mode like '600' or 0o600")


def existing_file(value: object) -> Path:
    """Return the path of a file that is there."""
    path = Path(_text(value)).expanduser()
    if not path.is_file():
        raise ValueError(f"there is no file '{shown(value)}'")
    return path


def _text(value: object) -> str:
    if not isinstance(value, (str, Path)):
        raise wrong_type(value, "text in quotes")
    return str(value).strip()


def _words(value: object) -> tuple[str, ...]:
    """Return the items of a list, or of text separated by spaces or commas."""
    if isinstance(value, str):
        return tuple(re.split(r"[\s,]+", value.strip())) if value.strip() else ()
    if isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(each, str) for each in value):
        return tuple(str(each).strip() for each in value)
    raise wrong_type(value, "a list of texts")


def _http_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        port_is_right = False
    if not port_is_right or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"'{shown(_masked(text))}' is no http or https URL")
    if parts.query or parts.fragment or any(character.isspace() for character in text):
        raise ValueError(f"'{shown(_masked(text))}' must have no query, fragment or space")
    return text


def _masked(url: str) -> str:
    """Hide user name and password of a URL: they may be right ones."""
    return re.sub(r"//[^/@]*@", "//…@", url)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if ":" in text and not text.endswith("]") else (text, "", str(DEFAULT_PORT))
    if not port.isascii() or not port.isdigit() or int(port) > _LARGEST_PORT:
        raise ValueError(f"'{shown(text)}' is no address like '127.0.0.1:8888' or '[::1]:8888'")
    host = host.removeprefix("[").removesuffix("]")
    return ("0.0.0.0" if host in ("*", "") else host), int(port)  # noqa: S104  asked for by name
