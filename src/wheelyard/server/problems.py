"""
Errors as answers: the one table from `code` to status, and the three bodies an error can have.

Pages for people get HTML, uploads get `application/json` (uv prints its `code`), everything else gets
`application/problem+json` (RFC 9457; uv prints `title` and `detail`).
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

import msgspec

from wheelyard.errors import Draining, Filtered, InvalidUpload, MethodNotAllowed, ProjectNotLookedUp, WheelyardError
from wheelyard.protocol.http import clean_reason
from wheelyard.server.answers import Answer, Header

CHALLENGE: Header = (b"www-authenticate", b'Basic realm="wheelyard", charset="UTF-8"')
NO_STORE: Header = (b"cache-control", b"no-store")
RETRY_AFTER_S = 5

STATUS: dict[str, int] = {
    "internal": 500,
    # not found
    "not-found": 404,
    "index-not-found": 404,
    "project-not-found": 404,
    "project-not-looked-up": 404,
    "release-not-found": 404,
    "file-not-found": 404,
    "metadata-not-found": 404,
    # access
    "access": 403,
    "credentials-missing": 401,
    "credentials-wrong": 401,
    "permission-denied": 403,
    "not-offered": 403,
    "filtered": 403,
    "cross-site-request": 403,
    # requests
    "request": 400,
    "invalid-name": 400,
    "invalid-filename": 400,
    "invalid-request": 400,
    "client-gone": 400,
    "not-acceptable": 406,
    "request-too-large": 413,
    "action-gone": 410,
    "method-not-allowed": 405,
    # uploads
    "upload": 400,
    "invalid-upload": 400,
    "file-too-large": 413,
    "file-exists": 409,  # twine, poetry and pdm know 409 as "skip"
    "project-closed": 403,  # PEP 792, as PyPI answers
    # storage
    "storage": 500,
    "key-not-found": 500,
    "invalid-key": 500,
    "conflict": 503,
    "record-damaged": 500,
    "storage-full": 507,
    "storage-read-only": 503,
    "storage-unavailable": 503,
    # policy: what cannot be judged is not offered, and nobody is sent on to another index
    "policy-unavailable": 503,
    # upstream: never its own 401, 403 or 404
    "upstream": 502,
    "upstream-unavailable": 503,
    "upstream-refused": 502,
    "upstream-offline": 503,
    "upstream-invalid": 502,
    # the rest
    "invalid-document": 500,
    "archive": 400,
    "unsupported": 405,
    "draining": 503,
    "backup": 500,  # never answered: only commands make and restore backups
    "site": 500,  # never answered: only commands build sites
    "tag-source": 500,  # never answered: it is reported by the command and in the log
    "config": 400,
}
"""HTTP status of each error code; a test fails when a leaf of the tree is missing."""


def status_of(error: WheelyardError) -> int:
    """Return the HTTP status of an error."""
    return STATUS.get(error.code, 500)


def problem(error: WheelyardError) -> Answer:
    """Make the `application/problem+json` answer of an error. Spec: RFC 9457."""
    status = status_of(error)
    document = {
        "type": f"urn:wheelyard:error:{error.code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _detail(error),
        "code": error.code,
        **_extras(error),
    }
    # Exactly this media type, without parameters: uv compares the whole value.
    return _answer(error, b"application/problem+json", msgspec.json.encode(document))


def upload_problem(error: WheelyardError, *, accept: str | None) -> Answer:
    """
    Make the answer to a refused upload, which every client shows in its own way.

    twine shows the reason phrase, uv the `code` of a JSON body, poetry and pdm the body (standards UP-20, UP-21).
    """
    status = status_of(error)
    detail = _detail(error)
    if accept is not None and "json" in accept:
        document = {
            "message": detail,
            "code": f"{status} {detail}",
            "title": HTTPStatus(status).phrase,
            "error": error.code,
            **_extras(error),
        }
        return _answer(error, b"application/json", msgspec.json.encode(document))
    return _answer(error, b"text/plain; charset=utf-8", (detail + "\n").encode("utf-8", "replace"))


def page_problem(error: WheelyardError, content: bytes) -> Answer:
    """Make the HTML answer of an error, from a rendered page."""
    return _answer(error, b"text/html; charset=utf-8", content)


def _answer(error: WheelyardError, content_type: bytes, body: bytes) -> Answer:
    status = status_of(error)
    headers: list[Header] = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        NO_STORE,
        (b"x-content-type-options", b"nosniff"),
        # A refusal depends on these, and a cache must not give it to somebody else (standards NEG-16).
        (b"vary", b"Accept, Accept-Encoding, Authorization, Cookie"),
    ]
    if status == HTTPStatus.UNAUTHORIZED:
        headers.append(CHALLENGE)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_S))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allowed).encode("ascii")))
    if isinstance(error, Draining):
        headers.append((b"connection", b"close"))
    return Answer(status, tuple(headers), body, reason=clean_reason(_detail(error)))


def _detail(error: WheelyardError) -> str:
    """Return message and hint as one text."""
    return error.message if not error.hint else f"{error.message.removesuffix('.')}. {error.hint}"


def _extras(error: WheelyardError) -> dict[str, object]:
    return dict(_extra_items(error))


def _extra_items(error: WheelyardError) -> Iterator[tuple[str, object]]:
    if error.hint:
        yield "hint", error.hint
    if isinstance(error, InvalidUpload):
        yield (
            "problems",
            [{"field": each.field, "code": each.code, "text": each.text} for each in error.problems],
        )
    if isinstance(error, Filtered | ProjectNotLookedUp) and error.rule:
        yield "rule", error.rule
    if isinstance(error, Filtered) and error.until is not None:
        yield "until", error.until
