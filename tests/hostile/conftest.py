"""One server for all hostile uploads: whatever they do to it, the next one finds it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile.senders import Memory, form_of, measured_memory, open_file_names, send, tree
from plugins.live import LiveServer, default_config, running_server
from wheelyard.testing.builders import WheelBuilder

MAX_FILE_BYTES = 24 * 1024 * 1024
MEMORY_MIB = 96.0
"""How much one hostile upload may take at its highest point: a form's fields, a directory of names, a few pieces of a file."""

_HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks the server of this folder."""
    for item in items:
        if item.path.parent == _HERE and {"server", "untouched"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.live)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, http_server: str) -> Iterator[LiveServer]:
    """A server with one good project, `good`."""
    folder = tmp_path_factory.mktemp("hostile")
    config = default_config() + f"max_file_bytes = {MAX_FILE_BYTES}\n"
    with running_server(folder / "root", http_server=http_server, config=config) as made:
        assert send(made, *form_of(WheelBuilder(name="good"), folder)).status == 200
        made.get("/project/good/").raise_for_status()  # what is made on first use is made
        yield made


@pytest.fixture
def untouched(server: LiveServer) -> Iterator[LiveServer]:
    """The server; fails unless the test leaves its storage as it was, no file open, and little memory taken."""
    before, files_before = tree(server.root), open_file_names(server)
    memory: Memory
    with measured_memory(server) as memory:
        yield server
    assert tree(server.root) == before
    assert open_file_names(server) == files_before
    assert memory.grown_mib < MEMORY_MIB
    assert server.get("/simple/good/").status_code == 200
    assert '"internal-error"' not in server.log()
