"""Fixtures: a composed application over a store in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.sites import Site, composed


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """One index `main` in memory."""
    async with composed(tmp_path) as made:
        yield made
