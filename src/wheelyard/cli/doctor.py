"""`wheelyard doctor`: look for damage and mend what can be mended without guessing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from wheelyard.cli.flags import examples, flag_command, one_of
from wheelyard.errors import ConfigError, IndexNotFound, shown

if TYPE_CHECKING:
    from wheelyard.index.doctor import Progress
    from wheelyard.settings import IndexSettings, Settings
    from wheelyard.storage.findings import Finding

CLEAN, WARNINGS, WRONG_USE, ERRORS = 0, 1, 2, 3
"""Exit codes: nothing found; warnings only, or all repaired; usage or configuration; errors that are still there."""

_EPILOG = examples(
    "wheelyard doctor /srv/packages",
    "wheelyard doctor /srv/packages --index main --fast",
    "wheelyard doctor /srv/packages --fix",
    "wheelyard doctor /srv/packages --json",
)
_INDEX_NAME: Final = re.compile(r"[^/\\.~][^/\\]*\Z")  # what cannot be taken for a path


@flag_command(epilog=_EPILOG)
@click.argument("place", metavar="[ROOT|INDEX]", required=False)
@click.option("--root", metavar="ROOT", help="Folder of the server [the data folder of the platform].")
@click.option("--index", "index_name", metavar="NAME", help="Only this index.")
@click.option("--config", metavar="FILE", help="Its configuration [ROOT/config.toml].")
@click.option("--admin-secret", metavar="FILE", hidden=True)
@click.option("--fix/--no-fix", default=False, help="Repair what needs no guessing; quarantine the rest.")
@click.option("--fast/--no-fast", default=False, help="Do not read the bytes of files, only their sizes.")
@click.option("--json/--no-json", "as_json", default=False, help="Print one JSON document.")
def command(
    *,
    place: str | None,
    root: str | None,
    index_name: str | None,
    config: str | None,
    admin_secret: str | None,
    fix: bool,
    fast: bool,
    as_json: bool,
) -> int:
    """
    Look for damage in a folder of the server: records, files, permissions, clock, space, configuration.

    The server may run meanwhile. Without --fix nothing is changed. With it nothing is deleted: what must not stay where
    it is moves to .wheelyard/quarantine in the storage. The exit code is 0 when nothing was found, 1 when there are only
    warnings or all was repaired, 3 when errors are left, 2 when the configuration is wrong.
    """
    root, index_name = _root_and_index(place, root, index_name)
    findings: list[Finding] = []
    try:
        settings = _load(root, config, admin_secret)
    except ConfigError as error:
        if not as_json:
            raise
        from wheelyard.cli.doctor_root import config_findings  # noqa: PLC0415  not for --help

        click.echo(_document(config_findings(error.problems), (), WRONG_USE))
        return WRONG_USE
    chosen = _chosen(settings, index_name)

    def report(found: Finding) -> None:
        findings.append(found)
        if not as_json:
            click.echo(_lines(found))

    _examine(settings, chosen, fix=fix, fast=fast, report=report)
    code = exit_code(findings)
    if as_json:
        click.echo(_document(findings, [index.name for index in chosen], code))
    else:
        click.echo(_summary(findings, chosen, fix=fix))
    return code


def exit_code(findings: Sequence[Finding]) -> int:
    """Return the exit code for findings: open errors, anything else worth a look, or nothing."""
    from wheelyard.storage.findings import Severity  # noqa: PLC0415  not for --help

    if any(found.is_open and found.severity is Severity.ERROR for found in findings):
        return ERRORS
    return WARNINGS if any(found.severity is not Severity.INFO for found in findings) else CLEAN


# --- what is looked at ---------------------------------------------------------------------------------------------


def _root_and_index(place: str | None, root: str | None, index: str | None) -> tuple[str | None, str | None]:
    """Tell whether the argument is a ROOT or an INDEX: what is there as a folder, or looks like a path, is a ROOT."""
    if place is None:
        return root, index
    if root is None and (Path(place).expanduser().is_dir() or not _INDEX_NAME.match(place)):
        return place, index
    if root is not None and Path(place).expanduser().is_dir():
        return one_of(place, root, "ROOT"), index
    return root, one_of(place, index, "INDEX")


def _load(root: str | None, config: str | None, admin_secret: str | None) -> Settings:
    from wheelyard.settings import load_settings  # noqa: PLC0415  not for --help

    return load_settings(root, config=config, admin_secret=admin_secret, may_generate=False)


def _chosen(settings: Settings, name: str | None) -> tuple[IndexSettings, ...]:
    if name is None:
        return settings.indexes
    index = settings.index(name)
    if index is None:
        raise IndexNotFound(name)
    return (index,)


def _examine(
    settings: Settings,
    indexes: Sequence[IndexSettings],
    *,
    fix: bool,
    fast: bool,
    report: Callable[[Finding], None],
) -> None:
    from wheelyard.cli.doctor_root import examine_root  # noqa: PLC0415  not for --help
    from wheelyard.cli.progress import progress  # noqa: PLC0415  as above

    for found in examine_root(settings, fix=fix):
        report(found)
    with progress("checking") as shown_progress:
        for index in indexes:
            _examine_index(settings, index, fix=fix, fast=fast, report=report, shown_progress=shown_progress)


def _examine_index(
    settings: Settings,
    index: IndexSettings,
    *,
    fix: bool,
    fast: bool,
    report: Callable[[Finding], None],
    shown_progress: Progress,
) -> None:
    import anyio  # noqa: PLC0415  not for --help

    from wheelyard.cli.owner import acting_as_owner_of  # noqa: PLC0415  as above
    from wheelyard.compose import make_store, now_utc, publish_limits  # noqa: PLC0415  as above
    from wheelyard.index.doctor import Doctor, DoctorOptions, storage_folder  # noqa: PLC0415  as above
    from wheelyard.index.doctor_folder import permissions  # noqa: PLC0415  as above

    store = make_store(settings, index)
    folder = storage_folder(store)
    is_there = folder is not None and folder.is_dir()
    if folder is not None and is_there:
        for found in permissions(folder, index.name, fix=fix):  # as root, before acting as the owner
            report(found)
    options = DoctorOptions(fix=fix, fast=fast, archive=publish_limits(index, settings.limits).archive)
    with acting_as_owner_of(folder) if folder is not None and is_there else nullcontext():
        doctor = Doctor(store, clock=now_utc, options=options, progress=shown_progress)
        anyio.run(doctor.run, report)


# --- what is printed -----------------------------------------------------------------------------------------------


def _lines(found: Finding) -> str:
    where = f"{found.index}: " if found.index else ""
    head = f"{found.severity.value:<7} {found.code}: {where}{shown(found.text)}"
    return f"{head}\n        {f'fixed: {found.done}' if found.done else found.advice}"


def _summary(findings: Sequence[Finding], indexes: Sequence[IndexSettings], *, fix: bool) -> str:
    names = ", ".join(f"'{index.name}'" for index in indexes)
    if not findings:
        return f"{names}: nothing found"
    counts = _counts(findings)
    told = ", ".join(f"{counts[name]} {name}" for name in ("error", "warning", "info") if counts[name])
    more = f", {counts['fixed']} repaired" if fix else ""
    if not fix and any(found.fixable for found in findings):
        more = "; `--fix` repairs what needs no guessing"
    return f"{names}: {told}{more}"


def _document(findings: Sequence[Finding], indexes: Sequence[str], code: int) -> str:
    return json.dumps(
        {
            "indexes": list(indexes),
            "findings": [
                {
                    "code": found.code,
                    "severity": found.severity.value,
                    "index": found.index,
                    "key": found.key,
                    "text": found.text,
                    "advice": found.advice,
                    "fixable": found.fixable,
                    "done": found.done,
                    "lost": found.lost,
                }
                for found in findings
            ],
            "counts": _counts(findings),
            "exit_code": code,
        },
        indent=2,
    )


def _counts(findings: Sequence[Finding]) -> dict[str, int]:
    severities = [found.severity.value for found in findings]
    counts = {name: severities.count(name) for name in ("error", "warning", "info")}
    return {**counts, "fixed": sum(1 for found in findings if found.done)}
