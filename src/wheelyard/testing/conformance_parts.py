"""What the parts of the suite share: fixtures, knobs, and short ways to say things."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import anyio
import anyio.lowlevel
import pytest

from wheelyard.errors import KeyNotFound, StorageError
from wheelyard.model import Key, Revision
from wheelyard.storage.interface import ABSENT, Absent, Backend, ByteRange, PutOutcome
from wheelyard.storage.spool import PIECE_BYTES, spool_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER: Final = "simple/demo"
FILE: Final = Key(f"{FOLDER}/demo-1.0-py3-none-any.whl")
RECORD: Final = Key(f"{FOLDER}/index.json")
OTHER_RECORD: Final = Key("simple/demo-two/index.json")


class SuiteParts:
    """
    Fixtures to override, knobs, and what the tests are made of.

    Attributes:
        minimal_data: True for stores where every byte costs: leaves out large files and long series.
        settle_time: Seconds until a store that is only eventually consistent tells of a change.
        supports_two_writers: False when nothing else can use the same storage at the same time.
    """

    minimal_data: ClassVar[bool] = False
    settle_time: ClassVar[float] = 0.0
    supports_two_writers: ClassVar[bool] = True

    # -- to override -----------------------------------------------------------------------------------------------

    @pytest.fixture
    def backend(self) -> object:
        """Yield a started `Backend` over empty storage, and stop it; an async generator."""
        raise NotImplementedError("override the fixture `backend`")

    @pytest.fixture
    def second_backend(self, backend: Backend) -> object:
        """Yield another started `Backend` over the same storage; the default is the same one used by another task."""
        return backend

    async def leftovers(self, backend: Backend) -> Iterable[str]:
        """Return what lies in the storage besides what every empty storage holds, as seen from outside the backend."""
        del backend
        return ()

    # -- parts of tests --------------------------------------------------------------------------------------------

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Run on asyncio, as the server does."""
        return "asyncio"

    @pytest.fixture
    def spools(self, backend: Backend, tmp_path: Path) -> Path:
        """Return the folder where uploads to this backend are spooled."""
        folder = backend.traits.spool_folder or tmp_path / "spools"
        folder.mkdir(exist_ok=True)
        return folder

    @pytest.fixture(autouse=True)
    async def nothing_left(self, backend: Backend, spools: Path, second_backend: Backend) -> AsyncIterator[None]:
        """Remove what the test wrote, then fail if anything is left behind."""
        before = set(os.listdir(spools))  # noqa: PTH208  names only
        yield
        await self.settle()
        for file in [file async for file in backend.list()]:
            await backend.delete(file.key)
        for key in (await backend.changes(None)).keys:
            await self.write(backend, key, None, (await backend.read(key)).revision)
        await self.settle()
        assert [file async for file in second_backend.list()] == []
        assert (await second_backend.changes(None)).keys == frozenset()
        assert set(os.listdir(spools)) == before, "temporary files were left behind"  # noqa: PTH208
        assert list(await self.leftovers(backend)) == []

    async def settle(self) -> None:
        """Wait until changes are told."""
        if self.settle_time:
            await anyio.sleep(self.settle_time)

    async def write(
        self, backend: Backend, key: Key, content: bytes | None, expected: Revision | Absent = ABSENT
    ) -> Revision | Absent:
        """Swap one record and return its new revision."""
        return (await backend.write({key: content}, {key: expected}))[key]

    async def created(
        self, backend: Backend, key: Key, content: bytes, expected: Revision | Absent = ABSENT
    ) -> Revision:
        """Swap one record to `content` and return its new revision."""
        revision = await self.write(backend, key, content, expected)
        assert isinstance(revision, str)
        return revision

    async def put(self, backend: Backend, spools: Path, key: Key, content: bytes) -> PutOutcome:
        """Put one file."""
        spool = await spool_bytes(spools, content)
        try:
            return await backend.put(key, spool)
        finally:
            spool.discard()

    async def names(self, backend: Backend, prefix: str = "") -> list[str]:
        """List the keys that start with `prefix`, sorted."""
        await self.settle()
        return sorted([file.key async for file in backend.list(prefix)])

    @property
    def sizes(self) -> Sequence[int]:
        """Sizes of files around the borders of pieces."""
        return (0, 1, 1000) if self.minimal_data else (0, 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES)

    @property
    def rounds(self) -> int:
        """How often races are run."""
        return 3 if self.minimal_data else 20

    async def told(self, backend: Backend, cursor: str, keys: Iterable[Key]) -> str:
        """Check that `changes` tells at least `keys`, and only records that were ever written; return the new cursor."""
        changes = await backend.changes(cursor)
        assert changes.keys >= set(keys) or changes.complete
        assert changes.keys <= {RECORD, OTHER_RECORD}
        if not keys:
            assert changes.keys == frozenset()
        return changes.cursor


async def read(backend: Backend, key: Key, byte_range: ByteRange | None = None) -> bytes:
    """Return the bytes of a file, or of a range of it."""
    return b"".join([piece async for piece in backend.open(key, byte_range)])


async def content_of(backend: Backend, key: Key) -> bytes | None:
    """Return the content of a record; None when it does not exist."""
    try:
        return (await backend.read(key)).content
    except KeyNotFound:
        return None


def open_descriptors() -> int:
    """Return how many files this process has open; 0 where the system does not tell."""
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  the descriptor of the listing is in every count
    except OSError:
        return 0


@contextmanager
def raises_about(error: type[StorageError], key: str) -> Iterator[None]:
    """Expect an error of storage that names `key`."""
    with pytest.raises(error) as raised:
        yield
    assert raised.value.key == key
