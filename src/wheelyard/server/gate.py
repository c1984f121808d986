"""
The gate: which index a request is for, who sent it, and whether they may.

Fails closed: a request that nothing here admits is refused, and a refusal is 401 or 403, never "not found" (a 404 would
send pip on to the next index, where a stranger's package of the same name may wait).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wheelyard.auth.access import Access, Principal
from wheelyard.auth.credentials import Credential, parse_authorization
from wheelyard.auth.remembered import RememberedDecisions
from wheelyard.errors import CredentialsMissing, CredentialsWrong, PermissionDenied, StorageUnavailable
from wheelyard.server.requests import SESSION_COOKIE, Request
from wheelyard.server.served import Catalog, Served
from wheelyard.state.sessions import Sessions

_ACTION = {Access.READ: "read", Access.WRITE: "publish to", Access.ADMIN: "manage"}
_HINT = {
    Access.WRITE: "Use the write secret of the index to publish.",
    Access.ADMIN: "Use an admin secret.",
}


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may go on: to which index, and who sent it."""

    served: Served
    principal: Principal


class Gate:
    """
    Admits requests.

    Args:
        catalog: Asked anew for each request, since `/initialize/` may swap it.
        remembered: Decisions made before.
        sessions: Sessions of browsers; None when the server keeps none.
    """

    def __init__(
        self, catalog: Callable[[], Catalog], remembered: RememberedDecisions, sessions: Callable[[], Sessions | None]
    ) -> None:
        self._catalog = catalog
        self._remembered = remembered
        self._sessions = sessions

    def admit_now(self, index: str | None, request: Request, needed: Access) -> Admitted | None:
        """Admit a request that was admitted before, without waiting; None when that takes a full look."""
        authorization = request.headers.get(b"authorization")
        if authorization is None or request.repeated:
            return None
        known = self._remembered.get((index, authorization), needed)
        if known is None or known.access < needed:
            return None
        served = self._catalog().names.get(known.index)
        return None if served is None else Admitted(served, known)

    async def admit(self, index: str | None, request: Request, needed: Access) -> Admitted:
        """
        Admit a request.

        Args:
            index: Index named in the path, or None.
            request: The request.
            needed: What it wants to do.
        Raises:
            IndexNotFound: The path names an index that is not here.
            CredentialsMissing: Credentials are needed and none came.
            CredentialsWrong: What came is not right.
            PermissionDenied: The caller is known and may not.
            StorageUnavailable: Who knows the caller could not be asked.
        """
        authorization = request.headers.get(b"authorization")
        if b"authorization" in request.repeated:
            raise CredentialsWrong
        if authorization is not None:
            admitted = self.admit_now(index, request, needed) or await self._by_header(index, authorization)
        else:
            admitted = await self._by_session(index, request) or self._anonymous(index)
        if admitted.principal.access < needed:
            if admitted.principal.anonymous:
                raise CredentialsMissing(index)
            raise PermissionDenied(_ACTION[needed], index=admitted.served.name, hint=_HINT.get(needed))
        return admitted

    async def _by_header(self, index: str | None, authorization: bytes) -> Admitted:
        credential = parse_authorization(authorization)
        if credential is None:
            raise CredentialsWrong
        for served in self._candidates(index, credential):
            principal = await served.authenticator.authenticate(credential)
            if principal is not None:
                self._remembered.put((index, authorization), principal)
                return Admitted(served, principal)
        raise CredentialsWrong

    def _candidates(self, index: str | None, credential: Credential) -> tuple[Served, ...]:
        """Return the indexes a credential may be for; the user name names one, a token may be of any."""
        catalog = self._catalog()
        if index is not None:
            return (catalog.find(index),)
        named = catalog.names.get(credential.user.lower())
        return (named,) if named is not None else tuple(catalog.names.values())

    async def _by_session(self, index: str | None, request: Request) -> Admitted | None:
        """
        Admit by cookie; who may read anyway reads on while the sessions cannot be asked.

        Raises:
            StorageUnavailable: The sessions cannot be asked, and nobody may read without one.
        """
        try:
            return await self._by_cookie(index, request)
        except StorageUnavailable:
            if self._catalog().anonymous(index) is None:
                raise
            return None

    async def _by_cookie(self, index: str | None, request: Request) -> Admitted | None:
        token = request.cookie(SESSION_COOKIE)
        sessions = self._sessions()
        if token is None or sessions is None:
            return None
        session = await sessions.find(token)
        if session is None:
            return None
        served = self._catalog().names.get(session.index.lower())
        if served is None:
            return None
        if index is not None and served.name.lower() != index:
            return None
        return Admitted(served, Principal(f"{served.name}:session", Access[session.can.upper()], served.name.lower()))

    def _anonymous(self, index: str | None) -> Admitted:
        catalog = self._catalog()
        if index is not None:
            catalog.find(index)
        reader = catalog.anonymous(index)
        if reader is None:
            raise CredentialsMissing(index)
        return Admitted(catalog.find(reader.index), reader)
