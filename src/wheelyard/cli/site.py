"""`wheelyard site`: the same index as plain files. `build` makes it, `init` has a CI make it, `serve` shows what clients ask."""

from __future__ import annotations

import os
import re
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import click

from wheelyard.cli.flags import examples, flag_command, one_of
from wheelyard.errors import SiteError, StorageError, shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from wheelyard.index.doctor import Progress
    from wheelyard.index.hosted import HostedIndex
    from wheelyard.index.interface import IndexReader
    from wheelyard.settings import IndexSettings, Settings
    from wheelyard.site.build import Options, Report

_LOOK_S: Final = 1.0  # how often `--watch` asks storage that answers by a look at one file
_INDEX_NAME: Final = re.compile(r"[^/\\.~][^/\\]*\Z")  # what cannot be taken for a path

_BUILD_EPILOG = examples(
    "wheelyard site build main --to public",
    "wheelyard site build /srv/packages --to s3://our-bucket/python",
    "wheelyard site build --config wheelyard.toml main --to git+https://host/team/packages.git#gh-pages",
)
_INIT_EPILOG = examples("wheelyard site init github", "wheelyard site init s3 --to s3://our-bucket/python")
_SERVE_EPILOG = examples("wheelyard site serve public", "wheelyard site serve public --port 9000")


_EPILOG = examples("wheelyard site build main --to public", "wheelyard site serve public", "wheelyard site init github")


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
def command() -> None:
    """Publish an index as plain files that any web server, bucket or Git host can show."""


@flag_command(epilog=_BUILD_EPILOG)
@click.argument("places", metavar="[ROOT] [INDEX]", nargs=-1)
@click.option("--root", metavar="ROOT", help="Folder of the server [the data folder of the platform].")
@click.option("--config", metavar="FILE", help="Its configuration [ROOT/config.toml].")
@click.option("--admin-secret", metavar="FILE", hidden=True)
@click.option("--index", "index_name", metavar="NAME", help="The same as INDEX; needed when there are several.")
@click.option("--to", "address", metavar="DEST", required=True, help="Folder, bucket URL, or git+URL#branch[:folder].")
@click.option("--title", metavar="TEXT", help="Heading of the front page [the index].")
@click.option("--url", metavar="URL", help="Where the site will be found, for the lines on the front page.")
@click.option("--files/--no-files", default=True, help="Whether the site holds the files; without, give --files-url.")
@click.option("--files-url", metavar="URL", help="Pages link to files there: a 'simple/' folder elsewhere.")
@click.option("--copy/--no-copy", default=False, help="Copy files into a folder where links would do.")
@click.option("--full/--no-full", default=False, help="Put everything again, whatever was built before.")
@click.option("--force/--no-force", default=False, help="Write to a place that holds something else.")
@click.option("--watch/--no-watch", default=False, help="Stay, and build again whenever something changed.")
@click.option("--interval", metavar="SECONDS", type=click.FloatRange(min=1), default=10.0, help="For --watch [10].")
def build(
    *,
    places: tuple[str, ...],
    root: str | None,
    config: str | None,
    admin_secret: str | None,
    index_name: str | None,
    address: str,
    title: str | None,
    url: str | None,
    files: bool,
    files_url: str | None,
    copy: bool,
    full: bool,
    force: bool,
    watch: bool,
    interval: float,
) -> int:
    """
    Write an index as plain files, or bring those of the last time up to date.

    DEST is a folder, a prefix of a bucket (s3://, gs://, az://) or a branch of a Git repository. Everything the index lists
    can then be read by whoever can read DEST. A project that is damaged is named at the end and keeps what was published
    of it before; the exit code is then 1.
    """
    if files == (files_url is not None):
        raise click.UsageError("--no-files and --files-url go together: without files, pages must say where they are")
    root, index_name = _root_and_index(places, root, index_name)
    settings, index = _index(root, config, admin_secret, index_name)
    from wheelyard.site.build import Options  # noqa: PLC0415  not for --help
    from wheelyard.site.layout import Look  # noqa: PLC0415  as above

    look = Look(title or index.name, None if url is None else _with_slash(url, "--url"))
    options = Options(
        look=look,
        files_url=None if files_url is None else _with_slash(files_url, "--files-url"),
        full=full,
        force=force,
    )
    if not index.anonymous_read:
        click.echo(f"note: index '{index.name}' asks for a password; the site does not, its place has to", err=True)
    import anyio  # noqa: PLC0415  as above

    with _owned(settings, index):
        if not watch:
            return anyio.run(_build_once, settings, index.name, address, options, copy)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a build under way ends in order
        return anyio.run(_watch, settings, index.name, address, options, copy, interval)


@flag_command(epilog=_INIT_EPILOG)
@click.argument("host", type=click.Choice(("github", "gitlab", "bitbucket", "gitea", "s3")))
@click.option("--folder", metavar="FOLDER", default=".", help="Checkout that gets the files [.].")
@click.option("--index", "index_name", metavar="NAME", default="main", help="Which index [main].")
@click.option("--config", metavar="FILE", default="wheelyard.toml", help="Its configuration there [wheelyard.toml].")
@click.option("--branch", metavar="NAME", default="main", help="Branch whose pushes start a build [main].")
@click.option("--url", metavar="URL", help="Where the site will be found.")
@click.option("--to", "address", metavar="DEST", help="Bucket (s3), or repository of the site (bitbucket, gitea).")
@click.option("--private/--no-private", default=False, help="The packages are not for everybody.")
@click.option("--force/--no-force", default=False, help="Replace files that are there and differ.")
def init(
    *,
    host: str,
    folder: str,
    index_name: str,
    config: str,
    branch: str,
    url: str | None,
    address: str | None,
    private: bool,
    force: bool,
) -> None:
    """
    Write the files with which a CI builds the site, and say what each client has to be told.

    The CI builds on every push to the branch, on tags and, where the host has them, on releases. It gets no more rights
    than that takes.
    """
    from wheelyard.site.recipes import Wishes, recipe  # noqa: PLC0415  not for --help

    wishes = Wishes(
        host=host,
        index=index_name,
        config=config,
        branch=branch,
        url=None if url is None else _with_slash(url, "--url"),
        address=address,
        private=private,
    )
    made = recipe(wishes)
    _write_files(Path(folder), made.files, force=force)
    for name, text in made.starters.items():
        if (Path(folder) / name).exists():
            click.echo(f"'{name}' is there already; it needs:\n{text}")
        else:
            _write_files(Path(folder), {name: text}, force=False)
    for line in made.lines:
        click.echo(line)


@flag_command(epilog=_SERVE_EPILOG)
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", help="Address to listen on [127.0.0.1].")
@click.option("--port", metavar="PORT", type=click.IntRange(0, 65535), default=8000, help="Port [8000]; 0 for any.")
def serve(*, folder: Path, host: str, port: int) -> None:
    """
    Serve a static index on this machine, and show what clients ask for.

    Each request is shown with its answer, and with a hint where the client or the site went wrong: a name that is not
    normalised, a missing slash, a media type that plain files cannot give, missing metadata.
    """
    from wheelyard.site.serving import serve_folder  # noqa: PLC0415  not for --help

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        serve_folder(folder, host, port, say=click.echo)
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror or error}") from error


command.add_command(build, "build")
command.add_command(init, "init")
command.add_command(serve, "serve")


# --- build ---------------------------------------------------------------------------------------------------------


def _root_and_index(places: tuple[str, ...], root: str | None, index: str | None) -> tuple[str | None, str | None]:
    """Tell which argument is ROOT and which is INDEX: what is a folder here, or looks like a path, is a ROOT."""
    if len(places) > 2:  # noqa: PLR2004  ROOT and INDEX
        raise click.UsageError(f"'{shown(places[2])}' is one argument too many")
    if len(places) == 2:  # noqa: PLR2004  as above
        return one_of(places[0], root, "ROOT"), one_of(places[1], index, "INDEX")
    if not places:
        return root, index
    if root is None and index is not None:
        return places[0], index
    if root is None and (not _INDEX_NAME.match(places[0]) or Path(places[0]).is_dir()):
        return places[0], index
    return root, one_of(places[0], index, "INDEX")


def _index(
    root: str | None, config: str | None, admin_secret: str | None, name: str | None
) -> tuple[Settings, IndexSettings]:
    from wheelyard.settings import load_settings  # noqa: PLC0415  not for --help

    settings = load_settings(root, config=config, admin_secret=admin_secret, may_generate=False)
    known = ", ".join(f"'{each.name}'" for each in settings.indexes)
    if name is None and len(settings.indexes) > 1:
        raise click.UsageError(f"there are several indexes: {known}; say which")
    index = settings.indexes[0] if name is None else settings.index(name)
    if index is None:
        raise click.UsageError(f"there is no index '{shown(name)}'; there are {known}")
    return settings, index


def _owned(settings: Settings, index: IndexSettings) -> AbstractContextManager[None]:
    """When root builds from somebody else's storage, what root makes there is the owner's afterwards."""
    from wheelyard.cli.owner import giving_to_owner_of  # noqa: PLC0415  not for --help

    folder = settings.folder(index)
    return giving_to_owner_of(folder) if folder.is_dir() and os.geteuid() == 0 else nullcontext()


def _with_slash(url: str, flag: str) -> str:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
    except ValueError:
        is_good = False
    if not is_good:
        raise click.BadParameter(f"'{shown(url)}' is no http or https URL", param_hint=flag)
    return url.rstrip("/") + "/"


async def _build_once(settings: Settings, name: str, address: str, options: Options, copy: bool) -> int:  # noqa: FBT001  as `anyio.run` hands it over
    from wheelyard.cli.progress import progress  # noqa: PLC0415  not for --help
    from wheelyard.compose import open_index  # noqa: PLC0415  as above

    async with open_index(settings, name) as index:
        troubles = await _refreshed(settings, name, index)
        with progress("building") as told:
            report = await _built(index, address, options, copy=copy, progress=told)
    code = _tell(report, address)
    for line in troubles:
        click.echo(f"not built: {line}", err=True)
    return 1 if troubles else code


async def _refreshed(settings: Settings, name: str, index: HostedIndex) -> list[str]:
    """Look for new tags where the index is made of them, as a build in CI starts from nothing; returns what went wrong."""
    told = settings.index(name)
    if told is None or told.type != "git":
        return []
    from wheelyard.compose.git_sources import refresh_once  # noqa: PLC0415  only for such an index

    report = await refresh_once(told, index, lambda line: click.echo(line, err=True))
    return [trouble.line for trouble in report.troubles]


async def _watch(
    settings: Settings,
    name: str,
    address: str,
    options: Options,
    copy: bool,  # noqa: FBT001  as `_build_once`
    interval_s: float,
) -> int:
    """Build again and again; trouble is told, and tried again."""
    import anyio  # noqa: PLC0415  not for --help

    from wheelyard.compose import open_index  # noqa: PLC0415  as above
    from wheelyard.index.doctor import Progress  # noqa: PLC0415  as above

    told = settings.index(name)
    is_tags = told is not None and told.type == "git"  # nothing tells of a new tag: it has to be looked for
    async with open_index(settings, name) as index:
        while True:
            before = None
            try:
                for line in await _refreshed(settings, name, index):
                    click.echo(f"not built: {line}", err=True)
                before = None if is_tags else index.peek_list()
                report = await _built(index, address, options, copy=copy, progress=Progress())
            except (SiteError, StorageError) as error:
                click.echo(f"error: {error.message}", err=True)
                before = None
            else:
                if report.changed or report.removed or report.problems:
                    _tell(report, address)
            await anyio.sleep(interval_s if before is None else _LOOK_S)
            while before is not None and index.peek_list() == before:  # noqa: ASYNC110  other processes change it
                await anyio.sleep(_LOOK_S)


async def _built(index: IndexReader, address: str, options: Options, *, copy: bool, progress: Progress) -> Report:
    from anyio import to_thread  # noqa: PLC0415  not for --help

    from wheelyard.site.build import SiteBuild  # noqa: PLC0415  as above
    from wheelyard.site.destination import open_destination  # noqa: PLC0415  as above

    destination = open_destination(address, environ=os.environ, copy=copy)
    try:
        await to_thread.run_sync(destination.open)
        return await SiteBuild(index, destination, options, progress=progress).run()
    finally:
        await to_thread.run_sync(destination.close)


def _tell(report: Report, address: str) -> int:
    """Print what was done; the exit code."""
    removed = f", {report.removed} removed" if report.removed else ""
    place = re.sub(r"//[^/@]*@", "//", address)  # no password on a terminal
    click.echo(f"{report.projects} projects ({report.changed} written{removed}), {report.files} files put: {place}")
    for problem in report.problems:
        click.echo(f"not built: {problem.project}: {shown(problem.text)}", err=True)
    return 1 if report.problems else 0


# --- init ----------------------------------------------------------------------------------------------------------


def _write_files(folder: Path, files: Mapping[str, str], *, force: bool) -> None:
    """Write files that are not there; refuse to lose what somebody changed."""
    for name, text in files.items():
        path = folder / name
        if path.exists() and not force and path.read_text(encoding="utf-8", errors="replace") != text:
            raise click.ClickException(f"'{shown(path)}' is there and differs; --force replaces it")
    for name, text in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"'{shown(path)}' cannot be written: {error.strerror}") from error
        click.echo(f"wrote {path}")
