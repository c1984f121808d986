"""The double itself: its state, its three hosts, and the way of a request through it."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Literal, NamedTuple

from wheelyard.testing.fake_github import endpoints, routing
from wheelyard.testing.fake_github.call import Call
from wheelyard.testing.fake_github.description import Description
from wheelyard.testing.fake_github.limits import Limits
from wheelyard.testing.fake_github.model import Token
from wheelyard.testing.fake_github.population import Population
from wheelyard.testing.fake_github.signatures import credential_in, looks_signed
from wheelyard.testing.fake_github.switches import Switches
from wheelyard.testing.fake_github.wire import Answer, Listener, Refused, Request, json_answer, not_found

Base = Literal["github.com", "ghes"]
_HOSTS = ("api", "uploads", "assets")
_OF_APPS = re.compile(r"/app(/.*)?$|/installation$")  # what apps ask for in their own name
_READS = ("GET", "HEAD")
GHES_VERSION = "3.19.1"


class Called(NamedTuple):
    """One request that was answered."""

    method: str
    host: str
    path: str
    status: int


class FakeGitHub(Population):
    """
    A GitHub of one's own: stateful, on real sockets, as strict and as troublesome as the real one.

        with FakeGitHub.serve() as github:
            token = github.user("ana")
            store = github.repository("ana/packages")
            ...  # requests to github.api_url
            assert store.files("index") == {...}

    Args:
        base: `github.com`, or `ghes` for the paths of GitHub Enterprise Server.
        clock: Seconds since 1970; tests that let links and tokens expire move it.
        description: GitHub's own description, which every answer is checked against; None finds it where the set-up left it.

    Attributes:
        accounts: People and organisations by lower-case login.
        tokens: By value.
        apps: By number.
        repositories: By lower-case full name.
        switches: The troubles.
        limits: The hourly limits.
        calls: Every request with its answer's status, oldest first.
        violations: What GitHub's own description finds wrong with answers of the double; those were sent as 500.
        bad_requests: What it finds wrong with requests; a client of GitHub should have none.
        lock: Held while a request changes anything; reentrant.
    """

    def __init__(
        self,
        *,
        base: Base = "github.com",
        clock: Callable[[], float] = time.time,
        description: Description | None = None,
    ) -> None:
        endpoints.register()
        super().__init__(clock)
        self.base = base
        self.description = description if description is not None else Description.found(base)
        self.switches = Switches()
        self.limits = Limits()
        self.calls: list[Called] = []
        self.violations: list[str] = []
        self.bad_requests: list[str] = []
        self.lock = threading.RLock()
        self.signing_key = secrets.token_bytes(32)
        self._ports: dict[str, int] = {}
        self._listeners: dict[str, Listener] = {}

    # --- where it answers -------------------------------------------------------------------------------------------

    @classmethod
    @contextmanager
    def serve(
        cls,
        *,
        base: Base = "github.com",
        clock: Callable[[], float] = time.time,
        ports: tuple[int, int, int] = (0, 0, 0),
    ) -> Iterator[FakeGitHub]:
        """Serve one on 127.0.0.1 for as long as the context is entered; ports are of api, uploads and assets."""
        github = cls(base=base, clock=clock)
        with ExitStack() as stack:
            github.start(ports)
            stack.callback(github.stop)
            yield github

    def start(self, ports: tuple[int, int, int] = (0, 0, 0)) -> None:
        """Answer; after `stop` on the same ports as before."""
        for host, port in zip(_HOSTS, ports, strict=True):
            listener = Listener(host, self.handle, port=self._ports.get(host, port))
            self._ports[host] = listener.server_port
            self._listeners[host] = listener
        for listener in self._listeners.values():
            listener.start()

    def stop(self) -> None:
        """Answer no more: connections are cut, and new ones refused until `start`."""
        for listener in self._listeners.values():
            listener.stop()
        self._listeners.clear()

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """No connection is taken for as long as this is entered; what is known stays."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def _host_url(self, host: str) -> str:
        return f"http://127.0.0.1:{self._ports[host]}"

    @property
    def api_url(self) -> str:
        """Where REST is, without a slash at the end."""
        return self._host_url("api") + ("/api/v3" if self.base == "ghes" else "")

    @property
    def graphql_url(self) -> str:
        """Where GraphQL is."""
        return self._host_url("api") + ("/api/graphql" if self.base == "ghes" else "/graphql")

    @property
    def uploads_url(self) -> str:
        """Where assets are uploaded; clients are to take it from a release."""
        return self._host_url("uploads") + ("/api/uploads" if self.base == "ghes" else "")

    @property
    def assets_url(self) -> str:
        """Where signed links lead."""
        return self._host_url("assets")

    @property
    def web_url(self) -> str:
        """What stands for the pages of github.com."""
        return self.assets_url + "/web"

    # --- the way of a request ---------------------------------------------------------------------------------------

    def handle(self, request: Request) -> Answer:
        """Answer one request; called by the listeners in their threads."""
        if self.switches.slow_s:
            time.sleep(self.switches.slow_s)  # the test asks for it
        with self.lock:
            answer = self._answer(request)
            self.calls.append(Called(request.method, request.host, request.path, answer.status))
        return answer

    def _answer(self, request: Request) -> Answer:
        if self.switches.down == "cut":
            return Answer(status=503, drop=True)
        if self.switches.down == "503":
            return Refused(503, "Service unavailable").answer()
        if request.host == "assets":
            return self._routed(Call(self, request, None), request.path)
        path = self._local_path(request)
        try:
            token = self._token(request)
        except Refused as refused:
            return self._finished(refused.answer(), request)
        call = Call(self, request, token)
        answer = self._limited(call, path)
        if request.method not in _READS and self.switches.drop_answer_path in path and answer.status < 300:  # noqa: PLR2004
            answer.drop = self.switches.take("drop_answer_after_commit")
        return answer

    def _local_path(self, request: Request) -> str:
        """The path as on github.com."""
        if self.base == "ghes":
            for prefix in ("/api/v3", "/api/uploads"):
                if request.path.startswith(prefix + "/"):
                    return request.path.removeprefix(prefix)
            return "/graphql" if request.path == "/api/graphql" else "/outside" + request.path
        return request.path

    def _token(self, request: Request) -> Token | None:
        """
        The token that came; None when none did, or an app's own signature, which its endpoints check.

        Raises:
            Refused: It is unknown, revoked or out of date.
        """
        value = credential_in(request.headers.get("authorization"))
        if value is None:
            return None
        token = self.tokens.get(value)
        if token is None and looks_signed(value) and _OF_APPS.search(request.path):
            return None
        if token is None or token.revoked or (token.expires is not None and token.expires <= self.now()):
            raise Refused(401, "Bad credentials")
        return token

    def _limited(self, call: Call, path: str) -> Answer:
        window = self.limits.window(call.token, "graphql" if path == "/graphql" else "core", self.clock())
        if failure := self.switches.take_failure(call.request.method, path):
            refused = Refused(failure.status, failure.message, headers=failure.headers)
            return self._finished(refused.answer(), call.request, call, window.headers())
        if window.remaining == 0 and self.base != "ghes":
            who = f"user ID {self.accounts[call.person.lower()].id}" if call.person else "installation"
            refused = Refused(403, f"API rate limit exceeded for {who}.")
            return self._finished(refused.answer(), call.request, call, window.headers())
        answer = self._routed(call, path)
        free = path == "/rate_limit" or self._not_modified(call, answer)
        window.used += not free
        return self._finished(answer, call.request, call, window.headers())

    def _routed(self, call: Call, path: str) -> Answer:
        found = routing.find(call.request.method, call.request.host, path)
        if found is None or (self.base == "ghes" and "immutable-releases" in str(found[0].operation)):
            return not_found().answer()
        route, call.params = found
        try:
            answer = route.handler(call)
        except Refused as refused:
            answer = refused.answer()
        return self._checked(route, call, answer)

    def _checked(self, route: routing.Route, call: Call, answer: Answer) -> Answer:
        if not self.description or route.operation is None:
            return answer
        self.bad_requests += self.description.wrong_in_request(route.operation, call.request)
        wrong = self.description.wrong_in_answer(route.operation, answer)
        if not wrong:
            return answer
        self.violations += [f"{call.request.method} {call.request.path}: {each}" for each in wrong]
        return json_answer({"message": "the double broke GitHub's description", "errors": wrong}, status=500)

    def _not_modified(self, call: Call, answer: Answer) -> bool:
        """Turn an answer the client has already into a 304; whether it was one that costs nothing."""
        if call.request.method not in _READS or answer.status != 200:  # noqa: PLR2004
            return False
        who = call.token.value if call.token else ""
        tag = answer.etag or f'W/"{hashlib.sha256(who.encode() + answer.body).hexdigest()}"'
        answer.headers |= {
            "etag": tag,
            "cache-control": "private, max-age=60, s-maxage=60",
            "vary": "Accept, Authorization",
        }
        wanted = [each.strip().removeprefix("W/") for each in call.request.headers.get("if-none-match", "").split(",")]
        if tag.removeprefix("W/") not in wanted:
            return False
        answer.status, answer.body = 304, b""
        answer.headers.pop("content-type", None)
        return call.token is not None

    def _finished(
        self,
        answer: Answer,
        request: Request,
        call: Call | None = None,
        limits: Mapping[str, str] | None = None,
    ) -> Answer:
        """Add the headers every answer has; those an answer brings itself win."""
        headers = {"x-github-request-id": secrets.token_hex(8).upper(), "x-github-media-type": "github.v3; format=json"}
        if self.base == "ghes":
            headers["x-github-enterprise-version"] = GHES_VERSION
        elif limits is not None and request.host == "api":
            headers |= limits
        if call is not None and call.token is not None:
            if call.token.is_scoped:
                headers |= {"x-oauth-scopes": ", ".join(sorted(call.token.scopes)), "x-accepted-oauth-scopes": "repo"}
            else:
                headers["x-accepted-github-permissions"] = call.permission
        answer.headers = {**headers, **answer.headers}
        return answer
