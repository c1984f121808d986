"""What a restore brings back, and what it refuses to replace."""

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from doctor.roots import CONFIG, READ_SECRET, Root, age, doctor
from wheelyard.compose import make_app
from wheelyard.index.backup_files import snapshots
from wheelyard.index.interface import Delete, SetStatus, Yank
from wheelyard.model import Filename, ProjectStatus
from wheelyard.settings import load_settings
from wheelyard.testing.builders import WheelBuilder

Wheelyard = Callable[..., Any]
PATHS = ("/simple/", "/simple/demo/", "/simple/other/", "/simple/demo/demo-1.0-py3-none-any.whl")


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def served(root: Path) -> dict[tuple[str, str], bytes]:
    """Every page and file as the whole application serves it."""
    app, server = make_app(load_settings(root, may_generate=False, overrides={"extra_index_url": ""}))
    answers: dict[tuple[str, str], bytes] = {}

    async def run() -> None:
        transport = httpx2.ASGITransport(app=app)
        async with (
            server.app_lifespan(),
            httpx2.AsyncClient(transport=transport, base_url="http://x", auth=("main", READ_SECRET)) as client,
        ):
            for path in PATHS:
                for accept in ("application/vnd.pypi.simple.v1+json", "text/html"):
                    answer = await client.get(path, headers={"accept": accept})
                    assert answer.status_code == 200, (path, answer.text)
                    answers[path, accept] = answer.content

    anyio.run(run)
    return answers


@pytest.fixture
def backup(root: Root, wheelyard: Wheelyard, tmp_path: Path) -> Path:
    root.change("demo", Yank(frozenset({Filename("demo-2.0.tar.gz")}), None, "does not build"))
    root.change("other", SetStatus(ProjectStatus.DEPRECATED, "use demo"))
    assert wheelyard("backup", root.path, "--to", tmp_path / "backup").code == 0
    return tmp_path / "backup"


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_whole(root: Root, backup: Path, wheelyard: Wheelyard, tmp_path: Path, kind: str, capsys: Any) -> None:
    """Restored into an empty folder, every page and file is served byte for byte as before, and the doctor finds nothing."""
    if kind == "tar":
        backup = tmp_path / "backup.tar"
        wheelyard("backup", root.path, "--to", backup)
    done = wheelyard("restore", backup, "--to", tmp_path / "new")
    assert (done.code, done.err) == (0, f"restored {tmp_path / 'new/config.toml'}\n")
    assert "2 projects restored" in done.out
    new = Root(tmp_path / "new")
    assert new.everything() == root.everything()
    assert served(new.path) == served(root.path)
    assert doctor(new, capsys).findings == []
    assert (new.path / "config.toml").stat().st_mode & 0o777 == 0o600


def test_again(backup: Path, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """What is there and the same is left as it is; a restore that was killed may be run again."""
    wheelyard("restore", backup, "--to", tmp_path / "new")
    (tmp_path / "new/cache/main/storage/simple/other/index.json").unlink()
    done = wheelyard("restore", backup, "--to", tmp_path / "new")
    assert (done.code, "1 projects restored, 1 were the same, 0 files written" in done.out) == (0, True)


def test_differing_is_refused(root: Root, backup: Path, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """A project that differs keeps the whole restore from changing anything."""
    root.publish(WheelBuilder("demo", "3.0").build(tmp_path))
    (root.project("other") / "index.json").unlink()
    before = tree(root.path)
    done = wheelyard("restore", backup, "--to", root.path)
    assert (done.code, "'demo'; nothing was changed" in done.err) == (1, True)
    assert tree(root.path) == before


def test_force(root: Root, backup: Path, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """`--force` brings a project back to the backup; the record it had and files published since move to quarantine."""
    before = root.everything()
    wheel = WheelBuilder("demo", "3.0").build(tmp_path)
    root.publish(wheel)
    record = (root.project("demo") / "index.json").read_bytes()
    (root.project("demo") / "demo-1.0-py3-none-any.whl").write_bytes(b"altered")
    done = wheelyard("restore", backup, "--to", root.path, "--project", "Demo", "--force")
    assert (done.code, done.err) == (0, "")
    assert root.everything() == before
    kept = root.quarantined()
    assert kept["simple/demo/index.json"] == record
    assert kept["simple/demo/demo-1.0-py3-none-any.whl"] == b"altered"
    assert kept["simple/demo/demo-3.0-py3-none-any.whl"] == wheel.read_bytes()


def test_altered_file_is_not_replaced_without_force(root: Root, backup: Path, wheelyard: Wheelyard) -> None:
    """A file that is there with other bytes stays, and is told; the other projects are restored."""
    (root.project("demo") / "demo-1.0-py3-none-any.whl").write_bytes(b"altered")
    (root.project("other") / "other-0.1-py3-none-any.whl").unlink()
    done = wheelyard("restore", backup, "--to", root.path)
    assert (done.code, "is there with other bytes" in done.err) == (3, True)
    assert (root.project("demo") / "demo-1.0-py3-none-any.whl").read_bytes() == b"altered"
    assert (root.project("other") / "other-0.1-py3-none-any.whl").exists()


def test_missing(root: Root, backup: Path, wheelyard: Wheelyard, tmp_path: Path, capsys: Any) -> None:
    """`--missing` brings back what is listed or was taken off, changes no record, and the doctor then lists it as it was."""
    before = root.record("demo")
    for name in ("demo-2.0.tar.gz", "demo-1.0-py3-none-any.whl"):
        (root.project("demo") / name).unlink()
    doctor(root, capsys, "--fix")
    assert len(root.record("demo")["files"]) == 1
    (root.project("other") / "other-0.1-py3-none-any.whl").unlink()
    done = wheelyard("restore", backup, "--to", root.path, "--missing")
    assert (done.code, "5 files brought back" in done.out) == (0, True)  # with the metadata of the two taken off
    assert len(root.record("demo")["files"]) == 1
    doctor(root, capsys, "--fix")
    assert root.record("demo") == before
    assert doctor(root, capsys).findings == []


def test_deleted_file_does_not_come_back_as_missing(root: Root, backup: Path, wheelyard: Wheelyard) -> None:
    """What somebody deleted is not missing."""
    root.change("demo", Delete(frozenset({Filename("demo-2.0.tar.gz")})))
    before = root.everything()
    assert wheelyard("restore", backup, "--to", root.path, "--missing").code == 0
    assert root.everything() == before


@pytest.mark.parametrize("damage", ["file", "record", "manifest"])
def test_damaged_backup(backup: Path, wheelyard: Wheelyard, tmp_path: Path, damage: str) -> None:
    """Nothing that is damaged in the backup is listed: its project is refused, by name, before its record is written."""
    snapshot = snapshots(backup)[-1]
    name = {
        "file": "indexes/main/simple/demo/demo-1.0-py3-none-any.whl",
        "record": "indexes/main/simple/demo/index.json",
        "manifest": "manifest.json",
    }[damage]
    content = (snapshot / name).read_bytes()
    (snapshot / name).write_bytes(content[:-20] + b"x" * 20)
    done = wheelyard("restore", backup, "--to", tmp_path / "new")
    assert done.code == {"file": 3, "record": 3, "manifest": 1}[damage]
    assert "damaged" in done.err or "cannot be read" in done.err
    new = Root(tmp_path / "new")
    assert not (new.project("demo") / "index.json").exists()
    assert (new.project("other") / "index.json").exists() == (damage != "manifest")


def test_manifest_that_leads_out(backup: Path, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """A manifest with paths that leave the backup is refused."""
    path = snapshots(backup)[-1] / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["files"]["indexes/main/../../../../etc/passwd"] = [1, "0" * 64]
    path.write_text(json.dumps(manifest))
    done = wheelyard("restore", backup, "--to", tmp_path / "new")
    assert (done.code, "cannot be read" in done.err) == (1, True)
    assert not (tmp_path / "new").exists()


def test_file_that_the_backup_could_not_copy(root: Root, wheelyard: Wheelyard, tmp_path: Path, capsys: Any) -> None:
    """A file that was damaged when the backup was made is told, and not listed by the restored page."""
    (root.project("demo") / "demo-2.0.tar.gz").unlink()
    wheelyard("backup", root.path, "--to", tmp_path / "backup")
    done = wheelyard("restore", tmp_path / "backup", "--to", tmp_path / "new")
    assert (done.code, "demo-2.0.tar.gz' is not in the backup" in done.err) == (3, True)
    new = Root(tmp_path / "new")
    assert [file.filename for file in new.page("demo").files] == [
        "demo-1.0-py3-none-any.whl",
        "demo-2.0-py3-none-any.whl",
    ]
    for path in new.project("demo").iterdir():
        age(path)
    assert [found["code"] for found in doctor(new, capsys).findings] == ["orphan"]  # its metadata


def test_snapshot(root: Root, backup: Path, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """An older snapshot is named by the beginning of its name; one that is not there is refused."""
    before = root.everything()
    root.publish(WheelBuilder("demo", "3.0").build(tmp_path))
    wheelyard("backup", root.path, "--to", backup)
    first = snapshots(backup)[0].name
    assert wheelyard("restore", backup, "--to", tmp_path / "new", "--snapshot", first).code == 0
    assert Root(tmp_path / "new").everything() == before
    assert wheelyard("restore", backup, "--to", tmp_path / "newer", "--snapshot", "1999").code == 1


def test_unknown_names(backup: Path, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """A project or an index that the backup does not have is told."""
    assert "nothing" in wheelyard("restore", backup, "--to", tmp_path / "a", "--project", "nothing").err
    assert "has no index 'nothing'" in wheelyard("restore", backup, "--to", tmp_path / "b", "--index", "nothing").err
    assert wheelyard("restore", tmp_path / "nowhere", "--to", tmp_path / "c").code == 1


# --- ROOT ----------------------------------------------------------------------------------------------------------


def test_configuration_that_is_there_stays(backup: Path, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """A configuration that is already there is used and kept, so that a backup can go to another place."""
    new = tmp_path / "new"
    new.mkdir()
    (new / "config.toml").write_text(CONFIG + f'path = "{tmp_path / "elsewhere"}"\n')
    done = wheelyard("restore", backup, "--to", new)
    assert (done.code, "kept" in done.err) == (0, True)
    assert (tmp_path / "elsewhere/simple/demo/index.json").exists()
    assert "elsewhere" in (new / "config.toml").read_text()


def test_force_of_everything_sets_the_configuration_aside(backup: Path, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """With --force the backup's configuration is taken, and the one that was there stays beside it."""
    new = tmp_path / "new"
    new.mkdir()
    (new / "config.toml").write_text(CONFIG + "anonymous_read = true\n")
    assert wheelyard("restore", backup, "--to", new, "--force").code == 0
    assert (new / "config.toml").read_text() == CONFIG
    assert [path.read_text() for path in new.glob("config.toml.replaced-*")] == [CONFIG + "anonymous_read = true\n"]


def test_configuration_that_names_the_old_place(root: Root, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """A configuration that leads to the folder of the server that was copied is not followed."""
    (root.path / "config.toml").write_text(CONFIG + f'path = "{root.storage}"\n')
    wheelyard("backup", root.path, "--to", tmp_path / "backup")
    before = tree(root.path)
    done = wheelyard("restore", tmp_path / "backup", "--to", tmp_path / "new", "--force")
    assert (done.code, "where packages are already" in done.err) == (1, True)
    assert tree(root.path) == before
    assert list((tmp_path / "new").iterdir()) == []


def test_database(root: Root, wheelyard: Wheelyard, tmp_path: Path) -> None:
    """The database comes back into an empty folder; one that is there stays, and with --force is set aside."""
    (root.path / "state").mkdir(mode=0o700)
    path = root.path / "state/wheelyard.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    wheelyard("backup", root.path, "--to", tmp_path / "backup")
    assert wheelyard("restore", tmp_path / "backup", "--to", tmp_path / "new").code == 0
    restored = tmp_path / "new/state/wheelyard.sqlite3"
    assert restored.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(restored) as connection:
        connection.execute("INSERT INTO t VALUES (1)")
    connection.close()
    wheelyard("restore", tmp_path / "backup", "--to", tmp_path / "new")
    assert _rows(restored) == 1
    wheelyard("restore", tmp_path / "backup", "--to", tmp_path / "new", "--force")
    assert _rows(restored) == 0
    assert len(list(restored.parent.glob("*.replaced-*"))) == 1


def _rows(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        (count,) = connection.execute("SELECT count(*) FROM t").fetchone()
        return int(count)
    finally:
        connection.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to somebody else")
def test_root_gives_what_it_restored_to_the_owner(backup: Path, wheelyard: Wheelyard) -> None:
    """What root restores into somebody's ROOT belongs to that somebody."""
    folder = Path(tempfile.mkdtemp())
    os.chown(folder, 65534, 65534)
    try:
        assert wheelyard("restore", backup, "--to", folder).code == 0
        assert {path.stat().st_uid for path in folder.rglob("*")} == {65534}
    finally:
        shutil.rmtree(folder)
