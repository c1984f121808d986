"""The journal: what it tells, and what happens when it is not what it was."""

# ruff: noqa: ASYNC240  a test may wait for the disk

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backends import steps
from wheelyard.backends.filesystem import journal as journals
from wheelyard.backends.filesystem.backend import FileSystemBackend
from wheelyard.model import Key
from wheelyard.storage.interface import ABSENT

RECORD = steps.RECORD
OTHER = Key("simple/other/index.json")


@pytest.fixture
def path(root: Path) -> Path:
    return root / ".wheelyard/journal"


async def swap(backend: FileSystemBackend, key: Key, content: bytes | None = b"{}") -> None:
    revision = backend.peek(key)
    assert revision is not None
    await backend.write({key: content}, {key: revision})


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 3)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    path.write_text(f"wheelyard journal 1 {'0' * 32}\n")


def garble(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def rewrite(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content.replace(b"other", b"outer"))


def zero_tail(path: Path) -> None:
    with path.open("ab") as journal:
        journal.write(b"\0" * 100 + b"\n")


def half_line(path: Path) -> None:
    with path.open("ab") as journal:
        journal.write(b"+simple/de")


@pytest.mark.anyio
@pytest.mark.parametrize("damage", [truncate, empty, remove, replace, garble, rewrite, zero_tail, half_line])
async def test_a_damaged_journal_loses_no_change(
    damage: Callable[[Path], None], path: Path, folder: FileSystemBackend
) -> None:
    """Whatever happens to the journal, a reader is told of every later swap, and soon asks cheaply again."""
    await swap(folder, OTHER)
    cursor = (await folder.changes(None)).cursor
    damage(path)
    await swap(folder, RECORD)
    changes = await folder.changes(cursor)
    assert RECORD in changes.keys
    assert changes.keys == {RECORD, OTHER} or not changes.complete
    await swap(folder, RECORD, None)
    later = await folder.changes(changes.cursor)
    assert RECORD in later.keys or later.complete
    last = await folder.changes(later.cursor)
    assert (last.keys, last.complete) == (frozenset(), False)


@pytest.mark.anyio
async def test_a_cursor_of_another_boot_is_not_believed(
    folder: FileSystemBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut the journal may lack what the records have, so everything is listed."""
    await swap(folder, RECORD)
    cursor = (await folder.changes(None)).cursor
    assert not (await folder.changes(cursor)).complete
    monkeypatch.setattr(journals, "this_boot", lambda: "another")
    changes = await folder.changes(cursor)
    assert (changes.keys, changes.complete) == (frozenset({RECORD}), True)
    assert not (await folder.changes(changes.cursor)).complete


@pytest.mark.anyio
async def test_a_long_journal_is_begun_anew(
    path: Path, root: Path, folder: FileSystemBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal does not grow for ever; readers list everything once and lose nothing."""
    monkeypatch.setattr(journals, "_LIMIT_BYTES", 2000)
    reader = FileSystemBackend(root)
    cursor, complete, largest = (await reader.changes(None)).cursor, 0, 0
    for number in range(100):
        await swap(folder, RECORD, b"%d" % number)
        largest = max(largest, path.stat().st_size)
        changes = await reader.changes(cursor)
        assert changes.keys == {RECORD}
        complete += changes.complete
        cursor = changes.cursor
    assert largest < 2200
    assert 1 < complete < 10


@pytest.mark.anyio
async def test_peek_changes_is_silent_while_a_swap_is_open(path: Path, folder: FileSystemBackend) -> None:
    """While somebody swaps, the token is None for who knows of it, and the record is told each time until it is over."""
    await swap(folder, RECORD)
    cursor = (await folder.changes(None)).cursor
    holder = hold_record_lock(path.parents[1])
    with path.open("ab") as journal:
        journal.write(f"+{RECORD}\n".encode())
    for _ in range(2):
        changes = await folder.changes(cursor)
        assert changes.keys == {RECORD}
        assert folder.peek_changes() is None
        cursor = changes.cursor
    holder.communicate()  # it ends without a word: the next reader settles what it left open
    assert (await folder.changes(cursor)).keys == {RECORD}
    changes = await folder.changes((await folder.changes(cursor)).cursor)
    assert changes.keys == frozenset()
    assert folder.peek_changes() is not None


def hold_record_lock(root: Path) -> subprocess.Popen[str]:
    """Start a process that holds the lock of RECORD until its input ends."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from wheelyard.backends.filesystem.locks import FileLocks, try_lock\n"
        "locks = FileLocks(Path(sys.argv[1]), kind='record', shards=64, timeout_s=1)\n"
        "assert try_lock(locks._path(sys.argv[2])) is not None\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, root / ".wheelyard/locks", RECORD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.anyio
async def test_read_only_storage_without_a_journal_is_listed(path: Path, root: Path, folder: FileSystemBackend) -> None:
    """Where no journal can be read, every question is answered by a complete listing."""
    await swap(folder, RECORD)
    path.unlink()
    cursor = None
    for _ in range(2):
        changes = await folder.changes(cursor)
        assert (changes.keys, changes.complete) == (frozenset({RECORD}), True)
        cursor = changes.cursor
    assert folder.peek_changes() is None


@pytest.mark.anyio
async def test_swapping_nothing_is_told_to_nobody(folder: FileSystemBackend) -> None:
    """A swap that conflicts, or removes nothing, leaves the token as it was."""
    before = folder.peek_changes()
    await folder.write({RECORD: None}, {RECORD: ABSENT})
    assert folder.peek_changes() == before
