"""
Pages of an upstream: in memory and on disk for as long as it allows, and longer while it cannot be asked.

A question takes this way: the page in memory, if its time is not over; else one question under way for everybody, which
looks on the disk (another process, or an earlier one, may have asked), then asks the upstream whether the page changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import structlog
from anyio import to_thread

from wheelyard.errors import ProjectNotFound, UpstreamOffline, UpstreamRefused, UpstreamUnavailable, WheelyardError
from wheelyard.index.upstream_address import UpstreamLimits
from wheelyard.index.upstream_disk import DocumentFolder, KeptDocument
from wheelyard.index.upstream_memory import Flights, PageMemory, RememberedPage, UpstreamCounters, freshness
from wheelyard.model import NormalizedName, ProjectPage, Revision
from wheelyard.storage.interface import Absent

if TYPE_CHECKING:
    from wheelyard.index.upstream_http import Document, UpstreamHttp

ACCEPT: Final = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
"""JSON where the upstream speaks it: only there are sizes and upload times."""

_INLINE_BYTES = 16 * 1024  # parsed in less time than a hop to a thread takes
_NOT_MODIFIED = 304
_ABSENT = (404, 410)
_MISSING = 404

_log = structlog.get_logger(__name__)

Read = Callable[[NormalizedName, KeptDocument], ProjectPage]
"""Makes a page of a document, or raises one of our errors; runs in a thread, since pages of thousands of files exist."""

CheckStatus = Callable[[int, Exception], None]
"""Lets status 200 pass, raises what it is given for "not there", and one of our errors for the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageParts:
    """
    What `UpstreamPages` works with.

    Attributes:
        root: Root of the simple API, with a slash at the end.
        http: Asks the upstream; called when there is something to ask.
        read: Makes a page of a document.
        check_status: Tells good answers from others.
        limits: What a question may cost.
        clock: Tells the time, UTC.
        documents: Where pages outlive the process; None for nowhere.
        offline: Whether pages are used whatever their age, and nothing is asked.
        counters: Where work is counted.
    """

    root: str
    http: Callable[[], UpstreamHttp]
    read: Read
    check_status: CheckStatus
    limits: UpstreamLimits
    clock: Callable[[], datetime]
    documents: DocumentFolder | None = None
    offline: bool = False
    counters: UpstreamCounters


class UpstreamPages:
    """
    The pages of one upstream.

    Args:
        parts: What it works with.
    """

    def __init__(self, parts: PageParts) -> None:
        self._parts = parts
        self._limits = parts.limits
        self._memory = PageMemory(parts.limits.remembered_bytes)
        self._flights = Flights[RememberedPage]()
        self._rests_until: datetime | None = None

    async def page(self, project: NormalizedName) -> ProjectPage:
        """
        Read one page, asking only when its time is over.

        Raises:
            ProjectNotFound: The upstream does not have the project.
            UpstreamError: Nothing is known.
        """
        known = self._memory.get(project)
        if known is not None and self._is_usable(known):
            return _page_of(project, known)
        return _page_of(project, await self._flights.join(project, lambda: self._renewed(project)))

    async def asked(self, project: NormalizedName) -> ProjectPage:
        """
        Read one page as it is now, whatever is remembered; offline, as it is remembered.

        Raises:
            As `page`.
        """
        return _page_of(project, await self._flights.join(f"{project}!", lambda: self._renewed(project, force=True)))

    def peek(self, project: NormalizedName) -> Revision | Absent | None:
        """Tell the revision of a page that may be used without asking, ABSENT when there is none; else None."""
        known = self._memory.glance(project)
        return known.token if known is not None and self._is_usable(known) else None

    def peeker(self, project: NormalizedName) -> Callable[[], Revision | Absent | None]:
        """Return a function that does what `peek` does for one project."""
        glance, is_usable = self._memory.glance, self._is_usable

        def peek() -> Revision | Absent | None:
            known = glance(project)
            return known.token if known is not None and is_usable(known) else None

        return peek

    # -- what may be used ------------------------------------------------------------------------------------------

    def _is_usable(self, known: RememberedPage) -> bool:
        """Tell whether a page may be given without a question: young enough, or nobody can be asked."""
        if self._parts.offline:
            return known.page is not None
        now = self._parts.clock()
        if now < known.fresh_until:
            return True
        rests = self._rests_until
        return rests is not None and now < rests and self._is_bearable(known, now)

    def _is_bearable(self, known: RememberedPage, now: datetime) -> bool:
        """Tell whether a page is better than none while the upstream cannot be asked."""
        if known.page is None:
            return False
        return self._parts.offline or now < known.fresh_until + timedelta(seconds=self._limits.stale_s)

    # -- asking ----------------------------------------------------------------------------------------------------

    def _url(self, project: NormalizedName) -> str:
        return f"{self._parts.root}{quote(project, safe='')}/"

    async def _renewed(self, project: NormalizedName, *, force: bool = False) -> RememberedPage:
        """Return a page that may be used, from the disk or from the upstream; a stale one when it cannot be asked."""
        known = await self._newest(project)
        if known is not None and not force and self._is_usable(known):
            return known
        if self._parts.offline and known is not None and known.page is not None:
            return known
        try:
            renewed = await self._ask(project, known)
        except UpstreamUnavailable as error:
            self._parts.counters.failures += 1
            if known is None or not self._is_stale_allowed(known, error):
                raise
            return known
        except WheelyardError:
            self._parts.counters.failures += 1
            raise
        self._rests_until = None
        return renewed

    def _is_stale_allowed(self, known: RememberedPage, error: UpstreamUnavailable) -> bool:
        """
        Decide whether to give an old page for a failure, and leave the upstream alone for a while.

        A refusal is no failure of the network: who was shut out must not go on as if nothing had happened.
        """
        now = self._parts.clock()
        if isinstance(error, (UpstreamRefused, UpstreamOffline)) or not self._is_bearable(known, now):
            return False
        if self._rests_until is None:
            _log.warning("upstream-down", upstream=self._parts.root, error=error.message, answer="stale pages")
        self._rests_until = now + timedelta(seconds=self._limits.rest_s)
        self._parts.counters.stale += 1
        return True

    async def _newest(self, project: NormalizedName) -> RememberedPage | None:
        """Return what memory or disk remember of a page, whichever may be used for longer."""
        known = self._memory.get(project)
        documents = self._parts.documents
        if documents is None:
            return known
        kept = await to_thread.run_sync(documents.load, self._url(project))
        if kept is None or (known is not None and kept.fresh_until <= known.fresh_until):
            return known
        return await self._taken_in(project, kept, known)

    async def _taken_in(
        self, project: NormalizedName, kept: KeptDocument, known: RememberedPage | None
    ) -> RememberedPage | None:
        """Remember a page that was on the disk; one that can no longer be read is as good as absent."""
        revision = self._revision(kept)
        if known is not None and known.revision == revision:
            page = known.page
        else:
            try:
                page = await self._parsed(project, kept)
            except WheelyardError:
                return known
        return self._remember(project, _remembered(page, kept, revision))

    async def _ask(self, project: NormalizedName, known: RememberedPage | None) -> RememberedPage:
        """Ask for a page, or whether the remembered one still holds, and remember the answer as it allows."""
        parts = self._parts
        conditions = known.conditions if known is not None and known.page is not None else {}
        parts.counters.questions += 1
        document = await parts.http().get(
            self._url(project), {"Accept": ACCEPT, **conditions}, limit_bytes=self._limits.page_bytes
        )
        if document.status == _NOT_MODIFIED and known is not None and conditions:
            return await self._held(project, document, known)
        if document.status in _ABSENT:
            return await self._missing(project, document)
        parts.check_status(document.status, ProjectNotFound(project))
        kept = self._kept(document)
        page = await self._parsed(project, kept)
        return await self._learnt(project, document, kept, _remembered(page, kept, self._revision(kept)))

    async def _held(self, project: NormalizedName, document: Document, known: RememberedPage) -> RememberedPage:
        """Let a page hold on; what a 304 does not repeat stays as it was (RFC 9111 4.3.4)."""
        self._parts.counters.unchanged += 1
        fresh_for = self._fresh_for(document.headers)
        if fresh_for is None:
            await self._forget(project)
            return known
        renewed = replace(
            known,
            etag=document.headers.get("etag", known.etag),
            last_modified=document.headers.get("last-modified", known.last_modified),
            fresh_until=self._parts.clock() + fresh_for,
        )
        documents = self._parts.documents
        if documents is not None:
            url, until = self._url(project), renewed.fresh_until
            await to_thread.run_sync(lambda: documents.renew(url, fresh_until=until))
        return self._remember(project, renewed)

    async def _missing(self, project: NormalizedName, document: Document) -> RememberedPage:
        """Remember for a short while that a project is not there, and nothing of what it was."""
        await self._forget(project)
        until = self._parts.clock() + timedelta(seconds=self._limits.absent_s)
        kept = KeptDocument(
            content=b"",
            url=document.url,
            content_type="",
            etag=None,
            last_modified=None,
            fresh_until=until,
            status=_MISSING,
        )
        absent = _remembered(None, kept, self._revision(kept))
        return self._remember(project, absent) if self._limits.absent_s else absent

    async def _learnt(
        self, project: NormalizedName, document: Document, kept: KeptDocument, page: RememberedPage
    ) -> RememberedPage:
        """Keep a new page where it may be kept."""
        if self._fresh_for(document.headers) is None:
            await self._forget(project)
            return page
        if self._parts.documents is not None:
            await to_thread.run_sync(self._parts.documents.save, self._url(project), kept)
        return self._remember(project, page)

    async def _forget(self, project: NormalizedName) -> None:
        self._memory.drop(project)
        if self._parts.documents is not None:
            await to_thread.run_sync(self._parts.documents.drop, self._url(project))

    # -- parts -----------------------------------------------------------------------------------------------------

    def _remember(self, project: NormalizedName, page: RememberedPage) -> RememberedPage:
        self._memory.put(project, page)
        return page

    async def _parsed(self, project: NormalizedName, kept: KeptDocument) -> ProjectPage | None:
        if len(kept.content) <= _INLINE_BYTES:
            return self._read(project, kept)
        return await to_thread.run_sync(self._read, project, kept)

    def _read(self, project: NormalizedName, kept: KeptDocument) -> ProjectPage | None:
        return None if kept.status == _MISSING else self._parts.read(project, kept)

    def _kept(self, document: Document) -> KeptDocument:
        return KeptDocument(
            content=document.content,
            url=document.url,
            content_type=document.headers.get("content-type", ""),
            etag=document.headers.get("etag"),
            last_modified=document.headers.get("last-modified"),
            fresh_until=self._parts.clock() + (self._fresh_for(document.headers) or timedelta(0)),
        )

    def _fresh_for(self, headers: Mapping[str, str]) -> timedelta | None:
        limits = self._limits
        return freshness(
            headers, longest=timedelta(seconds=limits.fresh_s), shortest=timedelta(seconds=limits.least_fresh_s)
        )

    def _revision(self, kept: KeptDocument) -> Revision:
        """Name one document of one upstream; where it was found counts, since its relative URLs depend on that."""
        digest = hashlib.sha256(f"{self._parts.root}\0{kept.url}\0{kept.content_type}\0".encode())
        digest.update(kept.content)
        return Revision(f"upstream-{digest.hexdigest()[:32]}")


def _remembered(page: ProjectPage | None, kept: KeptDocument, revision: Revision) -> RememberedPage:
    return RememberedPage(
        page=page,
        etag=kept.etag,
        last_modified=kept.last_modified,
        fresh_until=kept.fresh_until,
        document_bytes=len(kept.content),
        revision=revision,
    )


def _page_of(project: NormalizedName, known: RememberedPage) -> ProjectPage:
    if known.page is None:
        raise ProjectNotFound(project)
    return known.page
