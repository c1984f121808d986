"""
The troubles a test can order.

    github.switches.fail_upload_502_leaves_starter = 1          # the next upload
    github.switches.secondary_limit(retry_after=2, times=3)     # the next three requests
    github.switches.down = "503"                                # until it is None again

A switch that is a number counts down, once for each request it spoils; others hold until the test takes them back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True, kw_only=True)
class Failure:
    """
    An answer that is given in place of the right one.

    Attributes:
        status: Of the answer.
        message: Of the answer.
        headers: Of the answer.
        times: For how many more requests.
        method: Only requests of this method; None for all.
        path: Only requests whose path contains this.
    """

    status: int
    message: str
    times: int = 1
    method: str | None = None
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Switches:
    """
    Troubles; all are off at first.

    Attributes:
        fail_upload_502_leaves_starter: Uploads that are answered 502 and leave an asset in state `starter`.
        stale_data: Moves of branches before which somebody else's commit lands.
        sso_required: Whether organisations ask every scoped token for a single sign-on.
        down: `503`: every host answers it; `cut`: connections are cut without an answer.
        slow_s: Seconds each answer takes longer.
        expiring_url: Signed links that have already expired when they are handed out.
        signed_link_s: How long signed links live; GitHub's are for five minutes at least.
        stream_assets: Whether downloads are answered 200 with the bytes, as GitHub reserves the right to, not 302.
        immutable_releases: Whether the policy is on for all repositories, whatever they say themselves.
        drop_answer_after_commit: Requests that write, are obeyed, and then get no answer.
        drop_answer_path: Only requests whose path contains this count for that.
        truncate_download: Downloads whose connection is cut in the middle.
        corrupt_download: Downloads with a wrong byte.
        release_list_cap: So many releases can be listed: 1000 or 10000, GitHub has refused both.
        tree_entries_cap: So many entries a recursive tree has before it is truncated.
        assets_per_release: So many assets a release takes.
        asset_bytes: So big the largest asset may be.
        graphql_bytes: So big the largest GraphQL request may be; 40 MB measured by others, GitHub names no number.
        failures: Answers ordered by `secondary_limit`, `primary_limit` and `fail`, first ordered first.
    """

    fail_upload_502_leaves_starter: int = 0
    stale_data: int = 0
    sso_required: bool = False
    down: Literal["503", "cut"] | None = None
    slow_s: float = 0
    expiring_url: int = 0
    signed_link_s: int = 300
    stream_assets: bool = False
    immutable_releases: bool = False
    drop_answer_after_commit: int = 0
    drop_answer_path: str = ""
    truncate_download: int = 0
    corrupt_download: int = 0
    release_list_cap: int = 1000
    tree_entries_cap: int = 100_000
    assets_per_release: int = 1000
    asset_bytes: int = 2 * 1024**3 - 1
    graphql_bytes: int = 40_000_000
    failures: list[Failure] = field(default_factory=list)

    def secondary_limit(
        self, retry_after: int | None = 1, *, times: int = 1, status: int = 403, path: str = ""
    ) -> None:
        """Refuse the next requests for their pace; without `retry_after` GitHub leaves it to the client to guess."""
        self.failures.append(
            Failure(
                status=status,
                message="You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
                times=times,
                path=path,
                headers={} if retry_after is None else {"retry-after": str(retry_after)},
            )
        )

    def primary_limit(self, reset: int, *, times: int = 1) -> None:
        """Refuse the next requests because the hour's are used up; `reset` is in seconds since 1970."""
        self.failures.append(
            Failure(
                status=403,
                message="API rate limit exceeded for user ID 1.",
                times=times,
                headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset)},
            )
        )

    def fail(
        self, status: int, *, times: int = 1, method: str | None = None, path: str = "", message: str = "Server Error"
    ) -> None:
        """Answer the next requests with an error of the test's own choice; nothing is done."""
        self.failures.append(Failure(status=status, message=message, times=times, method=method, path=path))

    def take_failure(self, method: str, path: str) -> Failure | None:
        """The failure ordered for a request, counted."""
        for failure in self.failures:
            if failure.method in (None, method) and failure.path in path:
                failure.times -= 1
                if failure.times <= 0:
                    self.failures.remove(failure)
                return failure
        return None

    def take(self, name: str) -> bool:
        """Whether a counted switch is on, counting it down."""
        left: int = getattr(self, name)
        if left <= 0:
            return False
        setattr(self, name, left - 1)
        return True
