"""
Decisions about callers, remembered for a while, so that a request costs one look-up.

Rule 1: what a caller sent is not kept, only a keyed digest of it: a copy of this memory holds nobody's token.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from wheelyard.auth.access import Access, Principal

ENTRIES_LIMIT = 100_000  # a remembered caller costs about 400 bytes: 40 MB at the most

Evidence = tuple[str | None, bytes]
"""Index named in the path, or None, and the `Authorization` header."""


@dataclass(frozen=True, slots=True)
class RememberedFor:
    """
    How long a decision holds.

    Attributes:
        read_s: Seconds for a caller's right to read.
        write_s: Seconds for a caller's right to write; shorter, since more is lost when it was taken away.
    """

    read_s: float
    write_s: float


class RememberedDecisions:
    """
    Bounded memory of who an `Authorization` header belongs to. Only successes are remembered.

    Args:
        lifetime: How long.
        clock: Seconds, monotonic.
    """

    def __init__(self, lifetime: RememberedFor, *, clock: Callable[[], float]) -> None:
        self._lifetime = lifetime
        self._clock = clock
        self._digest = hashlib.blake2b(key=secrets.token_bytes(32), digest_size=32)
        self._known: OrderedDict[Evidence, tuple[Principal, float, float]] = OrderedDict()

    def get(self, evidence: Evidence, needed: Access) -> Principal | None:
        """Return who it is, when that was decided recently enough for what is needed."""
        known = self._known.get(self._kept(evidence))
        if known is None:
            return None
        principal, read_until, write_until = known
        until = write_until if needed >= Access.WRITE else read_until
        if self._clock() >= until:
            return None
        return principal

    def put(self, evidence: Evidence, principal: Principal) -> None:
        """Remember a decision from the moment it was made; the oldest is forgotten beyond the limit."""
        since = self._clock() if principal.decided is None else principal.decided
        kept = self._kept(evidence)
        self._known[kept] = (principal, since + self._lifetime.read_s, since + self._lifetime.write_s)
        self._known.move_to_end(kept)
        if len(self._known) > ENTRIES_LIMIT:
            self._known.popitem(last=False)

    def _kept(self, evidence: Evidence) -> Evidence:
        digest = self._digest.copy()  # a third of a microsecond for both lines; this is on the hot path
        digest.update(evidence[1])
        return evidence[0], digest.digest()

    def clear(self) -> None:
        """Forget everything, as after a change of secrets."""
        self._known.clear()
