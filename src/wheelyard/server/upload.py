"""
The legacy upload form over HTTP: streamed to a spool, digests computed on the way, then published.

Memory stays flat whatever the file's size: the form parser hands on pieces, and each megabyte goes to a thread that hashes and
writes it. Spec: the upload API is not standardised; standards 1K lists what clients send and understand.
"""

from __future__ import annotations

from collections import Counter
from urllib.parse import parse_qsl

import structlog
from anyio import to_thread

from wheelyard.auth.access import Access
from wheelyard.errors import (
    FileTooLarge,
    InvalidUpload,
    MethodNotAllowed,
    RequestTooLarge,
    UploadProblem,
)
from wheelyard.index.interface import Published, PublishOutcome, Upload
from wheelyard.protocol.upload_form import ContentPiece, ContentStart, FormLimits, UploadForm, UploadFormParser
from wheelyard.server.answers import Answer, plain
from wheelyard.server.asgi import Receive, body_of
from wheelyard.server.gate import Admitted, Gate
from wheelyard.server.guard import guarded
from wheelyard.server.requests import Request
from wheelyard.server.targets import Kind, Target
from wheelyard.storage.spool import PIECE_BYTES, Spool

INLINE_BYTES = 16 * 1024  # three digests of this take about 150 microseconds

_log = structlog.get_logger(__name__)


class Uploading:
    """
    Answers POST to the upload addresses.

    Args:
        gate: Admits requests.
        limits: Bounds of the form.
        max_body_bytes: Largest request body; None leaves it to the limits of the file and the form.
        tally: Counts finished uploads by index and outcome.
    """

    def __init__(
        self, gate: Gate, limits: FormLimits, *, max_body_bytes: int | None = None, tally: Counter[tuple[str, str]]
    ) -> None:
        self._gate = gate
        self._limits = limits
        self._max_body_bytes = max_body_bytes
        self._tally = tally

    async def answer(self, request: Request, target: Target, receive: Receive) -> Answer:
        """
        Take one upload.

        Raises:
            MethodNotAllowed: Nothing is uploaded to this address.
            WheelyardError: As the gate, the form and the index raise it.
        """
        if target.kind not in (Kind.UPLOAD, Kind.LIST):
            hint = f"Upload to '{request.root_path}/legacy/' or '{request.root_path}/simple/'."
            path = request.raw_path.decode("latin-1")
            raise MethodNotAllowed(request.method, path, allowed=("GET", "HEAD"), hint=hint)
        # Before the body is read: a stranger cannot make us write gigabytes.
        admitted = await self._gate.admit(target.index, request, Access.WRITE)
        most_bytes = self._most_bytes(request, admitted)
        spool = await admitted.served.store.spool()
        try:
            reception = _Reception(admitted, spool, self._limits, request, most_bytes=most_bytes)
            form = await reception.receive(receive)
            upload = Upload(form, reception.filename, spool, admitted.principal.name)
            published = await guarded(admitted).publish(upload)
        finally:
            if spool.is_on_disk:
                await to_thread.run_sync(spool.discard)
        _log.info(
            "published" if published.outcome is PublishOutcome.CREATED else "already-published",
            index=admitted.served.name,
            project=published.project,
            filename=published.file.filename,
            sha256=published.file.sha256,
            principal=admitted.principal.name,
        )
        self._tally[admitted.served.name, published.outcome.value] += 1
        return _accepted(published)

    def _most_bytes(self, request: Request, admitted: Admitted) -> int:
        """
        Return how long the body may be; one that announces more is refused before any of it is read.

        Raises:
            RequestTooLarge: It is longer than the form and the largest file together.
        """
        announced = request.headers.get(b"content-length", b"")
        most = self._max_body_bytes
        if most is None:
            most = admitted.served.max_file_bytes + 2 * self._limits.max_fields_bytes
        if announced.isdigit() and int(announced) > most:
            raise RequestTooLarge("the upload", limit_bytes=most)
        return most


class _Reception:
    """One upload on its way from the socket to the spool."""

    def __init__(
        self, admitted: Admitted, spool: Spool, limits: FormLimits, request: Request, *, most_bytes: int
    ) -> None:
        self.filename = ""
        self._most_bytes = most_bytes
        self._body_bytes = 0
        self._limit_bytes = admitted.served.max_file_bytes
        self._spool = spool
        self._parser = UploadFormParser(request.text(b"content-type") or "", limits=limits)
        self._query = dict(parse_qsl(request.query.decode("latin-1")))
        self._seen = False
        self._waiting = bytearray()
        self._received = 0

    async def receive(self, receive: Receive) -> UploadForm:
        """
        Read the whole form.

        Raises:
            InvalidRequest: It is no upload form.
            ClientGone: The client left before its end.
            RequestTooLarge: The body is longer than allowed; reading stops there.
            FileTooLarge: The file passes the limit of the index; reading stops there.
            InvalidUpload: Fields cannot be read, or there is no file.
            StorageFull: The disk did not take the file.
        """
        async for piece in body_of(receive):
            self._body_bytes += len(piece)
            if self._body_bytes > self._most_bytes:  # it came in chunks, or its length lied
                raise RequestTooLarge("the upload", limit_bytes=self._most_bytes)
            self._take(piece)
            if len(self._waiting) >= PIECE_BYTES:
                await self._spill()
        form = self._parser.finish(self._query)
        if not self._seen:
            raise InvalidUpload([UploadProblem("content", "content-missing", "the form has no file part 'content'")])
        await self._spill()
        return form

    def _take(self, piece: bytes) -> None:
        for event in self._parser.feed(piece):
            if isinstance(event, ContentStart):
                self._seen = True
                self.filename = event.filename
            elif isinstance(event, ContentPiece):
                self._received += len(event.data)
                if self._received > self._limit_bytes:
                    raise FileTooLarge(self.filename, limit_bytes=self._limit_bytes)
                self._waiting += event.data

    async def _spill(self) -> None:
        waiting, self._waiting = self._waiting, bytearray()
        if waiting and self._spool.size + len(waiting) <= INLINE_BYTES:
            self._spool.write(waiting)  # stays in memory, and hashing it costs less than a visit to a thread
        elif waiting:
            await to_thread.run_sync(self._spool.write, waiting)


def _accepted(published: Published) -> Answer:
    """Answer 200 with one warning a line, as clients expect it of PyPI."""
    return plain(200, "".join(f"{warning}\n" for warning in published.warnings))
