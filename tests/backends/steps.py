"""
Faults at every step: the system calls of a folder backend are counted, and at one of them something happens.

Nothing of the product is replaced; only functions of `os`, which the product calls by that name.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio

from wheelyard.backends.filesystem.backend import FileSystemBackend
from wheelyard.errors import KeyNotFound
from wheelyard.model import Key
from wheelyard.storage.interface import ABSENT, PutOutcome
from wheelyard.storage.store import Store

STEPS = ("open", "write", "utime", "chmod", "fsync", "link", "rename", "replace", "mkdir", "rmdir", "unlink")
NEEDS_ROOM = ("open", "write", "utime", "fsync", "link", "rename", "replace", "mkdir")

PROJECT = "simple/demo"
RECORD = Key(f"{PROJECT}/index.json")
OLD = Key(f"{PROJECT}/demo-1.0.whl")
NEW = Key(f"{PROJECT}/demo-2.0.whl")
CONTENT = {OLD: b"old" * 1000, NEW: b"new" * 2000}


@contextmanager
def watched(
    happens: Callable[[int, str], None], steps: Sequence[str] = STEPS, *, after: bool = False
) -> Iterator[None]:
    """Call `happens(number, name)` before (or after) each step; the first has number 1."""
    originals: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in steps}
    guard = threading.Lock()
    number = 0

    def step(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal number
            with guard:
                number += 1
                mine = number
            if not after:
                happens(mine, name)
            try:
                return originals[name](*arguments, **options)
            finally:
                if after:
                    happens(mine, name)

        return call

    for name in steps:
        setattr(os, name, step(name))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(os, name, original)


def rendered(*keys: Key) -> bytes:
    """A record that lists files with their digests."""
    return json.dumps({key: hashlib.sha256(CONTENT[key]).hexdigest() for key in keys}).encode()


async def publish(store: Store, *, listed: Sequence[Key], adds: Key, acknowledge: Callable[[str], None]) -> None:
    """Publish one file beside those that are listed: files first, record last."""
    async with store.exclusive(RECORD):
        expected = ABSENT if not listed else (await store.read(RECORD)).revision
        for key, content in ((adds, CONTENT[adds]), (Key(f"{adds}.metadata"), b"Metadata-Version: 2.1\n")):
            assert await store.put_bytes(key, content) is not PutOutcome.CONFLICT
            acknowledge(f"+{key}")
        await store.write({RECORD: rendered(*listed, adds)}, {RECORD: expected})
        acknowledge(f"+{RECORD}")


async def remove(store: Store, *, acknowledge: Callable[[str], None]) -> None:
    """Remove the project: record first, files after."""
    await store.write({RECORD: None}, {RECORD: (await store.read(RECORD)).revision})
    acknowledge(f"-{RECORD}")
    for key in (OLD, Key(f"{OLD}.metadata")):
        await store.delete(key)
        acknowledge(f"-{key}")


async def act(scenario: str, store: Store, acknowledge: Callable[[str], None]) -> None:
    """Do what a scenario is about."""
    match scenario:
        case "first publish":
            await publish(store, listed=(), adds=OLD, acknowledge=acknowledge)
        case "next publish":
            await publish(store, listed=(OLD,), adds=NEW, acknowledge=acknowledge)
        case "removal":
            await remove(store, acknowledge=acknowledge)
        case _:
            raise AssertionError(scenario)


SCENARIOS = ("first publish", "next publish", "removal")


async def prepare(scenario: str, store: Store) -> None:
    """Make the state that a scenario begins with."""
    if scenario != "first publish":
        await publish(store, listed=(), adds=OLD, acknowledge=lambda _: None)


async def check(store: Store, acknowledged: Sequence[str]) -> None:
    """Check what holds at any instant: acknowledged is kept, the record lists only what is there, whole."""
    for line in acknowledged:
        key = Key(line[1:])
        present = await is_there(store, key)
        assert present == (line[0] == "+"), f"{line} was acknowledged"
    try:
        record = await store.read(RECORD)
    except KeyNotFound:
        assert store.peek(RECORD) is ABSENT
        assert (await store.changes(None)).keys == frozenset()
    else:
        assert store.peek(RECORD) == record.revision
        assert (await store.changes(None)).keys == {RECORD}
        for key, digest in json.loads(record.content).items():
            assert hashlib.sha256(await store.read_file(Key(key), limit_bytes=10**6)).hexdigest() == digest
            assert await is_there(store, Key(f"{key}.metadata"))
    async for file in store.list():
        whole = CONTENT.get(file.key, b"Metadata-Version: 2.1\n")
        assert await store.read_file(file.key, limit_bytes=10**6) == whole


def before(scenario: str) -> bytes | None:
    """The record that a scenario begins with."""
    return None if scenario == "first publish" else rendered(OLD)


async def is_there(store: Store, key: Key) -> bool:
    try:
        await (store.read(key) if key == RECORD else store.stat(key))
    except KeyNotFound:
        return False
    return True


def temporary(root: Path) -> list[str]:
    """Temporary files in a storage, those that mark living processes left out."""
    return [path.name for path in (root / ".wheelyard/tmp").rglob("*") if path.is_file() and path.name != "owner"]


# -- killed at every step: run as a program, which forks a process for each step ---------------------------------------


def kill_at(number: int) -> Callable[[int, str], None]:
    def happens(step: int, name: str) -> None:
        if step == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return happens


async def die(root: Path, scenario: str, number: int, *, after: bool) -> None:
    """Do a scenario in a process that is killed at one step; what is acknowledged goes to a file."""
    store = Store(FileSystemBackend(root), name="main")
    await store.start()
    await prepare(scenario, store)
    cursor = (await store.changes(None)).cursor
    root.with_suffix(".cursor").write_text(cursor)
    told = os.open(root.with_suffix(".told"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    write = os.write
    with watched(kill_at(number), after=after):
        await act(scenario, store, lambda line: void(write(told, f"{line}\n".encode())))
    await store.stop()


def void(_: object) -> None:
    """Take a value that nobody wants."""


def main() -> None:
    base, scenario, when = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    for number in range(1, 200):
        process = os.fork()
        if process == 0:
            anyio.run(lambda: die(base / f"{number:03}", scenario, number, after=when == "after"))  # noqa: B023
            os._exit(0)
        _, status = os.waitpid(process, 0)
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            continue
        sys.exit(os.waitstatus_to_exitcode(status))
    sys.exit("the scenario never came to its end")


if __name__ == "__main__":
    main()
