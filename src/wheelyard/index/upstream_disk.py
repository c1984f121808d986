"""
Documents of an upstream on this machine's disk: pages and metadata that outlive the process.

One file each, named after what was asked for: a line of JSON that describes it, then the bytes. What does not have the
digest of its own description is as good as absent, so a crash in the middle of a write costs one question and no more.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

DOCUMENTS_LIMIT_BYTES: Final = 1024**3  # 1 GiB: the pages of about 20,000 projects
_KEPT_SHARE = 0.9  # what is left after tidying up, so that the next document does not start it again
_HEAD_LIMIT_BYTES = 64 * 1024
_FORMAT = 1
_SUFFIX = ".doc"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDocument:
    """
    One document with what its upstream said of it.

    Attributes:
        content: Its bytes; empty with `status` 404.
        url: Where it came from, after redirects.
        content_type: As the upstream said.
        etag: Its entity tag.
        last_modified: The same, as a date.
        fresh_until: Until then it may be used without asking.
        status: 200, or 404 when the upstream does not have it.
    """

    content: bytes
    url: str
    content_type: str
    etag: str | None
    last_modified: str | None
    fresh_until: datetime
    status: int = 200


class DocumentFolder:
    """
    A bounded folder of documents; every method blocks.

    A full or broken disk loses documents, nothing else: what cannot be written is not kept, what cannot be read is absent.

    Args:
        folder: Made when the first document is kept.
        limit_bytes: Size of all documents together; those written longest ago go first.
    """

    def __init__(self, folder: Path, limit_bytes: int = DOCUMENTS_LIMIT_BYTES) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._bytes: int | None = None

    def load(self, name: str) -> KeptDocument | None:
        """Return the document kept under a name, or None."""
        try:
            with self._path(name).open("rb") as file:
                head = json.loads(file.readline(_HEAD_LIMIT_BYTES))
                content = file.read()
        except (OSError, ValueError):
            return None
        return _described(head, name, content)

    def save(self, name: str, document: KeptDocument) -> None:
        """Keep a document under a name, in place of what was there."""
        path = self._path(name)
        partial = path.with_name(f"{path.name}.{secrets.token_hex(6)}")
        content = _head(name, document) + document.content
        with suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                partial.write_bytes(content)
                os.replace(partial, path)  # noqa: PTH105  of two writers the last one wins, readers see a whole file
            except OSError:
                partial.unlink(missing_ok=True)
                raise
            self._grew(len(content))

    def renew(self, name: str, *, fresh_until: datetime) -> None:
        """Let a document be used until a later time."""
        known = self.load(name)
        if known is not None:
            self.save(name, replace(known, fresh_until=fresh_until))

    def drop(self, name: str) -> None:
        """Forget a document."""
        with suppress(OSError):
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        return self._folder / digest[:2] / f"{digest}{_SUFFIX}"

    def _grew(self, size: int) -> None:
        """Count, and tidy up beyond the limit; a document that was replaced counts twice until then."""
        if self._bytes is None:
            self._bytes = sum(size for _, size, _ in self._files())
        else:
            self._bytes += size
        if self._bytes > self._limit_bytes:
            self._bytes = self._tidied()

    def _tidied(self) -> int:
        files = sorted(self._files())
        left = sum(size for _, size, _ in files)
        for _, size, path in files:
            if left <= self._limit_bytes * _KEPT_SHARE:
                break
            with suppress(OSError):
                path.unlink()
                left -= size
        return left

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Yield time, size and path of every document, and of what killed processes left."""
        for path in self._folder.glob(f"*/*{_SUFFIX}*"):
            with suppress(OSError):
                status = path.stat()
                yield status.st_mtime, status.st_size, path


def _head(name: str, document: KeptDocument) -> bytes:
    head = {
        "format": _FORMAT,
        "name": name,
        "sha256": hashlib.sha256(document.content).hexdigest(),
        "url": document.url,
        "content_type": document.content_type,
        "etag": document.etag,
        "last_modified": document.last_modified,
        "fresh_until": document.fresh_until.timestamp(),
        "status": document.status,
    }
    return json.dumps(head).encode("ascii") + b"\n"


def _described(head: Mapping[str, Any], name: str, content: bytes) -> KeptDocument | None:
    """Return what a file says, or None when it is not the whole truth about this name."""
    try:
        if head["format"] != _FORMAT or head["name"] != name:
            return None
        if hashlib.sha256(content).hexdigest() != head["sha256"]:
            return None
        return KeptDocument(
            content=content,
            url=str(head["url"]),
            content_type=str(head["content_type"]),
            etag=head["etag"],
            last_modified=head["last_modified"],
            fresh_until=datetime.fromtimestamp(head["fresh_until"], UTC),
            status=int(head["status"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
