"""
The `Authorization` header, read.

Spec: RFC 9110 section 11, RFC 7617 (Basic, UTF-8), RFC 6750 (Bearer).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

HEADER_LIMIT_BYTES = 16 * 1024  # host tokens may pass 1 KiB; nothing real comes near 16 KiB


@dataclass(frozen=True, slots=True)
class Credential:
    """
    What a caller sent to prove who they are.

    Attributes:
        user: User name; "" when the scheme has none.
        secret: Password or token; never shown by `repr`.
    """

    user: str
    secret: str = field(repr=False)


def parse_authorization(value: bytes) -> Credential | None:
    """
    Read one `Authorization` header.

    Returns:
        None when it is of an unknown scheme or cannot be read: such a caller has wrong credentials, not none.
    """
    if len(value) > HEADER_LIMIT_BYTES:
        return None
    scheme, _, rest = value.strip().partition(b" ")
    match scheme.lower():
        case b"basic":
            return _basic(rest.strip())
        case b"bearer" | b"token":
            return _token(rest.strip())
        case _:
            return None


def _basic(encoded: bytes) -> Credential | None:
    try:
        decoded = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    text = _text(decoded)
    user, colon, secret = text.partition(":")
    if not colon:
        return None
    # Some CI systems write `https://TOKEN:@host`: the token stands where the user name should.
    return Credential("", user) if user and not secret else Credential(user, secret)


def _token(token: bytes) -> Credential | None:
    return Credential("", _text(token)) if token else None


def _text(value: bytes) -> str:
    """RFC 7617 leaves the charset open; clients send UTF-8 today and Latin-1 in the past."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
