"""The raw HTTP path: bytes to our protocol class with the whole application behind it, over the memory backend."""

from __future__ import annotations

import base64
import random
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import h11

from fuzz.laws import MUTATION_BYTES, FuzzTarget, Mutate, require
from fuzz.targets.raw_http_world import FILENAME, READ_SECRET, WRITE_SECRET, Conversation, Seen, upload_stream, world

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ([\x20-\x7e\xa0-\xff]*)\Z")
_HEADER = re.compile(rb"([a-z][a-z0-9-]*): ([\x20-\x7e\x80-\xff]*)\Z")
_OUR_HEADERS = frozenset(
    (
        *(b"accept-ranges", b"allow", b"cache-control", b"connection", b"content-disposition", b"content-encoding"),
        *(b"content-length", b"content-range", b"content-security-policy", b"content-type", b"etag", b"last-modified"),
        *(b"location", b"permissions-policy", b"referrer-policy", b"retry-after", b"server", b"set-cookie", b"date"),
        *(b"transfer-encoding", b"vary", b"www-authenticate", b"x-content-type-options", b"x-frame-options", b"link"),
        *(b"cross-origin-opener-policy", b"cross-origin-resource-policy", b"x-pypi-last-serial"),
    )
)


def check(data: bytes) -> None:
    """Check an input: a byte that says how the stream is cut, and the stream."""
    plan, stream = data[0] if data else 0, data[1:]
    conversation = world().converse(_pieces(stream, plan))
    require(not conversation.trouble, "nothing goes wrong inside", conversation.trouble)
    statuses = _check_answers(conversation)
    _check_reading(stream, conversation.seen)
    if any(status < 300 for status, seen in zip(statuses, conversation.seen, strict=False) if seen.method == b"POST"):
        world().renew()


def _pieces(stream: bytes, plan: int) -> Iterator[bytes]:
    size = (len(stream) or 1) if plan < 128 else (plan - 127) * 3
    return (stream[start : start + size] for start in range(0, len(stream), size))


# --- what comes back ---------------------------------------------------------------------------------------------------


def _check_answers(conversation: Conversation) -> list[int]:
    """Check that the answers are as many as the requests, each whole and nothing between them; return their statuses."""
    left = conversation.sent
    statuses: list[int] = []
    methods = [seen.method for seen in conversation.seen]
    while left:
        method = methods[len(statuses)] if len(statuses) < len(methods) else b"GET"
        status, headers, rest = _head(left)
        if status == 100:
            left = rest
            continue
        body = _body_length(status, method, headers, rest)
        if body is None:
            require(
                conversation.aborted or conversation.left, "an answer is whole, or the connection is cut", left[-200:]
            )
            break
        statuses.append(status)
        require(status != 500, "no request makes an internal error", headers, rest[:body])
        left = rest[body:]
        if len(statuses) > len(methods):
            require(not left and conversation.closed, "a refusal is the last answer", left)
    require(len(statuses) <= len(methods) + 1, "a request has one answer", statuses, methods)
    complete = [seen for seen in conversation.seen if seen.complete]
    if not conversation.closed:
        require(len(statuses) >= len(complete), "every request has an answer", statuses, methods)
    return statuses


def _head(data: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    head, end, rest = data.partition(b"\r\n\r\n")
    require(end, "a head ends", head)
    start, *lines = head.split(b"\r\n")
    status_line = _STATUS_LINE.match(start)
    require(status_line, "an answer starts with a status line", start)
    assert status_line is not None
    headers: dict[bytes, bytes] = {}
    for line in lines:
        header = _HEADER.match(line)
        require(header, "a header is a name and a printable value", line)
        assert header is not None
        require(header[1] in _OUR_HEADERS, "nobody else writes our headers", line)
        require(header[1] not in headers or header[1] == b"set-cookie", "a header comes once", line)
        headers[header[1]] = header[2]
    return int(status_line[1]), headers, rest


def _body_length(status: int, method: bytes, headers: dict[bytes, bytes], rest: bytes) -> int | None:
    """Return how many bytes the body takes on the wire; None when it is not whole."""
    if method == b"HEAD" or status in (204, 304):
        return 0
    if b"content-length" in headers:
        require(b"transfer-encoding" not in headers, "a body is framed in one way", headers)
        length = int(headers[b"content-length"])
        return length if len(rest) >= length else None
    require(headers.get(b"transfer-encoding") == b"chunked", "a body is framed", headers)
    position = 0
    while True:
        size, end, _ = rest[position:].partition(b"\r\n")
        if not end:
            return None
        position += len(size) + 2 + int(size, 16) + 2
        if position > len(rest):
            return None
        if int(size, 16) == 0:
            return position


# --- how it was read ---------------------------------------------------------------------------------------------------


def _check_reading(stream: bytes, ours: Sequence[Seen]) -> None:
    """Check that where h11 and we read a request, it is the same request: nothing can be smuggled between two readers."""
    for seen, other in zip(ours, _read_by_h11(stream), strict=False):
        require(seen.method == other.method, "two readers see the same method", seen, other)
        require(seen.target == other.target, "two readers see the same target", seen, other)
        if not (seen.complete and other.complete):
            return
        require(seen.body_bytes == other.body_bytes, "two readers see the same body", seen, other)
    for before, _ in pairwise(ours):
        require(before.complete, "a request begins where the one before ended", before)


def _read_by_h11(stream: bytes) -> list[Seen]:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    found: list[Seen] = []
    try:
        connection.receive_data(stream)
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                found.append(Seen(event.method, event.target))
            elif isinstance(event, h11.Data):
                found[-1].body_bytes += len(event.data)
            elif isinstance(event, h11.EndOfMessage):
                found[-1].complete = True
                connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return found
                connection.start_next_cycle()
            else:
                return found
    except h11.ProtocolError:
        return found


# --- inputs --------------------------------------------------------------------------------------------------------------


def mutate(data: bytes, seed: int, plainly: Mutate) -> bytes:
    """Change a stream: its bytes, or one part of it while the length of the body stays right."""
    rng = random.Random(seed)
    plan, stream = data[:1] or b"\0", data[1:]
    head, end, body = stream.partition(b"\r\n\r\n")
    if not end or rng.random() < 0.4:
        return plan + plainly(stream, MUTATION_BYTES)
    lines = head.split(b"\r\n")
    if rng.random() < 0.5 and body:
        body = plainly(body, MUTATION_BYTES)
        if rng.random() < 0.8:
            length = b"%d" % len(body)
            lines = [re.sub(rb"(?i)^(content-length:).*", rb"\1 " + length, line) for line in lines]
    else:
        place = rng.randrange(len(lines))
        match rng.randrange(4):
            case 0:
                lines[place:place] = [rng.choice(_LINES)]
            case 1:
                lines[place : place + 1] = []
            case 2:
                lines[place:place] = [lines[place]]
            case _:
                lines[place] = plainly(lines[place], 2048)
    if rng.random() < 0.05:
        plan = bytes([rng.randrange(256)])
    return plan + b"\r\n".join(lines) + end + body


def _basic(secret: str) -> bytes:
    return b"Basic " + base64.b64encode(f"main:{secret}".encode())


_READ, _WRITE = _basic(READ_SECRET), _basic(WRITE_SECRET)
_LINES = (
    b"Transfer-Encoding: chunked",
    b"Content-Length: 5",
    b"Connection: close",
    b"Connection: keep-alive, upgrade",
    b"Upgrade: h2c",
    b"Expect: 100-continue",
    b"Accept: text/html",
    b"Accept: application/vnd.pypi.simple.v1+json",
    b"Accept-Encoding: gzip",
    b"Range: bytes=0-3",
    b"If-None-Match: *",
    b"User-Agent: Mozilla/5.0",
    b"Sec-Fetch-Mode: navigate",
    b"Host: a, b",
    b"Cookie: wheelyard_session=x",
    b"Authorization: " + _WRITE,
    b"Authorization: " + _READ,
    b" folded",
)


def _request(line: str, *headers: bytes, body: bytes = b"", secret: bytes | None = _READ) -> bytes:
    own = [b"Host: index.test", *headers] + ([] if secret is None else [b"Authorization: " + secret])
    return b"\r\n".join([line.encode(), *own, b"", b""]) + body


def _seeds() -> dict[str, bytes]:
    content_type, form, _ = upload_stream("fresh")
    form_type = b"Content-Type: " + content_type
    length = b"Content-Length: %d" % len(form)
    upload = _request("POST /legacy/ HTTP/1.1", form_type, length, body=form, secret=_WRITE)
    half = len(form) // 2
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (form[:half], form[half:])) + b"0\r\n\r\n"
    chunked = _request(
        "POST /main/simple/ HTTP/1.1", form_type, b"Transfer-Encoding: chunked", body=chunks, secret=_WRITE
    )
    page = _request("GET /simple/demo/ HTTP/1.1", b"Accept: application/vnd.pypi.simple.v1+json")
    yank = b'{"version":"1.0","reason":"bad"}'
    path = f"/simple/demo/{FILENAME}"
    streams = {
        "list": _request("GET /simple/ HTTP/1.1"),
        "page": page,
        "pipelined": page * 2 + _request("HEAD /simple/demo/ HTTP/1.1"),
        "file-range": _request(f"GET {path} HTTP/1.1", b"Range: bytes=0-9"),
        "metadata": _request(f"GET {path}.metadata HTTP/1.1", b"If-None-Match: *"),
        "stranger": _request("GET /simple/ HTTP/1.1", secret=None),
        "upload": upload,
        "upload-chunked": chunked,
        "upload-expects": upload.replace(b"Host:", b"Expect: 100-continue\r\nHost:", 1),
        "upload-stranger-then-page": upload.replace(_WRITE, b"Basic eDp5") + page,
        "people": _request("GET /project/demo/ HTTP/1.1", b"User-Agent: Mozilla/5.0", b"Accept: text/html"),
        "login": _request(
            "POST /login/ HTTP/1.1",
            b"Content-Type: application/x-www-form-urlencoded",
            b"Origin: http://index.test",
            b"Content-Length: 24",
            body=b"user=main&password=read1",
            secret=None,
        ),
        "yank": _request(
            "POST /api/v1/indexes/main/projects/demo/yank HTTP/1.1",
            b"Content-Type: application/json",
            b"Content-Length: %d" % len(yank),
            body=yank,
            secret=_WRITE,
        ),
        "old": b"GET /simple/ HTTP/1.0\r\n\r\n",
        "absolute": _request("GET http://index.test/simple/Demo HTTP/1.1"),
        "smuggle": _request(
            "POST /legacy/ HTTP/1.1", b"Content-Length: 4", b"Transfer-Encoding: chunked", body=b"0\r\n\r\nGET /"
        ),
        "api": _request("GET /api/v1/indexes/main HTTP/1.1") + _request("GET /api/openapi.json HTTP/1.1"),
        "json": _request("GET /pypi/demo/json HTTP/1.1") + _request("GET /metrics HTTP/1.1"),
    }
    return {name: b"\0" + stream for name, stream in streams.items()} | {"page-cut": b"\x80" + page + page}


TARGET = FuzzTarget(
    name="raw_http",
    about="one whole answer for each request, no header of others, no internal error, read as h11 reads it",
    check=check,
    seeds=_seeds,
    words=(
        *(
            b"GET ",
            b"HEAD ",
            b"POST ",
            b"PUT ",
            b"DELETE ",
            b"OPTIONS * ",
            b"CONNECT a:1 ",
            b" HTTP/1.1\r\n",
            b" HTTP/1.0\r\n",
        ),
        *(
            b"\r\n\r\n",
            b"0\r\n\r\n",
            b"5;a=b\r\n",
            b"/simple/",
            b"/simple/demo/",
            b"/legacy/",
            b"/project/demo/",
            b"/login/",
        ),
        *(
            b"/logout/",
            b"/api/v1/indexes/main/projects/demo",
            b"/pypi/demo/json",
            b"/initialize/",
            b"/static/",
            b"/healthz",
        ),
        *(
            b"?format=application/vnd.pypi.simple.v1+json",
            b"%0d%0aX:%20y",
            b"%2e%2e",
            b"//",
            b"\r\nHost: x",
            b"\t",
            b"\x0b",
        ),
        *(b"Content-Length: ", b"Transfer-Encoding: ", b"chunked", b"identity", b"Connection: ", b"close", *_LINES),
    ),
    reached=(
        *(f"src/wheelyard/server/{name}.py" for name in ("protocol", "app", "hot", "upload", "reading", "answers")),
        *(f"src/wheelyard/server/{name}.py" for name in ("problems", "gate", "asgi", "requests", "targets", "api")),
    ),
    max_len=MUTATION_BYTES,
    mutate=mutate,
)
