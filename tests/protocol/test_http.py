"""Validators, ranges, codings and reason phrases."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.model import ByteRange
from wheelyard.protocol.http import (
    UNSATISFIABLE,
    Unsatisfiable,
    accepts_encoding,
    clean_reason,
    etag_of,
    if_none_match,
    if_range_allows,
    parse_range,
)

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
DATE = "Fri, 02 Jan 2026 03:04:05 GMT"


def test_entity_tags() -> None:
    """NEG-17: a tag is strong, quoted, and another one for other bytes."""
    assert etag_of(b"a") == etag_of(b"a") != etag_of(b"b")
    assert etag_of(b"a").startswith('"')
    assert etag_of(b"a").endswith('"')


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, False),
        ('"a"', True),
        ('W/"a"', True),
        ("*", True),
        (' "x", W/"y",  "a"', True),
        ('"b"', False),
        ("a", False),
        ('"A"', False),
        ("", False),
        ('"x,"a""', False),
    ],
)
def test_if_none_match(header: str | None, *, expected: bool) -> None:
    """CACHE-01: a caller that has the page already is recognised, weak tags included."""
    assert if_none_match(header, '"a"') is expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-99", ByteRange(0, 100)),
        ("bytes=-500", ByteRange(500, 1000)),
        ("bytes=-5000", ByteRange(0, 1000)),
        ("bytes=990-", ByteRange(990, 1000)),
        ("bytes=990-5000", ByteRange(990, 1000)),
        ("Bytes = 0 - 0", ByteRange(0, 1)),
        ("bytes=999-999", ByteRange(999, 1000)),
        ("bytes=1000-", UNSATISFIABLE),
        ("bytes=-0", UNSATISFIABLE),
        (f"bytes={'9' * 5000}-", UNSATISFIABLE),
        (f"bytes=0-{'9' * 5000}", ByteRange(0, 1000)),
        (f"bytes={'0' * 5000}1-2", ByteRange(1, 3)),
        ("bytes=0-1,5-6", None),
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=--5", None),
        ("items=0-5", None),
        ("bytes=\u0661-\u0662", None),
        ("", None),
    ],
)
def test_ranges(header: str | None, expected: ByteRange | Unsatisfiable | None) -> None:
    """FILE-02: one range is honoured, one outside the file is refused, anything else means the whole file."""
    assert parse_range(header, 1000) == expected


def test_ranges_of_an_empty_file() -> None:
    """FILE-02: an empty file has no range."""
    assert parse_range("bytes=0-", 0) is UNSATISFIABLE
    assert parse_range("bytes=-5", 0) is UNSATISFIABLE


@given(st.text(max_size=30) | st.from_regex(r"bytes=[0-9]{0,4}-[0-9]{0,4}"), st.integers(0, 3000))
def test_a_range_lies_inside_the_file(header: str, size: int) -> None:
    """FILE-02: whatever is asked for, a range that is honoured is not empty and lies inside the file."""
    wanted = parse_range(header, size)
    if isinstance(wanted, ByteRange):
        assert 0 <= wanted.start < wanted.stop <= size


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, True),
        ('"a"', True),
        ('"b"', False),
        ('W/"a"', False),
        (DATE, True),
        ("Fri, 02 Jan 2026 03:04:06 GMT", False),
        ("Fri, 02 Jan 2026 04:04:05 +0100", False),
        (DATE + " and more", False),
        ("yesterday", False),
        ("", False),
        ("Fri, 99 Jan 2026 03:04:06 GMT", False),
    ],
)
def test_if_range(header: str | None, *, expected: bool) -> None:
    """FILE-03: a download is resumed only when the file is the same, by strong tag or exact date."""
    assert if_range_allows(header, '"a"', MOMENT) is expected


def test_if_range_without_a_date() -> None:
    """FILE-03: a date proves nothing of a file whose date was never sent."""
    assert not if_range_allows(DATE, '"a"', None)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, False),
        ("", False),
        ("identity", False),
        ("gzip, deflate", True),
        ("deflate, GZIP;q=0.5", True),
        ("x-gzip", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("*", True),
        ("*;q=0", False),
        ("br;q=1, *;q=0.1", True),
        ("gzipped", False),
    ],
)
def test_codings(header: str | None, *, expected: bool) -> None:
    """FILE-01, CACHE-04: a coding is used only when it was asked for."""
    assert accepts_encoding(header, "gzip") is expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("plain", b"plain"),
        ("name 'a\r\nSet-Cookie: x=1' is bad", b"name 'a Set-Cookie: x=1' is bad"),
        ("a\0b\x7fc\x85d\u2028e", b"a?b?c d e"),
        ("grün \u2013 “λ”…", b'gr\xfcn - "?"...'),
        ("", b""),
    ],
)
def test_reason_phrases(text: str, reason: bytes) -> None:
    """UP-20, UP-22: a message becomes one line of printable Latin-1."""
    assert clean_reason(text) == reason


@given(st.text(max_size=600), st.integers(3, 500))
def test_no_text_breaks_out_of_the_reason(text: str, limit: int) -> None:
    """UP-22: no text brings a control character or too many bytes into the status line."""
    reason = clean_reason(text, limit)
    assert len(reason) <= limit
    assert all(byte >= 0x20 and not 0x7F <= byte < 0xA0 for byte in reason)
