r"""
The journal: which records changed, told from process to process on one machine.

`.wheelyard/journal` is a text file that only grows. Its first line names it; then, for every swap of a record,

    +simple/demo/index.json\n    before the swap (an intent)
    =simple/demo/index.json\n    after it

so a reader that knows how far it read learns of every swap for the price of reading the new lines. An intent that is not
yet followed by its `=` stays pending in the reader's cursor and is told again each time, until it is settled.

Rule 1: the journal may say too much, never too little. Whatever is odd about it (shorter than it was, another name, a
    line that cannot be read) is answered by a complete listing of the storage.
Rule 2: it need not survive a power cut, so nothing is synced here: a cursor knows the boot it was made in, and one from
    another boot is not believed.
Rule 3: every function blocks; callers are in a thread.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final
from zlib import crc32

from wheelyard.backends.filesystem.locks import lock, try_lock
from wheelyard.errors import StorageUnavailable
from wheelyard.model import Key
from wheelyard.storage.keys import is_record_key

_TITLE: Final = "wheelyard journal 1 "
_HEAD_BYTES: Final = len(_TITLE) + 32 + 1  # title, 32 hexadecimal digits, line end
_TAIL_BYTES: Final = 64  # looked at before the place a cursor points to, to know it again
_LIMIT_BYTES: Final = 4 * 1024 * 1024  # some 50,000 swaps; then a new journal is begun and every reader lists once
_LOCK_TIMEOUT_S: Final = 10.0
_OPEN_ATTEMPTS: Final = 10

INTENT: Final = "+"
DONE: Final = "="

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@lru_cache(maxsize=1)
def this_boot() -> str:
    """Return the id of the running system's boot; where there is none, of this process, which is always safe."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class Cursor:
    """
    How far a reader has read.

    Attributes:
        journal: Name of the journal; empty when there was none to read.
        boot: In which boot.
        offset: Bytes read; always the end of a line.
        tail: Check sum of the bytes before `offset`.
        pending: Records whose swap had begun and was not known to be over.
    """

    journal: str
    boot: str
    offset: int
    tail: int
    pending: frozenset[Key]

    def render(self) -> str:
        """Return the cursor as text."""
        return json.dumps(
            [self.journal, self.boot, self.offset, self.tail, *sorted(self.pending)], separators=(",", ":")
        )


def parse_cursor(text: str | None) -> Cursor | None:
    """Return the cursor that `text` renders; None when it is no cursor of this kind and boot."""
    try:
        parts = json.loads(text or "")
    except ValueError:
        return None
    match parts:
        case [str(journal), str(boot), int(offset), int(tail), *pending] if boot == this_boot() and offset > 0:
            if all(isinstance(key, str) and is_record_key(key) for key in pending):
                return Cursor(journal, boot, offset, tail, frozenset(map(Key, pending)))
    return None


@dataclass(frozen=True, slots=True)
class Told:
    """
    What the journal tells.

    Attributes:
        keys: Records that may have changed; None when the journal cannot tell, so that all must be listed.
        cursor: How far it was read.
    """

    keys: frozenset[Key] | None
    cursor: Cursor


_NOTHING = Cursor("", "", 0, 0, frozenset())


class Journal:
    """
    The journal of one storage folder.

    Args:
        folder: `.wheelyard` of the storage.
        lock_timeout_s: Longest wait for whoever begins a new journal.
    """

    def __init__(self, folder: Path, *, lock_timeout_s: float = _LOCK_TIMEOUT_S) -> None:
        self.path = folder / "journal"
        self._lock_timeout_s = min(lock_timeout_s, _LOCK_TIMEOUT_S)
        # Shared by those who append, exclusive for whoever begins a new journal: a swap that began in one journal
        # also ends in it.
        self._lock_path = folder / "locks" / "journal"

    def prepare(self) -> None:
        """Begin a journal if there is none, it is not readable, or it has grown too long."""
        size = _size_if_sound(self.path)
        if size is None or size > _LIMIT_BYTES:
            self._begin_new(only_if_free=size is not None)

    def token(self) -> str | None:
        """Return a token that changes with every line; None when there is no journal. One `stat`."""
        try:
            status = os.stat(self.path)  # noqa: PTH116  hot
        except OSError:
            return None
        return f"{status.st_size:x}-{status.st_ino:x}-{status.st_mtime_ns:x}"

    @contextmanager
    def swapping(self, key: Key) -> Iterator[None]:
        """
        Tell readers of a swap that happens inside the block; the caller holds the record's lock.

        Raises:
            OSError: The intent could not be written; the block was not entered.
            StorageUnavailable: Somebody held the journal's lock for too long.
        """
        held, journal = self._open()
        try:
            _append(journal, INTENT, key)
            try:
                yield
            finally:
                # Without this line the swap has still happened, and readers still have the intent.
                with suppress(OSError):
                    _append(journal, DONE, key)
            size = os.fstat(journal).st_size
        finally:
            os.close(journal)
            os.close(held)
        if size > _LIMIT_BYTES:
            with suppress(OSError):
                self._begin_new(only_if_free=True)

    def settle(self, key: Key) -> None:
        """Write that a swap is over whose writer is gone; the caller holds the record's lock."""
        with suppress(OSError):  # on a read-only disk the intent stays pending
            held, journal = self._open()
            try:
                _append(journal, DONE, key)
            finally:
                os.close(journal)
                os.close(held)

    def read(self, since: Cursor | None) -> Told:
        """Tell which records may have changed since a cursor."""
        try:
            opened = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return Told(None, _NOTHING)
        try:
            name = _name(_head(opened))
            if name is None:
                return Told(None, _NOTHING)
            known = since is not None and since.journal == name and _tail(opened, since.offset) == since.tail
            start, pending = (since.offset, since.pending) if since and known else (_HEAD_BYTES, frozenset[Key]())
            keys, still_pending, offset = _read_lines(opened, start, pending)
            cursor = Cursor(name, this_boot(), offset, _tail(opened, offset) or 0, still_pending)
        finally:
            os.close(opened)
        return Told(keys if known else None, cursor)

    def _open(self) -> tuple[int, int]:
        """Take the shared lock and open the journal for appending, beginning one where needed."""
        for _ in range(_OPEN_ATTEMPTS):
            held = lock(self._lock_path, timeout_s=self._lock_timeout_s, shared=True)
            try:
                journal = _open_if_sound(self.path, os.O_RDWR | os.O_APPEND)
            except BaseException:
                os.close(held)
                raise
            if journal is not None:
                return held, journal
            os.close(held)
            self._begin_new(only_if_free=False)
        raise StorageUnavailable("the journal of the storage disappears as soon as it is made")

    def _begin_new(self, *, only_if_free: bool) -> None:
        """Put a new, empty journal in place; nobody is swapping then, so no pending intent is lost that matters."""
        held = try_lock(self._lock_path) if only_if_free else lock(self._lock_path, timeout_s=self._lock_timeout_s)
        if held is None:
            return  # others are swapping; one of them will find it too long as well
        try:
            size = _size_if_sound(self.path)
            if size is not None and size <= _LIMIT_BYTES:
                return  # somebody else was faster
            fresh = self.path.with_name("journal.new")
            fresh.unlink(missing_ok=True)
            opened = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                _write(opened, f"{_TITLE}{secrets.token_hex(16)}\n".encode())
            finally:
                os.close(opened)
            if self.path.is_dir() and not self.path.is_symlink():  # whoever made it can have it back
                self.path.rename(self.path.with_name(f"journal.folder-{secrets.token_hex(4)}"))
            os.replace(fresh, self.path)  # noqa: PTH105  named as in the crash tests' list of steps
        finally:
            os.close(held)


def _name(head: bytes) -> str | None:
    """Return the name in a first line; None when it is not one."""
    text = head.decode("ascii", "replace")
    return text[len(_TITLE) : -1] if text.startswith(_TITLE) and len(text) == _HEAD_BYTES and text[-1] == "\n" else None


def _open_if_sound(path: Path, mode: int) -> int | None:
    """Open a journal that starts as one; None when it does not or is not there."""
    try:
        opened = os.open(path, mode | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR):  # a link: what it leads to is not ours
            return None
        raise
    try:
        sound = _name(_head(opened)) is not None
    except BaseException:
        os.close(opened)
        raise
    if not sound:
        os.close(opened)
    return opened if sound else None


def _size_if_sound(path: Path) -> int | None:
    """Return the size of a journal that starts as one; None when it does not or is not there."""
    opened = _open_if_sound(path, os.O_RDONLY)
    if opened is None:
        return None
    try:
        return os.fstat(opened).st_size
    finally:
        os.close(opened)


def _head(journal: int) -> bytes:
    """Return the start of an open journal; nothing of a folder that lies in its place."""
    try:
        return os.pread(journal, _HEAD_BYTES, 0)
    except IsADirectoryError:
        return b""


def _tail(journal: int, offset: int) -> int | None:
    """Return the check sum of the bytes before `offset`; None when the journal is shorter."""
    start = max(0, offset - _TAIL_BYTES)
    tail = os.pread(journal, offset - start, start)
    return crc32(tail) if len(tail) == offset - start else None


def _read_lines(journal: int, start: int, pending: frozenset[Key]) -> tuple[frozenset[Key] | None, frozenset[Key], int]:
    """Return the keys told after `start` (None: a line cannot be read), those pending at the end, and the end."""
    content = bytearray()
    while piece := os.pread(journal, _LIMIT_BYTES, start + len(content)):
        content += piece
    whole = content.rfind(b"\n") + 1  # a line that is being written right now is for next time
    keys, open_intents, sound = set(pending), set(pending), True
    for line in bytes(content[:whole]).splitlines():
        text = line.decode("utf-8", "replace")
        key = Key(text[1:])
        if text[:1] not in (INTENT, DONE) or not is_record_key(key):
            sound = False
            continue
        keys.add(key)
        if text[0] == INTENT:
            open_intents.add(key)
        else:
            open_intents.discard(key)
    return frozenset(keys) if sound else None, frozenset(open_intents), start + whole


def _append(journal: int, mark: str, key: Key) -> None:
    # One write to a file opened for appending is one piece in the file, whoever else writes. What a full disk cuts off
    # spoils the next line too, which no reader takes for a key: then all is listed.
    _write(journal, f"{mark}{key}\n".encode())


def _write(opened: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(opened, view) :]
