"""`wheelyard warm`: fetch what a lock file names, so that it is here when it is needed."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from typing import TYPE_CHECKING, TypeVar

import click

from wheelyard.cli.asking import extra_index_option, quiet_log, upstream_overrides
from wheelyard.cli.flags import examples, flag_command
from wheelyard.errors import ConfigError, IndexNotFound, WheelyardError

if TYPE_CHECKING:
    from wheelyard.compose.upstreams import Behind, Upstreams
    from wheelyard.index.doctor import Progress
    from wheelyard.index.interface import FileBody, IndexReader
    from wheelyard.model import DistFile, NormalizedName
    from wheelyard.protocol.pinned import Pin
    from wheelyard.settings import Settings
    from wheelyard.settings.upstream_values import UpstreamSettings

T = TypeVar("T")

_EPILOG = examples(
    "wheelyard warm uv.lock --root /srv/packages",
    "wheelyard warm requirements.txt dev-requirements.txt --root /srv/packages --index main",
    "wheelyard warm poetry.lock --files '*-none-any.whl' --files '*-manylinux*_x86_64.whl'",
)


@flag_command(epilog=_EPILOG)
@click.argument("paths", metavar="FILE…", nargs=-1, required=True)
@click.option("--root", metavar="ROOT", help="Folder of the server [the data folder of the platform].")
@click.option("--index", "index_name", metavar="NAME", help="The index whose upstreams are read [the first one].")
@click.option("--config", metavar="FILE", help="Its configuration [ROOT/config.toml].")
@click.option("--admin-secret", metavar="FILE", hidden=True)
@click.option(
    "--files", "patterns", metavar="PATTERN", multiple=True, help="Only files whose name matches; repeatable."
)
@click.option("--jobs", metavar="N", type=click.IntRange(1, 64), default=8, help="Files fetched at once [8].")
@extra_index_option
def command(
    *,
    paths: tuple[str, ...],
    root: str | None,
    index_name: str | None,
    config: str | None,
    admin_secret: str | None,
    patterns: tuple[str, ...],
    jobs: int,
    extra_index_url: str | None,
) -> int:
    """
    Fetch what requirements.txt, uv.lock, pylock.toml, poetry.lock or pdm.lock name into the cache of a server.

    The server may run meanwhile, or not. Of each project the page, the files that the lock names and their metadata are
    fetched; a requirement without hashes means every file of its release, one without a version the newest release.
    Nothing is resolved: what the files do not name is not fetched, and markers are not looked at. Projects of the index
    itself are passed over. The exit code is 1 when something could not be had.
    """
    import anyio  # noqa: PLC0415  not for --help

    from wheelyard.cli.warm_files import Wanted  # noqa: PLC0415  as above
    from wheelyard.settings import load_settings  # noqa: PLC0415  as above

    wanted = Wanted.of(paths)
    settings = load_settings(
        root,
        config=config,
        admin_secret=admin_secret,
        may_generate=False,
        overrides=upstream_overrides(extra_index_url),
    )
    quiet_log()
    name = _index_name(settings, index_name)
    for text in wanted.passed_over:
        click.echo(f"passed over: {text}", err=True)
    warming = _Warming(patterns=patterns, jobs=jobs)
    anyio.run(lambda: warming.run(settings, name, wanted.pins))
    for text in warming.not_offered:
        click.echo(f"not offered: {text}", err=True)
    for text in warming.troubles:
        click.echo(f"not fetched: {text}", err=True)
    click.echo(warming.summary())
    return 1 if warming.troubles else 0


def _index_name(settings: Settings, given: str | None) -> str:
    index = settings.indexes[0] if given is None else settings.index(given)
    if index is None:
        raise IndexNotFound(given or "")
    if settings.server.offline:
        raise ConfigError([f"{settings.source}: offline = true keeps this command from fetching anything"])
    return index.name


@dataclass(slots=True)
class _Warming:
    """
    One run of the command.

    Attributes:
        patterns: Names of files that are fetched; empty for all.
        jobs: How many files at once.
        troubles: What could not be had, one line each.
        not_offered: Files that a lock names and no page lists, while it lists others of the same release.
    """

    patterns: tuple[str, ...]
    jobs: int
    troubles: list[str] = field(default_factory=list)
    not_offered: list[str] = field(default_factory=list)
    fetched: int = 0
    fetched_bytes: int = 0
    known: int = 0
    own: int = 0
    _failed: set[str] = field(default_factory=set)

    def summary(self) -> str:
        """Say in a line what was done."""
        own = f", {self.own} of this index itself" if self.own else ""
        return f"{self.fetched} files fetched ({_amount(self.fetched_bytes)}), {self.known} were here{own}"

    async def run(self, settings: Settings, name: str, pins: Sequence[Pin]) -> None:
        """Fetch everything."""
        from wheelyard.cli.progress import progress  # noqa: PLC0415  not for --help
        from wheelyard.compose.upstreams import open_behind  # noqa: PLC0415  as above
        from wheelyard.index.doctor import Size  # noqa: PLC0415  as above

        async with open_behind(settings, name) as behind:
            if behind.elsewhere is None:
                raise ConfigError(
                    [f"{settings.source}: nothing stands behind index '{name}', so nothing can be fetched"]
                )
            _check_keeping(settings, name)
            plan: dict[str, tuple[NormalizedName, DistFile]] = {}
            with progress("fetching") as bar:
                bar.begin("pages", Size(len(pins), 0))
                await self._each(pins, lambda pin: self._choose(behind, pin, plan, bar))
                bar.begin("files", Size(len(plan), sum(file.size or 0 for _, file in plan.values())))
                opening = _Opening(behind.elsewhere, behind.upstreams)
                await self._each([*plan.values()], lambda each: self._fetch(opening, *each, bar))
                await behind.upstreams.settle()
            for project, file in plan.values():
                await self._check_kept(opening, project, file)

    async def _each(self, items: Sequence[T], do: Callable[[T], Awaitable[None]]) -> None:
        """Do something with each item, several at once."""
        import anyio  # noqa: PLC0415  as above

        limiter = anyio.CapacityLimiter(self.jobs)

        async def one(item: T) -> None:
            async with limiter:
                await do(item)

        async with anyio.create_task_group() as group:
            for item in items:
                group.start_soon(one, item)

    async def _choose(
        self, behind: Behind, pin: Pin, plan: dict[str, tuple[NormalizedName, DistFile]], bar: Progress
    ) -> None:
        """Add the files that a pin names to the plan, by file name."""
        from wheelyard.errors import ProjectNotFound  # noqa: PLC0415  as above

        assert behind.elsewhere is not None
        bar.at(pin.project)
        with suppress(ProjectNotFound):
            await behind.hosted.page(pin.project)
            self.own += 1
            return
        try:
            page = await behind.elsewhere.page(pin.project)
        except WheelyardError as error:
            self.troubles.append(error.message)
            return
        chosen = chosen_files(pin, page.name, page.files)
        matching = [file for file in chosen if self._matches(file.filename)]
        if not matching:
            self.troubles.append(nothing_chosen(pin, page.name, page.files, chosen))
        else:
            self._compare(pin, page.files, chosen)
        plan |= {file.filename: (pin.project, file) for file in matching}

    def _compare(self, pin: Pin, files: Sequence[DistFile], chosen: Sequence[DistFile]) -> None:
        """Note what a lock names and cannot be had as it was."""
        listed = {file.filename for file in files}
        for filename in sorted(pin.filenames - {file.filename for file in chosen}):
            if not self._matches(filename):
                continue
            if filename in listed:
                self.troubles.append(f"{filename}: it has another digest there than in the lock")
            else:
                self.not_offered.append(filename)

    def _matches(self, filename: str) -> bool:
        return not self.patterns or any(fnmatch(filename, pattern) for pattern in self.patterns)

    async def _fetch(self, opening: _Opening, project: NormalizedName, file: DistFile, bar: Progress) -> None:
        from wheelyard.errors import MetadataNotFound  # noqa: PLC0415  as above

        bar.at(project)
        try:
            with suppress(MetadataNotFound):
                await opening.index.metadata(project, file.filename)
            found, is_kept = await opening.file(project, file)
            if is_kept:
                self.known += 1
                bar.advance(found.size)
            else:
                await self._read(found, bar)
        except WheelyardError as error:
            self._fail(file, error.message)

    async def _read(self, found: FileBody, bar: Progress) -> None:
        """Read a file to its end, which keeps it."""
        from wheelyard.index.interface import StreamBody  # noqa: PLC0415  as above

        if not isinstance(found.body, StreamBody):
            self._fail(found.file, 'its upstream has mirror = "redirect", so no file is kept')
            return
        pieces: AsyncIterator[bytes] = found.body.open(None)
        async for piece in pieces:
            bar.advance(len(piece))
        self.fetched += 1
        self.fetched_bytes += found.size
        if not sys.stderr.isatty():  # else the bar shows it
            click.echo(f"fetched {found.file.filename} ({_amount(found.size)})")

    async def _check_kept(self, opening: _Opening, project: NormalizedName, file: DistFile) -> None:
        """Note a file that was fetched and is not here in the end: the cache may be too small for all."""
        if file.filename in self._failed:
            return
        try:
            _, is_kept = await opening.file(project, file)
        except WheelyardError as error:
            self._fail(file, error.message)
            return
        if not is_kept:
            why = "its page tells no digest" if file.sha256 is None else "cache_bytes is too small, or the disk is full"
            self._fail(file, f"it is not kept: {why}")

    def _fail(self, file: DistFile, why: str) -> None:
        self._failed.add(file.filename)
        self.troubles.append(f"{file.filename}: {why}")


class _Opening:
    """
    Opens files one after the other, to tell which come from the cache: wherever that is, a hit is counted.

    Args:
        index: What is read.
        upstreams: They count.
    """

    def __init__(self, index: IndexReader, upstreams: Upstreams) -> None:
        import anyio  # noqa: PLC0415  not for --help

        self.index = index
        self._upstreams = upstreams
        self._lock = anyio.Lock()

    async def file(self, project: NormalizedName, file: DistFile) -> tuple[FileBody, bool]:
        """Open a file; also tell whether it is kept."""
        async with self._lock:
            before = self._hits()
            found = await self.index.file(project, file.filename)
            return found, self._hits() > before

    def _hits(self) -> int:
        return sum(counters.hits for counters in self._upstreams.counters().values())


def _whereabouts(upstream: UpstreamSettings) -> str:
    return 'mirror = "redirect"' if upstream.mirror == "redirect" else "its store is in memory"


def _check_keeping(settings: Settings, name: str) -> None:
    """
    Say which upstreams keep nothing that another process could use.

    Raises:
        ConfigError: None does.
    """
    index = settings.index(name)
    names = None if index is None else index.upstreams
    behind = [upstream for upstream in settings.upstreams if names is None or upstream.name in names]
    forgetful = [
        f"upstream '{each.name}' keeps no files ({_whereabouts(each)})"
        for each in behind
        if each.mirror == "redirect" or (each.store is not None and each.store.type == "memory")
    ]
    if len(forgetful) == len(behind):
        raise ConfigError([f"{settings.source}: {text}, so nothing can be kept" for text in forgetful])
    for text in forgetful:
        click.echo(f"{text}: what it has is fetched in vain", err=True)


def chosen_files(pin: Pin, project: NormalizedName, files: Sequence[DistFile]) -> list[DistFile]:
    """Return the files of a page that a pin names: of an exact pin all that match, else those of the newest release."""
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415  not for --help

    from wheelyard.protocol.filenames import release_of  # noqa: PLC0415  as above

    releases = [(file, release_of(file.filename, project)) for file in files]
    wanted = [(file, release) for file, release in releases if pin.wants(file.filename, file.sha256, release)]
    if pin.is_exact:
        return [file for file, _ in wanted]
    versions: dict[Version, list[DistFile]] = {}
    for file, release in wanted:
        with suppress(InvalidVersion):
            version = Version(release or "")
            if file.yanked is None:
                versions.setdefault(version, []).append(file)
    final = [version for version in versions if not version.is_prerelease]
    newest = max(final or versions, default=None)
    return [] if newest is None else versions[newest]


def nothing_chosen(pin: Pin, project: NormalizedName, files: Sequence[DistFile], chosen: Sequence[DistFile]) -> str:
    """Say why no file of a page is fetched for a pin."""
    from wheelyard.protocol.filenames import release_of  # noqa: PLC0415  not for --help

    named = f"'{pin.project}{pin.versions}'"
    if chosen:
        return f"no file of {named} matches --files; it has {', '.join(sorted(file.filename for file in chosen))}"
    alike = replace(pin, filenames=frozenset(), digests=frozenset())
    if any(alike.wants(file.filename, None, release_of(file.filename, project)) for file in files):
        return f"no file of {named} has a digest that was asked for: what is offered there is something else"
    return f"no release of {named} is offered; `wheelyard why {pin.project}` tells what is, and what is left out"


def _amount(size_bytes: int) -> str:
    """Write a size for people."""
    return f"{size_bytes / 1e6:,.1f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.1f} kB"  # noqa: PLR2004
