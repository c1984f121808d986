"""Configuration, secrets, ROOT and the server's own database; and how the command is used."""

import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from doctor.roots import CONFIG, READ_SECRET, WRITE_SECRET, Root, Said
from wheelyard.backends.memory import plugin
from wheelyard.cli.dispatch import run
from wheelyard.compose import publish_limits
from wheelyard.index.doctor import Doctor, DoctorOptions
from wheelyard.index.hosted import HostedIndex, file_key, record_key
from wheelyard.index.interface import Upload
from wheelyard.model import NormalizedName
from wheelyard.protocol.upload_form import UploadForm
from wheelyard.settings import IndexSettings, LimitSettings
from wheelyard.state.database import Database
from wheelyard.storage.findings import Finding, Severity
from wheelyard.storage.interface import BackendContext
from wheelyard.storage.spool import spool_bytes
from wheelyard.storage.store import Store
from wheelyard.testing.builders import WheelBuilder, form_fields

Look = Callable[..., Said]
GUIDE = Path(__file__).parents[2] / "docs/guides/doctor-and-backup.md"
SOURCE = Path(__file__).parents[2] / "src/wheelyard"


def test_each_code_is_explained() -> None:
    """Each code that a finding can have has one row in the guide, and nothing else does."""
    text = "".join(
        path.read_text()
        for path in [
            *SOURCE.glob("index/doctor*.py"),
            SOURCE / "cli/doctor_root.py",
            SOURCE / "backends/filesystem/examine.py",
        ]
    )
    calls = re.findall(r"(?:_found|_failed|Finding|_Wrong)\(\s*(?:facts,\s*)?\"([a-z-]+)\"", text)
    rows = re.findall(r"^\| `([a-z-]+)` \|", GUIDE.read_text(), re.MULTILINE)
    assert sorted(set(calls) | {"file-altered"}) == sorted(rows)


def test_wrong_configuration(root: Root, look: Look) -> None:
    """A configuration that does not load is exit code 2, with every mistake as a finding."""
    (root.path / "config.toml").write_text('[main]\ntype = "file_system"\n')
    said = look()
    assert (said.code, said.codes) == (2, ["config-wrong", "config-wrong"])


def test_wrong_configuration_for_people(root: Root, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json the mistakes are printed as every command prints them."""
    (root.path / "config.toml").write_text("nonsense")
    assert run(["wheelyard", "doctor", str(root.path)], {}) == 2
    assert "the configuration has 1 mistake" in capsys.readouterr().err


def test_equal_and_weak_secrets(root: Root, look: Look) -> None:
    """Secrets that are equal or can be guessed are warnings, and never printed."""
    (root.path / "config.toml").write_text(CONFIG.replace(READ_SECRET, "hunter2x").replace(WRITE_SECRET, "hunter2x"))
    said = look()
    assert (said.code, sorted(said.codes)) == (1, ["config-warning", "secret-weak", "secret-weak"])
    assert "hunter2x" not in json.dumps(said.findings)


@pytest.mark.parametrize(("mode", "code", "after"), [(0o644, 1, 0o640), (0o666, 3, 0o640), (0o660, 1, 0o640)])
def test_configuration_open_to_others(root: Root, look: Look, mode: int, code: int, after: int) -> None:
    """A configuration that others may read or change is told, and closed; a group that may read it stays."""
    config = root.path / "config.toml"
    config.chmod(mode)
    said = look()
    assert (said.code, said.codes) == (code, ["secret-readable"])
    assert look("--fix").code == 1
    assert config.stat().st_mode & 0o777 == after


def test_database(root: Root, look: Look) -> None:
    """A sound database has no finding; a damaged one is an error, one set aside is only mentioned."""
    path = root.path / "state/wheelyard.sqlite3"
    database = Database(path)
    database.write_now(lambda connection: connection.exec_driver_sql("CREATE TABLE t (x)"))
    anyio.run(database.close)
    assert look() == Said(0, [])
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    said = look()
    assert (said.code, said.codes) == (3, ["state-damaged"])
    path.rename(path.with_name(f"{path.name}.damaged-20260101"))
    said = look()
    assert (said.code, said.codes) == (0, ["state-set-aside"])


def test_damaged_database_is_not_touched(root: Root, look: Look) -> None:
    """Looking at a database in use changes nothing in it and leaves nothing beside it."""
    path = root.path / "state/wheelyard.sqlite3"
    path.parent.mkdir(mode=0o700)
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    path.chmod(0o600)
    before = path.read_bytes()
    assert look("--fix") == Said(0, [])
    assert (path.read_bytes(), [each.name for each in path.parent.iterdir()]) == (before, [path.name])


# --- how it is used ------------------------------------------------------------------------------------------------


def test_argument_is_a_root_or_an_index(
    root: Root, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder is a ROOT, another word the name of an index; a wrong one is a mistake that is told."""
    monkeypatch.chdir(root.path)
    assert run(["wheelyard", "doctor", "."], {}) == 0
    assert run(["wheelyard", "doctor", "main", "--root", "."], {}) == 0
    assert run(["wheelyard", "doctor", ".", "--index", "MAIN"], {}) == 0
    assert run(["wheelyard", "doctor", "other", "--root", "."], {}) == 1
    assert "other" in capsys.readouterr().err


def test_text(root: Root, capsys: pytest.CaptureFixture[str]) -> None:
    """For people each finding is two lines: what is wrong, and what to do."""
    (root.project("demo") / "demo-2.0.tar.gz").unlink()
    assert run(["wheelyard", "doctor", str(root.path)], {}) == 3
    out = capsys.readouterr().out
    assert (
        "error   file-missing: main: the page lists 'demo-2.0.tar.gz', and it is not there\n        restore it" in out
    )
    assert "`--fix` repairs" in out


def test_progress_only_for_people(root: Root) -> None:
    """A bar is drawn on stderr when a person watches, and nothing when nobody does."""
    command = [sys.executable, "-m", "wheelyard", "doctor", str(root.path)]
    piped = subprocess.run(command, capture_output=True, check=False)
    assert piped.stderr == b""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, env=environment, check=False)
    os.close(theirs)
    assert b"checking main" in os.read(ours, 100_000)
    os.close(ours)
    assert done.stdout == piped.stdout


# --- other stores --------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_store_without_a_folder(tmp_path: Path) -> None:
    """In a store that is no folder damage is found too, and nothing is moved, since there is no place for it."""
    store = Store(plugin.open(plugin.options(), BackendContext(name="main", folder=tmp_path)), name="main")
    await store.start()
    settings = IndexSettings(name="main", type="memory", options=None)
    limits = publish_limits(settings, LimitSettings())
    index = HostedIndex("main", store, limits=limits, clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    path = WheelBuilder("demo", "1.0").build(tmp_path)
    fields = {key: tuple(values) for key, values in form_fields(path).items()}
    with await spool_bytes(tmp_path, path.read_bytes()) as spool:
        await index.publish(Upload(UploadForm("file_upload", "1", fields), path.name, spool, "test"))

    async def found(*, fix: bool) -> list[Finding]:
        told: list[Finding] = []
        options = DoctorOptions(fix=fix, grace=timedelta(0))
        doctor = Doctor(store, clock=lambda: datetime(2026, 1, 2, tzinfo=UTC), options=options)
        await doctor.run(told.append)
        return told

    assert await found(fix=False) == []
    key = file_key(NormalizedName("demo"), path.name)
    await store.delete(key)
    await store.put_bytes(key, b"other bytes")
    await store.put_bytes(file_key(NormalizedName("demo"), "demo-2.0-py3-none-any.whl"), b"left")
    told = await found(fix=True)
    assert [(each.code, each.severity, each.fixable, each.done) for each in told] == [
        ("file-altered", Severity.ERROR, False, ""),
        ("orphan", Severity.WARNING, False, ""),
    ]
    assert (await store.read(record_key(NormalizedName("demo")))).content
