"""
Building a site: what changed since the last build is rendered and put, what is gone is removed, in an order that never lies.

1. the manifest tells what is published, and from which revision of each record;
2. of each changed project: files and metadata, then its two pages, then the pages under other spellings;
3. the project list and the front page;
4. removals: projects that are gone, then files that no page lists any more;
5. the manifest. A build that dies before leaves a mark, and the next one looks at everything.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Final

import anyio
from anyio import CapacityLimiter, to_thread

from wheelyard import __version__
from wheelyard.errors import InvalidDocument, ProjectNotFound, SiteError, WheelyardError, shown
from wheelyard.index.doctor import Progress, Size
from wheelyard.index.hosted import HostedIndex
from wheelyard.index.interface import IndexReader
from wheelyard.model import DistFile, NormalizedName, ProjectList, ProjectPage
from wheelyard.protocol import simple_html, simple_json
from wheelyard.protocol.names import normalize
from wheelyard.site import layout, manifest
from wheelyard.site.destination import Content, Destination
from wheelyard.site.manifest import Entry, Manifest
from wheelyard.site.projects import (
    METADATA,
    Rendering,
    Work,
    check_file,
    check_metadata,
    fetch,
    is_same,
    listed_files,
    local_folder,
    paths_of,
)
from wheelyard.storage.interface import ABSENT, LocalPath

_RENDERER: Final = 1  # goes up when one version of this program renders other pages than before, while it is developed


@dataclass(frozen=True, slots=True)
class Options:
    """
    What is built.

    Attributes:
        look: What the front page says.
        files_url: Absolute address of the `simple/` folder that has the files, with a slash at its end; None puts them into
            the site.
        full: Whether everything is put again, whatever the manifest says.
        force: Whether a destination that holds something else may be written to.
    """

    look: layout.Look
    files_url: str | None = None
    full: bool = False
    force: bool = False

    @property
    def made_by(self) -> str:
        """What pages depend on besides their records."""
        return f"{__version__}/{_RENDERER}/{self.files_url or ''}"


@dataclass(frozen=True, slots=True)
class Problem:
    """A project that could not be built, and why; what was published of it before stays."""

    project: str
    text: str


@dataclass(slots=True)
class Report:
    """
    What a build did.

    Attributes:
        projects: How many the site lists.
        changed: Projects whose pages were written.
        removed: Projects that are gone from the site.
        files: Distribution files that were put.
        problems: Projects that could not be built, by name.
    """

    projects: int = 0
    changed: int = 0
    removed: int = 0
    files: int = 0
    problems: list[Problem] = field(default_factory=list)


class SiteBuild:
    """
    One build of one index; `run` may be called once.

    Args:
        index: What is published. All that it lists becomes part of the site, whoever may read it.
        destination: Where to, opened.
        options: What is built.
        progress: Told how far it is.
    """

    def __init__(
        self, index: IndexReader, destination: Destination, options: Options, *, progress: Progress | None = None
    ) -> None:
        self._index = index
        self._to = destination
        self._options = options
        self._progress = progress or Progress()
        self._rendering = Rendering(options.files_url, destination.case_matters)
        self._report = Report()
        self._before = Manifest()
        self._entries: dict[str, Entry] = {}
        self._removals: list[str] = []
        self._trusts_files = self._trusts_pages = False
        self._needs_sweep = False
        self._is_marked = False
        self._marking = Lock()

    async def run(self) -> Report:
        """
        Build what changed.

        Raises:
            SiteError: The destination could not be written.
            StorageError: The index could not be asked for its projects; nothing was changed.
        """
        names = [normalize(name) for name in (await self._index.list()).names]
        await to_thread.run_sync(self._begin)
        todo = self._changed(names)
        self._progress.begin(self._options.look.title, Size(projects=len(todo), bytes=0))
        await self._publish_all(todo)
        await to_thread.run_sync(self._finish)
        return self._report

    # -- what is to be done ------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Read the manifest, and decide how much of it is believed."""
        content = self._to.read(manifest.PATH)
        if content is None:
            self._needs_sweep = self._is_taken()
            if self._needs_sweep and not self._options.force:
                raise SiteError(
                    f"'{shown(self._to.name)}' holds something that is no site of ours",
                    hint="Choose an empty place; or give --force, which replaces what stands there below 'simple'.",
                )
            return
        try:
            self._before = manifest.parse(content)
        except InvalidDocument as error:
            self._needs_sweep = True
            if not self._options.force:
                hint = "Give --force to build the site anew."
                raise SiteError(
                    f"'{shown(self._to.name)}' has a damaged manifest: {error.message}", hint=hint
                ) from None
        lost = self._before.unfinished and not self._to.puts_are_durable
        self._needs_sweep |= self._options.full or self._before.unfinished
        self._trusts_files = not (self._options.full or lost)
        self._trusts_pages = not self._needs_sweep and self._before.made_by == self._options.made_by

    def _is_taken(self) -> bool:
        has_front = self._to.read(layout.HTML_NAME) is not None
        return has_front or next(iter(self._to.paths(layout.PREFIX)), None) is not None

    def _changed(self, names: Iterable[NormalizedName]) -> dict[NormalizedName, str]:
        """Return the projects whose records may have moved since, with their revisions; keep the entries of the others."""
        todo: dict[NormalizedName, str] = {}
        for name in names:
            seen = self._index.peek(name)
            revision = "" if seen is None or seen is ABSENT else seen
            known = self._before.projects.get(name)
            if self._trusts_pages and revision and known is not None and known.revision == revision:
                self._entries[name] = known
            else:
                todo[name] = NormalizedName(revision)
        return todo

    # -- projects --------------------------------------------------------------------------------------------------

    async def _publish_all(self, todo: Mapping[NormalizedName, str]) -> None:
        waiting = iter(todo.items())
        threads = CapacityLimiter(self._to.workers)

        async def work() -> None:
            for name, revision in waiting:
                self._progress.at(name)
                await self._publish(name, revision, threads)

        try:
            async with anyio.create_task_group() as tasks:
                for _ in range(self._to.workers):
                    tasks.start_soon(work)
        except ExceptionGroup as group:
            raise next(_leaves(group)) from group

    async def _publish(self, name: NormalizedName, revision: str, threads: CapacityLimiter) -> None:
        """Publish one project; what is wrong with it is noted, what is wrong with the destination is raised."""
        try:
            page = await self._index.page(name)
            work, remote = await to_thread.run_sync(self._put_local, page, revision, limiter=threads)
            for file in remote:
                await self._put_fetched(name, file, threads)
            if not work.is_same:
                await to_thread.run_sync(self._put_pages, work, limiter=threads)
        except SiteError:
            raise
        except ProjectNotFound:
            return  # removed since the list was read
        except WheelyardError as error:
            self._report.problems.append(Problem(name, error.message))
            if name in self._before.projects:
                # The last good one stays, and the next build looks at it again.
                self._entries[name] = replace(self._before.projects[name], revision="")
            return
        self._entries[name] = work.entry
        self._removals += work.removals
        self._report.files += len(work.puts)
        self._report.changed += not work.is_same

    def _put_local(self, page: ProjectPage, revision: str) -> tuple[Work, tuple[DistFile, ...]]:
        """Render a project, put its files that are on this machine, and its pages; return the files that are elsewhere."""
        work = self._planned(page, self._rendering.render(page, revision))
        if work.is_same or not isinstance(self._index, HostedIndex):
            return work, work.puts
        name = page.name
        folder = local_folder(self._index.store, name) if work.puts else None
        if folder is None:
            return work, work.puts
        for file in work.puts:
            source, target = f"{folder}/{file.filename}", layout.page_path(name, file.filename)
            check_file(source, name, file)
            if file.core_metadata is not None:
                check_metadata(source + METADATA, name, file)
                self._put(target + METADATA, source + METADATA, Content.METADATA)
            self._put(target, source, Content.FILE)
        return work, ()

    def _planned(self, page: ProjectPage, work: Work) -> Work:
        """Compare a rendered project with what is published."""
        name, known = page.name, self._before.projects.get(page.name)
        is_same_page = self._trusts_pages and known is not None and known.digest == work.entry.digest
        if is_same_page and known is not None and known.aliases == work.entry.aliases:
            return replace(work, is_same=True)  # files change with their page, or not at all
        listed = listed_files(self._to.read(layout.page_path(name, layout.JSON_NAME))) if self._before.made_by else {}
        ours = self._rendering.own_files(page)
        trusted = listed if self._trusts_files else {}
        gone = [path for each in listed.values() if each.filename not in ours for path in paths_of(name, each)]
        before = known.aliases if known is not None else ()
        gone += [layout.page_path(alias, layout.HTML_NAME) for alias in before if alias not in work.entry.aliases]
        puts = tuple(file for file in ours.values() if not is_same(trusted.get(file.filename), file))
        return replace(work, puts=puts, removals=tuple(gone))

    async def _put_fetched(self, name: NormalizedName, file: DistFile, threads: CapacityLimiter) -> None:
        """Fetch a file of an index whose storage is elsewhere, and put it with its metadata."""
        found = await self._index.file(name, file.filename)
        target = layout.page_path(name, file.filename)
        if isinstance(found.body, LocalPath):
            await to_thread.run_sync(check_file, str(found.body.path), name, file, limiter=threads)
            await to_thread.run_sync(self._put, target, str(found.body.path), Content.FILE, limiter=threads)
        else:
            with tempfile.TemporaryDirectory(prefix="wheelyard-site-") as folder:
                path = Path(folder, "file")
                await fetch(found, path, name)
                await to_thread.run_sync(self._put, target, str(path), Content.FILE, limiter=threads)
        if file.core_metadata is not None:
            content = await self._index.metadata(name, file.filename)
            await to_thread.run_sync(self._write, target + METADATA, content, Content.METADATA, limiter=threads)

    def _put_pages(self, work: Work) -> None:
        self._write(layout.page_path(work.name, layout.JSON_NAME), work.json, Content.JSON)
        self._write(layout.page_path(work.name, layout.HTML_NAME), work.html, Content.HTML)
        known = self._before.projects.get(work.name)
        before = known.aliases if known is not None and self._trusts_pages else ()
        for alias in work.entry.aliases:
            if alias not in before:
                path = layout.page_path(alias, layout.HTML_NAME)
                self._write(path, layout.redirect_page(work.name), Content.HTML)

    # -- the rest --------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        names = tuple(sorted(self._entries))
        self._report.projects = len(names)
        self._report.problems.sort(key=lambda problem: problem.project)
        others = self._put_others(names)
        for name, entry in self._before.projects.items():
            if name not in self._entries:
                self._removals += self._paths_of(name, entry)
                self._report.removed += 1
        for path in self._removals:
            self._remove(path)
        if self._needs_sweep:
            for path in list(self._strays()):
                self._remove(path)
        after = Manifest(self._options.made_by, dict(sorted(self._entries.items())), others)
        if self._is_marked or after != self._before:
            self._to.commit_files()
            self._to.write(manifest.PATH, manifest.render(after), Content.OWN)
        if self._is_marked:
            self._to.publish(f"{self._options.look.title}: {_counted(self._report)}")

    def _put_others(self, names: tuple[str, ...]) -> Mapping[str, str]:
        """Write the project list, the front page and what belongs to it, if they changed; return their digests."""
        projects = ProjectList(names=names)
        pages = {
            layout.PREFIX + layout.JSON_NAME: (simple_json.render_list(projects), Content.JSON),
            layout.PREFIX + layout.HTML_NAME: (simple_html.render_list(projects), Content.HTML),
            **layout.fixed_pages(self._options.look, names),
        }
        digests = {path: hashlib.sha256(content).hexdigest() for path, (content, _) in pages.items()}
        for path, (content, kind) in pages.items():
            if not self._trusts_pages or self._before.others.get(path) != digests[path]:
                self._write(path, content, kind)
        return digests

    def _paths_of(self, name: str, entry: Entry) -> list[str]:
        """Return everything that a project has in the site, pages first."""
        files = listed_files(self._to.read(layout.page_path(name, layout.JSON_NAME)))
        return [
            *(layout.page_path(alias, layout.HTML_NAME) for alias in entry.aliases),
            layout.page_path(name, layout.HTML_NAME),
            layout.page_path(name, layout.JSON_NAME),
            *(path for file in files.values() for path in paths_of(name, file)),
        ]

    def _strays(self) -> Iterator[str]:
        """List what stands below `simple/` and does not belong there: a build that was killed may have left it."""
        aliases = {alias for entry in self._entries.values() for alias in entry.aliases}
        pages = (layout.HTML_NAME, layout.JSON_NAME)
        listing, belonging = "", frozenset[str]()
        for path in sorted(self._to.paths(layout.PREFIX)):
            name, _, rest = path.removeprefix(layout.PREFIX).partition("/")
            if name in self._entries and name != listing:
                listing, files = name, listed_files(self._to.read(layout.page_path(name, layout.JSON_NAME)))
                belonging = frozenset(each for file in files.values() for each in paths_of(name, file))
            if name in self._entries:
                belongs = rest in pages or path in belonging
            else:
                belongs = rest == layout.HTML_NAME if name in aliases else not rest and name in pages
            if not belongs:
                yield path

    # -- writing ---------------------------------------------------------------------------------------------------

    def _write(self, path: str, content: bytes, kind: Content) -> None:
        self._mark()
        self._to.write(path, content, kind)

    def _put(self, path: str, source: str, kind: Content) -> None:
        self._mark()
        self._to.put(path, source, kind)

    def _remove(self, path: str) -> None:
        self._mark()
        self._to.remove(path)

    def _mark(self) -> None:
        """Before anything else is written, have the manifest say so: whoever finds it will look at everything."""
        if self._is_marked:
            return
        with self._marking:
            if not self._is_marked:
                begun = replace(self._before, made_by=self._options.made_by, unfinished=True)
                self._to.write(manifest.PATH, manifest.render(begun), Content.OWN)
                self._is_marked = True


def _counted(report: Report) -> str:
    removed = f", {report.removed} removed" if report.removed else ""
    return f"{report.changed} {'project' if report.changed == 1 else 'projects'} changed{removed}"


def _leaves(group: ExceptionGroup[Exception]) -> Iterator[Exception]:
    """List the errors of a group, those that we understand first."""
    found: list[Exception] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, ExceptionGroup) else [error]
    yield from sorted(found, key=lambda error: not isinstance(error, WheelyardError))
