"""
Who a host's token belongs to: storage on GitHub or GitLab knows its people already, and is asked who sent it.

Rule 1: a token is never kept, only a keyed digest of it under a key that dies with the process.
Rule 2: nobody is let in while the host cannot be asked, but for those whose decision still holds.
"""

from __future__ import annotations

import hashlib
import secrets as chance
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio

from wheelyard.auth.access import Access, Principal
from wheelyard.auth.authenticators import IndexSecrets, equal_secrets
from wheelyard.auth.credentials import Credential
from wheelyard.auth.remembered import ENTRIES_LIMIT, RememberedFor
from wheelyard.errors import StorageUnavailable, WheelyardError, shown
from wheelyard.storage.interface import HostIdentity, Permission

Identify = Callable[[str], Awaitable[HostIdentity]]
"""Asks the host what the holder of a token may do; raises `StorageUnavailable` when it cannot be asked."""

REFUSED_FOR_S = 30.0
"""How long "you may not" holds: whoever was just given access waits no longer, a client that loops asks no oftener."""

_ASKED_AT_ONCE = 16  # strangers may send any number of tokens at once; the host sees so many
_ANSWER_S = 20.0  # a host may be waited for longer where files are concerned; who knocks is told to come again
_TOKEN_LIMIT = 8 * 1024  # characters; tokens of today stay under 1,500, and a header under 16 KiB


@dataclass(frozen=True, slots=True)
class StandIn:
    """
    A secret that stands for a token, so that the token itself need not be given to any client.

    Attributes:
        secret: What clients send.
        token: What the host is asked about.
    """

    secret: str = field(repr=False)
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Decision:
    identity: HostIdentity
    asked: float  # when the question began: what changed while it was under way counts as changed after it


@dataclass(slots=True)
class _Question:
    """One question under way, and those who wait for its answer."""

    done: anyio.Event = field(default_factory=anyio.Event)
    decision: _Decision | None = None
    error: WheelyardError | None = None


class HostAuthenticator:
    """
    Takes the secrets of an index and, as password with any user name, the tokens of its host.

    Args:
        index: Name of the index.
        identify: Asks the host.
        secrets: Secrets that work beside the host's tokens.
        admin: The server's own credential for the host. It configures the server; as a password for the index it is a
            token like any other, so that a publish is recorded under its login and a revoked one ends.
        remembered_for: How long the host's word holds.
        clock: Seconds, monotonic; the same clock that `RememberedDecisions` reads.
        storage: What tells this storage from another one; logins end when it changes.
        stand_in: A secret that reads by itself, and for everything else stands for a token; None for none.
        answer_s: Seconds after which the host counts as one that cannot be asked.
    """

    def __init__(
        self,
        index: str,
        identify: Identify,
        *,
        secrets: IndexSecrets,
        admin: IndexSecrets,
        remembered_for: RememberedFor,
        clock: Callable[[], float],
        storage: str = "",
        stand_in: StandIn | None = None,
        answer_s: float = _ANSWER_S,
    ) -> None:
        self._index = index
        self._identify = identify
        self._secrets = secrets
        self._admin = admin
        self._remembered_for = remembered_for
        self._clock = clock
        self._storage = storage
        self._stand_in = stand_in
        self._answer_s = answer_s
        self._marks = hashlib.blake2b(key=chance.token_bytes(32), digest_size=32)
        self._decisions: OrderedDict[bytes, _Decision] = OrderedDict()
        self._questions: dict[bytes, _Question] = {}
        self._limiter = anyio.Semaphore(_ASKED_AT_ONCE)

    @property
    def advice(self) -> str:
        """What a caller should send."""
        return (
            "Send Basic authentication: any user name, and as password your own token for the repository "
            "behind this index, for example what `gh auth token` prints; it may have expired or been revoked."
        )

    def decide(self, credential: Credential) -> Principal | None:
        """Compare with what this server knows by itself: its secrets."""
        known = self._secrets.decide(credential)
        if known is None and self._is_stand_in(credential):
            return Principal(f"{self._index}:read", Access.READ, self._index.lower())
        return known

    def decide_for_server(self, credential: Credential) -> Principal | None:
        """Compare with the server's own credential too."""
        return self._admin.decide(credential) or self.decide(credential)

    async def authenticate(self, credential: Credential, needed: Access = Access.READ) -> Principal | None:
        """
        Return who it is, as this server's secrets or the host tell.

        Returns:
            None when the host does not know the token. A principal without access is known, and may nothing.
        Raises:
            StorageUnavailable: The host could not be asked, and what it said before holds no longer.
        """
        known = self.decide(credential)
        token = credential.secret
        if known is not None and (known.access >= needed or not self._is_stand_in(credential)):
            return known
        if known is not None and self._stand_in is not None:
            token = self._stand_in.token
        if not _may_be_token(token):
            return None
        return self._principal(await self._decision(token, needed))

    def fingerprint(self) -> bytes:
        """Return a digest of the secrets and of which storage it is."""
        own = b"" if self._stand_in is None else self._stand_in.secret.encode()
        parts = (self._secrets.fingerprint(), self._admin.fingerprint(), own, self._storage.encode())
        return hashlib.sha256(b"".join(parts)).digest()

    # -- the host's word -------------------------------------------------------------------------------------------

    async def _decision(self, token: str, needed: Access) -> _Decision:
        """Return the host's word on a token; of any number who want it at once, one asks."""
        mark = self._mark(token)
        while True:
            decision = self._decisions.get(mark)
            if decision is not None and self._clock() < decision.asked + self._holds_for_s(decision, needed):
                return decision
            question = self._questions.get(mark)
            if question is None:
                return await self._ask(mark, token)
            await question.done.wait()
            if question.error is not None:
                raise question.error
            if question.decision is not None:
                return question.decision
            # Whoever asked went away before the answer came; one of those who waited asks again.

    async def _ask(self, mark: bytes, token: str) -> _Decision:
        question = self._questions[mark] = _Question()
        try:
            with anyio.move_on_after(self._answer_s):
                async with self._limiter:
                    asked = self._clock()
                    question.decision = _Decision(await self._identify(token), asked)
            if question.decision is None:
                raise StorageUnavailable("the host did not say in time who this token belongs to", hint="Try again.")
        except WheelyardError as error:
            question.error = error
            raise
        finally:
            del self._questions[mark]
            question.done.set()
        self._decisions[mark] = question.decision
        self._decisions.move_to_end(mark)
        if len(self._decisions) > ENTRIES_LIMIT:
            self._decisions.popitem(last=False)
        return question.decision

    def _holds_for_s(self, decision: _Decision, needed: Access) -> float:
        holds = self._remembered_for.write_s if needed >= Access.WRITE else self._remembered_for.read_s
        return holds if _access(decision.identity) >= needed else min(holds, REFUSED_FOR_S)

    def _principal(self, decision: _Decision) -> Principal | None:
        identity, access = decision.identity, _access(decision.identity)
        if not identity.known:
            return None
        return Principal(
            shown(identity.login) if identity.login else f"{self._index}:{access.name.lower()}",
            access,
            self._index.lower(),
            decided=decision.asked,
            reason=_reason(identity),
        )

    def _mark(self, token: str) -> bytes:
        mark = self._marks.copy()
        mark.update(token.encode("utf-8", "surrogatepass"))
        return mark.digest()

    def _is_stand_in(self, credential: Credential) -> bool:
        return self._stand_in is not None and equal_secrets(credential.secret, self._stand_in.secret)


def _access(identity: HostIdentity) -> Access:
    return {
        Permission.NONE: Access.NONE,
        Permission.READ: Access.READ,
        Permission.WRITE: Access.WRITE,
        Permission.ADMIN: Access.ADMIN,
    }[identity.permission]


def _reason(identity: HostIdentity) -> str | None:
    """Say why somebody known may not do more; None when there is nothing to ask for."""
    if identity.reason:
        return f"{identity.reason[0].upper()}{identity.reason[1:].removesuffix('.')}."
    if identity.permission >= Permission.WRITE:
        return None
    who = f"'{shown(identity.login)}'" if identity.login else "This token"
    if identity.permission is Permission.NONE:
        return f"{who} has no access to the repository behind this index; ask its owner for it."
    return f"{who} may only read the repository behind this index; ask its owner for the right to write."


def _may_be_token(text: str) -> bool:
    """Tell whether it could be one; the form of tokens changes, so only what no header can carry is refused unasked."""
    return 0 < len(text) <= _TOKEN_LIMIT and text.isascii() and text.isprintable() and " " not in text
