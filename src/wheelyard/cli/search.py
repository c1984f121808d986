"""`wheelyard search`: look for projects by name in any index, live or static, local or elsewhere."""

from __future__ import annotations

import json
import netrc
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import click

from wheelyard.cli.flags import examples, flag_command
from wheelyard.errors import WheelyardError, shown

if TYPE_CHECKING:
    from wheelyard.index.interface import IndexReader

_ADDRESSES: Final = ("WHEELYARD_INDEX_URL", "PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
"""Variables that name the index when no flag does; the first that is set counts."""

_VERSIONS_ASKED: Final = 50  # projects whose versions are looked up, at most: each is a request
_EPILOG = examples(
    "wheelyard search world --index-url https://host/simple/",
    "wheelyard search world --index-url public --versions",
    "wheelyard search world --root /srv/packages",
)


@flag_command(epilog=_EPILOG)
@click.argument("query")
@click.option(
    "--index-url", metavar="URL", help="The index: its address as pip has it, or the folder of a static site."
)
@click.option("--root", metavar="ROOT", help="Search a local index in this folder instead.")
@click.option("--config", metavar="FILE", help="Its configuration [ROOT/config.toml].")
@click.option("--index", "index_name", metavar="NAME", help="Which index of it; needed when there are several.")
@click.option("--versions/--no-versions", default=False, help="Show the newest release of each project.")
@click.option("--json/--no-json", "as_json", default=False, help="Print one JSON document.")
def command(
    *,
    query: str,
    index_url: str | None,
    root: str | None,
    config: str | None,
    index_name: str | None,
    versions: bool,
    as_json: bool,
) -> int:
    """
    List the projects with QUERY in their name; case and `-_.` do not matter.

    Without --index-url the index is that of the environment (WHEELYARD_INDEX_URL, PIP_INDEX_URL, UV_DEFAULT_INDEX,
    UV_INDEX_URL), or else the local one. Credentials are taken from the URL, or from netrc. The exit code is 1 when nothing
    is found.
    """
    is_local = root is not None or config is not None or index_name is not None
    if index_url is not None and is_local:
        raise click.UsageError("give --index-url, or --root, --config and --index, not both")
    address = index_url or (None if is_local else next(filter(None, map(os.environ.get, _ADDRESSES)), None))
    import anyio  # noqa: PLC0415  not for --help

    found = anyio.run(_searched, query, address, (root, config, index_name), versions)
    if as_json:
        click.echo(json.dumps([{"name": each.name, "version": each.version} for each in found], indent=2))
    for each in () if as_json else found:
        click.echo(each.name if each.version is None else f"{each.name} {each.version}")
    if not found and not as_json:
        click.echo(f"no project has '{shown(query)}' in its name", err=True)
    return 0 if found else 1


@dataclass(frozen=True, slots=True)
class Found:
    """
    One project.

    Attributes:
        name: As the index shows it.
        version: Its newest release, when that was asked for and could be told.
    """

    name: str
    version: str | None = None


async def _searched(
    query: str,
    address: str | None,
    local: tuple[str | None, str | None, str | None],
    versions: bool,  # noqa: FBT001  as `anyio.run` hands it over
) -> list[Found]:
    if address is None:
        from wheelyard.compose import open_index  # noqa: PLC0415  only for a local index
        from wheelyard.settings import load_settings  # noqa: PLC0415  as above

        root, config, name = local
        settings = load_settings(root, config=config, may_generate=False)
        if name is None and len(settings.indexes) > 1:
            known = ", ".join(f"'{each.name}'" for each in settings.indexes)
            raise click.UsageError(f"there are several indexes: {known}; say which with --index")
        async with open_index(settings, name or settings.indexes[0].name) as index:
            return await _matching(index, query, versions=versions)
    folder = _folder(address)
    if folder is not None:
        from wheelyard.site.reading import StaticIndex  # noqa: PLC0415  as above

        return await _matching(StaticIndex(folder), query, versions=versions)
    return await _asked(address, query, versions=versions)


async def _asked(address: str, query: str, *, versions: bool) -> list[Found]:
    """Search an index over HTTP."""
    from wheelyard.index.upstream import UpstreamIndex  # noqa: PLC0415  only for an index elsewhere
    from wheelyard.index.upstream_address import UpstreamLimits  # noqa: PLC0415  as above

    patient = UpstreamLimits(answer_s=60.0, silence_s=30.0, connect_s=10.0)  # a person waits, and may stop
    index = UpstreamIndex(address, credentials=credentials_of(address, os.environ), limits=patient)
    await index.start()
    try:
        return await _matching(index, query, versions=versions)
    finally:
        await index.stop()


async def _matching(index: IndexReader, query: str, *, versions: bool) -> list[Found]:
    wanted = _comparable(query)
    names = [name for name in (await index.list()).names if wanted in _comparable(name)]
    names.sort(key=lambda name: (_comparable(name) != wanted, not _comparable(name).startswith(wanted), name))
    if not versions:
        return [Found(name) for name in names]
    asked = [Found(name, await _newest(index, name)) for name in names[:_VERSIONS_ASKED]]
    return asked + [Found(name) for name in names[_VERSIONS_ASKED:]]


async def _newest(index: IndexReader, name: str) -> str | None:
    from wheelyard.protocol.names import normalize  # noqa: PLC0415  not for --help
    from wheelyard.protocol.pypi_json import shown_version  # noqa: PLC0415  as above

    try:
        return shown_version(await index.page(normalize(name)))
    except WheelyardError:
        return None


def _comparable(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def _folder(address: str) -> Path | None:
    """Return the folder that an address means; None for an address elsewhere."""
    if address.startswith("file://"):
        return Path(unquote(urlsplit(address).path))
    if "://" in address:
        return None
    path = Path(address).expanduser()
    if not path.is_dir():
        raise click.BadParameter(f"'{shown(address)}' is neither a URL nor a folder", param_hint="--index-url")
    return path.resolve()


def credentials_of(url: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """
    Return user and password that netrc has for an index, as pip would find them; None when its URL has its own.

    Raises:
        click.ClickException: The netrc file cannot be read.
    """
    parts = urlsplit(url)
    if parts.username or parts.password or not parts.hostname:
        return None
    path = Path(environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        found = netrc.netrc(path).authenticators(parts.hostname)
    except FileNotFoundError:
        return None
    except (OSError, netrc.NetrcParseError) as error:
        why = error.strerror if isinstance(error, OSError) else f"line {error.lineno}: {error.msg}"
        raise click.ClickException(f"'{path}' cannot be read: {why}") from error
    return None if found is None else (found[0] or "", found[2] or "")
