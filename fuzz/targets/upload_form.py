"""The upload form: whatever its pieces, it is read in one way, within its limits, or refused by an error of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from fuzz.laws import FuzzTarget, require
from wheelyard.errors import ActionGone, InvalidRequest, InvalidUpload, RequestTooLarge, WheelyardError
from wheelyard.protocol.upload_form import (
    MULTIPLE_FIELDS,
    SINGLE_FIELDS,
    ContentEnd,
    ContentPiece,
    ContentStart,
    FormLimits,
    UploadForm,
    UploadFormParser,
    parse_plain_form,
)
from wheelyard.testing.builders import multipart_body

LIMITS = FormLimits(max_fields=12, max_field_bytes=300, max_header_bytes=200, max_fields_bytes=900)
"""Small, so that the fuzzer reaches every one of them."""

_REFUSALS = (InvalidRequest, InvalidUpload, RequestTooLarge)
_BOUNDARIES = ("law", "law0", "law1")

Outcome = tuple[str, UploadForm | str | None, bytes, str | None]
"""Code of the error or "", the form or its error's text, the file, its name."""


def check(data: bytes) -> None:
    """Check an input: a byte that says how the body is cut, the content type up to a line feed, the body."""
    plan, head, body = data[:1], *_split(data[1:])
    content_type = head.decode("latin-1")
    whole = _outcome(content_type, [body])
    cut = _outcome(content_type, _pieces(body, plan[0] if plan else 0))
    # Of several faults the first one that is seen is told, and which that is may depend on the pieces.
    require(bool(whole[0]) == bool(cut[0]), "what is refused does not depend on how the body was cut", whole, cut)
    if not whole[0]:
        require(whole == cut, "the form does not depend on how the body was cut", whole, cut)
        _check_form(whole)
    _check_plain(content_type, body)


def _split(data: bytes) -> tuple[bytes, bytes]:
    head, _, body = data.partition(b"\n")
    return head, body


def _pieces(body: bytes, plan: int) -> Iterator[bytes]:
    size = plan % 7 + 1 if plan < 128 else plan
    return (body[start : start + size] for start in range(0, len(body), size))


def _outcome(content_type: str, pieces: Iterator[bytes] | list[bytes]) -> Outcome:
    content = bytearray()
    started = ended = 0
    try:
        parser = UploadFormParser(content_type, limits=LIMITS)
        for piece in pieces:
            for event in parser.feed(piece):
                match event:
                    case ContentStart():
                        started += 1
                    case ContentPiece(found):
                        require(started == 1 and not ended, "bytes of the file come between its start and its end")
                        content += found
                    case ContentEnd():
                        ended += 1
        form = parser.finish({":action": "file_upload"})
    except _REFUSALS as error:
        return error.code, str(error), b"", None
    require(started == ended, "a file that begins also ends", started, ended)
    require((parser.filename is not None) == bool(started), "a file has a name, and only then", parser.filename)
    return "", form, bytes(content), parser.filename


def _check_form(outcome: Outcome) -> None:
    form = outcome[1]
    assert isinstance(form, UploadForm)
    for name, values in form.fields.items():
        require(name in SINGLE_FIELDS | MULTIPLE_FIELDS, "only known fields are kept", name)
        require(len(values) == 1 or name in MULTIPLE_FIELDS, "a field that may come once came once", name, values)
        for value in values:
            require("\0" not in value and value.strip() not in ("", "UNKNOWN"), "a value says something", value)
            require(len(value.encode()) <= LIMITS.max_field_bytes, "a value keeps to its limit", value)
    with suppress(ActionGone, InvalidRequest):
        form.check_action()
    _check_again(form)


def _check_again(form: UploadForm) -> None:
    """Check that the form, written as a client writes it, is read as the same form."""
    written = "".join(value for values in form.fields.values() for value in values).encode()
    boundary = next((each for each in _BOUNDARIES if f"--{each}".encode() not in written), None)
    if boundary is None:
        return
    fields: Mapping[str, tuple[str, ...]] = {":action": (form.action or "",), **form.fields}
    content_type, body = multipart_body(fields, "demo-1.0.tar.gz", b"file", boundary=boundary)
    parser = UploadFormParser(content_type, limits=FormLimits())
    content = b"".join(event.data for event in parser.feed(body) if isinstance(event, ContentPiece))
    again = parser.finish()
    require(content == b"file", "a file goes through unchanged", content)
    require(again.fields == form.fields, "a form that is sent again is the same form", form.fields, again.fields)


def _check_plain(content_type: str, body: bytes) -> None:
    try:
        form = parse_plain_form(content_type, body, LIMITS)
    except (InvalidRequest, RequestTooLarge) as error:
        _check_text(error)
        return
    require(len(form) <= LIMITS.max_fields, "a plain form keeps to its number of fields", len(form))
    require(all(len(value) <= LIMITS.max_field_bytes for value in form.values()), "so do its values", form)


def _check_text(error: WheelyardError) -> None:
    require(str(error).isprintable(), "the text of an error is one printable line", str(error))


def _seeds() -> dict[str, bytes]:
    fields = {":action": ["file_upload"], "name": ["demo"], "version": ["1.0"], "classifiers": ["A", "B"]}
    content_type, body = multipart_body(fields, "demo-1.0-py3-none-any.whl", b"PK\x03\x04", boundary="b")
    odd = body.replace(b'filename="demo', b"filename*=utf-8''demo").replace(b'any.whl"', b"any.whl")
    return {
        "form": b"\0" + content_type.encode() + b"\n" + body,
        "quoted": b'\3multipart/form-data; boundary="b"\n' + body,
        "extended-name": b"\7multipart/form-data; boundary=b\n" + odd,
        "urlencoded": b"\0application/x-www-form-urlencoded\nconfig=a%20b&admin_secret=c",
        "cut-off": b"\1" + content_type.encode() + b"\n" + body[:-9],
        "empty": b"\0multipart/form-data; boundary=b\n--b--\r\n",
    }


TARGET = FuzzTarget(
    name="upload_form",
    about="the same form whatever its pieces, limits kept, only our errors, a form sent again is the same form",
    check=check,
    seeds=_seeds,
    words=(
        b"multipart/form-data; boundary=b\n",
        b"application/x-www-form-urlencoded\n",
        b"; boundary=",
        b"--b\r\n",
        b"\r\n--b\r\n",
        b"\r\n--b--\r\n",
        b"--b--",
        b"Content-Disposition: form-data; name=",
        b'; filename="',
        b"; filename*=utf-8''",
        b"Content-Type: image/png\r\n",
        b"Content-Length: 3\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"\r\n\r\n",
        *(name.encode() for name in ("content", ":action", "protocol_version", "name", "classifier", "UNKNOWN")),
    ),
    reached=("src/wheelyard/protocol/upload_form.py",),
    max_len=2048,
)
