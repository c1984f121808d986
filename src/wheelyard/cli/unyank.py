"""`wheelyard unyank`: offer a yanked release or files again."""

from __future__ import annotations

import click

from wheelyard.cli.flags import examples, flag_command, one_of
from wheelyard.cli.management import Place, place_options, which_files
from wheelyard.cli.yank import described, mark

_EPILOG = examples(
    "wheelyard unyank demo 1.0",
    "wheelyard unyank demo --file demo-1.0-py3-none-any.whl --url http://localhost:8888",
)


@flag_command(epilog=_EPILOG)
@click.argument("project")
@click.argument("version_position", metavar="[VERSION]", required=False)
@click.option("--version", metavar="VERSION", help="The same as the argument.")
@click.option("--file", "filenames", metavar="NAME", multiple=True, help="A file in place of a release; repeatable.")
@place_options
def command(
    *,
    place: Place,
    project: str,
    version_position: str | None,
    version: str | None,
    filenames: tuple[str, ...],
) -> None:
    """Offer a yanked release, or single files, to resolvers again."""
    version = one_of(version_position, version, "VERSION")
    which_files(version, filenames)
    mark(place, project, version, filenames, reason=None)
    click.echo(f"unyanked {described(project, version, filenames)}")
