"""
Backends are loaded by name through an entry-point group; built-in ones use the same door.

Only the configured backend is imported. The group carries the version of the port: a plug-in for another version is not
loaded, and the error says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, is_dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from wheelyard.errors import ConfigError, shown
from wheelyard.storage.interface import Backend, BackendContext

GROUP: Final = "wheelyard.backends.v1"
"""Entry-point group of backends for this version of the port."""

_GROUPS: Final = "wheelyard.backends."  # what the group of every version starts with


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendPlugin:
    """
    What the entry point of a backend names.

    Attributes:
        name: The `type` of an index in the configuration.
        options: A frozen dataclass whose fields are the backend's own configuration keys; each field has a default or
            is required, and is described in the class's `Attributes:` section.
        open: Makes the backend from such options; must not block, `Backend.start` is the place for that.
        update: Takes files that the storage has and the index does not list, for `wheelyard update_index`; is given the
            started `HostedIndex` and what tells people a line, and returns whether all went well. None where
            nothing but the index itself puts files there.
    """

    name: str
    options: type
    # Any: each plug-in takes its own class of options, and only ever gets an instance of `options`.
    open: Callable[[Any, BackendContext], Backend]
    # Any: storage does not know what an index is.
    update: Callable[[Any, Callable[[str], None]], Awaitable[bool]] | None = None


def installed_backends() -> tuple[str, ...]:
    """Return the names of all backends that `load_backend` would find, sorted; imports none of them."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def load_backend(type_name: str) -> BackendPlugin:
    """
    Import one backend by the name it has in the configuration.

    Raises:
        ConfigError: There is none of that name, it is for another version of Wheelyard, or it cannot be imported;
            the text says which backends are installed.
    """
    points = entry_points(group=GROUP, name=type_name)
    if not points:
        raise ConfigError([f"unknown backend type '{shown(type_name)}': {_why_missing(type_name)}"])
    _check_single(type_name, points)
    try:
        plugin = next(iter(points)).load()
    except Exception as error:
        raise ConfigError(
            [f"the backend '{shown(type_name)}' is installed and cannot be imported: {shown(error)}"]
        ) from error
    if not isinstance(plugin, BackendPlugin) or not is_dataclass(plugin.options):
        raise ConfigError(
            [f"the backend '{shown(type_name)}' is not made for this version: its entry point is no BackendPlugin"]
        )
    return plugin


def _check_single(type_name: str, points: Iterable[EntryPoint]) -> None:
    """Refuse two packages that claim one name: which of them keeps the files must not depend on luck."""
    if len({point.value for point in points}) > 1:
        packages = sorted({point.dist.name for point in points if point.dist is not None})
        raise ConfigError(
            [f"the backend '{shown(type_name)}' is offered by several packages ({', '.join(packages)}); keep one"]
        )


def _why_missing(type_name: str) -> str:
    installed = f"installed are {', '.join(installed_backends()) or 'none'}"
    others = sorted(
        group for group in entry_points().groups if group.startswith(_GROUPS) and group != GROUP
        if any(point.name == type_name for point in entry_points(group=group))
    )  # fmt: skip
    if others:
        return f"a plug-in of that name is for another version ({', '.join(others)}, here: {GROUP}); {installed}"
    return installed
