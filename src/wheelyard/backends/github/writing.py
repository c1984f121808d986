"""Writing: files to releases first, then one commit that lists them; what was not listed is taken back where it is safe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import anyio
from anyio import to_thread

from wheelyard.backends.github.cache import FileCache
from wheelyard.backends.github.documents import Entry, Listing
from wheelyard.backends.github.files import Files
from wheelyard.backends.github.mirror import blob_sha
from wheelyard.backends.github.names import METADATA_SUFFIX, place_of, record_path
from wheelyard.backends.github.publishing import Edits, Kept, Publishing, kept_content
from wheelyard.backends.github.releases import Content, Releases, Stored
from wheelyard.backends.github.state import BranchState
from wheelyard.errors import Conflict, KeyNotFound, StorageError
from wheelyard.model import Key, Revision
from wheelyard.storage.interface import ABSENT, Absent, Decide, Plan, PutOutcome, Record
from wheelyard.storage.locks import KeyedLocks
from wheelyard.storage.spool import Spool, spool_bytes

_SMALL_BYTES: Final = 1024 * 1024  # GitHub's advice for objects on a branch; larger metadata goes to a release
_ATTEMPTS: Final = 20  # other writers of one record that are outwaited before a conflict is reported


class Writing:
    """
    Everything that changes the repository.

    Args:
        state: Of the branch.
        files: Looks files up.
        releases: Takes files.
        cache: Takes a copy of what was uploaded.
        layout: Of the releases.
    """

    def __init__(self, state: BranchState, files: Files, releases: Releases, cache: FileCache, layout: str) -> None:
        self._state = state
        self._files = files
        self._releases = releases
        self._cache = cache
        self._layout = layout
        self._keys = KeyedLocks()
        self.offered: dict[Key, Stored] = {}  # assets that are there already, in place of an upload of the same bytes

    async def swap(
        self, changes: Mapping[Key, bytes | None], expected: Mapping[Key, Revision | Absent]
    ) -> Mapping[Key, Revision | Absent]:
        """
        Swap records.

        Raises:
            Conflict: One of them is at another revision.
            StorageError: GitHub did not take it.
        """

        def edit(edits: Edits) -> None:
            for key, content in changes.items():
                edits.swap(key, content, expected[key])

        tokens = self._state.token
        await self._state.commit(_title("update", changes), Publishing(edit))
        if self._state.token == tokens:
            for key in changes:
                self._state.touch(key)  # it was swapped for the same, which is a swap
        return {key: _revision(content) for key, content in changes.items()}

    async def put(self, key: Key, spool: Spool) -> PutOutcome:
        """
        Store and list one file.

        Raises:
            StorageError: It is not listed.
        """
        async with self._keys.hold(key):
            if (there := await self._found(key)) is not None:
                return _compared(there, spool.sha256)
            stored: list[Stored] = []
            kept = await self._kept(key, spool, stored)

            def edit(edits: Edits) -> None:
                place = place_of(key)
                if place.name in edits.listing(place.group).files:
                    raise Conflict(key)  # another server was faster
                edits.add(key, kept)

            try:
                await self._state.commit(_title("add", [key]), Publishing(edit))
            except Conflict:
                await self._take_back(stored)
                there = self._files.find(self._state.tree, key)
                return _compared(there, spool.sha256)
            except BaseException:
                await self._take_back(stored)
                raise
            return PutOutcome.CREATED

    async def delete(self, key: Key) -> None:
        """
        Take a file off the list, then remove its asset.

        Raises:
            StorageError: It may still be listed.
        """
        publishing = Publishing(lambda edits: edits.remove(key))
        await self._state.commit(_title("remove", [key]), publishing)
        await self._remove(publishing.replaced)

    async def transact(self, key: Key, decide: Decide) -> Revision | Absent | None:
        """
        Do what `Backend.transact` promises; the caller holds off other publishers of this process.

        Raises:
            Conflict: Others kept moving the record.
            StorageError: GitHub did not take it.
            WheelyardError: As `decide` raises it.
        """
        stored: dict[tuple[Key, str], tuple[Kept, list[Stored]]] = {}
        try:
            for _ in range(_ATTEMPTS):
                record, plan = await self._decided(key, decide)
                if plan is None:
                    return None
                try:
                    return await self._carried_out(key, record, plan, stored)
                except Conflict:
                    await self._state.sync()
            raise Conflict(key)  # noqa: TRY301  what was stored is taken back as for any other error
        except BaseException:
            await self._take_back(one for _, made in stored.values() for one in made)
            raise

    # -- parts -----------------------------------------------------------------------------------------------------

    async def _decided(self, key: Key, decide: Decide) -> tuple[Record | None, Plan | None]:
        """Let the caller plan; that nothing is to be done, or that it is refused, is believed of the newest state only."""
        for is_newest in (False, True):
            head, record = self._state.tree.head, self._record(key)
            try:
                plan = await to_thread.run_sync(decide, record)
            except Exception:
                if is_newest or not await self._moved(head):
                    raise
                continue
            if plan is not None or is_newest or not await self._moved(head):
                return record, plan
        raise AssertionError("the newest state ends it")

    async def _moved(self, head: str | None) -> bool:
        await self._state.sync()
        return self._state.tree.head != head

    async def _carried_out(
        self, key: Key, record: Record | None, plan: Plan, made: dict[tuple[Key, str], tuple[Kept, list[Stored]]]
    ) -> Revision | Absent:
        kept: dict[Key, Kept] = {}
        for each, content in plan.puts.items():
            kept[each] = await self._kept_once(each, content, made)
        expected = ABSENT if record is None else record.revision

        def edit(edits: Edits) -> None:
            edits.swap(key, plan.content, expected)
            for each, file in kept.items():
                edits.add(each, file)
            for each in plan.removes:
                edits.remove(each)

        publishing = Publishing(edit)
        await self._state.commit(
            _title("remove" if plan.content is None else "publish", [*plan.puts] or [key]), publishing
        )
        await self._remove(publishing.replaced)
        return _revision(plan.content)

    async def _kept_once(
        self, key: Key, content: Spool | bytes, made: dict[tuple[Key, str], tuple[Kept, list[Stored]]]
    ) -> Kept:
        """Store a file that the transaction puts, once however often it is planned."""
        if isinstance(content, bytes) and _is_small(key, len(content)):
            return kept_content(content)
        if not isinstance(content, Spool):
            import tempfile  # noqa: PLC0415  only for metadata of a megabyte
            from pathlib import Path  # noqa: PLC0415  as above

            spool = await spool_bytes(Path(tempfile.gettempdir()), content)
            try:
                return await self._kept_once(key, spool, made)
            finally:
                await to_thread.run_sync(spool.discard)
        name = key, content.sha256
        if name not in made:
            stored: list[Stored] = []
            made[name] = await self._kept(key, content, stored), stored
        return made[name][0]

    async def _kept(self, key: Key, spool: Spool, stored: list[Stored]) -> Kept:
        """Store a file: a small one waits for the commit, others go to a release."""
        if _is_small(key, spool.size):
            return kept_content(b"".join([piece async for piece in spool.pieces()]))
        place = place_of(key)
        listing = self._files.listing(self._state.tree, place.group)
        entry = listing.files.get(place.name)
        if entry is not None and entry.asset is not None and (entry.sha256, entry.size) == (spool.sha256, spool.size):
            return Kept(entry)  # it is there already
        offered = self.offered.get(key)
        if offered is not None and (offered.entry.sha256, offered.entry.size) == (spool.sha256, spool.size):
            return Kept(offered.entry, offered.tag)
        await to_thread.run_sync(_check_readable, spool)
        content = Content(key, spool.size, spool.sha256, spool.pieces)
        if self._layout == "rolling":
            listing = Listing(listing.files, self._files.releases(self._state.tree))
        one = await self._releases.store(place, content, listing, await self._head())
        stored.append(one)
        await self._cache.keep(spool)
        return Kept(one.entry, one.tag)

    async def _head(self) -> str:
        """Return a commit that tags can name; the branch is made when there is none."""
        if self._state.tree.head is None:
            await self._state.make()
        assert self._state.tree.head is not None
        return self._state.tree.head

    async def _found(self, key: Key) -> Entry | None:
        """Return what the newest list says of a file that an older one lists."""
        for _ in range(2):
            try:
                entry = self._files.find(self._state.tree, key)
            except KeyNotFound:
                return None
            await self._state.sync()
        return entry

    def _record(self, key: Key) -> Record | None:
        path, tree = record_path(key), self._state.tree
        content = tree.contents.get(path)
        return None if content is None else Record(content, Revision(tree.shas[path]))

    async def _take_back(self, stored: Iterable[Stored]) -> None:
        """Remove what nobody will list, if certainly nobody does and nobody else can have taken it over."""
        own = [one.entry for one in stored if one.is_own]
        if not own:
            return
        with anyio.move_on_after(30, shield=True):
            try:
                await self._state.sync()
                listed = {
                    entry.asset for _, listing in self._files.all(self._state.tree) for entry in listing.files.values()
                }
            except StorageError:
                return  # nothing is known; it stays an orphan
            await self._remove(entry for entry in own if entry.asset not in listed)

    async def _remove(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            await self._releases.remove(entry)


def _is_small(key: Key, size: int) -> bool:
    """Tell whether a file goes to the branch: metadata, and what has no bytes, since GitHub takes no empty asset."""
    return size == 0 or (key.endswith(METADATA_SUFFIX) and size <= _SMALL_BYTES)


def _compared(there: Entry, sha256: str) -> PutOutcome:
    return PutOutcome.SAME_CONTENT if there.sha256 == sha256 else PutOutcome.CONFLICT


def _revision(content: bytes | None) -> Revision | Absent:
    return ABSENT if content is None else Revision(blob_sha(content))


def _check_readable(spool: Spool) -> None:
    """Find out before anything is asked of GitHub that a spool cannot be read."""
    spool.open().close()


def _title(verb: str, keys: Iterable[Key]) -> str:
    names = [key.rpartition("/")[2] if not key.endswith("/index.json") else key.split("/")[1] for key in keys]
    names = [name for name in names if not name.endswith(METADATA_SUFFIX)] or names
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{verb} {names[0]}{more}" if names else verb
