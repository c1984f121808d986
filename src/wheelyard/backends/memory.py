"""A store in memory: for tests, trials, and as the plainest example of the port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_hex

from wheelyard.errors import Conflict, KeyNotFound
from wheelyard.model import Key, Revision, Sha256Hex
from wheelyard.storage.interface import (
    ABSENT,
    Absent,
    Backend,
    BackendContext,
    ByteRange,
    Changes,
    PutOutcome,
    Record,
    StoredFile,
    Traits,
)
from wheelyard.storage.plugins import BackendPlugin
from wheelyard.storage.spool import PIECE_BYTES, Spool


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryOptions:
    """A store in memory has no options; everything in it is gone when the server stops."""


class MemoryBackend(Backend):
    """Records and files in dictionaries. Every method runs without waiting, so none can be interrupted half-way."""

    def __init__(self) -> None:
        self._records: dict[Key, Record] = {}
        self._files: dict[Key, bytes] = {}
        self._life = token_hex(4)  # cursors of another store are not ours
        self._swaps = 0
        self._swapped: dict[Key, int] = {}  # the number of each record's last swap, removed records among them

    @property
    def traits(self) -> Traits:
        """Several records in one swap, and every answer is current."""
        return Traits(atomic_batch=True, fresh=True, verified_put=True)

    # -- records ---------------------------------------------------------------------------------------------------

    async def read(self, key: Key) -> Record:
        """Read one record."""
        record = self._records.get(key)
        if record is None:
            raise KeyNotFound(key)
        return record

    async def write(
        self, changes: Mapping[Key, bytes | None], expected: Mapping[Key, Revision | Absent]
    ) -> Mapping[Key, Revision | Absent]:
        """Swap records if none of them has moved."""
        for key in changes:
            if self.peek(key) != expected[key]:
                raise Conflict(key)
        for key, content in changes.items():
            self._swaps += 1
            self._swapped[key] = self._swaps
            if content is None:
                self._records.pop(key, None)
            else:
                self._records[key] = Record(content, Revision(f"{self._life}-{self._swaps}"))
        return {key: self.peek(key) for key in changes}

    async def changes(self, cursor: str | None) -> Changes:
        """Tell which records were swapped since."""
        life, _, seen = (cursor or "").partition(":")
        current = self.peek_changes()
        if life != self._life or not seen.isdecimal():
            return Changes(frozenset(self._records), current, complete=True)
        moved = frozenset(key for key, number in self._swapped.items() if number > int(seen))
        return Changes(moved, current, complete=False)

    def peek(self, key: Key) -> Revision | Absent:
        """Tell a record's current revision."""
        record = self._records.get(key)
        return ABSENT if record is None else record.revision

    def peek_changes(self) -> str:
        """Return the number of swaps."""
        return f"{self._life}:{self._swaps}"

    # -- files -----------------------------------------------------------------------------------------------------

    async def put(self, key: Key, spool: Spool) -> PutOutcome:
        """Store one immutable file."""
        content = b"".join([piece async for piece in spool.pieces()])
        # Nothing is awaited from here on: of two writers one gets CREATED.
        if key not in self._files:
            self._files[key] = content
            return PutOutcome.CREATED
        return PutOutcome.SAME_CONTENT if self._files[key] == content else PutOutcome.CONFLICT

    async def stat(self, key: Key) -> StoredFile:
        """Describe one file."""
        return _described(key, self._found(key))

    async def open(self, key: Key, byte_range: ByteRange | None = None) -> AsyncIterator[bytes]:
        """Stream one file, or one range of it."""
        content = self._found(key)
        start, stop = (0, len(content)) if byte_range is None else (byte_range.start, byte_range.stop)
        stop = min(stop, len(content))
        for position in range(start, stop, PIECE_BYTES):
            yield content[position : min(position + PIECE_BYTES, stop)]

    async def delete(self, key: Key) -> None:
        """Remove one file."""
        self._files.pop(key, None)

    async def list(self, prefix: str = "") -> AsyncIterator[StoredFile]:
        """List the files whose key starts with `prefix`."""
        for key, content in list(self._files.items()):
            if key.startswith(prefix):
                yield _described(key, content)

    def _found(self, key: Key) -> bytes:
        content = self._files.get(key)
        if content is None:
            raise KeyNotFound(key)
        return content


def _described(key: Key, content: bytes) -> StoredFile:
    return StoredFile(key, len(content), Sha256Hex(sha256(content).hexdigest()))


def _open(options: MemoryOptions, context: BackendContext) -> MemoryBackend:
    """Make an empty store."""
    del options, context
    return MemoryBackend()


plugin = BackendPlugin(name="memory", options=MemoryOptions, open=_open)
"""Found through the entry point `memory`."""
