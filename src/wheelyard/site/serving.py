"""
A static index served on this machine as a plain file server would, with each request explained.

`answer` decides what a request gets and what to say about it; the rest only carries it out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from wheelyard.errors import InvalidName, NotAcceptable, shown
from wheelyard.protocol.names import normalize
from wheelyard.protocol.negotiation import Representation, negotiate
from wheelyard.site import layout
from wheelyard.site.destination import Content

_JSON: Final = Representation.JSON.value
_FILE_ENDINGS: Final = (".whl", ".tar.gz", ".zip")
_TYPES: Final = {
    ".html": Content.HTML,
    ".v1_json": Content.JSON,
    ".js": Content.SCRIPT,
    ".css": Content.STYLE,
    ".metadata": Content.METADATA,
}
_PIECE_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Served:
    """
    What a request gets.

    Attributes:
        status: Of the answer.
        path: The file to send; None for none.
        media_type: Of the file.
        location: Where a redirect leads.
        hint: What went wrong at the client or in the site; "" when nothing did.
    """

    status: int
    path: Path | None = None
    media_type: str = "text/plain; charset=utf-8"
    location: str | None = None
    hint: str = ""


def answer(folder: Path, target: str, accept: str | None) -> Served:
    """
    Decide what a request gets from a folder, as from a plain file server.

    Args:
        folder: The site.
        target: Path and query of the request.
        accept: Its `Accept` header.
    """
    raw = urlsplit(target).path
    segments = [unquote(each) for each in raw.split("/")[1:]]
    if not raw.startswith("/") or any(each in (".", "..") or "/" in each or "\0" in each for each in segments):
        return Served(404, hint="such a path is in no site")
    path = folder.joinpath(*segments)
    status = _status(path)
    if status is None or not _is_below(path, folder):
        return _missing(folder, segments, raw)
    if stat.S_ISDIR(status.st_mode):
        if not raw.endswith("/"):
            # A path that begins with two slashes would be another host.
            location = "/" + quote("/".join(segments).lstrip("/")) + "/"
            return Served(301, location=location, hint="the slash at the end is missing: not every host sends it after")
        return _page(path, segments, accept)
    if not stat.S_ISREG(status.st_mode):
        return _missing(folder, segments, raw)
    return Served(200, path, _media_type(path))


def _page(path: Path, segments: list[str], accept: str | None) -> Served:
    page = path / layout.HTML_NAME
    if _status(page) is None:
        return Served(
            404, hint=f"this folder has no '{layout.HTML_NAME}': the site was not built by `wheelyard site build`"
        )
    return Served(200, page, Content.HTML.media_type, hint=_spelling_hint(segments) or _type_hint(accept))


def _missing(folder: Path, segments: list[str], raw: str) -> Served:
    page = folder / "404.html"
    hint = _spelling_hint(segments) or _missing_hint(folder, segments, raw)
    is_there = _status(page) is not None
    return Served(
        404, page if is_there else None, Content.HTML.media_type if is_there else Served(404).media_type, hint=hint
    )


def _spelling_hint(segments: list[str]) -> str:
    """Tell whether a project is asked for by another name than its own."""
    name = segments[1] if len(segments) > 1 and segments[0] == "simple" else ""
    try:
        right = normalize(name) if name and name not in (layout.HTML_NAME, layout.JSON_NAME) else name
    except InvalidName:
        return f"'{shown(name)}' is no project name"
    return "" if right == name else f"the name is not normalised: ask for '{right}' (PEP 503)"


def _missing_hint(folder: Path, segments: list[str], raw: str) -> str:
    last = segments[-1] if segments else ""
    if last.endswith(".metadata") and _status(folder.joinpath(*segments).with_name(last.removesuffix(".metadata"))):
        return "the page lists metadata that is not there: build the site again with --full"
    if last.endswith(_FILE_ENDINGS):
        return "the file is not there: it was removed since the client read the page, or was not copied with the site"
    if segments[0] != "simple" and (folder / "simple" / segments[0]).is_dir():
        return f"the index is below 'simple': use --index-url http://HOST/simple/, not '{shown(raw)}'"
    if segments[0] == "simple" and len(segments) > 1:
        return f"this index has no project '{shown(segments[1])}'; with an extra index the client looks there"
    return ""


def _type_hint(accept: str | None) -> str:
    """Tell whether a client would not take what plain files can give: HTML, whatever was asked for."""
    try:
        chosen = negotiate(accept)
        takes_html = chosen is not Representation.JSON or "html" in (accept or "") or "*/*" in (accept or "")
    except NotAcceptable:
        takes_html = False
    if takes_html:
        return ""
    return f"the client takes {shown(accept)} only; plain files are sent as text/html, or have the host send '{layout.JSON_NAME}'"


def _media_type(path: Path) -> str:
    return _TYPES.get(path.suffix, Content.FILE).media_type


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (OSError, ValueError):
        return None


def _is_below(path: Path, folder: Path) -> bool:
    """Tell whether a path stays in the folder when its links are followed; the files of a site are no links."""
    return path.resolve().is_relative_to(folder.resolve())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SiteServer

    def do_GET(self) -> None:
        """Answer with a body."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self._answer(with_body=False)

    def do_POST(self) -> None:
        """Refuse: uploads, and the search that pip once had."""
        told = Served(405, hint="a static index takes no uploads and answers no searches: publish, then build again")
        self.close_connection = True
        self._send(told, with_body=True)

    do_PUT = do_DELETE = do_POST  # noqa: N815  as above

    def log_message(self, format: str, *arguments: object) -> None:
        """Keep quiet: each request is told in our own words."""

    def _answer(self, *, with_body: bool) -> None:
        self._send(answer(self.server.folder, self.path, self.headers.get("Accept")), with_body=with_body)

    def _send(self, told: Served, *, with_body: bool) -> None:
        body = None if told.path is None else told.path.open("rb")
        try:
            text = (told.hint or HTTPStatus(told.status).phrase).encode() + b"\n"
            length = len(text) if body is None else os.fstat(body.fileno()).st_size
            self.send_response(told.status)
            self.send_header("Content-Type", told.media_type)
            self.send_header("Content-Length", str(length))
            if told.location is not None:
                self.send_header("Location", told.location)
            if told.status == HTTPStatus.METHOD_NOT_ALLOWED:
                self.send_header("Allow", "GET, HEAD")
            self.end_headers()
            self._tell(told, length)
            if with_body and body is None:
                self.wfile.write(text)
            while with_body and body is not None and (piece := body.read(_PIECE_BYTES)):
                self.wfile.write(piece)
        finally:
            if body is not None:
                body.close()

    def _tell(self, told: Served, length: int) -> None:
        agent = (self.headers.get("User-Agent") or "").partition(" ")[0].partition("{")[0]
        media_type = told.media_type.partition(";")[0]
        line = f"{self.command} {shown(self.path)} -> {told.status} {media_type}, {length} bytes"
        self.server.say(line + (f"  [{shown(agent)}]" if agent else ""))
        if told.hint:
            self.server.say(f"    hint: {told.hint}")


class SiteServer(ThreadingHTTPServer):
    """
    Serves a site, for looking at it.

    Args:
        folder: The site.
        address: Where to listen.
        say: Is told of each request, a line at a time.
    """

    daemon_threads = True

    def __init__(self, folder: Path, address: tuple[str, int], say: Callable[[str], None]) -> None:
        self.folder = folder
        self.say = say
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that leave in the middle of an answer."""
        del request, client_address


def serve_folder(folder: Path, host: str, port: int, *, say: Callable[[str], None]) -> None:
    """
    Serve a site until interrupted.

    Args:
        folder: The site.
        host: Address to listen on.
        port: Port; 0 for any.
        say: Is told where it listens, and of each request.
    Raises:
        OSError: It cannot listen there.
        KeyboardInterrupt: It was interrupted.
    """
    with SiteServer(folder, (host, port), say) as server:
        url = f"http://{host}:{server.server_address[1]}"
        say(f"serving '{folder}' at {url}/")
        say(f"pip install --index-url {url}/simple/ PROJECT")
        server.serve_forever()
