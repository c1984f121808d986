"""The suite of all backends, on the one in memory and on the portable store over it."""

from collections.abc import AsyncIterator

import pytest

from wheelyard.backends.memory import MemoryBackend
from wheelyard.storage.interface import Backend
from wheelyard.storage.store import Store
from wheelyard.testing.conformance import BackendSuite


class TestMemory(BackendSuite):
    @pytest.fixture
    async def backend(self) -> AsyncIterator[Backend]:
        backend = MemoryBackend()
        await backend.start()
        yield backend
        await backend.stop()


class TestStoreOverMemory(BackendSuite):
    @pytest.fixture
    async def backend(self) -> AsyncIterator[Backend]:
        store = Store(MemoryBackend(), name="main")
        await store.start()
        yield store
        await store.stop()
