"""`wheelyard backup`: copy indexes, configuration and the server's own database while the server runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheelyard.cli.flags import examples, flag_command, one_of
from wheelyard.errors import BackupError, IndexNotFound

if TYPE_CHECKING:
    from wheelyard.index.backup import Copied
    from wheelyard.index.backup_files import BackupTarget, Manifest
    from wheelyard.settings import IndexSettings, Settings

WITH_PROBLEMS = 3
"""Exit code of a backup or a restore that was done, but not of everything."""

_EPILOG = examples(
    "wheelyard backup /srv/packages --to /backups/packages",
    "wheelyard backup /srv/packages --to /backups/packages --verify",
    "wheelyard backup /srv/packages --to packages.tar --index main",
)


@flag_command(epilog=_EPILOG)
@click.argument("root_position", metavar="[ROOT]", required=False)
@click.option("--root", metavar="ROOT", help="The same as the argument [the data folder of the platform].")
@click.option("--to", "to", metavar="FOLDER|FILE.tar", required=True, help="Where the backup goes.")
@click.option("--index", "index_names", metavar="NAME", multiple=True, help="Only this index; may be repeated.")
@click.option("--verify/--no-verify", default=False, help="Read everything again and compare.")
@click.option("--config", metavar="FILE", help="The configuration [ROOT/config.toml].")
@click.option("--admin-secret", metavar="FILE", help="The admin secrets [ROOT/admin_secret.toml].")
def command(
    *,
    root_position: str | None,
    root: str | None,
    to: str,
    index_names: tuple[str, ...],
    verify: bool,
    config: str | None,
    admin_secret: str | None,
) -> int:
    """
    Copy a server's folder: indexes, configuration with its secrets, and the server's own database.

    The server may run meanwhile. Into a folder each backup is a snapshot of its own; files that did not change are not
    copied again. The exit code is 3 when something could not be copied, and the rest is in the backup.
    """
    import anyio  # noqa: PLC0415  not for --help

    from wheelyard.settings import load_settings  # noqa: PLC0415  as above

    settings = load_settings(
        one_of(root_position, root, "ROOT"), config=config, admin_secret=admin_secret, may_generate=False
    )
    indexes = chosen_indexes(settings, index_names)
    return anyio.run(_backup, settings, indexes, Path(to).expanduser().absolute(), admin_secret, verify)


def chosen_indexes(settings: Settings, names: Sequence[str]) -> tuple[IndexSettings, ...]:
    """
    Return the indexes of these names; all when there are none.

    Raises:
        IndexNotFound: There is none of a name.
    """
    chosen = []
    for name in names:
        index = settings.index(name)
        if index is None:
            raise IndexNotFound(name)
        chosen.append(index)
    return tuple(chosen) or settings.indexes


async def _backup(
    settings: Settings,
    indexes: Sequence[IndexSettings],
    place: Path,
    admin_secret: str | None,
    verify: bool,  # noqa: FBT001  anyio.run passes by position
) -> int:
    from anyio import to_thread  # noqa: PLC0415  not for --help

    from wheelyard.cli.backup_root import copy_root  # noqa: PLC0415  as above
    from wheelyard.compose import now_utc  # noqa: PLC0415  as above
    from wheelyard.index.backup_files import open_source, open_target, writing  # noqa: PLC0415  as above

    check_outside(settings, indexes, place)
    now = now_utc()
    with open_target(place, now) as target:
        problems = await to_thread.run_sync(copy_root, settings, admin_secret, target, place)
        copied = [await _copy_index(settings, index, target, place) for index in indexes]
        problems += [
            f"{index.name}: {problem}" for index, each in zip(indexes, copied, strict=True) for problem in each.problems
        ]
        manifest = _manifest(now.isoformat(), indexes, copied, target, problems)
        with writing(place):
            made = await to_thread.run_sync(target.commit, manifest)
    for problem in problems:
        click.echo(f"problem: {problem}", err=True)
    click.echo(_summary(copied, made))
    if verify:
        with open_source(made) as source:
            bad = await to_thread.run_sync(lambda: [(path, why) for path, why in source.verify() if why])
        for path, why in bad:
            click.echo(f"problem: {path}: {why}", err=True)
        if bad:
            raise BackupError(
                f"{len(bad)} files of the backup '{made}' are not what was written", hint="Check its disk."
            )
        click.echo(f"verified {len(manifest.files)} files")
    return WITH_PROBLEMS if problems else 0


async def _copy_index(settings: Settings, index: IndexSettings, target: BackupTarget, place: Path) -> Copied:
    from wheelyard.cli.progress import progress  # noqa: PLC0415  not for --help
    from wheelyard.compose import make_store  # noqa: PLC0415  as above
    from wheelyard.index.backup import IndexBackup  # noqa: PLC0415  as above
    from wheelyard.index.doctor import storage_folder  # noqa: PLC0415  as above

    store = make_store(settings, index)
    # A folder is not started: a backup changes nothing there, not even a temporary folder of its own.
    is_elsewhere = storage_folder(store) is None
    if is_elsewhere:
        await store.start()
    try:
        with progress("copying") as shown_progress:
            return await IndexBackup(store, target, place, shown_progress).run()
    finally:
        if is_elsewhere:
            await store.stop()


def check_outside(settings: Settings, indexes: Sequence[IndexSettings], place: Path) -> None:
    """
    Check that a backup does not go into the storage that it copies.

    Raises:
        BackupError: It does.
    """
    from wheelyard.compose import make_store  # noqa: PLC0415  not for --help
    from wheelyard.index.doctor import storage_folder  # noqa: PLC0415  as above

    for index in indexes:
        folder = storage_folder(make_store(settings, index))
        if folder is not None and place.resolve().is_relative_to(folder.resolve()):
            raise BackupError(
                f"'{place}' is inside the storage of index '{index.name}'",
                hint="Name a folder outside of it with --to.",
            )


def _manifest(
    made: str,
    indexes: Sequence[IndexSettings],
    copied: Sequence[Copied],
    target: BackupTarget,
    problems: Sequence[str],
) -> Manifest:
    from wheelyard import __version__  # noqa: PLC0415  beside its one use
    from wheelyard.index import backup_files  # noqa: PLC0415  not for --help

    return backup_files.Manifest(
        made,
        __version__,
        {index.name: index.type for index in indexes},
        dict(target.files),
        tuple(problems),
        {path: why for each in copied for path, why in each.missing.items()},
    )


def _summary(copied: Sequence[Copied], made: Path) -> str:
    projects, files, kept = (sum(getattr(each, name) for each in copied) for name in ("projects", "files", "kept"))
    size = sum(each.bytes for each in copied)
    more = f", {kept} unchanged" if kept else ""
    return f"{projects} projects, {files} files copied ({size} bytes){more}: {made}"
