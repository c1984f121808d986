"""
The gate: which index a request is for, who sent it, and whether they may.

Fails closed: a request that nothing here admits is refused, and a refusal is 401 or 403, never "not found" (a 404 would
send pip on to the next index, where a stranger's package of the same name may wait).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

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
_NAME_IT = "This server has several indexes: name the one you mean in the URL, as in `/NAME/simple/`."


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
            admitted = self.admit_now(index, request, needed) or await self._by_header(index, authorization, needed)
        else:
            admitted = await self._by_session(index, request) or self._anonymous(index)
        if admitted.principal.access < needed:
            if admitted.principal.anonymous:
                raise CredentialsMissing(index)
            hint = admitted.principal.reason or _HINT.get(needed)
            raise PermissionDenied(_ACTION[needed], index=admitted.served.name, hint=hint)
        return admitted

    async def _by_header(self, index: str | None, authorization: bytes, needed: Access) -> Admitted:
        credential = parse_authorization(authorization)
        if credential is None:
            raise CredentialsWrong
        catalog = self._catalog()
        candidates = self._candidates(catalog, index, credential)
        admitted = await _known(_narrowed(candidates, credential), credential, needed)
        if admitted is None:
            hints = {served.authenticator.advice for served in candidates}
            raise CredentialsWrong(hint=hints.pop() if len(hints) == 1 else None)
        if catalog is self._catalog():  # else the server was configured anew meanwhile, and this is of the past
            self._remembered.put((index, authorization), admitted.principal)
        return admitted

    @staticmethod
    def _candidates(catalog: Catalog, index: str | None, credential: Credential) -> tuple[Served, ...]:
        """Return the indexes a credential may be for; the user name names one, a token may be of any."""
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
            served = catalog.only if index is None else catalog.find(index)
            raise CredentialsMissing(index, hint=None if served is None else served.authenticator.advice)
        return Admitted(catalog.find(reader.index), reader)


def _narrowed(candidates: Sequence[Served], credential: Credential) -> Sequence[Served]:
    """Return the one index that has the credential as its secret, if any does: it is then shown to no other's host."""
    return next(((served,) for served in candidates if served.authenticator.decide(credential)), candidates)


async def _known(candidates: Sequence[Served], credential: Credential, needed: Access) -> Admitted | None:
    """
    Ask whoever may know the credential, one index after the other in the order of the configuration.

    Raises:
        StorageUnavailable: One could not be asked. The next is not asked in its place: an upload or a project name that
            was meant for this index must not reach another one because a host is down.
    """
    refused: Admitted | None = None
    for served in candidates:
        principal = await served.authenticator.authenticate(credential, needed)
        if principal is not None and principal.access >= Access.READ:
            return Admitted(served, principal)
        if principal is not None and refused is None:
            reason = principal.reason if len(candidates) == 1 else f"{principal.reason} {_NAME_IT}"
            refused = Admitted(served, replace(principal, reason=reason))
    return refused
