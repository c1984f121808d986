"""
The JSON pages of the simple repository API, and the stored record, which is the same page with our private keys.

Three shapes share one vocabulary. The *public page* is what clients read. An *upstream's page* is untrusted: what cannot be
listed safely is left out and the good files stay. The *record* is ours: anything odd in it means damage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from wheelyard.errors import InvalidDocument, InvalidName, shown
from wheelyard.model import API_VERSION, DistFile, Filename, NormalizedName, ProjectList, ProjectPage, ProjectStatus
from wheelyard.protocol.filenames import FILENAME_LIMIT_BYTES, release_of
from wheelyard.protocol.names import is_normalized, normalize, sort_versions

FileUrl = Callable[[DistFile], str]
"""Says under which URL a page offers a file; relative to the page or absolute, percent-encoded."""

LISTED_HASHES: Final = ("sha256", "sha384", "sha512", "sha224", "sha1", "md5")
"""
Hashes a public page shows, in this order.

pip looks at the first only and stops at a name that hashlib does not always have; uv refuses the whole project for a
`blake2b` of 512 bits. So the rest stays in the record.
"""

_RECORD_FORMAT = 1  # goes up when an older version of this program could not read a record any more

_DIGEST_LENGTHS = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}
_HASH_NAME = re.compile(r"[a-z0-9_]{1,32}\Z")
_HEX = re.compile(r"(?:[0-9a-f]{2})+\Z")
_URL_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_LARGEST_SIZE = 2**63 - 1

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder().decode


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
    head.update(_status_keys(page))
    head["versions"] = page.versions
    return b"".join((_encode(head)[:-1], b',"files":[', b",".join(files), b"]}"))


def render_file(file: DistFile, *, file_url: FileUrl | None = None) -> bytes:
    """Render one file of a public page as a JSON object."""
    listed = {name: file.hashes[name] for name in LISTED_HASHES if name in file.hashes}
    return _encode(_file_keys(file, file.url if file_url is None else file_url(file), listed))


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
    document = _object(content, "project page")
    _check_api_version(document)
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
    document = _object(content, "project list")
    _check_api_version(document)
    entries = _list_at(document, "projects")
    return list_of_names(entry.get("name") for entry in entries if isinstance(entry, dict))


def list_of_names(names: Iterable[object]) -> ProjectList:
    """Make a project list of what claims to be project names: sorted, each project once, the first spelling stays."""
    found: dict[NormalizedName, str] = {}
    for name in names:
        try:
            found.setdefault(normalize(str(name)), str(name))
        except InvalidName:
            continue
    return ProjectList(names=tuple(sorted(found.values())))


# --- the record ----------------------------------------------------------------------------------------------------


def render_record(page: ProjectPage) -> bytes:
    """
    Render the stored record of a project: the page with private keys and all files, whatever the status.

    Equal pages give equal bytes. Indented, since people read it when they look into their bucket.

    Args:
        page: Private keys start with `_` and hold what JSON can say.
    Returns:
        UTF-8 JSON; `parse_record` gives back an equal page.
    """
    record: dict[str, object] = {"meta": {"api-version": API_VERSION, "_record": _RECORD_FORMAT}, "name": page.name}
    record.update(_status_keys(page))
    record["versions"] = page.versions
    record.update(_private_keys(page.private))
    files = (
        _encode({**_file_keys(f, f.url, _stored_hashes(f.hashes)), **_private_keys(f.private)}) for f in page.files
    )
    content = b"".join((_encode(record)[:-1], b',"files":[', b",".join(files), b"]}"))
    return msgspec.json.format(content, indent=2) + b"\n"


def parse_record(content: bytes) -> ProjectPage:
    """
    Read a stored record, trusting nothing: storage is a disk or a bucket that others can reach too.

    Args:
        content: What the store has.
    Returns:
        The page that was rendered.
    Raises:
        InvalidDocument: Not a record that `render_record` writes; the text says where.
    """
    document = _object(content, "record")
    meta = _take(document, "meta", dict)
    if meta.get("_record") != _RECORD_FORMAT:
        raise InvalidDocument(
            f"the record is of format '{shown(meta.get('_record'))}', this version reads {_RECORD_FORMAT}"
        )
    _check_api_version({"meta": meta})
    name = _take(document, "name", str)
    if not is_normalized(name):
        raise InvalidDocument(f"key 'name' is '{shown(name)}', which is no normalised project name")
    status, reason = _take_status(document)
    versions = tuple(_take(document, "versions", list))
    if not all(isinstance(version, str) for version in versions) or len(set(versions)) != len(versions):
        raise InvalidDocument("key 'versions' holds something else than distinct strings")
    files = tuple(_take_file(entry) for entry in _take(document, "files", list))
    if len({file.filename for file in files}) != len(files):
        raise InvalidDocument("key 'files' lists one file name twice")
    private = _take_private(document)
    return ProjectPage(
        name=NormalizedName(name), files=files, versions=versions, status=status, status_reason=reason, private=private
    )


# --- rendering -----------------------------------------------------------------------------------------------------


def _file_keys(file: DistFile, url: str, hashes: Mapping[str, str]) -> dict[str, object]:
    """Return the standard keys of one file; what is unknown has no key, since uv takes no null (JSON-07, -08, -12)."""
    keys: dict[str, object] = {"filename": file.filename, "url": url, "hashes": hashes}
    if file.requires_python is not None:
        keys["requires-python"] = file.requires_python
    if file.size is not None:
        keys["size"] = file.size
    if file.upload_time is not None:
        keys["upload-time"] = render_time(file.upload_time)
    if file.core_metadata is not None:
        keys["core-metadata"] = _stored_hashes(file.core_metadata) or True
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


def _status_keys(page: ProjectPage) -> dict[str, object]:
    if page.status is ProjectStatus.ACTIVE and page.status_reason is None:
        return {}
    status = {"status": page.status.value}
    if page.status_reason is not None:
        status["reason"] = page.status_reason
    return {"project-status": status}


def _stored_hashes(hashes: Mapping[str, str]) -> dict[str, str]:
    return dict(sorted(hashes.items(), key=lambda item: (item[0] != "sha256", item)))


def _private_keys(private: Mapping[str, object]) -> dict[str, object]:
    for key in private:
        if not key.startswith("_"):
            raise InvalidDocument(f"private key '{shown(key)}' does not start with '_'")
    return {key: msgspec.Raw(_encode_sorted(private[key])) for key in sorted(private)}


# --- reading what others wrote -------------------------------------------------------------------------------------


def _object(content: bytes, what: str) -> dict[str, Any]:
    try:
        document = _decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidDocument(f"the {what} is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidDocument(f"the {what} is not a JSON object")
    return document


def _check_api_version(document: Mapping[str, Any]) -> None:
    """PEP 629: "if the major version [is] greater than expected [a client] MUST refuse"."""
    meta = document.get("meta")
    version = meta.get("api-version", "1.0") if isinstance(meta, dict) else "1.0"
    if str(version).partition(".")[0] != "1":
        raise InvalidDocument(f"the simple API version is '{shown(version)}', only 1.x is understood")


def _name_of(document: Mapping[str, Any]) -> NormalizedName:
    try:
        return normalize(str(document.get("name", "")))
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
        size=_read_size(entry.get("size")),
        upload_time=read_time(entry.get("upload-time")),
        requires_python=_text_or_none(entry.get("requires-python")),
        core_metadata=_read_core_metadata(entry),
        yanked=_read_yanked(entry.get("yanked")),
        gpg_sig=entry["gpg-sig"] if isinstance(entry.get("gpg-sig"), bool) else None,
        provenance=read_provenance(entry.get("provenance")),
    )


def read_filename(value: object) -> Filename | None:
    """Return a file name that is safe to list and to store, of whatever kind of file; None for others."""
    if not isinstance(value, str) or value in ("", ".", "..") or "/" in value or "\\" in value:
        return None
    if not value.isprintable() or len(value.encode()) > FILENAME_LIMIT_BYTES:
        return None
    return Filename(value)


def read_url(value: object) -> str | None:
    """Return a URL without its fragment; None for one that is not relative, http or https (`javascript:`)."""
    if not isinstance(value, str):
        return None
    url = value.strip().partition("#")[0]
    scheme = _URL_SCHEME.match(url)
    if not url or _CONTROL.search(url) or (scheme and scheme[1].lower() not in ("http", "https")):
        return None
    return url


def read_hashes(value: object) -> dict[str, str] | None:
    """Return well-formed hashes, `sha256` first; None when what is given for a known algorithm is no such hash."""
    if not isinstance(value, dict):
        return None
    hashes: dict[str, str] = {}
    for name, digest in value.items():
        algorithm, hexadecimal = str(name).lower(), str(digest).lower()
        if not _HASH_NAME.match(algorithm) or not _is_digest(algorithm, hexadecimal):
            if algorithm in _DIGEST_LENGTHS:
                return None  # without it the file would go unchecked
            continue
        hashes[algorithm] = hexadecimal
    return hashes if next(iter(hashes), "sha256") == "sha256" else _stored_hashes(hashes)


def read_time(value: object) -> datetime | None:
    """Return an upload time in UTC; None for what is none."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def read_provenance(value: object) -> str | None:
    """Return the URL of a provenance object; PEP 740 wants it absolute and secure."""
    url = read_url(value)
    return url if url is not None and url.lower().startswith("https://") else None


def read_status(status: object) -> ProjectStatus:
    """Return a project status; one that is not known (yet) counts as active, as clients do."""
    try:
        return ProjectStatus(status)
    except ValueError:
        return ProjectStatus.ACTIVE


def _is_digest(algorithm: str, digest: str) -> bool:
    return bool(_HEX.match(digest)) and len(digest) == _DIGEST_LENGTHS.get(algorithm, len(digest))


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _read_size(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= _LARGEST_SIZE else None


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


def versions_of(name: NormalizedName, files: Iterable[DistFile]) -> tuple[str, ...]:
    """Return the releases that the names of files tell."""
    releases = (release_of(file.filename, name) for file in files)
    return sort_versions(release for release in releases if release is not None)


# --- reading our own record ----------------------------------------------------------------------------------------


def _take(document: dict[str, Any], key: str, kind: type) -> Any:
    """Take a key that a record has, with a value of the right type, out of `document`."""
    if key not in document:
        raise InvalidDocument(f"key '{key}' is missing")
    return _take_optional(document, key, kind)


def _take_optional(document: dict[str, Any], key: str, kind: type) -> Any:
    if key not in document:
        return None
    value = document.pop(key)
    if type(value) is not kind:
        raise InvalidDocument(f"key '{key}' is {shown(value)!r}, not of type {kind.__name__}")
    return value


def _take_private(document: dict[str, Any]) -> dict[str, object]:
    """Return what is left, which must be private keys: an unknown one would be lost with the next change."""
    for key in document:
        if not key.startswith("_"):
            raise InvalidDocument(f"key '{shown(key)}' is unknown to this version")
    return document


def _take_status(document: dict[str, Any]) -> tuple[ProjectStatus, str | None]:
    value = _take_optional(document, "project-status", dict)
    if value is None:
        return ProjectStatus.ACTIVE, None
    status = _take(value, "status", str)
    try:
        return ProjectStatus(status), _take_optional(value, "reason", str)
    except ValueError as error:
        raise InvalidDocument(f"project status '{shown(status)}' is unknown") from error


def _take_file(entry: Any) -> DistFile:
    if not isinstance(entry, dict):
        raise InvalidDocument("key 'files' holds something else than objects")
    given = entry.get("filename")
    filename = read_filename(given)
    if filename is None:
        raise InvalidDocument(f"'{shown(given)}' is no file name")
    try:
        return _take_file_keys(filename, entry)
    except InvalidDocument as error:
        raise InvalidDocument(f"file '{shown(filename)}': {error.message}") from error


def _take_file_keys(filename: Filename, entry: dict[str, Any]) -> DistFile:
    del entry["filename"]
    url = _take(entry, "url", str)
    if read_url(url) != url:
        raise InvalidDocument(f"key 'url' is '{shown(url)}', which is no URL of a file")
    size = _take_optional(entry, "size", int)
    if size is not None and size < 0:
        raise InvalidDocument(f"key 'size' is {size}")
    return DistFile(
        filename=filename,
        url=url,
        hashes=_checked_hashes("hashes", _take(entry, "hashes", dict)),
        size=size,
        upload_time=_take_time(entry),
        requires_python=_take_optional(entry, "requires-python", str),
        core_metadata=_take_core_metadata(entry),
        yanked=_take_yanked(entry),
        gpg_sig=_take_optional(entry, "gpg-sig", bool),
        provenance=_take_optional(entry, "provenance", str),
        private=_take_private(entry),
    )


def _checked_hashes(key: str, hashes: dict[str, Any]) -> dict[str, str]:
    if read_hashes(hashes) != hashes:
        raise InvalidDocument(f"key '{key}' holds something else than hashes in lower-case hexadecimal")
    return hashes


def _take_time(entry: dict[str, Any]) -> datetime | None:
    text = _take_optional(entry, "upload-time", str)
    moment = read_time(text)
    if text is not None and moment is None:
        raise InvalidDocument(f"key 'upload-time' is '{shown(text)}', which is no time")
    return moment


def _take_core_metadata(entry: dict[str, Any]) -> dict[str, str] | None:
    if "core-metadata" not in entry:
        return None
    value = entry.pop("core-metadata")
    if value is True:
        return {}
    if not isinstance(value, dict):
        raise InvalidDocument(f"key 'core-metadata' is {shown(value)!r}, neither true nor hashes")
    return _checked_hashes("core-metadata", value)


def _take_yanked(entry: dict[str, Any]) -> str | None:
    if "yanked" not in entry:
        return None
    value = entry.pop("yanked")
    if isinstance(value, str):
        return value
    if value is not True:
        raise InvalidDocument(f"key 'yanked' is {shown(value)!r}, neither true nor a reason")
    return ""
