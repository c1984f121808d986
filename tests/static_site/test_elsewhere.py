"""An index whose storage is not a folder of this machine: files are fetched, checked and put."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from doctor.roots import Root
from static_site.sites import tree
from static_site.test_serve import serving
from wheelyard.backends.memory import MemoryBackend
from wheelyard.compose import now_utc, open_index
from wheelyard.index.checks import PublishLimits
from wheelyard.index.hosted import HostedIndex
from wheelyard.index.interface import FileBody, PassThrough, StreamBody, Upload
from wheelyard.model import Filename, NormalizedName
from wheelyard.protocol.upload_form import UploadForm
from wheelyard.site.build import Options, Report, SiteBuild
from wheelyard.site.folder import FolderDestination
from wheelyard.site.layout import Look
from wheelyard.storage.interface import ByteRange, RedirectUrl
from wheelyard.storage.spool import spool_bytes
from wheelyard.storage.store import Store
from wheelyard.testing.builders import WheelBuilder, form_fields

WHEEL = "python_hello-1.0-py3-none-any.whl"


async def built(index: HostedIndex | PassThrough, site: Path) -> Report:
    destination = FolderDestination(site)
    await anyio.to_thread.run_sync(destination.open)
    try:
        return await SiteBuild(index, destination, Options(look=Look("main"))).run()
    finally:
        await anyio.to_thread.run_sync(destination.close)


class Elsewhere(PassThrough):
    """Hands out addresses, or a stream, in place of paths; `peek` cannot tell."""

    def __init__(self, inner: HostedIndex, url: str | None = None, *, altered: bytes = b"") -> None:
        super().__init__(inner)
        self._url = url
        self._altered = altered

    def peek(self, project: NormalizedName) -> None:
        del project

    async def file(self, project: NormalizedName, filename: Filename) -> FileBody:
        found = await super().file(project, filename)
        if self._url is not None:
            expires = datetime.now(UTC) + timedelta(minutes=5)
            return FileBody(
                found.file, found.size, RedirectUrl(f"{self._url}{project}/{filename}?signature=s3cret", expires)
            )
        content = (await anyio.Path(found.body.path).read_bytes()) + self._altered  # type: ignore[union-attr]

        async def pieces(_: ByteRange | None) -> AsyncIterator[bytes]:
            yield content[:10]
            yield content[10:]

        return FileBody(found.file, found.size, StreamBody(pieces))


@pytest.mark.anyio
async def test_storage_in_memory(tmp_path: Path, site: Path) -> None:
    """A store that has no paths at all gives the same site; a second build fetches nothing."""
    store = Store(MemoryBackend(), name="main")
    await store.start()
    index = HostedIndex("main", store, limits=PublishLimits(), clock=now_utc)
    path = WheelBuilder("python_hello", "1.0").build(tmp_path)
    fields = {key: tuple(values) for key, values in form_fields(path).items()}
    with await spool_bytes(tmp_path, path.read_bytes()) as spool:
        await index.publish(Upload(UploadForm("file_upload", "1", fields), path.name, spool, "main:write"))
    assert (await built(index, site)).files == 1
    assert (site / "simple/python-hello" / WHEEL).read_bytes() == path.read_bytes()
    assert (site / "simple/python-hello" / f"{WHEEL}.metadata").exists()
    again = await built(index, site)
    assert (again.files, again.changed) == (0, 0)
    await store.stop()


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["stream", "address"])
async def test_files_that_have_to_be_fetched(root: Root, site: Path, tmp_path: Path, way: str) -> None:
    """Streams and addresses give the same site as paths do, and an index that cannot tell is read each time."""
    async with open_index(root.settings, "main") as index:
        await built(index, tmp_path / "usual")
        with serving(root.storage) as (url, _):
            elsewhere = Elsewhere(index, f"{url}/simple/" if way == "address" else None)
            assert (await built(elsewhere, site)).files == 5
            again = await built(elsewhere, site)
    assert (again.files, again.changed) == (0, 0)
    assert tree(site) == tree(tmp_path / "usual")


@pytest.mark.anyio
async def test_fetched_bytes_are_checked(root: Root, site: Path) -> None:
    """A file that is not what its record says is not published; nor does an address with its signature get into a text."""
    async with open_index(root.settings, "main") as index:
        report = await built(Elsewhere(index, altered=b"x"), site)
        assert [problem.project for problem in report.problems] == ["flask", "python-hello", "python-world"]
        assert [path for path in tree(site) if path.endswith(".whl")] == []
        report = await built(Elsewhere(index, "http://127.0.0.1:9/simple/"), site)
    assert len(report.problems) == 3
    assert not any("s3cret" in problem.text for problem in report.problems)
