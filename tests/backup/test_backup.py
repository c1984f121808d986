"""What a backup holds: everything, unharmed, in snapshots that share what did not change."""

import fcntl
import hashlib
import json
import os
import sqlite3
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from doctor.roots import CONFIG, Root
from wheelyard.cli.dispatch import run
from wheelyard.index.backup_files import open_source, snapshots
from wheelyard.index.interface import Delete
from wheelyard.model import Filename
from wheelyard.state.database import Database
from wheelyard.testing.builders import WheelBuilder

Wheelyard = Callable[..., Any]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def last(backup: Path) -> Path:
    return snapshots(backup)[-1]


def test_snapshot_is_the_storage(root: Root, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """A snapshot has the same tree as the storage, the configuration, and a manifest with every digest."""
    done = wheelyard("backup", root.path, "--to", tmp_path / "backup", "--verify")
    assert (done.code, done.err) == (0, "")
    assert "2 projects, 8 files copied" in done.out
    snapshot = last(tmp_path / "backup")
    assert tree(snapshot / "indexes/main/simple") == tree(root.storage / "simple")
    assert (snapshot / "config.toml").read_text() == CONFIG
    manifest = json.loads((snapshot / "manifest.json").read_bytes())
    told = {path: digest for path, (_, digest) in manifest["files"].items()}
    there = {path: hashlib.sha256(content).hexdigest() for path, content in tree(snapshot).items()}
    del there["manifest.json"]
    assert told == there


def test_nobody_else_may_read_it(root: Root, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """A backup holds secrets and private packages: its folders and files are its owner's only."""
    old = os.umask(0)
    try:
        wheelyard("backup", root.path, "--to", tmp_path / "backup")
    finally:
        os.umask(old)
    snapshot = last(tmp_path / "backup")
    assert stat.S_IMODE((snapshot / "config.toml").stat().st_mode) == 0o600
    assert stat.S_IMODE(snapshot.stat().st_mode) == 0o700


def test_a_backup_changes_nothing(root: Root, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """Copying touches nothing of the server's: no lock, no temporary folder, no time of a file."""
    before = {path: path.lstat().st_mtime_ns for path in (root.path, *root.path.rglob("*"))}
    wheelyard("backup", root.path, "--to", tmp_path / "backup")
    assert {path: path.lstat().st_mtime_ns for path in (root.path, *root.path.rglob("*"))} == before


def test_unchanged_files_are_not_copied(root: Root, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """The next snapshot shares what did not change, and both are whole by themselves."""
    backup = tmp_path / "backup"
    wheelyard("backup", root.path, "--to", backup)
    before = tree(last(backup))
    root.publish(WheelBuilder("demo", "3.0").build(tmp_path))
    done = wheelyard("backup", root.path, "--to", backup, "--verify")
    assert "2 files copied" in done.out
    assert "8 unchanged" in done.out
    first, second = snapshots(backup)
    name = "indexes/main/simple/demo/demo-1.0-py3-none-any.whl"
    assert (first / name).stat().st_ino == (second / name).stat().st_ino
    assert (first / name).stat().st_ino != (root.project("demo") / "demo-1.0-py3-none-any.whl").stat().st_ino
    assert tree(first) == before
    assert tree(second / "indexes/main/simple") == tree(root.storage / "simple")


def test_deleted_file_stays_in_the_snapshot_before(root: Root, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """A delete is in the next snapshot, and what it removed is in the one before."""
    backup = tmp_path / "backup"
    wheelyard("backup", root.path, "--to", backup)
    root.change("demo", Delete(frozenset({Filename("demo-2.0.tar.gz")})))
    wheelyard("backup", root.path, "--to", backup)
    first, second = (folder / "indexes/main/simple/demo/demo-2.0.tar.gz" for folder in snapshots(backup))
    assert (first.exists(), second.exists()) == (True, False)


def test_clock_that_goes_back(root: Root, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """The newest snapshot is the one made last, also when the clock was set back meanwhile."""
    backup = tmp_path / "backup"
    wheelyard("backup", root.path, "--to", backup)
    last(backup).rename(backup / "snapshots/29990101T000000.000000Z")
    wheelyard("backup", root.path, "--to", backup)
    assert [folder.name for folder in snapshots(backup)] == ["29990101T000000.000000Z", "29990101T000000.000001Z"]


def test_damaged_snapshot_before(root: Root, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """A snapshot whose manifest is damaged does not keep the next one from being made."""
    backup = tmp_path / "backup"
    wheelyard("backup", root.path, "--to", backup)
    (last(backup) / "manifest.json").write_bytes(b"{")
    assert wheelyard("backup", root.path, "--to", backup, "--verify").code == 0
    assert len(snapshots(backup)) == 2


def test_tar(root: Root, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """A file name that ends in `.tar` makes one whole tar file, which any tar reads."""
    place = tmp_path / "backup.tar"
    assert wheelyard("backup", root.path, "--to", place, "--verify").code == 0
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xf", place, "-C", tmp_path / "out"], check=True)
    assert tree(tmp_path / "out/indexes/main/simple") == tree(root.storage / "simple")
    with tarfile.open(place) as tar:
        assert "manifest.json" in tar.getnames()


def test_leftovers_of_a_killed_backup(root: Root, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """What a killed backup left is not taken for a snapshot, and the next one removes it."""
    backup = tmp_path / "backup"
    partial = backup / "snapshots/.partial-20260101T000000.000000Z"
    partial.mkdir(parents=True)
    (partial / "config.toml").write_text("half")
    assert snapshots(backup) == []
    wheelyard("backup", root.path, "--to", backup)
    assert not partial.exists()
    assert len(snapshots(backup)) == 1


def test_two_at_once(root: Root, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """A second backup to one folder at the same moment is refused, and disturbs nothing."""
    backup = tmp_path / "backup"
    wheelyard("backup", root.path, "--to", backup)
    with (backup / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = wheelyard("backup", root.path, "--to", backup)
    assert (done.code, "is under way" in done.err) == (1, True)
    assert len(snapshots(backup)) == 1


def test_into_the_storage_itself(root: Root, wheelyard: Wheelyard) -> None:
    """A backup into the storage that it copies is refused before anything is written."""
    before = tree(root.path)
    assert wheelyard("backup", root.path, "--to", root.storage / "backup").code == 1
    assert tree(root.path) == before


# --- damage --------------------------------------------------------------------------------------------------------


def test_damaged_file(root: Root, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """A damaged file is told and left out, everything else is copied, and the exit code says so."""
    (root.project("demo") / "demo-2.0.tar.gz").write_bytes(b"damaged")
    done = wheelyard("backup", root.path, "--to", tmp_path / "backup", "--verify")
    assert (done.code, "demo-2.0.tar.gz: it is not what was published" in done.err) == (3, True)
    manifest = open_source(tmp_path / "backup").manifest
    assert list(manifest.missing) == ["indexes/main/simple/demo/demo-2.0.tar.gz"]
    assert "indexes/main/simple/demo/demo-2.0-py3-none-any.whl" in manifest.files


@pytest.mark.parametrize("name", ["backup.tar", "backup"])
def test_missing_file(root: Root, wheelyard: Wheelyard, tmp_path: Path, name: str) -> None:
    """A file that is gone is told the same way, in a tar file too."""
    (root.project("demo") / "demo-2.0.tar.gz").unlink()
    done = wheelyard("backup", root.path, "--to", tmp_path / name, "--verify")
    assert (done.code, "it is not there" in done.err) == (3, True)


def test_damage_does_not_spread(root: Root, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """What was copied before its damage is taken from the backup before; a damaged record leaves its project as it was."""
    backup = tmp_path / "backup"
    wheelyard("backup", root.path, "--to", backup)
    before = tree(last(backup) / "indexes")
    (root.project("demo") / "demo-2.0.tar.gz").write_bytes(b"damaged")
    (root.project("other") / "index.json").write_bytes(b"{")
    done = wheelyard("backup", root.path, "--to", backup, "--verify")
    assert (done.code, "kept as it was at" in done.err) == (3, True)
    assert tree(last(backup) / "indexes") == before


def test_verify_finds_rot_in_the_backup(root: Root, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """`--verify` reads shared files again too, so rot of an older copy is found."""
    backup = tmp_path / "backup"
    wheelyard("backup", root.path, "--to", backup)
    path = last(backup) / "indexes/main/simple/demo/demo-2.0.tar.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    done = wheelyard("backup", root.path, "--to", backup, "--verify")
    assert (done.code, "demo-2.0.tar.gz" in done.err) == (1, True)


# --- the server's database -----------------------------------------------------------------------------------------


def test_database_in_use(root: Root, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """The database is copied whole while another process has it open, rows that are only in its journal included."""
    database = Database(root.path / "state/wheelyard.sqlite3")
    database.write_now(lambda connection: connection.exec_driver_sql("CREATE TABLE t (x)"))
    database.write_now(lambda connection: connection.exec_driver_sql("INSERT INTO t VALUES (42)"))
    wheelyard("backup", root.path, "--to", tmp_path / "backup", "--verify")
    anyio.run(database.close)
    connection = sqlite3.connect(last(tmp_path / "backup") / "state.sqlite3")
    assert connection.execute("SELECT x FROM t").fetchall() == [(42,)]
    connection.close()


def test_damaged_database(root: Root, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """A damaged database is told, and keeps nothing else from being copied."""
    (root.path / "state").mkdir()
    (root.path / "state/wheelyard.sqlite3").write_bytes(b"x" * 8192)
    done = wheelyard("backup", root.path, "--to", tmp_path / "backup")
    assert (done.code, "database cannot be copied" in done.err) == (3, True)
    assert open_source(tmp_path / "backup").manifest.indexes == {"main": "file_system"}


# --- a full disk ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for one backup and a little more."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "none", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("name", ["backup", "backup.tar"])
def test_full_disk(root: Root, small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A disk that fills up during a backup leaves the backup before it whole, and nothing of the new one."""
    backup = small_disk / name
    assert run(["wheelyard", "backup", str(root.path), "--to", str(backup)], {}) == 0
    before = tree(small_disk)
    root.publish(WheelBuilder("large", "1.0", files={"x.bin": os.urandom(800_000)}).build(tmp_path))
    capsys.readouterr()
    assert run(["wheelyard", "backup", str(root.path), "--to", str(backup)], {}) == 1
    err = capsys.readouterr().err
    assert "cannot be written: No space left on device" in err
    assert "The backup before it is as it was" in err
    assert tree(small_disk) == before
    with open_source(backup) as source:
        assert [why for _, why in source.verify() if why] == []
