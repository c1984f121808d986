"""`wheelyard github.import`: a repository of the predecessor, in place or into another one."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from wheelyard.backends.github.commands import api_url_of, repository_of, token_of

if TYPE_CHECKING:
    from wheelyard.backends.github.adoption import Progress, Report

_EPILOG = """\b
Examples:
  wheelyard github.import acme/packages --token-env GH_TOKEN
  wheelyard github.import acme/packages --to acme/new-packages --name team"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Import:
    """What is taken where."""

    source: tuple[str, str]
    target: tuple[str, str]
    name: str
    token: str
    source_token: str
    branch: str
    predecessor_branch: str | None
    index_filename: str
    release_layout: Literal["version", "file", "rolling"]
    api_url: str


@click.command(epilog=_EPILOG)
@click.argument("repository", metavar="OWNER/REPO")
@click.option("--to", metavar="OWNER/REPO", help="Copy into this repository; without it the files stay where they are.")
@click.option("--name", metavar="NAME", help="Name of the index, for messages [REPO].")
@click.option("--token", metavar="TOKEN", help="Token that may write to the repository [GH_TOKEN, GITHUB_TOKEN].")
@click.option("--token-env", metavar="VARIABLE", help="Environment variable that has it.")
@click.option("--source-token-env", metavar="VARIABLE", help="The same for reading the first repository, with --to.")
@click.option("--branch", default="index", show_default=True, metavar="NAME", help="Branch that keeps the index.")
@click.option("--predecessor-branch", metavar="NAME", help="Branch with the predecessor's list [the default branch].")
@click.option("--index-filename", default="index.toml", show_default=True, metavar="NAME", help="Name of that list.")
@click.option(
    "--release-layout",
    type=click.Choice(["version", "file", "rolling"]),
    default="version",
    show_default=True,
    help="Which releases get the files, with --to.",
)
@click.option("--api-url", metavar="URL", help="Of GitHub Enterprise Server: https://HOST/api/v3")
def command(
    *,
    repository: str,
    to: str | None,
    name: str | None,
    token: str | None,
    token_env: str | None,
    source_token_env: str | None,
    branch: str,
    predecessor_branch: str | None,
    index_filename: str,
    release_layout: Literal["version", "file", "rolling"],
    api_url: str | None,
) -> int:
    """
    Take over a repository of private-pypi.

    Every file is listed under the same name with the same sha256. Nothing is removed: releases, tags and the
    predecessor's list stay. What was taken over already is passed over, so the command may be run again at any time.
    """
    source = repository_of(repository, "the argument")
    target = source if to is None else repository_of(to, "--to")
    own = token_of(token, token_env)
    wanted = _Import(
        source=source,
        target=target,
        name=name or target[1],
        token=own,
        source_token=own if source_token_env is None else token_of(None, source_token_env),
        branch=branch,
        predecessor_branch=predecessor_branch,
        index_filename=index_filename,
        release_layout=release_layout,
        api_url=api_url_of(api_url),
    )
    import anyio  # noqa: PLC0415  not for --help

    with _progress() as progress:
        report = anyio.run(_import, wanted, progress)
    for line in report.lines():
        click.echo(line)
    owner, repo = wanted.target
    click.echo(
        f"repository '{owner}/{repo}': {len(report.added)} files taken over now, {report.already} before, "
        f"{len(report.left)} left alone; nothing was removed"
    )
    return 0 if report.is_well and not report.left else 1


async def _import(wanted: _Import, progress: Progress) -> Report:
    """Open both repositories and take over."""
    from wheelyard.backends.github import GitHubOptions  # noqa: PLC0415  not for --help
    from wheelyard.backends.github.addresses import Addresses  # noqa: PLC0415  as above
    from wheelyard.backends.github.adoption import Adoption  # noqa: PLC0415  as above
    from wheelyard.backends.github.backend import GitHubBackend  # noqa: PLC0415  as above
    from wheelyard.backends.github.client import GitHubClient  # noqa: PLC0415  as above
    from wheelyard.index.checks import PublishLimits  # noqa: PLC0415  as above
    from wheelyard.index.hosted import HostedIndex  # noqa: PLC0415  as above
    from wheelyard.storage.interface import BackendContext  # noqa: PLC0415  as above
    from wheelyard.storage.store import Store  # noqa: PLC0415  as above

    owner, repo = wanted.target
    options = GitHubOptions(
        owner=owner, repo=repo, branch=wanted.branch, api_url=wanted.api_url, cache_bytes=0,
        release_layout=wanted.release_layout,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="wheelyard-") as folder:
        context = BackendContext(
            name=wanted.name, folder=Path(folder), admin_secret={"raw": wanted.token}, sync_interval_s=3600
        )
        backend = GitHubBackend(options, context)
        store = Store(backend, name=wanted.name)
        source = None
        if wanted.source != wanted.target:
            source = GitHubClient(Addresses(wanted.api_url, *wanted.source), {"raw": wanted.source_token})
            source.open()
        try:
            await store.start()
            try:
                index = HostedIndex(wanted.name, store, limits=PublishLimits(), clock=lambda: datetime.now(UTC))
                predecessor = (wanted.index_filename, wanted.predecessor_branch)
                return await Adoption(
                    index, backend, source=source, predecessor_index=predecessor, progress=progress
                ).run()
            finally:
                await store.stop()
        finally:
            if source is not None:
                await source.close()


@contextmanager
def _progress() -> Iterator[Progress]:
    """Show a bar while the block runs, if stderr is a terminal."""
    from wheelyard.backends.github.adoption import Progress  # noqa: PLC0415  not for --help

    if not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console  # noqa: PLC0415  only where a person watches
    from rich.progress import Progress as Bar  # noqa: PLC0415  as above

    class Shown(Progress):
        """Draws a bar."""

        def begin(self, files: int) -> None:
            """Begin the bar."""
            self._task = bar.add_task("taking over", total=files)

        def advance(self) -> None:
            """Go on by one file."""
            bar.advance(self._task)

    with Bar(console=Console(stderr=True), transient=True) as bar:
        yield Shown()
