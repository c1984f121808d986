"""
An upstream whose files are kept here: pages name our own addresses, so clients speak to nobody else.

A file is fetched the first time somebody wants it, sent while it comes in, and kept in a store of any kind. What is kept
is compared with the digest that the upstream's page tells before its first byte is trusted again: after a download, and
after each start of the server.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast

import structlog
from anyio import to_thread

from wheelyard.errors import (
    KeyNotFound,
    MetadataNotFound,
    StorageError,
    UpstreamOffline,
    WheelyardError,
)
from wheelyard.index.interface import Body, FileBody, IndexReader, StreamBody
from wheelyard.index.mirror_books import MirrorBooks
from wheelyard.index.mirror_downloads import Download, Downloads
from wheelyard.index.mirror_fetching import DownloadSpool, remove_leftovers
from wheelyard.index.mirror_metadata import read_metadata
from wheelyard.index.slices import FileSlice, in_bytes
from wheelyard.index.upstream import MADE, UpstreamIndex, source_of
from wheelyard.index.upstream_disk import DocumentFolder, KeptDocument
from wheelyard.index.upstream_memory import Flights, UpstreamCounters
from wheelyard.model import DistFile, Filename, Key, NormalizedName, ProjectList, ProjectPage, Revision
from wheelyard.protocol.filenames import release_of
from wheelyard.protocol.names import sort_versions
from wheelyard.storage.interface import Absent, ByteRange, LocalPath, PutOutcome
from wheelyard.storage.spool import Spool
from wheelyard.storage.store import Store
from wheelyard.storage.wrapping import wrapped

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

T = TypeVar("T")

METADATA_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""Longest core metadata made of a wheel, as long as an upload's may be."""

_TRUSTED_LIMIT = 100_000  # files whose bytes were compared since the start; about 400 bytes each
_FREE_BYTES = 1024**3  # so much of the disk is left to others: a cache must not keep anybody from publishing
_FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)

_log = structlog.get_logger(__name__)

_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorParts:
    """
    Where a mirror keeps what it fetched.

    Attributes:
        store: Files; started and stopped by whoever made it.
        documents: Metadata.
        folder: A folder of this server's own: spools go there when the store has no place for them, and the books.
        limit_bytes: How large the files together may get; the least recently used go first.
        free_bytes: So much of the disk is left free.
        downloads: Files fetched at once.
        offline: Whether only what is kept is served.
        seconds: Tells when files are used, in seconds since 1970.
    """

    store: Store
    documents: DocumentFolder
    folder: Path
    limit_bytes: int
    free_bytes: int = _FREE_BYTES
    downloads: int = 16
    offline: bool = False
    seconds: Callable[[], float] = time.time


class MirroredIndex(IndexReader):
    """
    An upstream with its files kept here.

    Args:
        upstream: Made with `own_urls`; started and stopped with this.
        parts: Where files are kept.
    """

    def __init__(self, upstream: UpstreamIndex, parts: MirrorParts) -> None:
        self._upstream = upstream
        self._store = parts.store
        self._documents = parts.documents
        self._parts = parts
        self._downloads = Downloads(upstream, counters=upstream.counters, limit=parts.downloads)
        self._books = MirrorBooks(
            parts.store, limit_bytes=parts.limit_bytes, path=parts.folder / "used.json", clock=parts.seconds
        )
        self._trusted: OrderedDict[Key, tuple[str, _Stamp | None]] = OrderedDict()
        self._checks = Flights[bool]()
        self._metadata = Flights[bytes]()

    @property
    def url(self) -> str:
        """Root of the upstream's simple API, without credentials."""
        return self._upstream.url

    @property
    def counters(self) -> UpstreamCounters:
        """What was done so far."""
        return self._upstream.counters

    async def start(self) -> None:
        """Open the HTTP client, and remove what killed processes left. Called once, before anything else."""
        await self._upstream.start()
        await to_thread.run_sync(remove_leftovers, self._own_spools)

    async def stop(self, *, patiently: bool = False) -> None:
        """
        Close what `start` opened. Called once, after everything else.

        Args:
            patiently: Whether downloads under way may finish first.
        """
        await self._downloads.stop(patiently=patiently)
        await self._books.save()
        await self._upstream.stop()

    async def settle(self) -> None:
        """Wait until no download is under way, and what was downloaded is kept."""
        await self._downloads.settle()

    # -- reading ---------------------------------------------------------------------------------------------------

    async def list(self) -> ProjectList:
        """List the upstream's projects."""
        return await self._upstream.list()

    async def page(self, project: NormalizedName) -> ProjectPage:
        """Read one project page with addresses of ours; offline, with those files only that are kept."""
        page = await self._upstream.page(project)
        return await self._kept_part(page) if self._parts.offline else page

    def peek(self, project: NormalizedName) -> Revision | Absent | None:
        """Tell which page may be given without asking; offline None, since pages depend on what is kept."""
        return None if self._parts.offline else self._upstream.peek(project)

    def peeker(self, project: NormalizedName) -> Callable[[], Revision | Absent | None]:
        """Return a function that does what `peek` does for one project."""
        return (lambda: None) if self._parts.offline else self._upstream.peeker(project)

    async def file(self, project: NormalizedName, filename: Filename) -> FileBody:
        """Open one distribution file: from here, or from the upstream while it is being kept here."""
        listed = await self._upstream.listed(project, filename)
        if listed.sha256 is None:
            return await self._unkept(project, listed)
        key = _key(project, filename)
        if await self._is_kept(key, listed):
            found = await self._from_store(key, listed)
            if found is not None:
                self.counters.hits += 1
                return found
        size = listed.size if listed.size is not None else await self._upstream.measure(project, listed)
        self._check_online(listed)

        def fetched(part: ByteRange | None) -> AsyncIterator[bytes | FileSlice]:
            return self._fetched(key, project, listed, size, part)

        return FileBody(listed, size, StreamBody(lambda part: in_bytes(fetched(part)), fetched))

    async def metadata(self, project: NormalizedName, filename: Filename) -> bytes:
        """
        Read the core metadata of a file; of a wheel without any at the upstream it is made of the wheel.

        Raises:
            UpstreamInvalid: It has not the digest that the page tells.
        """
        listed = await self._upstream.listed(project, filename)
        if listed.core_metadata is None:
            raise MetadataNotFound(project, filename)
        name = f"{source_of(listed)}.metadata#{listed.sha256 or ''}"
        return await self._metadata.join(name, lambda: self._read_metadata(name, project, listed))

    async def description(self, project: NormalizedName, filename: Filename) -> bytes | None:
        """Read a file's core metadata; None where there is none."""
        try:
            return await self.metadata(project, filename)
        except MetadataNotFound:
            return None

    # -- files -----------------------------------------------------------------------------------------------------

    async def _unkept(self, project: NormalizedName, listed: DistFile) -> FileBody:
        """Stream a file whose page tells no digest: what cannot be compared is not kept."""
        size = listed.size if listed.size is not None else await self._upstream.measure(project, listed)
        self._check_online(listed)
        return FileBody(listed, size, StreamBody(lambda part: self._upstream.stream(project, listed, size, part)))

    def _check_online(self, listed: DistFile) -> None:
        if self._parts.offline:
            raise UpstreamOffline(
                f"this server is offline and has no copy of file '{listed.filename}'",
                upstream=self.url,
                hint="Fill the cache with `wheelyard warm` while the upstream can be reached.",
            )

    async def _from_store(self, key: Key, listed: DistFile) -> FileBody | None:
        """Open a file that is kept; None when it has just been removed."""
        try:
            size = listed.size if listed.size is not None else (await self._store.stat(key)).size
            location = await self._store.locate(key)
        except KeyNotFound:
            return None
        self._books.used(key)
        body: Body = location or StreamBody(lambda part: self._store.open(key, part))
        return FileBody(listed, size, body)

    async def _fetched(
        self, key: Key, project: NormalizedName, listed: DistFile, size: int, part: ByteRange | None
    ) -> AsyncIterator[bytes | FileSlice]:
        """Stream a file that was not kept when it was opened: from the download that fetches it for everybody."""
        wanted = ByteRange(0, size) if part is None else ByteRange(part.start, min(part.stop, size))
        download = await self._download(key, project, listed, size, wanted)
        if download is None:
            found = await self._kept_stream(key, project, listed, size, wanted)
            async with aclosing(_generator(found)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        position = wanted.start
        try:
            async with aclosing(_generator(download.slices(wanted))) as slices:
                async for each in slices:
                    yield each
                    position += each.count
            return
        except WheelyardError:
            if not download.is_disk_trouble or position >= wanted.stop:
                raise
        # Our disk is full or broken: whoever waits for the file gets the rest of it from the upstream itself.
        rest = self._upstream.stream(project, listed, size, ByteRange(position, wanted.stop))
        async with aclosing(_generator(rest)) as pieces:
            async for piece in pieces:
                yield piece

    async def _download(
        self, key: Key, project: NormalizedName, listed: DistFile, size: int, wanted: ByteRange
    ) -> Download | None:
        """Return the download to read a range from, begun if need be; None when there is a better way."""
        while True:
            running = self._downloads.running(key)
            if running is not None:
                return running if running.reaches(wanted.start) else None
            finished = self._downloads.finished
            if await self._is_kept(key, listed):
                return None
            if not await self._has_room(size) or wanted.start > 0:
                return None  # the end of a large file is not waited for
            if finished == self._downloads.finished:
                return self._begin(key, project, listed, size)

    def _begin(self, key: Key, project: NormalizedName, listed: DistFile, size: int) -> Download:
        async def keep(spool: Spool) -> None:
            await self._keep(key, listed, spool)

        return self._downloads.begin(key, project, listed, size, keep=keep, make_spool=self._spool)

    async def _kept_stream(
        self, key: Key, project: NormalizedName, listed: DistFile, size: int, wanted: ByteRange
    ) -> AsyncIterator[bytes]:
        if size and self._downloads.running(key) is None and await self._is_kept(key, listed):
            return self._store.open(key, wanted)
        return self._upstream.stream(project, listed, size, wanted if size else None)

    @property
    def _own_spools(self) -> Path:
        """Folder of spools where the store has none on this machine."""
        return self._parts.folder / "spool"

    def _spool(self) -> DownloadSpool:
        """Make an empty spool where the store need not copy it; blocks."""
        folder = self._store.traits.spool_folder
        if folder is None or not folder.is_dir():
            folder = self._own_spools
            with wrapped(self._store.name):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return DownloadSpool(folder, self._store.name)

    async def _has_room(self, size: int) -> bool:
        """Tell whether a file may be kept at all: smaller than the cache, and the disk has room for it and for others."""
        if size > self._parts.limit_bytes:
            return False
        folder, free = self._parts.folder, self._parts.free_bytes
        return await to_thread.run_sync(lambda: _free_bytes(folder)) >= size + free

    async def _keep(self, key: Key, listed: DistFile, spool: Spool) -> None:
        """Store what was downloaded and found right; a store that does not take it costs a download more, no answer."""
        try:
            if await self._store.put(key, spool) is PutOutcome.CONFLICT:
                await self._store.delete(key)  # an upstream that gives one name to other bytes
                await self._store.put(key, spool)
            await self._trust(key, listed)
            for removed in await self._books.added(key, spool.size):
                self.counters.evicted += 1
                self._trusted.pop(removed, None)
        except StorageError as error:
            _log.warning("mirror-not-kept", upstream=self.url, key=key, error=error.message)

    # -- what is kept ----------------------------------------------------------------------------------------------

    async def _is_kept(self, key: Key, listed: DistFile) -> bool:
        """Tell whether a file is kept with the bytes that its page tells; compares them when that is not known yet."""
        if self._downloads.running(key) is not None:
            return False
        stamp = await self._stamp(key)
        if stamp is None and self._store.local_path(key) is not None:
            return False
        known = self._trusted.get(key)
        if known is not None and known == (listed.sha256, stamp):
            self._trusted.move_to_end(key)
            return True
        return await self._checks.join(f"{key}#{listed.sha256}", lambda: self._compare(key, listed))

    async def _compare(self, key: Key, listed: DistFile) -> bool:
        """Read what is kept; what is damaged, or was another file of that name, is removed."""
        try:
            digest = await self._digest(key)
        except KeyNotFound:
            self._trusted.pop(key, None)
            return False
        except StorageError as error:
            _log.warning("mirror-not-read", upstream=self.url, key=key, error=error.message)
            return False
        if digest == listed.sha256:
            await self._trust(key, listed)
            return True
        self.counters.mismatches += 1
        _log.warning("mirror-damaged", upstream=self.url, key=key)
        self._trusted.pop(key, None)
        try:
            await self._store.delete(key)
        except StorageError as error:
            _log.warning("mirror-not-removed", upstream=self.url, key=key, error=error.message)
        return False

    async def _digest(self, key: Key) -> str:
        location = await self._store.locate(key)
        if isinstance(location, LocalPath):
            return await to_thread.run_sync(_file_digest, location.path, key)
        stored = await self._store.stat(key)
        if stored.sha256 is not None:
            return stored.sha256
        digest = hashlib.sha256()
        async with aclosing(_generator(self._store.open(key))) as pieces:
            async for piece in pieces:
                await to_thread.run_sync(digest.update, piece)
        return digest.hexdigest()

    async def _trust(self, key: Key, listed: DistFile) -> None:
        self._trusted[key] = (listed.sha256 or "", await self._stamp(key))
        self._trusted.move_to_end(key)
        while len(self._trusted) > _TRUSTED_LIMIT:
            self._trusted.popitem(last=False)

    async def _stamp(self, key: Key) -> _Stamp | None:
        """Return what changes when a file of this machine is changed behind our back; None for other stores."""
        path = self._store.local_path(key)
        return None if path is None else await to_thread.run_sync(_status, path)

    async def _kept_part(self, page: ProjectPage) -> ProjectPage:
        """Return a page with those files only that are kept, and their releases."""
        names = {file.key.rpartition("/")[2] async for file in self._store.list(f"simple/{page.name}/")}
        files = tuple(file for file in page.files if file.filename in names)
        releases = (release_of(file.filename, page.name) for file in files)
        return replace(
            page, files=files, versions=sort_versions(release for release in releases if release is not None)
        )

    # -- metadata --------------------------------------------------------------------------------------------------

    async def _read_metadata(self, name: str, project: NormalizedName, listed: DistFile) -> bytes:
        kept = await to_thread.run_sync(self._documents.load, name)
        promised = (listed.core_metadata or {}).get("sha256")
        if kept is not None and promised in (None, hashlib.sha256(kept.content).hexdigest()):
            return kept.content
        if MADE in listed.private:
            content = await self._made(project, listed)
        else:
            content = await self._upstream.metadata(project, listed.filename)
        document = KeptDocument(
            content=content,
            url=source_of(listed),
            content_type="text/plain",
            etag=None,
            last_modified=None,
            fresh_until=_FOR_EVER,
        )
        await to_thread.run_sync(self._documents.save, name, document)
        return content

    async def _made(self, project: NormalizedName, listed: DistFile) -> bytes:
        """Read METADATA of the wheel itself: of ours when it is kept, else of the upstream's, by ranges if it has them."""
        key = _key(project, listed.filename)
        size = listed.size if listed.size is not None else await self._upstream.measure(project, listed)
        is_kept = listed.sha256 is not None and await self._is_kept(key, listed)

        async def fetch(part: ByteRange) -> bytes:
            nonlocal is_kept
            if not is_kept:
                self._check_online(listed)
                content = await self._upstream.part(project, listed, size, part)
                if content is not None:
                    return content
                is_kept = True  # it serves whole files only, so the whole is fetched, and kept
            return await self._part(key, project, listed, size, part)

        made = await read_metadata(project, size, fetch, limit_bytes=METADATA_LIMIT_BYTES)
        if made is None:
            raise MetadataNotFound(project, listed.filename)
        return made

    async def _part(self, key: Key, project: NormalizedName, listed: DistFile, size: int, part: ByteRange) -> bytes:
        """Read a range of a file that is kept, or that is fetched whole for it."""
        if listed.sha256 is not None and not await self._is_kept(key, listed) and await self._has_room(size):
            download = self._begin(key, project, listed, size)
            return b"".join([piece async for piece in in_bytes(download.slices(part))])
        stream = await self._kept_stream(key, project, listed, size, part)
        return b"".join([piece async for piece in stream])


def _key(project: NormalizedName, filename: str) -> Key:
    return Key(f"simple/{project}/{filename}")


def _free_bytes(folder: Path) -> int:
    """Return the free space of the disk that a folder is or will be on; blocks."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _status(path: Path) -> _Stamp | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _file_digest(path: Path, key: Key) -> str:
    try:
        with path.open("rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise KeyNotFound(key) from None


def _generator(pieces: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    return cast("AsyncGenerator[T, None]", pieces)
