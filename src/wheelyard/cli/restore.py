"""`wheelyard restore`: bring a backup back, whole, one index, or one project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheelyard.cli.backup import WITH_PROBLEMS, chosen_indexes
from wheelyard.cli.flags import examples, flag_command
from wheelyard.cli.management import project_name
from wheelyard.errors import BackupError, ProjectNotFound

if TYPE_CHECKING:
    from wheelyard.index.backup_files import BackupSource
    from wheelyard.index.restore import IndexRestore, Restored
    from wheelyard.model import NormalizedName
    from wheelyard.settings import IndexSettings, Settings

_EPILOG = examples(
    "wheelyard restore /backups/packages --to /srv/packages",
    "wheelyard restore packages.tar --to /srv/packages --index main",
    "wheelyard restore /backups/packages --to /srv/packages --project demo --force",
    "wheelyard restore /backups/packages --to /srv/packages --missing",
)


@flag_command(epilog=_EPILOG)
@click.argument("backup", metavar="BACKUP")
@click.option("--to", "to", metavar="ROOT", required=True, help="Folder of a server, or one that is to be.")
@click.option("--index", "index_names", metavar="NAME", multiple=True, help="Only this index; may be repeated.")
@click.option("--project", "projects", metavar="NAME", multiple=True, help="Only this project; may be repeated.")
@click.option("--snapshot", metavar="TIME", help="Which snapshot; the beginning of its name [the newest].")
@click.option("--missing/--no-missing", default=False, help="Only bring back files that the index misses.")
@click.option("--force/--no-force", default=False, help="Replace what is there and differs; it moves to quarantine.")
def command(
    *,
    backup: str,
    to: str,
    index_names: tuple[str, ...],
    projects: tuple[str, ...],
    snapshot: str | None,
    missing: bool,
    force: bool,
) -> int:
    """
    Bring back what `wheelyard backup` copied.

    ROOT may be empty or in use. What is there and differs is never replaced without --force, and with it moves to
    quarantine. Every byte is checked before a record lists it. The exit code is 3 when something could not be restored.
    """
    import anyio  # noqa: PLC0415  not for --help

    from wheelyard.cli.owner import giving_to_owner_of  # noqa: PLC0415  as above
    from wheelyard.index.backup_files import open_source  # noqa: PLC0415  as above

    if missing and force:
        raise click.UsageError("--missing replaces nothing, so --force means nothing with it")
    root = Path(to).expanduser().absolute()
    names = tuple(project_name(name) for name in projects)
    with open_source(Path(backup).expanduser(), snapshot) as source, giving_to_owner_of(root):
        settings = _prepare_root(source, root, force=force and not index_names and not names)
        chosen = _chosen(settings, index_names, source)
        return anyio.run(_restore, source, settings, chosen, names, missing, force)


# --- ROOT ----------------------------------------------------------------------------------------------------------


def _prepare_root(source: BackupSource, root: Path, *, force: bool) -> Settings:
    """Bring configuration and database back where that is wanted, and load the settings."""
    from wheelyard.cli.backup_root import CONFIG, restore_config, restore_state  # noqa: PLC0415  not for --help
    from wheelyard.compose import now_utc  # noqa: PLC0415  as above
    from wheelyard.settings import load_settings  # noqa: PLC0415  as above

    is_new = not (root / CONFIG).exists()
    if is_new and CONFIG not in source.manifest.files:
        raise BackupError(
            f"neither the backup nor '{root}' has a configuration", hint=f"Put one there first: {root / CONFIG}"
        )
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = now_utc()
    lines = restore_config(source, root, force=force, now=now)
    settings = load_settings(root, may_generate=False)
    if is_new:
        _check_own_folders(settings)
    lines.append(restore_state(source, root, force=force, now=now))
    for line in lines:
        if line:
            click.echo(line, err=True)
    return settings


def _check_own_folders(settings: Settings) -> None:
    """A configuration that came with the backup may name the folder of the server that the backup is of."""
    from wheelyard.cli.backup_root import ADMIN_SECRET, CONFIG  # noqa: PLC0415  not for --help
    from wheelyard.compose import make_store  # noqa: PLC0415  as above
    from wheelyard.index.doctor import storage_folder  # noqa: PLC0415  as above

    for index in settings.indexes:
        folder = storage_folder(make_store(settings, index))
        if folder is None or folder.is_relative_to(settings.root) or not (folder / "simple").exists():
            continue
        for name in (CONFIG, ADMIN_SECRET):  # this very run put them there
            (settings.root / name).unlink(missing_ok=True)
        raise BackupError(
            f"the backup's configuration keeps index '{index.name}' in '{folder}', where packages are already",
            hint=f"To restore to another place, put a configuration that names it into {settings.root / CONFIG} first.",
        )


def _chosen(settings: Settings, names: Sequence[str], source: BackupSource) -> tuple[IndexSettings, ...]:
    for name in names:
        if name.lower() not in source.manifest.indexes:
            raise BackupError(f"the backup has no index '{name}'", hint=f"It has: {', '.join(source.manifest.indexes)}")
    chosen = chosen_indexes(settings, names or tuple(source.manifest.indexes))
    return tuple(index for index in chosen if index.name in source.manifest.indexes)


# --- indexes -------------------------------------------------------------------------------------------------------


async def _restore(
    source: BackupSource,
    settings: Settings,
    indexes: Sequence[IndexSettings],
    names: Sequence[NormalizedName],
    missing: bool,  # noqa: FBT001  anyio.run passes by position
    force: bool,  # noqa: FBT001  as above
) -> int:
    from wheelyard.cli.progress import progress  # noqa: PLC0415  not for --help
    from wheelyard.compose import make_store, now_utc  # noqa: PLC0415  as above
    from wheelyard.index.restore import IndexRestore  # noqa: PLC0415  as above

    now = now_utc()
    planned = []
    for index in indexes:
        restore = IndexRestore(source, make_store(settings, index), now=now, force=force)
        planned.append((index, [name for name in restore.projects() if not names or name in names]))
    _check_names(names, planned)
    if not (missing or force):
        for index, projects in planned:
            await _check_conflicts(
                IndexRestore(source, make_store(settings, index), now=now), index, projects, settings
            )
    results = []
    for index, projects in planned:
        store = make_store(settings, index)
        await store.start()
        try:
            with progress("restoring") as shown_progress:
                restore = IndexRestore(source, store, now=now, force=force, progress=shown_progress)
                results.append(await restore.run(projects, only_missing=missing))
        finally:
            await store.stop()
    return _tell(results, missing=missing)


def _check_names(
    names: Sequence[NormalizedName], planned: Sequence[tuple[IndexSettings, Sequence[NormalizedName]]]
) -> None:
    there = {project for _, projects in planned for project in projects}
    for name in names:
        if name not in there:
            raise ProjectNotFound(name)


async def _check_conflicts(
    restore: IndexRestore, index: IndexSettings, projects: Sequence[NormalizedName], settings: Settings
) -> None:
    """Refuse the whole before anything is changed when something would have to be replaced."""
    from wheelyard.compose import make_store  # noqa: PLC0415  not for --help
    from wheelyard.index.doctor import storage_folder  # noqa: PLC0415  as above

    folder = storage_folder(make_store(settings, index))
    if folder is not None and not folder.exists():
        return  # a new index has nothing
    differing = await restore.conflicts(projects)
    if differing:
        few = ", ".join(f"'{name}'" for name in differing[:5]) + (" and more" if len(differing) > 5 else "")  # noqa: PLR2004  a line's worth
        raise BackupError(
            f"{len(differing)} projects of index '{index.name}' are there and differ: {few}; nothing was changed",
            hint="Name single ones with --project, bring back only what is missing with --missing, or replace them with"
            " --force: files published since the backup then move to quarantine.",
        )


def _tell(results: Sequence[Restored], *, missing: bool) -> int:
    problems = [problem for each in results for problem in each.problems]
    for problem in problems:
        click.echo(f"problem: {problem}", err=True)
    projects, same, files = (sum(getattr(each, name) for each in results) for name in ("projects", "same", "files"))
    if missing:
        click.echo(f"{files} files brought back; `wheelyard doctor --fix` lists those again that were taken off a page")
    else:
        click.echo(f"{projects} projects restored, {same} were the same, {files} files written")
    return WITH_PROBLEMS if problems else 0
