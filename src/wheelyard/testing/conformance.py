"""
The suite that every backend passes.

Subclass `BackendSuite` in a test module, override the fixture `backend`, and run pytest:

    class TestMyBackend(BackendSuite):
        @pytest.fixture
        async def backend(self, tmp_path):
            backend = MyBackend(tmp_path)
            await backend.start()
            yield backend
            await backend.stop()

Each test proves one line of the docstrings in `wheelyard.storage.interface`. A test starts with an empty store, removes
what it wrote, and fails when anything else is left. It needs pytest and anyio's pytest plug-in, which comes with anyio.
"""

from __future__ import annotations

from wheelyard.testing.conformance_files import FileTests
from wheelyard.testing.conformance_parts import content_of
from wheelyard.testing.conformance_records import RecordTests

__all__ = ["BackendSuite", "content_of"]


class BackendSuite(RecordTests, FileTests):
    """
    All tests; see the module's docstring.

    Attributes:
        minimal_data: True for stores where every byte costs: leaves out large files and long series.
        settle_time: Seconds until a store that is only eventually consistent tells of a change.
        supports_two_writers: False when nothing else can use the same storage at the same time.
    """
