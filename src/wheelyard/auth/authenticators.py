"""
Authenticators: from a credential to a principal.

One per index. A folder has secrets; storage whose host knows its users (GitHub, GitLab) asks that host (`hosts`).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Protocol

from wheelyard.auth.access import Access, Principal
from wheelyard.auth.credentials import Credential


class Authenticator(Protocol):
    """Decides who a credential belongs to."""

    @property
    def advice(self) -> str | None:
        """What a caller should send, for the hint of a refusal; None for the name of the index and its secret."""

    def decide(self, credential: Credential) -> Principal | None:
        """Return who it is as far as this server knows by itself, without waiting; None when it does not."""

    def decide_for_server(self, credential: Credential) -> Principal | None:
        """Do what `decide` does, for what concerns the whole server: the access of a host's people ends at its index."""

    async def authenticate(self, credential: Credential, needed: Access = Access.READ) -> Principal | None:
        """
        Return who it is, or None when the credential is not right.

        Args:
            credential: What was sent.
            needed: What its sender wants to do; more is asked anew sooner.
        Raises:
            StorageUnavailable: The one who knows could not be asked; nothing is known.
        """

    def fingerprint(self) -> bytes:
        """Return bytes that change whenever a decision made before must be made again (a secret was changed)."""


class IndexSecrets:
    """
    The read secret and the write secret of one index.

    Args:
        index: Name of the index; the user name must be it, or `__token__`, or empty.
        read_secret: Lets its bearer read; None for nobody.
        write_secret: Lets its bearer read and write; None for nobody.
        admin_secret: Lets its bearer manage the server too; None for nobody.
    """

    def __init__(
        self, index: str, *, read_secret: str | None, write_secret: str | None, admin_secret: str | None = None
    ) -> None:
        self._users = frozenset({"", "__token__", index.lower()})
        self._index = index
        # The strongest first: an index may use one secret for everything.
        self._known = tuple(
            (_digest(secret), access)
            for secret, access in (
                (admin_secret, Access.ADMIN),
                (write_secret, Access.WRITE),
                (read_secret, Access.READ),
            )
            if secret
        )

    @property
    def advice(self) -> None:
        """What everybody sends."""
        return

    async def authenticate(self, credential: Credential, needed: Access = Access.READ) -> Principal | None:
        """Do what `decide` does."""
        del needed
        return self.decide(credential)

    def decide(self, credential: Credential) -> Principal | None:
        """Compare with each secret, in the same time whichever is right or wrong."""
        offered = _digest(credential.secret)
        found: Access | None = None
        for digest, access in self._known:
            if hmac.compare_digest(digest, offered) and (found is None or access > found):
                found = access
        if found is None or credential.user.lower() not in self._users:
            return None
        return Principal(f"{self._index}:{found.name.lower()}", found, self._index.lower())

    def decide_for_server(self, credential: Credential) -> Principal | None:
        """Do what `decide` does."""
        return self.decide(credential)

    def fingerprint(self) -> bytes:
        """Return a digest of all secrets."""
        return hashlib.sha256(b"".join(digest for digest, _ in self._known)).digest()


def equal_secrets(offered: str, secret: str) -> bool:
    """Compare a secret with what was sent, in the same time wherever they differ."""
    return hmac.compare_digest(_digest(offered), _digest(secret))


def _digest(secret: str) -> bytes:
    # Digests have one length, so a comparison tells nothing of the secret's.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
