"""
`wheelyard doctor` for one index: every project is looked at as it is served, and again under its lock where anything is odd.

    1. what the store keeps for itself                 `Store.examine`
    2. the storage folder: space, links, foreign things  `doctor_folder`
    3. each project: facts, checks                     `doctor_facts`, `doctor_checks`
    4. where something was found, the same again while nobody publishes; that is what counts
    5. with `fix`, the repair, and one more look       `doctor_repair`

Safe beside a running server and other processes: a project in which something was found, and only that one, is held for
as long as its odd files take to be read. What is not started and not told to fix changes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from anyio import CancelScope, to_thread

from wheelyard.archives.limits import DEFAULT, ArchiveLimits
from wheelyard.errors import StorageError
from wheelyard.index import doctor_folder
from wheelyard.index.doctor_checks import Judging, judge
from wheelyard.index.doctor_facts import Facts, Gathering
from wheelyard.index.doctor_quarantine import Quarantine
from wheelyard.index.doctor_repair import NEEDS_QUARANTINE, perform, plan
from wheelyard.index.hosted import PREFIX, file_key
from wheelyard.model import Key, NormalizedName
from wheelyard.protocol.names import is_normalized
from wheelyard.storage.findings import Finding, Severity
from wheelyard.storage.store import Store
from wheelyard.storage.wrapping import wrapped

GRACE: Final = timedelta(minutes=15)
"""Files in no record that are younger than this are left alone: a publish of a large file over slow storage."""

_ROUNDS: Final = 4  # a repair may bring up what only now can be seen: a record built again, then its files


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorOptions:
    """
    How thorough a doctor is, and what it may do.

    Attributes:
        fix: Whether what can be repaired without guessing is.
        fast: Whether bytes of files are left unread.
        grace: Age below which files in no record are left alone.
        archive: How much of an archive's inside is read.
    """

    fix: bool = False
    fast: bool = False
    grace: timedelta = GRACE
    archive: ArchiveLimits = DEFAULT


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is to look at."""

    projects: int
    bytes: int


class Progress:
    """Told how far a doctor or a backup is; this one listens to nothing."""

    def begin(self, what: str, size: Size) -> None:
        """Hear that something begins, and how much it is."""

    def at(self, project: str) -> None:
        """Hear that a project is next."""

    def advance(self, size: int) -> None:
        """Hear that bytes were read."""


class Doctor:
    """
    Looks at one index.

    Args:
        store: Where it is kept, not started: that would clear away what is to be found. Started and stopped here to fix.
        clock: Tells the time, UTC.
        options: How.
        progress: Told how far it is.
    """

    def __init__(
        self, store: Store, *, clock: Callable[[], datetime], options: DoctorOptions, progress: Progress | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._options = options
        self._progress = progress or Progress()
        self._gathering = Gathering(store, fast=options.fast, limits=options.archive, advance=self._progress.advance)
        self._folder = storage_folder(store)
        self._quarantine = None if self._folder is None else Quarantine(self._folder, clock())
        # A folder is looked at as it is, without what a start clears away; other storage is reached in no other way.
        self._is_started = options.fix or self._folder is None

    async def run(self, report: Callable[[Finding], None]) -> None:
        """
        Look at everything; trouble with one thing never keeps the rest from being looked at.

        Args:
            report: Told each finding, when it is certain and after it was repaired.
        """
        try:
            for found in await self._store.examine(repair=self._options.fix):
                report(found)
            if self._is_started:
                await self._store.start()
        except StorageError as error:
            report(self._failed("storage-unavailable", "", error))
            return
        try:
            await self._look(report)
        finally:
            if self._is_started:
                with CancelScope(shield=True):
                    await self._store.stop()

    # -- the whole -------------------------------------------------------------------------------------------------

    async def _look(self, report: Callable[[Finding], None]) -> None:
        try:
            if self._folder is not None:
                await self._look_at_folder(self._folder, report)
            sizes = await project_sizes(self._store)
        except StorageError as error:
            report(self._failed("storage-unavailable", "", error))
            return
        self._progress.begin(self._store.name, Size(len(sizes), 0 if self._options.fast else sum(sizes.values())))
        for project in sorted(sizes):
            self._progress.at(project)
            await self._look_at_project(project, report)

    async def _look_at_folder(self, folder: Path, report: Callable[[Finding], None]) -> None:
        with wrapped(self._store.name):
            found = await to_thread.run_sync(
                lambda: doctor_folder.examine(
                    folder,
                    self._store.name,
                    now=self._clock(),
                    grace=self._options.grace,
                    quarantine=self._quarantine if self._options.fix else None,
                )
            )
        for each in found:
            report(each)

    # -- one project -----------------------------------------------------------------------------------------------

    async def _look_at_project(self, project: NormalizedName, report: Callable[[Finding], None]) -> None:
        try:
            facts, found = await self._first_look(project)
            if not found and not _has_unlisted(facts):
                return
            odd = frozenset(each.key.rpartition("/")[2].removesuffix(".metadata") for each in found)
            with CancelScope(shield=self._options.fix):  # a repair is not stopped half-way
                certain = await self._second_look(project, odd)
        except StorageError as error:
            report(self._failed("project-unreadable", f"{PREFIX}{project}", error))
            return
        for each in certain:
            report(each)

    async def _first_look(self, project: NormalizedName) -> tuple[Facts, tuple[Finding, ...]]:
        """Look while everybody goes on working; what looks odd may be a publish or a delete under way."""
        facts = await self._gathering.gather(project)
        return facts, judge(facts, self._judging(is_locked=False))

    async def _second_look(self, project: NormalizedName, odd: frozenset[str]) -> list[Finding]:
        """Look again while nobody publishes or deletes, and repair; returns what is certain."""
        certain: list[Finding] = []
        only: frozenset[str] | None = odd
        async with self._held(project) as is_locked:
            for _ in range(_ROUNDS):
                facts = await self._gathering.gather(project, only=only)
                known = {(each.code, each.key) for each in certain}
                judged = judge(facts, self._judging(is_locked=is_locked))
                found = [self._possible(each) for each in judged if (each.code, each.key) not in known]
                if not (self._options.fix and is_locked and any(each.fixable for each in found)):
                    return certain + found
                certain += await self._repaired(facts, [each for each in found if each.fixable])
                if facts.damage:
                    only = None  # nobody has looked at the files of a record that was just built again
        return certain

    async def _repaired(self, facts: Facts, found: Sequence[Finding]) -> list[Finding]:
        """Repair what was found; what could not be is told with the reason."""
        place = "" if self._quarantine is None else self._quarantine.place
        made = plan(facts, found, now=self._clock(), place=place)
        try:
            await perform(made, facts, self._store, self._gathering, self._quarantine)
        except StorageError as error:
            return [replace(each, advice=f"{each.advice}; not now: {error.message}") for each in found]
        return [replace(each, done=made.done.get(each, ""), lost=each in made.lost) for each in found]

    @asynccontextmanager
    async def _held(self, project: NormalizedName) -> AsyncIterator[bool]:
        """Hold off publishers of a project; False where that cannot be had (read-only storage)."""
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._store.exclusive(Key(f"{PREFIX}{project}/index.json")))
            except StorageError:
                is_locked = False
            else:
                is_locked = True
            yield is_locked

    # -- parts -----------------------------------------------------------------------------------------------------

    def _judging(self, *, is_locked: bool) -> Judging:
        return Judging(self._clock(), self._options.grace, is_locked)

    def _possible(self, found: Finding) -> Finding:
        """Say that a finding cannot be fixed where there is no place to move things to."""
        if self._quarantine is None and found.code in NEEDS_QUARANTINE:
            return replace(found, fixable=False)
        return found

    def _failed(self, code: str, key: str, error: StorageError) -> Finding:
        advice = error.hint or "see the text; look again when it is mended"
        return Finding(code, Severity.ERROR, self._store.name, key, error.message, advice, fixable=False)


def storage_folder(store: Store) -> Path | None:
    """Return the folder of this machine in which a store keeps everything; None when it does not."""
    path = store.local_path(file_key(NormalizedName("x"), "x"))
    return None if path is None else path.parents[2]


async def project_sizes(store: Store) -> dict[NormalizedName, int]:
    """
    Return every project, with a record or only with files, and how many bytes its files have.

    Raises:
        StorageError: It could not be listed.
    """
    sizes: dict[NormalizedName, int] = {}
    for key in (await store.changes(None)).keys:
        _add(sizes, key, 0)
    async for file in store.list(PREFIX):
        _add(sizes, file.key, file.size)
    return sizes


def _add(sizes: dict[NormalizedName, int], key: str, size: int) -> None:
    """Count a key to its project; names that are none are looked at with the folder."""
    _, _, rest = key.partition("/")
    project, _, name = rest.partition("/")
    if key.startswith(PREFIX) and name and is_normalized(project):
        name_ = NormalizedName(project)
        sizes[name_] = sizes.get(name_, 0) + size


def _has_unlisted(facts: Facts) -> bool:
    """Tell whether anything lies in the folder that the record does not list: a leftover, or a publish under way."""
    listed = {file.filename for file in facts.page.files} if facts.page is not None else set()
    return any(name not in listed and name.removesuffix(".metadata") not in listed for name in facts.stored)
