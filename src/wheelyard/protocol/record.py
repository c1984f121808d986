"""
The stored record of a project: its public page plus private keys, and all files whatever the status.

Ours, and read strictly all the same: storage is a disk or a bucket that others can reach. Anything odd means damage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from wheelyard.errors import InvalidDocument, shown
from wheelyard.model import API_VERSION, DistFile, Filename, NormalizedName, ProjectPage, ProjectStatus
from wheelyard.protocol.json_keys import file_keys, status_keys, stored_hashes
from wheelyard.protocol.names import is_normalized
from wheelyard.protocol.untrusted import check_api_version, read_filename, read_hashes, read_object, read_time, read_url

_RECORD_FORMAT = 1  # goes up when an older version of this program could not read a record any more

_encode = msgspec.json.Encoder().encode
_indented = msgspec.json.format
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


def render_record(page: ProjectPage) -> bytes:
    """
    Render the stored record of a project: the page with private keys and all files, whatever the status.

    Equal pages give equal bytes. Indented, since people read it when they look into their bucket.

    Args:
        page: Private keys start with `_` and hold what JSON can say.
    Returns:
        UTF-8 JSON; `parse_record` gives back an equal page.
    """
    return join_record(page, map(render_record_row, page.files))


def render_record_row(file: DistFile) -> bytes:
    """Render what the record says of one file, indented as it stands there."""
    keys = {**file_keys(file, file.url, stored_hashes(file.hashes)), **_private_keys(file.private)}
    # A line end can only be one of the indentation: inside strings JSON escapes them.
    return _indented(_encode(keys), indent=2).replace(b"\n", b"\n    ")


def join_record(page: ProjectPage, rows: Iterable[bytes]) -> bytes:
    """Make the record of a page from the rows of its files, in their order."""
    record: dict[str, object] = {"meta": {"api-version": API_VERSION, "_record": _RECORD_FORMAT}, "name": page.name}
    record.update(status_keys(page))
    record["versions"] = page.versions
    record.update(_private_keys(page.private))
    # The last two bytes of the indented rest are a line end and the closing brace.
    head = _indented(_encode(record), indent=2)[:-2] + b',\n  "files": ['
    listed = list(rows)
    if not listed:
        return head + b"]\n}\n"
    # A record of thousands of files has megabytes: they are copied once.
    listed[0] = head + b"\n    " + listed[0]
    listed[-1] += b"\n  ]\n}\n"
    return b",\n    ".join(listed)


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
    document = read_object(content, "record")
    meta = _take(document, "meta", dict)
    if meta.get("_record") != _RECORD_FORMAT:
        raise InvalidDocument(
            f"the record is of format '{shown(meta.get('_record'))}', this version reads {_RECORD_FORMAT}"
        )
    check_api_version({"meta": meta})
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


def _private_keys(private: Mapping[str, object]) -> dict[str, object]:
    for key in private:
        if not key.startswith("_"):
            raise InvalidDocument(f"private key '{shown(key)}' does not start with '_'")
    return {key: msgspec.Raw(_encode_sorted(private[key])) for key in sorted(private)}
