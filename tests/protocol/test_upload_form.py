"""The legacy upload form."""

import tracemalloc

import pytest

from protocol.form_bodies import BOUNDARY, CONTENT_TYPE, LIMITS, body, fields, part, read
from wheelyard.errors import ActionGone, InvalidRequest, InvalidUpload, RequestTooLarge
from wheelyard.protocol.upload_form import FormLimits, UploadForm, UploadFormParser, parse_plain_form

FILE = part("content", b"\0\r\n--bytes\xff", filename="foo-1.0.tar.gz")


def refused(content: bytes) -> tuple[tuple[str, str], ...]:
    """Return field and code of each problem of a form that is refused."""
    with pytest.raises(InvalidUpload) as caught:
        read(content)
    return tuple((problem.field, problem.code) for problem in caught.value.problems)


def test_a_form_in_any_order() -> None:
    """UP-01, UF-06: fields may come before and after the file, which is handed on byte for byte."""
    form, files = read(
        body(part(":action", "file_upload"), FILE, part("protocol_version", "1"), part("attestations", "[{}]"))
    )
    assert (form.action, form.protocol_version) == ("file_upload", "1")
    assert form.one("attestations") == "[{}]"
    assert files == [("foo-1.0.tar.gz", b"\0\r\n--bytes\xff")]
    form.check_action()


def test_action_in_the_query() -> None:
    """UP-02: the action may stand in the query; the body's goes before it."""
    assert read(body(FILE), query={":action": "file_upload"})[0].action == "file_upload"
    assert read(fields((":action", "submit")), query={":action": "file_upload"})[0].action == "submit"
    assert read(body(FILE), query={":action": "", "protocol_version": ""})[0] == UploadForm(None, None, {})


@pytest.mark.parametrize("action", [None, "file-upload", "upload\r\nX: y"])
def test_unknown_actions(action: str | None) -> None:
    """UP-02: a missing or unknown action is told what is needed."""
    with pytest.raises(InvalidRequest, match=":action"):
        UploadForm(action, "1", {}).check_action()


@pytest.mark.parametrize("action", ["submit", "submit_pkg_info", "doc_upload", "verify"])
def test_gone_actions(action: str) -> None:
    """UP-04: actions of old tools are gone; the text never says what makes poetry register first."""
    with pytest.raises(ActionGone) as caught:
        UploadForm(action, None, {}).check_action()
    assert "was ever registered" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(("version", "is_known"), [(None, True), ("1", True), ("2", False), ("1.0", False)])
def test_protocol_versions(version: str | None, *, is_known: bool) -> None:
    """UP-03: version 1 or none."""
    form = UploadForm("file_upload", version, {})
    if is_known:
        form.check_action()
        return
    with pytest.raises(InvalidRequest, match="Unknown protocol version"):
        form.check_action()


def test_spellings_of_fields() -> None:
    """UF-09: plural spellings of several clients name the same fields; values keep their order."""
    form, _ = read(
        fields(
            ("provides_extras", "a"),
            ("provides_extra", "b"),
            ("import_names", "foo"),
            ("import_namespaces", "ns"),
            ("license_files", "LICENSE"),
            ("platforms", "any"),
            ("supported_platforms", "x"),
            ("classifier", "Private :: Do Not Upload"),
            ("project_url", "Docs, https://example.test"),
        )
    )
    assert form.many("provides_extra") == ("a", "b")
    assert [form.one(name) for name in ("import_name", "import_namespace", "license_file")] == ["foo", "ns", "LICENSE"]
    assert [form.one(name) for name in ("platform", "supported_platform")] == ["any", "x"]
    assert form.one("classifiers") == "Private :: Do Not Upload"
    assert form.one("project_urls") == "Docs, https://example.test"


def test_empty_fields_are_absent() -> None:
    """UF-10: an empty value and the word UNKNOWN are no values."""
    form, _ = read(fields(("requires_python", ""), ("summary", "UNKNOWN"), ("classifiers", " "), ("name", "foo")))
    assert form.fields == {"name": ("foo",)}
    assert form.one("summary") is None
    assert form.many("classifiers") == ()


def test_unknown_fields_are_ignored() -> None:
    """UF-11: fields of vendors and the signature of old twine, a file, are passed over."""
    form, files = read(body(part("comment", "x"), part("gpg_signature", b"\xff\0", filename="foo.asc"), FILE))
    assert form.fields == {}
    assert len(files) == 1


def test_a_field_sent_twice() -> None:
    """UF-08: a single-use field that comes twice is refused, once."""
    assert refused(fields(("summary", "a"), ("summary", "b"), ("summary", ""))) == (("summary", "field-repeated"),)


def test_a_file_in_a_text_field() -> None:
    """UF-11: a file where text belongs is refused."""
    assert refused(body(part("name", "foo", filename="name.txt"))) == (("name", "file-in-text-field"),)


def test_a_field_with_nul() -> None:
    """UF-11: NUL never gets into a field."""
    assert refused(fields(("version", "1\0"))) == (("version", "field-with-nul"),)


def test_a_field_that_is_no_utf8() -> None:
    """UF-12: a value that is not UTF-8 is refused, not guessed."""
    assert refused(body(part("author", b"Ren\xe9"))) == (("author", "field-not-utf8"),)


def test_all_problems_are_told_in_order() -> None:
    """UP-23: every problem is told, name and version first."""
    content = fields(("author", "\0"), ("version", "\0"), ("name", "\0"), ("metadata_version", "\0"))
    assert [field for field, _ in refused(content)] == ["metadata_version", "name", "version", "author"]


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([FILE, FILE], "content-repeated"),
        ([part("content", "x")], "content-without-filename"),
        ([part("content", "x", filename="")], "content-without-filename"),
        ([part("content", "x", filename="a.png", content_type="Image/PNG; x=y")], "content-is-image"),
    ],
)
def test_odd_files(parts: list[bytes], code: str) -> None:
    """UF-06: there is one file, it has a name, and it is no picture."""
    assert refused(body(*parts)) == (("content", code),)


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ('filename="foo-1.0+cu128.whl"', "foo-1.0+cu128.whl"),
        ("filename=foo-1.0.whl", "foo-1.0.whl"),
        ("filename*=UTF-8''foo-1.0%2Bx.whl", "foo-1.0+x.whl"),
        ("filename*=utf-8'en'f%C3%BC.whl", "fü.whl"),
        ("filename*=iso-8859-1''f%FC.whl", "fü.whl"),
        ('filename="../../etc/passwd"', "../../etc/passwd"),
    ],
)
def test_file_names(disposition: str, filename: str) -> None:
    """UP-09: the file name may be quoted, bare or extended; it is handed on as sent, to be checked."""
    content = body(f'Content-Disposition: form-data; name="content"; {disposition}\r\n\r\nx'.encode())
    assert read(content)[1] == [(filename, b"x")]


def test_the_filename_is_known_after_the_file() -> None:
    """UF-06: whether a file came can be asked."""
    parser = UploadFormParser(CONTENT_TYPE, limits=LIMITS)
    assert parser.filename is None
    list(parser.feed(body(FILE)))
    assert parser.filename == "foo-1.0.tar.gz"


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=a; boundary=b",
        f"multipart/form-data; boundary={'a' * 71}",
        "multipart/form-data; boundary=é",
        'multipart/form-data; boundary="a\nb"',
        "multipart/mixed; boundary=a",
        "application/json",
        "application/x-www-form-urlencoded",
    ],
)
def test_odd_content_types(content_type: str) -> None:
    """UP-01: what is no multipart form, and a missing, repeated or odd boundary, is refused."""
    with pytest.raises(InvalidRequest):
        UploadFormParser(content_type, limits=LIMITS)


@pytest.mark.parametrize("length", range(0, len(body(FILE)) - 4, 5))
def test_truncated_bodies(length: int) -> None:
    """UP-13: a body that was cut off anywhere is refused, so that nothing half is kept."""
    parser = UploadFormParser(CONTENT_TYPE, limits=LIMITS)
    list(parser.feed(body(FILE)[:length]))
    with pytest.raises(InvalidRequest, match="cut off"):
        parser.finish()


@pytest.mark.parametrize(
    "content",
    [
        b"no form at all" * 10,
        f"--{BOUNDARY}\nContent-Disposition: form-data; name=a\n\nx\n--{BOUNDARY}--".encode(),
        body(b"\r\nx"),
        body(b"Content-Disposition: attachment; name=a\r\n\r\nx"),
        body(b"Content-Disposition: form-data\r\n\r\nx"),
        body(b"Content-Disposition: form-data; name=\xff\r\n\r\nx"),
        body(b'Content-Disposition: form-data; name="a"\r\nContent-Length: 9\r\n\r\nx'),
        body(b"Content-Disposition: form-data; name=a\nX: y\r\n\r\nx"),
    ],
)
def test_malformed_bodies(content: bytes) -> None:
    """UP-01: what is no form, or none whose parts can be told apart, is refused as a bad request."""
    with pytest.raises(InvalidRequest):
        read(content)


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
@pytest.mark.parametrize(
    "content",
    [
        b"x" + fields(("name", "demo")),
        b"preamble\r\n" + fields(("name", "demo")),
        fields(("name", "demo")).replace(b"Content-Disposition", b"\nContent-Disposition"),
        fields(("name", "demo")).replace(b"form-data;", b"form-data;\n"),
    ],
    ids=["byte in front", "preamble", "line feed in front of a header", "line feed in a header"],
)
def test_what_is_malformed_does_not_depend_on_the_pieces(content: bytes, size: int) -> None:
    """A form that begins otherwise, or has a lone line feed in a header, is refused however it was cut."""
    with pytest.raises(InvalidRequest, match="malformed"):
        read(content, chunk=size)


@pytest.mark.parametrize("size", [1, 2, 3, 10_000])
def test_the_longest_header_does_not_depend_on_the_pieces(size: int) -> None:
    """A header of exactly the largest size is read, and one byte more is refused, however the form was cut."""
    longest = part("name", "demo").replace(b"form-data;", b"form-data;" + b" " * 1000)
    line = longest.split(b"\r\n")[0]
    limits = FormLimits(max_header_bytes=len(line))
    assert read(body(longest), chunk=size, limits=limits)[0].one("name") == "demo"
    with pytest.raises(RequestTooLarge):
        read(body(longest.replace(b"form-data;", b"form-data; ")), chunk=size, limits=limits)


@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_a_form_may_begin_with_a_line_break(size: int) -> None:
    """UP-01: some clients end their headers with one line break too many."""
    content = b"\r\n" + fields(("name", "demo"))
    form, _ = read(content, chunk=size)
    assert form.one("name") == "demo"


def test_limits() -> None:
    """UF-11: the number of fields, the size of one, of all, and of headers are bounded; each limit names itself."""
    limits = FormLimits(max_fields=3, max_field_bytes=10, max_header_bytes=100, max_fields_bytes=25)
    read(fields(*[("classifiers", "a" * 8)] * 3), limits=limits)
    with pytest.raises(InvalidRequest, match="more than 3 fields"):
        read(fields(*[("classifiers", "a")] * 4), limits=limits)
    with pytest.raises(RequestTooLarge, match="field 'summary' of the form is larger than 10 bytes"):
        read(fields(("summary", "a" * 11)), limits=limits)
    with pytest.raises(RequestTooLarge, match="larger than 25 bytes"):
        read(fields(*[("vendor", "a" * 9)] * 3), limits=limits)
    with pytest.raises(RequestTooLarge, match="header"):
        read(body(part("content", "x", filename="a" * 200)), limits=limits)
    with pytest.raises(RequestTooLarge, match="header"):
        read(body(b"X: y\r\n" * 9 + part("a", "x")), limits=limits)


def test_the_file_is_not_limited_here() -> None:
    """UP-11: limits on fields do not count the file."""
    limits = FormLimits(max_field_bytes=10, max_fields_bytes=10)
    assert read(body(part("content", b"x" * 1000, filename="a.whl")), limits=limits)[1] == [("a.whl", b"x" * 1000)]


def test_a_large_file_needs_no_memory() -> None:
    """UP-11: however large the file, what the parser holds stays small."""
    parser = UploadFormParser(CONTENT_TYPE, limits=LIMITS)
    start, end = body(part("content", b"SPLIT", filename="a.whl")).split(b"SPLIT")
    piece, total = b"\r\n--" * 16_384, 0
    tracemalloc.start()
    try:
        list(parser.feed(start))
        for _ in range(400):
            total += sum(len(event.data) for event in parser.feed(piece) if hasattr(event, "data"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    list(parser.feed(end))
    parser.finish()
    assert total > 399 * len(piece)
    assert peak < 10 * len(piece)


URLENCODED = "application/x-www-form-urlencoded"


def test_plain_forms() -> None:
    """UP-01: small forms come urlencoded or as multipart, with text in fields or in files."""
    assert parse_plain_form(URLENCODED, b"name=main&secret=a%2Bb+c&empty=", LIMITS) == {
        "name": "main",
        "secret": "a+b c",
        "empty": "",
    }
    multipart = body(part("config", "x = 1\n", filename="config.toml"), part("n", "v"))
    assert parse_plain_form(CONTENT_TYPE, multipart, LIMITS) == {"config": "x = 1\n", "n": "v"}
    assert parse_plain_form(URLENCODED + "; charset=utf-8", b"", LIMITS) == {}


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        (URLENCODED, b"a=%ff"),
        (URLENCODED, b"a=\xff"),
        (URLENCODED, b"a=1&a=2"),
        (URLENCODED, b"&".join(b"a%d=1" % number for number in range(2_001))),
        (CONTENT_TYPE, body(part("a", b"\xff"))),
        (CONTENT_TYPE, body(part("a", "1"), part("a", "2"))),
        (CONTENT_TYPE, body(part("a", "1"))[:-8]),
        (CONTENT_TYPE, b""),
        ("application/json", b"{}"),
        ("", b"a=1"),
    ],
)
def test_odd_plain_forms(content_type: str, content: bytes) -> None:
    """UF-12: a small form that is cut off, repeats a field or is no UTF-8 is refused."""
    with pytest.raises(InvalidRequest):
        parse_plain_form(content_type, content, LIMITS)


def test_large_plain_forms() -> None:
    """UF-11: small forms have limits too."""
    limits = FormLimits(max_field_bytes=10, max_fields_bytes=30)
    with pytest.raises(RequestTooLarge, match="the form"):
        parse_plain_form(URLENCODED, b"a=" + b"b" * 40, limits)
    with pytest.raises(RequestTooLarge, match="field 'a'"):
        parse_plain_form(URLENCODED, b"a=" + b"b" * 11, limits)
