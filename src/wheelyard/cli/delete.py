"""`wheelyard delete`: remove files, a release or a project."""

from __future__ import annotations

import click

from wheelyard.cli.flags import examples, flag_command, one_of
from wheelyard.cli.management import Place, change_local, place_options, remote_index
from wheelyard.cli.yank import described

_EPILOG = examples(
    "wheelyard delete demo 1.0",
    "wheelyard delete demo --file demo-1.0-py3-none-any.whl --yes",
    "wheelyard delete demo --yes --url http://localhost:8888 --user main --password-env WRITE_SECRET",
)


@flag_command(epilog=_EPILOG)
@click.argument("project")
@click.argument("version_position", metavar="[VERSION]", required=False)
@click.option("--version", metavar="VERSION", help="The same as the argument.")
@click.option("--file", "filenames", metavar="NAME", multiple=True, help="A file in place of a release; repeatable.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@place_options
def command(
    *,
    place: Place,
    project: str,
    version_position: str | None,
    version: str | None,
    filenames: tuple[str, ...],
    yes: bool,
) -> None:
    """
    Remove single files, a release, or with neither the whole project.

    There is no way back, and whoever pinned it cannot install any more: `wheelyard yank` hides and removes nothing.
    """
    version = one_of(version_position, version, "VERSION")
    if version is not None and filenames:
        raise click.UsageError("name either a VERSION or files with --file NAME")
    what = described(project, version, filenames) if version or filenames else f"the whole project {project}"
    if not yes:
        click.confirm(f"Remove {what} for ever?", abort=True, err=True)
    _delete(place, project, version, filenames)
    click.echo(f"deleted {what}")


def _delete(place: Place, project: str, version: str | None, filenames: tuple[str, ...]) -> None:
    if place.url is not None:
        index = remote_index(place)
        files: list[tuple[str, ...]] = [("files", each) for each in filenames]
        paths = files or [("releases", version) if version is not None else ()]
        for path in paths:
            index.ask("DELETE", project, *path)
        return
    from wheelyard.index.interface import Delete  # noqa: PLC0415  not for --help
    from wheelyard.model import Filename  # noqa: PLC0415  as above

    change_local(place, project, Delete(frozenset(map(Filename, filenames)), version))
