"""
`wheelyard github.gen_gh_pages`: the predecessor's command; a static index of a public repository, for GitHub Pages.

Pages link to the assets of releases, which everybody may download. They stand in `simple/`, as every static site of ours
has them, and once more in a folder for each project, where the predecessor's readers have them.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import click

from wheelyard.cli.flags import examples, flag_command
from wheelyard.errors import SiteError, StorageReadOnly, shown
from wheelyard.index.interface import FileBody, IndexReader

if TYPE_CHECKING:
    from wheelyard.index.hosted import HostedIndex
    from wheelyard.model import Filename, Key, NormalizedName, ProjectList, ProjectPage
    from wheelyard.settings import Settings
    from wheelyard.site.build import Report

_INDEX = "main"  # of a configuration that nobody sees; what people call it is a title

_EPILOG = examples(
    "wheelyard github.gen_gh_pages --name team --owner acme --repo packages --output-folder public",
)


class _Public(Protocol):
    """What the store of a public repository can tell."""

    async def public_page(self) -> str | None:
        """Return the address of the repository's page; None when not everybody may see it."""

    def public_url(self, web_url: str, key: Key) -> str | None:
        """Return where everybody finds a file."""


@flag_command(epilog=_EPILOG)
@click.option("--name", required=True, metavar="NAME", help="Name of the index: title of the pages.")
@click.option("--token", metavar="TOKEN", help="Token that may read the repository [GH_TOKEN, GITHUB_TOKEN].")
@click.option("--token-env", metavar="VARIABLE", help="Environment variable that has it.")
@click.option("--owner", required=True, metavar="OWNER", help="Owner of the repository.")
@click.option("--repo", required=True, metavar="REPO", help="Its name.")
@click.option("--output-folder", required=True, metavar="FOLDER", help="Where the pages are written.")
@click.option("--branch", default="index", show_default=True, metavar="NAME", help="Branch that keeps the index.")
@click.option("--index-filename", metavar="NAME", help="The predecessor's list; nothing here reads it.")
@click.option("--copy/--no-copy", default=False, help="Put the files beside the pages, with their metadata.")
@click.option("--api-url", metavar="URL", help="Of GitHub Enterprise Server: https://HOST/api/v3")
def command(
    *,
    name: str,
    token: str | None,
    token_env: str | None,
    owner: str,
    repo: str,
    output_folder: str,
    branch: str,
    index_filename: str | None,
    copy: bool,
    api_url: str | None,
) -> int:
    """
    Make a static index of a public repository, for GitHub Pages.

    A private repository is refused: its pages would be for everybody, and nobody could download what they link to.
    """
    del index_filename
    names = ("GH_TOKEN", "GITHUB_TOKEN") if token_env is None else (token_env,)
    secret = token or next((os.environ[each] for each in names if os.environ.get(each)), "")
    keys = {"type": "github", "owner": owner, "repo": repo, "branch": branch}
    if url := (api_url or os.environ.get("GITHUB_API_URL")):
        keys["api_url"] = url
    import anyio  # noqa: PLC0415  not for --help

    from wheelyard.settings import load_settings  # noqa: PLC0415  as above

    with tempfile.TemporaryDirectory(prefix="wheelyard-") as root:
        settings = load_settings(
            root,
            config=_table(keys),
            admin_secret=_table({"type": "github", "raw": secret}) if secret else None,
            text_allowed=True,
            may_generate=False,
        )
        report = anyio.run(_generate, settings, name, Path(output_folder), copy)
    click.echo(f"{report.projects} projects: {output_folder}")
    for problem in report.problems:
        click.echo(f"not built: {problem.project}: {shown(problem.text)}", err=True)
    return 1 if report.problems else 0


async def _generate(settings: Settings, title: str, folder: Path, copy: bool) -> Report:  # noqa: FBT001  as `anyio.run` hands it over
    """Write the pages."""
    from anyio import to_thread  # noqa: PLC0415  not for --help

    from wheelyard.compose import open_index  # noqa: PLC0415  as above
    from wheelyard.site.build import Options, SiteBuild  # noqa: PLC0415  as above
    from wheelyard.site.destination import open_destination  # noqa: PLC0415  as above
    from wheelyard.site.layout import Look  # noqa: PLC0415  as above

    async with open_index(settings, _INDEX) as hosted:
        store = cast("_Public", hosted.store.backend)
        web_url = await store.public_page()
        if web_url is None:
            raise StorageReadOnly(
                why="the repository is not public, and GitHub Pages are for everybody",
                hint="Serve it with `wheelyard server`, which asks for passwords.",
            )
        index: IndexReader = hosted if copy else _Linked(hosted, lambda key: store.public_url(web_url, key))
        destination = open_destination(str(folder), environ=os.environ, copy=copy)
        try:
            await to_thread.run_sync(destination.open)
            report = await SiteBuild(index, destination, Options(Look(title))).run()
        finally:
            await to_thread.run_sync(destination.close)
        if not copy:
            await to_thread.run_sync(_write_former, folder, [str(each) for each in (await hosted.list()).names])
    return report


class _Linked(IndexReader):
    """
    An index whose pages link to the assets of releases; metadata is not beside those, so none is advertised.

    Args:
        index: The index.
        url_of: Returns where everybody finds a file.
    """

    def __init__(self, index: HostedIndex, url_of: Callable[[Key], str | None]) -> None:
        self._index = index
        self._url_of = url_of

    async def list(self) -> ProjectList:
        """List the projects."""
        return await self._index.list()

    async def page(self, project: NormalizedName) -> ProjectPage:
        """Return a page with other addresses."""
        from wheelyard.index.hosted import file_key  # noqa: PLC0415  not for --help

        page = await self._index.page(project)
        files = []
        for file in page.files:
            url = self._url_of(file_key(project, file.filename))
            if url is None:
                raise SiteError(f"'{shown(file.filename)}' is in no release that is known", hint="Add --copy.")
            files.append(replace(file, url=url, core_metadata=None))
        return replace(page, files=tuple(files))

    async def file(self, project: NormalizedName, filename: Filename) -> FileBody:
        """Open a file."""
        return await self._index.file(project, filename)

    async def metadata(self, project: NormalizedName, filename: Filename) -> bytes:
        """Read core metadata."""
        return await self._index.metadata(project, filename)


def _write_former(folder: Path, names: list[str]) -> None:
    """Write each project's page once more, where the predecessor had it: its links are whole addresses."""
    from wheelyard.protocol.names import normalize  # noqa: PLC0415  not for --help
    from wheelyard.site.layout import HTML_NAME, page_path  # noqa: PLC0415  as above

    for name in map(normalize, names):
        page = folder / page_path(name, HTML_NAME)
        if name != "simple" and page.exists():
            (folder / name).mkdir(exist_ok=True)
            (folder / name / HTML_NAME).write_bytes(page.read_bytes())


def _table(values: dict[str, str]) -> str:
    rows = "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    return f"[{_INDEX}]\n{rows}"
