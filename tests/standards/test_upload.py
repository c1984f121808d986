"""Section 1K, first half: how an upload is sent and answered."""

from __future__ import annotations

import hashlib
import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from standards.subject import V1_JSON, Credentials, Reply, Subject, basic, open_connection
from wheelyard.testing.builders import SdistBuilder, WheelBuilder, form_fields, multipart_body

UV_ACCEPT = "application/json;q=0.9, text/plain;q=0.8, text/html;q=0.7"


def form_of(subject: Subject, wheel: WheelBuilder, **fields: str | None) -> tuple[str, bytes]:
    return subject.form(wheel.build(subject.folder), name=wheel.name, **fields)


@pytest.mark.parametrize("first", ["content", ":action", "attestations"])
def test_order(subject: Subject, first: str) -> None:
    """UP-01: fields come in any order, the file first, last or in the middle."""
    wheel = WheelBuilder(name=subject.new_name())
    path = wheel.build(subject.folder)
    fields = form_fields(path, name=wheel.name)
    if first == "attestations":
        fields["attestations"] = [""]
    names = list(fields)
    order = {
        "content": ["content", *reversed(names)],
        ":action": [*names, "content"],
        "attestations": [*(name for name in names if name != "attestations"), "content", "attestations"],
    }[first]
    subject.post(multipart_body(fields, path.name, path.read_bytes(), order=order)).check(200)
    assert list(subject.listed(wheel.name)) == [wheel.file_name]


def test_action_in_query(subject: Subject) -> None:
    """UP-02: `:action` may stand in the query."""
    wheel = WheelBuilder(name=subject.new_name())
    form = form_of(subject, wheel, **{":action": None})
    subject.post(form, to=f"{subject.upload_url}?:action=file_upload").check(200)


@pytest.mark.parametrize("action", [None, "", "nonsense", "file_upload2"])
def test_no_action(subject: Subject, action: str | None) -> None:
    """UP-02: without a known action the answer says what is missing."""
    reply = subject.refused(WheelBuilder(name=subject.new_name()), **{":action": action})
    assert ":action" in reply.text


@pytest.mark.parametrize(("version", "taken"), [(None, True), ("1", True), ("", True), ("2", False), ("x", False)])
def test_protocol_version(subject: Subject, version: str | None, taken: bool) -> None:  # noqa: FBT001
    """UP-03: protocol version 1 or none; any other is refused by name."""
    wheel = WheelBuilder(name=subject.new_name())
    if taken:
        subject.upload(wheel, protocol_version=version).check(200)
    else:
        reply = subject.refused(wheel, protocol_version=version)
        assert reply.status == 400
        assert "protocol version" in reply.text.lower()


@pytest.mark.parametrize("action", ["submit", "submit_pkg_info", "doc_upload", "verify", "register"])
def test_gone(subject: Subject, action: str) -> None:
    """UP-04: actions of former times are gone, in words that do not make poetry try again."""
    reply = subject.refused(WheelBuilder(name=subject.new_name()), **{":action": action})
    assert reply.status == 410
    assert "was ever registered" not in reply.text


def test_gone_without_file(subject: Subject) -> None:
    """UP-04: they are gone too when they come as they used to, without a file."""
    body = b":action=submit&name=demo&version=1.0"
    for headers, content in (
        ({"Content-Type": "application/x-www-form-urlencoded"}, body),
        (
            {"Content-Type": "multipart/form-data; boundary=b"},
            b'--b\r\nContent-Disposition: form-data; name=":action"\r\n\r\nsubmit\r\n--b--\r\n',
        ),
    ):
        reply = subject.ask("POST", subject.upload_url, headers=headers, body=content)
        assert 400 <= reply.status < 500, reply.text


def test_both_addresses(subject: Subject) -> None:
    """UP-05: the upload address works with and without its last slash; nothing is redirected, since twine aborts then."""
    for url in (subject.upload_url.rstrip("/"), subject.upload_url.rstrip("/") + "/"):
        wheel = WheelBuilder(name=subject.new_name())
        subject.post(form_of(subject, wheel), to=url).check(200)


def test_simple_address(subject: Subject) -> None:
    """UP-05: an upload to the simple address is taken, or refused with 405; never answered like a page."""
    wheel = WheelBuilder(name=subject.new_name())
    for url in (subject.index_url, subject.index_url.rstrip("/")):
        reply = subject.post(form_of(subject, wheel), to=url)
        assert reply.status in {200, 405}
        assert bool(subject.listed(wheel.name)) is (reply.status == 200)


def test_wrong_address(subject: Subject) -> None:
    """UP-05: an upload to any other address is refused in words that name the right one, never 200."""
    wheel = WheelBuilder(name=subject.new_name())
    for url in (subject.root, f"{subject.index_url}{wheel.name}/"):
        reply = subject.post(form_of(subject, wheel), to=url)
        assert reply.status in {404, 405}
        assert urlsplit(subject.upload_url).path.rstrip("/") in reply.text
    assert subject.listed(wheel.name) == {}


@pytest.mark.parametrize("form", ["user", "token", "bearer", "old-token", "token-as-user"])
def test_credentials(subject: Subject, form: str) -> None:
    """UP-06: Basic with the user or `__token__`, and the secret as a token, publish."""
    user, password = subject.credentials
    value = {
        "user": basic((user, password)),
        "token": basic(("__token__", password)),
        "bearer": f"Bearer {password}",
        "old-token": f"token {password}",
        "token-as-user": basic((password, "")),
    }[form]
    wheel = WheelBuilder(name=subject.new_name())
    content_type, body = form_of(subject, wheel)
    headers = {"Content-Type": content_type, "Authorization": value}
    subject.ask("POST", subject.upload_url, credentials=None, headers=headers, body=body).check(200)


@pytest.mark.parametrize("who", [None, ("nobody", "wrong"), ("", ""), ("__token__", "wrong")])
def test_no_credentials(subject: Subject, who: Credentials | None) -> None:
    """UP-07: no or bad credentials are 401 with a challenge, or 403; nothing is published."""
    wheel = WheelBuilder(name=subject.new_name())
    reply = subject.post(form_of(subject, wheel), credentials=who)
    assert reply.status in {401, 403}
    if reply.status == 401:
        assert (reply.header("www-authenticate") or "").startswith("Basic realm=")
    assert subject.listed(wheel.name) == {}


def test_reader_publishes(subject: Subject) -> None:
    """UP-07: a known caller who may only read gets 403."""
    if subject.reader is None:
        pytest.skip("no credentials of a reader")
    wheel = WheelBuilder(name=subject.new_name())
    subject.post(form_of(subject, wheel), credentials=subject.reader).check(403)
    assert subject.listed(wheel.name) == {}


def _stream(subject: Subject, *, credentials: Credentials, size: int) -> Reply:
    """Send a large body piece by piece, as clients do, and read the answer."""
    start = b'--b\r\nContent-Disposition: form-data; name="content"; filename="x-1.0-py3-none-any.whl"\r\n\r\n'
    end = b"\r\n--b--\r\n"
    connection = open_connection(subject.upload_url)
    connection.putrequest("POST", urlsplit(subject.upload_url).path)
    connection.putheader("Authorization", basic(credentials))
    connection.putheader("Content-Type", "multipart/form-data; boundary=b")
    connection.putheader("Content-Length", str(len(start) + size + len(end)))
    connection.endheaders(start)
    piece = bytes(64 * 1024)
    try:
        for _ in range(size // len(piece)):
            connection.send(piece)
        connection.send(end)
    except BrokenPipeError:
        pass  # as urllib3: the answer may have come before the connection was closed
    answer = connection.getresponse()
    pairs = tuple((name.lower(), value) for name, value in answer.getheaders())
    reply = Reply(answer.status, answer.reason, pairs, answer.read(), subject.upload_url)
    connection.close()
    return reply


def test_refused_before_the_body(subject: Subject) -> None:
    """UP-08: a wrong password on a body of 200 MB gets its 401 text, not a cut connection."""
    reply = _stream(subject, credentials=("nobody", "wrong"), size=200 * 1024 * 1024)
    assert reply.status in {401, 403}
    assert reply.body


def test_chunked(subject: Subject) -> None:
    """UP-09: a body in chunks is taken like one with a length."""
    wheel = WheelBuilder(name=subject.new_name())
    content_type, body = form_of(subject, wheel)
    connection = open_connection(subject.upload_url)
    headers = {"Content-Type": content_type, "Authorization": basic(subject.credentials)}
    pieces = (body[start : start + 1000] for start in range(0, len(body), 1000))
    connection.request("POST", urlsplit(subject.upload_url).path, body=pieces, headers=headers, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    assert list(subject.listed(wheel.name)) == [wheel.file_name]


DISPOSITIONS = {
    "plain": 'form-data; name="content"; filename="{name}"',
    "unquoted": "form-data; name=content; filename={name}",
    "extended": "form-data; name=\"content\"; filename*=utf-8''{name}",
    "order": 'form-data; filename="{name}"; name="content"',
}


@pytest.mark.parametrize("kind", DISPOSITIONS)
@pytest.mark.parametrize(
    "part_type", ["", "Content-Type: application/octet-stream\r\n", "Content-Type: application/zip\r\n"]
)
def test_content_part(subject: Subject, kind: str, part_type: str) -> None:
    """UP-09: the file part may have no type, and its name may be quoted, bare or extended."""
    wheel = WheelBuilder(name=subject.new_name())
    path = wheel.build(subject.folder)
    body = bytearray()
    for name, values in form_fields(path, name=wheel.name).items():
        for value in values:
            body += f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    disposition = DISPOSITIONS[kind].format(name=path.name)
    body += (
        f"--b\r\nContent-Disposition: {disposition}\r\n{part_type}\r\n".encode() + path.read_bytes() + b"\r\n--b--\r\n"
    )
    subject.post(("multipart/form-data; boundary=b", bytes(body))).check(200)
    assert list(subject.listed(wheel.name)) == [wheel.file_name]


def test_success(subject: Subject) -> None:
    """UP-10: success is 200, with nothing but warnings in its text."""
    wheel = WheelBuilder(name=subject.new_name())
    assert subject.upload(wheel).check(200).body == b""
    other = WheelBuilder(name=wheel.name, version="2.0", requires_python=">=3.12")
    warned = subject.upload(other, requires_python=">=3.8").check(200)
    assert all(warned.text.splitlines())


def test_fast(subject: Subject) -> None:
    """UP-11: a file of 50 MB is answered well within the ten seconds that hatch waits."""
    name = subject.new_name()
    noise = hashlib.sha256(b"noise").digest() * (50 * 1024 * 1024 // 32)
    wheel = WheelBuilder(name=name, files={"noise.bin": noise}, method=0)
    form = form_of(subject, wheel)
    start = time.monotonic()
    subject.post(form).check(200)
    assert time.monotonic() - start < 8


def test_repeated(subject: Subject) -> None:
    """UP-12, UP-30: the same file again is 200 and changes nothing, not even its time."""
    wheel = WheelBuilder(name=subject.new_name())
    subject.publish(wheel)
    before = subject.page(wheel.name)
    subject.upload(wheel).check(200)
    assert subject.page(wheel.name) == before


def test_cut_off(subject: Subject) -> None:
    """UP-13: an upload that ends early lists nothing, and the same upload then works."""
    wheel = WheelBuilder(name=subject.new_name())
    content_type, body = form_of(subject, wheel)
    for part in (10, len(body) // 2, len(body) - 3):
        connection = open_connection(subject.upload_url)
        connection.putrequest("POST", urlsplit(subject.upload_url).path)
        connection.putheader("Authorization", basic(subject.credentials))
        connection.putheader("Content-Type", content_type)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:part])
        connection.close()
        assert subject.listed(wheel.name) == {}
    subject.post((content_type, body)).check(200)


def test_early_end_of_form(subject: Subject) -> None:
    """UP-13: a form whose last boundary never comes is refused, though its length is right."""
    wheel = WheelBuilder(name=subject.new_name())
    content_type, body = form_of(subject, wheel)
    for part in (len(body) // 2, len(body) - 10):
        reply = subject.post((content_type, body[:part]))
        assert reply.status == 400
    assert subject.listed(wheel.name) == {}


def test_two_at_once(subject: Subject) -> None:
    """UP-13, UP-31: of many uploads of one name with other bytes exactly one wins."""
    name = subject.new_name()
    forms = []
    for number in range(6):
        wheel = WheelBuilder(name=name, files={"x.py": f"x = {number}\n".encode()})
        forms.append(form_of(subject, wheel))
    with ThreadPoolExecutor(len(forms)) as pool:
        replies = list(pool.map(subject.post, forms))
    assert sorted(reply.status for reply in replies) == [200, 409, 409, 409, 409, 409]
    winner = next(form for form, reply in zip(forms, replies, strict=True) if reply.status == 200)
    [(filename, listed)] = subject.listed(name).items()
    stored = subject.get(subject.file_url(name, filename)).body
    assert stored in winner[1]
    assert hashlib.sha256(stored).hexdigest() == listed["hashes"]["sha256"]


def test_many_at_once(subject: Subject) -> None:
    """UP-13: uploads of different files of one project at the same moment are all listed."""
    name = subject.new_name()
    forms = [form_of(subject, WheelBuilder(name=name, version=f"1.{number}")) for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        assert {reply.status for reply in pool.map(subject.post, forms)} == {200}
    assert len(subject.listed(name)) == 12


# --- errors --------------------------------------------------------------------------------------------------------


def test_reason_phrase(subject: Subject) -> None:
    """UP-20: the reason phrase says what is wrong: twine shows its users nothing else."""
    reply = subject.refused(WheelBuilder(name=subject.new_name()), filetype="bdist_egg")
    # An HTTP server that is not ours sends the standard phrase; then the status and the body must tell.
    assert ("filetype" if subject.reason_phrases else "Bad Request") in reply.reason
    assert "filetype" in reply.text


@pytest.mark.parametrize("accept", [UV_ACCEPT, "application/json"])
def test_json_error(subject: Subject, accept: str) -> None:
    """UP-21: who takes JSON gets `application/json` with the message in `code`, which uv prints."""
    wheel = WheelBuilder(name=subject.new_name())
    reply = subject.post(form_of(subject, wheel, filetype="bdist_egg"), accept=accept).check(400)
    assert reply.header("content-type") == "application/json"
    document = json.loads(reply.body)
    assert document["code"].startswith("400 ")
    assert "filetype" in document["code"]
    assert document["title"] == "Bad Request"
    assert "filetype" in document["message"]


@pytest.mark.parametrize("accept", [None, "*/*", "text/plain"])
def test_text_error(subject: Subject, accept: str | None) -> None:
    """UP-21: everybody else gets plain text."""
    wheel = WheelBuilder(name=subject.new_name())
    reply = subject.post(form_of(subject, wheel, filetype="bdist_egg"), accept=accept).check(400)
    assert reply.media_type == "text/plain"


@pytest.mark.parametrize("hostile", ["a\r\nSet-Cookie: x=1", "a\nb", "é" * 300, "x" * 5000, "\x00\x1b[31m"])
def test_clean_reason(subject: Subject, hostile: str) -> None:
    """UP-22: whatever a form says, the reason phrase stays one short line and no header is added."""
    wheel = WheelBuilder(name=subject.new_name())
    for field in ("name", "version", "filetype", "metadata_version"):
        reply = subject.refused(wheel, **{field: hostile})
        assert len(reply.reason.encode("latin-1")) <= 500
        assert reply.reason.isprintable()
        assert reply.header("set-cookie") is None


def test_hostile_filename(subject: Subject) -> None:
    """UP-22: a hostile file name stays in the text of the answer."""
    for hostile in ("x%0d%0aSet-Cookie: y=1.whl", "x\x0b.whl", "../x-1.0.tar.gz", "x" * 4000 + ".whl"):
        fields = form_fields(WheelBuilder(name=subject.new_name()).build(subject.folder))
        reply = subject.post(multipart_body(fields, hostile, b"PK"))
        assert reply.status in {400, 413}
        assert reply.header("set-cookie") is None
        assert len(reply.reason) <= 500


def test_all_problems(subject: Subject) -> None:
    """UP-23: several faults are told at once: metadata version, name, version, then the others."""
    wheel = WheelBuilder(name=subject.new_name())
    reply = subject.refused(wheel, metadata_version="9.9", version="not a version", filetype="egg", sha256_digest="00")
    text = reply.text
    places = [text.index(word) for word in ("metadata_version", "not a version", "'egg'", "digest")]
    assert places[0] < places[1] < places[2]


# --- duplicates ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", [None, UV_ACCEPT])
def test_exists(subject: Subject, accept: str | None) -> None:
    """UP-31: other bytes under a published name are refused in the words that clients look for, and change nothing."""
    wheel = WheelBuilder(name=subject.new_name())
    subject.publish(wheel)
    before = subject.page(wheel.name)
    other = WheelBuilder(name=wheel.name, description="other")
    reply = subject.post(form_of(subject, other), accept=accept)
    assert reply.status in {400, 409}
    words = f"File already exists ('{wheel.file_name}', with "
    assert words in reply.text
    if subject.reason_phrases:
        assert reply.reason.startswith("File already exists")
    assert subject.page(wheel.name) == before
    assert subject.get(subject.file_url(wheel.name, wheel.file_name)).body == wheel.bytes()


def test_same_bytes_other_name(subject: Subject) -> None:
    """UP-32: the same bytes under another name are allowed here."""
    name = subject.new_name()
    subject.publish(WheelBuilder(name=name))
    content = WheelBuilder(name=name).bytes()
    renamed = WheelBuilder(name=name, build_number="1", mangle=lambda _: content)
    subject.upload(renamed).check(200)


def test_deleted_name(subject: Subject) -> None:
    """UP-33: the name of a deleted file never means other bytes; the same bytes may come back."""
    name = subject.new_name()
    wheel = subject.publish(WheelBuilder(name=name), SdistBuilder(name=name))
    subject.delete_file(name, wheel.file_name)
    assert subject.refused(WheelBuilder(name=name, description="other")).status in {400, 409}
    subject.upload(wheel).check(200)


def test_second_sdist(subject: Subject) -> None:
    """UP-34, UP-35: what only PyPI forbids is welcome: further files for an old release, a zip beside a tar."""
    name = subject.new_name()
    subject.publish(SdistBuilder(name=name), SdistBuilder(name=name, suffix=".zip"), WheelBuilder(name=name))
    assert len(subject.listed(name)) == 3


def test_read_after_write(subject: Subject) -> None:
    """SB-04, UP-10: the page read right after the answer lists the file, every time."""
    name = subject.new_name()
    subject.get(f"{name}/", accept=V1_JSON)
    for number in range(20):
        wheel = subject.publish(WheelBuilder(name=name, version=f"1.{number}"))
        assert wheel.file_name in subject.listed(name)


def test_same_connection(subject: Subject) -> None:
    """UP-08: after a refused upload the connection is closed, or is good for the next request."""
    wheel = WheelBuilder(name=subject.new_name())
    content_type, body = form_of(subject, wheel, filetype="egg")
    connection = open_connection(subject.upload_url)
    path, who = urlsplit(subject.upload_url).path, basic(subject.credentials)
    for _ in range(3):
        connection.request("POST", path, body, {"Content-Type": content_type, "Authorization": who})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 400
    assert isinstance(connection, http.client.HTTPConnection)
    connection.close()
