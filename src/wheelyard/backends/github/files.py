"""The lists of files of all groups, parsed once for each state of the branch."""

from __future__ import annotations

from collections.abc import Iterator

from wheelyard.backends.github.documents import EMPTY, Entry, Listing, parse_listing
from wheelyard.backends.github.mirror import Tree
from wheelyard.backends.github.names import Place, files_path, is_files_path, key_of, place_of, unwritten
from wheelyard.errors import KeyNotFound
from wheelyard.model import Key


class Files:
    """Looks files up in a state of the branch."""

    def __init__(self) -> None:
        self._parsed: dict[str, tuple[str, Listing]] = {}

    def listing(self, tree: Tree, group: str) -> Listing:
        """
        Return the list of a group.

        Raises:
            RecordDamaged: It cannot be read.
        """
        return self._at(tree, files_path(group), group)

    def find(self, tree: Tree, key: Key) -> Entry:
        """
        Return what is known of a file.

        Raises:
            KeyNotFound: There is no such file.
            RecordDamaged: The list cannot be read.
        """
        place = place_of(key)
        entry = self.listing(tree, place.group).files.get(place.name)
        if entry is None:
            raise KeyNotFound(key)
        return entry

    def all(self, tree: Tree) -> Iterator[tuple[str, Listing]]:
        """
        Yield the name and the list of every group.

        Raises:
            RecordDamaged: A list cannot be read.
        """
        for path in [path for path in tree.contents if is_files_path(path)]:
            parts = path.split("/")
            group = unwritten(parts[2]) if len(parts) > 2 else ""  # noqa: PLR2004  `other/files.json` is in no project
            yield group, self._at(tree, path, group)

    def releases(self, tree: Tree) -> dict[str, int]:
        """Return the id of each release that any group used, by tag."""
        return {tag: release for _, listing in self.all(tree) for tag, release in listing.releases.items()}

    def _at(self, tree: Tree, path: str, group: str) -> Listing:
        sha = tree.shas.get(path)
        if sha is None:
            self._parsed.pop(path, None)
            return EMPTY
        known = self._parsed.get(path)
        if known is None or known[0] != sha:
            listing = parse_listing(tree.contents.get(path), key=key_of(Place(group, "files.json")))
            known = self._parsed[path] = sha, listing
        return known[1]
