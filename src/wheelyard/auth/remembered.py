"""Decisions about callers, remembered for a while, so that a request costs one look-up."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from wheelyard.auth.access import Access, Principal

ENTRIES_LIMIT = 100_000  # a remembered caller costs about 400 bytes: 40 MB at the most


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
    Bounded memory of who a header or a cookie belongs to. Only successes are remembered.

    Args:
        lifetime: How long.
        clock: Seconds, monotonic.
    """

    def __init__(self, lifetime: RememberedFor, *, clock: Callable[[], float]) -> None:
        self._lifetime = lifetime
        self._clock = clock
        self._known: OrderedDict[Hashable, tuple[Principal, float, float]] = OrderedDict()

    def get(self, evidence: Hashable, needed: Access) -> Principal | None:
        """Return who it is, when that was decided recently enough for what is needed."""
        known = self._known.get(evidence)
        if known is None:
            return None
        principal, read_until, write_until = known
        until = write_until if needed >= Access.WRITE else read_until
        if self._clock() >= until:
            return None
        return principal

    def put(self, evidence: Hashable, principal: Principal) -> None:
        """Remember a decision; the oldest is forgotten beyond the limit."""
        now = self._clock()
        self._known[evidence] = (principal, now + self._lifetime.read_s, now + self._lifetime.write_s)
        self._known.move_to_end(evidence)
        if len(self._known) > ENTRIES_LIMIT:
            self._known.popitem(last=False)

    def clear(self) -> None:
        """Forget everything, as after a change of secrets."""
        self._known.clear()
