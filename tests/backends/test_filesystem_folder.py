"""The folder itself: what lies where, with which modes, links in it, and what is not ours."""

# ruff: noqa: ASYNC220, ASYNC240  a test may wait for the disk

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends import steps
from wheelyard.backends.filesystem.backend import FileSystemBackend
from wheelyard.backends.filesystem.folders import Folders
from wheelyard.errors import KeyNotFound, RecordDamaged, StorageUnavailable
from wheelyard.model import Key
from wheelyard.storage.interface import ABSENT, BackendContext, PutOutcome
from wheelyard.storage.plugins import load_backend
from wheelyard.storage.spool import spool_bytes
from wheelyard.storage.store import Store

FILE, RECORD = steps.OLD, steps.RECORD


async def put(backend: FileSystemBackend, key: Key, content: bytes = b"content") -> PutOutcome:
    assert backend.traits.spool_folder is not None
    spool = await spool_bytes(backend.traits.spool_folder, content)
    try:
        return await backend.put(key, spool)
    finally:
        spool.discard()


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.anyio
async def test_the_key_is_the_path(root: Path, folder: FileSystemBackend) -> None:
    """A copy of the folder is a plain copy of the index: every key is a path below it."""
    await put(folder, FILE)
    await folder.write({RECORD: b"{}"}, {RECORD: ABSENT})
    assert (root / FILE).read_bytes() == b"content"
    assert (root / RECORD).read_bytes() == b"{}"


@pytest.mark.anyio
async def test_modes_respect_the_umask(umask: None, root: Path) -> None:
    """Files are 0644 and folders 0755 less the umask, linked, copied or renamed; our own folder is for us alone."""
    backend = FileSystemBackend(root)
    await backend.start()
    await put(backend, FILE)
    await backend.write({RECORD: b"{}"}, {RECORD: ABSENT})
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (root / FILE, root / RECORD, (root / FILE).parent)}
    assert set(modes.values()) == {"0o640", "0o750"}
    assert modes["demo"] == "0o750"
    assert (root / ".wheelyard").stat().st_mode & 0o777 == 0o700
    await backend.stop()


@pytest.mark.anyio
async def test_empty_folders_go(root: Path, folder: FileSystemBackend) -> None:
    """When the last file or record of a project is removed, so is its folder."""
    await put(folder, FILE)
    revision = (await folder.write({RECORD: b"{}"}, {RECORD: ABSENT}))[RECORD]
    await folder.write({RECORD: None}, {RECORD: revision})
    assert (root / FILE).exists()
    await folder.delete(FILE)
    assert list((root / "simple").iterdir()) == []


@pytest.mark.anyio
@pytest.mark.parametrize("place", ["simple", "simple/demo", str(FILE), str(RECORD)])
async def test_links_in_the_storage_are_refused(
    place: str, root: Path, folder: FileSystemBackend, tmp_path: Path
) -> None:
    """URL-17: a symbolic link below the storage folder is followed by no call, for reading or for writing."""
    outside = tmp_path / "outside"
    for key in (FILE, RECORD):
        (outside / key).parent.mkdir(parents=True, exist_ok=True)
        (outside / key).write_bytes(b"secret")
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).symlink_to(outside / place)
    affected = [key for key in (FILE, RECORD) if key == place or key.startswith(f"{place}/")]
    for key in affected:
        with pytest.raises(RecordDamaged, match="symbolic link"):
            await (folder.read(key) if key == RECORD else folder.stat(key))
        with pytest.raises(RecordDamaged, match="symbolic link"):
            await (folder.write({key: b"x"}, {key: ABSENT}) if key == RECORD else put(folder, key))
        if key == FILE:
            with pytest.raises(RecordDamaged, match="symbolic link"):
                await folder.locate(key)
            with pytest.raises(RecordDamaged, match="symbolic link"):
                await folder.delete(key)
            with pytest.raises(RecordDamaged, match="symbolic link"):
                assert [piece async for piece in folder.open(key)]
        assert (outside / key).read_bytes() == b"secret"
    assert [file async for file in folder.list()] == []


@pytest.mark.anyio
async def test_the_storage_folder_may_be_a_link(root: Path, tmp_path: Path) -> None:
    """The storage folder itself may be a link to another disk: that is the administrator's choice."""
    (tmp_path / "disk").mkdir()
    root.symlink_to(tmp_path / "disk")
    backend = FileSystemBackend(root)
    await backend.start()
    assert await put(backend, FILE) is PutOutcome.CREATED
    assert (tmp_path / "disk" / FILE).exists()
    await backend.stop()


@pytest.mark.anyio
async def test_a_pipe_in_the_storage_hangs_nobody(root: Path, folder: FileSystemBackend) -> None:
    """What is no regular file is damage, said at once."""
    (root / FILE).parent.mkdir(parents=True)
    os.mkfifo(root / FILE)
    with pytest.raises(RecordDamaged, match="no regular file"):
        assert [piece async for piece in folder.open(FILE)]


@pytest.mark.anyio
async def test_the_predecessors_files_are_not_listed(root: Path, folder: FileSystemBackend) -> None:
    """Files with `.meta` beside them, one folder up, and `index.toml` are the predecessor's, one named `simple` too."""
    for name in ("index.toml", "demo/demo-1.whl", "demo/demo-1.whl.meta", "simple/old-1.whl", "simple/old-1.whl.meta"):
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        (root / name).write_bytes(b"theirs")
    await put(folder, FILE)
    await put(folder, Key(f"{FILE}.meta"))
    assert sorted([file.key async for file in folder.list()]) == [FILE, f"{FILE}.meta"]
    assert (await folder.changes(None)).keys == frozenset()


@pytest.mark.anyio
async def test_an_unmounted_storage_is_not_an_empty_one(root: Path, folder: FileSystemBackend) -> None:
    """When the volume is gone nothing is "not found": a 404 would send clients to the next index."""
    await put(folder, FILE)
    await folder.write({RECORD: b"{}"}, {RECORD: ABSENT})
    away = root.rename(root.with_name("away"))
    root.mkdir()
    assert folder.peek(RECORD) is None
    for question in (folder.changes(None), folder.read(RECORD), folder.stat(FILE), folder.locate(FILE)):
        with pytest.raises(StorageUnavailable, match="gone"):
            await question
    with pytest.raises(StorageUnavailable):
        assert [file async for file in folder.list()]
    root.rmdir()
    away.rename(root)
    assert (await folder.read(RECORD)).content == b"{}"


@pytest.mark.anyio
async def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(root: Path) -> None:
    """`start` removes temporary files of processes that ended, never those of one that lives."""
    program = (
        "import anyio, os, sys\n"
        "from pathlib import Path\n"
        "from wheelyard.backends.filesystem.backend import FileSystemBackend\n"
        "async def main():\n"
        "    backend = FileSystemBackend(Path(sys.argv[1]))\n"
        "    await backend.start()\n"
        "    (backend.traits.spool_folder / 'spool-1-x').write_bytes(b'leftover')\n"
        "    print(backend.traits.spool_folder, flush=True)\n"
        "    sys.stdin.read()\n"
        "    os._exit(1)\n"
        "anyio.run(main)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    theirs = Path(process.stdout.readline().strip()) / "spool-1-x"
    await restart(root)
    assert theirs.exists()
    process.communicate()
    await restart(root)
    assert not theirs.parent.exists()


async def restart(root: Path) -> None:
    backend = FileSystemBackend(root)
    await backend.start()
    await backend.stop()


@pytest.mark.anyio
async def test_stop_leaves_no_temporary_folder(root: Path, folder: FileSystemBackend) -> None:
    """A backend that is stopped takes its temporary folder with it."""
    await restart(root)
    assert [path.parent.name for path in (root / ".wheelyard/tmp").rglob("owner")] == [
        folder.traits.spool_folder.name if folder.traits.spool_folder else ""
    ]


@pytest.mark.anyio
async def test_default_and_given_folder(tmp_path: Path) -> None:
    """Without `path` the storage is `storage` in the index's own folder; nothing is made before `start`."""
    plugin = load_backend("file_system")
    context = BackendContext(name="main", folder=tmp_path / "cache/main")
    for options, expected in (
        (plugin.options(), tmp_path / "cache/main/storage"),
        (plugin.options(path=str(tmp_path / "elsewhere")), tmp_path / "elsewhere"),
    ):
        store = Store(plugin.open(options, context), name="main")
        assert not expected.exists()
        await store.start()
        await store.put_bytes(FILE, b"content")
        assert (expected / FILE).exists()
        await store.stop()


@pytest.mark.anyio
async def test_a_folder_in_the_place_of_a_file_is_not_found(root: Path, folder: FileSystemBackend) -> None:
    """A folder is no file: reading it is KeyNotFound, writing over it is refused."""
    (root / FILE).mkdir(parents=True)
    (root / RECORD).mkdir(parents=True)
    for reading in (folder.stat(FILE), folder.read(RECORD)):
        with pytest.raises(KeyNotFound):
            await reading
    with pytest.raises(RecordDamaged):
        await folder.write({RECORD: b"{}"}, {RECORD: ABSENT})


@pytest.mark.anyio
@pytest.mark.parametrize("again", [False, True], ids=["seen by its writer", "seen at the start"])
async def test_the_folder_of_all_projects_is_missed(root: Path, folder: FileSystemBackend, again: bool) -> None:  # noqa: FBT001
    """Without it no name is "not here", for another index would be asked; and no publish makes it anew."""
    await put(folder, FILE)
    await folder.write({RECORD: b"{}"}, {RECORD: ABSENT})
    backend = FileSystemBackend(root) if again else folder
    if again:
        await backend.start()
    missing = Key("simple/other/index.json")
    peek = backend.peeker(missing)
    assert (backend.peek(missing), peek()) == (ABSENT, ABSENT)
    (root / "simple").rename(root / "gone")
    assert (backend.peek(missing), peek()) == (None, None)
    for key in (missing, RECORD):
        with pytest.raises(StorageUnavailable, match="is gone"):
            await backend.read(key)
        with pytest.raises(StorageUnavailable):
            await backend.write({key: b"{}"}, {key: ABSENT})
    with pytest.raises(StorageUnavailable):
        await put(backend, Key("simple/other/other-1.0.tar.gz"))
    assert not (root / "simple").exists()
    (root / "simple").mkdir()  # somebody who wants an empty index
    assert (backend.peek(missing), peek()) == (ABSENT, ABSENT)
    await backend.write({missing: b"{}"}, {missing: ABSENT})
    if again:
        await backend.stop()


def test_the_first_project_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of all projects is made for the first time just after it was looked for: the storage was there."""
    (tmp_path / ".wheelyard").mkdir()
    folders, look = Folders(str(tmp_path), fsync=False), os.path.isdir

    def look_and_make(path: str) -> bool:
        found = look(path)
        if path.endswith("/simple"):
            with folders.entered(FILE, create=True):
                pass
        return found

    monkeypatch.setattr("wheelyard.backends.filesystem.folders.os.path.isdir", look_and_make)
    assert folders.is_there()
    assert (tmp_path / "simple").is_dir()
