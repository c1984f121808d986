"""GitHub's hourly limits, counted for each person, installation, repository of a workflow, or address."""

from __future__ import annotations

from dataclasses import dataclass

from wheelyard.testing.fake_github.model import Token

HOUR_S = 60 * 60
_ANONYMOUS, _WORKFLOW, _USUAL = 60, 1_000, 5_000


@dataclass(slots=True)
class Window:
    """One hour of one caller's requests of one kind."""

    resource: str
    limit: int
    reset: int
    used: int = 0

    @property
    def remaining(self) -> int:
        """How many are left."""
        return max(0, self.limit - self.used)

    def headers(self) -> dict[str, str]:
        """As on every answer."""
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(self.remaining),
            "x-ratelimit-reset": str(self.reset),
            "x-ratelimit-used": str(self.used),
            "x-ratelimit-resource": self.resource,
        }

    def value(self) -> dict[str, object]:
        """As in `GET /rate_limit`."""
        return {"limit": self.limit, "remaining": self.remaining, "reset": self.reset, "used": self.used}


class Limits:
    """
    Everybody's windows.

    Attributes:
        usual: Requests an hour of a person or an installation; tests lower it.
    """

    def __init__(self) -> None:
        self.usual = _USUAL
        self._windows: dict[tuple[str, str], Window] = {}

    def window(self, token: Token | None, resource: str, now: float) -> Window:
        """The present window of a caller; people share theirs among all their tokens."""
        key = (_payer(token), resource)
        window = self._windows.get(key)
        if window is None or window.reset <= now:
            window = Window(resource, self._limit(token), int(now) + HOUR_S)
            self._windows[key] = window
        return window

    def _limit(self, token: Token | None) -> int:
        if token is None:
            return _ANONYMOUS
        return min(self.usual, _WORKFLOW) if token.kind == "actions" else self.usual


def _payer(token: Token | None) -> str:
    if token is None:
        return "address"
    if token.login is not None:
        return f"user {token.login}"
    if token.installation_id is not None:
        return f"installation {token.installation_id}"
    return f"repository {sorted(token.repositories or ())}"
