"""Small values of strangers: headers, paths, file names. Each is read in one way, or passed over, or refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)

from fuzz.laws import FuzzTarget, require
from wheelyard.auth.credentials import parse_authorization
from wheelyard.errors import InvalidFilename, InvalidName, NotAcceptable, WheelyardError, shown
from wheelyard.model import ByteRange, NormalizedName
from wheelyard.protocol import http
from wheelyard.protocol.filenames import is_pep625, parse_filename, quote_filename, release_of
from wheelyard.protocol.names import canonical_version, is_normalized, normalize, same_version, sort_versions
from wheelyard.protocol.negotiation import Representation, negotiate
from wheelyard.server.proxies import ForwardedHeaders, Trust
from wheelyard.server.requests import Request, collect
from wheelyard.server.targets import Kind, parse_target

_ETAG = http.etag_of(b"content")
_LATEST = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


def check(data: bytes) -> None:
    """Check an input: a byte that says what it is, and the value."""
    _CHECKS[data[0] % len(_CHECKS) if data else 0](data[1:])


def _check_range(value: bytes) -> None:
    size_text, _, header = value.decode("latin-1").partition(" ")
    size = int(size_text) if size_text.isascii() and size_text.isdigit() and len(size_text) < 15 else 100
    found = http.parse_range(header, size)
    if isinstance(found, ByteRange):
        require(0 <= found.start < found.stop <= size, "a range lies inside the file", found, size)
    http.if_none_match(header, _ETAG)
    allows = http.if_range_allows(header, _ETAG, _LATEST)
    require(not allows or "\n" not in header.strip(), "what spans lines is no validator", header)
    require(http.accepts_encoding(None, "gzip") is False, "nobody asked for gzip")
    http.accepts_encoding(header, "gzip")


def _check_accept(value: bytes) -> None:
    accept, _, requested = value.decode("latin-1").partition("\n")
    with suppress(NotAcceptable):
        chosen = negotiate(accept, requested or None)
        require(isinstance(chosen, Representation), "there is one representation", chosen)
        require(negotiate(accept.upper(), requested or None) is chosen, "case does not matter", accept)
        require(negotiate(f"{accept},;;", requested or None) is chosen, "junk is passed over", accept)


def _check_reason(value: bytes) -> None:
    text = value[1:].decode("utf-8", "surrogateescape")
    limit = value[0] if value else 0
    reason = http.clean_reason(text, limit)
    require(len(reason) <= limit, "a reason keeps to its limit", reason, limit)
    require(all(byte >= 0x20 and not 0x7F <= byte < 0xA0 for byte in reason), "a reason is one line", reason)
    require(shown(text).isprintable(), "what is shown is printable", text)
    error = InvalidFilename(text, "because")
    require(str(error).isprintable(), "the text of an error is one printable line", str(error))


def _check_filename(value: bytes) -> None:
    name, _, project = value.decode("utf-8", "surrogateescape").partition("\n")
    require(
        unquote(quote_filename(name), errors="replace") == name.encode("utf-8", "replace").decode(), "quoting", name
    )
    release_of(name, NormalizedName("demo"))
    is_pep625(name)
    try:
        known = normalize(project) if project else None
        parsed = parse_filename(name, known)
    except InvalidName:
        return
    except InvalidFilename:
        require(not is_pep625(name), "what PEP 625 allows is read", name)
        return
    require(is_normalized(parsed.name), "a name is normalised", parsed)
    require(canonical_version(parsed.version) == parsed.version, "a version is canonical", parsed)
    require(name.isascii() and name.isprintable() and "/" not in name, "a file name is no path", name)
    _check_with_packaging(name, parsed.name, parsed.version, is_guided=known is not None)


def _check_with_packaging(name: str, project: str, version: str, *, is_guided: bool) -> None:
    """Check that packaging, which clients use, reads an accepted name in the same way."""
    try:
        if name.endswith(".whl"):
            theirs, their_version = parse_wheel_filename(name)[:2]
        elif is_guided:
            return  # it knows no project that could guide it
        else:
            theirs, their_version = parse_sdist_filename(name)
    except (InvalidWheelFilename, InvalidSdistFilename) as error:
        require(False, "packaging reads every accepted name", name, error)
        return
    require(str(theirs) == project, "packaging reads the same project", name, theirs, project)
    require(same_version(str(their_version), version), "packaging reads the same version", name, their_version)


def _check_versions(value: bytes) -> None:
    versions = value.decode("utf-8", "surrogateescape").split("\n")[:30]
    ordered = sort_versions(versions)
    require(sort_versions(ordered) == ordered, "sorting again changes nothing", ordered)
    require(sort_versions(reversed(ordered)) == ordered, "the order does not depend on the order before", ordered)
    for version in versions:
        require(canonical_version(canonical_version(version)) == canonical_version(version), "canonical is canonical")
        require(any(same_version(version, each) for each in ordered), "no release is lost", version)
    for name in versions:
        with suppress(InvalidName):
            require(normalize(normalize(name)) == normalize(name), "normal is normal", name)
            require(is_normalized(normalize(name)), "what is normalised says so", name)


def _check_path(value: bytes) -> None:
    path = b"/" + value.replace(b"?", b"")
    try:
        target = parse_target(path, root_path="/mount", indexes={"main", "second"})
    except WheelyardError as error:
        require(str(error).isprintable(), "the text of an error is one printable line", str(error))
        return
    for segment in target.segments:
        require("/" not in segment and "\0" not in segment and segment not in (".", ".."), "no segment climbs", target)
    if target.kind in (Kind.PAGE, Kind.FILE, Kind.METADATA):
        require(is_normalized(target.project), "a project is normalised", target)
    if target.kind in (Kind.FILE, Kind.METADATA):
        require("/" not in target.filename and "\\" not in target.filename, "a file name is no path", target)
    if target.redirect is not None:
        require(target.redirect.isascii() and target.redirect.isprintable(), "a redirect is one line", target)
        there = urlsplit(urljoin("http://host/simple/x", target.redirect))
        require(there.netloc == "host" and there.scheme == "http", "a redirect stays on this server", target)


def _check_headers(value: bytes) -> None:
    pairs = [
        (name.strip().lower(), text.strip()) for name, _, text in (line.partition(b":") for line in value.split(b"\n"))
    ]
    headers, repeated = collect(pairs)
    require(repeated <= set(headers), "what is repeated is there", repeated)
    request = Request("GET", b"/", query=headers.get(b"query", b""), headers=headers)
    request.cookie("wheelyard_session")
    request.parameter("format")
    require(isinstance(request.is_navigation, bool), "a person or a program")
    for name, text in pairs:
        if name == b"authorization":
            credential = parse_authorization(text)
            require(credential is None or f"secret={credential.secret!r}" not in repr(credential), "it is not shown")
    names = frozenset({"forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"})
    proxies = ForwardedHeaders(_nobody, Trust(("*",), 1, names))
    scope: dict[str, Any] = {"headers": pairs, "scheme": "http", "client": ("127.0.0.1", 1)}
    applied = proxies._applied(scope)  # noqa: SLF001  what it does is its own; the rest only passes it on
    require(applied["scheme"] in ("http", "https"), "a scheme is one of two", applied)
    require(scope["headers"] is pairs, "the scope before stays as it was")


async def _nobody(*_: object) -> None:
    """Stand behind the proxy headers; never called."""


_CHECKS: tuple[Callable[[bytes], None], ...] = (
    *(_check_range, _check_accept, _check_reason, _check_filename, _check_versions, _check_path, _check_headers),
)


def _seeds() -> dict[str, bytes]:
    return {
        "range": b"\x00100 bytes=0-99",
        "suffix": b"\x00100 bytes=-5",
        "etags": b'\x0010 W/"a", "' + _ETAG.strip('"').encode() + b'"',
        "date": b"\x0010 Tue, 02 Jan 2024 03:04:05 GMT",
        "codings": b"\x001 gzip;q=0.5, zstd, *;q=0",
        "accept": b"\x01application/vnd.pypi.simple.v1+json, text/html;q=0.1, */*;q=0.01\ntext/html",
        "reason": "\x02@naïve \N{EN DASH} text\r\nX: y".encode(),
        "wheel": b"\x03demo-1.0-1a-py2.py3-none-any.whl\ndemo",
        "sdist": b"\x03foo-bar-1.0.tar.gz\nfoo-bar",
        "versions": b"\x041.0\n1.0.0\n2!1rc1.post2.dev3+l.1\nlegacy-1\nv1",
        "path": b"\x05mount/main/simple//Demo_x/demo-1.0.tar.gz.metadata",
        "devpi": b"\x05legacy/+simple/Demo/",
        "headers": b"\x06authorization: Basic dXNlcjpzZWNyZXQtc2VjcmV0\ncookie: a=1; wheelyard_session=x\nforwarded: for=a;proto=https",
    }


TARGET = FuzzTarget(
    name="values",
    about="ranges lie inside, reasons are one line, names agree with packaging, paths never climb, redirects stay here",
    check=check,
    seeds=_seeds,
    words=(
        *(b"bytes=", b"W/", b'"', b"q=0.", b"*/*", b"text/*", b"application/", b"+json", b".whl", b".tar.gz", b".zip"),
        *(
            b"-py3-none-any",
            b"-cp311-abi3-manylinux_2_17_x86_64",
            b".metadata",
            b"%2e%2e",
            b"%2F",
            b"%00",
            b"%ff",
            b"//",
        ),
        *(
            b"simple/",
            b"legacy/",
            b"+simple/",
            b"main/",
            b"mount/",
            b"/\\",
            b"..",
            b"\r\n",
            b"\xc2\x85",
            b"\xe2\x80\xa8",
        ),
        *(b"Basic ", b"Bearer ", b"forwarded:", b"x-forwarded-host:", b"authorization:", b"1!", b"rc1", b"+local"),
    ),
    reached=(
        *(f"src/wheelyard/protocol/{name}.py" for name in ("http", "negotiation", "filenames", "names")),
        *(f"src/wheelyard/server/{name}.py" for name in ("targets", "requests", "proxies")),
        "src/wheelyard/auth/credentials.py",
    ),
    max_len=600,
)
