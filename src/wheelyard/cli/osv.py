"""`wheelyard osv`: load the advisories that a policy asks (`osv_severity`), or show which are loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from wheelyard.cli.flags import examples, flag_command
from wheelyard.cli.owner import acting_as_owner_of
from wheelyard.errors import InvalidDocument, StorageUnavailable

if TYPE_CHECKING:
    from wheelyard.index.policy.database import Loaded

_EPILOG = examples(
    "wheelyard osv load all.zip",
    "wheelyard osv load GHSA-xxxx-xxxx-xxxx.json --root /srv/packages",
    "wheelyard osv show --root /srv/packages",
)
_ACTIONS: Final = ("load", "show")


@flag_command(epilog=_EPILOG)
@click.argument("action", type=click.Choice(_ACTIONS))
@click.argument("source", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--root", metavar="ROOT", help="Folder of the server [the data folder of the platform].")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(*, action: str, source: Path | None, root: str | None, as_json: bool) -> None:
    """
    Load vulnerability records in the OSV format, or show which are loaded.

    SOURCE is the archive of the ecosystem PyPI as OSV databases publish it, a folder of records, or one record. It takes
    the place of all records that were loaded before; a server that runs sees it at once.
    """
    from wheelyard.settings.first_start import default_root  # noqa: PLC0415  not for --help

    folder = Path(root or default_root()).expanduser()
    if (action == "load") != (source is not None):
        raise click.UsageError("`osv load` takes the records to load, `osv show` takes none")
    loaded = _show(folder) if source is None else _load(source.absolute(), folder)
    click.echo(json.dumps(asdict(loaded)) if as_json else _text(loaded))


def _show(root: Path) -> Loaded:
    from wheelyard.index.policy.database import AdvisoryDatabase  # noqa: PLC0415  not for --help

    return AdvisoryDatabase(root.absolute()).loaded_now()


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
        f"{loaded.records} advisories about {loaded.projects} projects from '{loaded.source}', "
        f"loaded {loaded.loaded_at}{state}"
    )
