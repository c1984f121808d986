"""
Another index, read over its simple API.

Pages are remembered for as long as the upstream allows, bytes are not: a file is redirected to, or streamed through when the
caller could not fetch it alone. What the upstream gets wrong becomes our error, never "not found" and never an empty page.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from anyio import to_thread

from wheelyard.errors import DistFileNotFound, InvalidDocument, MetadataNotFound, ProjectNotFound
from wheelyard.index.interface import Body, FileBody, IndexReader, StreamBody
from wheelyard.index.upstream_address import (
    UpstreamAddress,
    UpstreamLimits,
    absolute_file_url,
    metadata_url,
)
from wheelyard.index.upstream_memory import Flights, PageMemory, RememberedPage, freshness
from wheelyard.model import DistFile, Filename, NormalizedName, ProjectList, ProjectPage
from wheelyard.protocol import simple_html, simple_json
from wheelyard.storage.interface import ByteRange, RedirectUrl

if TYPE_CHECKING:
    import httpx2

    from wheelyard.index.upstream_http import Document, UpstreamHttp

ACCEPT: Final = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
"""JSON where the upstream speaks it: only there are sizes and upload times."""

_JSON_TYPES = ("application/vnd.pypi.simple.v1+json", "application/json")  # the second from plain file servers
_HTML_TYPES = ("application/vnd.pypi.simple.v1+html", "text/html")
_HTML_MARK = b"pypi:repository-version"
_OK, _PARTIAL, _NOT_MODIFIED = 200, 206, 304
_ABSENT = (404, 410)
_REFUSED = (401, 403, 407)
_REDIRECT_AGE = timedelta(minutes=10)  # file URLs of an index stay; nobody should keep a redirect for much longer
_IDENTITY = {"Accept": "*/*", "Accept-Encoding": "identity"}  # bytes as they are: their digest is known


class UpstreamIndex(IndexReader):
    """
    An index elsewhere; `start` opens it, `stop` closes it.

    Args:
        url: Root of its simple API. Credentials in it are taken out.
        credentials: User and password, sent to the origin of `url` only.
        client: A client to use and leave open; None opens one of our own at `start`.
        limits: What a question may cost; None for the usual limits.
        clock: Tells the time, UTC; for the age of pages.
        stream_files: Whether all files are streamed through here. By default only those are that need our credentials,
            and callers are sent to the upstream for the rest.
    Raises:
        ConfigError: `url` is no address of an index.
    """

    def __init__(
        self,
        url: str,
        *,
        credentials: tuple[str, str] | None = None,
        client: httpx2.AsyncClient | None = None,
        limits: UpstreamLimits | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        stream_files: bool = False,
    ) -> None:
        self._address = UpstreamAddress.parse(url, credentials=credentials)
        self._given_client = client
        self._limits = limits or UpstreamLimits()
        self._clock = clock
        self._stream_files = stream_files
        self._opened: UpstreamHttp | None = None
        self._memory = PageMemory(self._limits.remembered_bytes)
        self._pages = Flights[ProjectPage]()
        self._lists = Flights[ProjectList]()
        self._metadata = Flights[bytes]()

    @property
    def url(self) -> str:
        """Root of its simple API, without credentials."""
        return self._address.root

    async def start(self) -> None:
        """Open the HTTP client. Called once, before anything else."""
        from wheelyard.index.upstream_http import UpstreamHttp  # noqa: PLC0415  servers without upstream start faster

        self._opened = UpstreamHttp(self._address, self._limits, client=self._given_client)

    async def stop(self) -> None:
        """Close what `start` opened. Called once, after everything else."""
        if self._opened is not None:
            await self._opened.close()

    # -- reading ---------------------------------------------------------------------------------------------------

    async def list(self) -> ProjectList:
        """List the upstream's projects; it is asked each time, since its list may be long and is seldom wanted."""
        return await self._lists.join("", self._fetch_list)

    async def page(self, project: NormalizedName) -> ProjectPage:
        """Read one project page, with absolute file URLs; of a quarantined project without its files (PEP 792)."""
        known = self._memory.get(self._page_url(project))
        if known is not None and self._clock() < known.fresh_until:
            return known.page
        return await self._asked(project)

    async def file(self, project: NormalizedName, filename: Filename) -> FileBody:
        """Open one distribution file: a redirect to the upstream, or a stream from there."""
        listed = await self._listed(project, filename)
        size = listed.size if listed.size is not None else await self._measure(project, listed)
        body: Body
        if self._stream_files or self._address.needs_credentials(listed.url):
            body = StreamBody(lambda byte_range: self._stream(project, listed, size, byte_range))
        else:
            body = RedirectUrl(listed.url, expires=self._clock() + _REDIRECT_AGE)
        return FileBody(file=listed, size=size, body=body)

    async def metadata(self, project: NormalizedName, filename: Filename) -> bytes:
        """
        Read the core metadata of a file whose page advertises it.

        Raises:
            UpstreamInvalid: It has not the digest that the page tells.
        """
        listed = await self._listed(project, filename)
        if listed.core_metadata is None:
            raise MetadataNotFound(project, filename)
        return await self._metadata.join(listed.url, lambda: self._fetch_metadata(project, listed))

    async def description(self, project: NormalizedName, filename: Filename) -> bytes | None:
        """Read a file's core metadata; None where the upstream advertises none."""
        try:
            return await self.metadata(project, filename)
        except MetadataNotFound:
            return None

    # -- pages -----------------------------------------------------------------------------------------------------

    def _page_url(self, project: NormalizedName) -> str:
        return f"{self._address.root}{quote(project, safe='')}/"

    async def _asked(self, project: NormalizedName) -> ProjectPage:
        return await self._pages.join(project, lambda: self._fetch_page(project))

    async def _fetch_page(self, project: NormalizedName) -> ProjectPage:
        """Ask for a page, or whether the remembered one still holds, and remember the answer as it allows."""
        url = self._page_url(project)
        known = self._memory.get(url)
        conditions = {} if known is None else known.conditions
        document = await self._http.get(url, {"Accept": ACCEPT, **conditions}, limit_bytes=self._limits.page_bytes)
        if document.status == _NOT_MODIFIED and known is not None and conditions:
            self._remember(url, document, known.page, document_bytes=known.document_bytes, before=known)
            return known.page
        self._memory.drop(url)
        self._check_status(document.status, missing=ProjectNotFound(project))
        page = await to_thread.run_sync(self._parse_page, project, document)
        self._remember(url, document, page, document_bytes=len(document.content))
        return page

    def _remember(
        self,
        url: str,
        document: Document,
        page: ProjectPage,
        *,
        document_bytes: int,
        before: RememberedPage | None = None,
    ) -> None:
        """Keep a page for as long as the answer allows; what a 304 does not repeat holds on (RFC 9111 4.3.4)."""
        headers = document.headers
        fresh_for = freshness(headers, longest=timedelta(seconds=self._limits.fresh_s))
        if fresh_for is None:
            self._memory.drop(url)
            return
        remembered = RememberedPage(
            page=page,
            etag=headers.get("etag", before.etag if before else None),
            last_modified=headers.get("last-modified", before.last_modified if before else None),
            fresh_until=self._clock() + fresh_for,
            document_bytes=document_bytes,
        )
        self._memory.put(url, remembered)

    def _parse_page(self, project: NormalizedName, document: Document) -> ProjectPage:
        """Read a page in whatever form it came; runs in a thread, since pages of thousands of files exist."""
        try:
            if self._is_json(document):
                page = simple_json.parse_page(document.content)
            else:
                page = simple_html.parse_page(document.content, base_url=document.url, project=project)
        except InvalidDocument as error:
            raise self._http.invalid(error.message) from error
        if page.name != project:
            raise self._http.invalid(f"asked for project '{project}' it sent the page of '{page.name}'")
        if not page.files and not self._is_json(document) and _HTML_MARK not in document.content:
            # A login page, a parked domain, an error page with status 200: passed on, it would say "no files".
            raise self._http.invalid("it sent an HTML page that lists no file and does not say that it is an index")
        return _offered(page, document.url)

    async def _fetch_list(self) -> ProjectList:
        document = await self._http.get(self._address.root, {"Accept": ACCEPT}, limit_bytes=self._limits.list_bytes)
        self._check_status(document.status, missing=self._http.invalid("it has no project list at its root"))
        parse = simple_json.parse_list if self._is_json(document) else simple_html.parse_list
        try:
            return await to_thread.run_sync(parse, document.content)
        except InvalidDocument as error:
            raise self._http.invalid(error.message) from error

    def _is_json(self, document: Document) -> bool:
        given = document.headers.get("content-type", "").partition(";")[0].strip().lower()
        if given not in (*_JSON_TYPES, *_HTML_TYPES):
            raise self._http.invalid(f"its content type is '{given}', neither JSON nor HTML of the simple API")
        return given in _JSON_TYPES

    def _check_status(self, status: int, *, missing: Exception) -> None:
        """Let 200 pass; upstream statuses become our errors, so that its 401 does not read as ours (DC-04)."""
        if status == _OK:
            return
        if status in _ABSENT:
            raise missing
        if status in _REFUSED:
            raise self._http.unavailable(
                f"it refuses this server (status {status})",
                hint="An administrator should check the credentials this server has for it.",
            )
        if status >= 400:  # noqa: PLR2004  every client and server error
            raise self._http.unavailable(f"it answered {status}")
        raise self._http.invalid(f"it answered {status}")

    # -- files -----------------------------------------------------------------------------------------------------

    async def _listed(self, project: NormalizedName, filename: Filename) -> DistFile:
        """Find a file on its page; a remembered page that does not have it is asked about once more."""
        page = await self.page(project)
        listed = page.find(filename) or (await self._asked(project)).find(filename)
        if listed is None:
            raise DistFileNotFound(project, filename)
        return listed

    async def _fetch_metadata(self, project: NormalizedName, listed: DistFile) -> bytes:
        headers = {"Accept": "*/*"}
        limit = self._limits.metadata_bytes
        document = await self._http.get(metadata_url(listed.url), headers, limit_bytes=limit)
        self._check_status(document.status, missing=MetadataNotFound(project, listed.filename))
        promised = (listed.core_metadata or {}).get("sha256")
        if promised is not None and hashlib.sha256(document.content).hexdigest() != promised:
            raise self._http.invalid(f"the metadata of '{listed.filename}' has not the SHA-256 digest its page tells")
        return document.content

    async def _measure(self, project: NormalizedName, listed: DistFile) -> int:
        """Ask for a file's size, by GET of its first byte: signed URLs and plain file servers refuse HEAD."""
        async with self._http.stream(listed.url, {**_IDENTITY, "Range": "bytes=0-0"}) as response:
            if response.status_code == _PARTIAL:
                size = response.headers.get("content-range", "").rpartition("/")[2]
            else:
                self._check_status(response.status_code, missing=DistFileNotFound(project, listed.filename))
                size = response.headers.get("content-length", "")
        if not size.isdigit():
            raise self._http.invalid(f"it does not tell the size of '{listed.filename}'")
        return int(size)

    async def _stream(
        self, project: NormalizedName, listed: DistFile, size: int, byte_range: ByteRange | None
    ) -> AsyncIterator[bytes]:
        """
        Stream a file or a range of it, exactly as many bytes as promised.

        Raises:
            DistFileNotFound: The upstream lists it and does not have it; before the first piece, as what follows.
            UpstreamInvalid: It has another size than its page says, or came encoded.
            UpstreamUnavailable: Not available, or broken off; this one at any piece.
        """
        wanted = ByteRange(0, size) if byte_range is None else ByteRange(byte_range.start, min(byte_range.stop, size))
        asked = {} if byte_range is None else {"Range": f"bytes={wanted.start}-{wanted.stop - 1}"}
        async with self._http.stream(listed.url, {**_IDENTITY, **asked}) as response:
            if response.status_code != _PARTIAL or byte_range is None:
                self._check_status(response.status_code, missing=DistFileNotFound(project, listed.filename))
            position = self._first_byte(response, listed, wanted, size)
            async for piece in self._http.pieces(response):
                part = piece[max(0, wanted.start - position) : max(0, wanted.stop - position)]
                position += len(piece)
                if part:
                    yield part
                if position >= wanted.stop:
                    break
        if position < wanted.stop:
            raise self._http.unavailable(f"file '{listed.filename}' ended after {position} of {size} bytes")

    def _first_byte(self, response: httpx2.Response, listed: DistFile, wanted: ByteRange, size: int) -> int:
        """Return where in the file the body of an answer starts, after checking what its headers tell of the file."""
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise self._http.invalid(f"it sent file '{listed.filename}' encoded")
        if response.status_code == _PARTIAL:
            start, told = wanted.start, response.headers.get("content-range", "")
            right = told.replace(" ", "").startswith(f"bytes{start}-") and told.endswith(f"/{size}")
        else:
            start, told = 0, response.headers.get("content-length", str(size))
            right = told == str(size)
        if not right:
            raise self._http.invalid(f"file '{listed.filename}' has not the {size} bytes that its page tells")
        return start

    @property
    def _http(self) -> UpstreamHttp:
        if self._opened is None:
            raise RuntimeError("UpstreamIndex.start was not awaited")
        return self._opened


def _offered(page: ProjectPage, base: str) -> ProjectPage:
    """
    Return a page with absolute URLs and only what may be offered.

    PEP 792: of a quarantined project no file is offered, whatever its page lists. Files that cannot be fetched by HTTP
    are left out; files of unknown kinds stay, since installers pass them over themselves.
    """
    if not page.status.offers_files:
        return replace(page, files=())
    absolute = ((file, absolute_file_url(base, file.url)) for file in page.files)
    return replace(page, files=tuple(replace(file, url=url) for file, url in absolute if url is not None))
