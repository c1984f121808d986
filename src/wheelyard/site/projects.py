"""One project of a site: its pages rendered and compared with what is published, its files found and checked."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote

import anyio

from wheelyard.errors import InvalidDocument, RecordDamaged, StorageUnavailable
from wheelyard.index.hosted import file_key
from wheelyard.index.interface import FileBody, StreamBody
from wheelyard.model import DistFile, NormalizedName, ProjectPage
from wheelyard.protocol import simple_html, simple_json
from wheelyard.protocol.json_keys import FileUrl
from wheelyard.site import layout
from wheelyard.site.manifest import Entry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from wheelyard.storage.store import Store

METADATA: Final = ".metadata"
_READ_BYTES: Final = 64 * 1024  # most metadata is shorter; room for the longest would be asked of the system each time


@dataclass(frozen=True, slots=True)
class Work:
    """
    What has to be done for one project.

    Attributes:
        name: Whose work it is.
        html: Its page.
        json: Its page, again.
        entry: What the manifest will say.
        puts: Files that the site does not have yet.
        removals: Paths that no page lists afterwards.
        is_same: Whether the pages are those that are published.
    """

    name: NormalizedName
    html: bytes
    json: bytes
    entry: Entry
    puts: tuple[DistFile, ...] = ()
    removals: tuple[str, ...] = ()
    is_same: bool = False


@dataclass(frozen=True, slots=True)
class Rendering:
    """
    How pages are made.

    Attributes:
        files_url: Absolute address of the `simple/` folder that has the files; None for the site itself.
        case_matters: Whether spellings may differ by case alone.
    """

    files_url: str | None
    case_matters: bool

    def render(self, page: ProjectPage, revision: str) -> Work:
        """Render the pages of a project; nothing is to be put yet."""
        file_url = self._file_url(page.name)
        html = simple_html.render_page(page, file_url=file_url)
        json = simple_json.render_page(page, file_url=file_url)
        digest = hashlib.sha256(b"\0".join((html, json))).hexdigest()
        aliases = layout.aliases_of(page, case_matters=self.case_matters)
        return Work(page.name, html, json, Entry(revision, digest, aliases))

    def own_files(self, page: ProjectPage) -> Mapping[str, DistFile]:
        """Return the files that the site holds itself."""
        offered = page.files if page.status.offers_files and self.files_url is None else ()
        return {file.filename: file for file in offered if is_ours(file)}

    def _file_url(self, project: str) -> FileUrl | None:
        if self.files_url is None:
            return None
        start = f"{self.files_url}{quote(project)}/"
        return lambda file: start + file.url if is_ours(file) else file.url


def is_ours(file: DistFile) -> bool:
    """Tell whether a file stands beside its page, not at an address elsewhere."""
    return "/" not in file.url


def is_same(published: DistFile | None, file: DistFile) -> bool:
    """Tell whether a file that is published is the one that is listed now."""
    return (
        published is not None
        and file.sha256 is not None
        and published.sha256 == file.sha256
        and (published.core_metadata is None) == (file.core_metadata is None)
    )


def paths_of(project: str, file: DistFile) -> tuple[str, ...]:
    """Return where a file and its metadata are in a site."""
    path = layout.page_path(project, file.filename)
    return (path,) if file.core_metadata is None else (path, path + METADATA)


def listed_files(content: bytes | None) -> Mapping[str, DistFile]:
    """Return the files that a published page lists and its site has; none for a page that cannot be read."""
    try:
        page = None if content is None else simple_json.parse_page(content)
    except InvalidDocument:
        page = None
    return {} if page is None else {file.filename: file for file in page.files if is_ours(file)}


# --- bytes ---------------------------------------------------------------------------------------------------------


def local_folder(store: Store, project: NormalizedName) -> str | None:
    """
    Return the folder of this machine in which a store keeps the files of a project; None when it keeps them elsewhere.

    Asked once for a project: the checks of a key cost more than all the rest that is done for a file.
    """
    probe = "file"
    path = store.local_path(file_key(project, probe))
    return str(path.parent) if path is not None and path.name == probe else None


def check_file(path: str, project: str, file: DistFile) -> None:
    """
    Look at a file of this machine before it is put.

    Raises:
        RecordDamaged: It is gone or has another size than its record says.
    """
    try:
        status = os.lstat(path)
    except OSError as error:
        raise _damaged(project, file.filename, f"it cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise _damaged(project, file.filename, "it is no file")
    if file.size is not None and status.st_size != file.size:
        raise _damaged(project, file.filename, f"it has {status.st_size} bytes, its record says {file.size}")


def check_metadata(path: str, project: str, file: DistFile) -> None:
    """
    Look at the core metadata of a file before it is put.

    Raises:
        RecordDamaged: It is gone or is not what was published.
    """
    name = file.filename + METADATA
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            content = piece = os.read(opened, _READ_BYTES)
            while len(piece) == _READ_BYTES:
                piece = os.read(opened, _READ_BYTES)
                content += piece
        finally:
            os.close(opened)
    except OSError as error:
        raise _damaged(project, name, f"it cannot be read: {error.strerror}") from error
    expected = (file.core_metadata or {}).get("sha256")
    if expected is not None and hashlib.sha256(content).hexdigest() != expected:
        raise _damaged(project, name, "its bytes are not those that were published")


async def fetch(found: FileBody, path: Path, project: str) -> None:
    """
    Bring a file that is elsewhere to this machine.

    Raises:
        RecordDamaged: It is not what its record says.
        StorageUnavailable: It could not be had.
    """
    digest = hashlib.sha256()
    async with await anyio.open_file(path, "xb") as file, aclosing(_pieces(found)) as pieces:
        async for piece in pieces:
            digest.update(piece)
            await file.write(piece)
    if found.file.sha256 is not None and digest.hexdigest() != found.file.sha256:
        raise _damaged(project, found.file.filename, "its bytes are not those that were published")


async def _pieces(found: FileBody) -> AsyncGenerator[bytes, None]:
    if isinstance(found.body, StreamBody):
        opened: Callable[[None], AsyncIterator[bytes]] = found.body.open
        async with aclosing(cast("AsyncGenerator[bytes, None]", opened(None))) as pieces:
            async for piece in pieces:
                yield piece
        return
    import httpx2  # noqa: PLC0415  only where storage hands out addresses

    url = str(getattr(found.body, "url", ""))
    try:
        async with httpx2.AsyncClient(follow_redirects=True) as client, client.stream("GET", url) as answer:
            answer.raise_for_status()
            async for piece in answer.aiter_bytes():
                yield piece
    except httpx2.HTTPError as error:
        # The address may carry a signature: neither it nor the text of the error is repeated.
        why = f"'{found.file.filename}' could not be had: {type(error).__name__}"
        raise StorageUnavailable(why) from error


def _damaged(project: str, name: str, why: str) -> RecordDamaged:
    return RecordDamaged(layout.page_path(project, name), why)
