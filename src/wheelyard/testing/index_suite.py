"""
The suite that every index, and every stack of indexes, passes.

Subclass `IndexSuite` in a test module, override the fixture `stack`, and run pytest:

    class TestMyWrapper(IndexSuite):
        @pytest.fixture
        async def stack(self, hosted, tmp_path):
            yield WriterStack(MyWrapper(hosted), hosted, tmp_path)

Each test proves lines of the docstrings in `wheelyard.index.interface` through whatever lies between the reader and the
writer: a wrapper, or a server and a client. A stack starts empty.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import unquote, urljoin

import pytest
from anyio import to_thread

from wheelyard.errors import DistFileNotFound, MetadataNotFound, ProjectNotFound
from wheelyard.index.interface import (
    Change,
    Delete,
    FileBody,
    IndexReader,
    IndexWriter,
    SetStatus,
    StreamBody,
    Upload,
    Yank,
)
from wheelyard.model import DistFile, Filename, NormalizedName, ProjectStatus
from wheelyard.protocol.names import normalize
from wheelyard.protocol.upload_form import UploadForm
from wheelyard.storage.interface import ABSENT, ByteRange, LocalPath, RedirectUrl
from wheelyard.storage.spool import PIECE_BYTES, spool_bytes
from wheelyard.testing.builders import SdistBuilder, WheelBuilder, form_fields

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

DEMO: Final = NormalizedName("demo")
UNKNOWN: Final = NormalizedName("demo-unknown")
WHEEL: Final = WheelBuilder(
    name="demo", version="1.0", requires_python=">=3.8,<4", requires_dist=["six>=1"], description="caf\u00e9 & <b>\n"
)
SDIST: Final = SdistBuilder(name="demo", version="1.0", requires_python=">=3.8")
OLD_SDIST: Final = SdistBuilder(name="demo", version="0.9", metadata_version="2.1")
NEVER_THERE: Final = (
    "demo-9.9.tar.gz",
    "index.json",
    "demo",
    "x.metadata",
    "..",
    "../demo",
    "a/b",
    "%2e%2e",
    "caf\u00e9",
)
"""File names that no project has; some of them are keys or paths next to what it has."""


class IndexStack(ABC):
    """
    What the suite is run on.

    Attributes:
        reader: What is being tested.
    """

    reader: IndexReader

    @abstractmethod
    async def publish(self, path: Path) -> None:
        """Publish a file so that `reader` should see it."""

    @abstractmethod
    async def change(self, project: NormalizedName, change: Change) -> None:
        """Change a project so that `reader` should see it."""


class WriterStack(IndexStack):
    """
    A reader over a writer of the same process.

    Args:
        reader: What is being tested.
        writer: Where to publish; the reader itself, or what lies below it.
        folder: Where uploads are spooled.
    """

    def __init__(self, reader: IndexReader, writer: IndexWriter, folder: Path) -> None:
        self.reader = reader
        self._writer = writer
        self._folder = folder

    async def publish(self, path: Path) -> None:
        """Publish a file with the form that a client would send."""
        form = UploadForm("file_upload", "1", {key: tuple(values) for key, values in form_fields(path).items()})
        content = await to_thread.run_sync(path.read_bytes)
        with await spool_bytes(self._folder, content) as spool:
            await self._writer.publish(Upload(form=form, filename=path.name, spool=spool, uploader="suite"))

    async def change(self, project: NormalizedName, change: Change) -> None:
        """Change a project."""
        await self._writer.change(project, change)


async def read(found: FileBody, byte_range: ByteRange | None = None) -> bytes:
    """
    Read an opened file, wherever its bytes are.

    Raises:
        AssertionError: A piece is too large, or the body is a redirect, which only a client can follow.
    """
    match found.body:
        case LocalPath(path):
            content = await to_thread.run_sync(path.read_bytes)
            return content if byte_range is None else content[byte_range.start : byte_range.stop]
        case StreamBody(open_stream):
            # The port asks for an async generator: what is not read to the end has to be closed.
            stream = cast("AsyncGenerator[bytes]", open_stream(byte_range))
            async with aclosing(stream):
                pieces = [piece async for piece in stream]
            assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)
            return b"".join(pieces)
        case RedirectUrl():
            raise AssertionError("this stack should have streamed")


class IndexSuite:
    """The tests; see the module's docstring."""

    pytestmark = pytest.mark.anyio

    # -- to override -----------------------------------------------------------------------------------------------

    @pytest.fixture
    def stack(self) -> object:
        """Yield an `IndexStack` without projects."""
        raise NotImplementedError("override the fixture `stack`")

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Run on asyncio, as the server does."""
        return "asyncio"

    # -- parts of tests --------------------------------------------------------------------------------------------

    @pytest.fixture
    def shelf(self, tmp_path: Path) -> Path:
        """Return a folder for built files."""
        folder = tmp_path / "built"
        folder.mkdir()
        return folder

    async def put(self, stack: IndexStack, shelf: Path, *builders: WheelBuilder | SdistBuilder) -> list[DistFile]:
        """Publish files and return them as their pages list them, in the order given."""
        files = []
        for builder in builders:
            path = builder.build(shelf)
            await stack.publish(path)
            page = await stack.reader.page(normalize(builder.name))
            found = page.find(path.name)
            assert found is not None, f"{path.name} was published and is not on its page"
            files.append(found)
        return files

    async def names(self, stack: IndexStack, project: NormalizedName = DEMO) -> Sequence[str]:
        """Return the files that a page lists."""
        return [file.filename for file in (await stack.reader.page(project)).files]

    async def check_no_file(self, stack: IndexStack, project: NormalizedName, filename: str) -> None:
        """Check that a file is denied by every way to it."""
        for ask in (stack.reader.file, stack.reader.metadata, stack.reader.description):
            with pytest.raises(DistFileNotFound):
                await ask(project, Filename(filename))

    # -- not there -------------------------------------------------------------------------------------------------

    async def test_unknown_project(self, stack: IndexStack, shelf: Path) -> None:
        """URL-07: a project that is not there is ProjectNotFound, by every way to it, also beside others."""
        for _ in range(2):
            with pytest.raises(ProjectNotFound):
                await stack.reader.page(UNKNOWN)
            for ask in (stack.reader.file, stack.reader.metadata, stack.reader.description):
                with pytest.raises(ProjectNotFound):
                    await ask(UNKNOWN, Filename("demo-1.0-py3-none-any.whl"))
            assert stack.reader.peek(UNKNOWN) in (ABSENT, None)
            await self.put(stack, shelf, WHEEL)

    async def test_unknown_file(self, stack: IndexStack, shelf: Path) -> None:
        """URL-17: a file that is not listed is DistFileNotFound, whatever lies under such a name in the store."""
        await self.put(stack, shelf, WHEEL)
        for filename in (*NEVER_THERE, f"{WHEEL.file_name}.metadata"):
            await self.check_no_file(stack, DEMO, filename)

    async def test_name_confusion(self, stack: IndexStack, shelf: Path) -> None:
        """DC-01: projects whose names begin alike, or a file asked for under another project, are never mixed up."""
        near = WheelBuilder(name="demo-1", version="0")
        await self.put(stack, shelf, WHEEL, near)
        assert await self.names(stack) == [WHEEL.file_name]
        assert await self.names(stack, NormalizedName("demo-1")) == [near.file_name]
        await self.check_no_file(stack, DEMO, near.file_name)
        await self.check_no_file(stack, NormalizedName("demo-1"), WHEEL.file_name)
        for name in ("dem", "demo-", "d"):
            with pytest.raises(ProjectNotFound):
                await stack.reader.page(NormalizedName(name))

    # -- the list --------------------------------------------------------------------------------------------------

    async def test_list(self, stack: IndexStack, shelf: Path) -> None:
        """URL-01: the list names every project once, sorted, normalised, and at once."""
        assert (await stack.reader.list()).names == ()
        await self.put(stack, shelf, WheelBuilder(name="Zope.Interface"), WHEEL)
        assert (await stack.reader.list()).names == ("demo", "zope-interface")
        before = stack.reader.peek_list()
        await self.put(stack, shelf, WheelBuilder(name="attrs"), SDIST)
        assert (await stack.reader.list()).names == ("attrs", "demo", "zope-interface")
        assert before is None or stack.reader.peek_list() != before

    # -- pages -----------------------------------------------------------------------------------------------------

    async def test_page_of_a_wheel(self, stack: IndexStack, shelf: Path) -> None:
        """JSON-05: the page of a wheel tells its name, URL, digest, size, time, Python versions and metadata."""
        before = datetime.now(UTC)
        [file] = await self.put(stack, shelf, WHEEL)
        page = await stack.reader.page(DEMO)
        assert (page.name, page.versions, page.files) == (DEMO, ("1.0",), (file,))
        assert (page.status, page.status_reason) == (ProjectStatus.ACTIVE, None)
        assert file.filename == WHEEL.file_name
        assert unquote(urljoin("https://host/simple/demo/", file.url)).endswith(f"/{WHEEL.file_name}")
        assert next(iter(file.hashes)) == "sha256"
        assert file.sha256 == hashlib.sha256(WHEEL.bytes()).hexdigest()
        assert file.size == len(WHEEL.bytes())
        assert file.upload_time is not None
        assert before <= file.upload_time <= datetime.now(UTC)
        assert file.requires_python == ">=3.8,<4"
        assert file.core_metadata == {"sha256": hashlib.sha256(WHEEL.metadata_bytes()).hexdigest()}
        assert (file.yanked, file.provenance) == (None, None)

    async def test_page_of_an_sdist(self, stack: IndexStack, shelf: Path) -> None:
        """META-03: an sdist's metadata is advertised when it is final for every wheel, and only then."""
        final, old = await self.put(stack, shelf, SDIST, OLD_SDIST)
        assert final.core_metadata == {"sha256": hashlib.sha256(SDIST.metadata_bytes()).hexdigest()}
        assert (final.requires_python, final.size) == (">=3.8", len(SDIST.bytes()))
        assert old.core_metadata is None
        assert old.requires_python is None
        assert (await stack.reader.page(DEMO)).versions == ("0.9", "1.0")

    async def test_odd_versions(self, stack: IndexStack, shelf: Path) -> None:
        """URL-11: epochs and local versions keep their file names, and their bytes can be had."""
        builder = WheelBuilder(name="demo", version="1!2.0+cu128")
        await self.put(stack, shelf, builder)
        assert (await stack.reader.page(DEMO)).versions == ("1!2.0+cu128",)
        assert await read(await stack.reader.file(DEMO, Filename(builder.file_name))) == builder.bytes()

    async def test_published_is_seen_at_once(self, stack: IndexStack, shelf: Path) -> None:
        """CACHE-02: whoever publishes sees it at once, and the revision of the project has moved."""
        seen = []
        peek = stack.reader.peeker(DEMO)
        for version in ("1.0", "1.1", "1.2"):
            await self.put(stack, shelf, WheelBuilder(version=version))
            seen.append(stack.reader.peek(DEMO))
            assert peek() == seen[-1]
        assert (await stack.reader.page(DEMO)).versions == ("1.0", "1.1", "1.2")
        assert seen == [None] * 3 or len(set(seen) - {ABSENT, None}) == 3  # noqa: PLR2004  three publishes

    # -- files -----------------------------------------------------------------------------------------------------

    async def test_bytes(self, stack: IndexStack, shelf: Path) -> None:
        """FILE-01: opened files have exactly their bytes, and say what the page says of them."""
        big = WheelBuilder(version="2.0", files={"big.bin": bytes(range(256)) * 10_000}, method=0)
        builders: Sequence[WheelBuilder | SdistBuilder] = (big, SDIST)
        for builder, listed in zip(builders, await self.put(stack, shelf, *builders), strict=True):
            found = await stack.reader.file(DEMO, listed.filename)
            assert (found.file, found.size) == (listed, len(builder.bytes()))
            assert await read(found) == builder.bytes()

    @pytest.mark.parametrize(("start", "stop"), [(0, 1), (0, 10), (1, 100), (7, 10_000_000)])
    async def test_ranges(self, stack: IndexStack, shelf: Path, start: int, stop: int) -> None:
        """FILE-02: a range has exactly its bytes; it may ask for more than there is."""
        [listed] = await self.put(stack, shelf, WHEEL)
        found = await stack.reader.file(DEMO, listed.filename)
        assert await read(found, ByteRange(start, stop)) == WHEEL.bytes()[start:stop]
        assert (
            await read(found if isinstance(found.body, LocalPath) else await self.again(stack, listed)) == WHEEL.bytes()
        )

    async def again(self, stack: IndexStack, listed: DistFile) -> FileBody:
        """Open a file another time: a stream may be opened once."""
        return await stack.reader.file(DEMO, listed.filename)

    # -- metadata --------------------------------------------------------------------------------------------------

    async def test_metadata(self, stack: IndexStack, shelf: Path) -> None:
        """META-01: metadata has the bytes of the file's own, of wheels and of sdists."""
        await self.put(stack, shelf, WHEEL, SDIST)
        for builder in (WHEEL, SDIST):
            filename = Filename(builder.file_name)
            assert await stack.reader.metadata(DEMO, filename) == builder.metadata_bytes()
            assert await stack.reader.description(DEMO, filename) == builder.metadata_bytes()

    async def test_no_metadata(self, stack: IndexStack, shelf: Path) -> None:
        """META-04: where none is advertised there is none; people may see it all the same."""
        await self.put(stack, shelf, OLD_SDIST)
        filename = Filename(OLD_SDIST.file_name)
        with pytest.raises(MetadataNotFound):
            await stack.reader.metadata(DEMO, filename)
        assert await stack.reader.description(DEMO, filename) in (None, OLD_SDIST.metadata_bytes())

    # -- yanks and status ------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("reason", ["", 'leaks "secrets" & <b>'])
    async def test_yanked(self, stack: IndexStack, shelf: Path, reason: str) -> None:
        """YANK-01, YANK-03, YANK-04: a yank shows with its reason, file by file; the file opens; it can be taken back."""
        listed, other = await self.put(stack, shelf, WHEEL, SDIST)
        await stack.change(DEMO, Yank(frozenset({listed.filename}), None, reason))
        page = await stack.reader.page(DEMO)
        yanked, kept = page.find(listed.filename), page.find(other.filename)
        assert yanked is not None
        assert (yanked.yanked, kept) == (reason, other)
        found = await stack.reader.file(DEMO, listed.filename)
        assert found.file.yanked == reason
        assert await read(found) == WHEEL.bytes()
        assert await stack.reader.metadata(DEMO, listed.filename) == WHEEL.metadata_bytes()
        await stack.change(DEMO, Yank(frozenset({listed.filename}), None, None))
        assert (await stack.reader.page(DEMO)).find(listed.filename) == listed

    async def test_quarantined(self, stack: IndexStack, shelf: Path) -> None:
        """ST-03, ST-06: a quarantined project has a page with its status and offers nothing; later it does again."""
        [listed] = await self.put(stack, shelf, WHEEL)
        await stack.change(DEMO, SetStatus(ProjectStatus.QUARANTINED, "malware?"))
        page = await stack.reader.page(DEMO)
        assert (page.status, page.status_reason, page.files) == (ProjectStatus.QUARANTINED, "malware?", ())
        await self.check_no_file(stack, DEMO, listed.filename)
        await stack.change(DEMO, SetStatus(ProjectStatus.ACTIVE, None))
        assert (await stack.reader.page(DEMO)).files == (listed,)
        assert await read(await stack.reader.file(DEMO, listed.filename)) == WHEEL.bytes()

    @pytest.mark.parametrize("status", [ProjectStatus.ARCHIVED, ProjectStatus.DEPRECATED])
    async def test_other_statuses(self, stack: IndexStack, shelf: Path, status: ProjectStatus) -> None:
        """ST-02, ST-04, ST-05: archived and deprecated projects show their status and serve their files."""
        [listed] = await self.put(stack, shelf, WHEEL)
        await stack.change(DEMO, SetStatus(status, "use seven"))
        page = await stack.reader.page(DEMO)
        assert (page.status, page.status_reason, page.files) == (status, "use seven", (listed,))
        assert await read(await stack.reader.file(DEMO, listed.filename)) == WHEEL.bytes()

    # -- deletion --------------------------------------------------------------------------------------------------

    async def test_deleted_file(self, stack: IndexStack, shelf: Path) -> None:
        """FILE-07: a deleted file is gone from its page and denied; its neighbours stay."""
        listed, other = await self.put(stack, shelf, WHEEL, SDIST)
        await stack.change(DEMO, Delete(filenames=frozenset({listed.filename})))
        assert (await stack.reader.page(DEMO)).files == (other,)
        await self.check_no_file(stack, DEMO, listed.filename)
        assert await read(await stack.reader.file(DEMO, other.filename)) == SDIST.bytes()

    async def test_deleted_project(self, stack: IndexStack, shelf: Path) -> None:
        """FILE-07: a deleted project is ProjectNotFound and in no list."""
        [listed] = await self.put(stack, shelf, WHEEL)
        await stack.change(DEMO, Delete())
        with pytest.raises(ProjectNotFound):
            await stack.reader.page(DEMO)
        with pytest.raises(ProjectNotFound):
            await stack.reader.file(DEMO, listed.filename)
        assert (await stack.reader.list()).names == ()
