"""A predecessor's folder is taken over without loss."""

import hashlib
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from wheelyard.errors import StorageFull
from wheelyard.index.hosted import HostedIndex
from wheelyard.index.interface import Delete
from wheelyard.index.takeover import TakeoverReport
from wheelyard.model import Filename, NormalizedName
from wheelyard.protocol.names import normalize
from wheelyard.storage.interface import LocalPath
from wheelyard.testing.builders import SdistBuilder, WheelBuilder

pytestmark = pytest.mark.anyio

Opened = Callable[[], AbstractAsyncContextManager[HostedIndex]]
Take = Callable[..., Awaitable[TakeoverReport]]
Predecessor = Any

DEMO = normalize("demo")
UPLOADED = datetime(2020, 3, 25, 17, 39, 19, tzinfo=UTC)


async def _path(index: HostedIndex, project: NormalizedName, filename: str) -> Path:
    body = (await index.file(project, Filename(filename))).body
    assert isinstance(body, LocalPath)
    return body.path


async def test_wheel_and_sdist(predecessor: Predecessor, opened: Opened, take: Take) -> None:
    """Each file is listed with digest, size, time of upload, Requires-Python and metadata, and downloads as it was."""
    wheel = predecessor.wheel("demo", "1.0", requires_python=">=3.8")
    sdist = SdistBuilder(name="demo", version="1.1")
    old = predecessor.publish("demo", sdist.file_name, sdist.bytes(), meta={"version": "1.1"})
    before = predecessor.state()
    async with opened() as index:
        report = await take(predecessor, index)
        assert report.taken == (f"demo/{wheel.name}", f"demo/{old.name}")
        assert (report.damaged, report.advice) == ((), ())
        page = await index.page(DEMO)
        assert page.versions == ("1.0", "1.1")
        first = page.find(wheel.name)
        assert first is not None
        assert first.sha256 == hashlib.sha256(wheel.read_bytes()).hexdigest()
        assert (first.size, first.upload_time, first.requires_python) == (wheel.stat().st_size, UPLOADED, ">=3.8")
        metadata = await index.metadata(DEMO, first.filename)
        assert first.core_metadata == {"sha256": hashlib.sha256(metadata).hexdigest()}
        assert metadata == WheelBuilder(name="demo", version="1.0", requires_python=">=3.8").metadata_bytes()
        for original in (wheel, old):
            taken = await _path(index, DEMO, original.name)
            assert taken.read_bytes() == original.read_bytes()
            assert taken.samefile(original)  # a hard link: no second copy on disk
        assert predecessor.state() == before


async def test_second_run_does_nothing(predecessor: Predecessor, opened: Opened, take: Take) -> None:
    """Taking over again finds nothing new, and reads no file for it."""
    wheel = predecessor.wheel("demo")
    async with opened() as index:
        await take(predecessor, index)
        status = wheel.stat()
        wheel.write_bytes(bytes(status.st_size))  # whoever reads it again finds it damaged
        os.utime(wheel, ns=(status.st_atime_ns, status.st_mtime_ns))
        for thorough in (False, True):
            again = await take(predecessor, index, thorough=thorough)
            assert (again.taken, again.already, again.damaged) == ((), 1, ())


async def test_what_comes_later_is_taken_later(predecessor: Predecessor, opened: Opened, take: Take) -> None:
    """Files that the predecessor still takes meanwhile follow at the next run."""
    predecessor.wheel("demo", "1.0")
    async with opened() as index:
        await take(predecessor, index)
        predecessor.wheel("demo", "2.0")
        predecessor.wheel("other")
        report = await take(predecessor, index)
        assert report.taken == ("demo/demo-2.0-py3-none-any.whl", "other/other-1.0-py3-none-any.whl")
        assert (await index.page(DEMO)).versions == ("1.0", "2.0")


async def test_project_called_simple(predecessor: Predecessor, opened: Opened, take: Take) -> None:
    """A project `simple`, whose folder is also where our own projects are, is taken over like any other."""
    predecessor.wheel("simple")
    predecessor.wheel("demo")
    before = predecessor.state()
    async with opened() as index:
        assert len((await take(predecessor, index)).taken) == 2
        assert len((await take(predecessor, index)).taken) == 0
        assert (await index.list()).names == ("demo", "simple")
        assert predecessor.state() == before
        async with opened() as again:
            assert (await take(predecessor, again)).taken == ()
            assert (await again.list()).names == ("demo", "simple")


async def test_deleted_here_stays_deleted(predecessor: Predecessor, opened: Opened, take: Take) -> None:
    """A file that was taken over and deleted afterwards does not come back, whether or not the marker is lost."""
    wheel = predecessor.wheel("demo")
    predecessor.wheel("demo", "2.0")
    async with opened() as index:
        await take(predecessor, index)
        await index.change(DEMO, Delete(frozenset({Filename(wheel.name)})))
        assert (await take(predecessor, index, thorough=True)).taken == ()
        (predecessor.folder / "takeover.json").unlink()
        report = await take(predecessor, index)
        assert (await index.page(DEMO)).versions == ("2.0",)
        assert report.damaged == (f"demo/{wheel.name}: it was deleted here, and stays so",)
        assert wheel.is_file()


async def test_damaged_file_is_named_and_passed_over(predecessor: Predecessor, opened: Opened, take: Take) -> None:
    """A file whose bytes are not those that were published is named, left as it is, and the others are taken."""
    bad, good = predecessor.wheel("demo", "1.0"), predecessor.wheel("demo", "2.0")
    bad.write_bytes(bad.read_bytes()[:-1])
    async with opened() as index:
        report = await take(predecessor, index)
        assert report.taken == (f"demo/{good.name}",)
        assert len(report.damaged) == 1
        assert report.damaged[0].startswith(f"demo/{bad.name}: it is damaged: its sha256 is ")
        assert (await take(predecessor, index)).damaged == report.damaged  # told again, from memory
        original = WheelBuilder(name="demo", version="1.0").bytes()
        bad.write_bytes(original)
        assert (await take(predecessor, index)).taken == (f"demo/{bad.name}",)


OLD_FILES = {
    "junk": ("demo-1.0-py3-none-any.whl", b"no zip at all", "listed without metadata"),
    "bz2": ("demo-1.0.tar.bz2", b"BZh9", "would be refused today"),
    "other-name": ("else-1.0-py3-none-any.whl", WheelBuilder(name="else").bytes(), "its name is of project 'else'"),
    "space": ("demo 1.0.zip", b"PK", "would be refused today"),
}


@pytest.mark.parametrize(("filename", "content", "advice"), OLD_FILES.values(), ids=OLD_FILES)
async def test_old_archives_are_kept(
    predecessor: Predecessor, opened: Opened, take: Take, filename: str, content: bytes, advice: str
) -> None:
    """What today's checks would refuse is taken over all the same, from its description, with advice."""
    path = predecessor.publish("demo", filename, content, meta={"version": "1.0", "requires_python": ">=2.7"})
    async with opened() as index:
        report = await take(predecessor, index)
        assert report.taken == (f"demo/{filename}",)
        assert advice in report.advice[0]
        page = await index.page(DEMO)
        assert page.versions == ("1.0",)
        file = page.find(filename)
        assert file is not None
        assert file.upload_time == UPLOADED
        assert (await _path(index, DEMO, filename)).read_bytes() == path.read_bytes()


async def test_unreadable_requires_python_is_left_out(predecessor: Predecessor, opened: Opened, take: Take) -> None:
    """A Requires-Python that no client can read is left out, with advice."""
    predecessor.publish("demo", "demo-1.0.tar.bz2", b"x", meta={"requires_python": "three"})
    async with opened() as index:
        report = await take(predecessor, index)
        assert "Requires-Python 'three'" in " ".join(report.advice)
        assert (await index.page(DEMO)).files[0].requires_python is None


async def test_description_that_is_no_toml(predecessor: Predecessor, opened: Opened, take: Take) -> None:
    """A description whose README broke its TOML is read by its plain lines."""
    wheel = predecessor.wheel("demo")
    meta = wheel.with_name(wheel.name + ".meta")
    meta.write_text(meta.read_text() + 'description = "\\xbroken \\"\n')
    async with opened() as index:
        assert (await take(predecessor, index)).taken == (f"demo/{wheel.name}",)


@pytest.mark.parametrize("meta", ["missing", "empty"])
async def test_description_from_the_index(predecessor: Predecessor, opened: Opened, take: Take, meta: str) -> None:
    """A file whose description is lost is taken by what the predecessor's index says; copied, since it may be rewritten."""
    wheel = predecessor.wheel("demo")
    path = wheel.with_name(wheel.name + ".meta")
    path.unlink() if meta == "missing" else path.write_text("")
    async with opened() as index:
        assert (await take(predecessor, index)).taken == (f"demo/{wheel.name}",)
        assert (await _path(index, DEMO, wheel.name)).samefile(wheel) == (meta == "empty")


async def test_what_is_incomplete_is_named(predecessor: Predecessor, opened: Opened, take: Take) -> None:
    """Files without description, descriptions without file, and listed files that are gone are named, each once."""
    (predecessor.storage / "demo").mkdir()
    (predecessor.storage / "demo" / "stray-1.0.tar.gz").write_bytes(b"x")
    predecessor.wheel("demo", "1.0").unlink()
    for path in (predecessor.wheel("demo", "2.0"), predecessor.storage / "demo" / "demo-2.0-py3-none-any.whl.meta"):
        path.unlink()
    nameless = predecessor.publish("demo", "demo-3.0.zip", b"x", without=("sha256",))
    predecessor.listed.clear()
    async with opened() as index:
        report = await take(predecessor, index)
        assert report.taken == ()
        told = "\n".join(report.damaged)
        assert "demo/stray-1.0.tar.gz: it has no description" in told
        assert "demo/demo-1.0-py3-none-any.whl: its description is there, the file itself is gone" in told
        assert "demo/demo-2.0-py3-none-any.whl: the predecessor's index lists it, and the file is gone" in told
        assert f"demo/{nameless.name}: its description (.meta) cannot be read or has no sha256" in told
        assert len(report.damaged) == 4


async def test_same_name_published_here(predecessor: Predecessor, opened: Opened, take: Take, tmp_path: Path) -> None:
    """A file that has another content here already is not replaced, and both stay."""
    old = predecessor.publish("demo", "demo-1.0-py3-none-any.whl", WheelBuilder(description="old").bytes())
    async with opened() as index:
        await take(predecessor, index)
        (predecessor.folder / "takeover.json").unlink()
        new = WheelBuilder(description="new").bytes()
        old.unlink()
        predecessor.publish("demo", old.name, new)
        report = await take(predecessor, index)
        assert report.damaged == (f"demo/{old.name}: another file of that name is published here already",)
        assert (await _path(index, DEMO, old.name)).read_bytes() == WheelBuilder(description="old").bytes()
        assert old.read_bytes() == new


async def test_two_folders_of_one_project(predecessor: Predecessor, opened: Opened, take: Take) -> None:
    """Folders whose names are one project's are taken as one; the same file in both is taken once."""
    content = WheelBuilder(name="demo").bytes()
    for distrib in ("demo", "Demo"):
        predecessor.publish(distrib, "demo-1.0-py3-none-any.whl", content)
    predecessor.publish("Demo", "demo-2.0-py3-none-any.whl", WheelBuilder(name="demo", version="2.0").bytes())
    async with opened() as index:
        report = await take(predecessor, index)
        assert len(report.taken) == 2
        assert "it lies in 'Demo' too, which was taken" in report.damaged[0]
        assert (await index.page(DEMO)).versions == ("1.0", "2.0")


async def test_interrupted_takeover_goes_on(predecessor: Predecessor, opened: Opened, take: Take) -> None:
    """A store that fails for one project keeps the others from nothing; the next run takes what was left."""

    class Failing(HostedIndex):
        async def adopt(self, project: NormalizedName, files: Any) -> int:
            if project == DEMO:
                raise StorageFull(store="old")
            return await super().adopt(project, files)

    predecessor.wheel("another")
    predecessor.wheel("demo")
    predecessor.wheel("zebra")
    async with opened() as index:
        index.__class__ = Failing
        report = await take(predecessor, index)
        assert len(report.taken) == 2
        assert "tried again at the next start" in report.damaged[0]
        index.__class__ = HostedIndex
        assert (await take(predecessor, index)).taken == ("demo/demo-1.0-py3-none-any.whl",)


async def test_mode_of_originals_stays(predecessor: Predecessor, opened: Opened, take: Take) -> None:
    """A file that only its owner could read stays so, though ours is a second name of it."""
    wheel = predecessor.wheel("demo")
    wheel.chmod(0o600)
    async with opened() as index:
        await take(predecessor, index)
        assert wheel.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "marker", ["", "{", "[]", '{"files": {"a": 1}, "folders": {}}', '{"files": [], "folders": []}']
)
async def test_broken_marker(predecessor: Predecessor, opened: Opened, take: Take, marker: str) -> None:
    """A marker that cannot be read is made anew; looking again does no harm."""
    predecessor.wheel("demo")
    (predecessor.folder / "takeover.json").write_text(marker)
    async with opened() as index:
        assert len((await take(predecessor, index)).taken) == 1
        assert (await take(predecessor, index)).already == 1


async def test_nothing_is_left_behind(predecessor: Predecessor, opened: Opened, take: Take) -> None:
    """Besides the project, its files and the marker nothing is made."""
    predecessor.wheel("demo")
    async with opened() as index:
        await take(predecessor, index)
        spools = index.store.traits.spool_folder
        assert spools is not None
        assert [path.name for path in spools.iterdir() if path.name.startswith("spool-")] == []
    assert sorted(path.name for path in predecessor.folder.iterdir()) == ["storage", "takeover.json"]


async def test_no_predecessor(predecessor: Predecessor, opened: Opened, take: Take) -> None:
    """A folder without anything of the predecessor's gives an empty report and no marker."""
    async with opened() as index:
        report = await take(predecessor, index)
    assert not report.found
    assert not (predecessor.folder / "takeover.json").exists()
