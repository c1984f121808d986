"""What the double of GitHub knows: accounts, tokens, apps, repositories with their objects, releases and assets."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from wheelyard.testing.fake_github.git_objects import EPOCH, FILE_MODE, Commit, GitObjects, Signature

Kind = Literal["classic", "fine-grained", "oauth", "app-user", "installation", "actions"]
"""The kinds of tokens; each has its own rules."""

Role = Literal["none", "pull", "triage", "push", "maintain", "admin"]
"""What a person may do in a repository, from least to most."""

ROLES: tuple[Role, ...] = ("none", "pull", "triage", "push", "maintain", "admin")


@dataclass(slots=True, kw_only=True)
class Account:
    """
    A person or an organisation.

    Attributes:
        id: Number, nothing else's.
        login: As it writes itself; looked up without regard to case.
        kind: Which of the two it is.
        members: Of an organisation: login to `member` or `admin`.
        sso: Whether tokens need a single sign-on to see what it owns.
    """

    id: int
    login: str
    kind: Literal["User", "Organization"] = "User"
    members: dict[str, str] = field(default_factory=dict)
    sso: bool = False


@dataclass(slots=True, kw_only=True)
class Token:
    """
    One token.

    Attributes:
        value: What is sent.
        kind: Decides its rules.
        login: Whose it is; None for those of an app's installation or of a workflow.
        scopes: Of classic and OAuth tokens.
        permissions: Of all others: name to `read` or `write`.
        repositories: Numbers of the repositories it is good for; None for all.
        app_id: The app behind it; None for none.
        installation_id: The installation behind it; None for none.
        expires: None for never.
        revoked: Whether somebody ended it.
        sso: Whether it went through a single sign-on.
    """

    value: str
    kind: Kind
    login: str | None = None
    scopes: frozenset[str] = frozenset()
    permissions: Mapping[str, str] = field(default_factory=dict)
    repositories: frozenset[int] | None = None
    app_id: int | None = None
    installation_id: int | None = None
    expires: datetime | None = None
    revoked: bool = False
    sso: bool = False

    @property
    def is_scoped(self) -> bool:
        """Whether scopes tell what it may do, not permissions."""
        return self.kind in ("classic", "oauth")

    @property
    def is_person(self) -> bool:
        """Whether a person is behind it."""
        return self.login is not None


@dataclass(slots=True, kw_only=True)
class Installation:
    """An app on an account, with what was granted; None as repositories are all of the account's."""

    id: int
    account: str
    permissions: Mapping[str, str]
    repositories: frozenset[int] | None = None


@dataclass(slots=True, kw_only=True)
class App:
    """A GitHub App; the private key is None when only the public one was given."""

    id: int
    slug: str
    public_key: str
    private_key: str | None = None
    installations: dict[int, Installation] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Asset:
    """One file of a release; `starter` is one whose upload was cut."""

    id: int
    name: str
    content: bytes
    content_type: str
    uploader: str
    created: datetime
    label: str | None = None
    state: str = "uploaded"
    downloads: int = 0
    _digest: str | None = None

    @property
    def digest(self) -> str | None:
        """As GitHub tells it; None for what has not arrived."""
        if self.state != "uploaded":
            return None
        if self._digest is None:  # asked for with every list of releases
            self._digest = f"sha256:{hashlib.sha256(self.content).hexdigest()}"
        return self._digest


@dataclass(slots=True, kw_only=True)
class Release:
    """One release with its assets."""

    id: int
    tag: str
    target: str
    author: str
    created: datetime
    name: str | None = None
    body: str | None = None
    draft: bool = False
    prerelease: bool = False
    immutable: bool = False
    published: datetime | None = None
    updated: datetime | None = None
    assets: dict[int, Asset] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Repository:
    """
    One repository.

    Attributes:
        id: Number, nothing else's.
        owner: Login of a person or organisation.
        name: Without the owner.
        private: Whether others find it at all.
        default_branch: Where its pages begin.
        created: When.
        description: A line about it; None for none.
        collaborators: Login to role; the owner is not among them.
        git: Its objects.
        refs: Full names (`refs/heads/main`) to commits.
        releases: By number, oldest first.
        archived: Whether nothing can be written any more.
        topics: Words about it.
        homepage: An address; None for none.
        pages: What its site was switched on with; None while it is off.
        immutable_releases: Whether releases published from now on can not be changed.
        spent_tags: Tags of deleted immutable releases, which nobody may use again.
        secrets: Names of the secrets of its workflows to the encrypted values.
        dispatches: Every workflow run and event somebody started: path and body.
    """

    id: int
    owner: str
    name: str
    private: bool
    default_branch: str
    created: datetime
    description: str | None = None
    collaborators: dict[str, Role] = field(default_factory=dict)
    git: GitObjects = field(default_factory=GitObjects)
    refs: dict[str, str] = field(default_factory=dict)
    releases: dict[int, Release] = field(default_factory=dict)
    immutable_releases: bool = False
    spent_tags: set[str] = field(default_factory=set)
    archived: bool = False
    topics: list[str] = field(default_factory=list)
    homepage: str | None = None
    pages: dict[str, object] | None = None
    secrets: dict[str, str] = field(default_factory=dict)
    dispatches: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return f"{self.owner}/{self.name}"

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever committed."""
        return not self.refs

    def head(self, branch: str | None = None) -> str:
        """
        The commit a branch points to; of the default branch when not named.

        Raises:
            KeyError: There is no such branch.
        """
        return self.refs[f"refs/heads/{branch or self.default_branch}"]

    def branches(self) -> list[str]:
        """Names of all branches, sorted."""
        return sorted(name.removeprefix("refs/heads/") for name in self.refs if name.startswith("refs/heads/"))

    def files(self, branch: str | None = None) -> dict[str, bytes]:
        """Every file of a branch by path; nothing when there is no such branch."""
        sha = self.refs.get(f"refs/heads/{branch or self.default_branch}")
        return self.git.files(sha) if sha else {}

    def commit(
        self,
        changes: Mapping[str, bytes | None],
        *,
        branch: str | None = None,
        message: str = "Change files",
        author: str = "somebody",
        when: datetime = EPOCH,
    ) -> str:
        """Commit files, or by None their removal, to a branch, which begins with nothing when there is none; gives the commit."""
        name = f"refs/heads/{branch or self.default_branch}"
        parent = self.refs.get(name)
        blobs = {
            path: None if content is None else (FILE_MODE, self.git.add_blob(content))
            for path, content in changes.items()
        }
        tree = self.git.changed_tree(self.git.commits[parent].tree if parent else None, blobs)
        who = Signature(author, f"{author}@users.noreply.github.com", when)
        made = Commit(
            tree=tree or self.git.add_tree([]),
            parents=(parent,) if parent else (),
            author=who,
            committer=who,
            message=message,
        )
        self.refs[name] = self.git.add_commit(made)
        return self.refs[name]

    def resolve(self, name: str) -> str | None:
        """The commit that a branch, a tag, a full reference or a (shortened) hash names; None when there is none."""
        for candidate in (name, f"refs/{name}", f"refs/heads/{name}", f"refs/tags/{name}"):
            if candidate in self.refs:
                return self.refs[candidate]
        if name == "HEAD":
            return self.refs.get(f"refs/heads/{self.default_branch}")
        matching = [sha for sha in self.git.commits if len(name) >= 7 and sha.startswith(name)]  # noqa: PLR2004  git's own
        return matching[0] if len(matching) == 1 else None

    def published(self) -> list[Release]:
        """Releases that are no drafts, newest first."""
        return [release for release in self.newest_first() if not release.draft]

    def newest_first(self) -> list[Release]:
        """All releases."""
        return sorted(self.releases.values(), key=lambda release: release.id, reverse=True)

    def assets(self) -> Iterable[tuple[Release, Asset]]:
        """Every asset of every release."""
        return [(release, asset) for release in self.releases.values() for asset in release.assets.values()]

    def release_with(self, tag: str) -> Release | None:
        """The published release of a tag."""
        return next((release for release in self.published() if release.tag == tag), None)


def stamp(when: datetime) -> str:
    """A time as GitHub writes it."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
