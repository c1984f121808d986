"""
The index over HTTP, as one plain ASGI application.

The journey of a request:
1. a server that is stopping refuses new work;
2. the path is understood (`targets`), and mistakes in it are answered only to those who may know;
3. reading goes to `reading`, uploads to `upload`, the rest to the table in `_elsewhere`;
4. whatever goes wrong becomes an answer here, through the one table in `problems`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from wheelyard.auth.access import Access
from wheelyard.errors import ClientGone, Draining, IndexNotFound, MethodNotAllowed, WheelyardError
from wheelyard.protocol.upload_form import FormLimits
from wheelyard.server import operations, predecessor
from wheelyard.server.answers import Answer, StreamPart, send_answer
from wheelyard.server.api import BODY_LIMIT_BYTES, Api
from wheelyard.server.asgi import Message, Receive, Scope, Send, small_body
from wheelyard.server.gate import Gate
from wheelyard.server.openapi import description
from wheelyard.server.point_in_time import PastReading
from wheelyard.server.problems import page_problem, problem, upload_problem
from wheelyard.server.project_json import ProjectJson
from wheelyard.server.reading import Reading
from wheelyard.server.requests import Request, from_scope
from wheelyard.server.served import Catalog
from wheelyard.server.targets import Kind, Target, parse_target
from wheelyard.server.upload import Uploading

if TYPE_CHECKING:
    from wheelyard.server.browsing import Browsing

_log = structlog.get_logger(__name__)

_READS = frozenset({"GET", "HEAD"})
_READ_ONLY = frozenset({("healthz",), ("readyz",), ("metrics",), ("index_mtime",), ("pypi",)})
_SIMPLE = frozenset({Kind.LIST, Kind.PAGE, Kind.FILE, Kind.METADATA})


@dataclass(slots=True)
class State:
    """
    What changes while the server runs.

    Attributes:
        catalog: The indexes served.
        draining: True once the server is stopping.
        running: Requests being answered.
    """

    catalog: Catalog = field(default_factory=Catalog)
    draining: bool = False
    running: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """
    What the application is made of; `compose` fills it in.

    Attributes:
        state: What changes while it runs.
        gate: Admits requests.
        browsing: Makes the pages for people when the first is asked for.
        initializing: `POST /initialize/`.
        metrics: What is counted.
        form_limits: Bounds of the upload form.
        lifespan: Opens and closes resources around the server's life.
        clock: Tells the time, UTC.
        root_path: Prefix under which the server is mounted.
        scheme: Scheme of links in place of the connection's; "" to take that.
        max_body_bytes: Largest request body; None leaves it to the limits of files and forms.
    """

    state: State
    gate: Gate
    browsing: Callable[[], Browsing]
    initializing: predecessor.Initializing
    metrics: operations.Metrics
    form_limits: FormLimits
    lifespan: Callable[[], AbstractAsyncContextManager[None]]
    clock: Callable[[], datetime]
    root_path: str = ""
    scheme: str = ""
    max_body_bytes: int | None = None


class App:
    """
    The ASGI application.

    Args:
        parts: What it is made of.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.state = parts.state
        self.reading = Reading(parts.gate)
        self._uploading = Uploading(
            parts.gate, parts.form_limits, max_body_bytes=parts.max_body_bytes, tally=parts.metrics.uploads
        )
        self._past = PastReading(parts.gate, self.reading, parts.clock)
        self._api = Api(parts.gate)
        self._project_json = ProjectJson(parts.gate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event. Spec: ASGI 3."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        # Web sockets are not spoken here; returning lets the server refuse them.

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = from_scope(scope)
        request.scheme = self.parts.scheme or request.scheme
        request.root_path = request.root_path or self.parts.root_path
        self.state.running += 1
        self.parts.metrics.running += 1
        try:
            answer = await self.answer(request, receive)
            await self._send(answer, request, scope, send)
        finally:
            self.state.running -= 1
            self.parts.metrics.running -= 1

    async def _send(self, answer: Answer, request: Request, scope: Scope, send: Send) -> None:
        """Send an answer; a stream that fails before its first byte becomes the answer that says why, later it is cut."""
        has_begun = not isinstance(answer.body, StreamPart)

        async def noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await send_answer(answer, scope, send if has_begun else noting)
        except WheelyardError as error:
            if has_begun:
                # Who returns before the end of an answer has its connection cut: the client sees that it is not whole.
                path = request.raw_path.decode("latin-1")
                _log.warning("answer-broken-off", path=path, code=error.code, error=error.message)
                return
            await send_answer(await self._refused(error, request, None), scope, send)

    async def answer(self, request: Request, receive: Receive) -> Answer:
        """Answer any request; what goes wrong becomes an answer too."""
        target: Target | None = None
        try:
            target = self.understand(request)
            answer = await self._route(request, target, receive)
        except WheelyardError as error:
            answer = await self._refused(error, request, target)
        except Exception as error:  # noqa: BLE001  the last line of defence: the caller gets a clean 500, the log the rest
            _log.exception("internal-error", method=request.method, path=request.raw_path.decode("latin-1"))
            unknown = WheelyardError("something went wrong on the server; its log says what")
            unknown.__cause__ = error
            answer = await self._refused(unknown, request, target)
        self.parts.metrics.answers[answer.status, "other" if target is None else target.kind.name.lower()] += 1
        return answer

    def understand(self, request: Request) -> Target:
        """
        Understand the path of a request.

        Raises:
            NotFound: It cannot name anything.
            InvalidRequest: It names an instant that is none.
        """
        return parse_target(request.raw_path, root_path=request.root_path, indexes=self.state.catalog.names)

    async def _route(self, request: Request, target: Target, receive: Receive) -> Answer:
        if self.state.draining and request.method not in _READS:
            raise Draining
        if target.kind in _SIMPLE and request.method in _READS:
            return await self.reading.answer(request, target)
        if target.kind in _SIMPLE or target.kind is Kind.UPLOAD:
            if request.method == "POST":
                return await self._uploading.answer(request, target, receive)
            raise self._wrong_method(request, target)
        if target.kind is Kind.PAST:
            _only(request, *_READS)
            return await self._past.answer(request, target)
        return await self._elsewhere(request, target, receive)

    async def _elsewhere(self, request: Request, target: Target, receive: Receive) -> Answer:
        """Answer what is neither reading an index nor uploading to it."""
        segments, index = target.segments, target.index
        if segments[:1] in _READ_ONLY or segments == ("api", "openapi.json"):
            _only(request, *_READS)
        match segments:
            case ("healthz" | "readyz" | "metrics" as name,):
                return await self._about_server(name, request, index)
            case ("index_mtime",):
                return await predecessor.index_mtime(self.parts.gate, request, index)
            case ("initialize",):
                _only(request, "POST")
                body = await small_body(receive, limit_bytes=predecessor.FORM_LIMIT_BYTES)
                return await self.parts.initializing.answer(request, body)
            case ("pypi", *rest):
                return await self._project_json.answer(request, index, tuple(rest))
            case ("api", "openapi.json"):
                return _described()
            case ("api", "v1", *rest):
                body = b"" if request.method in _READS else await small_body(receive, limit_bytes=BODY_LIMIT_BYTES)
                return await self._api.answer(request, tuple(rest), body, index=index)
            case (name, "simple" | "legacy", *_):
                # A mistyped index must not send pip on to the next one; only who is known here may learn that it is not.
                await self.parts.gate.admit(None, request, Access.READ)
                raise IndexNotFound(name)
            case _:
                return await self.parts.browsing().answer(request, target, receive)

    async def _about_server(self, name: str, request: Request, index: str | None) -> Answer:
        """Answer those who run the server."""
        if name == "healthz":
            return operations.healthy()
        if name == "readyz":
            return await operations.ready(self.state.catalog, draining=lambda: self.state.draining)
        await self.parts.gate.admit(index, request, Access.READ)
        return self.parts.metrics.answer()

    def _wrong_method(self, request: Request, target: Target) -> MethodNotAllowed:
        path = request.raw_path.decode("latin-1")
        if target.kind is Kind.UPLOAD:
            hint = f"Upload with POST; read the index at '{request.root_path}/simple/'."
            return MethodNotAllowed(request.method, path, allowed=("POST",), hint=hint)
        return MethodNotAllowed(request.method, path, allowed=("GET", "HEAD", "POST"))

    async def _refused(self, error: WheelyardError, request: Request, target: Target | None) -> Answer:
        if isinstance(error, ClientGone):
            _log.info("client-gone", path=request.raw_path.decode("latin-1"))
        is_upload = (
            request.method == "POST" and target is not None and target.kind in (Kind.LIST, Kind.UPLOAD, Kind.PAGE)
        )
        if is_upload:
            return upload_problem(error, accept=request.text(b"accept"))
        if request.is_navigation:
            browsing = self.parts.browsing()
            await browsing.prepare()
            return browsing.refused(error, request, page_problem)
        return problem(error)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            async with self.parts.lifespan():
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except WheelyardError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})


def _only(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise MethodNotAllowed(request.method, request.raw_path.decode("latin-1"), allowed=sorted(methods))


def _described() -> Answer:
    content = description()
    headers = ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(content)))
    return Answer(200, (*headers, (b"cache-control", b"no-cache")), content)
