"""Files of an upstream on their way through a server that has no room for them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from crash.nursery import INDEX, READ_SECRET, WRITE_SECRET, FolderServers
from wheelyard.testing.fake_upstream import FakeUpstream, UpstreamFile

pytestmark = pytest.mark.slow

CONTENT = bytes(range(251)) * 24_000  # 6 MB
FILE = UpstreamFile(filename="six-1.0-py3-none-any.whl", content=CONTENT)
PATH = f"/simple/six/{FILE.filename}"


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as fake:
        fake.offer("six", FILE)
        yield fake


def config_of(upstream: FakeUpstream) -> str:
    """A configuration with one folder index and one upstream."""
    return (
        f'[{INDEX}]\ntype = "file_system"\nread_secret = "{READ_SECRET}"\nwrite_secret = "{WRITE_SECRET}"\n'
        f'[upstream.one]\nurl = "{upstream.root}"\n'
    )


def test_a_disk_that_takes_the_start_only(servers: FolderServers, upstream: FakeUpstream, tmp_path: Path) -> None:
    """DC-06: when there is no room for the rest of a file its readers get all of it, nothing stays, and the log says why."""
    server = servers.start(tmp_path / "root", config=config_of(upstream), limits={"RLIMIT_FSIZE": 2_000_000})

    def read(_: int) -> bytes:
        return (
            httpx2.get(server.url + PATH, auth=(INDEX, READ_SECRET), timeout=60, trust_env=False)
            .raise_for_status()
            .content
        )

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(read, range(6))) == [CONTENT] * 6
    left = [path.name for path in (tmp_path / "root").rglob("*") if path.is_file()]
    assert FILE.filename not in left
    assert not [name for name in left if name.startswith("spool-")]
    assert server.stop() == 0
    assert "mirror-not-kept" in server.log()
    assert "Traceback" not in server.log()
