"""
The JSON keys of a file and a page, from which the public page and the stored record are made.

What is unknown has no key: uv refuses a whole project for one null (JSON-07, JSON-08, JSON-12).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from wheelyard.model import DistFile, ProjectPage, ProjectStatus

FileUrl = Callable[[DistFile], str]
"""Says under which URL a page offers a file; relative to the page or absolute, percent-encoded."""


def file_keys(file: DistFile, url: str, hashes: Mapping[str, str]) -> dict[str, object]:
    """Return the standard keys of one file, with this URL and these of its hashes."""
    keys: dict[str, object] = {"filename": file.filename, "url": url, "hashes": hashes}
    if file.requires_python is not None:
        keys["requires-python"] = file.requires_python
    if file.size is not None:
        keys["size"] = file.size
    if file.upload_time is not None:
        keys["upload-time"] = render_time(file.upload_time)
    if file.core_metadata is not None:
        keys["core-metadata"] = stored_hashes(file.core_metadata) or True
    if file.yanked is not None:
        keys["yanked"] = file.yanked or True  # never "": pip and pdm take that for not yanked
    if file.gpg_sig is not None:
        keys["gpg-sig"] = file.gpg_sig
    if file.provenance is not None:
        keys["provenance"] = file.provenance
    return keys


def render_time(moment: datetime) -> str:
    """Render a moment as PEP 700 asks: UTC, `Z`, at most six digits of a second."""
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.isoformat().removesuffix("+00:00") + "Z"


def status_keys(page: ProjectPage) -> dict[str, object]:
    """Return the project status (PEP 792); nothing for a project of which there is nothing to say."""
    if page.status is ProjectStatus.ACTIVE and page.status_reason is None:
        return {}
    status = {"status": page.status.value}
    if page.status_reason is not None:
        status["reason"] = page.status_reason
    return {"project-status": status}


def stored_hashes(hashes: Mapping[str, str]) -> dict[str, str]:
    """Return hashes in the one order in which they are written: `sha256` first, the others by name."""
    return dict(sorted(hashes.items(), key=lambda item: (item[0] != "sha256", item)))
