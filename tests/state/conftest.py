"""Settings and builders shared by the tests of the server's own books."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wheelyard.state.database import Database
from wheelyard.state.sessions import Clock


@pytest.fixture
def clock() -> Clock:
    return lambda: datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "wheelyard.sqlite3"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    database = Database(path)
    yield database
    await database.close()
