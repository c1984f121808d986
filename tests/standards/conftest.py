"""
One black-box test per line of the index standards, against any index.

Three knobs, environment variables, point the tests at another index than a server of our own:
`INDEX_URL` (the simple API, with a slash at the end), `UPLOAD_URL`, and `CREDENTIALS` (`user:password`, may publish).
Tests of things for which no standard names an address (yank, status, delete) are then skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.live import LiveServer, running_server
from standards.subject import Subject

_HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks a server: `subject` starts one when no other is named."""
    for item in items:
        if item.path.parent == _HERE and {"subject", "subject_server"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.live)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def subject_server(tmp_path_factory: pytest.TempPathFactory, http_server: str) -> Iterator[LiveServer | None]:
    """Our own server, unless another index is named."""
    if "INDEX_URL" in os.environ:
        yield None
        return
    with running_server(tmp_path_factory.mktemp("standards") / "root", http_server=http_server) as server:
        yield server


@pytest.fixture(scope="session")
def subject(subject_server: LiveServer | None, tmp_path_factory: pytest.TempPathFactory, http_server: str) -> Subject:
    """The index under test."""
    folder = tmp_path_factory.mktemp("files")
    if subject_server is None:
        user, _, password = os.environ["CREDENTIALS"].partition(":")
        return Subject(
            index_url=os.environ["INDEX_URL"],
            upload_url=os.environ["UPLOAD_URL"],
            credentials=(user, password),
            folder=folder,
        )
    return Subject(
        index_url=subject_server.simple_url,
        upload_url=subject_server.upload_url,
        credentials=(subject_server.index, subject_server.write_secret),
        reader=(subject_server.index, subject_server.read_secret),
        api=f"{subject_server.url}/api/v1/indexes/{subject_server.index}",
        log=subject_server.log_path,
        folder=folder,
        reason_phrases=http_server == "uvicorn",
    )
