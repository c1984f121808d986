"""What a publish, a put and a removal change on the branch: plans that are made on the state they are committed to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wheelyard.backends.github.documents import Entry, Listing, parse_listing, render_listing
from wheelyard.backends.github.names import Place, files_path, key_of, metadata_path, place_of, record_path
from wheelyard.backends.github.state import View
from wheelyard.errors import Conflict
from wheelyard.model import Key, Revision, Sha256Hex
from wheelyard.storage.interface import ABSENT, Absent


@dataclass(frozen=True, slots=True)
class Kept:
    """
    A file that is stored and waits to be listed.

    Attributes:
        entry: What the list says of it.
        tag: Of the release that has it; None for one on the branch.
        content: Its bytes, when they go to the branch.
    """

    entry: Entry
    tag: str | None = None
    content: bytes | None = None


def kept_content(content: bytes) -> Kept:
    """Return a small file that goes to the branch."""
    return Kept(Entry(len(content), Sha256Hex(hashlib.sha256(content).hexdigest())), content=content)


class Edits:
    """
    Changes of records and lists, made on one view.

    Attributes:
        changes: New contents by path.
        replaced: Entries that lists named before and do not name any more.
    """

    def __init__(self, view: View) -> None:
        self.changes: dict[str, bytes | None] = {}
        self.replaced: list[Entry] = []
        self._view = view
        self._listings: dict[str, Listing] = {}

    def listing(self, group: str) -> Listing:
        """Return the list of a group as it is with these changes."""
        if group not in self._listings:
            content = self._view.content(files_path(group))
            self._listings[group] = parse_listing(content, key=key_of(Place(group, "files.json")))
        return self._listings[group]

    def swap(self, key: Key, content: bytes | None, expected: Revision | Absent) -> None:
        """
        Swap a record.

        Raises:
            Conflict: It is at another revision.
        """
        path = record_path(key)
        sha = self._view.sha(path)
        if (ABSENT if sha is None else sha) != expected:
            raise Conflict(key)
        if content is not None or sha is not None:
            self.changes[path] = content

    def add(self, key: Key, kept: Kept) -> None:
        """List a file, in place of whatever had its name."""
        self.remove(key, besides=kept.entry)
        place = place_of(key)
        self._listings[place.group] = self.listing(place.group).with_file(place.name, kept.entry, kept.tag)
        if kept.content is not None:
            self.changes[metadata_path(place)] = kept.content

    def remove(self, key: Key, *, besides: Entry | None = None) -> None:
        """Do not list a file any more; one that is not listed is passed over."""
        place = place_of(key)
        listing = self.listing(place.group)
        entry = listing.files.get(place.name)
        if entry is None or entry == besides:
            return
        self._listings[place.group] = listing.without(place.name)
        if entry.asset is None:
            path = metadata_path(place)
            if self._view.sha(path) is not None:
                self.changes[path] = None
        else:
            self.replaced.append(entry)

    def finished(self) -> Mapping[str, bytes | None]:
        """Return all changes."""
        for group, listing in self._listings.items():
            path, content = files_path(group), render_listing(listing)
            if content is not None or self._view.sha(path) is not None:
                self.changes[path] = content
        return self.changes


Editing = Callable[[Edits], None]
"""Makes changes on a view; raises to refuse."""


class Publishing:
    """
    One planned commit, remembered as it was planned last.

    Args:
        edit: Makes the changes.

    Attributes:
        replaced: Entries whose assets no list names after the commit.
    """

    def __init__(self, edit: Editing) -> None:
        self.replaced: list[Entry] = []
        self._edit = edit

    def __call__(self, view: View) -> Mapping[str, bytes | None]:
        """Plan on a view."""
        edits = Edits(view)
        self._edit(edits)
        changes = edits.finished()
        self.replaced = edits.replaced
        return changes
