"""Addresses of private-pypi that its users have in scripts: `/index_mtime/` and `POST /initialize/`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

import anyio

from wheelyard.auth.access import Access
from wheelyard.auth.authenticators import Authenticator
from wheelyard.auth.credentials import parse_authorization
from wheelyard.errors import ConfigError, CredentialsMissing, CredentialsWrong, InvalidRequest, PermissionDenied
from wheelyard.protocol.upload_form import FormLimits, parse_plain_form
from wheelyard.server.answers import Answer, plain
from wheelyard.server.gate import Gate
from wheelyard.server.guard import guarded
from wheelyard.server.requests import Request

FORM_LIMIT_BYTES = 1024 * 1024  # two TOML files; nothing real comes near 1 MiB

Initialize = Callable[[str, str], Awaitable[None]]
"""Reconfigures the server from the texts of a config file and an admin-secret file."""


async def index_mtime(gate: Gate, request: Request, index: str | None) -> Answer:
    """Answer with the time of the last synchronisation of the local index, seconds since 1970, as text."""
    admitted = await gate.admit(index, request, Access.READ)
    await guarded(admitted).list()  # this is the synchronisation: a folder is asked at each request
    return plain(200, f"{int(time.time())}", (b"cache-control", b"no-store"))


class Initializing:
    """
    Answers `POST /initialize/`.

    Args:
        is_open: Whether the server still has no configuration of its own, so that anyone may give it one.
        admins: Authenticators of the current indexes; afterwards one of their admin secrets is asked for.
        initialize: Does it.
        limits: Bounds of the form.
    """

    def __init__(
        self,
        *,
        is_open: Callable[[], Awaitable[bool]],
        admins: Callable[[], Sequence[Authenticator]],
        initialize: Initialize,
        limits: FormLimits,
    ) -> None:
        self._is_open = is_open
        self._admins = admins
        self._initialize = initialize
        self._limits = limits
        self._one_at_a_time = anyio.Lock()

    async def answer(self, request: Request, body: bytes) -> Answer:
        """
        Take a new configuration.

        Raises:
            CredentialsMissing: The server is configured, and no admin secret came.
            CredentialsWrong: What came is not right.
            PermissionDenied: It is right, but no admin secret.
            InvalidRequest: The form does not have both parts.
            ConfigError: The configuration is wrong; every mistake is named and the old one stays.
        """
        async with self._one_at_a_time:  # of two strangers who meet an open server, one comes first
            return await self._answer(request, body)

    async def _answer(self, request: Request, body: bytes) -> Answer:
        if not await self._is_open():
            await self._check_admin(request)
        fields = parse_plain_form(request.text(b"content-type") or "", body, self._limits)
        missing = [name for name in ("config", "admin_secret") if name not in fields]
        if missing:
            raise InvalidRequest(
                f"the form lacks {' and '.join(repr(name) for name in missing)}",
                hint="Send 'config' and 'admin_secret', each the text of a TOML file.",
            )
        try:
            await self._initialize(fields["config"], fields["admin_secret"])
        except ConfigError as error:
            return plain(400, str(error) + "\n")
        return plain(200, "Done")

    async def _check_admin(self, request: Request) -> None:
        authorization = request.headers.get(b"authorization")
        if authorization is None:
            raise CredentialsMissing
        credential = parse_authorization(authorization)
        if credential is None:
            raise CredentialsWrong
        known = False
        for authenticator in self._admins():
            principal = authenticator.decide_for_server(credential)
            known = known or principal is not None
            if principal is not None and principal.access >= Access.ADMIN:
                return
        if known:
            raise PermissionDenied(
                "configure the server of", index="any", hint="The server is configured: send a current admin secret."
            )
        raise CredentialsWrong
