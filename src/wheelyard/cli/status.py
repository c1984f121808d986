"""`wheelyard status`: show or set the status of a project (PEP 792)."""

from __future__ import annotations

import click

from wheelyard.cli.flags import examples, flag_command, one_of
from wheelyard.cli.management import (
    Place,
    ProjectState,
    change_local,
    place_options,
    read_local,
    remote_index,
    state_of,
)

_STATUSES = ("active", "archived", "quarantined", "deprecated")
_EPILOG = examples(
    "wheelyard status demo",
    "wheelyard status demo deprecated --reason 'use demo2'",
    "wheelyard status demo quarantined --url http://localhost:8888 --user main",
)


@flag_command(epilog=_EPILOG)
@click.argument("project")
@click.argument("status_position", metavar="[STATUS]", type=click.Choice(_STATUSES), required=False)
@click.option("--status", type=click.Choice(_STATUSES), metavar="STATUS", help="The same as the argument.")
@click.option("--reason", metavar="TEXT", default="", help="Shown with the status.")
@place_options
def command(*, place: Place, project: str, status_position: str | None, status: str | None, reason: str) -> None:
    """
    Show a project's status, or set it (PEP 792).

    STATUS is active, archived (no more uploads), quarantined (no uploads, nothing can be installed) or deprecated.
    """
    status = one_of(status_position, status, "STATUS")
    if status is None and reason:
        raise click.UsageError("--reason goes with a STATUS to set")
    click.echo(_lines(_read(place, project) if status is None else _set(place, project, status, reason)))


def _read(place: Place, project: str) -> ProjectState:
    return read_local(place, project) if place.url is None else state_of(remote_index(place).ask("GET", project))


def _set(place: Place, project: str, status: str, reason: str) -> ProjectState:
    if place.url is not None:
        body = {"status": status, "reason": reason}
        return state_of(remote_index(place).ask("PUT", project, "status", body=body))
    from wheelyard.index.interface import SetStatus  # noqa: PLC0415  not for --help
    from wheelyard.model import ProjectStatus  # noqa: PLC0415  as above

    return change_local(place, project, SetStatus(ProjectStatus(status), reason or None))


def _lines(state: ProjectState) -> str:
    why = f" ({state.reason})" if state.reason else ""
    files = [
        f"  {file.filename}" + ("" if file.yanked is None else f"  yanked{f': {file.yanked}' if file.yanked else ''}")
        for file in state.files
    ]
    return "\n".join([f"{state.name}: {state.status}{why}", *files])
