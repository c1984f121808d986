"""
Reading an index over HTTP: lists, pages, files and metadata.

`now` answers what can be answered without waiting; `answer` does the rest. Both build the same `Answer`.
Spec: Simple repository API 1.4; RFC 9110 for conditions and ranges.
"""

from __future__ import annotations

from collections.abc import Callable
from email.utils import format_datetime
from pathlib import Path

from anyio import to_thread

from wheelyard.auth.access import Access
from wheelyard.errors import RecordDamaged, StorageUnavailable
from wheelyard.index.interface import FileBody, Index, StreamBody
from wheelyard.model import DistFile, NormalizedName
from wheelyard.protocol import simple_html, simple_json
from wheelyard.protocol.http import Unsatisfiable, etag_of, if_none_match, if_range_allows, parse_range
from wheelyard.protocol.negotiation import Representation, negotiate
from wheelyard.server.answers import Answer, FilePart, Header, StreamPart, plain, redirect
from wheelyard.server.gate import Admitted, Gate
from wheelyard.server.guard import guarded
from wheelyard.server.rendered import RenderedPage, render
from wheelyard.server.requests import Request
from wheelyard.server.served import Served
from wheelyard.server.targets import Kind, Target
from wheelyard.storage.interface import ABSENT, ByteRange, LocalPath, RedirectUrl

LIST = "/"
"""Name under which the project list is remembered; no project is called so."""

_IN_THREAD_FROM_FILES = 200  # rendering more rows than this takes over a millisecond, so it leaves the event loop
_VARY_PAGE: Header = (b"vary", b"Accept, Accept-Encoding, Authorization, Cookie")
_VARY_FILE: Header = (b"vary", b"Authorization, Cookie")
_FILE_AGE_S = 365 * 24 * 3600  # one year, the longest RFC 9111 suggests


def page_headers(served: Served) -> tuple[Header, ...]:
    """Return the caching headers of pages: never shared unless everybody may read, checked at each use."""
    scope = b"public" if served.anonymous_read else b"private"
    return ((b"cache-control", scope + b", max-age=0, must-revalidate"), _VARY_PAGE)


def file_headers(served: Served) -> tuple[Header, ...]:
    """Return the caching headers of files, which never change."""
    scope = b"public" if served.anonymous_read else b"private"
    return ((b"cache-control", scope + b", max-age=%d, immutable" % _FILE_AGE_S), _VARY_FILE)


class Reading:
    """
    Answers GET and HEAD below `/simple/`.

    Args:
        gate: Admits requests.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def now(self, request: Request, target: Target) -> Answer | None:
        """Answer a request for a page that is already rendered and still right; None when more is to be done."""
        if target.redirect is not None or target.kind not in (Kind.LIST, Kind.PAGE) or request.query:
            return None
        admitted = self._gate.admit_now(target.index, request, Access.READ)
        if admitted is None:
            return None
        served = admitted.served
        name = LIST if target.kind is Kind.LIST else target.project
        revision = _revision(served.index, target)
        if revision is None:
            return None
        rendered = served.pages.get(name, negotiate(request.text(b"accept")), revision)
        return None if rendered is None else _choose(rendered, request)

    async def answer(self, request: Request, target: Target) -> Answer:
        """
        Answer any reading request.

        Raises:
            WheelyardError: As the index and the gate raise it.
        """
        admitted = await self._gate.admit(target.index, request, Access.READ)
        match target.kind:
            case Kind.LIST | Kind.PAGE:
                return await self._page(admitted, request, target)
            case Kind.METADATA:
                return await self._metadata(admitted, request, target)
            case _:
                return await self._file(admitted, request, target)

    async def _page(self, admitted: Admitted, request: Request, target: Target) -> Answer:
        served = admitted.served
        if target.redirect is not None:
            query = f"?{request.query.decode('latin-1')}" if request.query else ""
            return redirect(301, target.redirect + query, *page_headers(served))
        representation = negotiate(request.text(b"accept"), request.parameter("format"))
        name = LIST if target.kind is Kind.LIST else target.project
        before = _revision(served.index, target)
        known = served.pages.get(name, representation, before) if before is not None else None
        if known is None:
            known = await self._render(admitted, target, representation, before or "")
            # The record may have moved while it was read: then this page is right to send, not to keep.
            if before is not None and _revision(served.index, target) == before:
                served.pages.put(name, representation, known)
        return _choose(known, request)

    async def _render(
        self, admitted: Admitted, target: Target, representation: Representation, revision: str
    ) -> RenderedPage:
        served = admitted.served
        index = guarded(admitted)
        as_json = representation is Representation.JSON
        if target.kind is Kind.LIST:
            projects = await index.list()
            length = len(projects.names)
            make: Callable[[], bytes] = lambda: (  # noqa: E731  one of two recipes, run here or in a thread
                simple_json.render_list(projects) if as_json else simple_html.render_list(projects)
            )
        else:
            page = await index.page(target.project)
            length = len(page.files)
            make = lambda: simple_json.render_page(page) if as_json else simple_html.render_page(page)  # noqa: E731

        def rendered() -> RenderedPage:
            return render(make(), revision=revision, representation=representation, headers=page_headers(served))

        return await to_thread.run_sync(rendered) if length >= _IN_THREAD_FROM_FILES else rendered()

    async def _metadata(self, admitted: Admitted, request: Request, target: Target) -> Answer:
        content = await guarded(admitted).metadata(target.project, target.filename)
        etag = etag_of(content)
        headers = ((b"etag", etag.encode("ascii")), *file_headers(admitted.served))
        if if_none_match(request.text(b"if-none-match"), etag):
            return Answer(304, headers)
        return Answer(
            200,
            (
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", b"%d" % len(content)),
                *headers,
                (b"x-content-type-options", b"nosniff"),
            ),
            content,
        )

    async def _file(self, admitted: Admitted, request: Request, target: Target) -> Answer:
        found = await guarded(admitted).file(target.project, target.filename)
        if isinstance(found.body, RedirectUrl):
            return redirect(302, found.body.url, (b"cache-control", b"private, no-store"))
        if isinstance(found.body, LocalPath):
            await _check_whole(found.body.path, found, target.project)
        return file_answer(found, request, file_headers(admitted.served))


def file_answer(found: FileBody, request: Request, caching: tuple[Header, ...]) -> Answer:
    """
    Answer for the bytes of one file, whole or one range of them.

    Spec: RFC 9110 sections 13 and 14; the file is never content-encoded, since pip hashes what arrives.
    """
    etag = f'"{found.file.sha256}"' if found.file.sha256 else etag_of(found.file.filename.encode())
    shared: tuple[Header, ...] = (
        (b"etag", etag.encode("ascii")),
        *_last_modified(found.file),
        *caching,
        (b"accept-ranges", b"bytes"),
    )
    if if_none_match(request.text(b"if-none-match"), etag):
        return Answer(304, tuple(header for header in shared if header[0] != b"accept-ranges"))
    wanted = None
    if if_range_allows(request.text(b"if-range"), etag, found.file.upload_time):
        wanted = parse_range(request.text(b"range"), found.size)
    if wanted is Unsatisfiable.UNSATISFIABLE:
        return plain(416, "", (b"content-range", b"bytes */%d" % found.size), *shared)
    whole = wanted is None
    part = ByteRange(0, found.size) if wanted is None else wanted
    described: tuple[Header, ...] = (
        (b"content-type", b"application/octet-stream"),
        (b"content-length", b"%d" % (part.stop - part.start)),
        *shared,
        (b"x-content-type-options", b"nosniff"),
    )
    if not whole:
        described = (*described, (b"content-range", b"bytes %d-%d/%d" % (part.start, part.stop - 1, found.size)))
    return Answer(200 if whole else 206, described, _body(found, part, whole=whole))


def _body(found: FileBody, part: ByteRange, *, whole: bool) -> FilePart | StreamPart | bytes:
    count = part.stop - part.start
    match found.body:
        case LocalPath(path):
            return FilePart(path, part.start, count, found.size)
        case StreamBody(open_stream):
            return StreamPart(lambda: open_stream(None if whole else part), count)
        case RedirectUrl():
            raise StorageUnavailable("a redirect has no bytes here")


def _last_modified(file: DistFile) -> tuple[Header, ...]:
    if file.upload_time is None:
        return ()
    return ((b"last-modified", format_datetime(file.upload_time, usegmt=True).encode("ascii")),)


async def _check_whole(path: Path, found: FileBody, project: NormalizedName) -> None:
    """
    Look at the file before its size is promised.

    Raises:
        RecordDamaged: It is gone or has another size than its record says.
    """
    try:
        size = (await to_thread.run_sync(path.stat)).st_size
    except FileNotFoundError:
        raise RecordDamaged(
            f"simple/{project}/{found.file.filename}", "the record lists it, and it is not there"
        ) from None
    if size != found.size:
        why = f"it has {size} bytes, its record says {found.size}"
        raise RecordDamaged(f"simple/{project}/{found.file.filename}", why)


def _revision(index: Index, target: Target) -> str | None:
    """Return what the store says of the record or the list right now; None when it must be asked the long way."""
    if target.kind is Kind.LIST:
        return index.peek_list()
    revision = index.peek(target.project)
    return None if revision is ABSENT else revision


def _choose(rendered: RenderedPage, request: Request) -> Answer:
    return rendered.answer(accept_encoding=request.text(b"accept-encoding"), not_match=request.text(b"if-none-match"))
