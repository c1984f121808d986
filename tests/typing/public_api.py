"""
What others write against our interfaces, as the type checker sees it. Never run: `mypy` reads it with the tests.

A line here that no longer checks is a break for authors of backends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never, assert_type

from wheelyard.errors import FileExists, InvalidUpload, UploadProblem, WheelyardError
from wheelyard.index.interface import Body, FileBody, IndexReader, StreamBody
from wheelyard.model import Key, NormalizedName, ProjectPage, Revision
from wheelyard.storage.interface import (
    ABSENT,
    Absent,
    Backend,
    BackendContext,
    ByteRange,
    Changes,
    LocalPath,
    PutOutcome,
    Record,
    RedirectUrl,
    StoredFile,
    Traits,
)
from wheelyard.storage.plugins import BackendPlugin, installed_backends, load_backend
from wheelyard.storage.spool import Spool


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    What the author's backend is told.

    Attributes:
        path: Where it keeps things.
    """

    path: Path


class Everything(Backend):
    """A backend with every method that has to be written, and no other."""

    def __init__(self, options: Options, context: BackendContext) -> None:
        self._options = options
        self._name = context.name

    @property
    def traits(self) -> Traits:
        return Traits(atomic_batch=True)

    async def read(self, key: Key) -> Record:
        return Record(b"", Revision(key))

    async def write(
        self, changes: Mapping[Key, bytes | None], expected: Mapping[Key, Revision | Absent]
    ) -> Mapping[Key, Revision | Absent]:
        return {key: ABSENT if content is None else expected[key] for key, content in changes.items()}

    async def changes(self, cursor: str | None) -> Changes:
        return Changes(frozenset(), cursor or "", complete=cursor is None)

    async def put(self, key: Key, spool: Spool) -> PutOutcome:
        raise NotImplementedError

    async def stat(self, key: Key) -> StoredFile:
        return StoredFile(key, 0)

    async def open(self, key: Key, byte_range: ByteRange | None = None) -> AsyncIterator[bytes]:
        yield b""

    async def delete(self, key: Key) -> None:
        raise NotImplementedError

    async def list(self, prefix: str = "") -> AsyncIterator[StoredFile]:
        yield StoredFile(Key(prefix), 0)


plugin = BackendPlugin(name="everything", options=Options, open=Everything)
assert_type(load_backend("everything"), BackendPlugin)
assert_type(installed_backends(), tuple[str, ...])


async def reads(index: IndexReader, project: NormalizedName) -> bytes | None:
    """Read an index, and look at every way in which a file can come."""
    page = await index.page(project)
    assert_type(page, ProjectPage)
    for file in page.files:
        answer = await index.file(project, file.filename)
        assert_type(answer, FileBody)
        return where(answer.body)
    return None


def where(body: Body) -> bytes | None:
    """Tell the kinds of body apart; a new kind fails here."""
    match body:
        case LocalPath(path):
            return path.read_bytes()
        case RedirectUrl(url):
            return url.encode()
        case StreamBody():
            return None
        case _:
            assert_never(body)


def refusals(error: WheelyardError) -> tuple[UploadProblem, ...]:
    """Errors carry their evidence."""
    match error:
        case InvalidUpload():
            return error.problems
        case FileExists():
            assert_type(error.digest, str)
    assert_type(error.code, str)
    assert_type(error.hint, str | None)
    return ()
