"""Offline with several upstreams: what is kept of any of them is served."""

from pathlib import Path

import pytest

from wheelyard.testing.fake_upstream import FakeUpstream, UpstreamFile

from .conftest import Serve

pytestmark = pytest.mark.slow

FIRST = UpstreamFile(filename="six-1.0.tar.gz", content=b"of the first")
OTHER = UpstreamFile(filename="six-2.0.tar.gz", content=b"of the first, never fetched")
SECOND = UpstreamFile(filename="seven-1.0.tar.gz", content=b"of the second")


def test_what_any_keeps(serve: Serve, upstream: FakeUpstream, tmp_path: Path) -> None:
    """DC-03: offline, an upstream that has kept nothing of a project does not hide what another one has kept."""
    with FakeUpstream() as second:
        upstream.offer("six", FIRST, OTHER)
        second.offer("seven", SECOND)
        tables = f'[upstream.one]\nurl = "{upstream.root}"\n[upstream.two]\nurl = "{second.root}"\n'
        client = serve(tables)
        for project, file in (("six", FIRST), ("seven", SECOND)):
            assert client.get(f"/simple/{project}/{file.filename}").content == file.content
    client = serve(tables, offline=True)
    assert client.get(f"/simple/seven/{SECOND.filename}").content == SECOND.content
    assert SECOND.filename in client.get("/simple/seven/").raise_for_status().text
    for path in ("/simple/eight/", f"/simple/six/{OTHER.filename}"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "upstream-offline")
