"""The double itself: its state, its three hosts, and the way of a request through it."""

from __future__ import annotations

import hashlib
import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from wheelyard.testing.fake_github import endpoints, routing
from wheelyard.testing.fake_github.call import Call
from wheelyard.testing.fake_github.description import Description
from wheelyard.testing.fake_github.limits import Limits
from wheelyard.testing.fake_github.model import Account, App, Kind, Repository, Role, Token
from wheelyard.testing.fake_github.switches import Switches
from wheelyard.testing.fake_github.wire import Answer, Listener, Refused, Request, json_answer, not_found

Base = Literal["github.com", "ghes"]
_HOSTS = ("api", "uploads", "assets")
_PREFIXES: Mapping[Kind, str] = {
    "classic": "ghp_",
    "fine-grained": "github_pat_",
    "oauth": "gho_",
    "app-user": "ghu_",
    "installation": "ghs_",
    "actions": "ghs_",
}
_READS = ("GET", "HEAD")
_FIRST_ID = 1000
GHES_VERSION = "3.19.1"


class Called(NamedTuple):
    """One request that was answered."""

    method: str
    host: str
    path: str
    status: int


class FakeGitHub:
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
        self.base = base
        self.clock = clock
        self.description = description if description is not None else Description.found(base)
        self.accounts: dict[str, Account] = {}
        self.tokens: dict[str, Token] = {}
        self.apps: dict[int, App] = {}
        self.repositories: dict[str, Repository] = {}
        self.switches = Switches()
        self.limits = Limits()
        self.calls: list[Called] = []
        self.violations: list[str] = []
        self.bad_requests: list[str] = []
        self.lock = threading.RLock()
        self.signing_key = secrets.token_bytes(32)
        self._ids = itertools.count(_FIRST_ID)
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

    # --- who and what there is --------------------------------------------------------------------------------------

    def new_id(self) -> int:
        """A number nothing else has."""
        return next(self._ids)

    def now(self) -> datetime:
        """The time by its clock."""
        return datetime.fromtimestamp(self.clock(), UTC)

    def user(self, login: str) -> str:
        """A person; gives a classic token with the scopes `repo` and `workflow`."""
        self._account(login)
        return self.token(login)

    def organization(self, name: str, *, members: Mapping[str, str] | None = None, sso: bool = False) -> Account:
        """An organisation; members are `member` or `admin`, admins have every repository."""
        account = self._account(name)
        account.kind, account.sso = "Organization", sso
        for login, role in (members or {}).items():
            self._account(login)
            account.members[login] = role
        return account

    def _account(self, login: str) -> Account:
        return self.accounts.setdefault(login.lower(), Account(id=self.new_id(), login=login))

    def token(
        self,
        login: str | None = None,
        kind: Kind = "classic",
        *,
        scopes: tuple[str, ...] = ("repo", "workflow"),
        permissions: Mapping[str, str] | None = None,
        repositories: tuple[str, ...] | None = None,
        expires: datetime | None = None,
        sso: bool = False,
        app_id: int | None = None,
        installation_id: int | None = None,
    ) -> str:
        """
        A token; gives its value.

        Args:
            login: Whose; None with `installation` and `actions`.
            kind: Classic and OAuth tokens have scopes, the others permissions.
            scopes: Of classic and OAuth tokens.
            permissions: Of the others; `{"contents": "read"}` when not told.
            repositories: Full names it is good for; None for all. A workflow's token needs exactly one.
            expires: None for an hour with `installation` and `actions`, and never with the others.
            sso: Whether it went through a single sign-on.
            app_id: The app behind it.
            installation_id: The installation behind it; its requests are counted together.
        """
        if login is not None:
            self._account(login)
        scoped = kind in ("classic", "oauth")
        if kind == "installation":  # today's are long and hold a signed part; nobody may count on 40 letters
            value = f"ghs_{app_id or 1}_{secrets.token_urlsafe(60)}.{secrets.token_urlsafe(240)}.{secrets.token_urlsafe(64)}"
        else:
            value = _PREFIXES[kind] + secrets.token_hex(18 if kind != "fine-grained" else 41)
        self.tokens[value] = Token(
            value=value,
            kind=kind,
            login=login,
            scopes=frozenset(scopes) if scoped else frozenset(),
            permissions={} if scoped else dict(permissions if permissions is not None else {"contents": "read"}),
            repositories=None if repositories is None else frozenset(self._number(name) for name in repositories),
            expires=expires or (self.now() + timedelta(hours=1) if kind in ("installation", "actions") else None),
            sso=sso,
            app_id=app_id,
            installation_id=installation_id,
        )
        return value

    def _number(self, full_name: str) -> int:
        return self.repositories[full_name.lower()].id

    def revoke(self, token: str) -> None:
        """Make a token worthless from now on."""
        self.tokens[token].revoked = True

    def repository(
        self,
        full_name: str,
        *,
        private: bool = True,
        default_branch: str = "main",
        collaborators: Mapping[str, Role] | None = None,
        empty: bool = False,
    ) -> Repository:
        """A repository, with a first commit unless it is to be empty; its owner and collaborators are made when missing."""
        owner, _, name = full_name.partition("/")
        account = self._account(owner)
        for login in collaborators or {}:
            self._account(login)
        made = Repository(
            id=self.new_id(),
            owner=account.login,
            name=name,
            private=private,
            default_branch=default_branch,
            created=self.now(),
            collaborators=dict(collaborators or {}),
        )
        self.repositories[full_name.lower()] = made
        if not empty:
            made.commit({"README.md": f"# {name}\n".encode()}, message="Initial commit", author=owner, when=self.now())
        return made

    def role(self, login: str | None, repository: Repository) -> Role:
        """What a person may do in a repository."""
        if login is None:
            return "none"
        owner = self.accounts[repository.owner.lower()]
        if login.lower() == repository.owner.lower() or owner.members.get(login) == "admin":
            return "admin"
        known = {name.lower(): role for name, role in repository.collaborators.items()}
        return known.get(login.lower(), "none" if repository.private else "pull")

    def app(self, app_id: int | None = None, *, public_key: str | None = None) -> App:
        """A GitHub App; without a public key (PEM) it gets a pair of its own."""
        from wheelyard.testing.fake_github.signatures import new_key_pair  # noqa: PLC0415  loads cryptography

        private: str | None = None
        if public_key is None:
            private, public_key = new_key_pair()
        number = app_id or self.new_id()
        self.apps[number] = App(id=number, slug=f"app-{number}", public_key=public_key, private_key=private)
        return self.apps[number]

    def install(
        self,
        app: App,
        account: str,
        *,
        permissions: Mapping[str, str] | None = None,
        repositories: tuple[str, ...] | None = None,
    ) -> int:
        """Install an app on an account; gives the installation's number. None as repositories are all of them."""
        from wheelyard.testing.fake_github.model import Installation  # noqa: PLC0415

        number = self.new_id()
        app.installations[number] = Installation(
            id=number,
            account=self._account(account).login,
            permissions=dict(permissions or {"contents": "write", "metadata": "read"}),
            repositories=None if repositories is None else frozenset(self._number(name) for name in repositories),
        )
        return number

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
        from wheelyard.testing.fake_github.signatures import credential_in  # noqa: PLC0415

        value = credential_in(request.headers.get("authorization"))
        if value is None:
            return None
        token = self.tokens.get(value)
        if token is None and value.count(".") == 2 and request.path.rpartition("/api/v3")[2].startswith("/app"):  # noqa: PLR2004
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
