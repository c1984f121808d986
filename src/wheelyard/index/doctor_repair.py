"""
What `--fix` makes of the findings of one project: a plan, decided purely, then performed in a safe order.

    1. a damaged record is copied to quarantine       nothing is replaced before a copy is kept
    2. `.metadata` is written again from the archive
    3. the record is swapped                          from here on the page tells the truth
    4. bytes that no page lists move to quarantine    killed before this, they are leftovers that the next run finds

Rule 1: nothing is deleted, and nothing that only a person can know is guessed.
Rule 2: the caller holds the project's exclusive lock; the swap fails when somebody wrote all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from anyio import to_thread

from wheelyard.errors import RecordDamaged, WheelyardError
from wheelyard.index.doctor_checks import corrected, noted_entry, versions_of
from wheelyard.index.doctor_facts import QUARANTINED, Facts, Gathering
from wheelyard.index.doctor_quarantine import Quarantine
from wheelyard.index.doctor_salvage import entry_of, read_entry, rebuild
from wheelyard.index.hosted import METADATA_SUFFIX, PREFIX, file_key, metadata_key
from wheelyard.index.records import DELETED, deleted_names, with_files
from wheelyard.model import DistFile, ProjectPage
from wheelyard.protocol.record import render_record
from wheelyard.storage.findings import Finding
from wheelyard.storage.interface import PutOutcome
from wheelyard.storage.store import Store
from wheelyard.storage.wrapping import wrapped

NEEDS_QUARANTINE: Final = frozenset(
    {"record-damaged", "record-missing", "file-altered", "metadata-altered", "orphan", "foreign"}
)
"""Findings whose repair moves something, which only storage in a folder of this machine has a place for."""


@dataclass(slots=True)
class Plan:
    """
    What is to be done to one project.

    Attributes:
        page: The record as it shall be; None when the project has none and gets none.
        metadata: Files whose `.metadata` is written again from their archives.
        takes: What moves to quarantine: name in the project's folder, to code and reason.
        done: What is done about each finding, in words.
        lost: Findings whose repair cannot bring back what was stored.
    """

    page: ProjectPage | None
    metadata: list[str] = field(default_factory=list)
    takes: dict[str, tuple[str, str]] = field(default_factory=dict)
    done: dict[Finding, str] = field(default_factory=dict)
    lost: set[Finding] = field(default_factory=set)


def plan(facts: Facts, findings: Iterable[Finding], *, now: datetime, place: str) -> Plan:
    """
    Decide what is done about the findings of one project.

    Args:
        facts: What they were found in.
        findings: Those that can be fixed; others are passed over.
        now: The time, UTC; for notes.
        place: Where the quarantine of this run is; for notes.
    """
    made = Plan(facts.page)
    for found in findings:
        step = _STEPS.get(found.code)
        if found.fixable and step is not None:
            step(made, facts, found, now, place)
    if made.page is not None and made.page != facts.page:
        made.page = _without_settled_notes(replace(made.page, versions=versions_of(made.page)))
    return made


async def perform(made: Plan, facts: Facts, store: Store, gathering: Gathering, quarantine: Quarantine | None) -> None:
    """
    Do what was planned.

    Raises:
        StorageError: A step failed; those before it were done, and the next run goes on from there.
    """
    if facts.damage and facts.content is not None and quarantine is not None:
        content, damage = facts.content, facts.damage
        with wrapped(store.name, facts.key):
            await to_thread.run_sync(lambda: quarantine.keep(facts.key, content, code="record-damaged", why=damage))
    for filename in made.metadata:
        await _write_metadata(facts, filename, store, gathering, quarantine)
    if made.page is not None and made.page != facts.page and facts.revision is not None:
        await store.write({facts.key: render_record(made.page)}, {facts.key: facts.revision})
    for name, (code, why) in made.takes.items():
        await _take(facts, name, code, why, store, quarantine)


# --- one step for each finding -------------------------------------------------------------------------------------


def _rebuild_record(made: Plan, facts: Facts, found: Finding, now: datetime, place: str) -> None:
    del now
    rebuilt = rebuild(facts)
    made.page = rebuilt.page
    what = f"built again with {len(rebuilt.page.files)} files; the damaged one is in {place}"
    if not rebuilt.page.status.offers_files:
        what += "; the project is quarantined until somebody sets its status (`wheelyard status`)"
    made.done[found] = what + (f"; lost: {rebuilt.lost}" if rebuilt.lost else "")
    if rebuilt.lost:
        made.lost.add(found)


def _derive(made: Plan, facts: Facts, found: Finding, now: datetime, place: str) -> None:
    """Write what follows from the files into the record."""
    del now, place
    name = _name(facts, found)
    if made.page is not None and made.page.find(name) is not None:
        made.page = replace(
            made.page,
            files=tuple(corrected(facts, file) if file.filename == name else file for file in made.page.files),
        )
    made.done[found] = "the record now says what the file says"


def _derive_versions(made: Plan, facts: Facts, found: Finding, now: datetime, place: str) -> None:
    del now, place
    if made.page is not None:
        made.page = replace(made.page, versions=versions_of(made.page))
    made.done[found] = "the record now has the versions of its files"
    del facts


def _rewrite_metadata(made: Plan, facts: Facts, found: Finding, now: datetime, place: str) -> None:
    _derive(made, facts, found, now, place)  # the record's digest of it follows from the archive too
    made.metadata.append(_name(facts, found).removesuffix(METADATA_SUFFIX))
    made.done[found] = "written again from the archive"


def _take_off(made: Plan, facts: Facts, found: Finding, now: datetime, place: str) -> None:
    """Take a file off the page that cannot be downloaded with the right hash, and note the entry it had."""
    name = _name(facts, found)
    file = made.page.find(name) if made.page is not None else None
    if made.page is None or file is None:
        return
    made.page = without_file(made.page, file, why=found.text, when=now, place=place)
    for each in (name, name + METADATA_SUFFIX):
        if each in facts.stored:
            made.takes[each] = (found.code, found.text)
    gone = name not in facts.stored
    where = "" if gone else f", its bytes are in {place}"
    made.done[found] = f"taken off the page{where}; its entry is kept for the day it is back"
    made.lost.add(found)


def _list_again(made: Plan, facts: Facts, found: Finding, now: datetime, place: str) -> None:
    del now, place
    name = _name(facts, found)
    entry = noted_entry(facts.page, name)
    file = None if entry is None else read_entry(entry, facts.project)
    if file is not None and made.page is not None and made.page.find(name) is None:
        made.page = with_files(made.page, [file])
        made.done[found] = "listed again, as it was"


def _put_away(made: Plan, facts: Facts, found: Finding, now: datetime, place: str) -> None:
    del now
    made.takes[_name(facts, found)] = (found.code, found.text)
    made.done[found] = f"moved to {place}"


def _put_away_all(made: Plan, facts: Facts, found: Finding, now: datetime, place: str) -> None:
    """Each of the files has a finding of its own, by which it is moved."""
    del facts, now
    made.done[found] = f"its files were moved to {place}"
    made.lost.add(found)


_Step = Callable[[Plan, Facts, Finding, datetime, str], None]
_STEPS: Mapping[str, _Step] = {
    "record-damaged": _rebuild_record,
    "record-missing": _put_away_all,
    "versions-wrong": _derive_versions,
    "entry-wrong": _derive,
    "metadata-missing": _rewrite_metadata,
    "metadata-altered": _rewrite_metadata,
    "file-missing": _take_off,
    "file-altered": _take_off,
    "file-returned": _list_again,
    "orphan": _put_away,
    "foreign": _put_away,
}


def without_file(page: ProjectPage, file: DistFile, *, why: str, when: datetime, place: str) -> ProjectPage:
    """
    Return a page without one file, with a note from which it can be listed again, and its name kept for its bytes.

    Args:
        page: The record.
        file: One of its files.
        why: For the note.
        when: For the note.
        place: For the note: where its bytes went.
    """
    notes = page.private.get(QUARANTINED)
    note = {"why": why, "when": when.isoformat(), "place": place, "entry": entry_of(file, page.name)}
    notes = {**(notes if isinstance(notes, Mapping) else {}), file.filename: note}
    # As after a delete: who publishes the very same bytes again is welcome, other bytes are not.
    deleted = {**deleted_names(page), file.filename: file.sha256 or ""}
    files = tuple(each for each in page.files if each.filename != file.filename)
    private = {**page.private, QUARANTINED: notes, DELETED: dict(sorted(deleted.items()))}
    page = replace(page, files=files, private=private)
    return replace(page, versions=versions_of(page))


def _without_settled_notes(page: ProjectPage) -> ProjectPage:
    """Drop the notes about files that are listed again."""
    notes = page.private.get(QUARANTINED)
    if not isinstance(notes, Mapping):
        return page
    listed = {file.filename for file in page.files}
    left = {name: note for name, note in notes.items() if name not in listed}
    private = {key: value for key, value in page.private.items() if key != QUARANTINED}
    return replace(page, private={**private, QUARANTINED: left} if left else private)


# --- performing ----------------------------------------------------------------------------------------------------


async def _write_metadata(
    facts: Facts, filename: str, store: Store, gathering: Gathering, quarantine: Quarantine | None
) -> None:
    try:
        content = await gathering.metadata_in(facts.project, filename)
    except WheelyardError as error:
        raise RecordDamaged(file_key(facts.project, filename), error.message, store=store.name) from error
    name = filename + METADATA_SUFFIX
    if name in facts.stored:
        await _take(facts, name, "metadata-altered", "it is not what the archive holds", store, quarantine)
    key = metadata_key(facts.project, filename)
    if await store.put_bytes(key, content) is PutOutcome.CONFLICT:
        raise RecordDamaged(key, "something else is in its place", store=store.name)


async def _take(facts: Facts, name: str, code: str, why: str, store: Store, quarantine: Quarantine | None) -> None:
    if quarantine is None:
        return
    key = f"{PREFIX}{facts.project}/{name}"
    with wrapped(store.name, key):
        await to_thread.run_sync(lambda: quarantine.take(key, code=code, why=why))


def _name(facts: Facts, found: Finding) -> str:
    return found.key.removeprefix(f"{PREFIX}{facts.project}/")
