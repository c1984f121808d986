"""A started folder backend."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from wheelyard.backends.filesystem.backend import FileSystemBackend


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
async def folder(root: Path) -> AsyncIterator[FileSystemBackend]:
    backend = FileSystemBackend(root, lock_timeout_s=0.3)
    await backend.start()
    yield backend
    await backend.stop()
