"""What RFC 9110 says about headers, as pure functions: validators, ranges, codings, reason phrases."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import Enum
from hashlib import blake2b
from typing import Final

from wheelyard.model import ByteRange


class Unsatisfiable(Enum):
    """The type of `UNSATISFIABLE`: a range that lies outside the file (416)."""

    UNSATISFIABLE = "unsatisfiable"


UNSATISFIABLE: Final = Unsatisfiable.UNSATISFIABLE

_ETAG_DIGITS = 32  # 128 bits tell any two pages apart

_ENTITY_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')  # RFC 9110 8.8.3
_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]*)\s*-\s*([0-9]*)\s*\Z", re.IGNORECASE | re.ASCII)
_QUALITY_ZERO = re.compile(r"q\s*=\s*0(?:\.0*)?\s*\Z", re.IGNORECASE)
_UNPRINTABLE = re.compile(rb"[^\x20-\x7e\xa0-\xff]")
_LONGEST_NUMBER = 19  # digits; more than any file has bytes, and safe to read as an integer

_TYPOGRAPHY = str.maketrans({"…": "...", "‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "→": "->"})  # noqa: RUF001 - what is translated away


def etag_of(content: bytes, *, kind: bytes = b"") -> str:
    """
    Return a strong entity tag, in quotes: other bytes, other tag (NEG-17: JSON, HTML and gzip differ).

    Args:
        content: The representation.
        kind: What else tells it from others, such as its media type: two of them may have the same bytes.
    """
    digest = blake2b(kind and kind + b"\0", digest_size=_ETAG_DIGITS // 2)
    digest.update(content)
    return f'"{digest.hexdigest()}"'


def if_none_match(header: str | None, etag: str) -> bool:
    """
    Tell whether the caller already has this representation, so that 304 answers it.

    Args:
        header: `If-None-Match`; None when there is none.
        etag: Of what would be sent.
    Spec: RFC 9110 13.1.2: "A recipient MUST use the weak comparison function".
    """
    if header is None:
        return False
    return header.strip() == "*" or etag.removeprefix("W/") in _ENTITY_TAG.findall(header)


def if_range_allows(header: str | None, etag: str, last_modified: datetime | None) -> bool:
    """
    Tell whether a `Range` may be honoured: without `If-Range`, or when it names exactly this file.

    Args:
        header: `If-Range`; None when there is none.
        etag: Strong tag of the file.
        last_modified: As sent in `Last-Modified`; None when that is not sent.
    Spec: RFC 9110 13.1.5: "strong comparison"; a date has to match exactly.
    """
    if header is None:
        return True
    header = header.strip()
    if header.startswith(('"', "W/")):
        return header == etag and not etag.startswith("W/")
    # Compared as text: a client sends back what it was sent, and `parsedate_to_datetime` passes over junk behind a date.
    return last_modified is not None and header == format_datetime(last_modified.astimezone(UTC), usegmt=True)


def parse_range(header: str | None, size: int) -> ByteRange | Unsatisfiable | None:
    """
    Read a `Range` header.

    Args:
        header: None when there is none.
        size: Bytes of the file.
    Returns:
        The range, cut at the end of the file; `UNSATISFIABLE` when it lies outside (416); None for the whole file, which
        is also the answer to several ranges, to other units and to what makes no sense.
    Spec: RFC 9110 14.2: "A server MAY ignore the Range header field".
    """
    match = _RANGE.match(header or "")
    if match is None or not (match[1] or match[2]):
        return None
    first, last = _number(match[1]), _number(match[2])
    if first is None:
        start, stop = size - min(last or 0, size), size
    else:
        if last is not None and last < first:
            return None
        start, stop = first, size if last is None else min(last + 1, size)
    return ByteRange(start, stop) if start < stop else UNSATISFIABLE


def accepts_encoding(header: str | None, coding: str) -> bool:
    """
    Tell whether the caller asked for a content coding.

    Args:
        header: `Accept-Encoding`. Without one nothing is compressed: pip, uv and poetry mean it (FILE-01).
        coding: `gzip`, `zstd`, `br`; lower case.
    Spec: RFC 9110 12.5.3; a coding by name goes before `*`, quality 0 means no.
    """
    wanted: dict[str, bool] = {}
    for item in (header or "").lower().split(","):
        name, _, parameter = item.partition(";")
        wanted[name.strip().removeprefix("x-")] = _QUALITY_ZERO.match(parameter.strip()) is None
    return wanted.get(coding, wanted.get("*", False))


def clean_reason(text: str, limit: int = 400) -> bytes:
    """
    Make a reason phrase of a message: twine shows its users nothing else (UP-20).

    Args:
        text: May hold anything, a sender's line breaks too (UP-22).
        limit: Bytes.
    Returns:
        One line of printable Latin-1 of at most `limit` bytes.
    """
    line = " ".join(text.translate(_TYPOGRAPHY).split())
    reason = _UNPRINTABLE.sub(b"?", line.encode("latin-1", "replace"))
    return reason if len(reason) <= limit else reason[: max(limit - 3, 0)].rstrip() + b"..."[:limit]


def _number(digits: str) -> int | None:
    """Return a number that is exact up to the size of any file and large beyond; None for no digits."""
    return int(digits.lstrip("0")[:_LONGEST_NUMBER] or "0") if digits else None
