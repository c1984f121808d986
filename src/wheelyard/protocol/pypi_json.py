"""The JSON of `/pypi/<project>/json`: no standard, but Renovate, bandersnatch and dashboards read it (PJ-06)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from wheelyard.errors import InvalidFilename
from wheelyard.model import DistFile, ProjectPage
from wheelyard.protocol.core_metadata import CoreMetadata
from wheelyard.protocol.filenames import parse_filename, release_of
from wheelyard.protocol.json_keys import FileUrl, render_time, stored_hashes
from wheelyard.protocol.names import VersionKey, parse_version, same_version, version_key

_encode = msgspec.json.Encoder().encode

_NO_DOWNLOADS: Final = {"last_day": -1, "last_week": -1, "last_month": -1}  # -1: not counted here
_OLD_PACKAGE_TYPES = {".egg": "bdist_egg", ".exe": "bdist_wininst", ".msi": "bdist_msi", ".rpm": "bdist_rpm"}


def shown_version(page: ProjectPage) -> str | None:
    """
    Return the release that stands for a project.

    One with files goes before one without, one that is not yanked before a yanked one, a final before a pre-release, then
    the highest (PJ-05). None for a project without releases.
    """
    files = _files_by_release(page)

    def rank(version: str) -> tuple[bool, bool, bool, VersionKey]:
        own = files.get(version_key(version), ())
        parsed = parse_version(version)
        is_final = parsed is not None and not parsed.is_prerelease
        return (bool(own), not _is_yanked(own), is_final, version_key(version))

    return max(page.versions, key=rank, default=None)


def render_project(
    page: ProjectPage, metadata: CoreMetadata | None, *, version: str | None, base_url: str, file_url: FileUrl
) -> bytes:
    """
    Render a project, or one release of it.

    Args:
        page: Where all files are listed; that the release exists and the project may be shown is the caller's to check.
        metadata: Of a file of the release; None when there is none to read.
        version: The release asked for, in any spelling; None for the project, with `releases` and the shown version.
        base_url: Of the index, for links to its pages.
        file_url: Absolute URL of each file.
    Returns:
        UTF-8 JSON.
    """
    by_release = _files_by_release(page)
    chosen = shown_version(page) if version is None else _spelling(page, version)
    files = by_release.get(version_key(chosen), ()) if chosen is not None else ()
    document: dict[str, object] = {
        "info": _info(page, metadata, version=chosen, files=files, base_url=base_url.rstrip("/")),
        "last_serial": 0,
        "ownership": {"roles": [], "organization": None},
    }
    if version is None:
        document["releases"] = {
            release: [_file(file, file_url) for file in by_release.get(version_key(release), ())]
            for release in page.versions
        }
    document["urls"] = [_file(file, file_url) for file in files]
    document["vulnerabilities"] = []
    return _encode(document)


def _files_by_release(page: ProjectPage) -> Mapping[VersionKey, tuple[DistFile, ...]]:
    found: dict[VersionKey, list[DistFile]] = {}
    for file in page.files:
        release = release_of(file.filename, page.name)
        if release is not None:
            found.setdefault(version_key(release), []).append(file)
    return {key: tuple(files) for key, files in found.items()}


def _spelling(page: ProjectPage, version: str) -> str:
    """Return the release as the page spells it: `1.0.0` asks for `1.0`."""
    return next((release for release in page.versions if same_version(release, version)), version)


def _is_yanked(files: tuple[DistFile, ...]) -> bool:
    return bool(files) and all(file.yanked is not None for file in files)


def _info(
    page: ProjectPage, metadata: CoreMetadata | None, *, version: str | None, files: tuple[DistFile, ...], base_url: str
) -> dict[str, Any]:
    project_url = f"{base_url}/project/{page.name}/"
    is_yanked = _is_yanked(files)
    info = _info_of_metadata(metadata)
    info.update(
        name=info["name"] or page.name,
        version=version or "",
        requires_python=info["requires_python"] or next((file.requires_python for file in files), None),
        package_url=project_url,
        project_url=project_url,
        release_url=f"{project_url}{version}/" if version else project_url,
        downloads=_NO_DOWNLOADS,
        docs_url=None,
        bugtrack_url=None,
        yanked=is_yanked,
        yanked_reason=next((file.yanked for file in files if file.yanked), None) if is_yanked else None,
    )
    return info


_TEXT_FIELDS = (
    *("name", "summary", "description_content_type", "license", "license_expression", "author", "author_email"),
    *("maintainer", "maintainer_email", "requires_python", "home_page", "download_url"),
)


def _info_of_metadata(metadata: CoreMetadata | None) -> dict[str, Any]:
    info: dict[str, Any] = {name: getattr(metadata, name, None) for name in _TEXT_FIELDS}
    for name in ("license_files", "requires_dist", "provides_extra", "dynamic"):
        info[name] = list(getattr(metadata, name, ())) or None
    info["description"] = (metadata.description if metadata else None) or ""
    info["classifiers"] = list(metadata.classifiers) if metadata else []
    info["keywords"] = ",".join(metadata.keywords) or None if metadata else None
    info["platform"] = ",".join(metadata.platforms) or None if metadata else None
    info["project_urls"] = dict(metadata.project_urls) or None if metadata else None
    return info


def _file(file: DistFile, file_url: FileUrl) -> dict[str, Any]:
    package_type, python_version = _kind(file.filename)
    # Of our own files only SHA-256 is on the page; the record keeps the others beside it.
    known = {"md5": file.private.get("_md5"), "blake2b_256": file.private.get("_blake2b_256"), **file.hashes}
    digests = {name: known[name] for name in ("md5", "sha256", "blake2b_256") if isinstance(known.get(name), str)}
    time = file.upload_time
    row: dict[str, Any] = {
        "filename": file.filename,
        "packagetype": package_type,
        "python_version": python_version,
        "has_sig": False,
        "comment_text": "",
        "digests": digests,
        "core-metadata": (stored_hashes(file.core_metadata) or True) if file.core_metadata is not None else False,
        "size": file.size,
        "downloads": -1,
        "upload_time": None if time is None else render_time(time.replace(microsecond=0)).removesuffix("Z"),
        "upload_time_iso_8601": None if time is None else render_time(time),
        "url": file_url(file),
        "requires_python": file.requires_python,
        "yanked": file.yanked is not None,
        "yanked_reason": file.yanked or None,
    }
    if "md5" in digests:
        row["md5_digest"] = digests["md5"]
    return row


def _kind(filename: str) -> tuple[str, str]:
    """Return `packagetype` and `python_version`; also for what only an upstream's page lists."""
    try:
        parsed = parse_filename(filename)
    except InvalidFilename:
        extension = filename[filename.rfind(".") :]
        return _OLD_PACKAGE_TYPES.get(extension, "sdist"), "source"
    return parsed.kind.value, parsed.python_tag
