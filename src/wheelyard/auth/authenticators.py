"""
Authenticators: from a credential to a principal.

One per index. A backend whose host knows its users (GitHub, GitLab) brings its own later; the folder has two secrets.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Protocol

from wheelyard.auth.access import Access, Principal
from wheelyard.auth.credentials import Credential


class Authenticator(Protocol):
    """Decides who a credential belongs to."""

    async def authenticate(self, credential: Credential) -> Principal | None:
        """
        Return who it is, or None when the credential is not right.

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

    async def authenticate(self, credential: Credential) -> Principal | None:
        """Compare with each secret, in the same time whichever is right or wrong."""
        return self.decide(credential)

    def decide(self, credential: Credential) -> Principal | None:
        """Do what `authenticate` does, without waiting."""
        offered = _digest(credential.secret)
        found: Access | None = None
        for digest, access in self._known:
            if hmac.compare_digest(digest, offered) and (found is None or access > found):
                found = access
        if found is None or credential.user.lower() not in self._users:
            return None
        return Principal(f"{self._index}:{found.name.lower()}", found, self._index.lower())

    def fingerprint(self) -> bytes:
        """Return a digest of all secrets."""
        return hashlib.sha256(b"".join(digest for digest, _ in self._known)).digest()


def _digest(secret: str) -> bytes:
    # Digests have one length, so a comparison tells nothing of the secret's.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
