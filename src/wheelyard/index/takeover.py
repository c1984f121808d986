"""
Taking over what a private-pypi server left: its files become ours, and its folder stays exactly as it was.

The predecessor keeps `<ROOT>/cache/<index>/storage/<distrib>/<filename>` with the fields of the upload form beside it in
`<filename>.meta` (TOML), and lists all of them in `storage/index.toml`. Our own projects are in `storage/simple/<project>/`,
so a predecessor's project called `simple` shares that folder: its files lie in it directly, ours one level below.

Rule 1: nothing of the predecessor's is written, moved or removed. Bytes are taken by hard link where the disk allows it.
Rule 2: what was taken over is written down, so a file that is deleted afterwards does not come back.
Rule 3: what is damaged is named and passed over; it never keeps the rest from being taken over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Protocol

from anyio import CancelScope, to_thread

from wheelyard.errors import ProjectNotFound, WheelyardError, shown
from wheelyard.index import records
from wheelyard.index.hosted import Adopted
from wheelyard.index.predecessor_files import Candidate, Damaged, Prepared, prepare
from wheelyard.index.predecessor_folder import MARKER_NAME, Listing, Marker, list_folder, read_marker, write_marker
from wheelyard.model import NormalizedName, ProjectPage

_BATCH_FILES = 200  # files taken over in one swap of a record: bounds the metadata that is in memory at once


class Adopter(Protocol):
    """What takes files over: `HostedIndex`."""

    async def page(self, project: NormalizedName) -> ProjectPage:
        """Read one project page, or raise `ProjectNotFound`."""

    async def adopt(self, project: NormalizedName, files: Sequence[Adopted]) -> int:
        """List these files, but for those already listed; return how many were new."""


@dataclass(frozen=True, slots=True)
class TakeoverReport:
    """
    What a takeover did.

    Attributes:
        taken: Files that are ours now, as `<distrib>/<filename>`.
        already: How many were taken over before.
        advice: What the administrator should know of files that were taken over, one line each.
        damaged: Files that were passed over, and why, one line each.
    """

    taken: tuple[str, ...] = ()
    already: int = 0
    advice: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()

    @property
    def found(self) -> bool:
        """Whether there is a predecessor's folder at all."""
        return bool(self.taken or self.already or self.damaged)


@dataclass(slots=True)
class _Progress:
    """What was done so far; `lasting` problems hold until the file changes, `passing` ones are tried again."""

    taken: list[Candidate] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    lasting: dict[Candidate, str] = field(default_factory=dict)
    passing: dict[Candidate, str] = field(default_factory=dict)


async def take_over(
    folder: Path,
    index: Adopter,
    *,
    spool_folder: Path | None,
    now: Callable[[], datetime],
    thorough: bool = False,
) -> TakeoverReport:
    """
    Take over every file of a predecessor's folder that was not taken over before. Cheap when there is nothing new.

    Running again after a failure or a crash goes on where that stopped.

    Args:
        folder: The index's own folder, `<ROOT>/cache/<index>`.
        index: What takes the files.
        spool_folder: Where its store takes files without copying; None when it has no such place.
        now: Tells the time, UTC.
        thorough: Whether folders that were done are looked into again.
    Returns:
        What was done, and what could not be done; nothing of it keeps a server from starting.
    """
    marker = await to_thread.run_sync(read_marker, folder)
    listing = await to_thread.run_sync(lambda: list_folder(folder, marker, now(), thorough=thorough))
    progress = _Progress()
    if not listing.seen:
        return _report(listing, progress)
    links = spool_folder or folder / ".takeover"
    try:
        await to_thread.run_sync(lambda: links.mkdir(parents=True, exist_ok=True))
    except OSError as error:
        why = f"not taken over, since nothing can be written here: {error.strerror or error}"
        progress.passing |= dict.fromkeys(listing.new, why)
        return _report(listing, progress)
    try:
        for project, candidates in groupby(listing.new, key=lambda candidate: candidate.project):
            waiting = list(candidates)
            for start in range(0, len(waiting), _BATCH_FILES):
                await _take_batch(project, waiting[start : start + _BATCH_FILES], index, links, progress)
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(_finish, folder, links, marker, listing, progress)
    return _report(listing, progress)


async def _take_batch(
    project: NormalizedName, candidates: Sequence[Candidate], index: Adopter, links: Path, progress: _Progress
) -> None:
    """Take over some files of one project; what goes wrong with it does not keep others from being taken over."""
    prepared: list[Prepared] = []
    try:
        before = await _page(index, project)
        for candidate in _without_doubles(candidates, before, progress):
            match await to_thread.run_sync(prepare, candidate, links):
                case Damaged(why, lasting):
                    (progress.lasting if lasting else progress.passing)[candidate] = why
                case Prepared() as one:
                    prepared.append(one)
        if prepared:
            await index.adopt(project, [Adopted(one.file, one.spool, one.metadata) for one in prepared])
    except WheelyardError as error:
        why = f"not taken over, and tried again at the next start: {error.message}"
        progress.passing |= dict.fromkeys((one.candidate for one in prepared), why)
        if not prepared:
            progress.passing |= dict.fromkeys(candidates, why)
        return
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(_release, prepared)
    _note(prepared, before, progress)


def _without_doubles(candidates: Sequence[Candidate], page: ProjectPage, progress: _Progress) -> Sequence[Candidate]:
    """Return the files that may be listed: not deleted here before, and each name once."""
    deleted = records.deleted_names(page)
    chosen: dict[str, Candidate] = {}
    for candidate in candidates:
        if candidate.filename in deleted:
            progress.lasting[candidate] = "it was deleted here, and stays so"
        elif candidate.filename in chosen:
            progress.lasting[candidate] = f"it lies in '{chosen[candidate.filename].folder}' too, which was taken"
        else:
            chosen[candidate.filename] = candidate
    return tuple(chosen.values())


def _note(prepared: Sequence[Prepared], before: ProjectPage, progress: _Progress) -> None:
    """Write down what became of files that were handed over."""
    for one in prepared:
        known = before.find(one.file.filename)
        if known is not None and known.sha256 != one.file.sha256:
            progress.lasting[one.candidate] = "another file of that name is published here already"
            continue
        progress.taken.append(one.candidate)
        progress.advice += [f"{shown(one.candidate.path_shown)}: {text}" for text in one.advice]


async def _page(index: Adopter, project: NormalizedName) -> ProjectPage:
    try:
        return await index.page(project)
    except ProjectNotFound:
        return ProjectPage(name=project)


def _release(prepared: Sequence[Prepared]) -> None:
    for one in prepared:
        one.release()


def _finish(folder: Path, links: Path, marker: Marker, listing: Listing, progress: _Progress) -> None:
    """Write down what was done, also when something failed on the way."""
    try:
        if links.parent == folder:
            links.rmdir()
        write_marker(folder, marker.with_results(listing, progress.taken, progress.lasting))
    except OSError as error:
        # Not fatal: the next start looks at everything again and finds it listed.
        progress.advice.append(f"{MARKER_NAME} cannot be written: {error.strerror or error}")


def _report(listing: Listing, progress: _Progress) -> TakeoverReport:
    problems = {**progress.lasting, **progress.passing}
    return TakeoverReport(
        taken=tuple(candidate.path_shown for candidate in progress.taken),
        already=listing.already,
        advice=tuple(progress.advice),
        damaged=(
            *listing.damaged,
            *(f"{shown(candidate.path_shown)}: {why}" for candidate, why in problems.items()),
        ),
    )
