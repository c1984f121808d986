"""Credentials in headers, the signatures of GitHub Apps, and signed links."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from wheelyard.testing.fake_github.wire import Refused

if TYPE_CHECKING:
    from wheelyard.testing.fake_github.model import App

_LONGEST_JWT_S = 10 * 60
_SKEW_S = 60  # clocks differ; GitHub's own advice is to date tokens a minute back
_KEY_BITS = 2048
_PUBLIC_EXPONENT = 65537


def credential_in(header: str | None) -> str | None:
    """
    The token in an Authorization header: `token …`, `Bearer …`, or the password of `Basic …` with any user name.

    Raises:
        Refused: The header holds nothing of these.
    """
    if not header:
        return None
    scheme, _, value = header.partition(" ")
    if scheme.lower() in ("token", "bearer"):
        return value.strip()
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value.strip()).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Refused(401, "Bad credentials") from None
        return password if password not in ("", "x-oauth-basic") else user
    raise Refused(401, "Bad credentials")


def looks_signed(credential: str) -> bool:
    """Whether a credential could be an app's own signature: head, claims, signature."""
    return credential.count(".") == 2  # noqa: PLR2004  two between three parts


def new_key_pair() -> tuple[str, str]:
    """A private and a public RSA key, both PEM."""
    from cryptography.hazmat.primitives import serialization as pem  # noqa: PLC0415  most users of the double sign nothing
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    key = rsa.generate_private_key(public_exponent=_PUBLIC_EXPONENT, key_size=_KEY_BITS)
    private = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.TraditionalOpenSSL, pem.NoEncryption())
    public = key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def app_of(header: str | None, apps: Mapping[int, App], *, now: float) -> App:
    """
    The app that signed for itself.

    Raises:
        Refused: It did not, not well, not now, or for longer than ten minutes.
    """
    token = credential_in(header)
    if token is None or not looks_signed(token):
        raise Refused(401, "A JSON web token could not be decoded")
    head, payload, signature = token.split(".")
    try:
        algorithm = json.loads(_decoded(head))["alg"]
        claims = json.loads(_decoded(payload))
        app = apps[int(claims["iss"])]
        issued, expires = float(claims["iat"]), float(claims["exp"])
        given = _decoded(signature)
    except (ValueError, KeyError, TypeError):
        raise Refused(401, "A JSON web token could not be decoded") from None
    if algorithm != "RS256" or not _is_signed(app.public_key, f"{head}.{payload}".encode(), given):
        raise Refused(401, "A JSON web token could not be decoded")
    if issued > now + _SKEW_S:
        raise Refused(
            401, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
        )
    if expires <= now:
        raise Refused(
            401,
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        )
    if expires - now > _LONGEST_JWT_S + _SKEW_S:
        raise Refused(401, "'Expiration time' claim ('exp') is too far in the future")
    return app


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _is_signed(public_key: str, message: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  as above
    from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    key = load_pem_public_key(public_key.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    try:
        key.verify(signature, message, padding.PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def link_signature(key: bytes, path: str, expires: int) -> str:
    """What makes a link valid until a time, in seconds since 1970."""
    return hmac.new(key, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()
