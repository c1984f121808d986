"""Which commands there are: our own, and those that installed backends bring (`github.init_pkg_repo`)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import click

PLUGIN_GROUP: Final = "wheelyard.commands.v1"
"""Entry-point group of commands of backends: `<type>.<command>` names a `click.Command`."""


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """
    One command in the list.

    Attributes:
        module: Module that has it, as `command`.
        summary: One line for the list of commands.
    """

    module: str
    summary: str


COMMANDS: Final[Mapping[str, CommandEntry]] = {
    "server": CommandEntry("wheelyard.cli.server", "Serve indexes over HTTP."),
    "warm": CommandEntry("wheelyard.cli.warm", "Fetch what a lock file names into the cache of upstreams."),
    "update_index": CommandEntry("wheelyard.cli.update_index", "Take over a private-pypi folder and check an index."),
    "github.gen_gh_pages": CommandEntry("wheelyard.cli.github_pages", "Make pages of a public repository's index."),
    "yank": CommandEntry("wheelyard.cli.yank", "Hide a release or files from resolvers."),
    "unyank": CommandEntry("wheelyard.cli.unyank", "Offer a yanked release or files again."),
    "status": CommandEntry("wheelyard.cli.status", "Show or set the status of a project."),
    "delete": CommandEntry("wheelyard.cli.delete", "Remove files, a release or a project."),
    "why": CommandEntry("wheelyard.cli.why", "Say why a name is answered as it is."),
    "osv": CommandEntry("wheelyard.cli.osv", "Load vulnerability records for the policy, or show which are loaded."),
    "search": CommandEntry("wheelyard.cli.search", "Look for projects by name, in any index."),
    "site": CommandEntry("wheelyard.cli.site", "Publish an index as plain files: build, init, serve."),
    "doctor": CommandEntry("wheelyard.cli.doctor", "Look for damage, and mend what needs no guessing."),
    "backup": CommandEntry("wheelyard.cli.backup", "Copy everything while the server runs."),
    "restore": CommandEntry("wheelyard.cli.restore", "Bring a backup back, whole or one project."),
    "version": CommandEntry("wheelyard.cli.version", "Print the version."),
}
"""Our own commands, in the order they are listed."""


def plugin_commands() -> dict[str, EntryPoint]:
    """Return the commands of installed backends by name, not loaded."""
    return {point.name: point for point in sorted(entry_points(group=PLUGIN_GROUP), key=lambda point: point.name)}


def canonical(name: str) -> str:
    """Return a command's name as it is listed: `update-index` is `update_index`."""
    return name.replace("-", "_")


def find_command(name: str) -> click.Command | None:
    """Load one command; None when there is none of that name."""
    entry = COMMANDS.get(name)
    if entry is not None:
        command: click.Command = importlib.import_module(entry.module).command
        return command
    point = plugin_commands().get(name)
    if point is None:
        return None
    from wheelyard.cli.flags import with_flags  # noqa: PLC0415  the list of commands needs no click

    return with_flags(point.load())
