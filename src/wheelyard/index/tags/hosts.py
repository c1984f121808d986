"""
What is asked of a host's API: which repositories somebody has, and which wheels are attached to their releases.

Rule 1: answers are data of strangers: every value is checked before it is used, every list is bounded.
Rule 2: a credential goes to the origin of its own host and nowhere else; a list is followed to its next page there only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

from wheelyard.errors import TagSourceError, shown
from wheelyard.index.tags.hosts_http import Api
from wheelyard.index.tags.sources import (
    Credential,
    HostKind,
    Owner,
    Repository,
    checked_url,
    host_of,
    without_credentials,
)

_PAGES = 1000  # of 100 each: more repositories than any owner has
_RELEASE_PAGES = 10  # GitHub itself ends its list after 1,000 releases
_PAGE_SIZE: Mapping[HostKind, str] = {
    HostKind.GITHUB: "per_page=100",
    HostKind.GITLAB: "per_page=100",
    HostKind.GITEA: "limit=50",  # its own largest
    HostKind.BITBUCKET: "pagelen=100",
}

WHEEL_ENDING: Final = ".whl"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedWheel:
    """
    A wheel attached to the release of a tag.

    Attributes:
        tag: The tag.
        filename: As the host names it; unchecked.
        url: Where its bytes are.
        size: Bytes; None when the host does not tell.
        sha256: Its digest; None when the host does not tell.
    """

    tag: str
    filename: str
    url: str
    size: int | None = None
    sha256: str | None = None


async def repositories_of(owner: Owner, api: Api) -> tuple[Repository, ...]:
    """
    List the repositories of an owner that are wanted, in the order of their names.

    Raises:
        TagSourceError: The host cannot be asked, or answers nonsense.
    """
    found: dict[str, Repository] = {}
    async for entry in _listed(owner, api):
        described = _described(owner.kind, entry)
        if described is None or not owner.takes(described.name, described.topics):
            continue
        url = checked_url(without_credentials(described.url))
        found[url] = Repository(
            url=url, packages=(owner.package,), kind=owner.kind, api_url=owner.api_url, wheels=owner.wheels
        )
    return tuple(found[url] for url in sorted(found))


async def attached_wheels(repository: Repository, api: Api) -> tuple[AttachedWheel, ...]:
    """
    List the wheels attached to the releases of a repository; one conditional request when nothing changed.

    Raises:
        TagSourceError: The host cannot be asked, or answers nonsense.
    """
    path = _releases_path(repository)
    if path is None or repository.kind is None:
        return ()
    found: list[AttachedWheel] = []
    async for entry in api.pages(f"{path}?{_PAGE_SIZE[repository.kind]}", limit=_RELEASE_PAGES, missing_is_empty=True):
        found += _wheels(repository.kind, entry)
    return tuple(found)


def authorization(kind: HostKind, credential: Credential) -> dict[str, str]:
    """Return the header that a host's API takes a credential in."""
    if credential.email is not None:
        import base64  # noqa: PLC0415  Bitbucket's API tokens only

        basic = base64.b64encode(f"{credential.email}:{credential.secret}".encode()).decode("ascii")
        return {"Authorization": f"Basic {basic}"}
    scheme = "token" if kind is HostKind.GITEA else "Bearer"
    return {"Authorization": f"{scheme} {credential.secret}"}


# --- repositories ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Described:
    name: str
    url: str
    topics: tuple[str, ...]


async def _listed(owner: Owner, api: Api) -> AsyncIterator[Mapping[str, Any]]:
    """Yield the entries of an owner's list; where organisations and users are apart, the other is asked when one is missing."""
    paths = tuple(f"{path}{'&' if '?' in path else '?'}{_PAGE_SIZE[owner.kind]}" for path in _owner_paths(owner))
    for number, path in enumerate(paths):
        is_last = number == len(paths) - 1
        empty = True
        async for entry in api.pages(path, limit=_PAGES, missing_is_empty=not is_last):
            empty = False
            yield entry
        if not empty:
            return


def _owner_paths(owner: Owner) -> tuple[str, ...]:
    match owner.kind:
        case HostKind.GITHUB:
            name = quote(owner.name, safe="")
            return f"/orgs/{name}/repos?type=all", f"/users/{name}/repos"
        case HostKind.GITLAB:
            name = quote(owner.name, safe="")  # a subgroup's `/` too: the id of a group is one segment
            return (
                f"/groups/{name}/projects?include_subgroups=true&archived=false",
                f"/users/{name}/projects?archived=false",
            )
        case HostKind.GITEA:
            name = quote(owner.name, safe="")
            return f"/orgs/{name}/repos", f"/users/{name}/repos"
        case HostKind.BITBUCKET:
            return (f"/repositories/{quote(owner.name, safe='')}",)


def _described(kind: HostKind, entry: Mapping[str, Any]) -> _Described | None:
    """Return a repository of a list; None for archived, empty and unusable ones."""
    if (
        entry.get("archived") is True
        or entry.get("disabled") is True
        or entry.get("empty") is True
        or entry.get("empty_repo") is True
    ):
        return None
    match kind:
        case HostKind.GITHUB | HostKind.GITEA:
            name, url = entry.get("name"), entry.get("clone_url")
        case HostKind.GITLAB:
            name, url = entry.get("path"), entry.get("http_url_to_repo")
        case HostKind.BITBUCKET:
            name, url = entry.get("slug"), _bitbucket_url(entry)
    topics = entry.get("topics") or entry.get("tag_list") or ()
    if not isinstance(name, str) or not isinstance(url, str):
        raise TagSourceError("its list of repositories has an entry without a name or a clone URL")
    return _Described(
        name, url, tuple(each for each in topics if isinstance(each, str)) if isinstance(topics, list) else ()
    )


def _bitbucket_url(entry: Mapping[str, Any]) -> object:
    links = entry.get("links")
    clones = links.get("clone") if isinstance(links, dict) else None
    found = (each for each in clones if isinstance(each, dict)) if isinstance(clones, list) else ()
    return next((each.get("href") for each in found if each.get("name") in ("https", "http")), None)


# --- wheels ----------------------------------------------------------------------------------------------------------


def _releases_path(repository: Repository) -> str | None:
    path = repository.path
    match repository.kind:
        case HostKind.GITHUB | HostKind.GITEA if path.count("/") == 1:
            return f"/repos/{quote(path)}/releases"
        case HostKind.GITLAB:
            return f"/projects/{quote(path, safe='')}/releases"
        case _:
            return None  # Bitbucket's downloads belong to no tag


def _wheels(kind: HostKind, release: Mapping[str, Any]) -> Iterator[AttachedWheel]:
    tag, assets = release.get("tag_name"), release.get("assets")
    if not isinstance(tag, str) or release.get("draft") is True:
        return
    if kind is HostKind.GITLAB:
        assets = assets.get("links") if isinstance(assets, dict) else None
    for asset in assets if isinstance(assets, list) else ():
        if isinstance(asset, dict) and (wheel := _wheel(kind, tag, asset)) is not None:
            yield wheel


def _wheel(kind: HostKind, tag: str, asset: Mapping[str, Any]) -> AttachedWheel | None:
    name = asset.get("name")
    match kind:
        case HostKind.GITHUB:
            url = asset.get("url") if asset.get("state", "uploaded") == "uploaded" else None
        case HostKind.GITLAB:
            url = asset.get("direct_asset_url") or asset.get("url")
        case _:
            url = asset.get("browser_download_url")
    if not isinstance(name, str) or not isinstance(url, str):
        return None
    if kind is HostKind.GITLAB and not name.endswith(WHEEL_ENDING):
        name = urlsplit(url).path.rpartition("/")[2]  # the name of a link is free text
    if not name.endswith(WHEEL_ENDING):
        return None
    size, digest = asset.get("size"), asset.get("digest")
    is_sha256 = isinstance(digest, str) and digest.startswith("sha256:")
    return AttachedWheel(
        tag=tag,
        filename=name,
        url=url,
        size=size if isinstance(size, int) else None,
        sha256=str(digest).removeprefix("sha256:") if is_sha256 else None,
    )


def check_same_host(url: str, repository: Repository) -> None:
    """
    Check that a wheel is on the repository's own host: whoever may edit a release must not send this server elsewhere.

    Raises:
        TagSourceError: It is not.
    """
    if host_of(url) not in (host_of(repository.url), host_of(repository.api_url or "")):
        raise TagSourceError(f"its wheel is on '{shown(host_of(url))}', not on the host of the repository")
