"""`wheelyard yank`: hide a release or files from resolvers (PEP 592)."""

from __future__ import annotations

import click

from wheelyard.cli.flags import examples, flag_command, one_of
from wheelyard.cli.management import Place, place_options, remote_index, state_of, which_files
from wheelyard.cli.management import change_local as change_here

_EPILOG = examples(
    "wheelyard yank demo 1.0 --reason 'breaks on Python 3.13'",
    "wheelyard yank demo --file demo-1.0-py3-none-any.whl --index main --root /srv/packages",
    "wheelyard yank demo 1.0 --url http://localhost:8888 --user main --password-env WRITE_SECRET",
)


@flag_command(epilog=_EPILOG)
@click.argument("project")
@click.argument("version_position", metavar="[VERSION]", required=False)
@click.option("--version", metavar="VERSION", help="The same as the argument.")
@click.option("--file", "filenames", metavar="NAME", multiple=True, help="A file in place of a release; repeatable.")
@click.option("--reason", metavar="TEXT", default="", help="Shown to everybody who meets the release.")
@place_options
def command(
    *,
    place: Place,
    project: str,
    version_position: str | None,
    version: str | None,
    filenames: tuple[str, ...],
    reason: str,
) -> None:
    """
    Hide a release, or single files, from resolvers (PEP 592).

    Whoever asks for exactly this version still gets it; nothing is removed. `wheelyard unyank` takes the mark away.
    """
    version = one_of(version_position, version, "VERSION")
    which_files(version, filenames)
    mark(place, project, version, filenames, reason=reason)
    click.echo(f"yanked {described(project, version, filenames)}")


def mark(place: Place, project: str, version: str | None, filenames: tuple[str, ...], *, reason: str | None) -> None:
    """
    Set the mark with a reason, or take it away with None.

    Raises:
        WheelyardError: There is no such project, release or file, or nothing could be asked.
    """
    if place.url is not None:
        body: dict[str, object] = {"version": version} if version is not None else {"files": list(filenames)}
        if reason is None:
            state_of(remote_index(place).ask("POST", project, "unyank", body=body))
        else:
            state_of(remote_index(place).ask("POST", project, "yank", body={**body, "reason": reason}))
        return
    from wheelyard.index.interface import Yank  # noqa: PLC0415  not for --help
    from wheelyard.model import Filename  # noqa: PLC0415  as above

    change_here(place, project, Yank(frozenset(map(Filename, filenames)), version, reason))


def described(project: str, version: str | None, filenames: tuple[str, ...]) -> str:
    """Say what a command was about."""
    if filenames:
        return f"{', '.join(filenames)} of {project}"
    return project if version is None else f"{project} {version}"
