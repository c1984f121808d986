"""Who and what there is: people, tokens, apps and repositories, and how a test makes them."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from wheelyard.testing.fake_github.model import Account, App, Installation, Kind, Repository, Role, Token
from wheelyard.testing.fake_github.signatures import new_key_pair

_FIRST_ID = 1000
_PREFIXES: Mapping[Kind, str] = {
    "classic": "ghp_",
    "fine-grained": "github_pat_",
    "oauth": "gho_",
    "app-user": "ghu_",
    "installation": "ghs_",
    "actions": "ghs_",
}


class Population:
    """
    Everything the double knows, without the way it is asked.

    Args:
        clock: Seconds since 1970.

    Attributes:
        accounts: People and organisations by lower-case login.
        tokens: By value.
        apps: By number.
        repositories: By lower-case full name.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.accounts: dict[str, Account] = {}
        self.tokens: dict[str, Token] = {}
        self.apps: dict[int, App] = {}
        self.repositories: dict[str, Repository] = {}
        self._ids = itertools.count(_FIRST_ID)

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
        number = self.new_id()
        app.installations[number] = Installation(
            id=number,
            account=self._account(account).login,
            permissions=dict(permissions or {"contents": "write", "metadata": "read"}),
            repositories=None if repositories is None else frozenset(self._number(name) for name in repositories),
        )
        return number
