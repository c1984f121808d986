"""
Asking an upstream over HTTP: credentials to one origin only, redirects, retries, limits, and our errors for its failures.

Rule 1: the HTTP client is imported here and nowhere else in this part; who has no upstream never loads this module.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import anyio
import httpx2
import stamina

from wheelyard import __version__
from wheelyard.errors import (
    UpstreamError,
    UpstreamInvalid,
    UpstreamOffline,
    UpstreamRefused,
    UpstreamUnavailable,
    shown,
)
from wheelyard.index.upstream_address import UpstreamAddress, UpstreamLimits, redirect_target
from wheelyard.index.upstream_reach import Reach

_IDLE_CONNECTIONS = 20  # the client looks at each of them at each question, which is dearer than a new one now and then

T = TypeVar("T")

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({502, 503, 504})  # what a gateway says while what is behind it restarts
CONNECTIONS: Final = 100
"""Most connections to all hosts of one upstream together, as the client's own default."""


@dataclass(frozen=True, slots=True)
class Document:
    """
    A whole answer.

    Attributes:
        status: Of the last answer, after redirects.
        headers: By lower-case name.
        content: Decoded bytes.
        url: Where it came from, after redirects.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    url: str


class _PassingTrouble(Exception):
    """Something that may be gone at the next attempt; carries what to raise if it is not."""

    def __init__(self, error: UpstreamError) -> None:
        super().__init__(error.message)
        self.error = error


class UpstreamHttp:
    """
    One upstream, asked over HTTP.

    Args:
        address: Where it is.
        limits: What a question may cost.
        client: A client to use and leave open; None opens one of our own.
        transport: What our own client asks through; None for its usual one.
        offline: Whether nothing may be asked: every question fails at once.
        private_allowed: Whether its pages may name hosts of private networks though it is not in one itself.
    """

    def __init__(
        self,
        address: UpstreamAddress,
        limits: UpstreamLimits,
        *,
        client: httpx2.AsyncClient | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        offline: bool = False,
        private_allowed: bool = False,
    ) -> None:
        # Now, since it loads modules: the first retry may come when no file can be opened.
        stamina.instrumentation.get_on_retry_hooks()
        self._offline = offline
        self._reach = Reach(httpx2.URL(address.root).host, private_allowed=private_allowed)
        self._address = address
        self._limits = limits
        self._origin = _origin(httpx2.URL(address.root))
        self._is_ours = client is None
        self._client = client or httpx2.AsyncClient(
            transport=transport,
            http2=transport is None,
            headers={"User-Agent": f"wheelyard/{__version__}"},
            limits=httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=_IDLE_CONNECTIONS),
        )
        self._timeout = httpx2.Timeout(limits.silence_s, connect=limits.connect_s)

    async def close(self) -> None:
        """Close the client, if it is ours."""
        if self._is_ours:
            await self._client.aclose()

    async def get(self, url: str, headers: Mapping[str, str], *, limit_bytes: int) -> Document:
        """
        Fetch one document, whatever its status; gateway failures are retried.

        Raises:
            UpstreamUnavailable: It could not be had in time.
            UpstreamInvalid: It is larger than the limit, or nonsense at the level of HTTP.
        """

        async def once() -> Document:
            async with self._answer(url, headers) as response:
                content = await self._read(response, limit_bytes)
                return Document(response.status_code, _lower(response.headers), content, str(response.url))

        try:
            with anyio.fail_after(self._limits.answer_s):
                return await self._patiently(once)
        except TimeoutError:
            raise self.unavailable(f"it did not answer within {self._limits.answer_s:g} seconds") from None

    @asynccontextmanager
    async def stream(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[httpx2.Response]:
        """
        Open an answer for reading piece by piece; opening is retried, reading is not.

        Raises:
            UpstreamUnavailable: Could not be opened.
            UpstreamInvalid: Nonsense at the level of HTTP.
        """
        response = await self._patiently(lambda: self._open(url, headers))
        try:
            yield response
        finally:
            await response.aclose()

    async def pieces(self, response: httpx2.Response) -> AsyncIterator[bytes]:
        """
        Yield the raw bytes of an open answer.

        Raises:
            UpstreamUnavailable: It ended too early.
        """
        try:
            async for piece in response.aiter_raw():
                yield piece
        except httpx2.HTTPError as error:
            raise self.unavailable(f"its answer broke off: {_reason(error)}") from error

    def unavailable(self, why: str, *, hint: str | None = None) -> UpstreamUnavailable:
        """Make the error for an upstream that cannot be asked."""
        root = self._address.root
        return UpstreamUnavailable(f"upstream '{shown(root)}' is not available: {why}", upstream=root, hint=hint)

    def refused(self, status: int) -> UpstreamRefused:
        """Make the error for an upstream that does not take our credentials, or none."""
        root = self._address.root
        return UpstreamRefused(
            f"upstream '{shown(root)}' is not available: it refuses this server (status {status})",
            upstream=root,
            hint="An administrator should check the credentials this server has for it.",
        )

    def invalid(self, why: str) -> UpstreamInvalid:
        """Make the error for an upstream that answers nonsense."""
        root = self._address.root
        return UpstreamInvalid(f"upstream '{shown(root)}' gave no usable answer: {why}", upstream=root)

    # -- parts -----------------------------------------------------------------------------------------------------

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask again while the trouble may be passing, for a few seconds at most."""
        if self._offline:
            root = self._address.root
            raise UpstreamOffline(
                f"this server is offline: it has no copy of what was asked for, and does not ask '{shown(root)}'",
                upstream=root,
                hint="Fill the cache with `wheelyard warm` while the upstream can be reached.",
            )
        try:
            return await ask()
        except _PassingTrouble as trouble:
            return await self._again(ask, trouble)

    async def _again(self, ask: Callable[[], Awaitable[T]], first: _PassingTrouble) -> T:
        """Ask again after a first trouble; most questions have none, and need none of what this takes."""
        retrying = stamina.retry_context(
            on=_PassingTrouble,
            attempts=self._limits.attempts,
            timeout=self._limits.retry_s,
            wait_initial=0.1,
            wait_max=1.0,
            wait_jitter=0.1,
        )
        troubles = [first]
        try:
            async for attempt in retrying:
                with attempt:
                    if troubles:
                        raise troubles.pop()
                    return await ask()
        except _PassingTrouble as trouble:
            raise trouble.error from trouble.__cause__
        raise AssertionError("a retry ends by returning or raising")

    @asynccontextmanager
    async def _answer(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[httpx2.Response]:
        response = await self._open(url, headers)
        try:
            yield response
        finally:
            await response.aclose()

    async def _open(self, url: str, headers: Mapping[str, str]) -> httpx2.Response:
        """Send one question and follow redirects; the body of what is returned is still to be read."""
        for _ in range(self._limits.redirects + 1):
            response = await self._send(url, headers)
            if response.status_code in _PASSING:
                await response.aclose()
                raise _PassingTrouble(self.unavailable(f"it answered {response.status_code}"))
            if response.status_code not in _REDIRECTS:
                return response
            await response.aclose()
            target = redirect_target(url, response.headers.get("location", ""))
            if target is None:
                raise self.invalid(f"it redirects ({response.status_code}) to an address that is not followed")
            url = target
        raise self.invalid(f"it redirects more than {self._limits.redirects} times")

    async def _send(self, url: str, headers: Mapping[str, str]) -> httpx2.Response:
        try:
            request = self._client.build_request("GET", url, headers=headers, timeout=self._timeout)
            self._authorize(request)
            await self._check_reach(request)
            return await self._client.send(request, stream=True, auth=None, follow_redirects=False)
        except httpx2.TimeoutException as error:
            raise self.unavailable("it took too long to answer") from error
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise self.invalid("it leads to an address that cannot be asked") from error
        except httpx2.TransportError as error:
            raise self._trouble(error) from error

    def _authorize(self, request: httpx2.Request) -> None:
        """
        Put our credentials on questions to the upstream's own origin, and take any others off.

        The origin is taken from the request as the client understood it: that is where it will connect.
        """
        request.headers.pop("Authorization", None)
        if self._address.authorization is not None and _origin(request.url) == self._origin:
            request.headers["Authorization"] = self._address.authorization

    async def _check_reach(self, request: httpx2.Request) -> None:
        """Let no page of the upstream lead us into a network that it is not part of itself."""
        if not self._is_ours or _origin(request.url) == self._origin:
            return
        if not await self._reach.allows(request.url.host):
            raise self.invalid(f"it leads to '{shown(request.url.host)}', which is an address of a private network")

    async def _read(self, response: httpx2.Response, limit_bytes: int) -> bytes:
        too_large = f"its answer is larger than {limit_bytes} bytes"
        length = response.headers.get("content-length", "")
        if length.isdigit() and int(length[:20]) > limit_bytes:
            raise self.invalid(too_large)
        content = bytearray()
        try:
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > limit_bytes:
                    raise self.invalid(too_large)
        except httpx2.TimeoutException as error:
            raise self.unavailable("it fell silent in the middle of its answer") from error
        except httpx2.DecodingError as error:
            raise self.invalid("its answer is not encoded as it says") from error
        except httpx2.TransportError as error:
            raise self._trouble(error) from error
        return bytes(content)

    def _trouble(self, error: httpx2.TransportError) -> _PassingTrouble | UpstreamUnavailable:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            hint = "Install the certificate of its authority on this machine, or name its file in SSL_CERT_FILE."
            return self.unavailable("its certificate is not trusted", hint=hint)
        return _PassingTrouble(self.unavailable(_reason(error)))


def _origin(url: httpx2.URL) -> tuple[str, bytes, int]:
    return url.scheme, url.raw_host, url.port or {"http": 80, "https": 443}[url.scheme]


def _reason(error: Exception) -> str:
    return shown(error) or type(error).__name__


def _lower(headers: httpx2.Headers) -> Mapping[str, str]:
    return {name.lower(): value for name, value in headers.items()}
