"""
The listing endpoints of GitHub, GitLab, Gitea and Bitbucket over real HTTP: small, and as their documents describe them.

Pages, `Link` headers, Bitbucket's `next`, ETags with 304, 404 for what a credential may not see, downloads by redirect.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from plugins.git_repositories import serving


@dataclass
class Forge:
    """
    One host's API.

    Attributes:
        url: Where it answers, without a slash at the end.
        lists: Entries by path; a path that is not here is 404.
        files: Bytes by path; each is reached by a redirect from `/download` + path, too.
        authorization: The header that every request must carry; None for none.
        page_size: Entries on one page, whatever is asked for.
        requests: Path with query of each request, and its `Authorization`.
        statuses: Of each answer.
    """

    url: str = ""
    lists: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    authorization: str | None = None
    page_size: int = 2
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    elsewhere: str | None = None

    def paths(self) -> list[str]:
        """Return the path of each request."""
        return [urlsplit(path).path for path, _ in self.requests]


class _Handler(BaseHTTPRequestHandler):
    forge: Forge

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        forge, parts = self.forge, urlsplit(self.path)
        authorization = self.headers.get("Authorization")
        forge.requests.append((self.path, authorization))
        if parts.path in forge.files:
            self._answer(200, forge.files[parts.path], {"Content-Type": "application/octet-stream"})
        elif forge.authorization is not None and authorization != forge.authorization:
            self._answer(404, b'{"message": "Not Found"}')
        elif parts.path.startswith("/download/"):
            self._answer(
                302, b"", {"Location": f"{forge.elsewhere or forge.url}{parts.path.removeprefix('/download')}"}
            )
        elif parts.path in forge.lists:
            self._list(parts.path, parse_qs(parts.query))
        else:
            self._answer(404, b'{"message": "Not Found"}')

    def _list(self, path: str, query: dict[str, list[str]]) -> None:
        page = int(query.get("page", ["1"])[0])
        entries = self.forge.lists[path]
        size = self.forge.page_size
        shown = entries[(page - 1) * size : page * size]
        rest = {key: values[0] for key, values in query.items()} | {"page": str(page + 1)}
        following = (
            f"{self.forge.elsewhere or self.forge.url}{path}?{urlencode(rest)}" if page * size < len(entries) else None
        )
        if path.startswith("/repositories/"):
            document = {"values": shown, "pagelen": size} | ({} if following is None else {"next": following})
            self._answer(200, json.dumps(document).encode())
            return
        content = json.dumps(shown).encode()
        etag = f'W/"{hashlib.sha256(content + (following or "").encode()).hexdigest()}"'
        if self.headers.get("If-None-Match") == etag:
            self._answer(304, b"", {"ETag": etag})
            return
        link = {} if following is None else {"Link": f'<{following}>; rel="next", <{self.forge.url}{path}>; rel="last"'}
        self._answer(200, content, {"ETag": etag} | link)

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.forge.statuses.append(status)
        self.send_response(status)
        for name, value in (headers or {"Content-Type": "application/json"}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def forge() -> Iterator[Forge]:
    """An empty host."""
    forge = Forge()
    with serving(type("Handler", (_Handler,), {"forge": forge})) as url:
        forge.url = url
        yield forge
