"""
Records and files in a GitHub repository.

A publish is: upload the file as an asset (one question), then one commit with the record, the core metadata and the list
of files (one question, shared with whoever publishes at the same moment). The commit is the publication; it is
acknowledged only when GitHub has named it. Whoever dies before it leaves an asset that nothing lists.

Reading costs nothing: records come from memory, metadata from the mirror of the branch, files from the cache. One task
asks once in a while whether the branch moved. With a `sync_interval_s` of 0 every reading asks instead, so that servers
see each other's changes at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote

import anyio
import structlog
from anyio import to_thread

from wheelyard.backends.github.addresses import Addresses
from wheelyard.backends.github.branch import Branch
from wheelyard.backends.github.cache import FileCache
from wheelyard.backends.github.client import GitHubClient
from wheelyard.backends.github.documents import Entry
from wheelyard.backends.github.downloads import Downloads
from wheelyard.backends.github.files import Files
from wheelyard.backends.github.identity import identify
from wheelyard.backends.github.mirror import Mirror
from wheelyard.backends.github.names import key_of, metadata_path, place_of, record_path
from wheelyard.backends.github.redirects import REDIRECTED_BYTES, expiry_of
from wheelyard.backends.github.releases import Releases, Stored
from wheelyard.backends.github.state import BranchState
from wheelyard.backends.github.writing import Writing
from wheelyard.errors import KeyNotFound, StorageError
from wheelyard.model import Key, Revision
from wheelyard.storage.interface import (
    ABSENT,
    Absent,
    Backend,
    BackendContext,
    ByteRange,
    Changes,
    Decide,
    HostIdentity,
    LocalPath,
    Location,
    PutOutcome,
    Record,
    RedirectUrl,
    StoredFile,
    Traits,
)
from wheelyard.storage.locks import KeyedLocks
from wheelyard.storage.spool import PIECE_BYTES, Spool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from wheelyard.backends.github import GitHubOptions

_log = structlog.get_logger(__name__)

_WHOLE: Final = ByteRange(0, 1 << 62)


class GitHubBackend(Backend):
    """
    Records and files in one repository; any number of servers may use it at once.

    Args:
        options: Which repository, and how.
        context: Name, folder and credential of the index.
    """

    def __init__(self, options: GitHubOptions, context: BackendContext) -> None:
        self._options = options
        self._context = context
        self._is_strict = context.sync_interval_s <= 0
        addresses = Addresses(options.api_url.rstrip("/"), options.owner, options.repo)
        self.client = GitHubClient(addresses, context.admin_secret, index=context.name)
        source = f"{addresses.repository}#{options.branch}"
        folder = context.folder / "github"
        self._state = BranchState(
            Branch(self.client, options.branch), Mirror(folder, source=source), folder, index=context.name
        )
        self._files = Files()
        self._cache = FileCache(folder / "files", options.cache_bytes)
        self._downloads = Downloads(self._cache)
        self._writing = Writing(
            self._state, self._files, Releases(self.client, options.release_layout), self._cache, options.release_layout
        )
        self._publishers = KeyedLocks()
        self._syncing: asyncio.Task[None] | None = None

    @property
    def traits(self) -> Traits:
        """Several records in one commit, records in memory, digests checked at the upload, and GitHub's own users."""
        return Traits(atomic_batch=True, fresh=not self._is_strict, verified_put=True, identities=True)

    @property
    def index_filename(self) -> str:
        """Name of the predecessor's list."""
        return self._options.index_filename

    async def start(self) -> None:
        """Take up what was known at the last stop and what changed since; without GitHub that has to do."""
        self.client.open()
        try:
            await self._cache.start()
            await self._state.start()
        except BaseException:
            await self.client.close()
            await self._state.stop()
            raise
        if not self._is_strict:
            self._syncing = asyncio.create_task(self._sync_for_ever())

    async def stop(self) -> None:
        """Finish what is being committed, break off what is being fetched, and close everything."""
        if self._syncing is not None:
            self._syncing.cancel()
            with suppress(asyncio.CancelledError):
                await self._syncing
            self._syncing = None
        await self._downloads.stop()
        await self._state.stop()
        await self.client.close()

    async def identify(self, credential: str) -> HostIdentity:
        """Ask GitHub what the holder of a token may do with the repository."""
        return await identify(self.client, credential)

    def trouble(self) -> str | None:
        """Return whether GitHub wants to be left alone, did not answer, or could not tell what changed."""
        if (wait := self.client.waiting_s()) > 0:
            return f"GitHub's rate limit is used up; it is asked again in {wait:.0f} seconds"
        return self.client.trouble or self._state.trouble

    async def sync(self) -> None:
        """
        Ask at once what changed at GitHub.

        Raises:
            StorageError: It could not be asked.
        """
        await self._state.sync()

    def entries(self) -> Iterator[tuple[Key, Entry]]:
        """
        Yield every file that is listed, from memory.

        Raises:
            RecordDamaged: A list cannot be read.
        """
        for group, listing in self._files.all(self._state.tree):
            for name, entry in listing.files.items():
                yield key_of(place_of(f"simple/{group}/{name}") if group else place_of(name)), entry

    def offer(self, key: Key, stored: Stored) -> None:
        """Name an asset that has the bytes of a file: who puts just these lists it, and nothing is uploaded."""
        self._writing.offered[key] = stored

    async def public_page(self) -> str | None:
        """
        Return the address of the repository's page; None when not everybody may see it.

        Raises:
            StorageError: GitHub could not be asked.
        """
        repository = (await self.client.ask("GET", "")).object()
        return None if repository.get("private") is not False else str(repository["html_url"])

    def public_url(self, web_url: str, key: Key) -> str | None:
        """
        Return where everybody finds the asset of a file of a public repository; None when it has none.

        Args:
            web_url: Page of the repository, as GitHub gives it.
            key: Of the file.
        Raises:
            StorageError: It is not listed.
        """
        entry = self._files.find(self._state.tree, key)
        releases = self._files.listing(self._state.tree, place_of(key).group).releases
        tag = next((tag for tag, release in releases.items() if release == entry.release), None)
        if entry.asset is None or tag is None:
            return None
        return f"{web_url}/releases/download/{quote(tag)}/{quote(entry.name)}"

    # -- records ---------------------------------------------------------------------------------------------------

    async def read(self, key: Key) -> Record:
        """Read one record, from memory."""
        await self._current()
        path, tree = record_path(key), self._state.tree
        content = tree.contents.get(path)
        if content is None:
            raise KeyNotFound(key)
        return Record(content, Revision(tree.shas[path]))

    async def write(
        self, changes: Mapping[Key, bytes | None], expected: Mapping[Key, Revision | Absent]
    ) -> Mapping[Key, Revision | Absent]:
        """Swap records in one commit."""
        return await self._writing.swap(changes, expected)

    async def changes(self, cursor: str | None) -> Changes:
        """Tell which records changed, from memory."""
        await self._current()
        return self._state.changes(cursor)

    def peek(self, key: Key) -> Revision | Absent | None:
        """Tell a record's current revision, from memory; None when every reading asks GitHub."""
        if self._is_strict:
            return None
        sha = self._state.tree.shas.get(record_path(key))
        return ABSENT if sha is None else Revision(sha)

    def peeker(self, key: Key) -> Callable[[], Revision | Absent | None]:
        """Return a `peek` for one key that looks into one dictionary."""
        if self._is_strict:
            return lambda: None
        path, state = record_path(key), self._state

        def peek() -> Revision | Absent:
            sha = state.tree.shas.get(path)
            return ABSENT if sha is None else Revision(sha)

        return peek

    def peek_changes(self) -> str | None:
        """Return a token of what is known now."""
        return None if self._is_strict else self._state.token

    async def transact(self, key: Key, decide: Decide) -> Revision | Absent | None:
        """Upload files, then commit record, metadata, list and removals as one."""
        async with self._publishers.hold(key):
            await self._current()
            return await self._writing.transact(key, decide)

    # -- files -----------------------------------------------------------------------------------------------------

    async def put(self, key: Key, spool: Spool) -> PutOutcome:
        """Upload one file and list it."""
        await self._current()
        return await self._writing.put(key, spool)

    async def stat(self, key: Key) -> StoredFile:
        """Describe one file, from the list."""
        await self._current()
        entry = self._files.find(self._state.tree, key)
        return StoredFile(key, entry.size, entry.sha256)

    async def open(self, key: Key, byte_range: ByteRange | None = None) -> AsyncIterator[bytes]:
        """Stream one file: from the mirror, from the cache, or from GitHub into the cache."""
        await self._current()
        entry = self._files.find(self._state.tree, key)
        wanted = byte_range or _WHOLE
        if entry.asset is None:
            source = self._small(key, wanted)
        elif (path := await self._cache.find(entry.sha256, entry.size)) is not None:
            source = _read(path, wanted, entry.size)
        else:
            source = self._fetched(key, entry, wanted)
        async with aclosing(cast("AsyncGenerator[bytes, None]", source)) as pieces:
            async for piece in pieces:
                yield piece

    async def locate(self, key: Key) -> Location:
        """Return the file's path in the cache; or GitHub's address for a large one, where that is wanted."""
        await self._current()
        entry = self._files.find(self._state.tree, key)
        if entry.asset is None:
            return None
        path = await self._cache.find(entry.sha256, entry.size)
        if path is not None:
            return LocalPath(path)
        if self._options.downloads != "redirect" or entry.size < REDIRECTED_BYTES:
            return None
        url = await self.client.locate(f"/releases/assets/{entry.asset}")
        expires = None if url is None else expiry_of(url)
        return None if url is None or expires is None else RedirectUrl(url, expires)

    def local_path(self, key: Key) -> Path | None:
        """Return where the file is or would be in the cache."""
        with suppress(StorageError):
            entry = self._files.find(self._state.tree, key)
            if entry.asset is not None:
                return self._cache.path(entry.sha256)
        return None

    async def delete(self, key: Key) -> None:
        """Take one file off the list, then remove its asset."""
        await self._current()
        await self._writing.delete(key)

    async def list(self, prefix: str = "") -> AsyncIterator[StoredFile]:
        """List the files whose key starts with `prefix`."""
        await self._current()
        for group, listing in list(self._files.all(self._state.tree)):
            for name, entry in listing.files.items():
                key = key_of(place_of(name) if not group else place_of(f"simple/{group}/{name}"))
                if key.startswith(prefix):
                    yield StoredFile(key, entry.size, entry.sha256)

    # -- parts -----------------------------------------------------------------------------------------------------

    async def _current(self) -> None:
        """Be up to date, where every reading is."""
        if self._is_strict:
            await self._state.sync()

    async def _sync_for_ever(self) -> None:
        """Ask once in a while what changed; trouble is told once and asked on."""
        told: str | None = None
        while True:
            await anyio.sleep(self._context.sync_interval_s)
            try:
                await self._state.sync()
            except StorageError as error:
                if error.message != told:
                    _log.warning("github-sync-failed", index=self._context.name, why=error.message)
                told = error.message
            except Exception:  # noqa: BLE001  a bug of one look must not end all looks
                _log.exception("github-sync-failed", index=self._context.name)
            else:
                if told is not None:
                    _log.info("github-sync-again", index=self._context.name)
                told = None

    async def _small(self, key: Key, wanted: ByteRange) -> AsyncIterator[bytes]:
        sha = self._state.tree.shas.get(metadata_path(place_of(key)))
        if sha is None:
            raise KeyNotFound(key)
        content = await self._state.blob(sha)
        stop = min(wanted.stop, len(content))
        for start in range(wanted.start, stop, PIECE_BYTES):
            yield content[start : min(start + PIECE_BYTES, stop)]

    def _fetched(self, key: Key, entry: Entry, wanted: ByteRange) -> AsyncIterator[bytes]:
        path = f"/releases/assets/{entry.asset}"
        return self._downloads.stream(key, entry.sha256, entry.size, lambda: self.client.stream(path), wanted)


async def _read(path: Path, wanted: ByteRange, size: int) -> AsyncIterator[bytes]:
    """Yield a range of a file of this disk."""
    start, stop = wanted.start, min(wanted.stop, size)
    if start >= stop:
        return
    source = await to_thread.run_sync(lambda: path.open("rb", buffering=0))
    try:
        source.seek(start)
        while start < stop:
            piece = await to_thread.run_sync(source.read, min(PIECE_BYTES, stop - start))
            if not piece:
                return
            start += len(piece)
            yield piece
    finally:
        source.close()
