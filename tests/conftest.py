"""Settings shared by every test."""

import pytest

pytest_plugins = ["plugins.live", "plugins.clients"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
