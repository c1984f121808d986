"""The suite that every backend passes, on an index in one SQLite file."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from wheelyard_backend_example import SqliteBackend

from wheelyard.storage.interface import Backend
from wheelyard.testing.conformance import BackendSuite


class TestSqlite(BackendSuite):
    """Two backends over one file."""

    @pytest.fixture
    async def backend(self, tmp_path: Path) -> AsyncIterator[Backend]:
        """Yield a started backend over an empty file."""
        backend = SqliteBackend(tmp_path / "index.sqlite", timeout_s=30)
        await backend.start()
        yield backend
        await backend.stop()

    @pytest.fixture
    async def second_backend(self, backend: Backend, tmp_path: Path) -> AsyncIterator[Backend]:
        """Yield another one over the same file."""
        del backend  # asked for so that it has made the file
        second = SqliteBackend(tmp_path / "index.sqlite", timeout_s=30)
        await second.start()
        yield second
        await second.stop()

    async def leftovers(self, backend: Backend) -> list[str]:
        """Pieces of files that are not there."""
        assert isinstance(backend, SqliteBackend)
        rows = await backend._in_thread(lambda database: database.execute("SELECT key FROM pieces").fetchall())  # noqa: SLF001
        return [key for (key,) in rows]
