"""
One look at all repositories: what is new is published, what changed behind our back is told.

The journey of a tag:
1. owners are asked which repositories they have (`hosts`);
2. each repository is asked for its tags: one request, and the last one when nothing is new (`program`);
3. tags that are no release yet are fetched; project and version are read from their files (`build`, `projects`);
4. the sdist is made, checked as any upload, and listed by one swap of its project's record;
5. wheels attached to the releases of its host are listed beside it.

Rule 1: what is published never changes: a tag that moved or was deleted is told, not followed.
Rule 2: one repository in trouble keeps no other from being looked at, and the last good state stays.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field

import anyio
import structlog
from anyio import to_thread

from wheelyard.errors import TagSourceError, WheelyardError
from wheelyard.index.hosted import Adopted
from wheelyard.index.tags.build import Identified, TaggedCommit, build_sdist, identify
from wheelyard.index.tags.hosts import authorization, repositories_of
from wheelyard.index.tags.hosts_http import Api, open_client
from wheelyard.index.tags.patterns import readings_of
from wheelyard.index.tags.program import Git, Mirror
from wheelyard.index.tags.recorded import Recorded, Records, is_deleted, moved_tags, read_records
from wheelyard.index.tags.report import RefreshReport, Trouble, grouped
from wheelyard.index.tags.sources import HostKind, Owner, Package, Repository, TagSources, place_of
from wheelyard.index.tags.tagged import TaggedIndex
from wheelyard.index.tags.wheels import AttachedWheels
from wheelyard.model import NormalizedName
from wheelyard.protocol.names import same_version, version_key
from wheelyard.storage.spool import Spool

_BATCH_FILES = 20  # releases listed in one swap of a record: bounds how many archives wait on disk
_ASK_UNKNOWN_S = 60 * 60  # an hour: GitHub answers 60 requests an hour to an address without a credential
_LOCK_NAME = "refresh.lock"

_log = structlog.get_logger(__name__)

Tell = Callable[[str], None]
"""Takes one line for people while the work goes on."""


def _tell_nobody(line: str) -> None:
    del line


@dataclass(slots=True)
class _Looked:
    """What the network told of one repository, or why it told nothing."""

    repository: Repository
    tags: Mapping[str, str] = field(default_factory=dict)
    commits: Mapping[str, str] = field(default_factory=dict)
    error: TagSourceError | None = None
    done: anyio.Event = field(default_factory=anyio.Event)


class TagsRefresh:
    """
    Looks at the repositories of an index, again and again.

    Args:
        index: What is filled.
        sources: What there is to read.
    """

    def __init__(self, index: TaggedIndex, sources: TagSources) -> None:
        self._index = index
        self._sources = sources
        self._git = Git(index.folder, sources)
        self._answers: dict[str, tuple[str, bytes, str]] = {}
        self._asked_at: dict[str, float] = {}
        self._judged: dict[tuple[str, str, str, str], str | None] = {}

    def stop(self) -> None:
        """End what git is doing; nothing that was begun is listed."""
        self._git.stop()

    async def run(self, *, wait: bool = False, tell: Tell = _tell_nobody) -> RefreshReport:
        """
        Look at all repositories once.

        Args:
            wait: Whether to wait for another process that looks at them now; else nothing is done then.
            tell: Is told of each new file.
        Raises:
            StorageError: The store could not be asked.
        """
        report = RefreshReport()
        async with self._alone(wait=wait) as is_ours, AsyncExitStack() as opened:
            if not is_ours:
                report.skipped = True
                return report
            apis = _Apis(self._sources, opened, self._answers)
            repositories = await self._repositories(apis, report)
            records = await read_records(self._index, self._sources)
            looked = [_Looked(repository) for repository in repositories]
            limiter = anyio.CapacityLimiter(self._sources.limits.concurrency)
            async with anyio.create_task_group() as tasks:
                for each in looked:
                    tasks.start_soon(self._look, each, records, limiter)
                for each in looked:  # in order, so that of two that offer one new project always the same one has it
                    await each.done.wait()
                    report.repositories += 1
                    await self._take(each, records, apis, report, tell)
            await self._index.set_known()
        report.troubles = grouped(report.troubles)
        return report

    # -- 1. and 2. what there is -------------------------------------------------------------------------------------

    async def _repositories(self, apis: _Apis, report: RefreshReport) -> list[Repository]:
        found: dict[str, Repository] = {
            place_of(source.url): source for source in self._sources.sources if isinstance(source, Repository)
        }
        for source in self._sources.sources:
            if not isinstance(source, Owner):
                continue
            try:
                listed = await repositories_of(source, apis.of(source.kind, source.api_url))
            except TagSourceError as error:
                report.troubles.append(Trouble(source=source.title, text=error.message))
                continue
            for repository in listed:
                found.setdefault(place_of(repository.url), repository)
        return list(found.values())

    async def _look(self, looked: _Looked, records: Records, limiter: anyio.CapacityLimiter) -> None:
        repository = looked.repository
        try:
            looked.tags = await to_thread.run_sync(self._git.tags, repository.url, limiter=limiter)
            wanted = self._wanted(repository, looked.tags, records)
            if wanted:
                mirror = self._git.mirror(repository.url)
                looked.commits = await to_thread.run_sync(mirror.have, wanted, limiter=limiter)
        except TagSourceError as error:
            looked.error = error
        except OSError as error:
            looked.error = TagSourceError(f"this server's disk did not take it: {error.strerror or error}")
        finally:
            looked.done.set()

    def _wanted(self, repository: Repository, tags: Mapping[str, str], records: Records) -> dict[str, str]:
        """Return the tags that may be releases and are none yet."""
        known = {(each.tag, each.subdirectory) for each in records.releases(repository.url)}
        return {
            tag: commit
            for tag, commit in tags.items()
            if any(
                (tag, package.subdirectory) not in known
                and readings_of(tag, repository.patterns_of(package), package.name)
                for package in repository.packages
            )
        }

    # -- 3. and 4. releases -------------------------------------------------------------------------------------------

    async def _take(self, looked: _Looked, records: Records, apis: _Apis, report: RefreshReport, tell: Tell) -> None:
        """Publish what is new in one repository."""
        url = looked.repository.url
        if looked.error is not None:
            report.troubles.append(Trouble(source=url, text=looked.error.message))
            return
        before = len(report.added)
        report.troubles += moved_tags(url, records.releases(url), looked.tags)
        for package in looked.repository.packages:
            await self._take_package(looked, package, records, report, tell)
        is_new = len(report.added) > before
        if self._asks_for_wheels(looked.repository, is_new=is_new):
            assert looked.repository.kind is not None
            assert looked.repository.api_url is not None
            api = apis.of(looked.repository.kind, looked.repository.api_url)
            wheels = AttachedWheels(self._index, looked.repository, api, report, tell)
            await wheels.take(records.releases(url))

    def _asks_for_wheels(self, repository: Repository, *, is_new: bool) -> bool:
        """Tell whether a host is asked for wheels now: without a credential only now and then, since hosts count that."""
        if not repository.wheels or repository.kind is None or repository.api_url is None:
            return False
        asked_at = self._asked_at.get(repository.url)
        is_recent = asked_at is not None and time.monotonic() - asked_at < _ASK_UNKNOWN_S
        if is_recent and not is_new and self._sources.credential(repository.api_url) is None:
            return False
        self._asked_at[repository.url] = time.monotonic()
        return True

    async def _take_package(
        self, looked: _Looked, package: Package, records: Records, report: RefreshReport, tell: Tell
    ) -> None:
        repository = looked.repository
        mirror = self._git.mirror(repository.url)
        known = {each.tag for each in records.releases(repository.url) if each.subdirectory == package.subdirectory}
        new: dict[NormalizedName, list[Identified]] = {}
        for tag, commit in sorted(looked.commits.items()):
            if tag in known or not readings_of(tag, repository.patterns_of(package), package.name):
                continue
            at = TaggedCommit(repository=repository, package=package, tag=tag, commit=commit)
            found = await self._identified(at, mirror, report)
            if found is not None and await self._is_welcome(found, records, new, report):
                new.setdefault(found.name, []).append(found)
        for name, releases in new.items():
            releases.sort(key=lambda each: version_key(each.version))
            for start in range(0, len(releases), _BATCH_FILES):
                await self._publish(name, releases[start : start + _BATCH_FILES], mirror, records, report, tell)

    async def _identified(self, at: TaggedCommit, mirror: Mirror, report: RefreshReport) -> Identified | None:
        """Read what a tag is; what was wrong with the same commit before is told again without a look."""
        key = (at.repository.url, at.package.subdirectory, at.tag, at.commit)
        if key in self._judged:
            self._tell_again(key, at, report)
            return None
        try:
            found = await to_thread.run_sync(identify, at, mirror)
        except (TagSourceError, OSError) as error:
            self._refuse(at, error, report)
            return None
        if found is None:
            self._judged[key] = None
        return found

    def _tell_again(self, key: tuple[str, str, str, str], at: TaggedCommit, report: RefreshReport) -> None:
        text = self._judged[key]
        if text is not None:
            report.troubles.append(Trouble(source=at.repository.url, tag=at.tag, text=text))

    def _refuse(self, at: TaggedCommit, error: Exception, report: RefreshReport) -> None:
        text = error.message if isinstance(error, WheelyardError) else f"this server's disk did not take it: {error}"
        if isinstance(error, TagSourceError) and not error.passing:
            self._judged[at.repository.url, at.package.subdirectory, at.tag, at.commit] = text
        report.troubles.append(Trouble(source=at.repository.url, tag=at.tag, text=text))

    async def _is_welcome(
        self, found: Identified, records: Records, new: Mapping[NormalizedName, list[Identified]], report: RefreshReport
    ) -> bool:
        """Tell whether a release may be listed: it is this repository's project, and the version is free."""
        at, url = found.at, found.at.repository.url
        owner = records.owners.get(found.name, place_of(url))
        if owner != place_of(url) or found.name in records.damaged:
            where = f"belongs to {owner}" if owner else "was not made of tags"
            why = records.damaged.get(found.name, f"project '{found.name}' {where}")
            report.troubles.append(Trouble(source=url, tag=at.tag, text=f"{why}; this tag is not taken"))
            return False
        taken = {each.version: (each.tag, each.commit) for each in records.releases(url) if each.project == found.name}
        taken |= {each.version: (each.at.tag, each.at.commit) for each in new.get(found.name, ())}
        for version, (tag, commit) in taken.items():
            if same_version(version, found.version):
                if commit != at.commit:
                    text = (
                        f"says version {found.version}, which tag '{tag}' of another commit is already; it is not taken"
                    )
                    report.troubles.append(Trouble(source=url, tag=at.tag, text=text))
                return False
        if await is_deleted(self._index, found.name, found.filename):
            return False
        page = await self._index.record(found.name)
        if not page.status.accepts_uploads:
            text = f"project '{found.name}' is {page.status.value} and takes no new releases"
            report.troubles.append(Trouble(source=url, tag=at.tag, text=text))
            return False
        return True

    async def _publish(
        self,
        name: NormalizedName,
        releases: Sequence[Identified],
        mirror: Mirror,
        records: Records,
        report: RefreshReport,
        tell: Tell,
    ) -> None:
        """Make the archives of some releases of one project, and list them by one swap."""
        with ExitStack() as spools:
            made: list[tuple[Identified, Adopted]] = []
            for found in releases:
                spool = spools.enter_context(await self._index.store.spool())
                try:
                    made.append((found, await to_thread.run_sync(self._built, found, mirror, spool)))
                except (TagSourceError, OSError) as error:
                    self._refuse(found.at, error, report)
            if not made:
                return
            await self._index.adopt(name, [adopted for _, adopted in made])
        records.owners[name] = place_of(mirror.url)
        for found, adopted in made:
            records.releases(mirror.url).append(_recorded(found))
            report.added.append(adopted.file.filename)
            tell(f"added: {adopted.file.filename} from tag '{found.at.tag}' of {mirror.url}")

    def _built(self, found: Identified, mirror: Mirror, spool: Spool) -> Adopted:
        adopted = build_sdist(
            found,
            mirror,
            spool,
            limits=self._index.limits,
            unpacked_bytes=self._sources.limits.unpacked_bytes,
            now=self._index.clock(),
        )
        if spool.is_on_disk:
            spool.sync()
        return adopted

    @asynccontextmanager
    async def _alone(self, *, wait: bool) -> AsyncIterator[bool]:
        """Keep other processes from looking at the same moment; they share the mirrors."""

        def lock() -> int | None:
            self._index.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._index.folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                os.close(descriptor)
                return None
            return descriptor

        descriptor = await to_thread.run_sync(lock)
        try:
            yield descriptor is not None
        finally:
            if descriptor is not None:
                os.close(descriptor)


class _Apis:
    """The APIs of all hosts, asked with one client that is opened when the first is needed."""

    def __init__(
        self, sources: TagSources, opened: AsyncExitStack, remembered: dict[str, tuple[str, bytes, str]]
    ) -> None:
        self._sources = sources
        self._opened = opened
        self._remembered = remembered
        self._apis: dict[str, Api] = {}

    def of(self, kind: HostKind, api_url: str) -> Api:
        """Return the API at a URL."""
        if api_url not in self._apis:
            client = next(iter(self._apis.values())).client if self._apis else open_client()
            if not self._apis:
                self._opened.push_async_callback(client.aclose)
            credential = self._sources.credential(api_url)
            headers = {} if credential is None else authorization(kind, credential)
            self._apis[api_url] = Api(api_url, headers, client, self._remembered)
        return self._apis[api_url]


def _recorded(found: Identified) -> Recorded:
    return Recorded(
        project=found.name,
        version=found.version,
        tag=found.at.tag,
        commit=found.at.commit,
        subdirectory=found.at.package.subdirectory,
        is_withdrawn=False,
    )
