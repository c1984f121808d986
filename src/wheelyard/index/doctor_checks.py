"""
The checks of one project, one small function each: facts in, findings out. Pure: no I/O, no clock.

A check says what is so; what `--fix` makes of it is decided in `doctor_repair`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from wheelyard.errors import shown
from wheelyard.index.doctor_facts import QUARANTINED, Described, Facts, is_metadata_of
from wheelyard.index.hosted import METADATA_SUFFIX, PREFIX
from wheelyard.index.records import release_of_file
from wheelyard.model import DistFile, ProjectPage
from wheelyard.protocol.filenames import quote_filename
from wheelyard.protocol.names import sort_versions
from wheelyard.storage.findings import Finding, Severity

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""Clocks of machines that write to one folder differ; only what is further in the future is worth a word."""


@dataclass(frozen=True, slots=True)
class Judging:
    """
    By what facts are judged.

    Attributes:
        now: The time, UTC.
        grace: Files younger than this may be under way.
        is_locked: Whether nobody can be publishing to the project: only then a file in no record is a leftover.
    """

    now: datetime
    grace: timedelta
    is_locked: bool


Check = Callable[[Facts, Judging], Iterator[Finding]]


def judge(facts: Facts, judging: Judging) -> tuple[Finding, ...]:
    """Run every check on the facts of one project."""
    return tuple(found for check in CHECKS for found in check(facts, judging))


# --- the record ----------------------------------------------------------------------------------------------------


def check_record(facts: Facts, judging: Judging) -> Iterator[Finding]:
    """The record can be read, and is that of its project."""
    del judging
    if not facts.damage:
        return
    if facts.content is None:
        yield _found(
            facts,
            "record-unreadable",
            f"the record cannot be read: {facts.damage}",
            "mend what keeps it from being read (a link, its owner or mode, the disk); nothing is guessed here",
            fixable=False,
        )
    elif record_format(facts.content) > 1:
        yield _found(
            facts,
            "record-newer",
            f"the record was written by a newer version of this program: {facts.damage}",
            "use the newer version; an older one must not touch it",
            fixable=False,
        )
    else:
        yield _found(
            facts,
            "record-damaged",
            f"the record cannot be used: {facts.damage}; nothing of the project is served",
            "restore it from a backup (`wheelyard restore --project`); `--fix` builds it again from the files, and"
            " quarantines the project where its status or yanks cannot be known",
        )


def check_versions(facts: Facts, judging: Judging) -> Iterator[Finding]:
    """PEP 700: `versions` holds the version of every file, without duplicates."""
    del judging
    if facts.page is None:
        return
    wanted = versions_of(facts.page)
    if facts.page.versions != wanted:
        yield _found(
            facts,
            "versions-wrong",
            f"the record's versions are {_few(facts.page.versions)}, its files have {_few(wanted)}",
            "`--fix` writes those of the files",
            severity=Severity.WARNING,
        )


# --- listed files --------------------------------------------------------------------------------------------------


def check_files(facts: Facts, judging: Judging) -> Iterator[Finding]:
    """Each listed file is there with its size and digest, and its entry says what is so."""
    for file in facts.page.files if facts.page is not None else ():
        trouble = _trouble_with_bytes(facts, file)
        if trouble is not None:
            yield trouble
            continue
        yield from _check_metadata(facts, file)
        wrong = wrong_keys(facts, file)
        if wrong:
            yield _found(
                facts,
                "entry-wrong",
                f"the record says something else of '{shown(file.filename)}' than the file itself: {', '.join(wrong)}",
                "`--fix` writes what the file says",
                file.filename,
                severity=Severity.WARNING,
            )
        if file.upload_time is not None and file.upload_time > judging.now + CLOCK_TOLERANCE:
            yield _found(
                facts,
                "time-in-future",
                f"'{shown(file.filename)}' was published in the future: {file.upload_time.isoformat()}",
                "check this machine's clock; clients with a cooldown do not see the file until then",
                file.filename,
                severity=Severity.WARNING,
                fixable=False,
            )


def _trouble_with_bytes(facts: Facts, file: DistFile) -> Finding | None:
    """Return what is wrong with the bytes of a listed file."""
    name = file.filename
    stored = facts.stored.get(name)
    if stored is None:
        return _found(
            facts,
            "file-missing",
            f"the page lists '{shown(name)}', and it is not there",
            "restore it from a backup; `--fix` takes it off the page and keeps its entry for the day it is back",
            name,
        )
    if stored.kind:
        return _altered(facts, name, f"{stored.kind} is in its place")
    if name in facts.unread:
        return _found(
            facts,
            "file-unreadable",
            f"'{shown(name)}' cannot be read: {facts.unread[name]}",
            "check owner and mode of the file, and the disk",
            name,
            fixable=False,
        )
    digests = facts.digests.get(name)
    if digests is None:  # not read, to be fast
        if file.size is not None and stored.size != file.size:
            return _altered(facts, name, f"it has {stored.size} bytes, the page says {file.size}")
        return None
    if digests.sha256 == file.sha256 or _others_agree(facts, file):
        return None
    if file.sha256 is None:
        return _altered(facts, name, "the record has no digest to compare it with")
    return _altered(facts, name, f"its sha256 is {digests.sha256}, the page says {file.sha256}")


def _altered(facts: Facts, name: str, why: str) -> Finding:
    return _found(
        facts,
        "file-altered",
        f"'{shown(name)}' is not what was published: {why}",
        "restore it from a backup; `--fix` takes it off the page and moves its bytes to quarantine",
        name,
    )


def _others_agree(facts: Facts, file: DistFile) -> bool:
    """Tell whether two further digests say that the file is right: then the record's SHA-256 is what was damaged."""
    digests = facts.digests.get(file.filename)
    return (
        digests is not None
        and file.private.get("_blake2b_256") == digests.blake2b_256
        and file.private.get("_md5") == digests.md5
    )


def _check_metadata(facts: Facts, file: DistFile) -> Iterator[Finding]:
    """The `.metadata` beside a file is what its archive holds, or at least what the record says it is."""
    wanted, stored = wanted_metadata(facts, file), facts.metadata.get(file.filename)
    if wanted is None or wanted == stored:
        return
    name = file.filename + METADATA_SUFFIX
    # What was not read yet may turn out to be derivable.
    can_derive = not isinstance(facts.archives.get(file.filename), str)
    advice = (
        "`--fix` writes what the archive holds" if can_derive else "restore it from a backup: the archive tells none"
    )
    if stored is None:
        text = f"'{shown(name)}' is not there"
        severity = Severity.WARNING if file.core_metadata is None else Severity.ERROR
        yield _found(facts, "metadata-missing", text, advice, name, severity=severity, fixable=can_derive)
    else:
        text = f"'{shown(name)}' is not the core metadata of its file"
        yield _found(facts, "metadata-altered", text, advice, name, fixable=can_derive)


def wanted_metadata(facts: Facts, file: DistFile) -> str | None:
    """Return the SHA-256 that the stored `.metadata` of a listed file must have; None when there need not be one."""
    told = file.private.get("_metadata") or (file.core_metadata or {}).get("sha256")
    if told is None and file.core_metadata is None:
        return None
    described = facts.archives.get(file.filename)
    if isinstance(described, Described):
        return described.metadata_sha256
    return told if isinstance(told, str) else None


def wrong_keys(facts: Facts, file: DistFile) -> list[str]:
    """Return the keys of an entry that differ from what its file says."""
    right = corrected(facts, file)
    public = ("url", "hashes", "size", "requires_python", "core_metadata")
    wrong = [name.replace("_", "-") for name in public if getattr(right, name) != getattr(file, name)]
    return wrong + sorted(key for key, value in right.private.items() if file.private.get(key) != value)


def corrected(facts: Facts, file: DistFile) -> DistFile:
    """Return the entry with everything that follows from the file; what was not read stays as it is."""
    private = dict(file.private)
    parsed = facts.parsed(file.filename)
    if parsed is not None:
        private |= {"_kind": parsed.kind.value, "_version": parsed.version}
    file = replace(file, url=quote_filename(file.filename), private=private)
    digests = facts.digests.get(file.filename)
    if digests is None:
        return file
    private |= {"_blake2b_256": digests.blake2b_256, "_md5": digests.md5}
    hashes = {"sha256": digests.sha256} if file.sha256 != digests.sha256 else file.hashes
    file = replace(file, hashes=hashes, size=digests.size, private=private)
    described = facts.archives.get(file.filename)
    if not isinstance(described, Described):
        return file
    file = replace(file, requires_python=described.requires_python)
    if file.private.get("_metadata") is None and file.core_metadata is None:
        return file  # taken over without metadata
    private["_metadata"] = described.metadata_sha256
    advertised = {"sha256": described.metadata_sha256} if described.is_advertised else None
    return replace(file, core_metadata=advertised, private=private)


def versions_of(page: ProjectPage) -> tuple[str, ...]:
    """Return the releases of a page's files."""
    releases = (release_of_file(file, page.name) for file in page.files)
    return sort_versions(release for release in releases if release is not None)


# --- names in no record --------------------------------------------------------------------------------------------


def check_unlisted(facts: Facts, judging: Judging) -> Iterator[Finding]:
    """Nothing else lies in the project's folder; judged only while nobody can be publishing."""
    if facts.damage or not judging.is_locked:
        return  # with a damaged record nothing can be told from a leftover
    listed = {file.filename for file in facts.page.files} if facts.page is not None else set()
    for name, stored in sorted(facts.stored.items()):
        if name in listed or is_metadata_of(name) in listed:
            continue
        if _has_returned(facts, name):
            yield _found(
                facts,
                "file-returned",
                f"'{shown(name)}', which was taken off the page, is back with the right bytes",
                "`--fix` lists it again as it was",
                name,
                severity=Severity.WARNING,
            )
            continue
        found = _unlisted(facts, name, stored.kind)
        # A store that does not tell times may have a writer on another machine: then a person has to look.
        if stored.modified is None:
            yield replace(found, fixable=False)
        elif stored.modified > judging.now - judging.grace:
            yield replace(found, severity=Severity.INFO, fixable=False, advice="it is young: look again later")
        else:
            yield found


def check_record_there(facts: Facts, judging: Judging) -> Iterator[Finding]:
    """A project with several files has a record: a killed first publish leaves one file, so more tell of a loss."""
    if facts.page is not None or facts.damage or not judging.is_locked:
        return
    files = [name for name in facts.stored if facts.parsed(name) is not None]
    moments = [facts.stored[name].modified for name in files]
    if len(files) > 1 and all(moment is not None and moment <= judging.now - judging.grace for moment in moments):
        yield _found(
            facts,
            "record-missing",
            f"there are {len(files)} files and no record: it was lost, or a delete of the project was killed",
            "restore the project from a backup if nobody deleted it; `--fix` moves the files to quarantine",
        )


def _unlisted(facts: Facts, name: str, kind: str) -> Finding:
    base = is_metadata_of(name) or name
    if not kind and facts.parsed(base) is not None:
        return _found(
            facts,
            "orphan",
            f"'{shown(name)}' is in no record: a publish or a delete was killed before it was done",
            "nothing serves it; `--fix` moves it to quarantine",
            name,
            severity=Severity.WARNING,
        )
    what = f"{kind}, which this program never makes here" if kind else "no file of this project"
    return _found(
        facts,
        "foreign",
        f"'{shown(name)}' is {what}",
        "nothing serves it; `--fix` moves it to quarantine",
        name,
        severity=Severity.WARNING,
    )


def _has_returned(facts: Facts, name: str) -> bool:
    entry, digests = noted_entry(facts.page, name), facts.digests.get(name)
    return entry is not None and digests is not None and _digest_of(entry) == digests.sha256


def noted_entry(page: ProjectPage | None, name: str) -> Mapping[str, object] | None:
    """Return the entry of a file that was taken off the page, as `doctor` noted it."""
    notes = page.private.get(QUARANTINED) if page is not None else None
    note = notes.get(name) if isinstance(notes, Mapping) else None
    entry = note.get("entry") if isinstance(note, Mapping) else None
    return entry if isinstance(entry, Mapping) else None


def _digest_of(entry: Mapping[str, object]) -> object:
    hashes = entry.get("hashes")
    return hashes.get("sha256") if isinstance(hashes, Mapping) else None


CHECKS: tuple[Check, ...] = (check_record, check_record_there, check_versions, check_files, check_unlisted)
"""Every check of a project."""


def record_format(content: bytes) -> int:
    """Return the format a record says it has, 0 when it says none."""
    try:
        document = json.loads(content)
        number = document["meta"]["_record"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0
    return number if isinstance(number, int) else 0


def _found(
    facts: Facts,
    code: str,
    text: str,
    advice: str,
    filename: str | None = None,
    *,
    severity: Severity = Severity.ERROR,
    fixable: bool = True,
) -> Finding:
    key = facts.key if filename is None else f"{PREFIX}{facts.project}/{filename}"
    return Finding(code, severity, facts.index, key, text, advice, fixable)


def _few(versions: tuple[str, ...]) -> str:
    text = ", ".join(versions[:5]) or "none"
    return f"{text}, …" if len(versions) > 5 else text  # noqa: PLR2004  as many as a line holds
