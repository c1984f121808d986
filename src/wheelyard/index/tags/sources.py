"""Where an index of tags gets its releases from: plain values, checked when they are made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from wheelyard.errors import TagSourceError, shown
from wheelyard.index.tags.patterns import MONOREPO_PATTERNS, ONE_PACKAGE_PATTERNS, TagPattern
from wheelyard.model import NormalizedName

SCHEMES: Final = ("https", "http", "ssh", "file")
"""Ways to reach a repository; git's own `ext::` and `git://` are not among them."""

_HOST_OF_API: Mapping[str, str] = {"api.github.com": "github.com", "api.bitbucket.org": "bitbucket.org"}
_PORTS: Mapping[str, int] = {"https": 443, "http": 80, "ssh": 22}
_SCP_LIKE = re.compile(r"(?:[\w.-]+@)[\w.-]+:(?!/)[^:]+\Z")  # git@host:path
_SEGMENT = re.compile(r"[^\x00-\x1f\x7f\\:*?\"<>|]+\Z")


class HostKind(Enum):
    """Hosts whose API is understood; values are the words of the configuration."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"
    BITBUCKET = "bitbucket"


PUBLIC_HOSTS: Final[Mapping[str, HostKind]] = MappingProxyType(
    {"github.com": HostKind.GITHUB, "gitlab.com": HostKind.GITLAB, "bitbucket.org": HostKind.BITBUCKET}
)
"""Hosts that are known by their name."""

PUBLIC_API: Final[Mapping[HostKind, str]] = MappingProxyType(
    {
        HostKind.GITHUB: "https://api.github.com",
        HostKind.GITLAB: "https://gitlab.com/api/v4",
        HostKind.BITBUCKET: "https://api.bitbucket.org/2.0",
    }
)
"""Where the API of a public host is; Gitea has none."""


def check_subdirectory(path: str) -> None:
    """
    Check the path of a package inside of its repository.

    Raises:
        TagSourceError: It is absolute, climbs, or is no path.
    """
    segments = path.split("/")
    if path and not all(_SEGMENT.match(each) and each not in (".", "..") for each in segments):
        raise TagSourceError(f"'{shown(path)}' is not a folder of a repository: write 'folder/subfolder'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """
    One project in a repository.

    Attributes:
        name: Its name, when it is known beforehand; None takes what each tag says.
        subdirectory: Where its `pyproject.toml` is, `/`-separated; "" for the top.
        patterns: Which tags are its releases; empty takes the usual ones.
    """

    name: NormalizedName | None = None
    subdirectory: str = ""
    patterns: tuple[TagPattern, ...] = ()

    def __post_init__(self) -> None:
        check_subdirectory(self.subdirectory)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """
    One repository.

    Attributes:
        url: Where git finds it, without credentials.
        packages: The projects in it.
        kind: The host's kind, to ask it for wheels; None looks for none.
        api_url: Where the host's API is; None with `kind` None.
        wheels: Whether wheels attached to a tag's release are listed.
    """

    url: str
    packages: tuple[Package, ...] = (Package(),)
    kind: HostKind | None = None
    api_url: str | None = None
    wheels: bool = True

    @property
    def path(self) -> str:
        """Path on its host (`acme/demo`), without `.git`."""
        return urlsplit(self.url).path.strip("/").removesuffix(".git")

    def patterns_of(self, package: Package) -> tuple[TagPattern, ...]:
        """Return which tags are releases of a package: with several in one repository, a tag has to name it."""
        return package.patterns or (ONE_PACKAGE_PATTERNS if len(self.packages) == 1 else MONOREPO_PATTERNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """
    All repositories of an organisation, user, group or workspace.

    Attributes:
        kind: What the host is.
        name: Of the organisation; of a group with its parents (`group/subgroup`).
        api_url: Where the host's API is, without a slash at the end.
        include: Globs of repository names; one must fit.
        exclude: Globs of repository names; none may fit.
        topic: A topic the repository must have; None for any.
        package: The project expected in each.
        wheels: As of `Repository`.
    """

    kind: HostKind
    name: str
    api_url: str
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    topic: str | None = None
    package: Package = field(default_factory=Package)
    wheels: bool = True

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return f"{self.kind.value}:{self.name}"

    def takes(self, name: str, topics: tuple[str, ...]) -> bool:
        """Tell whether a repository of this owner is wanted."""
        named = any(fnmatchcase(name, glob) for glob in self.include)
        refused = any(fnmatchcase(name, glob) for glob in self.exclude)
        return named and not refused and (self.topic is None or self.topic in topics)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """
    What opens the repositories and the API of one host; reading is all that it needs to allow.

    Attributes:
        host: Host, with a port where the URL has one.
        username: User name for git.
        secret: Token or password.
        email: User name for the API, where that is another one (Bitbucket's API tokens); None sends the token as Bearer.
    """

    host: str
    username: str
    secret: str = field(repr=False)
    email: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TagLimits:
    """
    What reading repositories may cost.

    Attributes:
        git_timeout_s: Seconds that one run of git may take.
        repository_bytes: Bytes that one repository may take on disk.
        unpacked_bytes: Bytes of one tag's files, unpacked.
        concurrency: Repositories read at once.
    """

    git_timeout_s: int = 300
    repository_bytes: int = 1024**3
    unpacked_bytes: int = 1024**3
    concurrency: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSources:
    """
    Everything an index of tags is told.

    Attributes:
        sources: In order: of two that offer one new project, the first has it.
        credentials: One for each host that asks.
        links: Whether HTML pages also offer `git+` links.
        moved: Former URL of a repository to the one it has now.
        limits: What reading may cost.
    """

    sources: tuple[Repository | Owner, ...]
    credentials: tuple[Credential, ...] = ()
    links: bool = False
    moved: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    limits: TagLimits = field(default_factory=TagLimits)

    def credential(self, url: str) -> Credential | None:
        """Return the credential for the host of a URL; never for one that would be sent in the clear."""
        parts = urlsplit(url)
        is_safe = parts.scheme in ("https", "ssh") or (
            parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
        )
        host = host_of(url)
        hosts = (host, _HOST_OF_API.get(host, host))
        return next((each for each in self.credentials if is_safe and each.host.lower() in hosts), None)

    def place(self, url: str) -> str:
        """Return the place where a recorded repository is now."""
        moved = {place_of(old): place_of(new) for old, new in self.moved.items()}
        return moved.get(place_of(url), place_of(url))


def host_of(url: str) -> str:
    """Return host and port of a URL, lower case, without credentials."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def place_of(url: str) -> str:
    """
    Return what all URLs of one repository have in common, whichever way they reach it.

    `https://github.com/acme/demo.git` and `ssh://git@github.com/acme/demo` are one place; a port of its own is another.
    """
    parts = urlsplit(url)
    port = "" if parts.port in (None, _PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{(parts.hostname or 'file').lower()}{port}/{parts.path.strip('/').removesuffix('.git')}"


def checked_url(url: str) -> str:
    """
    Return a repository's URL as git is given it.

    Args:
        url: As a person or a host's API wrote it; `git@host:path` becomes `ssh://git@host/path`.
    Raises:
        TagSourceError: It cannot be one, or it carries a password.
    """
    if _SCP_LIKE.match(url):
        user_and_host, _, path = url.partition(":")
        url = f"ssh://{user_and_host}/{path}"
    try:
        parts = urlsplit(url)
        host, password, _ = parts.hostname, parts.password, parts.port
    except ValueError:
        raise TagSourceError(f"'{shown(url)}' is not a URL") from None
    if parts.scheme not in SCHEMES:
        raise TagSourceError(
            f"'{shown(url)}' is not the URL of a repository: it starts with none of {', '.join(SCHEMES)}"
        )
    if any(not character.isprintable() or character == " " for character in url) or parts.query or parts.fragment:
        raise TagSourceError(f"'{shown(url)}' has characters that no URL of a repository has")
    if password is not None or (parts.username is not None and parts.scheme != "ssh"):
        raise TagSourceError(
            f"the URL of a repository on '{shown(host)}' carries credentials; put them into `credentials`"
        )
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/"):
            raise TagSourceError(f"'{shown(url)}' is not the URL of a folder: write 'file:///path'")
    elif not host or host.startswith("-") or parts.path.strip("/") == "":
        raise TagSourceError(f"'{shown(url)}' names no repository")
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))


def without_credentials(url: str) -> str:
    """Return a URL without the user name that hosts put into clone URLs."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
