"""What lies in the storage folder besides projects, its owners and modes, and what killed processes left."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from backends import steps
from doctor.roots import Root, Said, age, doctor, make_root
from wheelyard.backends.filesystem.backend import FileSystemBackend
from wheelyard.storage.store import Store

Look = Callable[..., Said]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to somebody else")
SOMEBODY = 65534


def test_orphan(root: Root, look: Look) -> None:
    """A distribution file in no record is mentioned while it is young, and quarantined with its metadata when it is not."""
    orphan = root.project("demo") / "demo-3.0-py3-none-any.whl"
    orphan.write_bytes(b"half")
    metadata = orphan.with_name(f"{orphan.name}.metadata")
    metadata.write_bytes(b"Name: demo\n")
    said = look("--fix")
    assert (said.code, [found["severity"] for found in said.findings]) == (0, ["info", "info"])
    assert orphan.exists()
    age(orphan, metadata)
    assert look().code == 1
    said = look("--fix")
    assert (said.code, said.codes) == (1, ["orphan", "orphan"])
    assert sorted(root.quarantined().values()) == [b"Name: demo\n", b"half"]
    assert look() == Said(0, [])


@pytest.mark.parametrize(
    "name", ["README.txt", ".DS_Store", "demo-1.0.whl.asc", "other-1.0.tar.gz", "index.json~", "né.whl"]
)
def test_foreign_file(root: Root, look: Look, name: str) -> None:
    """A file that is none of the project's is moved away, its bytes kept."""
    path = root.project("demo") / name
    path.write_bytes(b"mine")
    age(path)
    said = look("--fix")
    assert said.codes == ["foreign"]
    assert root.quarantined() == {f"simple/demo/{name}": b"mine"}
    assert not path.exists()


def test_foreign_name_that_is_no_text(root: Root, look: Look) -> None:
    """A name that is no Unicode is told and moved like any other."""
    path = os.fsencode(root.project("demo")) + b"/\xff\n.whl"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
    os.utime(path, (0, 0))
    assert look().codes == ["foreign"]
    assert look("--fix").one("foreign")["done"]
    assert not os.path.lexists(path)


def test_foreign_folder_and_links(root: Root, look: Look, tmp_path: Path) -> None:
    """Folders in a project and links that lead out are moved as they are; what a link points to is not touched."""
    (tmp_path / "secret").write_bytes(b"secret")
    folder = root.project("demo") / "sub"
    folder.mkdir()
    (folder / "inside.txt").write_bytes(b"inside")
    link = root.project("demo") / "demo-9.0-py3-none-any.whl"
    link.symlink_to(tmp_path / "secret")
    stray = root.storage / "simple" / "stray.whl"
    stray.symlink_to(tmp_path / "secret")
    age(folder, link, stray)
    said = look("--fix")
    assert sorted(said.codes) == ["foreign"] * 3
    assert (tmp_path / "secret").read_bytes() == b"secret"
    moved = next((root.storage / ".wheelyard/quarantine").glob("*/files/simple"))
    assert (moved / "demo/sub/inside.txt").read_bytes() == b"inside"
    assert (moved / "demo" / link.name).is_symlink()
    assert (moved / "stray.whl").is_symlink()
    assert look() == Said(0, [])


def test_linked_project_stays(root: Root, look: Look, tmp_path: Path) -> None:
    """A project folder that is a link is told and left: moved away, its name would be free for another index."""
    shutil.move(root.project("demo"), tmp_path / "demo")
    root.project("demo").symlink_to(tmp_path / "demo")
    said = look("--fix")
    assert (said.code, said.one("link")["fixable"]) == (3, False)
    assert root.project("demo").is_symlink()


def test_linked_record_stays(root: Root, look: Look, tmp_path: Path) -> None:
    """A record that is a link is told and left, with everything beside it."""
    record = root.project("demo") / "index.json"
    shutil.move(record, tmp_path / "index.json")
    record.symlink_to(tmp_path / "index.json")
    before = root.everything()
    said = look("--fix")
    assert (said.code, said.codes) == (3, ["record-unreadable"])
    assert root.everything() == before


def test_name_that_is_not_normalised(root: Root, look: Look) -> None:
    """A project folder under a name that nobody can ask for is an error that a person has to mend."""
    shutil.copytree(root.project("demo"), root.project("Demo_Two"))
    said = look("--fix")
    assert (said.code, said.codes) == (3, ["name-not-normalised"])
    assert (root.project("Demo_Two") / "index.json").exists()


def test_files_of_the_predecessor_are_not_foreign(root: Root, look: Look) -> None:
    """Files of a predecessor's project, one called `simple` too, are for the takeover and not for the doctor."""
    for folder in ("legacy", "simple"):
        (root.storage / folder).mkdir(exist_ok=True)
        for name in ("legacy-1.0.tar.gz", "legacy-1.0.tar.gz.meta"):
            (root.storage / folder / name).write_bytes(b"theirs")
            age(root.storage / folder / name)
    (root.storage / "index.toml").write_bytes(b"")
    assert look("--fix") == Said(0, [])


def test_journal(root: Root, look: Look) -> None:
    """A damaged journal is begun anew; what it was stays beside it."""
    journal = root.storage / ".wheelyard/journal"
    journal.write_bytes(journal.read_bytes() + b"\0\0\0\0\n")
    said = look()
    assert (said.code, said.codes) == (1, ["journal-damaged"])
    assert look("--fix").code == 1
    assert look() == Said(0, [])
    assert root.page("demo").versions == ("1.0", "2.0")
    journal.write_bytes(b"")
    assert look().codes == ["journal-damaged"]


def test_leftovers_of_a_dead_process(root: Root, look: Look) -> None:
    """Temporary files of a process that is gone are told without being touched, and removed by `--fix`."""
    dead = root.storage / ".wheelyard/tmp/99999-abcd"
    dead.mkdir()
    (dead / "owner").touch()
    (dead / "spool-99999-00").write_bytes(b"x" * 100)
    said = look()
    assert (said.code, said.codes) == (1, ["leftover"])
    assert "1 temporary files with 100 bytes" in said.one("leftover")["text"]
    assert (dead / "spool-99999-00").exists()
    assert look("--fix").one("leftover")["done"] == "removed"
    assert not dead.exists()


def test_temporary_files_of_a_living_process_stay(root: Root, look: Look) -> None:
    """What a living process has under way is neither told nor touched."""

    async def act() -> None:
        store = Store(FileSystemBackend(root.storage), name="main")
        await store.start()
        spool = await store.spool()
        spool.write(b"under way")
        assert await anyio.to_thread.run_sync(look, "--fix") == Said(0, [])
        assert spool.path.read_bytes() == b"under way"
        spool.discard()
        await store.stop()

    anyio.run(act)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", steps.SCENARIOS)
def test_leftovers_of_a_publish_killed_at_any_step(
    scenario: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """UP-13: whatever a process killed at any step left is found and put away, and a second look finds nothing of it."""
    killed = tmp_path / "killed"
    killed.mkdir()
    subprocess.run([sys.executable, steps.__file__, killed, scenario, "before"], check=True, timeout=300)
    folders = sorted(path for path in killed.iterdir() if path.is_dir())
    assert len(folders) > 10
    for folder in folders[:: max(1, len(folders) // 8)]:
        root = make_root(tmp_path / f"root-{folder.name}")
        root.storage.parent.mkdir(parents=True)
        shutil.copytree(folder, root.storage)
        record = root.project("demo") / "index.json"
        # That harness writes records of its own kind; only the files beside them are looked at here.
        if record.exists():
            record.unlink()
        loose = {path.name: path.read_bytes() for path in root.project("demo").glob("demo-*")}
        age(*(root.project("demo") / name for name in loose))
        doctor(root, capsys, "--fix")
        assert doctor(root, capsys).findings == [], folder.name
        kept = {Path(key).name: content for key, content in root.quarantined().items()}
        assert kept == loose, folder.name


# --- owners and modes ----------------------------------------------------------------------------------------------


def test_unreadable_record(root: Root, look: Look) -> None:
    """A record without the right to read it is told by its mode, also to root, and made readable."""
    record = root.project("demo") / "index.json"
    record.chmod(0o200)
    said = look()
    assert (said.code, said.one("unreadable")["key"]) == (3, "simple/demo/index.json")
    look("--fix")
    assert record.stat().st_mode & 0o777 == 0o600
    assert look() == Said(0, [])


def test_world_writable(root: Root, look: Look) -> None:
    """What everybody may change is told and closed."""
    record = root.project("demo") / "index.json"
    record.chmod(0o666)
    root.project("demo").chmod(0o777)
    said = look()
    assert (said.code, said.codes) == (1, ["world-writable", "world-writable"])
    assert look("--fix").code == 1
    assert (record.stat().st_mode & 0o777, root.project("demo").stat().st_mode & 0o777) == (0o664, 0o775)


@pytest.fixture
def somebodys(published: Path) -> Iterator[Root]:
    """A ROOT of another user, where that user can reach it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    shutil.copytree(published, folder / "root")
    for path in (folder / "root", *(folder / "root").rglob("*")):
        os.chown(path, SOMEBODY, SOMEBODY)
    yield Root(folder / "root")
    shutil.rmtree(folder)


@needs_root
def test_root_leaves_nothing_of_its_own(somebodys: Root, capsys: pytest.CaptureFixture[str]) -> None:
    """As root the doctor acts as the storage's owner: nothing it makes is in the way of the server."""
    for lock in (somebodys.storage / ".wheelyard/locks").iterdir():
        lock.unlink()
    orphan = somebodys.project("demo") / "demo-3.0-py3-none-any.whl"
    orphan.write_bytes(b"half")
    age(orphan)
    os.chown(orphan, SOMEBODY, SOMEBODY)
    assert doctor(somebodys, capsys).codes == ["orphan"]
    assert doctor(somebodys, capsys, "--fix").code == 1
    assert {path.stat().st_uid for path in somebodys.storage.rglob("*")} == {SOMEBODY}
    assert os.geteuid() == 0


@needs_root
def test_leftovers_of_root_are_given_back(somebodys: Root, capsys: pytest.CaptureFixture[str]) -> None:
    """A lock file that root left keeps the server from publishing: an error, given back by `--fix`."""
    lock = somebodys.storage / ".wheelyard/locks/publish-00"
    lock.touch(mode=0o600)
    os.chown(lock, 0, 0)
    said = doctor(somebodys, capsys)
    assert (said.code, said.one("other-owner")["severity"]) == (3, "error")
    assert doctor(somebodys, capsys, "--fix").code == 1
    assert lock.stat().st_uid == SOMEBODY


# --- time and room -------------------------------------------------------------------------------------------------


def test_files_from_the_future(root: Root, look: Look) -> None:
    """Files from the future are told once, with an example; a clock that is days behind is told as such."""
    path = root.project("demo") / "demo-2.0.tar.gz"
    moment = time.time() + 3600
    os.utime(path, (moment, moment))
    said = look()
    assert (said.code, said.codes) == (1, ["time-in-future"])
    moment += 30 * 86_400
    os.utime(path, (moment, moment))
    assert look().codes == ["clock-far-off", "time-in-future"]


def test_storage_that_is_gone(root: Root, look: Look) -> None:
    """A storage folder that lost everything is most likely not mounted: nothing is concluded from what is not there."""
    shutil.move(root.storage, root.path / "elsewhere")
    root.storage.mkdir()
    said = look()
    assert (said.code, said.codes) == (3, ["storage-unavailable"])
