"""
Building a damaged record again. Pure: facts in, a page out.

What a file says of itself is certain. What only the record knew is taken from what can still be read of it, piece by
piece. Where the status or a yank cannot be read, the project is built again with the status `quarantined` (PEP 792):
its name stays taken, so that no other index is asked for it, and nothing is offered that somebody may have withdrawn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from wheelyard.errors import InvalidDocument
from wheelyard.index.doctor_checks import corrected, versions_of
from wheelyard.index.doctor_facts import Described, Facts
from wheelyard.index.records import with_files
from wheelyard.model import API_VERSION, DistFile, Filename, NormalizedName, ProjectPage, ProjectStatus
from wheelyard.protocol.filenames import quote_filename
from wheelyard.protocol.record import parse_record, render_record
from wheelyard.protocol.untrusted import read_time

REBUILT_REASON = (
    "rebuilt by `wheelyard doctor`: status, yanks and upload times were lost; check them and set the status"
)
"""Status reason of a project whose record could not be read at all."""

PARTLY_REBUILT_REASON = "rebuilt by `wheelyard doctor`: its status was lost; check it and set the status"
"""Status reason of a project of whose record all but the status could be read."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """
    A record built again.

    Attributes:
        page: The record.
        lost: What could not be known, for people; "" when nothing was lost.
    """

    page: ProjectPage
    lost: str


def rebuild(facts: Facts) -> Rebuilt:
    """Build the record of a project again from what can be read of it and from its files."""
    document = _document(facts.content or b"", facts.project)
    return _from_files(facts) if document is None else _from_pieces(facts, document)


def entry_of(file: DistFile, project: NormalizedName) -> dict[str, Any]:
    """Return an entry as it stands in a record, for a note from which it can be read again."""
    rendered = json.loads(render_record(ProjectPage(name=project, files=(file,))))
    entry: dict[str, Any] = rendered["files"][0]
    return entry


def read_entry(entry: Mapping[str, object], project: NormalizedName) -> DistFile | None:
    """Read one entry as it stands in a record; None when it is none."""
    try:
        return parse_record(_record_with(project, files=[dict(entry)])).files[0]
    except (InvalidDocument, TypeError, ValueError):
        return None


# --- pieces --------------------------------------------------------------------------------------------------------


def _document(content: bytes, project: NormalizedName) -> dict[str, Any] | None:
    """Return what a record says when it is still JSON, of this project and of our format."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("name") != project:
        return None
    meta = document.get("meta")
    return document if isinstance(meta, dict) and meta.get("_record") == 1 else None


def _from_pieces(facts: Facts, document: Mapping[str, Any]) -> Rebuilt:
    page = _head(facts.project, document)
    lost = []
    if page is None:
        lost.append("its status")
        page = ProjectPage(name=facts.project, status=ProjectStatus.QUARANTINED, status_reason=PARTLY_REBUILT_REASON)
    private = {key: value for key, value in document.items() if key.startswith("_")}
    page = replace(page, private=private)
    entries = document.get("files")
    if not isinstance(entries, list):
        # Yanks stood there; without them nothing may be offered.
        return _from_files(facts)
    for entry in entries:
        file = _entry(facts, entry)
        if file is None:
            lost.append("an entry that names no file which is there")
        elif page.find(file.filename) is None:
            page = with_files(page, [file])
    return Rebuilt(replace(page, versions=versions_of(page)), ", ".join(dict.fromkeys(lost)))


def _head(project: NormalizedName, document: Mapping[str, Any]) -> ProjectPage | None:
    """Read a record's status; None when it has one that cannot be read."""
    told = {"project-status": document["project-status"]} if "project-status" in document else {}
    try:
        return parse_record(_record_with(project, **told))
    except InvalidDocument:
        return None


def _entry(facts: Facts, entry: object) -> DistFile | None:
    """Read one entry of a damaged record; from its file where the entry itself is damaged."""
    if not isinstance(entry, dict):
        return None
    file = read_entry(entry, facts.project)
    if file is not None:
        return file
    name = entry.get("filename")
    made = _from_file(facts, name) if isinstance(name, str) else None
    if made is None:
        return None
    reason = entry.get("yanked")
    # A yank that cannot be read is one all the same.
    yanked = None if "yanked" not in entry else reason if isinstance(reason, str) else ""
    uploader = {"_uploader": entry["_uploader"]} if isinstance(entry.get("_uploader"), str) else {}
    moment = read_time(entry.get("upload-time"))
    return replace(made, yanked=yanked, upload_time=moment or made.upload_time, private={**made.private, **uploader})


# --- files ---------------------------------------------------------------------------------------------------------


def _from_files(facts: Facts) -> Rebuilt:
    page = ProjectPage(name=facts.project, status=ProjectStatus.QUARANTINED, status_reason=REBUILT_REASON)
    for name in facts.stored:
        file = _from_file(facts, name)
        if file is not None:
            page = with_files(page, [file])
    return Rebuilt(replace(page, versions=versions_of(page)), "its status, yanks, upload times and deleted names")


def _from_file(facts: Facts, name: str) -> DistFile | None:
    """Make the entry of a file from what it says itself; None when it does not say that it is of this project."""
    digests, described, stored = facts.digests.get(name), facts.archives.get(name), facts.stored.get(name)
    if digests is None or stored is None or not isinstance(described, Described):
        return None
    if described.project != facts.project:
        return None
    file = DistFile(
        filename=Filename(name),
        url=quote_filename(name),
        hashes={"sha256": digests.sha256},
        upload_time=stored.modified,
        private={"_metadata": described.metadata_sha256},
    )
    return corrected(facts, file)


def _record_with(project: NormalizedName, *, files: list[object] | None = None, **keys: object) -> bytes:
    head = {"meta": {"api-version": API_VERSION, "_record": 1}, "name": project, "versions": [], **keys}
    return json.dumps({**head, "files": files or []}).encode()
