"""Asking a host's API over HTTP: pages of lists, conditional requests, downloads; nothing here knows what is in them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import anyio
import msgspec
from anyio import to_thread

from wheelyard import __version__
from wheelyard.errors import TagSourceError, shown
from wheelyard.storage.spool import Spool

if TYPE_CHECKING:
    import httpx2

_PAGE_BYTES = 32 * 1024 * 1024  # 100 releases with all their assets are about 2 MiB
_ANSWER_S = 60.0
_SILENCE_S = 20.0
_REDIRECTS = 5
_NEXT = re.compile(r'<([^<>]+)>\s*;[^,]*\brel="?next"?')
_REMEMBERED_BYTES = 64 * 1024 * 1024  # of answers kept to be asked for again by their ETag


class Api:
    """
    The API of one host, asked with one credential.

    Args:
        root: Its URL, without a slash at the end.
        headers: What every request to its own origin carries: the credential.
        client: Asks; stays the caller's to close.
        remembered: Answers by URL with their ETags, kept from one look to the next.

    Attributes:
        root: As given.
        client: As given.
    """

    def __init__(
        self,
        root: str,
        headers: Mapping[str, str],
        client: httpx2.AsyncClient,
        remembered: dict[str, tuple[str, bytes, str]],
    ) -> None:
        self.root = root
        self._headers = headers
        self.client = client
        self._remembered = remembered

    async def pages(self, path: str, *, limit: int, missing_is_empty: bool = False) -> AsyncIterator[Mapping[str, Any]]:
        """
        Yield the entries of a list, page after page.

        Args:
            path: Below the root, with its query.
            limit: Most pages that are read.
            missing_is_empty: Whether 404 means that there is nothing.
        Raises:
            TagSourceError: It cannot be asked, or answers nonsense.
        """
        url: str | None = self.root + path
        for _ in range(limit):
            if url is None:
                return
            answer = await self._get(url, missing_is_empty=missing_is_empty)
            if answer is None:
                return
            content, link = answer
            entries, following = _entries(content)
            for entry in entries:
                yield entry
            following = following or (found[1] if (found := _NEXT.search(link)) else None)
            url = None if following is None else self._next(url, following)
        if url is not None:
            raise TagSourceError(f"its list has more than {limit} pages")

    async def download(self, url: str, spool: Spool, *, limit_bytes: int) -> None:
        """
        Download a file into a spool, following redirects without the credential.

        Raises:
            TagSourceError: It cannot be had, or is larger than the limit.
        """
        import httpx2  # noqa: PLC0415  as in `_get`

        try:
            for _ in range(_REDIRECTS):
                request = self.client.build_request(
                    "GET", url, headers=self._headers_for(url, "application/octet-stream")
                )
                response = await self.client.send(request, stream=True, follow_redirects=False)
                try:
                    if response.is_redirect:
                        url = self._redirected(url, response.headers.get("location", ""))
                        continue
                    if response.status_code != HTTPStatus.OK:
                        raise TagSourceError(f"'{shown(urlsplit(url).path)}' was answered with {response.status_code}")
                    async for piece in response.aiter_bytes():
                        if spool.size + len(piece) > limit_bytes:
                            raise TagSourceError(f"'{shown(urlsplit(url).path)}' is larger than {limit_bytes} bytes")
                        await to_thread.run_sync(spool.write, piece)
                    return
                finally:
                    await response.aclose()
        except httpx2.HTTPError as error:
            raise TagSourceError(f"'{shown(urlsplit(url).path)}' cannot be downloaded: {_reason(error)}") from error
        raise TagSourceError(f"'{shown(urlsplit(url).path)}' is redirected more than {_REDIRECTS} times")

    async def _get(self, url: str, *, missing_is_empty: bool) -> tuple[bytes, str] | None:
        """Fetch one page and its `Link` header; None when there is none and that is fine."""
        import httpx2  # noqa: PLC0415  who asks no host never loads it

        known = self._remembered.get(url)
        headers = self._headers_for(url, "application/json") | ({} if known is None else {"If-None-Match": known[0]})
        request = self.client.build_request("GET", url, headers=headers)
        try:
            with anyio.fail_after(_ANSWER_S):
                response = await self.client.send(request, stream=True, follow_redirects=False)
                try:
                    content = await _read(response)
                finally:
                    await response.aclose()
        except (httpx2.HTTPError, TimeoutError) as error:
            raise TagSourceError(f"its API cannot be asked: {_reason(error)}") from error
        if response.status_code == HTTPStatus.NOT_MODIFIED and known is not None:
            return known[1], known[2]
        if response.status_code == HTTPStatus.NOT_FOUND and missing_is_empty:
            return None
        if response.status_code != HTTPStatus.OK:
            raise TagSourceError(_refusal(response.status_code, response.headers))
        link = response.headers.get("link", "")
        self._remember(url, response.headers.get("etag"), content, link)
        return content, link

    def _remember(self, url: str, etag: str | None, content: bytes, link: str) -> None:
        held = sum(len(entry[1]) for entry in self._remembered.values())
        if etag is not None and held + len(content) <= _REMEMBERED_BYTES:
            self._remembered[url] = (etag, content, link)

    def _headers_for(self, url: str, accept: str) -> dict[str, str]:
        own = {"Accept": accept, "User-Agent": f"wheelyard/{__version__}"}
        return own | (dict(self._headers) if _origin(url) == _origin(self.root) else {})

    def _next(self, url: str, following: str) -> str:
        following = urljoin(url, following)
        if _origin(following) != _origin(self.root):
            raise TagSourceError("the next page of its list is on another host, which is not followed")
        return following

    def _redirected(self, url: str, location: str) -> str:
        target = urljoin(url, location)
        if urlsplit(target).scheme != "https" and _origin(target) != _origin(self.root):
            raise TagSourceError("its download leads to an address that is not followed")
        return target


def _entries(content: bytes) -> tuple[list[Mapping[str, Any]], str | None]:
    """Return the entries of a page, and where the next page is when the page itself tells (Bitbucket)."""
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise TagSourceError("its API answered something that is no JSON") from error
    following = None
    if isinstance(document, dict):
        following = document.get("next")
        document = document.get("values")
    if not isinstance(document, list):
        raise TagSourceError("its API answered something that is no list")
    return [entry for entry in document if isinstance(entry, dict)], following if isinstance(following, str) else None


async def _read(response: httpx2.Response) -> bytes:
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > _PAGE_BYTES:
            raise TagSourceError(f"its API answered more than {_PAGE_BYTES} bytes")
    return bytes(content)


def _refusal(status: int, headers: Mapping[str, str]) -> str:
    if status in (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS) and (
        "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
    ):
        return "its API refuses more requests for a while; a credential raises its limit"
    if status == HTTPStatus.UNAUTHORIZED:
        return "its API does not accept the credential (401)"
    if status in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
        return f"there is nothing of that name, or the credential may not see it ({status})"
    return f"its API answered {status}"


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _reason(error: Exception) -> str:
    return shown(error) or type(error).__name__


def open_client() -> httpx2.AsyncClient:
    """Open the client that all hosts are asked with; the caller closes it."""
    import httpx2  # noqa: PLC0415  as above

    return httpx2.AsyncClient(timeout=httpx2.Timeout(_SILENCE_S), follow_redirects=False)
