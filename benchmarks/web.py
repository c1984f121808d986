"""Asking a server by hand: one kept connection, and the links of a page. What is timed by wrk is looked at with this first."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from benchmarks.place import BenchError

HTML = "text/html"
JSON = "application/vnd.pypi.simple.v1+json"
TIMEOUT_S = 60.0
Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; header names in lower case."""

    status: int
    headers: Headers
    body: bytes


class Connection:
    """
    One kept connection.

    Args:
        origin: Scheme, host and port.
        headers: Sent with each request.
    """

    def __init__(self, origin: str, headers: Headers | None = None) -> None:
        parts = urlsplit(origin)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        self._headers = dict(headers or {})

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self._connection.close()

    def get(self, path: str, headers: Headers | None = None) -> Answer:
        """Ask once; a server that closed the kept connection is asked again."""
        return self.send("GET", path, headers)

    def send(self, method: str, path: str, headers: Headers | None = None, body: bytes | None = None) -> Answer:
        """Send any request."""
        for attempt in range(2):
            try:
                self._connection.request(method, path, body, {**self._headers, **(headers or {})})
                answer = self._connection.getresponse()
                return Answer(
                    answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
                )
            except (http.client.HTTPException, ConnectionError):
                self._connection.close()
                if attempt:
                    raise
        raise AssertionError

    def get_ok(self, path: str, headers: Headers | None = None) -> Answer:
        """
        Ask, following redirects on the same server.

        Raises:
            BenchError: The answer is not 200.
        """
        for _ in range(5):
            answer = self.get(path, headers)
            if answer.status not in (301, 302, 303, 307, 308):
                break
            path = path_of(urljoin(path, answer.headers["location"]))
        if answer.status != http.HTTPStatus.OK:
            raise BenchError(f"'{path}' is answered with {answer.status}: {answer.body[:200]!r}")
        return answer


def basic(user: str, password: str, *, scheme: str = "Basic") -> str:
    """Return the value of an `Authorization` header."""
    return f"{scheme} {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def path_of(url: str) -> str:
    """Return the path of a URL as it is requested."""
    parts = urlsplit(urldefrag(url).url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


@dataclass(frozen=True, slots=True)
class Link:
    """
    One file as a page lists it.

    Attributes:
        filename: Its name.
        path: Request target.
        size: Bytes; None when the page does not tell.
        metadata: Whether `<path>.metadata` is there.
    """

    filename: str
    path: str
    size: int | None
    metadata: bool


def links(page: Answer, path: str) -> list[Link]:
    """Return the files (of a project page) or the projects (of the list, with their names) that a page links."""
    if "json" in page.headers.get("content-type", ""):
        return _json_links(json.loads(page.body), path)
    parser = _Anchors()
    parser.feed(page.body.decode())
    return [
        Link(
            filename=text.strip() or unquote(path_of(href).rstrip("/").rpartition("/")[2]),
            path=path_of(urljoin(path, href)),
            size=None,
            metadata="data-core-metadata" in attributes or "data-dist-info-metadata" in attributes,
        )
        for href, attributes, text in parser.found
    ]


def _json_links(document: dict[str, list[dict[str, object]]], path: str) -> list[Link]:
    if "projects" in document:
        names = [str(project["name"]) for project in document["projects"]]
        return [Link(name, f"{path}{name}/", None, metadata=False) for name in names]
    return [
        Link(
            filename=str(file["filename"]),
            path=path_of(urljoin(path, str(file["url"]))),
            size=size if isinstance(size := file.get("size"), int) else None,
            metadata=bool(file.get("core-metadata") or file.get("dist-info-metadata")),
        )
        for file in document["files"]
    ]


class _Anchors(HTMLParser):
    """Collects anchors: target, attributes, text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], str]] = []
        self._open: tuple[str, dict[str, str | None]] | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a" and (href := dict(attrs).get("href")):
            self._open, self._text = (href, dict(attrs)), ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._open is not None:
            self.found.append((*self._open, self._text))
            self._open = None
