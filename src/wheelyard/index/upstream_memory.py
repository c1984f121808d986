"""What is remembered of an upstream: its pages for as long as it allows, and which questions are under way."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

import anyio

from wheelyard.errors import WheelyardError
from wheelyard.model import ProjectPage, Revision
from wheelyard.storage.interface import ABSENT, Absent

T = TypeVar("T")

NO_CONTENT: Final = Revision("")
"""Revision of a remembered page that was not made from a document."""


@dataclass(slots=True)
class UpstreamCounters:
    """
    What one upstream cost and spared since the start; plain numbers, for whoever shows them.

    Attributes:
        questions: Pages asked for.
        unchanged: Of these, answered "not modified".
        stale: Pages given although they were too old, since the upstream could not be asked.
        failures: Questions that failed.
        hits: Files given from the cache.
        downloads: Files fetched whole.
        joined: Readers who took part in a download that was under way.
        downloaded_bytes: Bytes of these files.
        resumed: Downloads that broke off and went on.
        mismatches: Downloads and copies whose bytes were not those that the page tells.
        evicted: Files removed to keep the cache within its bound.
    """

    questions: int = 0
    unchanged: int = 0
    stale: int = 0
    failures: int = 0
    hits: int = 0
    downloads: int = 0
    joined: int = 0
    downloaded_bytes: int = 0
    resumed: int = 0
    mismatches: int = 0
    evicted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberedPage:
    """
    A page as an upstream gave it.

    Attributes:
        page: The page; None remembers that there is none.
        etag: Its entity tag, for asking whether it changed.
        last_modified: The same, as a date, when there is no tag.
        fresh_until: Until then it may be used without asking.
        document_bytes: Size of the document it was parsed from.
        revision: Differs for every other document of every other upstream.
    """

    page: ProjectPage | None
    etag: str | None
    last_modified: str | None
    fresh_until: datetime
    document_bytes: int
    revision: Revision = NO_CONTENT

    @property
    def token(self) -> Revision | Absent:
        """What an index says of this page when it is asked for its revision."""
        return ABSENT if self.page is None else self.revision

    @property
    def conditions(self) -> dict[str, str]:
        """Headers that ask for the page only if it changed; empty when the upstream gave nothing to ask with."""
        if self.etag is not None:
            return {"If-None-Match": self.etag}
        return {} if self.last_modified is None else {"If-Modified-Since": self.last_modified}


class PageMemory:
    """
    Least-recently-used memory of an upstream's pages.

    Args:
        limit_bytes: Size of the remembered documents together; a larger one is not remembered at all.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._pages: OrderedDict[str, RememberedPage] = OrderedDict()
        self._bytes = 0

    def get(self, url: str) -> RememberedPage | None:
        """Return the page last remembered for a URL, fresh or not."""
        known = self._pages.get(url)
        if known is not None:
            self._pages.move_to_end(url)
        return known

    def glance(self, url: str) -> RememberedPage | None:
        """Return what `get` does; does not count as a use, for callers that must not wait a moment."""
        return self._pages.get(url)

    def put(self, url: str, page: RememberedPage) -> None:
        """Remember a page, and forget the least recently used ones beyond the limit."""
        self.drop(url)
        self._pages[url] = page
        self._bytes += page.document_bytes
        while self._bytes > self._limit_bytes:
            self._bytes -= self._pages.popitem(last=False)[1].document_bytes

    def drop(self, url: str) -> None:
        """Forget a page."""
        known = self._pages.pop(url, None)
        if known is not None:
            self._bytes -= known.document_bytes


def freshness(
    headers: Mapping[str, str], *, longest: timedelta, shortest: timedelta = timedelta(0)
) -> timedelta | None:
    """
    Tell how long an answer may be used without asking again.

    Args:
        headers: Of the answer; looked up by lower-case name.
        longest: Never longer than this.
        shortest: Never shorter than this, unless it may not be kept at all.
    Returns:
        Zero when it must be asked about each time; None when it may not be kept.
    Spec: RFC 9111: "s-maxage" goes before "max-age"; "no-cache" [and an unreadable age] asks each time; `Age` is spent.
    """
    directives = dict(_directive(part) for part in headers.get("cache-control", "").split(","))
    if "no-store" in directives:
        return None
    age = directives.get("s-maxage", directives.get("max-age", "0"))
    if "no-cache" in directives or not _is_seconds(age):
        return shortest
    spent = headers.get("age", "0").strip()
    left_s = int(age) - (int(spent) if _is_seconds(spent) else 0)
    return max(shortest, min(longest, timedelta(seconds=max(0, left_s))))


def _directive(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip().strip('"')


def _is_seconds(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10  # noqa: PLR2004  ten digits are 300 years


@dataclass(slots=True)
class _Flight(Generic[T]):
    """One question under way; without result and error when who asked it went away."""

    landed: anyio.Event
    results: tuple[T, ...] = ()
    error: WheelyardError | None = None


class Flights(Generic[T]):
    """Collapses identical questions: whoever asks what is being asked already waits for that answer."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight[T]] = {}

    async def join(self, key: str, fetch: Callable[[], Awaitable[T]]) -> T:
        """
        Return what `fetch` answers, or what the fetch of the same key that is under way answers.

        When the caller whose fetch it is gets cancelled, one of those who wait asks in its place.

        Raises:
            WheelyardError: As `fetch` raises it, to all who wait.
        """
        while (flight := self._flights.get(key)) is not None:
            await flight.landed.wait()
            if flight.error is not None:
                raise flight.error.with_traceback(None)
            for result in flight.results:
                return result
        return await self._lead(key, fetch)

    async def _lead(self, key: str, fetch: Callable[[], Awaitable[T]]) -> T:
        flight = self._flights[key] = _Flight[T](anyio.Event())
        try:
            result = await fetch()
            flight.results = (result,)
            return result
        except WheelyardError as error:
            flight.error = error
            raise
        finally:
            del self._flights[key]
            flight.landed.set()
