"""Multipart bodies for tests of the upload form."""

from __future__ import annotations

from collections.abc import Iterable

from wheelyard.protocol.upload_form import (
    ContentEnd,
    ContentPiece,
    ContentStart,
    FormLimits,
    UploadForm,
    UploadFormParser,
)

BOUNDARY = "b0undary"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
LIMITS = FormLimits()


def part(name: str, value: bytes | str = b"", *, filename: str | None = None, content_type: str | None = None) -> bytes:
    """Return one part of a form; with `filename` it is a file."""
    header = f'Content-Disposition: form-data; name="{name}"'
    header += "" if filename is None else f'; filename="{filename}"'
    header += "" if content_type is None else f"\r\nContent-Type: {content_type}"
    value = value.encode() if isinstance(value, str) else value
    return f"{header}\r\n\r\n".encode() + value


def body(*parts: bytes) -> bytes:
    """Join parts to the body of a form."""
    delimiter = f"--{BOUNDARY}".encode()
    return b"".join(delimiter + b"\r\n" + one + b"\r\n" for one in parts) + delimiter + b"--\r\n"


def fields(*pairs: tuple[str, str]) -> bytes:
    """Return the body of a form with text fields."""
    return body(*(part(name, value) for name, value in pairs))


def read(
    content: bytes, *, chunk: int = 1 << 20, limits: FormLimits = LIMITS, query: dict[str, str] | None = None
) -> tuple[UploadForm, list[tuple[str, bytes]]]:
    """Read a whole form in chunks of a size; return it with the files that came."""
    pieces = (content[start : start + chunk] for start in range(0, len(content), chunk))
    return read_pieces(pieces, limits=limits, query=query)


def read_pieces(
    pieces: Iterable[bytes], *, limits: FormLimits = LIMITS, query: dict[str, str] | None = None
) -> tuple[UploadForm, list[tuple[str, bytes]]]:
    """Read a form from its pieces; return it with the files that came, each begun, continued and ended in order."""
    parser = UploadFormParser(CONTENT_TYPE, limits=limits)
    files: list[tuple[str, bytes]] = []
    is_open = False
    for piece in pieces:
        for event in parser.feed(piece):
            if isinstance(event, ContentStart):
                assert not is_open
                is_open = True
                files.append((event.filename, b""))
            elif isinstance(event, ContentPiece):
                assert is_open
                files[-1] = (files[-1][0], files[-1][1] + event.data)
            else:
                assert isinstance(event, ContentEnd)
                assert is_open
                is_open = False
    assert not is_open
    return parser.finish(query), files
