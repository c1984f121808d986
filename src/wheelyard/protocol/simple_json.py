"""
The JSON pages of the simple repository API, and the stored record, which is the same page with our private keys.

Three shapes share one vocabulary. The *public page* is what clients read. An *upstream's page* is untrusted: what cannot be
listed safely is left out and the good files stay. The *record* is ours: anything odd in it means damage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from wheelyard.errors import InvalidDocument, InvalidName
from wheelyard.model import API_VERSION, DistFile, NormalizedName, ProjectList, ProjectPage, ProjectStatus
from wheelyard.protocol.json_keys import FileUrl, file_keys, status_keys
from wheelyard.protocol.names import normalize, sort_versions
from wheelyard.protocol.record import parse_record, render_record
from wheelyard.protocol.untrusted import (
    check_api_version,
    list_of_names,
    read_filename,
    read_hashes,
    read_object,
    read_provenance,
    read_size,
    read_status,
    read_text,
    read_time,
    read_url,
    versions_of,
)

__all__ = [
    "LISTED_HASHES",
    "join_page",
    "parse_list",
    "parse_page",
    "parse_record",
    "render_file",
    "render_list",
    "render_page",
    "render_record",
]

LISTED_HASHES: Final = ("sha256", "sha384", "sha512", "sha224", "sha1", "md5")
"""
Hashes a public page shows, in this order.

pip looks at the first only and stops at a name that hashlib does not always have; uv refuses the whole project for a
`blake2b` of 512 bits. So the rest stays in the record.
"""

_encode = msgspec.json.Encoder().encode


# --- the public page -----------------------------------------------------------------------------------------------


def render_page(page: ProjectPage, *, file_url: FileUrl | None = None) -> bytes:
    """
    Render a project page as clients read it.

    Args:
        page: Private keys are left out; a quarantined project shows no file (PEP 792).
        file_url: Where each file is; None takes the URL of the page as it is.
    Returns:
        UTF-8 JSON.
    Spec: PEP 691, 700, 714, 740, 792.
    """
    files = page.files if page.status.offers_files else ()
    return join_page(page, (render_file(file, file_url=file_url) for file in files))


def join_page(page: ProjectPage, files: Iterable[bytes]) -> bytes:
    """Make a public page of `render_file` rows, so that who keeps the rows need not render them again."""
    head: dict[str, object] = {"meta": {"api-version": API_VERSION}, "name": page.name}
    head.update(status_keys(page))
    head["versions"] = page.versions
    start, listed = _encode(head)[:-1] + b',"files":[', list(files)
    if not listed:
        return start + b"]}"
    listed[0] = start + listed[0]  # a page of thousands of files has megabytes: they are copied once
    listed[-1] += b"]}"
    return b",".join(listed)


def render_file(file: DistFile, *, file_url: FileUrl | None = None) -> bytes:
    """Render one file of a public page as a JSON object."""
    keys = file_keys(file, file.url if file_url is None else file_url(file), _listed(file.hashes))
    if file.core_metadata:
        keys["core-metadata"] = _listed(file.core_metadata) or True
    return _encode(keys)


def parse_page(content: bytes) -> ProjectPage:
    """
    Read a project page of any index.

    Files that cannot be offered safely (no name, a name with a slash, a URL with another scheme than http and https, a
    SHA-256 that is none) are left out, the others stay. URLs stay relative when they are.

    Args:
        content: Untrusted bytes.
    Returns:
        The page; releases are taken from file names when the page does not list them (before PEP 700).
    Raises:
        InvalidDocument: No such page, or one of another major version of the API.
    Spec: PEP 691: "unknown keys MUST be ignored".
    """
    document = read_object(content, "project page")
    check_api_version(document)
    name = _name_of(document)
    files = _unique(_read_file(entry) for entry in _list_at(document, "files"))
    status, reason = _read_status(document)
    return ProjectPage(
        name=name, files=files, versions=_read_versions(document, name, files), status=status, status_reason=reason
    )


# --- the project list ----------------------------------------------------------------------------------------------


def render_list(projects: ProjectList) -> bytes:
    """Render the project list as JSON (PEP 691)."""
    return _encode(
        {"meta": {"api-version": API_VERSION}, "projects": [{"name": name} for name in projects.names]},
    )


def parse_list(content: bytes) -> ProjectList:
    """
    Read the project list of any index; entries that are no project names are left out.

    Args:
        content: Untrusted bytes.
    Returns:
        Names as they are shown there, each project once.
    Raises:
        InvalidDocument: No such list, or one of another major version of the API.
    """
    document = read_object(content, "project list")
    check_api_version(document)
    entries = _list_at(document, "projects")
    return list_of_names(entry.get("name") for entry in entries if isinstance(entry, dict))


def _listed(hashes: Mapping[str, str]) -> dict[str, str]:
    return {name: hashes[name] for name in LISTED_HASHES if name in hashes}


def _name_of(document: Mapping[str, Any]) -> NormalizedName:
    name = document.get("name")
    try:
        return normalize(name if isinstance(name, str) else "")
    except InvalidName as error:
        raise InvalidDocument(f"the page has no project name: {error.message}") from error


def _list_at(document: Mapping[str, Any], key: str) -> list[Any]:
    value = document.get(key)
    if not isinstance(value, list):
        raise InvalidDocument(f"key '{key}' is not a list")
    return value


def _unique(files: Iterable[DistFile | None]) -> tuple[DistFile, ...]:
    found: dict[str, DistFile] = {}
    for file in files:
        if file is not None:
            found.setdefault(file.filename, file)
    return tuple(found.values())


def _read_file(entry: Any) -> DistFile | None:
    """Return one file of an untrusted page, or None when it cannot be offered safely."""
    if not isinstance(entry, dict):
        return None
    filename, url = read_filename(entry.get("filename")), read_url(entry.get("url"))
    hashes = read_hashes(entry.get("hashes", {}))
    if filename is None or url is None or hashes is None:
        return None
    return DistFile(
        filename=filename,
        url=url,
        hashes=hashes,
        size=read_size(entry.get("size")),
        upload_time=read_time(entry.get("upload-time")),
        requires_python=read_text(entry.get("requires-python")),
        core_metadata=_read_core_metadata(entry),
        yanked=_read_yanked(entry.get("yanked")),
        gpg_sig=entry["gpg-sig"] if isinstance(entry.get("gpg-sig"), bool) else None,
        provenance=read_provenance(entry.get("provenance")),
    )


def _read_core_metadata(entry: Mapping[str, Any]) -> dict[str, str] | None:
    """PEP 714: "clients [...] MUST prefer `core-metadata`"; the older key is read where it is missing."""
    value = entry.get("core-metadata", entry.get("dist-info-metadata", entry.get("data-dist-info-metadata")))
    if value is True:
        return {}
    return read_hashes(value)


def _read_yanked(value: object) -> str | None:
    if value is None or value is False:
        return None
    return value if isinstance(value, str) else ""


def _read_status(document: Mapping[str, Any]) -> tuple[ProjectStatus, str | None]:
    value = document.get("project-status")
    if value is None and isinstance(document.get("meta"), dict):
        value = document["meta"].get("project-status")  # where an example of the specification shows it
    if not isinstance(value, dict):
        return read_status(value), None
    reason = value.get("reason")
    return read_status(value.get("status")), reason if isinstance(reason, str) else None


def _read_versions(document: Mapping[str, Any], name: NormalizedName, files: Iterable[DistFile]) -> tuple[str, ...]:
    versions = document.get("versions")
    if isinstance(versions, list):
        return sort_versions(version for version in versions if isinstance(version, str))
    return versions_of(name, files)
