"""
What a path means: pure, so that every spelling can be tested.

Spec: PEP 503 and the URL requirements of the standards list; `API-DESIGN` in the docs names the quirks served here.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from urllib.parse import unquote_to_bytes

from wheelyard.errors import DistFileNotFound, InvalidName, NotFound, ProjectNotFound, shown
from wheelyard.index.point_in_time import parse_instant
from wheelyard.model import Filename, NormalizedName
from wheelyard.protocol.names import normalize

METADATA_SUFFIX = ".metadata"
DEVPI_MARK = "+simple"
"""Hatch asks `<upload url>/+simple/<project>/` of every index but PyPI, as devpi has it."""

RESERVED = frozenset(
    {
        "_",
        "api",
        "at",
        "healthz",
        "index_mtime",
        "initialize",
        "integrity",
        "legacy",
        "login",
        "logout",
        "metrics",
        "packages",
        "project",
        "pypi",
        "readyz",
        "simple",
        "static",
    }
)
"""First path segments that are ours, so that no index can be reached by them."""


_NO_PROJECT = NormalizedName("")
_NO_FILE = Filename("")


class Kind(Enum):
    """What a path names."""

    LIST = "project list"
    PAGE = "project page"
    FILE = "distribution file"
    METADATA = "core metadata"
    UPLOAD = "upload address"
    PAST = "an index as of an instant"
    OTHER = "something else"


@dataclass(frozen=True, slots=True)
class Target:
    """
    A path, understood.

    Attributes:
        kind: What it names.
        index: Index named in the path, lower case; None when none is.
        project: Project name; for PAGE as it was sent, elsewhere "".
        filename: File name; for METADATA without its suffix.
        segments: Decoded path segments after the index name.
        slash: Whether the path ended in one.
        redirect: Canonical spelling, relative; None when this is it.
        instant: For PAST, UTC: as of when.
        past: For PAST: what is read of the index of then.
    """

    kind: Kind
    index: str | None
    segments: tuple[str, ...]
    slash: bool
    project: NormalizedName = _NO_PROJECT
    filename: Filename = _NO_FILE
    redirect: str | None = None
    instant: datetime | None = None
    past: Target | None = None


def parse_target(raw_path: bytes, *, root_path: str, indexes: Container[str]) -> Target:
    """
    Understand a path.

    Args:
        raw_path: Percent-encoded, as sent.
        root_path: Prefix under which we are mounted; taken off when it is there.
        indexes: Lower-case names of the indexes of this server.
    Returns:
        Its meaning, with `redirect` set (relative, so that host, prefix and scheme stay) when the spelling is not the canonical one.
    Raises:
        NotFound: The path cannot name anything.
        InvalidRequest: It names an instant that is none.
    """
    path = raw_path.decode("latin-1")
    if root_path and (path == root_path or path.startswith(root_path + "/")):
        path = path[len(root_path) :]
    slash = path.endswith("/")
    # Empty segments go: pipenv asks `/simple//name/`.
    segments = tuple(_decode(part) for part in path.split("/") if part)
    index = None
    if segments and segments[0] not in RESERVED and segments[0].lower() in indexes:
        index, segments = segments[0].lower(), segments[1:]
    if segments[:1] == ("at",) and len(segments) > 1:
        return _past(index, segments, slash=slash)
    return _understood(index, segments, slash=slash)


def _understood(index: str | None, segments: tuple[str, ...], *, slash: bool) -> Target:
    place = _simple_part(segments)
    if place is None:
        kind = Kind.UPLOAD if segments == ("legacy",) else Kind.OTHER
        return Target(kind, index, segments, slash)
    match place:
        case ():
            return Target(Kind.LIST, index, segments, slash, redirect=None if slash else "simple/")
        case (name,):
            return _page(index, segments, name, slash=slash)
        case (name, filename) if not slash:
            return _file(index, segments, name, filename)
        case _:
            raise NotFound(f"nothing here is called '{shown('/'.join(segments))}'")


def _past(index: str | None, segments: tuple[str, ...], *, slash: bool) -> Target:
    instant, past = parse_instant(segments[1]), _understood(index, segments[2:], slash=slash)
    if past.kind in (Kind.UPLOAD, Kind.OTHER):
        raise NotFound(f"below '/at/{shown(segments[1])}/' there is only 'simple/'")
    return Target(Kind.PAST, index, segments, slash, instant=instant, past=past)


def _simple_part(segments: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return what follows `simple`, in any of the ways clients write it; None for other paths."""
    for start in (0, 1):
        if segments[start : start + 1] == (DEVPI_MARK,) and segments[:start] in ((), ("simple",), ("legacy",)):
            return segments[start + 1 :]
    return segments[1:] if segments[:1] == ("simple",) else None


def _page(index: str | None, segments: tuple[str, ...], name: str, *, slash: bool) -> Target:
    try:
        project = normalize(name)
    except InvalidName:
        raise ProjectNotFound(name) from None
    location = None
    if project != name:
        location = f"../{project}/" if slash else f"{project}/"
    elif not slash:
        location = f"{project}/"
    return Target(Kind.PAGE, index, segments, slash, project=project, redirect=location)


def _file(index: str | None, segments: tuple[str, ...], name: str, filename: str) -> Target:
    try:
        project = normalize(name)
    except InvalidName:
        raise ProjectNotFound(name) from None
    if "/" in filename or "\\" in filename or not filename.isprintable():
        raise DistFileNotFound(name, filename)
    kind = Kind.FILE
    if filename.endswith(METADATA_SUFFIX):
        kind, filename = Kind.METADATA, filename.removesuffix(METADATA_SUFFIX)
    return Target(kind, index, segments, slash=False, project=project, filename=Filename(filename))


def _decode(part: str) -> str:
    try:
        text = unquote_to_bytes(part).decode("utf-8")
    except UnicodeDecodeError:
        raise NotFound("the path is not UTF-8") from None
    if "\x00" in text or "/" in text or text in {".", ".."}:
        raise NotFound(f"nothing here is called '{shown(text)}'")
    return text
