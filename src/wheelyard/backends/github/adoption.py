"""
Listing what lies in releases and no record lists: after the branch was lost, a crash, an upload by hand, or the predecessor.

Rule 1: nothing is removed or renamed at GitHub. What cannot be listed is named and left alone.
Rule 2: every byte is read and checked against the digest that GitHub or the predecessor has of it before it is listed.
Rule 3: each commit leaves an index that serves; whoever is killed goes on where that was.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
from anyio import to_thread

from wheelyard.backends.github.documents import Entry
from wheelyard.backends.github.found import Contents, Found, find_assets
from wheelyard.backends.github.releases import Stored
from wheelyard.errors import KeyNotFound, ProjectNotFound, RecordDamaged, StorageError, shown
from wheelyard.index import records
from wheelyard.index.hosted import Adopted, HostedIndex, file_key, metadata_key
from wheelyard.index.predecessor_files import Candidate, Damaged, Prepared, Upload, prepare
from wheelyard.model import Key, NormalizedName, ProjectPage, Sha256Hex

if TYPE_CHECKING:
    from wheelyard.backends.github.backend import GitHubBackend
    from wheelyard.backends.github.client import GitHubClient

_PROJECTS_AT_ONCE: Final = 4
_BATCH_FILES: Final = 20  # of one commit
_BATCH_BYTES: Final = 256 * 1024 * 1024  # as many, or a single file, lie on the disk at a time, twice for a moment
_NANOSECONDS: Final = 1_000_000_000
_HAND_MADE: Final = "github"  # who published a file that nobody's name stands at


@dataclass(slots=True)
class Report:
    """
    What was done.

    Attributes:
        added: Files that are listed now, as `<project>/<filename>`.
        already: How many were listed before.
        left: Assets that were left alone, and why, one line each.
        advice: What people should know of files that were added, one line each.
        lost: Files that are listed and whose asset is gone, one line each.
        incomplete: Why GitHub may have more; None when it has not.
    """

    added: list[str] = field(default_factory=list)
    already: int = 0
    left: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    incomplete: str | None = None

    @property
    def is_well(self) -> bool:
        """Whether nothing is lost, and all that there is was looked at."""
        return not self.lost and self.incomplete is None

    def lines(self) -> list[str]:
        """Return it for people."""
        lines = [*(f"added: {path}" for path in sorted(self.added)), *(f"note: {line}" for line in sorted(self.advice))]
        lines += [f"left alone: {line}" for line in sorted(self.left)]
        lines += [f"lost: {line}" for line in sorted(self.lost)]
        return lines if self.incomplete is None else [*lines, f"incomplete: {self.incomplete}"]


class Progress:
    """Is told how far it is; shows nothing."""

    def begin(self, files: int) -> None:
        """Take the number of files that are to be read."""

    def advance(self) -> None:
        """Count one."""


class Adoption:
    """
    One look through a repository.

    Args:
        index: Where files are listed; its store is a `GitHubBackend`.
        backend: That store.
        source: Asks the repository that has the assets, when it is another one; its files are copied then.
        predecessor_index: Name and branch of the predecessor's list; None to look at releases only.
        progress: Is told how far it is.
    """

    def __init__(
        self,
        index: HostedIndex,
        backend: GitHubBackend,
        *,
        source: GitHubClient | None = None,
        predecessor_index: tuple[str, str | None] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._index = index
        self._backend = backend
        self._client = source or backend.client
        self._is_own = source is None
        self._predecessor_index = predecessor_index
        self._progress = progress or Progress()
        self._report = Report()

    async def run(self) -> Report:
        """
        List what is not listed.

        Raises:
            StorageError: GitHub could not be asked; what was listed until then stays.
        """
        await self._backend.sync()
        name, branch = self._predecessor_index or (None, None)
        contents = await find_assets(self._client, index_filename=name, branch=branch)
        self._report.incomplete = contents.incomplete
        todo = await self._todo(contents)
        self._progress.begin(sum(map(len, todo.values())))
        limiter = anyio.CapacityLimiter(_PROJECTS_AT_ONCE)  # what several commit at one moment becomes one commit
        try:
            with tempfile.TemporaryDirectory(prefix="wheelyard-") as folder:
                async with anyio.create_task_group() as tasks:
                    for project, found in todo.items():
                        tasks.start_soon(self._take_project, project, found, Path(folder), limiter)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        if self._is_own:
            await self._find_lost(contents)
        return self._report

    # -- what there is to do ---------------------------------------------------------------------------------------

    async def _todo(self, contents: Contents) -> Mapping[NormalizedName, list[Found]]:
        """Return the files to take, by project; each name once, the oldest of it."""
        listed = {entry.asset for _, entry in self._backend.entries()} if self._is_own else set()
        projects: dict[NormalizedName, dict[str, Found]] = defaultdict(dict)
        for found in contents.assets.values():
            project = found.project
            if found.asset in listed:
                self._report.already += 1
            elif project is None or found.filename is None:
                self._report.left.append(f"{found.shown}: its name is not that of a wheel or an sdist")
            elif found.filename in projects[project]:
                self._report.left.append(f"{found.shown}: there is an older asset of that name")
            else:
                projects[project][found.filename] = found
        return {
            project: wanted
            for project, files in projects.items()
            if (wanted := await self._unlisted(project, list(files.values())))
        }

    async def _unlisted(self, project: NormalizedName, files: Iterable[Found]) -> list[Found]:
        page = await self._page(project)
        deleted = records.deleted_names(page)
        wanted: list[Found] = []
        for found in files:
            known = page.find(str(found.filename))
            digest = found.sha256 or (found.upload.sha256 if found.upload else None)
            if found.filename in deleted:
                self._report.left.append(f"{found.shown}: it was deleted here, and stays so")
            elif known is None:
                wanted.append(found)
            elif (known.sha256 != digest) if digest else (known.size != found.size):  # old assets have no digest
                self._report.left.append(f"{found.shown}: another file of that name is published here already")
            elif await self._is_there(project, known.filename):
                self._report.already += 1
            else:
                wanted.append(found)  # its record is there, and the list of files lost it
        return wanted

    async def _is_there(self, project: NormalizedName, filename: str) -> bool:
        try:
            await self._index.store.stat(file_key(project, filename))
        except KeyNotFound:
            return False
        return True

    async def _page(self, project: NormalizedName) -> ProjectPage:
        try:
            return await self._index.page(project)
        except ProjectNotFound:
            return ProjectPage(name=project)

    # -- doing it --------------------------------------------------------------------------------------------------

    async def _take_project(
        self, project: NormalizedName, files: Sequence[Found], folder: Path, limiter: anyio.CapacityLimiter
    ) -> None:
        async with limiter:
            for batch in _batches(files):
                await self._take(project, batch, folder)

    async def _take(self, project: NormalizedName, files: Sequence[Found], folder: Path) -> None:
        """List some files of one project in one commit."""
        ready: list[tuple[Found, Prepared]] = []
        try:
            for found in files:
                prepared = await self._prepared(project, found, folder)
                if prepared is not None:
                    ready.append((found, prepared))
            page = await self._page(project)
            await self._index.adopt(project, [_adopted(found, one) for found, one in ready])
            for _, one in ready:
                if page.find(one.file.filename) is not None:
                    await self._mend(project, one)
                self._report.added.append(f"{project}/{one.file.filename}")
                self._report.advice += [f"{shown(one.candidate.path_shown)}: {text}" for text in one.advice]
                self._progress.advance()
        except RecordDamaged as error:  # of this project; others can be taken
            self._report.left += [f"{found.shown}: {error.message}" for found in files]
        finally:
            with anyio.CancelScope(shield=True):
                for _, one in ready:
                    await to_thread.run_sync(one.release)

    async def _mend(self, project: NormalizedName, one: Prepared) -> None:
        """List the bytes of a file that a record names already."""
        await self._index.store.put(file_key(project, one.file.filename), one.spool)
        if one.metadata is not None:
            await self._index.store.put_bytes(metadata_key(project, one.file.filename), one.metadata)

    async def _prepared(self, project: NormalizedName, found: Found, folder: Path) -> Prepared | None:
        """Bring a file here and look into it; None when it has to be left alone."""
        filename = str(found.filename)
        path = folder / str(found.asset)
        try:
            digest = await self._fetch(found, path)
        except StorageError:
            if await self._is_gone(found.asset):
                self._report.left.append(f"{found.shown}: it is gone")
                self._progress.advance()
                return None
            raise
        known = found.upload
        expected = found.sha256 or (known.sha256 if known else digest)
        upload = Upload(
            distrib=str(project),
            sha256=known.sha256 if known is not None else expected,
            version=known.version if known else "",
            requires_python=known.requires_python if known else "",
        )
        signature = (found.size, int(found.created.timestamp() * _NANOSECONDS))
        candidate = Candidate(project, str(project), filename, path, signature, upload)
        outcome = await to_thread.run_sync(prepare, candidate, folder)
        await to_thread.run_sync(path.unlink)  # it has a copy of its own
        if isinstance(outcome, Damaged) or digest != expected:
            why = outcome.why if isinstance(outcome, Damaged) else "GitHub sends other bytes than it has the digest of"
            self._report.left.append(f"{found.shown}: {why}")
            if isinstance(outcome, Prepared):
                await to_thread.run_sync(outcome.release)
            self._progress.advance()
            return None
        if self._is_own:
            entry = Entry(found.size, Sha256Hex(digest), found.asset, found.release, found.name)
            self._backend.offer(file_key(project, filename), Stored(entry, found.tag, is_own=False))
        return outcome

    async def _fetch(self, found: Found, path: Path) -> str:
        digest = hashlib.sha256()
        async with (
            await anyio.open_file(path, "wb") as file,
            self._client.stream(f"/releases/assets/{found.asset}") as pieces,
        ):
            async for piece in pieces:
                digest.update(piece)
                await file.write(piece)
        return digest.hexdigest()

    # -- what is lost ----------------------------------------------------------------------------------------------

    async def _find_lost(self, contents: Contents) -> None:
        """Name each file whose asset is gone or has other bytes; GitHub's list is not believed without asking."""
        for key, entry in list(self._backend.entries()):
            if entry.asset is None:
                continue
            found = contents.assets.get(entry.asset)
            if found is None:
                if await self._is_gone(entry.asset):
                    self._report.lost.append(_line(key, "its asset is gone from GitHub"))
            elif found.size != entry.size or found.sha256 not in (None, entry.sha256):
                self._report.lost.append(_line(key, "its asset has other bytes than were published"))

    async def _is_gone(self, asset: int) -> bool:
        answer = await self._client.ask("GET", f"/releases/assets/{asset}", expected=frozenset({200, 404}))
        return answer.status != 200 or answer.object().get("state") != "uploaded"  # noqa: PLR2004


async def update(index: HostedIndex, tell: Callable[[str], None]) -> bool:
    """
    List what lies in the repository's releases and no record lists; for `wheelyard update_index`.

    Args:
        index: The index.
        tell: Tells people a line.
    Returns:
        Whether nothing is lost.
    Raises:
        StorageError: GitHub could not be asked.
    """
    from wheelyard.backends.github.backend import GitHubBackend  # noqa: PLC0415  which needs nothing of this module

    backend = index.store.backend
    assert isinstance(backend, GitHubBackend)
    report = await Adoption(index, backend, predecessor_index=(backend.index_filename, None)).run()
    for line in report.lines():
        tell(line)
    tell(
        f"repository '{backend.client.name}': {len(report.added)} files added, {report.already} were listed, "
        f"{len(report.left)} left alone, {len(report.lost)} lost"
    )
    return report.is_well


def _batches(files: Sequence[Found]) -> Iterator[list[Found]]:
    """Cut a list into what goes into one commit."""
    batch: list[Found] = []
    for found in files:
        if batch and (len(batch) == _BATCH_FILES or sum(each.size for each in batch) + found.size > _BATCH_BYTES):
            yield batch
            batch = []
        batch.append(found)
    yield batch


def _adopted(found: Found, one: Prepared) -> Adopted:
    """Return the page entry, with who uploaded it where the predecessor did not write down more."""
    file = one.file
    if found.upload is None:
        file = replace(file, private={**file.private, "_uploader": found.uploader or _HAND_MADE})
    return Adopted(replace(file, upload_time=found.created.astimezone(UTC)), one.spool, one.metadata)


def _line(key: Key, why: str) -> str:
    _, project, filename = key.split("/", 2)
    return f"{shown(f'{project}/{filename}')}: {why}"
