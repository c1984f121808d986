"""
Git objects with git's own names: blobs, trees and commits in a dictionary.

The names are real SHA-1 sums of real object bytes, so that a client may compute them itself.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

FILE_MODE = "100644"
FOLDER_MODE = "040000"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a tree: its mode, its name in its folder, the object it names."""

    mode: str
    name: str
    sha: str

    @property
    def kind(self) -> str:
        """What it names: `tree`, `commit` (a submodule) or `blob`."""
        return {"04": "tree", "16": "commit"}.get(self.mode[:2], "blob")


@dataclass(frozen=True, slots=True)
class Signature:
    """Who made a commit, and when."""

    name: str
    email: str
    when: datetime

    def line(self) -> str:
        """As in a commit object."""
        return f"{self.name} <{self.email}> {int(self.when.timestamp())} +0000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit."""

    tree: str
    parents: tuple[str, ...]
    author: Signature
    committer: Signature
    message: str

    def content(self) -> bytes:
        """As git stores it."""
        lines = [f"tree {self.tree}", *(f"parent {parent}" for parent in self.parents)]
        lines += [f"author {self.author.line()}", f"committer {self.committer.line()}", "", self.message]
        return "\n".join(lines).encode()


def object_name(kind: str, content: bytes) -> str:
    """The name git gives to an object."""
    return hashlib.sha1(b"%s %d\0%s" % (kind.encode(), len(content), content), usedforsecurity=False).hexdigest()


def _tree_content(entries: tuple[Entry, ...]) -> bytes:
    return b"".join(
        b"%s %s\0%s" % (entry.mode.lstrip("0").encode(), entry.name.encode(), bytes.fromhex(entry.sha))
        for entry in entries
    )


def _git_order(entry: Entry) -> bytes:
    return entry.name.encode() + (b"/" if entry.kind == "tree" else b"")


class GitObjects:
    """
    All objects of one repository.

    Attributes:
        blobs: Content by name.
        trees: Entries in git's order, by name.
        commits: By name.
    """

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.trees: dict[str, tuple[Entry, ...]] = {}
        self.commits: dict[str, Commit] = {}

    def has(self, sha: str) -> bool:
        """Whether any object has this name."""
        return sha in self.blobs or sha in self.trees or sha in self.commits

    def add_blob(self, content: bytes) -> str:
        """Keep a file's content; gives its name."""
        sha = object_name("blob", content)
        self.blobs[sha] = content
        return sha

    def add_tree(self, entries: Iterator[Entry] | list[Entry]) -> str:
        """Keep a folder; gives its name."""
        ordered = tuple(sorted(entries, key=_git_order))
        sha = object_name("tree", _tree_content(ordered))
        self.trees[sha] = ordered
        return sha

    def add_commit(self, commit: Commit) -> str:
        """Keep a commit; gives its name."""
        sha = object_name("commit", commit.content())
        self.commits[sha] = commit
        return sha

    def changed_tree(self, tree: str | None, changes: Mapping[str, tuple[str, str] | None]) -> str | None:
        """
        A tree with some paths set to (mode, object) or, by None, removed.

        Returns:
            The new tree's name, or None when nothing is left in it.
        """
        entries = {entry.name: entry for entry in self.trees.get(tree or "", ())}
        folders: dict[str, dict[str, tuple[str, str] | None]] = {}
        for path, change in changes.items():
            name, slash, rest = path.partition("/")
            if slash:
                folders.setdefault(name, {})[rest] = change
            elif change is None:
                entries.pop(name, None)
            else:
                entries[name] = Entry(change[0], name, change[1])
        for name, inner in folders.items():
            old = entries.get(name)
            folder = self.changed_tree(old.sha if old and old.kind == "tree" else None, inner)
            if folder is not None:
                entries[name] = Entry(FOLDER_MODE, name, folder)
            elif old is not None and old.kind == "tree":
                del entries[name]
        return self.add_tree(list(entries.values())) if entries else None

    def walk(self, tree: str, prefix: str = "") -> Iterator[tuple[str, Entry]]:
        """Every entry below a tree, folders before what is in them, with its path."""
        for entry in self.trees[tree]:
            path = prefix + entry.name
            yield path, entry
            if entry.kind == "tree":
                yield from self.walk(entry.sha, path + "/")

    def entry(self, tree: str, path: str) -> Entry | None:
        """What a path names below a tree; None when nothing."""
        found: Entry | None = None
        for name in path.split("/"):
            found = next((entry for entry in self.trees.get(tree, ()) if entry.name == name), None)
            if found is None:
                return None
            tree = found.sha if found.kind == "tree" else ""
        return found

    def files(self, commit: str) -> dict[str, bytes]:
        """Every file of a commit, by path."""
        tree = self.commits[commit].tree
        return {path: self.blobs[entry.sha] for path, entry in self.walk(tree) if entry.kind == "blob"}

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether one commit is reached from the other by going to parents."""
        seen: set[str] = set()
        waiting = [newer]
        while waiting:
            sha = waiting.pop()
            if sha == older:
                return True
            if sha not in seen and sha in self.commits:
                seen.add(sha)
                waiting.extend(self.commits[sha].parents)
        return False

    def history(self, commit: str) -> Iterator[str]:
        """The commit and its first parents."""
        sha: str | None = commit
        while sha is not None:
            yield sha
            parents = self.commits[sha].parents
            sha = parents[0] if parents else None

    def tarball(self, commit: str, *, folder: str) -> bytes:
        """A gzipped archive of a commit below one folder, as `git archive` makes it."""
        made = self.commits[commit].committer.when
        out = io.BytesIO()
        with tarfile.open(
            fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": commit}, compresslevel=1
        ) as archive:
            for path, entry in self.walk(self.commits[commit].tree):
                info = tarfile.TarInfo(f"{folder}/{path}")
                info.mtime = int(made.timestamp())
                info.mode = 0o775 if entry.kind == "tree" else 0o664
                if entry.kind == "tree":
                    info.type = tarfile.DIRTYPE
                    archive.addfile(info)
                elif entry.kind == "blob":
                    content = self.blobs[entry.sha]
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
        return out.getvalue()


EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
"""When commits are made that nobody dates."""
