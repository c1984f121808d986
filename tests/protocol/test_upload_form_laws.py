"""Laws of reading upload forms."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from protocol.form_bodies import BOUNDARY, CONTENT_TYPE, LIMITS, body, part, read, read_pieces
from wheelyard.errors import InvalidRequest, InvalidUpload, RequestTooLarge
from wheelyard.protocol.upload_form import SINGLE_FIELDS, UploadFormParser, parse_plain_form

_VALUES = st.binary(max_size=60) | st.lists(
    st.sampled_from([b"\r\n", b"--", BOUNDARY.encode(), b"\r", b"\n", b"-", f"\r\n--{BOUNDARY[:-1]}".encode(), b"x"])
).map(b"".join)
_CONTENTS = _VALUES.filter(lambda value: f"\r\n--{BOUNDARY}".encode() not in b"\r\n" + value)
_TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
_NAMES = st.sampled_from(["classifiers", "requires_dist", "platforms", "vendor"])


@given(
    st.lists(st.tuples(_NAMES, _TEXTS), max_size=5),
    _CONTENTS,
    st.integers(0, 5),
    st.lists(st.integers(0, 400), max_size=12),
)
def test_any_chunks_give_the_same_form(
    pairs: list[tuple[str, str]], content: bytes, place: int, cuts: list[int]
) -> None:
    """UP-09: wherever the network cuts the body, form and file are the same, and the file is what was sent."""
    parts = [part(name, value) for name, value in pairs if f"\r\n--{BOUNDARY}" not in f"\r\n{value}"]
    parts.insert(min(place, len(parts)), part("content", content, filename="foo-1.0.tar.gz"))
    whole = body(*parts)
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    pieces = [whole[start:end] for start, end in itertools.pairwise(places)]
    expected = read(whole)
    assert read_pieces(pieces) == expected == read(whole, chunk=1)
    assert expected[1] == [("foo-1.0.tar.gz", content)]


_JUNK = st.lists(
    st.sampled_from(
        [
            f"--{BOUNDARY}".encode(),
            b"--",
            b"\r\n",
            b"\n",
            b"\x00",
            b"\xff",
            b"x",
            b";",
            b'"',
            b"filename*=utf-8''%ff",
            b'Content-Disposition: form-data; name="content"',
            b'; filename="a"',
            b'Content-Disposition: form-data; name="name"',
            b"Content-Length: 3",
            b"Content-Type: image/png",
            b"Content-Type: text/plain; charset=x",
            b" folded",
        ]
    ),
    max_size=25,
).map(b"".join)


@given(_JUNK | st.binary(max_size=100), st.integers(1, 50))
def test_no_body_fails_otherwise(content: bytes, chunk: int) -> None:
    """UF-12: any bytes are a form or are refused as a bad request or upload; no field holds NUL or is repeated."""
    try:
        form, files = read(content, chunk=chunk)
    except (InvalidRequest, InvalidUpload, RequestTooLarge):
        return
    assert len(files) <= 1
    for name, values in form.fields.items():
        assert values
        assert len(values) == 1 or name not in SINGLE_FIELDS
        assert "\0" not in "".join(values)


_CONTENT_TYPES = st.sampled_from([CONTENT_TYPE, "application/x-www-form-urlencoded"]) | st.text(max_size=40)


@given(_CONTENT_TYPES, _JUNK | st.binary(max_size=60))
def test_no_plain_form_fails_otherwise(content_type: str, content: bytes) -> None:
    """UF-12: any small form is read or refused, whatever its type says."""
    try:
        form = parse_plain_form(content_type, content, LIMITS)
    except (InvalidRequest, RequestTooLarge):
        return
    assert all(isinstance(value, str) for value in form.values())


@given(st.text(max_size=60) | st.text(max_size=30).map(lambda text: f"multipart/form-data; boundary={text}"))
def test_no_content_type_fails_otherwise(content_type: str) -> None:
    """UP-01: any content type starts a parser or is refused."""
    try:
        parser = UploadFormParser(content_type, limits=LIMITS)
    except InvalidRequest:
        return
    assert parser.filename is None
