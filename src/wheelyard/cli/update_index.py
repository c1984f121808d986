"""`wheelyard update_index`: the predecessor's command; takes over its folder and checks that every listed file is there."""

from __future__ import annotations

import hmac
import json
import os
from secrets import token_urlsafe
from typing import TYPE_CHECKING

import click

from wheelyard.cli.flags import examples, flag_command, one_of
from wheelyard.errors import ConfigError, RecordDamaged, StorageError, WheelyardError

if TYPE_CHECKING:
    from wheelyard.index.hosted import HostedIndex
    from wheelyard.index.takeover import TakeoverReport
    from wheelyard.model import DistFile, NormalizedName
    from wheelyard.settings import IndexSettings, Settings

_SECRETS = ("read_secret", "write_secret")
_EPILOG = examples(
    "wheelyard update_index file_system main --root /srv/packages",
    "wheelyard update_index file_system main --config config.toml --secret-env WRITE_SECRET",
    "wheelyard update_index git team --config config.toml",
    "wheelyard update_index github team --config config.toml --secret-env GH_TOKEN",
    "wheelyard update_index github team --owner acme --repo packages --secret-env GH_TOKEN",
)


@flag_command(epilog=_EPILOG, further=True)
@click.argument("type_position", metavar="TYPE", required=False)
@click.argument("name_position", metavar="NAME", required=False)
@click.option("--type", "type_flag", metavar="TYPE", help="The same as the argument.")
@click.option("--name", "name_flag", metavar="NAME", help="The same as the argument.")
@click.option("--secret", metavar="SECRET", help="Secret with write permission; checked when it is given.")
@click.option("--secret-env", metavar="VARIABLE", help="Environment variable that has the secret.")
@click.option("--root", metavar="ROOT", help="Folder of the server [the data folder of the platform].")
@click.option("--config", metavar="FILE", help="Its configuration [ROOT/config.toml].")
@click.option(
    "--config-or-admin-secret-can-be-text/--no-config-or-admin-secret-can-be-text",
    "text_allowed",
    default=False,
    hidden=True,
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    type_position: str | None,
    name_position: str | None,
    type_flag: str | None,
    name_flag: str | None,
    secret: str | None,
    secret_env: str | None,
    root: str | None,
    config: str | None,
    text_allowed: bool,
) -> int:
    """
    Bring an index up to date with its storage.

    For TYPE file_system this takes over what a private-pypi server left in ROOT, and checks that each listed file is
    there. For TYPE git it looks for new tags in all repositories. For TYPE github it lists what lies in the releases and
    no record lists, and names what is lost. The server may run meanwhile. Keys of the index that no configuration has
    can be given as flags: --read-secret, --write-secret, --owner, --repo and so on.
    """
    positions = [each for each in (type_position, name_position) if each is not None]
    backend_type = one_of(positions.pop(0) if positions and type_flag is None else None, type_flag, "TYPE")
    name = one_of(positions.pop(0) if positions else None, name_flag, "NAME")
    if backend_type is None or name is None:
        raise click.UsageError("TYPE and NAME are needed: wheelyard update_index file_system main")
    further: dict[str, str] = ctx.obj or {}
    given = _given_secret(secret, secret_env)
    admin = _admin_secret(backend_type, name, given)
    settings = _settings(
        backend_type, name, root, config, admin_secret=admin, text_allowed=text_allowed, further=further
    )
    index = _chosen(settings, backend_type, name)
    if admin is not None:
        pass  # the host says whether it is right
    elif config is not None or "write_secret" in further or not further:
        _check_secret(index, given)
    import anyio  # noqa: PLC0415  not for --help

    if backend_type == "git":
        from wheelyard.cli.update_git import update_git  # noqa: PLC0415  as above

        return anyio.run(update_git, settings, index)
    return anyio.run(_update, settings, index)


def _settings(
    backend_type: str,
    name: str,
    root: str | None,
    config: str | None,
    *,
    admin_secret: str | None,
    text_allowed: bool,
    further: dict[str, str],
) -> Settings:
    """Load the configuration, or make one of the flags when they say what the index is."""
    from wheelyard.settings import load_settings  # noqa: PLC0415  not for --help

    if not further:
        return load_settings(
            root,
            config=config,
            admin_secret=admin_secret,
            text_allowed=text_allowed or admin_secret is not None,
            may_generate=False,
        )
    if config is not None:
        raise click.UsageError(f"give --config or {', '.join(_flag(key) for key in further)}, not both")
    # The predecessor did not ask for these here; nobody can guess the ones that stand in.
    further = {key: token_urlsafe() for key in _SECRETS} | further
    keys = (f"{key} = {_quoted(value) if key in _SECRETS else _toml(value)}" for key, value in further.items())
    lines = [f"[{_quoted(name)}]", f"type = {_quoted(backend_type)}", *keys]
    return load_settings(
        root, config="\n".join(lines), admin_secret=admin_secret, text_allowed=True, may_generate=False
    )


def _chosen(settings: Settings, backend_type: str, name: str) -> IndexSettings:
    for warning in settings.warnings:
        click.echo(f"warning: {warning}", err=True)
    index = settings.index(name)
    if index is None:
        known = ", ".join(f"'{each.name}'" for each in settings.indexes)
        raise ConfigError([f"{settings.source}: there is no index '{name}'; there are {known}"])
    if index.type != backend_type:
        raise ConfigError([f"{settings.source}: [{name}] is of type '{index.type}', not '{backend_type}'"])
    return index


def _given_secret(secret: str | None, secret_env: str | None) -> str | None:
    if secret is None and secret_env is not None:
        secret = os.environ.get(secret_env)
        if not secret:
            raise click.UsageError(f"the environment variable '{secret_env}' is not set")
    return secret


def _admin_secret(backend_type: str, name: str, secret: str | None) -> str | None:
    """Return the admin secret that a secret for a host is; None for storage of our own, or when none was given."""
    if backend_type != "github" or secret is None:
        return None
    return f"[{_quoted(name)}]\ntype = {_quoted(backend_type)}\nraw = {_quoted(secret)}\n"


def _check_secret(index: IndexSettings, secret: str | None) -> None:
    """The folder is ours to read, so no secret is needed; but one that is given must be right."""
    if secret is not None and not hmac.compare_digest(secret.encode(), (index.write_secret or "").encode()):
        raise click.ClickException(f"the secret is not the write secret of index '{index.name}'")


async def _update(settings: Settings, index: IndexSettings) -> int:
    """Take over, check, say what was done; 0 when everything is right."""
    from wheelyard.compose import now_utc, open_index  # noqa: PLC0415  every part of the server: not for --help
    from wheelyard.index.takeover import take_over  # noqa: PLC0415  as above
    from wheelyard.storage.plugins import load_backend  # noqa: PLC0415  as above

    async with open_index(settings, index.name) as hosted:
        report = await take_over(
            settings.folder(index),
            hosted,
            spool_folder=hosted.store.traits.spool_folder,
            now=now_utc,
            thorough=True,
        )
        _tell(report)
        update = load_backend(index.type).update
        is_well = True if update is None else await update(hosted, click.echo)
        files, problems = await _check_files(hosted)
    for problem in problems:
        click.echo(f"missing: {problem}")
    click.echo(f"index '{index.name}': {files} files listed, {files - len(problems)} of them there")
    return 1 if problems or report.damaged or not is_well else 0


def _tell(report: TakeoverReport) -> None:
    for path in report.taken:
        click.echo(f"taken over: {path}")
    for line in report.advice:
        click.echo(f"note: {line}")
    for line in report.damaged:
        click.echo(f"passed over: {line}")
    if report.found:
        click.echo(
            f"private-pypi folder: {len(report.taken)} files taken over now, {report.already} before, "
            f"{len(report.damaged)} passed over; the folder itself was not changed"
        )


async def _check_files(hosted: HostedIndex) -> tuple[int, list[str]]:
    """Return how many files are listed, and what is wrong with those that cannot be had."""
    from wheelyard.protocol.names import normalize  # noqa: PLC0415  as in `_update`

    files, problems = 0, []
    for name in (await hosted.list()).names:
        project = normalize(name)
        try:
            page = await hosted.page(project)
        except WheelyardError as error:
            problems.append(f"{project}: {error.message}")
            continue
        for file in page.files:
            files += 1
            try:
                await _check_file(hosted, project, file)
            except StorageError as error:
                problems.append(f"{project}/{file.filename}: {error.message}")
    return files, problems


async def _check_file(hosted: HostedIndex, project: NormalizedName, file: DistFile) -> None:
    from wheelyard.index.hosted import file_key  # noqa: PLC0415  as in `_update`

    key = file_key(project, file.filename)
    stored = await hosted.store.stat(key)
    if stored.size != file.size:
        raise RecordDamaged(key, f"it has {stored.size} bytes, and its record says {file.size}", store=hosted.name)


def _flag(key: str) -> str:
    return "--" + key.replace("_", "-")


def _toml(value: str) -> str:
    """Write a flag's value as TOML: numbers and booleans as such, everything else as text."""
    if value.isdecimal() or value in ("true", "false"):
        return value
    return {"True": "true", "False": "false"}.get(value) or _quoted(value)


def _quoted(text: str) -> str:
    return json.dumps(text)  # a JSON string in ASCII is a TOML string
