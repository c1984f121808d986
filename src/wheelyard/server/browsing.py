"""
Pages for people: `/login/`, `/logout/`, `/`, `/project/<project>/`, and errors that a browser meets.

Every page works without JavaScript. A login is a server-side session; its cookie is useless to other sites.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import quote

from anyio import to_thread

from wheelyard.auth.access import Access, Principal
from wheelyard.auth.credentials import Credential
from wheelyard.errors import (
    CredentialsMissing,
    CredentialsWrong,
    InvalidName,
    MethodNotAllowed,
    NotFound,
    ProjectNotFound,
    WheelyardError,
    shown,
)
from wheelyard.index.policy.index import left_out_release
from wheelyard.model import NormalizedName, ProjectPage
from wheelyard.protocol.names import normalize
from wheelyard.protocol.upload_form import FormLimits, parse_plain_form
from wheelyard.server.answers import Answer, Header, redirect
from wheelyard.server.asgi import Receive, small_body
from wheelyard.server.gate import Admitted, Gate
from wheelyard.server.guard import guarded
from wheelyard.server.problems import status_of
from wheelyard.server.requests import SESSION_COOKIE, Request
from wheelyard.server.served import Catalog
from wheelyard.server.targets import Target
from wheelyard.state.sessions import Sessions
from wheelyard.ui.about import About, read_about
from wheelyard.ui.csrf import check_same_site
from wheelyard.ui.environment import preload
from wheelyard.ui.links import Frame
from wheelyard.ui.pages import PAGE_HEADERS, error_page, home_page, login_page, logout_page, project_page
from wheelyard.ui.readme import Descriptions
from wheelyard.ui.redirects import safe_next
from wheelyard.ui.releases import choose_release, releases_of
from wheelyard.ui.static import static_file

FORM_LIMIT_BYTES = 64 * 1024  # a name and a secret
_FORM_LIMITS = FormLimits()
_NO_STORE: Header = (b"cache-control", b"no-store")
_PER_PAGE = 100


class Browsing:
    """
    Answers what people open in a browser.

    Args:
        gate: Admits requests.
        catalog: The indexes of this server.
        sessions: Where logins are kept; None while the server starts.
        root_path: Prefix under which the server is mounted.
        lifetime_s: Seconds a login lasts without being renewed.
    """

    def __init__(
        self,
        gate: Gate,
        *,
        catalog: Callable[[], Catalog],
        sessions: Callable[[], Sessions | None],
        root_path: str,
        lifetime_s: float,
    ) -> None:
        self._gate = gate
        self._catalog = catalog
        self._sessions = sessions
        self._root_path = root_path
        self._lifetime = timedelta(seconds=lifetime_s)
        self._descriptions = Descriptions()
        self._is_prepared = False

    async def answer(self, request: Request, target: Target, receive: Receive) -> Answer:
        """
        Answer one request.

        Raises:
            NotFound: There is no such page.
            WheelyardError: As the gate and the index raise it.
        """
        await self.prepare()
        match target.segments:
            case ("login",):
                return await self._login(request, receive)
            case ("logout",):
                return await self._logout(request)
            case ("static", name):
                return _static(request, name)
            case ():
                _reads(request)
                return await self._home(request, target.index)
            case ("project", name):
                _reads(request)
                return await self._project(request, target.index, name)
            case ("project", name, version):
                _reads(request)
                return await self._project(request, target.index, name, version)
            case _:
                raise NotFound(f"nothing here is called '{shown('/'.join(target.segments))}'")

    async def prepare(self) -> None:
        """Have the templates read before the first page is rendered, in a thread; nothing afterwards."""
        if not self._is_prepared:
            await to_thread.run_sync(preload)
            self._is_prepared = True

    # -- login -----------------------------------------------------------------------------------------------------

    async def _login(self, request: Request, receive: Receive) -> Answer:
        next_path = safe_next(request.parameter("next"), f"{self._root_path}/")
        if request.method in {"GET", "HEAD"}:
            return self._login_page(next_path)
        if request.method != "POST":
            raise MethodNotAllowed(request.method, "/login/", allowed=("GET", "HEAD", "POST"))
        check_same_site(_text_headers(request), request.origin)
        body = await small_body(receive, limit_bytes=FORM_LIMIT_BYTES)
        fields = parse_plain_form(request.text(b"content-type") or "", body, _FORM_LIMITS)
        next_path = safe_next(fields.get("next") or request.parameter("next"), f"{self._root_path}/")
        credential = Credential(fields.get("pkg_repo_name", "").strip(), fields.get("pkg_repo_secret_raw", ""))
        served = self._catalog().names.get(credential.user.lower())
        principal = None if served is None else await served.authenticator.authenticate(credential)
        sessions = self._sessions()
        if served is None or principal is None or sessions is None:
            return self._login_page(next_path, "The index name or the secret is not right.")
        if principal.access < Access.READ:
            return self._login_page(next_path, principal.reason or "This account may not read the index.")
        lifetime, can = self._session_for(principal)
        token = await sessions.create(served.name, served.authenticator.fingerprint(), can, lifetime)
        cookie = self._cookie(request, token, max_age_s=int(lifetime.total_seconds()))
        return redirect(303, next_path, (b"set-cookie", cookie), _NO_STORE)

    def _session_for(self, principal: Principal) -> tuple[timedelta, str]:
        """Return how long a login lasts and what it may do: what a host said holds no longer for having logged in."""
        if principal.decided is None:
            return self._lifetime, "write" if principal.access >= Access.WRITE else "read"
        return self._lifetime - timedelta(seconds=time.monotonic() - principal.decided), "read"

    async def _logout(self, request: Request) -> Answer:
        """End the session; opening the address is enough, as in the predecessor, but a picture on a page is not."""
        if request.method in {"GET", "HEAD"} and not request.is_navigation and b"sec-fetch-mode" in request.headers:
            return html(200, logout_page(Frame(root_path=self._root_path)))
        if request.method not in {"GET", "HEAD"}:
            check_same_site(_text_headers(request), request.origin)
        token, sessions = request.cookie(SESSION_COOKIE), self._sessions()
        if token is not None and sessions is not None:
            await sessions.end(token)
        cookie = self._cookie(request, "", max_age_s=0)
        return redirect(303, f"{self._root_path}/login/", (b"set-cookie", cookie), _NO_STORE)

    def _cookie(self, request: Request, value: str, *, max_age_s: int) -> bytes:
        secure = "; Secure" if request.scheme == "https" else ""
        path = self._root_path or "/"
        return (f"{SESSION_COOKIE}={value}; Path={path}; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}").encode(
            "ascii"
        )

    def _login_page(self, next_path: str, error: str | None = None) -> Answer:
        only = self._catalog().only
        frame = Frame(root_path=self._root_path)
        content = login_page(frame, error=error, next_path=next_path, index="" if only is None else only.name)
        return html(200 if error is None else 403, content)

    # -- pages -----------------------------------------------------------------------------------------------------

    async def _home(self, request: Request, index: str | None) -> Answer:
        admitted = await self._gate.admit(index, request, Access.READ)
        projects = await guarded(admitted).list()
        base = f"{request.origin}{self._root_path}{f'/{index}' if index else ''}"
        content = home_page(
            self._frame(admitted, index),
            projects.names,
            query=request.parameter("q") or "",
            page=_page_number(request.parameter("page")),
            simple_url=f"{base}/simple/",
            upload_url=f"{base}/legacy/" if admitted.principal.access >= Access.WRITE else None,
            private=not admitted.served.anonymous_read,
        )
        return html(200, content)

    async def _project(self, request: Request, index: str | None, name: str, version: str | None = None) -> Answer:
        admitted = await self._gate.admit(index, request, Access.READ)
        project = _normalized(name)
        frame = self._frame(admitted, index)
        if project != name or not request.raw_path.endswith(b"/"):
            return redirect(301, frame.project(project, version), _NO_STORE)
        page = await guarded(admitted).page(project)
        left_out = left_out_release(page, version) if version is not None or not page.versions else None
        if left_out is not None:
            raise left_out
        about = await self._about(admitted, page, version)
        description = None
        if about is not None and about.description:
            description = await self._descriptions.render(about.description, about.description_content_type)
        simple_url = f"{request.origin}{self._root_path}{frame.index_path}/simple/"

        def content() -> bytes:
            return project_page(
                frame,
                page,
                version=version,
                about=about,
                description=description,
                simple_url=simple_url,
                private=not admitted.served.anonymous_read,
            )

        return html(200, await to_thread.run_sync(content))

    async def _about(self, admitted: Admitted, page: ProjectPage, version: str | None) -> About | None:
        """Read what a release says about itself; None when it says nothing that can be read."""
        release = choose_release(page, releases_of(page), version)
        if release is None or release.described_by is None:
            return None
        try:
            content = await guarded(admitted).description(page.name, release.described_by.filename)
        except NotFound:
            return None
        return None if content is None else read_about(content)

    async def close(self) -> None:
        """Stop what renders descriptions."""
        await self._descriptions.close()

    def refused(
        self, error: WheelyardError, request: Request, make: Callable[[WheelyardError, bytes], Answer]
    ) -> Answer:
        """Answer a browser's request that was refused: with the login page when credentials are missing."""
        wants_login = isinstance(error, CredentialsMissing | CredentialsWrong)
        if wants_login and request.method == "GET" and b"authorization" not in request.headers:
            query = f"?{request.query.decode('latin-1')}" if request.query else ""
            path = request.raw_path.decode("latin-1")
            if not path.startswith(f"{self._root_path}/"):  # a proxy took the prefix off; the browser needs it
                path = self._root_path + path
            back = quote(path + query, safe="/")
            return redirect(303, f"{self._root_path}/login/?next={back}", _NO_STORE)
        status = status_of(error)
        content = error_page(
            Frame(root_path=self._root_path),
            status=status,
            title=HTTPStatus(status).phrase,
            detail=error.message,
            hint=error.hint,
        )
        return make(error, content)

    def _frame(self, admitted: Admitted, index: str | None) -> Frame:
        principal = admitted.principal
        return Frame(
            root_path=self._root_path,
            index=admitted.served.name,
            index_path=f"/{index}" if index else "",
            can=None if principal.anonymous else principal.access.name.lower(),
        )


def html(status: int, content: bytes) -> Answer:
    """Make an HTML answer with the strict policy of our pages."""
    return Answer(status, (*PAGE_HEADERS, (b"content-length", b"%d" % len(content))), content)


def _static(request: Request, name: str) -> Answer:
    _reads(request)
    found = static_file(name)
    if found is None:
        raise NotFound(f"nothing here is called '{shown(name)}'")
    length = (b"content-length", b"%d" % len(found.content))
    return Answer(200, (*found.headers, length), found.content)


def _reads(request: Request) -> None:
    if request.method not in {"GET", "HEAD"}:
        # A client that was told the wrong address uploads here, and shows its user what we say (standards UP-05).
        hint = f"Upload to '{request.root_path}/legacy/'." if request.method == "POST" else None
        path = request.raw_path.decode("latin-1")
        raise MethodNotAllowed(request.method, path, allowed=("GET", "HEAD"), hint=hint)


def _text_headers(request: Request) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers.items()}


def _page_number(value: str | None) -> int:
    return int(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 7 else 1  # noqa: PLR2004  a million pages


def _normalized(name: str) -> NormalizedName:
    try:
        return normalize(name)
    except InvalidName:
        raise ProjectNotFound(name) from None
