"""
Another index, read over its simple API.

Pages are remembered for as long as the upstream allows (`upstream_pages`), bytes are not: a file is redirected to, or
streamed through; `mirrored` keeps them. What the upstream gets wrong becomes our error, never "not found" and never an
empty page.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from anyio import to_thread

from wheelyard.errors import DistFileNotFound, InvalidDocument, MetadataNotFound, UpstreamInvalid, UpstreamUnavailable
from wheelyard.index.interface import Body, FileBody, IndexReader, StreamBody
from wheelyard.index.upstream_address import (
    UpstreamAddress,
    UpstreamLimits,
    absolute_file_url,
    metadata_url,
)
from wheelyard.index.upstream_disk import DocumentFolder, KeptDocument
from wheelyard.index.upstream_memory import Flights, UpstreamCounters
from wheelyard.index.upstream_pages import ACCEPT, PageParts, UpstreamPages
from wheelyard.model import DistFile, Filename, NormalizedName, ProjectList, ProjectPage, Revision
from wheelyard.protocol import simple_html, simple_json
from wheelyard.protocol.filenames import quote_filename
from wheelyard.storage.interface import Absent, ByteRange, RedirectUrl
from wheelyard.storage.keys import RECORD_NAME

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import httpx2

    from wheelyard.index.upstream_http import UpstreamHttp

SOURCE: Final = "_source"
"""Private key of a file whose URL is ours: where the upstream has it."""

MADE: Final = "_made_metadata"
"""Private key of a wheel whose page promises metadata that the upstream does not have: it is made of the wheel."""

_JSON_TYPES = ("application/vnd.pypi.simple.v1+json", "application/json")  # the second from plain file servers
_HTML_TYPES = ("application/vnd.pypi.simple.v1+html", "text/html")
_HTML_MARK = b"pypi:repository-version"
_OK, _PARTIAL = 200, 206
_ABSENT = (404, 410)
_REFUSED = (401, 403, 407)
_REDIRECT_AGE = timedelta(minutes=10)  # file URLs of an index stay; nobody should keep a redirect for much longer
_IDENTITY = {"Accept": "*/*", "Accept-Encoding": "identity"}  # bytes as they are: their digest is known
_METADATA_SUFFIX = ".metadata"


class UpstreamIndex(IndexReader):
    """
    An index elsewhere; `start` opens it, `stop` closes it.

    Args:
        url: Root of its simple API. Credentials in it are taken out.
        credentials: User and password, sent to the origin of `url` only.
        client: A client to use for all but downloads, and leave open; None opens one of our own at `start`.
        limits: What a question may cost; None for the usual limits.
        clock: Tells the time, UTC; for the age of pages.
        stream_files: Whether all files are streamed through here. By default only those are that need our credentials,
            and callers are sent to the upstream for the rest.
        own_urls: Whether its pages name files by addresses of ours, and promise metadata for every wheel; for those who
            have the bytes (`MirroredIndex`).
        documents: Where pages and metadata outlive the process; None for nowhere.
        offline: Whether nothing may be asked, and what is kept is used whatever its age.
        private_allowed: Whether its pages may name hosts of private networks though it is not in one itself.

    Attributes:
        counters: What was done so far.
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
        own_urls: bool = False,
        documents: DocumentFolder | None = None,
        offline: bool = False,
        private_allowed: bool = False,
    ) -> None:
        self._address = UpstreamAddress.parse(url, credentials=credentials)
        self._given_client = client
        self._limits = limits or UpstreamLimits()
        self._clock = clock
        self._stream_files = stream_files
        self._opened: UpstreamHttp | None = None
        self._in_threads: UpstreamHttp | None = None
        self._own_urls = own_urls
        self._documents = documents
        self._offline = offline
        self._private_allowed = private_allowed
        self.counters = UpstreamCounters()
        self._pages = UpstreamPages(
            PageParts(
                root=self._address.root,
                http=lambda: self._http,
                read=self._read_page,
                check_status=lambda status, missing: self._check_status(status, missing=missing),
                limits=self._limits,
                clock=clock,
                documents=documents,
                offline=offline,
                counters=self.counters,
            )
        )
        self._lists = Flights[ProjectList]()
        self._metadata = Flights[bytes]()

    @property
    def url(self) -> str:
        """Root of its simple API, without credentials."""
        return self._address.root

    async def start(self) -> None:
        """Open the HTTP client. Called once, before anything else."""
        from wheelyard.index.upstream_blocking import BlockingTransport  # noqa: PLC0415  as below
        from wheelyard.index.upstream_http import CONNECTIONS, UpstreamHttp  # noqa: PLC0415  for a faster start without

        make = partial(
            UpstreamHttp, self._address, self._limits, offline=self._offline, private_allowed=self._private_allowed
        )
        self._opened = make(client=self._given_client)
        self._in_threads = make(transport=BlockingTransport(connections=CONNECTIONS))

    async def stop(self) -> None:
        """Close what `start` opened. Called once, after everything else."""
        for each in (self._opened, self._in_threads):
            if each is not None:
                await each.close()

    # -- reading ---------------------------------------------------------------------------------------------------

    async def list(self) -> ProjectList:
        """List the upstream's projects; it is asked each time, since its list may be long and is seldom wanted."""
        return await self._lists.join("", self._fetch_list)

    async def page(self, project: NormalizedName) -> ProjectPage:
        """Read one project page; of a quarantined project without its files (PEP 792)."""
        return await self._pages.page(project)

    def peek(self, project: NormalizedName) -> Revision | Absent | None:
        """Tell which page may be given without asking; None when the upstream has to be asked."""
        return self._pages.peek(project)

    def peeker(self, project: NormalizedName) -> Callable[[], Revision | Absent | None]:
        """Return a function that does what `peek` does for one project."""
        return self._pages.peeker(project)

    async def file(self, project: NormalizedName, filename: Filename) -> FileBody:
        """Open one distribution file: a redirect to the upstream, or a stream from there."""
        listed = await self.listed(project, filename)
        size = listed.size if listed.size is not None else await self.measure(project, listed)
        body: Body
        if self._stream_files or self._address.needs_credentials(source_of(listed)):
            body = StreamBody(lambda byte_range: self.stream(project, listed, size, byte_range))
        else:
            body = RedirectUrl(source_of(listed), expires=self._clock() + _REDIRECT_AGE)
        return FileBody(file=listed, size=size, body=body)

    async def metadata(self, project: NormalizedName, filename: Filename) -> bytes:
        """
        Read the core metadata of a file whose page advertises it.

        Raises:
            UpstreamInvalid: It has not the digest that the page tells.
        """
        listed = await self.listed(project, filename)
        if listed.core_metadata is None or MADE in listed.private:
            raise MetadataNotFound(project, filename)
        return await self._metadata.join(source_of(listed), lambda: self._fetch_metadata(project, listed))

    async def description(self, project: NormalizedName, filename: Filename) -> bytes | None:
        """Read a file's core metadata; None where the upstream advertises none."""
        try:
            return await self.metadata(project, filename)
        except MetadataNotFound:
            return None

    # -- pages -----------------------------------------------------------------------------------------------------

    def _read_page(self, project: NormalizedName, document: KeptDocument) -> ProjectPage:
        """Read a page in whatever form it came; runs in a thread, since pages of thousands of files exist."""
        is_json = self._is_json(document.content_type)
        try:
            if is_json:
                page = simple_json.parse_page(document.content)
            else:
                page = simple_html.parse_page(document.content, base_url=document.url, project=project)
        except InvalidDocument as error:
            raise self._http.invalid(error.message) from error
        if page.name != project:
            raise self._http.invalid(f"asked for project '{project}' it sent the page of '{page.name}'")
        if not page.files and not is_json and _HTML_MARK not in document.content:
            # A login page, a parked domain, an error page with status 200: passed on, it would say "no files".
            raise self._http.invalid("it sent an HTML page that lists no file and does not say that it is an index")
        offered = _offered(page, document.url)
        return _as_ours(offered) if self._own_urls else offered

    async def _fetch_list(self) -> ProjectList:
        document = await self._http.get(self._address.root, {"Accept": ACCEPT}, limit_bytes=self._limits.list_bytes)
        self._check_status(document.status, missing=self._http.invalid("it has no project list at its root"))
        is_json = self._is_json(document.headers.get("content-type", ""))
        parse = simple_json.parse_list if is_json else simple_html.parse_list
        try:
            return await to_thread.run_sync(parse, document.content)
        except InvalidDocument as error:
            raise self._http.invalid(error.message) from error

    def _is_json(self, content_type: str) -> bool:
        given = content_type.partition(";")[0].strip().lower()
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
            raise self._http.refused(status)
        if status >= 400:  # noqa: PLR2004  every client and server error
            raise self._http.unavailable(f"it answered {status}")
        raise self._http.invalid(f"it answered {status}")

    # -- files -----------------------------------------------------------------------------------------------------

    async def listed(self, project: NormalizedName, filename: Filename) -> DistFile:
        """
        Find a file on its page; a remembered page that does not have it is asked about once more.

        Raises:
            ProjectNotFound: The upstream does not have the project.
            DistFileNotFound: It has the project, not this file.
            UpstreamError: Nothing is known.
        """
        page = await self.page(project)
        listed = page.find(filename) or (await self._pages.asked(project)).find(filename)
        if listed is None:
            raise DistFileNotFound(project, filename)
        return listed

    async def _fetch_metadata(self, project: NormalizedName, listed: DistFile) -> bytes:
        headers = {"Accept": "*/*"}
        limit = self._limits.metadata_bytes
        document = await self._http.get(metadata_url(source_of(listed)), headers, limit_bytes=limit)
        self._check_status(document.status, missing=MetadataNotFound(project, listed.filename))
        promised = (listed.core_metadata or {}).get("sha256")
        if promised is not None and hashlib.sha256(document.content).hexdigest() != promised:
            raise self._http.invalid(f"the metadata of '{listed.filename}' has not the SHA-256 digest its page tells")
        return document.content

    async def measure(self, project: NormalizedName, listed: DistFile) -> int:
        """
        Ask for a file's size, by GET of its first byte: signed URLs and plain file servers refuse HEAD.

        Raises:
            DistFileNotFound: The upstream lists it and does not have it.
            UpstreamError: Nobody tells.
        """
        async with self._http.stream(source_of(listed), {**_IDENTITY, "Range": "bytes=0-0"}) as response:
            if response.status_code == _PARTIAL:
                size = response.headers.get("content-range", "").rpartition("/")[2]
            else:
                self._check_status(response.status_code, missing=DistFileNotFound(project, listed.filename))
                size = response.headers.get("content-length", "")
        if not size.isdigit():
            raise self._http.invalid(f"it does not tell the size of '{listed.filename}'")
        return int(size)

    async def part(self, project: NormalizedName, listed: DistFile, size: int, byte_range: ByteRange) -> bytes | None:
        """
        Fetch one range of a file into memory.

        Returns:
            None when the upstream serves whole files only.
        Raises:
            As `stream`.
        """
        asked = {"Range": f"bytes={byte_range.start}-{byte_range.stop - 1}"}
        async with self._http.stream(source_of(listed), {**_IDENTITY, **asked}) as response:
            if response.status_code != _PARTIAL:
                self._check_status(response.status_code, missing=DistFileNotFound(project, listed.filename))
                return None
            self._first_byte(response, listed, byte_range, size)
            content = bytearray()
            async for piece in self._http.pieces(response):
                content += piece
                if len(content) > byte_range.stop - byte_range.start:
                    raise self._http.invalid(f"of file '{listed.filename}' it sent more than was asked for")
        if len(content) != byte_range.stop - byte_range.start:
            raise self._http.unavailable(f"a range of file '{listed.filename}' ended after {len(content)} bytes")
        return bytes(content)

    async def stream(
        self, project: NormalizedName, listed: DistFile, size: int, byte_range: ByteRange | None
    ) -> AsyncIterator[bytes]:
        """
        Stream a file or a range of it, exactly as many bytes as promised.

        Raises:
            DistFileNotFound: The upstream lists it and does not have it; before the first piece, as what follows.
            UpstreamInvalid: It has another size than its page says, or came encoded.
            UpstreamUnavailable: Not available, or broken off; this one at any piece.
        """
        async with aclosing(self._streamed(self._http, project, listed, size, byte_range)) as pieces:
            async for piece in pieces:
                yield piece

    async def stream_in_thread(
        self,
        project: NormalizedName,
        listed: DistFile,
        size: int,
        byte_range: ByteRange | None,
        *,
        opened: Callable[[Callable[[], None]], None],
    ) -> AsyncIterator[bytes]:
        """
        Do what `stream` does for a thread with an event loop of its own, which this blocks.

        Args:
            project: As for `stream`.
            listed: As for `stream`.
            size: As for `stream`.
            byte_range: As for `stream`.
            opened: Told how another thread can cut the connection off, before it is read from.
        Raises:
            As `stream`.
        """
        from wheelyard.index.upstream_blocking import interrupt  # noqa: PLC0415  as in `start`

        if self._in_threads is None:
            raise RuntimeError("UpstreamIndex.start was not awaited")
        streamed = self._streamed(
            self._in_threads,
            project,
            listed,
            size,
            byte_range,
            opened=lambda response: opened(lambda: interrupt(response)),
        )
        async with aclosing(streamed) as pieces:
            async for piece in pieces:
                yield piece

    async def _streamed(
        self,
        http: UpstreamHttp,
        project: NormalizedName,
        listed: DistFile,
        size: int,
        byte_range: ByteRange | None,
        *,
        opened: Callable[[httpx2.Response], None] | None = None,
    ) -> AsyncGenerator[bytes, None]:
        wanted = ByteRange(0, size) if byte_range is None else ByteRange(byte_range.start, min(byte_range.stop, size))
        asked = {} if byte_range is None else {"Range": f"bytes={wanted.start}-{wanted.stop - 1}"}
        async with http.stream(source_of(listed), {**_IDENTITY, **asked}) as response:
            if opened is not None:
                opened(response)
            if response.status_code != _PARTIAL or byte_range is None:
                self._check_status(response.status_code, missing=DistFileNotFound(project, listed.filename))
            start = position = self._first_byte(response, listed, wanted, size)
            async for piece in http.pieces(response):
                part = piece[max(0, wanted.start - position) : max(0, wanted.stop - position)]
                position += len(piece)
                if part:
                    yield part
                if position >= wanted.stop and not _is_known_whole(response, position - start):
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

    def broken_off(self, listed: DistFile, received: int, size: int) -> UpstreamUnavailable:
        """Make the error for a file that did not come to its end."""
        return self._http.unavailable(f"file '{listed.filename}' ended after {received} of {size} bytes")

    def mismatch(self, listed: DistFile) -> UpstreamInvalid:
        """Make the error for a file whose bytes are not those that its page tells."""
        return self._http.invalid(f"file '{listed.filename}' has not the SHA-256 digest that its page tells")

    @property
    def _http(self) -> UpstreamHttp:
        if self._opened is None:
            raise RuntimeError("UpstreamIndex.start was not awaited")
        return self._opened


def _is_known_whole(response: httpx2.Response, received: int) -> bool:
    """
    Tell whether reading on costs nothing, since an answer's own length says that this is its end.

    Only an answer that is read to its end gives its connection back: else each file would cost a handshake.
    """
    return response.http_version == "HTTP/1.1" and response.headers.get("content-length") == str(received)


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


def source_of(listed: DistFile) -> str:
    """Return where the upstream has a file that its page lists, by whatever address the page names it."""
    source = listed.private.get(SOURCE)
    return source if isinstance(source, str) else listed.url


def _as_ours(page: ProjectPage) -> ProjectPage:
    """Return a page whose files are at our own addresses, beside the page itself."""
    return replace(page, files=tuple(_file_as_ours(file) for file in page.files if _has_address(file.filename)))


def _file_as_ours(file: DistFile) -> DistFile:
    is_made = file.core_metadata is None and file.filename.endswith(".whl")
    private = {SOURCE: file.url, **({MADE: True} if is_made else {})}
    return replace(
        file,
        url=quote_filename(file.filename),
        core_metadata={} if is_made else file.core_metadata,
        gpg_sig=None,  # signatures are not carried on, so nothing is said of them
        private=private,
    )


def _has_address(filename: str) -> bool:
    """Tell whether our addresses can name a file; two endings mean something else there."""
    return not filename.endswith(_METADATA_SUFFIX) and filename != RECORD_NAME
