"""GitHub's rate limits: read from answers, waited out; what is waited for is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

_UNKNOWN_WAIT_S: Final = 60.0  # GitHub's advice where no header says how long
_LONGEST_WAIT_S: Final = 3660.0  # the primary limits are counted by the hour
_LIMITING: Final = frozenset({403, 429})
_SOON_S: Final = 1.0  # clocks of two machines differ


@dataclass(frozen=True, slots=True)
class Limit:
    """
    One refusal for asking too much.

    Attributes:
        wait_s: Seconds until asking makes sense again.
        is_secondary: Whether it counts for everything that is asked, not for one kind.
    """

    wait_s: float
    is_secondary: bool


def limit_of(status: int, headers: Mapping[str, str], content: bytes, *, attempt: int, now: float) -> Limit | None:
    """
    Tell whether an answer is a refusal for asking too much, and how long to wait.

    Args:
        status: Of the answer.
        headers: By lower-case name.
        content: The body.
        attempt: How many such refusals came before this one; the wait doubles where no header says how long.
        now: Time in seconds since the epoch, used when the answer has no date.
    """
    if status not in _LIMITING and not _is_limited_query(content):
        return None
    after = headers.get("retry-after", "")
    if after.isdigit():
        return Limit(min(float(after[:6]), _LONGEST_WAIT_S), is_secondary=True)
    if headers.get("x-ratelimit-remaining") == "0" and headers.get("x-ratelimit-reset", "").isdigit():
        wait = float(headers["x-ratelimit-reset"][:12]) - _date(headers, now) + _SOON_S
        return Limit(min(max(wait, _SOON_S), _LONGEST_WAIT_S), is_secondary=False)
    if status == 429 or b"rate limit" in content[:4096].lower():  # noqa: PLR2004
        return Limit(min(_UNKNOWN_WAIT_S * 2**attempt, _LONGEST_WAIT_S), is_secondary=True)
    return None


def _is_limited_query(content: bytes) -> bool:
    """GraphQL refuses with status 200."""
    return content.startswith(b"{") and b'"RATE_LIMITED"' in content[:4096]


def _date(headers: Mapping[str, str], now: float) -> float:
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return now


class Patience:
    """
    Until when which kind of question is not to be asked.

    Args:
        clock: Tells seconds on a clock that never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def note(self, resource: str, limit: Limit) -> None:
        """Remember a refusal of one kind of question (`core`, `graphql`)."""
        for each in ("core", "graphql") if limit.is_secondary else (resource,):
            self._until[each] = max(self._until.get(each, 0.0), self._clock() + limit.wait_s)

    def wait_s(self, resource: str) -> float:
        """Return how many seconds one kind of question has to wait; 0 when it may be asked."""
        return max(0.0, self._until.get(resource, 0.0) - self._clock())

    def longest_s(self) -> float:
        """Return how long any kind of question has to wait."""
        return max((self.wait_s(resource) for resource in self._until), default=0.0)
