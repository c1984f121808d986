"""Servers that can be killed."""

from collections.abc import Iterator

import pytest

from crash.nursery import FolderServers, Nursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """The process that forks servers."""
    started = Nursery()
    yield started
    started.close()


@pytest.fixture
def servers(nursery: Nursery) -> Iterator[FolderServers]:
    """Servers with one folder index each; they end with the test."""
    made = FolderServers(nursery)
    yield made
    made.close()
