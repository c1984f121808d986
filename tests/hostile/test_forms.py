"""Upload forms that no client sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from hostile.senders import MIB, connect, form_of, head, is_published, send
from plugins.live import LiveServer
from wheelyard.testing.builders import SdistBuilder, form_fields, multipart_body

SECONDS = 10.0
FILENAME = "demo-1.0.tar.gz"
BOUNDARY = "wheelyard-boundary"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[str]], bytes]:
    """Fields and file of an upload that is welcome."""
    path = SdistBuilder().build(tmp_path_factory.mktemp("form"))
    return form_fields(path), path.read_bytes()


def body_with(good: tuple[dict[str, list[str]], bytes], fields: Mapping[str, Sequence[str]]) -> bytes:
    return multipart_body({**good[0], **fields}, FILENAME, good[1])[1]


FIELDS: dict[str, tuple[dict[str, list[str]], int, str]] = {
    "five thousand fields": ({f"field{n}": ["x"] for n in range(5000)}, 400, "more than 2000 fields"),
    "five thousand classifiers": ({"classifiers": ["x"] * 5000}, 400, "more than 2000 fields"),
    "a long field": ({"description": ["x" * 5 * MIB]}, 413, "field 'description'"),
    "a long unknown field": ({"comment": ["x" * 5 * MIB]}, 413, "field 'comment'"),
    "long together": ({f"field{n}": ["x" * 3 * MIB] for n in range(4)}, 413, "the form without its file"),
    "a field twice": ({"name": ["demo", "other"]}, 400, "more than once"),
    "NUL": ({"summary": ["a\0b"]}, 400, "NUL"),
    "no action": ({":action": []}, 400, "':action' is missing"),
    "an old action": ({":action": ["doc_upload"]}, 410, "doc_upload"),
    "an unknown action": ({":action": ["<script>"]}, 400, "is unknown"),
    "another protocol": ({"protocol_version": ["2"]}, 400, "protocol version"),
    "no name": ({"name": []}, 400, "'name'"),
    "another name": ({"name": ["other"]}, 400, "other"),
    "a name that climbs": ({"name": ["../../etc"]}, 400, "../../etc"),
    "a long name": ({"name": ["x" * 100_000]}, 400, "name"),
    "another version": ({"version": ["2.0"]}, 400, "2.0"),
    "an endless version": ({"version": ["1" * 100_000]}, 400, "version"),
    "another kind": ({"filetype": ["bdist_wheel"]}, 400, "filetype"),
    "an unknown kind": ({"filetype": ["bdist_dumb"]}, 400, "filetype"),
    "another digest": ({"sha256_digest": ["0" * 64]}, 400, "digest"),
    "no digest": ({"sha256_digest": [], "blake2_256_digest": []}, 400, "digest"),
    "an endless digest": ({"sha256_digest": ["0" * 100_000]}, 400, "digest"),
}


@pytest.mark.parametrize(("fields", "status", "why"), FIELDS.values(), ids=FIELDS)
def test_fields(
    untouched: LiveServer,
    good: tuple[dict[str, list[str]], bytes],
    fields: dict[str, list[str]],
    status: int,
    why: str,
) -> None:
    """UF-08 to UF-11: a form with fields that are too many, too long or wrong is refused, and the answer says which."""
    answer = send(untouched, CONTENT_TYPE, body_with(good, fields))
    assert (answer.status, why.lower() in answer.text.lower()) == (status, True), answer.text[:500]
    assert answer.seconds < SECONDS
    assert not is_published(untouched, "demo")


PART = b'Content-Disposition: form-data; name="summary"'
HEADS = {
    "a long header": (PART, PART + b"; x=" + b"y" * 10_000, 413, "header of a part"),
    "many headers": (PART, PART + b"".join(b"\r\nX-%d: y" % n for n in range(100)), 413, "header of a part"),
    "an endless header": (PART, PART + b"; x=" + b"y" * 2 * MIB, 413, "header of a part"),
    "no name": (PART, b"Content-Disposition: form-data", 400, "no name"),
    "no disposition": (PART, b"Content-Type: text/plain", 400, "malformed"),
    "another disposition": (PART, b"Content-Disposition: attachment", 400, "malformed"),
    "NUL in a header": (PART, PART + b"\0", 400, "malformed"),
    "line feed in a header": (PART, PART + b"\nX: y", 400, "malformed"),
    "no colon": (PART, PART + b"\r\nhello", 400, "malformed"),
    "a lying length": (PART, PART + b"\r\nContent-Length: 1", 400, "malformed"),
    "a file as a field": (PART, PART + b'; filename="x"', 400, "must be text"),
    "no file name": (b'; filename="demo-1.0.tar.gz"', b"", 400, "no file name"),
    "an empty file name": (b"demo-1.0.tar.gz", b"", 400, "no file name"),
    "a path": (b"demo-1.0.tar.gz", b"../../../../tmp/demo-1.0.tar.gz", 400, "demo-1.0.tar.gz"),
    "an absolute path": (b"demo-1.0.tar.gz", b"/etc/cron.d/demo-1.0.tar.gz", 400, "demo-1.0.tar.gz"),
    "a long file name": (b"demo-1.0.tar.gz", b"demo-" + b"1" * 3000 + b".tar.gz", 400, "255"),
    "a name with a line break": (
        b'; filename="demo-1.0.tar.gz"',
        b"; filename*=utf-8''demo%0D%0AX-Evil:%20y-1.0.tar.gz",
        400,
        "file",
    ),
    "an image": (b"Content-Type: application/octet-stream", b"Content-Type: image/png", 400, "image/png"),
    "other text": (b'name="name"\r\n\r\ndemo', b'name="name"\r\n\r\n\xff\xfe', 400, "UTF-8"),
}


@pytest.mark.parametrize(("before", "after", "status", "why"), HEADS.values(), ids=HEADS)
def test_heads_of_parts(
    untouched: LiveServer,
    good: tuple[dict[str, list[str]], bytes],
    before: bytes,
    after: bytes,
    status: int,
    why: str,
) -> None:
    """UP-09: a part whose header is too long, lies or names a path is refused, and nothing is written where it says."""
    body = body_with(good, {"summary": ["text"]})
    assert before in body
    answer = send(untouched, CONTENT_TYPE, body.replace(before, after, 1))
    assert (answer.status, why.lower() in answer.text.lower()) == (status, True), answer.text[:500]
    assert answer.seconds < SECONDS
    assert not is_published(untouched, "demo")


def test_a_path_of_windows(server: LiveServer, tmp_path: Path) -> None:
    """UP-09: of a path as old browsers sent it the name is taken, and nothing is written anywhere else."""
    content_type, body = form_of(SdistBuilder(name="windows"), tmp_path)
    assert send(server, content_type, body.replace(b"windows-1.0.tar.gz", b"C:\\x\\windows-1.0.tar.gz")).status == 200
    assert list(server.listed("windows")) == ["windows-1.0.tar.gz"]


def test_no_header_is_injected(untouched: LiveServer, good: tuple[dict[str, list[str]], bytes]) -> None:
    """UP-22: what a form says comes back in no header of the answer."""
    body = body_with(good, {":action": ["x\r\nX-Evil: y"], "name": ["a\r\nX-Evil: y"]})
    wire = connect(untouched)
    wire.say(head(untouched, f"Content-Type: {CONTENT_TYPE}", f"Content-Length: {len(body)}"))
    wire.say(body)
    status, reason, headers, _ = wire.answer()
    wire.close()
    assert status == 400
    assert "x-evil" not in headers
    assert reason.isprintable()


BOUNDARIES = {
    "missing": ("multipart/form-data", 400, "names no boundary"),
    "empty": ("multipart/form-data; boundary=", 400, "names no boundary"),
    "twice": (f"{CONTENT_TYPE}; boundary=other", 400, "more than one boundary"),
    "twice, other case": (f"{CONTENT_TYPE}; BOUNDARY=other", 400, "more than one boundary"),
    "long": ("multipart/form-data; boundary=" + "x" * 200, 400, "is not 1 to 70 printable characters"),
    "not ASCII": ("multipart/form-data; boundary=\xff\xfe", 400, "names no boundary"),
    "another": ("multipart/form-data; boundary=another", 400, "does not begin with its boundary"),
    "longer": (f"{CONTENT_TYPE}-and-more", 400, "does not begin with its boundary"),
    "shorter": ("multipart/form-data; boundary=wheelyard", 400, "malformed"),
    "dashes": ("multipart/form-data; boundary=--", 400, "does not begin with its boundary"),
    "another type": ("application/json", 400, "a form is needed"),
    "another multipart": (f"multipart/mixed; boundary={BOUNDARY}", 400, "a form is needed"),
    "urlencoded": ("application/x-www-form-urlencoded", 400, "a form is needed"),
    "none": ("", 400, "a form is needed"),
}


@pytest.mark.parametrize(("content_type", "status", "why"), BOUNDARIES.values(), ids=BOUNDARIES)
def test_boundaries(
    untouched: LiveServer, good: tuple[dict[str, list[str]], bytes], content_type: str, status: int, why: str
) -> None:
    """UP-01: a boundary that is missing, repeated, odd or not that of the body is refused, never guessed."""
    answer = send(untouched, content_type, body_with(good, {}))
    assert (answer.status, why in answer.text) == (status, True), answer.text[:500]
    assert not is_published(untouched, "demo")


BODIES = {
    "empty": (lambda body: b"", "cut off"),
    "the boundary only": (lambda body: f"--{BOUNDARY}\r\n".encode(), "cut off"),
    "no parts": (lambda body: f"--{BOUNDARY}--\r\n".encode(), "no file part"),
    "no end": (lambda body: body.removesuffix(f"--{BOUNDARY}--\r\n".encode()), "cut off"),
    "half": (lambda body: body[: len(body) // 2], "cut off"),
    "text in front": (lambda body: b"hello\r\n" + body, "does not begin with its boundary"),
    "line feeds only": (lambda body: body.replace(b"\r\n", b"\n"), "malformed"),
    "the file twice": (lambda body: body.replace(f"--{BOUNDARY}--".encode(), b"", 1) + body, "more than one 'content'"),
    "zeros": (lambda body: bytes(4 * MIB), "does not begin with its boundary"),
    "boundaries only": (lambda body: f"--{BOUNDARY}\r\n".encode() * 50_000, "malformed"),
}


@pytest.mark.parametrize(("change", "why"), BODIES.values(), ids=BODIES)
def test_bodies(untouched: LiveServer, good: tuple[dict[str, list[str]], bytes], change: object, why: str) -> None:
    """UP-01: a body that is cut off, or is no such form, is refused as what it is."""
    assert callable(change)
    answer = send(untouched, CONTENT_TYPE, change(body_with(good, {})))
    assert (answer.status, why in answer.text) == (400, True), answer.text[:500]
    assert answer.seconds < SECONDS
    assert not is_published(untouched, "demo")


def test_the_form_these_begin_with_is_welcome(server: LiveServer, tmp_path: Path) -> None:
    """UP-01: nothing above is refused for another reason: the same form, unchanged, is taken."""
    assert send(server, *form_of(SdistBuilder(name="welcome"), tmp_path)).status == 200
    assert is_published(server, "welcome")
