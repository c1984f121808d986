"""
Reading an index over HTTP: lists, pages, files and metadata.

`find` gives what is ready and still right, without waiting; `answer` makes the rest. Our protocol class and the ASGI
application both start from the same values, so they cannot answer differently.
Spec: Simple repository API 1.4; RFC 9110 for conditions and ranges.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Hashable
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
from wheelyard.server.ready import Ready, accepted_representation, make_fixed, make_page
from wheelyard.server.requests import Request
from wheelyard.server.rows import Rendered
from wheelyard.server.served import Served
from wheelyard.server.targets import Kind, Target
from wheelyard.storage.interface import ABSENT, ByteRange, LocalPath, RedirectUrl

SMALL_FILE_BYTES = 64 * 1024  # files up to this are kept ready in memory; larger ones leave by sendfile
_IN_THREAD_FROM_FILES = 200  # rendering more rows than this takes over a millisecond, so it leaves the event loop
_IN_THREAD_FROM_BYTES = 32 * 1024  # compressing more than this takes over a millisecond
_VARY_PAGE: Header = (b"vary", b"Accept, Accept-Encoding, Authorization, Cookie")
_VARY_FILE: Header = (b"vary", b"Authorization, Cookie")
_ACCEPT_RANGES: Header = (b"accept-ranges", b"bytes")
_FILE_AGE_S = 365 * 24 * 3600  # one year, the longest RFC 9111 suggests
_OCTETS = b"application/octet-stream"
_PLAIN = b"text/plain; charset=utf-8"


def page_headers(served: Served) -> tuple[Header, ...]:
    """Return the caching headers of pages: never shared unless everybody may read, checked at each use."""
    scope = b"public" if served.anonymous_read else b"private"
    return ((b"cache-control", scope + b", max-age=0, must-revalidate"), _VARY_PAGE)


def file_headers(served: Served) -> tuple[Header, ...]:
    """Return the caching headers of files, which never change."""
    scope = b"public" if served.anonymous_read else b"private"
    return ((b"cache-control", scope + b", max-age=%d, immutable" % _FILE_AGE_S), _VARY_FILE)


def find(served: Served, target: Target, accept: bytes | None) -> Ready | None:
    """
    Return the ready answer to a target, if there is one and the store says that it is still right.

    Raises:
        NotAcceptable: It is a page, and the caller accepts none of its representations.
    """
    revision = current(served.index, target)
    return None if revision is None else served.ready.get(name_of(target, accept), revision)


def name_of(target: Target, accept: bytes | None) -> Hashable:
    """
    Return the name under which the ready answer to a target is kept.

    Text and not members of enumerations: those hash through Python code, which the hot path would feel.
    """
    if target.kind is Kind.PAGE:
        return target.project, accepted_representation(accept).value
    if target.kind is Kind.LIST:
        return accepted_representation(accept).value
    return target.project, target.filename, target.kind.value


def current(index: Index, target: Target) -> str | None:
    """Return what the store says of the record or the list right now; None when it must be asked the long way."""
    if target.kind is Kind.LIST:
        return index.peek_list()
    revision = index.peek(target.project)
    return None if revision is ABSENT else revision


class Reading:
    """
    Answers GET and HEAD below `/simple/`.

    Args:
        gate: Admits requests.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def answer(self, request: Request, target: Target) -> Answer:
        """
        Answer any reading request.

        Raises:
            WheelyardError: As the index and the gate raise it.
        """
        return await self.answer_admitted(await self._gate.admit(target.index, request, Access.READ), request, target)

    async def answer_admitted(self, admitted: Admitted, request: Request, target: Target) -> Answer:
        """
        Answer a reading request that was admitted, perhaps to another index than it names.

        Raises:
            WheelyardError: As the index raises it.
        """
        if target.redirect is not None:
            query = f"?{request.query.decode('latin-1')}" if request.query else ""
            return redirect(301, target.redirect + query, *page_headers(admitted.served))
        if target.kind in (Kind.LIST, Kind.PAGE):
            return await self._page(admitted, request, target)
        if b"range" not in request.headers and (ready := find(admitted.served, target, None)) is not None:
            return await _choose(admitted.served, name_of(target, None), ready, request)
        if target.kind is Kind.METADATA:
            return await self._metadata(admitted, request, target)
        return await self._file(admitted, request, target)

    async def _page(self, admitted: Admitted, request: Request, target: Target) -> Answer:
        representation = negotiate(request.text(b"accept"), request.parameter("format"))
        name = representation.value if target.kind is Kind.LIST else (target.project, representation.value)
        before = current(admitted.served.index, target)
        ready = admitted.served.ready.get(name, before) if before is not None else None
        if ready is None:
            ready = await self._render(admitted, target, representation, before or "")
            _keep(admitted.served, target, name, before, ready)
        return await _choose(admitted.served, name, ready, request)

    async def _render(self, admitted: Admitted, target: Target, representation: Representation, revision: str) -> Ready:
        index = guarded(admitted)
        make: Callable[[], Rendered]
        if target.kind is Kind.LIST:
            projects = await index.list()
            length = len(projects.names)
            list_of = simple_json.render_list if representation is Representation.JSON else simple_html.render_list
            make = lambda: Rendered.of(list_of(projects))  # noqa: E731  run here or in a thread
        else:
            page = await index.page(target.project)
            length = len(page.files)
            make = lambda: admitted.served.rows.render(page, representation)  # noqa: E731
        headers = page_headers(admitted.served)

        def rendered() -> Ready:
            return make_page(make(), revision=revision, representation=representation, headers=headers)

        return await to_thread.run_sync(rendered) if length >= _IN_THREAD_FROM_FILES else rendered()

    async def _metadata(self, admitted: Admitted, request: Request, target: Target) -> Answer:
        served = admitted.served
        before = current(served.index, target)
        content = await guarded(admitted).metadata(target.project, target.filename)
        ready = make_fixed(
            content,
            revision=before or "",
            etag=etag_of(content).encode("ascii"),
            content_type=_PLAIN,
            headers=file_headers(served),
        )
        _keep(served, target, name_of(target, None), before, ready)
        return await _choose(served, name_of(target, None), ready, request)

    async def _file(self, admitted: Admitted, request: Request, target: Target) -> Answer:
        served = admitted.served
        before = current(served.index, target)
        found = await guarded(admitted).file(target.project, target.filename)
        if isinstance(found.body, RedirectUrl):
            if _is_answered_from_record(found, request):
                return file_answer(found, request, file_headers(served))
            return redirect(302, found.body.url, (b"cache-control", b"private, no-store"))
        if isinstance(found.body, LocalPath):
            await _check_whole(found.body.path, found, target.project)
        if before is not None and found.size <= SMALL_FILE_BYTES and b"range" not in request.headers:
            ready = make_fixed(
                await _small_content(found, target.project),
                revision=before,
                etag=_file_etag(found.file),
                content_type=_OCTETS,
                headers=(*_last_modified(found.file), *file_headers(served), _ACCEPT_RANGES),
            )
            _keep(served, target, name_of(target, None), before, ready)
            return await _choose(served, name_of(target, None), ready, request)
        return file_answer(found, request, file_headers(served))


def _is_answered_from_record(found: FileBody, request: Request) -> bool:
    """Tell whether an answer has no bytes of the file, so that nobody need be sent elsewhere for it."""
    if request.method == "HEAD":
        return True
    return if_none_match(request.text(b"if-none-match"), _file_etag(found.file).decode("ascii"))


async def _small_content(found: FileBody, project: NormalizedName) -> bytes:
    """
    Read a small file whole, and make sure that it is what its record says: it will be sent from memory from now on.

    Raises:
        RecordDamaged: It is not.
    """
    if isinstance(found.body, LocalPath):
        content = await to_thread.run_sync(found.body.path.read_bytes)
    else:
        part = _body(found, ByteRange(0, found.size), whole=True)
        assert isinstance(part, StreamPart)
        content = b"".join([piece async for piece in part.open()])
    if found.file.sha256 is not None and hashlib.sha256(content).hexdigest() != found.file.sha256:
        raise RecordDamaged(f"simple/{project}/{found.file.filename}", "its bytes are not those that were published")
    return content


def _keep(served: Served, target: Target, name: Hashable, before: str | None, ready: Ready) -> None:
    """Keep an answer, unless the record moved while it was made: then it is right to send, not to keep."""
    if before is not None and current(served.index, target) == before:
        served.ready.put(name, ready)


def file_answer(found: FileBody, request: Request, caching: tuple[Header, ...]) -> Answer:
    """
    Answer for the bytes of one file, whole or one range of them.

    Spec: RFC 9110 sections 13 and 14; the file is never content-encoded, since pip hashes what arrives.
    """
    etag = _file_etag(found.file)
    text = etag.decode("ascii")
    shared: tuple[Header, ...] = ((b"etag", etag), *_last_modified(found.file), *caching)
    if if_none_match(request.text(b"if-none-match"), text):
        return Answer(304, shared)
    wanted = None
    if if_range_allows(request.text(b"if-range"), text, found.file.upload_time):
        wanted = parse_range(request.text(b"range"), found.size)
    if wanted is Unsatisfiable.UNSATISFIABLE:
        return plain(416, "", (b"content-range", b"bytes */%d" % found.size), *shared, _ACCEPT_RANGES)
    part = ByteRange(0, found.size) if wanted is None else wanted
    described: tuple[Header, ...] = (
        (b"content-type", _OCTETS),
        (b"content-length", b"%d" % (part.stop - part.start)),
        *shared,
        _ACCEPT_RANGES,
        (b"x-content-type-options", b"nosniff"),
    )
    if wanted is None:
        return Answer(200, described, _body(found, part, whole=True))
    content_range = (b"content-range", b"bytes %d-%d/%d" % (part.start, part.stop - 1, found.size))
    return Answer(206, (*described, content_range), _body(found, part, whole=False))


def _body(found: FileBody, part: ByteRange, *, whole: bool) -> FilePart | StreamPart:
    count = part.stop - part.start
    match found.body:
        case LocalPath(path):
            return FilePart(path, part.start, count, found.size)
        case StreamBody(open_stream, slices):
            asked = None if whole else part
            return StreamPart(lambda: open_stream(asked), count, None if slices is None else lambda: slices(asked))
        case RedirectUrl():
            return StreamPart(_elsewhere, count)


def _elsewhere() -> AsyncIterator[bytes]:
    raise StorageUnavailable("a redirect has no bytes here")  # only HEAD gets here, and HEAD opens nothing


def _file_etag(file: DistFile) -> bytes:
    if file.sha256 is None:
        return etag_of(file.filename.encode()).encode("ascii")
    return b'"%b"' % file.sha256.encode("ascii")


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
    key = f"simple/{project}/{found.file.filename}"
    try:
        size = (await to_thread.run_sync(path.stat)).st_size
    except FileNotFoundError:
        raise RecordDamaged(key, "the record lists it, and it is not there") from None
    if size != found.size:
        raise RecordDamaged(key, f"it has {size} bytes, its record says {found.size}")


async def _choose(served: Served, name: Hashable, ready: Ready, request: Request) -> Answer:
    """Choose the encoding, making it the first time."""
    accept_encoding = request.headers.get(b"accept-encoding")
    coding = ready.missing(accept_encoding)
    if coding is not None:
        if len(ready.identity.body) >= _IN_THREAD_FROM_BYTES:
            await to_thread.run_sync(ready.encode, coding)
        else:
            ready.encode(coding)
        if served.ready.get(name, ready.revision) is ready:
            served.ready.put(name, ready)  # it weighs more now
    return ready.answer(accept_encoding=accept_encoding, not_match=request.headers.get(b"if-none-match"))
