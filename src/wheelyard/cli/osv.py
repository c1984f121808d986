"""`wheelyard osv`: load the advisories that a policy asks (`osv_severity`), or show which are loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zipfile import is_zipfile

import click

from wheelyard.cli.flags import examples, flag_command
from wheelyard.cli.owner import acting_as_owner_of
from wheelyard.errors import InvalidDocument, StorageUnavailable, WheelyardError

if TYPE_CHECKING:
    from wheelyard.index.policy.database import Loaded

_EPILOG = examples(
    "wheelyard osv load all.zip",
    "wheelyard osv load advisories/ --root /srv/packages",
    "wheelyard osv show --root /srv/packages",
)
_ACTIONS: Final = ("load", "show")


@flag_command(epilog=_EPILOG)
@click.argument("action", type=click.Choice(_ACTIONS))
@click.argument("source", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--root", metavar="ROOT", help="Folder of the server [the data folder of the platform].")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--replace", is_flag=True, help="Let a single record take the place of many.")
def command(*, action: str, source: Path | None, root: str | None, as_json: bool, replace: bool) -> None:
    """
    Load vulnerability records in the OSV format, or show which are loaded.

    SOURCE is the archive of the ecosystem PyPI as OSV databases publish it, a folder of records, or one record. It takes
    the place of all records that were loaded before; a server that runs sees it at once.
    """
    from wheelyard.settings.first_start import default_root  # noqa: PLC0415  not for --help

    folder = Path(root or default_root()).expanduser()
    if (action == "load") != (source is not None):
        raise click.UsageError("`osv load` takes the records to load, `osv show` takes none")
    if source is not None and not replace:
        _check_replacing(source, folder)
    loaded = _show(folder) if source is None else _load(source.absolute(), folder)
    click.echo(json.dumps(asdict(loaded)) if as_json else _text(loaded))


def _show(root: Path) -> Loaded:
    """
    Tell which records are loaded.

    Raises:
        click.ClickException: None are.
        PolicyUnavailable: They cannot be read.
    """
    from wheelyard.index.policy.database import FILE, AdvisoryDatabase  # noqa: PLC0415  not for --help

    if not (root / FILE).exists():
        raise click.ClickException(f"no advisories are loaded in '{root}': load them with `wheelyard osv load all.zip`")
    return AdvisoryDatabase(root.absolute()).loaded_now()


def _check_replacing(source: Path, root: Path) -> None:
    """
    Keep one record, meant to be added, from taking the place of a whole database.

    Raises:
        click.UsageError: It would.
    """
    if not source.is_file() or is_zipfile(source):
        return
    try:
        loaded = _show(root)
    except (click.ClickException, WheelyardError):  # none, or none that can be used
        return
    if loaded.records > 1:
        raise click.UsageError(
            f"'{source}' would take the place of the {loaded.records} advisories of '{loaded.source}': load a folder "
            "or an archive that has all, or say --replace"
        )


def _load(source: Path, root: Path) -> Loaded:
    """
    Load records.

    Raises:
        click.ClickException: They cannot be read; those that were loaded before stay.
        StorageUnavailable: The database cannot be written; as above.
    """
    from wheelyard.index.policy.database import load_database  # noqa: PLC0415  not for --help

    if not root.is_dir():
        raise click.UsageError(f"there is no folder '{root}'; name the server's folder with --root")
    if source.suffix == ".zip" and not is_zipfile(source):
        raise click.ClickException(
            f"'{source}' is no zip archive, or did not arrive whole; what was loaded before stays"
        )
    score = scorer()
    try:
        with acting_as_owner_of(root):
            return load_database(source, root.absolute(), score=score, now=datetime.now(UTC))
    except InvalidDocument as error:
        raise click.ClickException(f"{error.message}; what was loaded before stays") from error
    except OSError as error:
        raise StorageUnavailable(
            f"the advisories cannot be loaded: {error.strerror or error}", hint="What was loaded before stays."
        ) from error


def scorer() -> Callable[[str], float | None]:
    """
    Return what computes base scores of CVSS vectors.

    Raises:
        click.ClickException: The library that does is not installed.
    """
    try:
        from cvss import CVSS2, CVSS3, CVSS4, CVSSError  # type: ignore[import-untyped]  # noqa: PLC0415  an extra
    except ImportError:
        raise click.ClickException(
            "scores cannot be computed: install `wheelyard[osv]`, which brings the library `cvss`"
        ) from None

    def score(vector: str) -> float | None:
        try:
            if vector.startswith("CVSS:4"):
                return float(CVSS4(vector).base_score)
            return float((CVSS3 if vector.startswith("CVSS:3") else CVSS2)(vector).scores()[0])
        except (CVSSError, TypeError, ValueError, KeyError):
            return None

    return score


def _text(loaded: Loaded) -> str:
    state = f"; the newest is of {loaded.newest}" if loaded.newest else ""
    return (
        f"{loaded.records} {'advisory' if loaded.records == 1 else 'advisories'} about {loaded.projects} "
        f"{'project' if loaded.projects == 1 else 'projects'} from '{loaded.source}', "
        f"loaded {loaded.loaded_at}{state}"
    )
