"""The local copy of an OSV database: loaded as a whole or not at all, and never read as empty when it is damaged."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from policy.conftest import osv_record
from wheelyard.cli.osv import scorer
from wheelyard.errors import InvalidDocument, PolicyUnavailable
from wheelyard.index.policy.database import FILE, AdvisoryDatabase, Loaded, load_database
from wheelyard.index.policy.severity import Severity
from wheelyard.model import NormalizedName

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DEMO, OTHER = NormalizedName("demo"), NormalizedName("other")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A ZIP file as OSV databases publish it."""
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("GHSA-1.json", osv_record("GHSA-1", "demo", fixed="2.0", aliases=["CVE-1"]))
        archive.writestr("PYSEC-1.json", osv_record("PYSEC-1", "demo", severity=None, aliases=["CVE-1"]))
        archive.writestr("MAL-1.json", osv_record("MAL-1", "other", severity=None, modified="2026-02-02T00:00:00Z"))
        archive.writestr("README", "not a record")
    return path


def load(source: Path, root: Path) -> Loaded:
    return load_database(source, root, score=scorer(), now=NOW)


async def test_load(records: Path, root: Path) -> None:
    """Every record of an archive is found by its project, and which state of the database it is stays known."""
    loaded = load(records, root)
    assert loaded == Loaded(
        source="all.zip", loaded_at="2026-03-01T00:00:00+00:00", newest="2026-02-02T00:00:00Z", records=3, projects=2
    )
    database = AdvisoryDatabase(root)
    assert await database.loaded() == loaded
    assert [advisory.id for advisory in await database.about(DEMO)] == ["GHSA-1", "PYSEC-1"]
    assert await database.about(NormalizedName("nobody")) == ()
    assert [path.name for path in (root / FILE).parent.iterdir()] == [FILE.name]


async def test_severity_by_alias(records: Path, root: Path) -> None:
    """A record without a score has that of the same vulnerability under another name; one without any stays unknown."""
    load(records, root)
    found = {advisory.id: advisory for advisory in await AdvisoryDatabase(root).about(DEMO)}
    assert found["PYSEC-1"].severity is Severity.CRITICAL
    assert (await AdvisoryDatabase(root).about(OTHER))[0].severity is Severity.UNKNOWN


async def test_folder_and_single_record(root: Path, tmp_path: Path) -> None:
    """A folder of records and a single one load as an archive does, each in place of all before."""
    folder = tmp_path / "records" / "deeper"
    folder.mkdir(parents=True)
    (folder / "a.json").write_bytes(osv_record("GHSA-1", "demo"))
    (folder / "b.json").write_bytes(osv_record("GHSA-2", "demo"))
    database = AdvisoryDatabase(root)
    load(folder.parent, root)
    assert len(await database.about(DEMO)) == 2
    before = database.revision()
    load(folder / "b.json", root)
    assert database.revision() != before
    assert [advisory.id for advisory in await database.about(DEMO)] == ["GHSA-2"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"a.json": b"{"}, id="no-json"),
        pytest.param({"a.json": osv_record("GHSA-9", "demo"), "b.json": b'{"id": 1}'}, id="one-of-two"),
        pytest.param({"a.json": osv_record("GHSA-9", "demo", withdrawn="now")}, id="nothing-about-a-project"),
        pytest.param({"README": b"x"}, id="no-records"),
    ],
)
async def test_refused(content: dict[str, bytes], records: Path, root: Path, tmp_path: Path) -> None:
    """A database that cannot be read whole is refused, and what was loaded before stays."""
    load(records, root)
    broken = tmp_path / "broken.zip"
    with zipfile.ZipFile(broken, "w") as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    with pytest.raises(InvalidDocument):
        load(broken, root)
    assert len(await AdvisoryDatabase(root).about(DEMO)) == 2
    assert [path.name for path in (root / FILE).parent.iterdir()] == [FILE.name]


def test_damaged_archive(records: Path, root: Path) -> None:
    """A damaged ZIP file is refused."""
    content = bytearray(records.read_bytes())
    content[60:90] = bytes(30)
    records.write_bytes(content)
    with pytest.raises(InvalidDocument):
        load(records, root)


async def test_missing(root: Path) -> None:
    """Without a database the answer is an error that says what to do, not "no advisories"."""
    with pytest.raises(PolicyUnavailable) as caught:
        await AdvisoryDatabase(root).about(DEMO)
    assert "wheelyard osv load" in (caught.value.hint or "")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 3 * 4096])


def _overwrite(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\x55" * 4096
    path.write_bytes(content)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _other_format(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE about SET value = '99' WHERE key = 'format'")
    connection.close()


def _lost_rows(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM advisories WHERE id = 'GHSA-1'")
    connection.close()


def _bad_row(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE advisories SET content = '{}'")
    connection.close()


@pytest.mark.parametrize("damage", [_cut, _overwrite, _empty, _other_format, _lost_rows, _bad_row])
async def test_damaged(damage: object, records: Path, root: Path) -> None:
    """A damaged database is an error for every project, whatever is damaged."""
    load(records, root)
    assert callable(damage)
    damage(root / FILE)
    with pytest.raises(PolicyUnavailable):
        await AdvisoryDatabase(root).about(DEMO)


async def test_damaged_while_open(records: Path, root: Path) -> None:
    """A database that is damaged after it was read is noticed, and one that is loaded again is read again."""
    load(records, root)
    database = AdvisoryDatabase(root)
    await database.about(DEMO)
    _empty(root / FILE)
    with pytest.raises(PolicyUnavailable):
        await database.about(DEMO)
    load(records, root)
    assert len(await database.about(DEMO)) == 2


def test_record_keeps_everything(root: Path, tmp_path: Path) -> None:
    """The file on disk is plain SQLite with JSON, for whoever wants to look."""
    (tmp_path / "a.json").write_bytes(osv_record("GHSA-1", "demo", fixed="2.0"))
    load(tmp_path / "a.json", root)
    connection = sqlite3.connect(root / FILE)
    rows = connection.execute("SELECT project, id, content FROM advisories").fetchall()
    connection.close()
    assert [(row[0], row[1]) for row in rows] == [("demo", "GHSA-1")]
    assert json.loads(rows[0][2])["ranges"] == [[["introduced", "0"], ["fixed", "2.0"]]]
