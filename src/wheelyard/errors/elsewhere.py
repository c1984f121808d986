"""What other indexes have cannot be had, or may not be looked for."""

from __future__ import annotations

from wheelyard.errors.base import WheelyardError

# --- policy --------------------------------------------------------------------------------------------------------


class PolicyUnavailable(WheelyardError):
    """The policy of the index cannot be applied right now; what it might leave out is not offered."""

    code = "policy-unavailable"


# --- upstream ------------------------------------------------------------------------------------------------------


class UpstreamError(WheelyardError):
    """Another index that we read did not answer as it should."""

    code = "upstream"

    def __init__(self, message: str, *, upstream: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.upstream = upstream


class UpstreamUnavailable(UpstreamError):
    """Could not ask, or it answered with a failure; nothing is known about the project."""

    code = "upstream-unavailable"


class UpstreamRefused(UpstreamUnavailable):
    """It wants other credentials than this server has; nothing is known about the project."""

    code = "upstream-refused"


class UpstreamOffline(UpstreamUnavailable):
    """This server was told to ask nobody, and has no copy; nothing is known about the project."""

    code = "upstream-offline"


class UpstreamInvalid(UpstreamError):
    """It answered something that is no project page."""

    code = "upstream-invalid"
