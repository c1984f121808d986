"""The keys of an index of `type = "git"`: repositories, owners, credentials, and the store the releases are kept in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from wheelyard.errors import WheelyardError, shown
from wheelyard.index.tags.patterns import TagPattern
from wheelyard.index.tags.sources import (
    PUBLIC_API,
    PUBLIC_HOSTS,
    Credential,
    HostKind,
    Owner,
    Package,
    Repository,
    TagLimits,
    TagSources,
    checked_url,
    host_of,
)
from wheelyard.protocol.names import normalize
from wheelyard.settings.documents import Document, read_secret
from wheelyard.settings.mistakes import Place
from wheelyard.settings.tables import Key, keys_of, read_table

GIT_TYPE: Final = "git"
"""The `type` of an index that is made of tags."""

_LIMITS = TagLimits()
_KINDS = tuple(kind.value for kind in HostKind)
_USER_NAMES: Mapping[str, str] = {"gitlab": "oauth2", "bitbucket": "x-token-auth"}
_USER_NAME = "x-access-token"
_EMAIL_USER_NAME = "x-bitbucket-api-token-auth"  # Bitbucket's API tokens: the address for the API, this for git

BuildOptions = Callable[[str, Mapping[str, object], Place], object]
"""From a backend type and its keys to its options; None when they are wrong, which is noted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GitKeys:
    """
    The keys of an index of tags, as they stand in its table.

    Attributes:
        sources: Tables: repositories (`url`) and owners (`github`, `gitlab`, `gitea`, `bitbucket`).
        credentials: Tables with `host` and `password`.
        tag_pattern: Patterns for sources that have none of their own.
        links: `git` offers `git+` links beside the files in HTML pages.
        wheels: Whether wheels attached to releases are listed.
        moved: Former URL of a repository to its present one.
        store: Table with `type` and the keys of the backend that keeps the releases.
        git_timeout: Seconds that one run of git may take.
        max_repository_bytes: Bytes that one repository may take on disk.
        max_unpacked_bytes: Bytes of one tag's files.
        concurrency: Repositories read at once.
    """

    sources: list[Any] = field(default_factory=list)
    credentials: list[Any] = field(default_factory=list)
    tag_pattern: str | list[str] = ""
    links: Literal["files", "git"] = "files"
    wheels: bool = True
    moved: dict[str, str] = field(default_factory=dict)
    store: dict[str, Any] = field(default_factory=dict)
    git_timeout: int = _LIMITS.git_timeout_s
    max_repository_bytes: int = _LIMITS.repository_bytes
    max_unpacked_bytes: int = _LIMITS.unpacked_bytes
    concurrency: int = _LIMITS.concurrency


@dataclass(frozen=True, slots=True, kw_only=True)
class GitOptions:
    """
    What an index of tags was told, checked.

    Attributes:
        sources: What there is to read.
        store_type: Backend that keeps the releases.
        store_options: Its options.
    """

    sources: TagSources
    store_type: str = "file_system"
    store_options: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _PackageKeys:
    name: str | None = None
    subdirectory: str = ""
    tag_pattern: str | list[str] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _SourceKeys:
    url: str | None = None
    github: str | None = None
    gitlab: str | None = None
    gitea: str | None = None
    bitbucket: str | None = None
    host_type: Literal["github", "gitlab", "gitea", "bitbucket"] | None = None
    api_url: str | None = None
    name: str | None = None
    subdirectory: str = ""
    tag_pattern: str | list[str] = ""
    packages: list[Any] = field(default_factory=list)
    include: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    topic: str | None = None
    wheels: bool | None = None


_CREDENTIAL_KEYS: Mapping[str, Key] = {
    "host": Key(str, required=True),
    "password": Key(Any, required=True),
    "username": Key(str),
    "email": Key(str),
    "host_type": Key(Literal["github", "gitlab", "gitea", "bitbucket"] | None),
}


def git_keys() -> dict[str, Key]:
    """Return the keys that the table of such an index may have besides those of every index."""
    minimums = dict.fromkeys(("git_timeout", "max_repository_bytes", "max_unpacked_bytes", "concurrency"), 1)
    return keys_of(GitKeys, minimums=minimums)


def read_git_options(
    keys: GitKeys, place: Place, *, document: Document, environ: Mapping[str, str], build: BuildOptions
) -> GitOptions | None:
    """
    Read sources, credentials and store; None when there is a mistake, which is noted.

    Args:
        keys: The table's own keys, each of the right type.
        place: Where mistakes are noted.
        document: Where relative paths of secrets start.
        environ: Where secrets named by `env` are looked up.
        build: Makes the options of the store.
    """
    before = len(place.mistakes.found)
    sources = [_source(table, number, keys, place) for number, table in enumerate(keys.sources, 1)]
    if not sources:
        place.refuse(
            "sources", "is missing; add [[<index>.sources]] with a url, or with github, gitlab, gitea or bitbucket"
        )
    credentials = [
        _credential(table, number, place, document=document, environ=environ)
        for number, table in enumerate(keys.credentials, 1)
    ]
    store_type = keys.store.get("type", "file_system")
    store_options: object = None
    if not isinstance(store_type, str) or store_type == GIT_TYPE:
        place.refuse("store.type", "must be the type of a backend that keeps files, in quotes")
    else:
        store_options = build(store_type, {key: value for key, value in keys.store.items() if key != "type"}, place)
    moved = {_url(old, "moved", place) or "": _url(new, "moved", place) or "" for old, new in keys.moved.items()}
    if len(place.mistakes.found) > before:
        return None
    return GitOptions(
        sources=TagSources(
            sources=tuple(each for each in sources if each is not None),
            credentials=tuple(each for each in credentials if each is not None),
            links=keys.links == "git",
            moved=moved,
            limits=TagLimits(
                git_timeout_s=keys.git_timeout,
                repository_bytes=keys.max_repository_bytes,
                unpacked_bytes=keys.max_unpacked_bytes,
                concurrency=keys.concurrency,
            ),
        ),
        store_type=store_type,
        store_options=store_options,
    )


# --- sources ---------------------------------------------------------------------------------------------------------


def _source(table: object, number: int, keys: GitKeys, place: Place) -> Repository | Owner | None:
    where = f"sources[{number}]"
    source = _read(_SourceKeys, table, where, place)
    if source is None:
        return None
    owners = {kind: name for kind in _KINDS if (name := getattr(source, kind)) is not None}
    if len(owners) + (source.url is not None) != 1:
        place.refuse(where, f"needs exactly one of url, {', '.join(_KINDS)}")
        return None
    patterns = _patterns(source.tag_pattern or keys.tag_pattern, where, place)
    packages = _packages(source, patterns, where, place)
    if packages is None:
        return None
    wheels = keys.wheels if source.wheels is None else source.wheels
    if source.url is not None:
        return _repository(source, packages, where, place, wheels=wheels)
    ((kind, name),) = owners.items()
    return _owner(source, HostKind(kind), name, packages, where, place, wheels=wheels)


def _repository(
    source: _SourceKeys, packages: tuple[Package, ...], where: str, place: Place, *, wheels: bool
) -> Repository | None:
    url = _url(source.url or "", f"{where}.url", place)
    if url is None:
        return None
    for key in ("include", "exclude", "topic"):
        if getattr(source, key):
            place.refuse(f"{where}.{key}", "chooses among the repositories of an owner; this source is one repository")
    kind = PUBLIC_HOSTS.get(host_of(url)) if source.host_type is None else HostKind(source.host_type)
    api_url = _api_url(kind, source.api_url, where, place, host=host_of(url)) if kind is not None else None
    return Repository(url=url, packages=packages, kind=kind, api_url=api_url, wheels=wheels)


def _owner(
    source: _SourceKeys,
    kind: HostKind,
    name: str,
    packages: tuple[Package, ...],
    where: str,
    place: Place,
    *,
    wheels: bool,
) -> Owner | None:
    if len(packages) > 1 or packages[0].name is not None:
        place.refuse(
            where, "an owner's repositories have one project each, named by themselves; list others by their url"
        )
    if source.topic is not None and kind is HostKind.BITBUCKET:
        place.refuse(f"{where}.topic", "Bitbucket has no topics; choose by name with include")
    api_url = _api_url(kind, source.api_url, where, place)
    if not name.strip("/") or api_url is None:
        place.refuse(f"{where}.{kind.value}", "must be the name of an organisation, user, group or workspace")
        return None
    return Owner(
        kind=kind,
        name=name.strip("/"),
        api_url=api_url,
        include=tuple(source.include) or ("*",),
        exclude=tuple(source.exclude),
        topic=source.topic,
        package=packages[0],
        wheels=wheels,
    )


def _api_url(kind: HostKind, given: str | None, where: str, place: Place, *, host: str | None = None) -> str | None:
    """Return where a host's API is; a host of one's own has it below its own address."""
    if given is None and host is not None and host not in PUBLIC_HOSTS:
        paths = {HostKind.GITHUB: "/api/v3", HostKind.GITLAB: "/api/v4", HostKind.GITEA: "/api/v1"}
        given = f"https://{host}{paths.get(kind, '')}"
    given = PUBLIC_API.get(kind) if given is None else given
    if given is None:
        place.refuse(f"{where}.api_url", "is missing; write the address of the host's API: https://HOST/api/v1")
        return None
    try:
        parts = urlsplit(given)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        is_url = False
    if not is_url:
        place.refuse(f"{where}.api_url", f"'{shown(given)}' is not the address of an API: write https://HOST/path")
    return given.rstrip("/")


def _packages(
    source: _SourceKeys, patterns: tuple[TagPattern, ...], where: str, place: Place
) -> tuple[Package, ...] | None:
    if not source.packages:
        one = _package(_PackageKeys(name=source.name, subdirectory=source.subdirectory), patterns, where, place)
        return None if one is None else (one,)
    if source.name is not None or source.subdirectory:
        place.refuse(where, "name and subdirectory stand in each of its packages, not beside them")
    found: list[Package] = []
    for number, table in enumerate(source.packages, 1):
        inner = f"{where}.packages[{number}]"
        keys = _read(_PackageKeys, table, inner, place)
        if keys is None:
            return None
        own = _patterns(keys.tag_pattern, inner, place) or patterns
        package = _package(keys, own, inner, place)
        if package is not None:
            found.append(package)
    if len({each.subdirectory for each in found}) < len(found):
        place.refuse(f"{where}.packages", "two of them have the same subdirectory")
    return tuple(found) if len(found) == len(source.packages) else None


def _package(keys: _PackageKeys, patterns: tuple[TagPattern, ...], where: str, place: Place) -> Package | None:
    try:
        name = None if keys.name is None else normalize(keys.name)
        return Package(name=name, subdirectory=keys.subdirectory.strip("/"), patterns=patterns)
    except WheelyardError as error:
        place.refuse(where, error.message)
        return None


def _patterns(given: str | list[str], where: str, place: Place) -> tuple[TagPattern, ...]:
    texts = [given] if isinstance(given, str) else given
    found: list[TagPattern] = []
    for text in filter(None, texts):
        try:
            found.append(TagPattern(text))
        except WheelyardError as error:
            place.refuse(f"{where}.tag_pattern", error.message)
    return tuple(found)


def _url(given: str, where: str, place: Place) -> str | None:
    try:
        return checked_url(given)
    except WheelyardError as error:
        place.refuse(where, error.message)
        return None


# --- credentials -----------------------------------------------------------------------------------------------------


def _credential(
    table: object, number: int, place: Place, *, document: Document, environ: Mapping[str, str]
) -> Credential | None:
    where = f"credentials[{number}]"
    if not isinstance(table, Mapping):
        place.refuse(where, "must be a table with host and password")
        return None
    values = read_table(table, _CREDENTIAL_KEYS, _inner(place, where))
    host, password = values.get("host"), values.get("password")
    if not isinstance(host, str) or password is None:
        return None
    if "/" in host or "@" in host or not host.strip():
        place.refuse(f"{where}.host", f"'{shown(host)}' is not a host: write 'github.com', or 'host:port'")
    secret = read_secret(password, key=f"{where}.password", place=place, folder=document.folder, environ=environ)
    email = values.get("email")
    kind = values.get("host_type") or getattr(PUBLIC_HOSTS.get(host.lower()), "value", None)
    usual = _EMAIL_USER_NAME if email is not None else _USER_NAMES.get(str(kind), _USER_NAME)
    if secret is None:
        return None
    if any(not character.isprintable() for character in secret):
        place.refuse(f"{where}.password", "has unprintable characters")
        return None
    return Credential(
        host=host,
        username=str(values.get("username") or usual),
        secret=secret,
        email=None if email is None else str(email),
    )


def _read(cls: Any, table: object, where: str, place: Place) -> Any:
    if not isinstance(table, Mapping):
        place.refuse(where, "must be a table")
        return None
    before = len(place.mistakes.found)
    values = read_table(table, keys_of(cls), _inner(place, where))
    return None if len(place.mistakes.found) > before else cls(**values)


def _inner(place: Place, where: str) -> Place:
    return Place(place.mistakes, place.source, f"{place.table}.{where}")
