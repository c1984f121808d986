"""Where a form may send its reader next: never to another site."""

from __future__ import annotations

_LONGEST = 2_000  # characters; longer addresses are no page of ours
_FIRST_PRINTABLE, _LAST_PRINTABLE = "!", "~"


def safe_next(value: str | None, default: str = "/") -> str:
    r"""
    Return `value` when it is a path on this server, else `default`.

    Browsers read `//host`, `/\host` and paths with tabs or line ends in them as addresses of other sites, so only plain ASCII
    paths with single slashes pass.

    Args:
        value: What the request asked for, percent-encoded as it would stand in a `Location`; None when it asked for nothing.
        default: Returned for everything else; trusted.
    """
    if value is None or len(value) > _LONGEST or not value.startswith("/"):
        return default
    if "\\" in value or not all(_FIRST_PRINTABLE <= character <= _LAST_PRINTABLE for character in value):
        return default
    path = value.partition("?")[0].partition("#")[0]
    # `/.//host` and `/x/..//host` stay here in a browser, but a proxy that tidies paths would make `//host` of them.
    if "//" in path:
        return default
    return value
