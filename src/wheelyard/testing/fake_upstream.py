"""
An index that does as a test tells it: a scriptable upstream on a real port.

It shares no code with what it tests: pages are written here by hand, from the specification, right unless told otherwise.

    with FakeUpstream() as upstream:
        upstream.offer("six", UpstreamFile(filename="six-1.0.tar.gz", content=b"…"))
        upstream.script("/simple/flaky/", Answer(status=503), Answer(body=b"…"))
        ...
        assert upstream.asked("/simple/six/") == 1

Faults are values of `Answer`: a status, a wrong content type, a body that is cut off (`cut_after`), one that waits for the
test (`gate`), a redirect.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from types import TracebackType
from typing import Self
from urllib.parse import quote

from wheelyard.testing.loopback import LoopbackServer, Message

V1_JSON = "application/vnd.pypi.simple.v1+json"
V1_HTML = "application/vnd.pypi.simple.v1+html"

_GATE_S = 30  # a test that forgets a gate fails instead of hanging
_PIECE_BYTES = 64 * 1024


class Gate:
    """Where an answer waits for the test: `reached` is set when a question has come in, `open` lets it be answered."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._opened = threading.Event()

    def open(self) -> None:
        """Let everything through, now and later."""
        self._opened.set()

    def wait_until_reached(self) -> None:
        """
        Block until a question waits here; call it in a thread from async tests.

        Raises:
            TimeoutError: None came.
        """
        if not self.reached.wait(_GATE_S):
            raise TimeoutError("no question reached the gate")

    async def pass_through(self) -> None:
        """Wait here until the test opens."""
        self.reached.set()
        await asyncio.to_thread(self._opened.wait, _GATE_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    One answer.

    Attributes:
        status: HTTP status.
        headers: By any case; `content-length` is added unless given.
        body: Whole body; ranges of it are served when `ranges` is set.
        ranges: Whether `Range` is obeyed.
        cut_after: So many bytes of the body are sent, then the connection is closed; None sends all.
        gate: Where it waits; None for not at all.
        pause_after: So many bytes of the body are sent before the gate; None waits before the status line.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    ranges: bool = False
    cut_after: int | None = None
    gate: Gate | None = None
    pause_after: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """
    One request that came in.

    Attributes:
        method: HTTP method.
        path: Raw path, with the query if there was one.
        headers: By lower-case name.
    """

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamFile:
    """
    One file that an upstream offers.

    Attributes:
        filename: Its name.
        content: Its bytes.
        metadata: Its core metadata, advertised with its digest; None for none.
        requires_python: As in the metadata.
        upload_time: As the page says it.
        yanked: Reason, or True; None for not yanked.
        provenance: URL.
        url: Where the page says it is; None for below `/files/` of this upstream.
        size: What the page says; None tells the truth.
        keys: JSON keys of the page put in place of the right ones; None as value leaves the key out.
    """

    filename: str
    content: bytes = b"bytes of a file"
    metadata: bytes | None = None
    requires_python: str | None = None
    upload_time: str | None = "2024-01-02T03:04:05.678901Z"
    yanked: str | bool | None = None
    provenance: str | None = None
    url: str | None = None
    size: int | None = None
    keys: Mapping[str, object] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Where its bytes are on this upstream."""
        return f"/files/{quote(self.filename)}"

    @property
    def sha256(self) -> str:
        """Digest of the content."""
        return hashlib.sha256(self.content).hexdigest()

    def json(self) -> dict[str, object]:
        """Write its entry of a JSON page (PEP 691, 700, 714, 740)."""
        entry: dict[str, object] = {
            "filename": self.filename,
            "url": self.url or self.path,
            "hashes": {"sha256": self.sha256},
            "requires-python": self.requires_python,
            "size": len(self.content) if self.size is None else self.size,
            "upload-time": self.upload_time,
            "core-metadata": None if self.metadata is None else {"sha256": hashlib.sha256(self.metadata).hexdigest()},
            "yanked": self.yanked,
            "provenance": self.provenance,
            **self.keys,
        }
        return {key: value for key, value in entry.items() if value is not None}

    def html(self) -> str:
        """Write its link of an HTML page (PEP 503, 592, 714, 740)."""
        attributes = {"href": f"{self.url or self.path}#sha256={self.sha256}"}
        if self.requires_python is not None:
            attributes["data-requires-python"] = self.requires_python
        if self.metadata is not None:
            attributes["data-core-metadata"] = f"sha256={hashlib.sha256(self.metadata).hexdigest()}"
        if self.yanked is not None:
            attributes["data-yanked"] = self.yanked if isinstance(self.yanked, str) else ""
        if self.provenance is not None:
            attributes["data-provenance"] = self.provenance
        written = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
        return f"<a{written}>{escape(self.filename)}</a><br>\n"


def json_page(name: str, files: Sequence[UpstreamFile], /, **keys: object) -> Answer:
    """Write a JSON project page; `keys` go in place of the right ones."""
    document: dict[str, object] = {"meta": {"api-version": "1.4"}, "name": name}
    document["files"] = [file.json() for file in files]
    document.update(keys)
    return Answer(headers={"content-type": V1_JSON}, body=json.dumps(document).encode())


def html_page(files: Sequence[UpstreamFile], *, metas: Mapping[str, str] | None = None, mark: bool = True) -> Answer:
    """Write an HTML project page; without `mark` it does not say which version of the API it speaks."""
    named = {**({"pypi:repository-version": "1.4"} if mark else {}), **(metas or {})}
    head = "".join(f'<meta name="{escape(name)}" content="{escape(value)}">' for name, value in named.items())
    links = "".join(file.html() for file in files)
    body = f"<!DOCTYPE html><html><head>{head}</head><body>\n{links}</body></html>".encode()
    return Answer(headers={"content-type": "text/html; charset=utf-8"}, body=body)


def redirect(location: str, status: int = 302) -> Answer:
    """Write a redirect."""
    return Answer(status=status, headers={"location": location})


def with_headers(answer: Answer, **headers: str) -> Answer:
    """Return an answer with further headers; `_` in a name stands for `-`."""
    return replace(answer, headers={**answer.headers, **{name.replace("_", "-"): headers[name] for name in headers}})


class FakeUpstream:
    """
    A scriptable index on 127.0.0.1, for as long as it is entered.

    Without a script it behaves as a good index does: 404 for what it has not, 304 when an ETag or a date matches.

    Attributes:
        questions: Every request that came in, in order.
        credentials: When set, whoever does not send them is answered 401.
    """

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.credentials: tuple[str, str] | None = None
        self._scripts: dict[str, list[Answer]] = {}
        self._server = LoopbackServer(self._application)

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for answers in self._scripts.values():
            for answer in answers:
                if answer.gate is not None:
                    answer.gate.open()
        self._server.__exit__(kind, error, trace)

    # -- telling it what to do -------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Its origin, without a slash at the end."""
        return self._server.url

    @property
    def root(self) -> str:
        """Root of its simple API."""
        return f"{self.url}/simple/"

    @property
    def other_origin(self) -> str:
        """The same server under another host name: another origin to every client."""
        return f"http://localhost:{self._server.port}"

    def script(self, path: str, *answers: Answer) -> None:
        """Answer questions for `path` with these in turn; the last one holds on. No answer: 404 again."""
        self._scripts[path] = list(answers)

    def offer(self, project: str, *files: UpstreamFile, page: Answer | None = None) -> None:
        """Offer files: their bytes, their metadata, and a page that lists them (JSON unless another is given)."""
        self.script(f"/simple/{project}/", page or json_page(project, files))
        for file in files:
            self.script(file.path, Answer(headers={"content-type": "application/zip"}, body=file.content, ranges=True))
            if file.metadata is not None:
                self.script(f"{file.path}.metadata", Answer(body=file.metadata))

    # -- asking what happened --------------------------------------------------------------------------------------

    def asked(self, path: str | None = None) -> int:
        """Count the questions for a path, or all."""
        return len(self.questions_for(path))

    def questions_for(self, path: str | None = None) -> Sequence[Question]:
        """Return the questions for a path, or all."""
        return [question for question in self.questions if path in (None, question.path)]

    # -- answering -------------------------------------------------------------------------------------------------

    async def _application(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        del receive  # questions here have no body
        question = _question_of(scope)
        self.questions.append(question)
        answer = _conditional(self._answer_to(question), question)
        if answer.gate is not None and answer.pause_after is None:
            await answer.gate.pass_through()
        await send({"type": "http.response.start", "status": answer.status, "headers": _header_list(answer)})
        await _send_body(answer, send, without=question.method == "HEAD" or answer.status == 304)  # noqa: PLR2004

    def _answer_to(self, question: Question) -> Answer:
        if self.credentials is not None and question.headers.get("authorization") != _basic(self.credentials):
            return Answer(status=401, headers={"www-authenticate": "Basic"}, body=b"who are you?")
        answers = self._scripts.get(question.path)
        if not answers:
            return Answer(status=404, headers={"content-type": "text/plain"}, body=b"not here")
        return answers.pop(0) if len(answers) > 1 else answers[0]


def _question_of(scope: Message) -> Question:
    path = scope["raw_path"].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return Question(scope["method"], f"{path}?{query}" if query else path, headers)


def _conditional(answer: Answer, question: Question) -> Answer:
    """Answer 304, or one range, where the question asks for it and the script does not say otherwise."""
    if answer.status != 200:  # noqa: PLR2004  scripts of other statuses are meant
        return answer
    given = {name.lower(): value for name, value in answer.headers.items()}
    for condition, validator in (("if-none-match", "etag"), ("if-modified-since", "last-modified")):
        if validator in given and question.headers.get(condition) == given[validator]:
            return replace(answer, status=304)
    asked = question.headers.get("range", "")
    if not answer.ranges or not asked.startswith("bytes="):
        return answer
    first, _, last = asked.removeprefix("bytes=").partition("-")
    size = len(answer.body)
    start, stop = int(first), min(int(last) + 1 if last else size, size)
    headers = {**answer.headers, "content-range": f"bytes {start}-{stop - 1}/{size}"}
    return replace(answer, status=206, headers=headers, body=answer.body[start:stop])


def _header_list(answer: Answer) -> list[tuple[bytes, bytes]]:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    if answer.status != 304:  # noqa: PLR2004  has no body and says nothing of one
        headers.setdefault("content-length", str(len(answer.body)))
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items() if value]


async def _send_body(answer: Answer, send: Callable[[Message], Awaitable[None]], *, without: bool) -> None:
    body = b"" if without else answer.body
    sent = 0
    if answer.gate is not None and answer.pause_after is not None:
        sent = answer.pause_after
        await send({"type": "http.response.body", "body": body[:sent], "more_body": True})
        await answer.gate.pass_through()
    end = len(body) if answer.cut_after is None else answer.cut_after
    for start in range(sent, end, _PIECE_BYTES):
        piece = body[start : min(start + _PIECE_BYTES, end)]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    if answer.cut_after is None:
        await send({"type": "http.response.body", "body": b""})
    # Else: an application that returns in the middle makes the server close the connection.


def _basic(credentials: tuple[str, str]) -> str:
    return "Basic " + b64encode(":".join(credentials).encode()).decode("ascii")
