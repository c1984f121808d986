"""
What `yank`, `unyank`, `status` and `delete` share: one project of one index, in a local ROOT or on a running server.

A local ROOT may be served at the same moment: the change is one swap of the project's record, and the server sees it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from wheelyard.cli.remote import RemoteIndex, password_from
from wheelyard.errors import IndexNotFound

if TYPE_CHECKING:
    from wheelyard.index.interface import Change, Index
    from wheelyard.model import NormalizedName, ProjectPage
    from wheelyard.settings import Settings


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where the project is.

    Attributes:
        root: Local ROOT; None for the default.
        config: Local configuration.
        admin_secret: Local admin secrets; only read so that their mistakes are told.
        text_allowed: Whether the two may be text.
        index: Name of the index; None for the only one.
        url: Running server to ask in place of a local ROOT.
        user: User name for it.
        password: Password for it.
        password_env: Environment variable that has the password.
    """

    root: str | None = None
    config: str | None = None
    admin_secret: str | None = None
    text_allowed: bool = False
    index: str | None = None
    url: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    password_env: str | None = None


@dataclass(frozen=True, slots=True)
class FileState:
    """One file of a project: its name, and None or the reason of its yank."""

    filename: str
    yanked: str | None


@dataclass(frozen=True, slots=True)
class ProjectState:
    """A project as it is, wherever it is kept."""

    name: str
    status: str
    reason: str | None
    files: tuple[FileState, ...]


def place_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where; the function gets them as one `place`."""

    @functools.wraps(function)
    def with_place(**given: Any) -> Any:
        place = Place(**{name: given.pop(name) for name in tuple(given) if name in Place.__dataclass_fields__})
        return function(place=place, **given)

    decorated: Callable[..., Any] = with_place
    for option in reversed(_PLACE_OPTIONS):
        decorated = option(decorated)
    return decorated


_PLACE_OPTIONS = (
    click.option("--index", metavar="NAME", help="Which index; needed when there are several."),
    click.option("--root", metavar="ROOT", help="Work on this folder [the data folder of the platform]."),
    click.option("--config", metavar="FILE", help="Its configuration [ROOT/config.toml]."),
    click.option("--admin-secret", metavar="FILE", hidden=True),
    click.option(
        "--config-or-admin-secret-can-be-text/--no-config-or-admin-secret-can-be-text",
        "text_allowed",
        default=False,
        hidden=True,
    ),
    click.option("--url", metavar="URL", help="Work on this running server in place of a folder."),
    click.option("--user", metavar="NAME", help="User name for it [the index]."),
    click.option("--password", metavar="SECRET", help="Password for it: the write secret; asked for when missing."),
    click.option("--password-env", metavar="VARIABLE", help="Environment variable that has the password."),
)


def load(place: Place, overrides: Mapping[str, object] | None = None) -> Settings:
    """
    Load the settings of a local ROOT, but never make any: that is what a first start of the server does.

    Args:
        place: Where they are.
        overrides: Values of `[server]` that flags gave.
    Raises:
        ConfigError: They are wrong, or there are none.
    """
    from wheelyard.settings import load_settings  # noqa: PLC0415  not for --help, not for --url

    settings = load_settings(
        place.root,
        config=place.config,
        admin_secret=place.admin_secret,
        text_allowed=place.text_allowed,
        may_generate=False,
        overrides=overrides,
    )
    for warning in settings.warnings:
        click.echo(f"warning: {warning}", err=True)
    return settings


def local_index_name(settings: Settings, name: str | None) -> str:
    """
    Return the name of the index meant.

    Raises:
        IndexNotFound: There is none of that name.
        click.UsageError: There are several and none was named.
    """
    if name is not None:
        index = settings.index(name)
        if index is None:
            raise IndexNotFound(name)
        return index.name
    if len(settings.indexes) > 1:
        names = ", ".join(index.name for index in settings.indexes)
        raise click.UsageError(f"there are several indexes ({names}): name one with --index")
    return settings.indexes[0].name


def open_index(place: Place) -> RemoteIndex:
    """Return the index of the running server that the options name, asked without a password."""
    return RemoteIndex(place.url or "", _remote_name(place), user="", password=None)


def _remote_name(place: Place) -> str:
    return place.index or (place.user if place.user not in (None, "__token__") else None) or "main"


def remote_index(place: Place, *, wanted: str = "write secret") -> RemoteIndex:
    """Return the index of the running server that the options name; `wanted` is what a person is asked for."""
    index = _remote_name(place)
    password = password_from(place.password, place.password_env, wanted=wanted)
    return RemoteIndex(place.url or "", index, user=place.user or index, password=password)


def project_name(name: str) -> NormalizedName:
    """
    Return the normalised name of a project.

    Raises:
        InvalidName: It is none.
    """
    from wheelyard.protocol.names import normalize  # noqa: PLC0415  packaging is slow to import

    return normalize(name)


def change_local(place: Place, project: str, change: Change) -> ProjectState:
    """
    Change a project in a local ROOT.

    Raises:
        ConfigError: The configuration is wrong.
        WheelyardError: As `Index.change` raises it.
    """
    name = project_name(project)
    return _on_index(place, lambda index: index.change(name, change))


def read_local(place: Place, project: str) -> ProjectState:
    """
    Read a project in a local ROOT.

    Raises:
        ConfigError: The configuration is wrong.
        WheelyardError: As `Index.page` raises it.
    """
    name = project_name(project)
    return _on_index(place, lambda index: index.page(name))


def _on_index(place: Place, act: Callable[[Index], Any]) -> ProjectState:
    import anyio  # noqa: PLC0415  not for --help

    from wheelyard.compose import open_index  # noqa: PLC0415  every part of the server: not for --help

    settings = load(place)
    name = local_index_name(settings, place.index)

    async def run() -> ProjectPage:
        async with open_index(settings, name) as index:
            page: ProjectPage = await act(index)
            return page

    return _state_of_page(anyio.run(run))


def state_of(document: dict[str, Any]) -> ProjectState:
    """Return the state that an answer of the management API describes."""
    return ProjectState(
        name=str(document.get("name", "")),
        status=str(document.get("status", "")),
        reason=document.get("status_reason"),
        files=tuple(
            FileState(str(file.get("filename")), _yanked(file.get("yanked", False)))
            for file in document.get("files", ())
            if isinstance(file, dict)
        ),
    )


def _yanked(value: object) -> str | None:
    if value is False or value is None:
        return None
    return value if isinstance(value, str) else ""


def _state_of_page(page: ProjectPage) -> ProjectState:
    return ProjectState(
        name=page.name,
        status=page.status.value,
        reason=page.status_reason,
        files=tuple(FileState(file.filename, file.yanked) for file in page.files),
    )


def which_files(version: str | None, filenames: tuple[str, ...]) -> None:
    """
    Check that a command names either a version or files.

    Raises:
        click.UsageError: It names both or neither.
    """
    if bool(filenames) == (version is not None):
        raise click.UsageError("name either a VERSION or files with --file NAME")
