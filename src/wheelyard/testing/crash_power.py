"""
Power loss, simulated: what a disk may hold when the power goes at any moment.

A recorder looks at a folder after every step that changes storage and writes down what is there and what was synced. A
model then tells, for every moment, the states in which a disk without mercy could come back:

- bytes that were not synced are there, or not, or half, or as zeros;
- names (created, linked, renamed, removed) whose folder was not synced since are there or not, in any combination, also
  the two halves of a rename apart;
- what was synced is there.

That is harsher than the file systems people use, which keep some of that order by themselves. Not simulated: a disk that
lies about its flushes, and bytes that rot after they were synced.

In the spirit of ALICE (Pillai and others, OSDI 2014).
"""

from __future__ import annotations

import hashlib
import os
import pickle
import random
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from wheelyard.testing.crash_steps import CHANGES, around

_ALL_SUBSETS_UP_TO: Final = 3  # pending names of which every combination is tried
_RANDOM_SUBSETS: Final = 4
_VARIANTS: Final = ("old", "half", "zeros", "new")

Tree = Mapping[str, bytes | None]
"""Relative path to content; None for a folder."""


@dataclass(frozen=True, slots=True)
class Seen:
    """
    One thing in a folder.

    Attributes:
        inode: Its number, which tells a renamed thing from a new one.
        digest: Of its content; "" for a folder.
    """

    inode: int
    digest: str


@dataclass(frozen=True, slots=True)
class Observation:
    """
    What was there after one step.

    Attributes:
        step: Name of the function of `os`.
        synced: Inode that the step made durable; None when it was no sync.
        tree: Everything in the folder, by relative path; the folder itself is "".
        contents: Bytes by digest that no earlier observation had.
    """

    step: str
    synced: int | None
    tree: Mapping[str, Seen]
    contents: Mapping[str, bytes]


class Recorder:
    """
    Writes down observations of one folder.

    Args:
        root: The folder; it is taken to be durable itself.
        path: Where to.
        ignore: Names of folders directly below `root` that are not looked at.
    """

    def __init__(self, root: Path, path: Path, *, ignore: Collection[str] = ()) -> None:
        self._root = str(root)
        self._ignore = frozenset(ignore)
        self._path = path
        self._known: set[str] = set()
        self._turn = threading.Lock()
        self._note("begin", None)

    def wrapped(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function of `os` after which is looked; steps of several threads come one after the other."""

        def call(*arguments: Any, **options: Any) -> Any:
            with self._turn:
                synced = os.fstat(arguments[0]).st_ino if name in ("fsync", "fdatasync") else None
                if synced is None and name not in ("open", "write"):
                    self._note(f"before {name}", None)  # bytes that were written past `os` in between
                try:
                    return original(*arguments, **options)
                finally:
                    self._note(name, synced)

        return call

    def install(self) -> None:
        """Observe this process until it ends."""
        for name in CHANGES:
            setattr(os, name, self.wrapped(name, getattr(os, name)))

    def observing(self) -> AbstractContextManager[None]:
        """Observe this process for the time of a block."""
        return around(CHANGES, self.wrapped)

    def _note(self, step: str, synced: int | None) -> None:
        contents: dict[str, bytes] = {}
        tree = dict(self._walk("", contents))
        with self._path.open("ab", buffering=0) as out:
            out.write(pickle.dumps(Observation(step, synced, tree, contents)))
        self._known |= contents.keys()

    def _walk(self, folder: str, contents: dict[str, bytes]) -> Iterator[tuple[str, Seen]]:
        path = f"{self._root}/{folder}" if folder else self._root
        if not folder:
            yield "", Seen(os.stat(path).st_ino, "")  # noqa: PTH116  no Path objects, this runs at every step
        with os.scandir(path) as entries:
            for entry in entries:
                inside = f"{folder}/{entry.name}" if folder else entry.name
                if inside in self._ignore:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield inside, Seen(entry.inode(), "")
                    yield from self._walk(inside, contents)
                elif entry.is_file(follow_symlinks=False):
                    yield inside, Seen(entry.inode(), self._digest(entry.path, contents))

    def _digest(self, path: str, contents: dict[str, bytes]) -> str:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  as above
            content = file.read()
        digest = hashlib.sha256(content).hexdigest()
        if digest not in self._known:
            contents[digest] = content
        return digest


def read_observations(path: Path) -> list[Observation]:
    """Read what a recorder has written so far."""
    found: list[Observation] = []
    with path.open("rb") as file:
        while True:
            try:
                found.append(pickle.load(file))  # noqa: S301  our own recorder wrote it
            except (EOFError, pickle.UnpicklingError):
                return found


class Disk:
    """
    What is durable and what is not, after each observation.

    Args:
        seed: For the combinations that are tried where there are too many.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self._chance = random.Random(seed)  # noqa: S311  no secret
        self._contents: dict[str, bytes] = {"": b""}
        self._things: dict[int, int] = {}  # inode to a number of ours, since inodes are used again
        self._next = 0
        self._folders: set[int] = set()
        self._names: dict[tuple[int, str], int] = {}  # as the running system sees them
        self._data: dict[int, str] = {}
        self._durable_names: dict[tuple[int, str], int] = {}
        self._durable_data: dict[int, str] = {}
        self._pending: list[tuple[tuple[int, str], int | None]] = []
        self._root = -1

    def apply(self, seen: Observation) -> None:
        """Take one observation; the first one is taken to be durable."""
        self._contents |= seen.contents
        self._know(seen.tree)
        names = {
            (self._things[seen.tree[path.rpartition("/")[0]].inode], path.rpartition("/")[2]): self._things[each.inode]
            for path, each in seen.tree.items()
            if path
        }
        gone = [(name, None) for name in self._names if name not in names]
        come = [(name, thing) for name, thing in names.items() if self._names.get(name) != thing]
        self._names = names
        self._pending += [*gone, *come]
        if self._root < 0:
            self._root = self._things[seen.tree[""].inode]
            self._durable_names, self._durable_data, self._pending = dict(names), dict(self._data), []
        if seen.synced is not None and (thing := self._things.get(seen.synced)) is not None:
            self._sync(thing)

    def _know(self, tree: Mapping[str, Seen]) -> None:
        """Give new things numbers, and forget the inodes of those that are gone."""
        self._things = {each.inode: self._things[each.inode] for each in tree.values() if each.inode in self._things}
        for each in tree.values():
            if each.inode not in self._things:
                self._things[each.inode] = self._next
                if not each.digest:
                    self._folders.add(self._next)
                self._next += 1
            if each.digest:
                self._data[self._things[each.inode]] = each.digest

    def _sync(self, thing: int) -> None:
        if thing not in self._folders:
            self._durable_data[thing] = self._data[thing]
            return
        for name, child in self._pending:
            if name[0] == thing:
                _set(self._durable_names, name, child)
        self._pending = [(name, child) for name, child in self._pending if name[0] != thing]

    def states(self) -> Iterator[Tree]:
        """Return the states in which the disk may come back if the power goes now; some more than once."""
        for kept in self._subsets(len(self._pending)):
            names = dict(self._durable_names)
            for number in kept:
                _set(names, *self._pending[number])
            children: dict[int, list[tuple[str, int]]] = {}
            for (folder, name), thing in names.items():
                children.setdefault(folder, []).append((name, thing))
            reached = dict(self._reached(children))
            dirty = sorted({thing for thing in reached.values() if self._is_dirty(thing)})
            for variants in self._choices(len(dirty)):
                chosen = dict(zip(dirty, variants, strict=True))
                yield {path: self._content(thing, chosen.get(thing, "new")) for path, thing in reached.items()}

    def _is_dirty(self, thing: int) -> bool:
        return thing not in self._folders and self._durable_data.get(thing) != self._data[thing]

    def _content(self, thing: int, variant: str) -> bytes | None:
        if thing in self._folders:
            return None
        new = self._contents[self._data[thing]]
        match variant:
            case "old":
                return self._contents[self._durable_data.get(thing, "")]
            case "half":
                return new[: len(new) // 2]
            case "zeros":
                return bytes(len(new))
            case _:
                return new

    def _reached(self, children: Mapping[int, Sequence[tuple[str, int]]]) -> Iterator[tuple[str, int]]:
        waiting = [("", self._root)]
        while waiting:
            path, folder = waiting.pop()
            for name, thing in children.get(folder, ()):
                inside = f"{path}/{name}" if path else name
                yield inside, thing
                if thing in self._folders:
                    waiting.append((inside, thing))

    def _subsets(self, count: int) -> set[tuple[int, ...]]:
        """Return which of the pending names arrive: all combinations of a few, else the telling ones and some by chance."""
        everything = range(count)
        if count <= _ALL_SUBSETS_UP_TO:
            return {tuple(each for each in everything if bits >> each & 1) for bits in range(2**count)}
        chosen = {(), tuple(everything), (count - 1,), tuple(everything[:-1])}
        alone = self._chance.randrange(count)
        chosen |= {(alone,), tuple(each for each in everything if each != alone)}
        for _ in range(_RANDOM_SUBSETS):
            chosen.add(tuple(each for each in everything if self._chance.random() < 0.5))  # noqa: PLR2004  a coin
        return chosen

    def _choices(self, count: int) -> set[tuple[str, ...]]:
        """Return what became of the bytes of each file that was not synced: the same for all, and once by chance."""
        if count == 0:
            return {()}
        mixed = tuple(self._chance.choice(_VARIANTS) for _ in range(count))
        return {(variant,) * count for variant in _VARIANTS} | {mixed}


def _set(names: dict[tuple[int, str], int], name: tuple[int, str], child: int | None) -> None:
    if child is None:
        names.pop(name, None)
    else:
        names[name] = child


def write_tree(tree: Tree, root: Path) -> None:
    """Make a state in an empty or missing folder."""
    root.mkdir(parents=True, exist_ok=True)
    for path in sorted(tree):
        content = tree[path]
        if content is None:
            (root / path).mkdir(exist_ok=True, parents=True)
        else:
            (root / path).write_bytes(content)


def tree_digest(tree: Tree, *, ignore: Callable[[str], bool] = lambda _: False) -> bytes:
    """Return a digest of a state, leaving out paths that make no difference."""
    digest = hashlib.sha256()
    for path in sorted(tree):
        if not ignore(path):
            content = tree[path]
            digest.update(f"{path}\0".encode() + (b"/" if content is None else hashlib.sha256(content).digest()))
    return digest.digest()
