"""
Asking GitHub over HTTP: the token to its own hosts only, rate limits waited out, retries where a question may be repeated.

Rule 1: the HTTP client is used here and nowhere else in this package.
Rule 2: a question that changes something is sent again only when it certainly was not carried out; else `LostAnswer`.
"""

from __future__ import annotations

import json as json_codec
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urljoin

import anyio
import structlog

from wheelyard import __version__
from wheelyard.backends.github.addresses import Addresses, origin_of, uploads_root
from wheelyard.backends.github.credentials import Credential, credential_of
from wheelyard.backends.github.failures import Answer, failure
from wheelyard.backends.github.limits import Patience, limit_of
from wheelyard.errors import StorageUnavailable, shown

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

_log = structlog.get_logger(__name__)

JSON: Final = "application/vnd.github+json"
"""What the API is asked for, unless a caller wants something else."""

OCTETS: Final = "application/octet-stream"
"""What an asset's own bytes are asked for with."""

PATIENCE_S: Final = 15 * 60.0  # longest wait for a rate limit while somebody waits for us; longer ones are told at once
_PASSING: Final = frozenset({500, 502, 503, 504})
_ATTEMPTS: Final = 4
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS: Final = 3
_TIMEOUT_S: Final = 30.0  # GitHub itself gives up after 10
_CONNECT_S: Final = 10.0
_UPLOAD_SILENCE_S: Final = 300.0  # an upload of 2 GiB is answered when GitHub has stored it
_LOUD_S: Final = 1.0


class LostAnswer(Exception):
    """
    A change was asked for and the answer did not come: it may have happened.

    Attributes:
        error: What to raise when it cannot be found out.
    """

    def __init__(self, error: StorageUnavailable) -> None:
        super().__init__(error.message)
        self.error = error


class _Passing(Exception):
    """Trouble that may be gone at the next attempt; nothing was carried out, or repeating does no harm."""

    def __init__(self, error: StorageUnavailable) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """
    One request.

    Attributes:
        method: HTTP method.
        url: Where.
        headers: Besides those every request has.
        body: The body; a function makes it anew for each attempt.
        expected: Statuses that are returned; others are raised.
        is_safe: Whether asking twice does no harm.
        resource: Which rate limit it counts for.
        is_write: Whether a refusal means that writing is not allowed.
        silence_s: Longest wait for a sign of life.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | Callable[[], AsyncIterator[bytes]] | None = None
    expected: frozenset[int] = frozenset({200})
    is_safe: bool = True
    resource: str = "core"
    is_write: bool = False
    silence_s: float = _TIMEOUT_S


class GitHubClient:
    """
    One repository, asked with one credential.

    Args:
        addresses: Where it is.
        secret: The admin secret of the index.
        index: Name of the index, for the log.
        patience_s: Longest wait for a rate limit.

    Attributes:
        addresses: As given.
        trouble: What kept the last question from being answered; None when it was.
    """

    def __init__(
        self, addresses: Addresses, secret: Mapping[str, str], *, index: str = "", patience_s: float = PATIENCE_S
    ) -> None:
        self.addresses = addresses
        self.trouble: str | None = None
        self._secret = secret
        self._index = index
        self._patience_s = patience_s
        self._patience = Patience()
        self._credential: Credential | None = None
        self._client: httpx2.AsyncClient | None = None
        self._uploads = addresses.uploads
        self._origins = {origin_of(addresses.api_url), origin_of(addresses.graphql)}
        if self._uploads is not None:
            self._origins.add(origin_of(self._uploads))

    @property
    def name(self) -> str:
        """The repository, for messages."""
        return f"{self.addresses.owner}/{self.addresses.repo}"

    def open(self) -> None:
        """
        Open the HTTP client; nothing is asked.

        Raises:
            StorageUnavailable: The admin secret cannot be used.
        """
        import httpx2  # noqa: PLC0415  who has no index at GitHub never loads it

        self._credential = credential_of(self._secret, self._make_token)
        self._client = httpx2.AsyncClient(
            http2=True, headers={"User-Agent": f"wheelyard/{__version__}"}, follow_redirects=False
        )

    async def close(self) -> None:
        """Close the HTTP client."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def waiting_s(self) -> float:
        """Return for how many seconds GitHub wants to be left alone."""
        return self._patience.longest_s()

    # -- questions -------------------------------------------------------------------------------------------------

    async def ask(
        self,
        method: str,
        path: str,
        *,
        json: object | None = None,
        accept: str = JSON,
        headers: Mapping[str, str] | None = None,
        expected: frozenset[int] = frozenset({200}),
        is_safe: bool | None = None,
    ) -> Answer:
        """
        Ask the repository's part of the API.

        Args:
            method: HTTP method.
            path: Below the repository, with its slash; or a whole URL.
            json: What to send.
            accept: What to ask for.
            headers: Further headers.
            expected: Statuses to return.
            is_safe: Whether asking twice does no harm; reading and removing never do.
        Raises:
            LostAnswer: It is not safe, and whether it happened is not known.
            StorageError: Any other answer, or none.
        """
        url = path if path.startswith("http") else self.addresses.repository + path
        return await self._patiently(
            Question(
                method=method,
                url=url,
                headers={"Accept": accept, **_body_headers(json), **(headers or {})},
                body=None if json is None else json_codec.dumps(json).encode(),
                expected=expected,
                is_safe=method in ("GET", "DELETE") if is_safe is None else is_safe,
                is_write=method != "GET",
            )
        )

    async def query(self, text: str, variables: Mapping[str, object], *, is_safe: bool) -> dict[str, Any]:
        """
        Ask GraphQL; its `errors` are the caller's to read.

        Raises:
            As `ask`.
        """
        body = {"query": text, "variables": variables}
        answer = await self._patiently(
            Question(
                method="POST",
                url=self.addresses.graphql,
                headers={"Accept": JSON, **_body_headers(body)},
                body=json_codec.dumps(body).encode(),
                is_safe=is_safe,
                resource="graphql",
                is_write=not is_safe,
            )
        )
        return answer.object()

    async def upload(
        self, path: str, body: Callable[[], AsyncIterator[bytes]], *, size: int, expected: frozenset[int]
    ) -> Answer:
        """
        Send an asset to the upload host; `learn_uploads` must have been told where that is, unless it is known.

        Raises:
            As `ask`.
        """
        if self._uploads is None:
            raise StorageUnavailable("it is not known where GitHub takes files", hint="Try again.")
        root = f"{self._uploads}{self.addresses.repository.removeprefix(self.addresses.api_url)}"
        headers = {"Accept": JSON, "Content-Type": OCTETS, "Content-Length": str(size)}
        return await self._patiently(
            Question(
                method="POST", url=root + path, headers=headers, body=body if size else b"", expected=expected,
                is_safe=False, is_write=True, silence_s=_UPLOAD_SILENCE_S,
            )
        )  # fmt: skip

    @property
    def knows_uploads(self) -> bool:
        """Whether it is known where assets are sent."""
        return self._uploads is not None

    def learn_uploads(self, upload_url: object) -> None:
        """Take the upload host from a release, as GitHub itself gave it."""
        root = uploads_root(upload_url) if isinstance(upload_url, str) else ""
        if self.addresses.is_trusted_upload(root):
            self._uploads = root
            self._origins.add(origin_of(root))

    @asynccontextmanager
    async def stream(self, path: str, *, accept: str = OCTETS) -> AsyncIterator[AsyncIterator[bytes]]:
        """
        Open bytes that GitHub sends itself or redirects to another host for; the token goes to GitHub only.

        Raises:
            StorageError: They could not be opened, or broke off.
        """
        question = Question(
            method="GET", url=self.addresses.repository + path, headers={"Accept": accept}, silence_s=_TIMEOUT_S
        )
        response = await self._limited(question, lambda: self._followed(question))
        try:
            yield self._pieces(response)
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    async def locate(self, path: str) -> str | None:
        """
        Return where GitHub redirects to for an asset's bytes; None when it sends them itself.

        Raises:
            StorageError: It could not be asked.
        """
        question = Question(method="GET", url=self.addresses.repository + path, headers={"Accept": OCTETS})
        response = await self._limited(question, lambda: self._opened(question))
        await response.aclose()
        return urljoin(question.url, response.headers["location"]) if response.status_code in _REDIRECTS else None

    async def ask_as(self, token: str, method: str, path: str, *, json: object | None = None) -> Answer:
        """
        Ask once with somebody else's token; any status is returned, a rate limit is not waited for.

        Raises:
            StorageUnavailable: No answer, or GitHub itself is in trouble.
        """
        url = path if path.startswith("http") else self.addresses.repository + path
        headers = {"Accept": JSON, "Authorization": f"Bearer {token}", **_body_headers(json)}
        body = None if json is None else json_codec.dumps(json).encode()
        question = Question(method=method, url=url, headers=headers, body=body)

        async def once() -> Answer:
            response = await self._hop(question, url, headers)
            return await self._whole(response, is_safe=True)

        answer = await self._again(once)
        if limit_of(answer.status, answer.headers, answer.content, attempt=0, now=time.time()) is not None:
            raise StorageUnavailable(
                "GitHub does not answer for this token until its rate limit is over", hint="Try again in a minute."
            )
        return answer

    # -- parts -----------------------------------------------------------------------------------------------------

    async def _patiently(self, question: Question) -> Answer:
        """Ask, and read the whole answer."""

        async def once() -> Answer:
            return await self._whole(await self._sent(question), is_safe=question.is_safe)

        def refused(answer: Answer) -> bool:
            if answer.status in _PASSING and answer.status not in question.expected:
                error = StorageUnavailable(f"GitHub answered {answer.status} for '{self.name}'", hint="Try again.")
                raise _Passing(error) if question.is_safe else LostAnswer(error)
            return False

        for attempt in range(_ATTEMPTS):
            await self._wait(question)

            async def checked() -> Answer:
                answer = await once()
                refused(answer)
                return answer

            answer = await self._reached(lambda: self._again(checked))
            limit = limit_of(answer.status, answer.headers, answer.content, attempt=attempt, now=time.time())
            if limit is not None:
                self._patience.note(question.resource, limit)
            elif answer.status == 401 and self._credential is not None and self._credential.forget():  # noqa: PLR2004
                continue
            elif answer.status in question.expected:
                return answer
            else:
                raise self._noted(failure(answer, repository=self.name, is_write=question.is_write))
        raise self._noted(self._limited_too_long())

    async def _limited(self, question: Question, opened: Callable[[], Awaitable[httpx2.Response]]) -> httpx2.Response:
        """Open an answer whose body is left to the caller."""
        for attempt in range(_ATTEMPTS):
            await self._wait(question)
            response = await self._reached(lambda: self._again(opened))
            if response.status_code == 200 or response.status_code in _REDIRECTS:  # noqa: PLR2004
                return response
            answer = await self._whole(response, is_safe=True)
            limit = limit_of(answer.status, answer.headers, answer.content, attempt=attempt, now=time.time())
            if limit is not None:
                self._patience.note(question.resource, limit)
            elif not (answer.status == 401 and self._credential is not None and self._credential.forget()):  # noqa: PLR2004
                raise self._noted(failure(answer, repository=self.name, is_write=False))
        raise self._noted(self._limited_too_long())

    async def _reached(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Remember whether GitHub could be asked."""
        try:
            result = await ask()
        except LostAnswer as lost:
            self.trouble = lost.error.message
            raise
        except StorageUnavailable as error:
            raise self._noted(error) from error.__cause__
        self.trouble = None
        return result

    def _noted(self, error: T) -> T:
        if isinstance(error, StorageUnavailable):
            self.trouble = error.message
        return error

    async def _wait(self, question: Question) -> None:
        """Wait until the rate limit lets us ask, if that is soon."""
        while (wait := self._patience.wait_s(question.resource)) > 0:
            if wait > self._patience_s:
                raise self._limited_too_long()
            if wait >= _LOUD_S:
                _log.warning("github-rate-limit", index=self._index, repository=self.name, wait_s=round(wait, 1))
            await anyio.sleep(wait)

    def _limited_too_long(self) -> StorageUnavailable:
        return StorageUnavailable(
            f"GitHub does not answer for '{self.name}' until its rate limit is over, in {self.waiting_s():.0f} seconds",
            hint="Try again then.",
        )

    async def _again(self, once: Callable[[], Awaitable[T]]) -> T:
        """Ask again while the trouble may be passing."""
        import stamina  # noqa: PLC0415  as the HTTP client

        retrying = stamina.retry_context(
            on=_Passing, attempts=_ATTEMPTS, timeout=None, wait_initial=0.1, wait_max=2.0, wait_jitter=0.2
        )
        try:
            async for attempt in retrying:
                with attempt:
                    return await once()
        except _Passing as trouble:
            raise trouble.error from trouble.__cause__
        raise AssertionError("a retry ends by returning or raising")

    async def _sent(self, question: Question) -> httpx2.Response:
        """Send a question with our token, and follow redirects inside GitHub's API (a repository was renamed)."""
        url = question.url
        for _ in range(_MAX_REDIRECTS):
            response = await self._hop(question, url, await self._authorized(question, url))
            target = _moved(response, url)
            if target is None or response.status_code in question.expected or origin_of(target) not in self._origins:
                return response
            await response.aclose()
            url = target
        return response

    async def _opened(self, question: Question) -> httpx2.Response:
        """Open an answer; only what GitHub is in passing trouble with is raised."""
        response = await self._hop(question, question.url, await self._authorized(question, question.url))
        return await self._passed(response)

    async def _followed(self, question: Question) -> httpx2.Response:
        """Open an answer where it is redirected to."""
        url, response = question.url, await self._opened(question)
        for _ in range(_MAX_REDIRECTS):
            target = _moved(response, url)
            if target is None:
                return response
            await response.aclose()
            url = target
            response = await self._passed(await self._hop(question, url, await self._authorized(question, url)))
            if response.status_code in (400, 401, 403, 404) and origin_of(url) not in self._origins:
                # Its short life was over before it was used: GitHub is asked for another one.
                await response.aclose()
                raise _Passing(StorageUnavailable(f"GitHub's file host answered {response.status_code}"))
        return response

    async def _passed(self, response: httpx2.Response) -> httpx2.Response:
        if response.status_code in _PASSING:
            await response.aclose()
            raise _Passing(StorageUnavailable(f"GitHub answered {response.status_code} for '{self.name}'"))
        return response

    async def _authorized(self, question: Question, url: str) -> dict[str, str]:
        """Return the headers of a question; the token only where it is for."""
        headers = dict(question.headers)
        if origin_of(url) in self._origins:
            headers["X-GitHub-Api-Version"] = "2022-11-28"
            token = None if self._credential is None else await self._credential.token()
            if token is not None:
                headers["Authorization"] = f"Bearer {token}"
        return headers

    async def _hop(self, question: Question, url: str, headers: Mapping[str, str]) -> httpx2.Response:
        """Send one request; troubles of the network are raised as what they mean for this question."""
        import httpx2  # noqa: PLC0415  as in `open`

        if self._client is None:
            raise StorageUnavailable(f"the storage at '{self.name}' is not open")
        body = question.body() if callable(question.body) else question.body
        timeout = httpx2.Timeout(question.silence_s, connect=_CONNECT_S)
        try:
            request = self._client.build_request(question.method, url, headers=headers, content=body, timeout=timeout)
            return await self._client.send(request, stream=True, auth=None, follow_redirects=False)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise _Passing(self._silent(error)) from error
        except httpx2.TransportError as error:
            if question.is_safe:
                raise _Passing(self._silent(error)) from error
            raise LostAnswer(self._silent(error)) from error

    async def _whole(self, response: httpx2.Response, *, is_safe: bool) -> Answer:
        import httpx2  # noqa: PLC0415  as in `open`

        try:
            content = await response.aread()
        except httpx2.TransportError as error:
            if is_safe:
                raise _Passing(self._silent(error)) from error
            raise LostAnswer(self._silent(error)) from error
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, content)

    async def _pieces(self, response: httpx2.Response) -> AsyncIterator[bytes]:
        import httpx2  # noqa: PLC0415  as in `open`

        try:
            async for piece in response.aiter_bytes():
                yield piece
        except httpx2.TransportError as error:
            raise self._silent(error) from error

    def _silent(self, error: Exception) -> StorageUnavailable:
        why = shown(error) or type(error).__name__
        return StorageUnavailable(f"GitHub did not answer for '{self.name}': {why}", hint="Try again in a minute.")

    async def _make_token(self, installation_id: str, signed: str) -> Mapping[str, object]:
        """Exchange an App's JWT for a token of its installation."""
        url = f"{self.addresses.api_url}/app/installations/{installation_id}/access_tokens"
        answer = await self.ask_as(signed, "POST", url, json={"repositories": [self.addresses.repo]})
        if answer.status != 201:  # noqa: PLR2004
            raise StorageUnavailable(
                f"GitHub gives no token to the App of this index: {shown(answer.message) or answer.status}",
                hint="An administrator should check `app_id`, `installation_id` and `private_key` in the admin secret.",
            )
        return answer.object()


def _moved(response: httpx2.Response, url: str) -> str | None:
    """Return where an answer redirects to; None when it is none, or leads nowhere."""
    location = response.headers.get("location")
    if response.status_code not in _REDIRECTS or not location:
        return None
    target = urljoin(url, location)
    try:
        origin_of(target)
    except ValueError:
        return None
    return target


def _body_headers(body: object | None) -> dict[str, str]:
    return {} if body is None else {"Content-Type": "application/json"}
