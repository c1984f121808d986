"""The server's own credential: a token as it is, or an App's key, from which tokens for an hour are made."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final

import anyio
from anyio import to_thread

from wheelyard.errors import StorageUnavailable

_JWT_SECONDS: Final = 9 * 60  # GitHub refuses more than ten minutes
_JWT_BACK_S: Final = 60  # clocks differ; GitHub's own advice
_REFRESH_BEFORE_S: Final = 5 * 60  # a token must last for what is asked with it

MakeToken = Callable[[str, str], Awaitable[Mapping[str, object]]]
"""From an installation id and a signed JWT to GitHub's answer with `token` and `expires_at`."""


class Credential(ABC):
    """Where the server's token comes from."""

    @abstractmethod
    async def token(self) -> str | None:
        """
        Return a token that is valid for some minutes; None to ask without one.

        Raises:
            StorageUnavailable: None could be had.
        """

    def forget(self) -> bool:
        """Forget a token that was refused; tells whether another one can be had."""
        return False


class FixedToken(Credential):
    """A token as it was given."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    async def token(self) -> str | None:
        """Return it."""
        return self._token


class AppCredential(Credential):
    """
    A GitHub App that is installed on the repository.

    Args:
        app_id: Id of the App, or its client id.
        installation_id: Id of its installation at the owner of the repository.
        private_key: Its key, PEM.
        make_token: Exchanges a signed JWT for a token.
        clock: Tells seconds since the epoch.
    """

    def __init__(
        self,
        *,
        app_id: str,
        installation_id: str,
        private_key: str,
        make_token: MakeToken,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._app_id = app_id
        self._installation_id = installation_id
        self._private_key = private_key
        self._make_token = make_token
        self._clock = clock
        self._token: str | None = None
        self._expires = 0.0
        self._lock = anyio.Lock()

    async def token(self) -> str:
        """Return the token of this hour, a new one some minutes before it ends."""
        async with self._lock:
            if self._token is None or self._clock() > self._expires - _REFRESH_BEFORE_S:
                signed = await to_thread.run_sync(self._signed)
                answer = await self._make_token(self._installation_id, signed)
                self._token, self._expires = _parse(answer)
            return self._token

    def forget(self) -> bool:
        """Make a new token next time, unless there was none to forget."""
        had, self._token = self._token is not None, None
        return had

    def _signed(self) -> str:
        from joserfc import jwt  # noqa: PLC0415  cryptography takes a while to load, and few use an App
        from joserfc.errors import JoseError  # noqa: PLC0415
        from joserfc.jwk import RSAKey  # noqa: PLC0415

        now = int(self._clock())
        claims = {"iat": now - _JWT_BACK_S, "exp": now + _JWT_SECONDS, "iss": self._app_id}
        try:
            return jwt.encode({"alg": "RS256"}, claims, RSAKey.import_key(self._private_key))
        except (JoseError, ValueError, TypeError) as error:
            raise StorageUnavailable(
                "the `private_key` of the GitHub App in the admin secret cannot be used",
                hint="It is the whole text of the .pem file that GitHub gave for the App, a key for RSA.",
            ) from error


def _parse(answer: Mapping[str, object]) -> tuple[str, float]:
    token, expires = answer.get("token"), answer.get("expires_at")
    if not isinstance(token, str) or not isinstance(expires, str):
        raise StorageUnavailable("GitHub gave no token for the App's installation")
    return token, datetime.fromisoformat(expires).timestamp()


def credential_of(secret: Mapping[str, str], make_token: MakeToken) -> Credential:
    """
    Return the credential that an admin secret describes.

    Raises:
        StorageUnavailable: Keys of an App are missing.
    """
    if not secret.get("app_id"):
        return FixedToken(secret.get("raw", "").strip() or None)
    missing = [key for key in ("installation_id", "private_key") if not secret.get(key)]
    if missing:
        raise StorageUnavailable(
            f"the admin secret has the `app_id` of a GitHub App and lacks {' and '.join(f'`{key}`' for key in missing)}",
            hint="An administrator should complete the admin secret of this index.",
        )
    return AppCredential(
        app_id=secret["app_id"],
        installation_id=secret["installation_id"],
        private_key=secret["private_key"],
        make_token=make_token,
    )
