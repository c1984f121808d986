"""Settings shared by every test."""

from collections.abc import Iterator

import pytest
import structlog

pytest_plugins = [
    "plugins.live",
    "plugins.clients",
    "plugins.git_repositories",
    "plugins.tag_world",
    "plugins.forge_lists",
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """What one test does to the log configuration, such as starting a server in this process, is over with it."""
    yield
    structlog.reset_defaults()
