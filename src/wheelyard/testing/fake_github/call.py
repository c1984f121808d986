"""One request on its way through the double: who asks, what for, and what they may do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from wheelyard.testing.fake_github.model import ROLES, Account, Repository, Role, Token
from wheelyard.testing.fake_github.wire import Answer, Refused, Request, json_answer, not_found

if TYPE_CHECKING:
    from wheelyard.testing.fake_github.github import FakeGitHub

_LEVELS = ("none", "read", "write", "admin")
PAGE_DEFAULT, PAGE_MAX = 30, 100


@dataclass(slots=True)
class Call:
    """
    What a handler works with.

    Attributes:
        github: Whom is asked.
        request: What is asked.
        token: None for nobody, and for an app that signs for itself.
        params: The named parts of the path.
        permission: What the answer says would have been enough.
    """

    github: FakeGitHub
    request: Request
    token: Token | None
    params: Mapping[str, str] = field(default_factory=dict)
    permission: str = "metadata=read"

    @property
    def person(self) -> str | None:
        """The login behind the token."""
        return self.token.login if self.token else None

    @property
    def actor(self) -> str:
        """Who is named as author of what this request makes."""
        if self.token is None:
            return "ghost"
        if self.token.login is not None:
            return self.token.login
        return "github-actions[bot]" if self.token.kind == "actions" else f"app-{self.token.app_id}[bot]"

    def body(self) -> dict[str, object]:
        """
        The JSON object that was sent; an empty one for no body.

        Raises:
            Refused: It is none.
        """
        try:
            value = json.loads(self.request.body or b"{}")
        except ValueError:
            raise Refused(400, "Problems parsing JSON") from None
        if not isinstance(value, dict):
            raise Refused(400, "Body should be a JSON object")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """
        A text of the body.

        Raises:
            Refused: It is missing and has no default, or is no text.
        """
        value = self.body().get(name, default)
        if not isinstance(value, str):
            if value is None:
                raise Refused(422, f'Invalid request.\n\n"{name}" wasn\'t supplied.')
            raise Refused(422, f"Invalid request.\n\nFor 'properties/{name}', {json.dumps(value)} is not a string.")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """A yes or no of the body."""
        value = self.body().get(name, default)
        if not isinstance(value, bool):
            raise Refused(422, f"Invalid request.\n\nFor 'properties/{name}', {json.dumps(value)} is not a boolean.")
        return value

    def signed_in(self) -> Token:
        """
        The caller's token.

        Raises:
            Refused: None came.
        """
        if self.token is None:
            raise Refused(401, "Requires authentication")
        return self.token

    def user(self) -> Account:
        """
        The person behind the token.

        Raises:
            Refused: None came, or it is of an app's installation or a workflow.
        """
        token = self.signed_in()
        if token.login is None:
            raise forbidden(token)
        return self.github.accounts[token.login.lower()]

    def repository(
        self, permission: str = "metadata", level: str = "read", *, refusal: Refused | None = None
    ) -> Repository:
        """
        The repository of the path, when the caller may do this in it.

        Args:
            permission: What GitHub calls it for fine-grained tokens and apps.
            level: `read`, `write` or `admin`.
            refusal: What people without the role are told.
        Raises:
            Refused: No such repository, or none that the caller may know of (404); the right is missing.
        """
        found = self.github.repositories.get(f"{self.params['owner']}/{self.params['repo']}".lower())
        return self.granted(found, permission, level, refusal=refusal)

    def granted(
        self, repository: Repository | None, permission: str, level: str, *, refusal: Refused | None = None
    ) -> Repository:
        """
        A repository, when the caller may do this in it.

        Raises:
            Refused: As `repository`.
        """
        self.permission = f"{permission}={'write' if level == 'admin' else level}"
        if repository is None or not self.sees(repository):
            raise not_found()
        self._check_sso(repository)
        if level == "read" and not (repository.private and permission != "metadata"):
            return repository
        if self.token is None:
            raise not_found() if level == "read" else Refused(401, "Requires authentication")
        self._check_grant(self.token, repository, permission, level)
        if (
            self.token.is_person
            and level != "read"
            and not self.has_role(repository, "admin" if level == "admin" else "push")
        ):
            raise refusal or _role_missing(self.token, level)
        if level != "read" and repository.archived:
            raise Refused(403, "Repository was archived so is read-only.")
        return repository

    def sees(self, repository: Repository) -> bool:
        """Whether the caller may know that a repository exists."""
        token = self.token
        if not repository.private:
            return True
        if token is None or (token.repositories is not None and repository.id not in token.repositories):
            return False
        if token.is_scoped and "repo" not in token.scopes:
            return False
        return not token.is_person or self.has_role(repository, "pull")

    def has_role(self, repository: Repository, role: Role) -> bool:
        """Whether the person behind the token has at least this role."""
        return ROLES.index(self.github.role(self.person, repository)) >= ROLES.index(role)

    def may_push(self, repository: Repository) -> bool:
        """Whether the caller could write contents."""
        if self.token is None:
            return False
        try:
            self._check_grant(self.token, repository, "contents", "write")
        except Refused:
            return False
        return not self.token.is_person or self.has_role(repository, "push")

    def token_reads(self, repository: Repository) -> bool:
        """Whether the token itself was granted the reading of contents."""
        try:
            self.granted(repository, "contents", "read")
        except Refused:
            return False
        return True

    def _check_grant(self, token: Token, repository: Repository, permission: str, level: str) -> None:
        """What was granted to the token itself, whoever is behind it."""
        if token.is_scoped:
            if "repo" not in token.scopes and (repository.private or "public_repo" not in token.scopes):
                raise not_found()
            return
        if token.repositories is not None and repository.id not in token.repositories:
            raise forbidden(token)
        granted = "read" if permission == "metadata" else token.permissions.get(permission, "none")
        if permission == "metadata" and level != "read":
            granted = token.permissions.get("administration", "none")
        if _LEVELS.index(granted) < _LEVELS.index("write" if level == "admin" else level):
            raise forbidden(token)

    def _check_sso(self, repository: Repository) -> None:
        owner = self.github.accounts[repository.owner.lower()]
        required = owner.sso or (self.github.switches.sso_required and owner.kind == "Organization")
        if not required or self.token is None or self.token.sso or not self.token.is_scoped:
            return
        url = f"https://github.com/orgs/{owner.login}/sso?authorization_request=A7QWNL4XKPLN"
        raise Refused(
            403,
            "Resource protected by organization SAML enforcement. You must grant your Personal Access token access to "
            "this organization.",
            headers={"x-github-sso": f"required; url={url}"},
            documentation="https://docs.github.com/articles/authenticating-to-a-github-organization-with-saml-single-sign-on/",
        )

    def number(self, name: str) -> int:
        """A number of the path."""
        if not self.params[name].isdecimal():
            raise not_found()
        return int(self.params[name])

    def page(self) -> tuple[int, int]:
        """Which page is wanted, from 1, and how many things are on one."""
        per_page = _positive(self.request.query.get("per_page"), PAGE_DEFAULT)
        return _positive(self.request.query.get("page"), 1), min(per_page, PAGE_MAX)

    def paged(self, things: list[object]) -> Answer:
        """The wanted page of a list, with links to the others."""
        page, per_page = self.page()
        last = max(1, -(-len(things) // per_page))
        answer = json_answer(things[(page - 1) * per_page : page * per_page])
        links: dict[str, int] = {}
        if page > 1:
            links |= {"prev": min(page - 1, last), "first": 1}
        if page < last:
            links |= {"next": page + 1, "last": last}
        if links:
            answer.headers["link"] = ", ".join(
                f'<{self._page_url(number)}>; rel="{rel}"' for rel, number in links.items()
            )
        return answer

    def _page_url(self, page: int) -> str:
        query = urlencode({**self.request.query, "page": str(page)})
        return f"{self.github.api_url}{self.request.path}?{query}"


def forbidden(token: Token) -> Refused:
    """The answer to a token that was not granted enough."""
    by = "personal access token" if token.kind == "fine-grained" else "integration"
    return Refused(403, f"Resource not accessible by {by}")


def _role_missing(token: Token, level: str) -> Refused:
    if level == "admin":
        return Refused(403, "Must have admin rights to Repository.")
    return not_found() if token.is_scoped else forbidden(token)


def _positive(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdecimal() and int(text) > 0 else default
