"""The tests' own store is installed as a plug-in is: by an entry point."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from identity.hosts import HOSTS, Host


@pytest.fixture
def host(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host of this test's own, `here`, with the backend type `hosted` installed."""
    site = tmp_path_factory.mktemp("site")
    _install(site)
    monkeypatch.syspath_prepend(site)
    HOSTS.clear()
    HOSTS["here"] = Host()
    yield HOSTS["here"]
    HOSTS.clear()


def _install(site: Path) -> None:
    info = site / "hosted_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hosted-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[wheelyard.backends.v1]\nhosted = identity.hosts:plugin\n")
