"""Making a repository that keeps packages: what is asked of GitHub, and what its refusals mean for who asked."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import anyio

from wheelyard.backends.github import API_URL
from wheelyard.backends.github.addresses import Addresses
from wheelyard.backends.github.branch import Branch
from wheelyard.backends.github.client import GitHubClient
from wheelyard.backends.github.failures import Answer, sso_url
from wheelyard.backends.github.workflow import PATH, Workflow
from wheelyard.errors import StorageError, StorageReadOnly, StorageUnavailable, shown

DESCRIPTION: Final = "Python package index, kept by Wheelyard"
"""Of a repository that was made here: who runs the command again goes on with it."""

_TRIES: Final = 5  # GitHub takes a moment until the first commit of a new repository is there
_WAIT_S: Final = 1.0
_PLACE: Final = "<personal-access-token>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """
    What is wanted.

    Attributes:
        name: Name of the index.
        owner: User or organisation; None for the token's own user.
        repo: Name of the repository.
        branch: Branch of the index.
        index_filename: The predecessor's list.
        sync_index_interval: Of the configuration, in seconds.
        pages: Whether the index is published with GitHub Pages, which makes everything public.
        use_existing: Whether a repository that others made may be used.
        api_url: Address of GitHub's API.
    """

    name: str
    owner: str | None
    repo: str
    branch: str
    index_filename: str
    sync_index_interval: int
    pages: bool
    use_existing: bool
    api_url: str

    def workflow(self, default_branch: str) -> str:
        """Return the text of the workflow."""
        return Workflow(
            name=self.name,
            branch=self.branch,
            index_filename=self.index_filename,
            default_branch=default_branch,
            pages=self.pages,
        ).render()


class Setup:
    """
    One repository being made.

    Args:
        wishes: What is wanted.
        token: The token of who wants it.
        tell: Tells people a line.
    """

    def __init__(self, wishes: Wishes, token: str, tell: Callable[[str], None]) -> None:
        self._wishes = wishes
        self._token = token
        self._tell = tell
        self._client = GitHubClient(Addresses(wishes.api_url, wishes.owner or "-", wishes.repo), {"raw": token})

    async def run(self) -> str:
        """
        Make it, or what is missing of it; returns the owner.

        Raises:
            StorageError: GitHub refused; running again goes on where this stopped.
        """
        self._client.open()
        try:
            owner, is_user = await self._owner()
            self._client.addresses = Addresses(self._wishes.api_url, owner, self._wishes.repo)
            repository = await self._repository(owner, is_user=is_user)
            default = str(repository.get("default_branch") or "main")
            await self._write_workflow(default)
            await self._make_branch()
            if self._wishes.pages:
                await self._switch_on_pages()
        finally:
            await self._client.close()
        return owner

    async def _owner(self) -> tuple[str, bool]:
        """Return whose repository it will be, and whether that is the token's own user."""
        answer = await self._ask("GET", f"{self._wishes.api_url}/user")
        if answer.status == 401:  # noqa: PLR2004
            raise StorageUnavailable("GitHub does not know the token", hint="Give a valid one with --token.")
        if answer.status != 200:  # noqa: PLR2004  tokens of apps are nobody's
            if self._wishes.owner is None:
                raise self._refused(
                    answer, "tell whose token this is", "Say whose the repository will be with --owner."
                )
            return self._wishes.owner, False
        scopes = answer.headers.get("x-oauth-scopes")
        if scopes is not None:
            self._check_scopes({scope.strip() for scope in scopes.split(",")})
        login = str(answer.object()["login"])
        owner = self._wishes.owner or login
        return owner, owner.lower() == login.lower()

    def _check_scopes(self, scopes: set[str]) -> None:
        """Refuse before anything is made: GitHub itself would only say that something is not found."""
        needed = {"workflow", "repo"} - scopes
        if needed == {"repo"} and self._wishes.pages and "public_repo" in scopes:
            return
        if needed:
            names = " and ".join(f"`{name}`" for name in sorted(needed))
            raise StorageReadOnly(
                why=f"the token lacks the scope {names}",
                hint="Give a classic token the scopes `repo` and `workflow` (`gh auth refresh -s workflow`).",
            )

    async def _repository(self, owner: str, *, is_user: bool) -> dict[str, Any]:
        """Make the repository, or take the one that is there."""
        path = "/user/repos" if is_user else f"/orgs/{quote(owner, safe='')}/repos"
        body = {
            "name": self._wishes.repo, "description": DESCRIPTION, "private": not self._wishes.pages, "auto_init": True,
            "has_issues": False, "has_wiki": False, "has_projects": False,
        }  # fmt: skip
        answer = await self._ask("POST", self._wishes.api_url + path, json=body)
        if answer.status == 201:  # noqa: PLR2004
            made = answer.object()
            self._tell(f"made the {'public' if self._wishes.pages else 'private'} repository {self._client.name}")
            return made
        if answer.status == 422 and "already exists" in answer.message:  # noqa: PLR2004
            return await self._existing()
        what = f"make the repository '{self._client.name}'"
        hint = "The token needs the scope `repo`, or for fine-grained tokens *Administration: write* of the owner."
        if answer.status == 404 and not is_user:  # noqa: PLR2004
            hint = f"Is there an organisation '{shown(owner)}', and may the owner of the token make repositories in it? {hint}"
        raise self._refused(answer, what, hint)

    async def _existing(self) -> dict[str, Any]:
        answer = await self._ask("GET", "")
        if answer.status != 200:  # noqa: PLR2004
            raise self._refused(answer, f"show the repository '{self._client.name}', which exists", "Use another name.")
        found = answer.object()
        if found.get("description") != DESCRIPTION and not self._wishes.use_existing:
            raise StorageReadOnly(
                why=f"there is a repository '{self._client.name}' already, and it was not made by this command",
                hint="Use another name; or --existing adds the workflow and the index branch to it and changes nothing else.",
            )
        if self._wishes.pages and found.get("private"):
            raise StorageReadOnly(
                why=f"the repository '{self._client.name}' is private, and GitHub Pages are for everybody",
                hint="Leave --enable-gh-pages out, or make the repository public yourself.",
            )
        self._tell(f"the repository {self._client.name} is there already; what it lacks is added")
        return found

    async def _write_workflow(self, default: str) -> None:
        text = self._wishes.workflow(default)
        body = {
            "message": "add the workflow update-index",
            "content": b64encode(text.encode()).decode(),
            "branch": default,
        }
        there = await self._ask("GET", f"/contents/{PATH}")
        if there.status == 200:  # noqa: PLR2004
            same = "".join(str(there.object().get("content", "")).split()) == body["content"]
            self._tell(f"the workflow {PATH} is there already" + ("" if same else ", differs, and is left as it is"))
            return
        for attempt in range(_TRIES):
            answer = await self._ask("PUT", f"/contents/{PATH}", json=body)
            if answer.status in (200, 201):
                self._tell(f"wrote {PATH} on the branch '{default}'")
                return
            is_early = answer.status == 409 or (answer.status == 404 and not await self._has_branch(default))  # noqa: PLR2004
            if not is_early:
                break
            await anyio.sleep(_WAIT_S * attempt)
        raise self._refused(
            answer,
            f"write '{PATH}'",
            "The token needs the scope `workflow`, or for fine-grained tokens *Workflows: write* and *Contents: write*; "
            "run the command again with such a one.",
        )

    async def _has_branch(self, name: str) -> bool:
        answer = await self._ask("GET", f"/branches/{quote(name, safe='')}")
        return answer.status == 200  # noqa: PLR2004

    async def _make_branch(self) -> None:
        branch = Branch(self._client, self._wishes.branch)
        if await branch.head(None) is not None:
            self._tell(f"the branch '{self._wishes.branch}' is there already")
            return
        if await branch.create() is None and await branch.head(None) is None:
            raise StorageReadOnly(
                why=f"GitHub does not make the branch '{shown(self._wishes.branch)}'",
                hint="Is it a name that Git takes, and does no rule of the repository forbid it? Run the command again.",
            )
        self._tell(f"made the branch '{self._wishes.branch}', which keeps the index")

    async def _switch_on_pages(self) -> None:
        answer = await self._ask("POST", "/pages", json={"build_type": "workflow"})
        if answer.status in (201, 409):
            self._tell("GitHub Pages are switched on; the workflow publishes the index")
        else:
            why = shown(answer.message) or answer.status
            self._tell(
                f"GitHub Pages could not be switched on ({why}): do so in the settings, with source GitHub Actions"
            )

    async def _ask(self, method: str, path: str, *, json: Mapping[str, object] | None = None) -> Answer:
        return await self._client.ask_as(self._token, method, path, json=json)

    def _refused(self, answer: Answer, what: str, hint: str) -> StorageError:
        """Return what a refusal means."""
        why = shown(answer.message) or f"it answered {answer.status}"
        if (url := sso_url(answer.headers)) is not None:
            return StorageReadOnly(
                why=f"GitHub does not {what} until single sign-on is authorised for the token",
                hint=f"Authorise it: {shown(url)}",
            )
        return StorageReadOnly(why=f"GitHub does not {what}: {why}", hint=hint)


def plan_lines(wishes: Wishes) -> list[str]:
    """Return what would be done, for people."""
    whose = wishes.owner or "<you>"
    lines = [
        f"would make the {'public' if wishes.pages else 'private'} repository {whose}/{wishes.repo}",
        f"would write {PATH} on its default branch",
        f"would make the branch '{wishes.branch}', which keeps the index",
    ]
    if wishes.pages:
        lines.append("would switch on GitHub Pages; the packages are then public")
    return lines


def config_tables(wishes: Wishes, owner: str) -> str:
    """Return what is pasted into configuration, admin secrets and clients; no secret is among it."""
    table = {"type": "github", "owner": owner, "repo": wishes.repo}
    table |= {"branch": wishes.branch} if wishes.branch != "index" else {}
    table |= {"index_filename": wishes.index_filename} if wishes.index_filename != "index.toml" else {}
    table |= {"api_url": wishes.api_url} if wishes.api_url != API_URL else {}
    rows = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    rows += [f"sync_index_interval = {wishes.sync_index_interval}"] if wishes.sync_index_interval != 60 else []  # noqa: PLR2004  the default
    name = _key(wishes.name)
    return "\n".join(
        (
            "Package repository TOML config (please add to your config file):",
            "",
            f"[{name}]",
            *rows,
            "",
            "Admin secret TOML (please add to your admin secret file, which nobody else should read):",
            "",
            f"[{name}]",
            'type = "github"',
            f'raw = "{_PLACE}"',
            "",
            *_client_lines(wishes.name),
        )
    )


def _client_lines(name: str) -> list[str]:
    """Return how clients are set up; the server's address is the one it has unless it is told another."""
    user, url = quote(name, safe=""), "http://localhost:8888"
    variable = "".join(c if c.isascii() and c.isalnum() else "_" for c in name).upper()
    read = f'"http://{user}:$(gh auth token)@localhost:8888/simple/"'
    login = f'--username {user} --password "$(gh auth token)"'
    return [
        "Start the server, and set up clients; the password is each one's own token, here that of `gh`:",
        "",
        "  server  wheelyard server ROOT --config CONFIG --admin-secret ADMIN_SECRET",
        f"  pip     pip install --index-url {read} PROJECT",
        f"  uv      uv pip install --index-url {read} PROJECT",
        f"          uv publish --publish-url {url}/legacy/ {login} dist/*",
        f'          in projects: export UV_INDEX_{variable}_USERNAME={user} UV_INDEX_{variable}_PASSWORD="$(gh auth token)"',
        f"  twine   twine upload --repository-url {url}/legacy/ {login} dist/*",
        f"  poetry  poetry source add --priority=primary {user} {url}/simple/",
        f'          poetry config http-basic.{user} {user} "$(gh auth token)"',
    ]


def _key(name: str) -> str:
    bare = name and all(c.isascii() and (c.isalnum() or c in "-_") for c in name)
    return name if bare else json.dumps(name)
