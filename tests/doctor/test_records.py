"""Damage to records: built again from what is certain, closed where something is not."""

import json
from collections.abc import Callable

import pytest

from doctor.roots import Root, Said, age
from wheelyard.index.interface import SetStatus, Yank
from wheelyard.model import Filename, ProjectStatus

Look = Callable[..., Said]
WHEEL = "demo-1.0-py3-none-any.whl"
NAMES = ["demo-1.0-py3-none-any.whl", "demo-2.0-py3-none-any.whl", "demo-2.0.tar.gz"]


def test_record_that_is_no_json(root: Root, look: Look) -> None:
    """A truncated record is built again from its files, and closed: nobody knows what was yanked or withdrawn."""
    path = root.project("demo") / "index.json"
    before = root.record("demo")
    path.write_bytes(path.read_bytes()[:-300])
    damaged = path.read_bytes()
    said = look()
    assert (said.code, said.codes, said.one("record-damaged")["fixable"]) == (3, ["record-damaged"], True)
    said = look("--fix")
    found = said.one("record-damaged")
    assert (said.code, found["lost"]) == (3, True)
    assert "yanks" in found["done"]
    after = root.record("demo")
    assert after["project-status"]["status"] == "quarantined"
    assert [file["filename"] for file in after["files"]] == NAMES
    assert after["versions"] == before["versions"]
    certain = ("filename", "url", "hashes", "size", "requires-python", "core-metadata", "_md5", "_version", "_kind")
    for mine, theirs in zip(after["files"], before["files"], strict=True):
        assert {key: mine.get(key) for key in certain} == {key: theirs.get(key) for key in certain}
    assert root.quarantined() == {"simple/demo/index.json": damaged}
    assert root.page("demo").files == ()  # PEP 792: offers nothing until somebody looked
    assert look() == Said(0, [])


def test_damaged_record_keeps_its_name_taken(root: Root, look: Look) -> None:
    """A record without any file that is certain becomes a closed, empty project: no other index is asked for its name."""
    for path in root.project("other").glob("*.whl*"):
        path.unlink()
    (root.project("other") / "index.json").write_bytes(b"")
    look("--fix")
    page = root.page("other")
    assert (page.status, page.files) == (ProjectStatus.QUARANTINED, ())


def test_record_of_another_project(root: Root, look: Look) -> None:
    """A record that was copied from another project says nothing about this one."""
    (root.project("other") / "index.json").write_bytes((root.project("demo") / "index.json").read_bytes())
    assert "record of project 'demo'" in look().one("record-damaged")["text"]
    look("--fix")
    record = root.record("other")
    assert [file["filename"] for file in record["files"]] == ["other-0.1-py3-none-any.whl"]
    assert record["project-status"]["status"] == "quarantined"


def test_one_damaged_entry(root: Root, look: Look) -> None:
    """What is still JSON is mended piece by piece: status, yanks and times stay, only the damaged entry is derived."""
    root.change("demo", Yank(frozenset({Filename(WHEEL)}), None, "does not start"))
    root.change("demo", SetStatus(ProjectStatus.DEPRECATED, "use other"))
    before = root.record("demo")
    record = root.record("demo")
    record["files"][0]["size"] = "many"
    root.rewrite("demo", record)
    said = look("--fix")
    assert (said.code, said.one("record-damaged")["lost"]) == (1, False)
    assert root.record("demo") == before
    assert look() == Said(0, [])


def test_yank_that_cannot_be_read_stays_a_yank(root: Root, look: Look) -> None:
    """An entry whose yank is damaged is yanked: what was withdrawn must not come back by a repair."""
    record = root.record("demo")
    record["files"][0]["yanked"] = 7
    root.rewrite("demo", record)
    look("--fix")
    assert root.page("demo").files[0].yanked == ""


def test_status_that_cannot_be_read_closes_the_project(root: Root, look: Look) -> None:
    """A status that cannot be read counts as the most careful one."""
    record = root.record("demo")
    record["project-status"] = {"status": "quarantinex"}
    root.rewrite("demo", record)
    said = look("--fix")
    assert "its status" in said.one("record-damaged")["done"]
    assert root.page("demo").status is ProjectStatus.QUARANTINED


def test_record_of_a_newer_version(root: Root, look: Look) -> None:
    """A record of a newer version is never touched."""
    record = root.record("demo")
    record["meta"]["_record"] = 2
    root.rewrite("demo", record)
    before = root.everything()
    said = look("--fix")
    assert (said.code, said.one("record-newer")["fixable"]) == (3, False)
    assert root.everything() == before


def test_lost_record(root: Root, look: Look) -> None:
    """Files without a record are never listed again by themselves, since their project may have been deleted."""
    files = {path.name: path.read_bytes() for path in root.project("demo").iterdir() if path.name != "index.json"}
    (root.project("demo") / "index.json").unlink()
    assert look().codes == ["orphan"] * 6  # they are young: mentioned only
    assert look().code == 0
    age(*(root.project("demo") / name for name in files))
    said = look()
    assert (said.code, said.codes) == (3, ["record-missing"] + ["orphan"] * 6)
    assert look("--fix").code == 3
    assert root.quarantined() == {f"simple/demo/{name}": content for name, content in files.items()}
    assert look() == Said(0, [])


def test_versions(root: Root, look: Look) -> None:
    """PEP 700: versions that are not those of the files are derived again."""
    before = root.record("demo")
    root.rewrite("demo", {**before, "versions": ["1.0", "9.9"]})
    said = look("--fast")
    assert (said.code, said.codes) == (1, ["versions-wrong"])
    assert look("--fix").code == 1
    assert root.record("demo") == before


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("_version", "7.0"),
        ("_kind", "sdist"),
        ("_md5", "0" * 32),
        ("_blake2b_256", "0" * 64),
        ("_metadata", "0" * 64),
        ("size", 5),
        ("url", "other.whl"),
        ("requires-python", ">=2"),
        ("core-metadata", {"sha256": "0" * 64}),
        ("hashes", {"sha256": "0" * 64}),
    ],
)
def test_derived_key(root: Root, look: Look, key: str, value: object) -> None:
    """What follows from the file is held against the file, and written again; of three digests two outvote the third."""
    before = root.record("demo")
    record = json.loads(json.dumps(before))
    record["files"][0][key] = value
    root.rewrite("demo", record)
    assert "entry-wrong" in look().codes
    assert look("--fix").code == 1
    assert root.record("demo") == before
    assert look() == Said(0, [])


def test_two_wrong_digests_are_no_majority(root: Root, look: Look) -> None:
    """When the record's digests disagree with the file, and only one other agrees, the file counts as altered."""
    record = root.record("demo")
    record["files"][0]["hashes"]["sha256"] = "0" * 64
    record["files"][0]["_md5"] = "0" * 32
    root.rewrite("demo", record)
    assert "file-altered" in look().codes


def test_published_in_the_future(root: Root, look: Look) -> None:
    """DC-07: an upload time in the future hides a file from clients with a cooldown."""
    record = root.record("demo")
    record["files"][0]["upload-time"] = "2999-01-01T00:00:00Z"
    root.rewrite("demo", record)
    said = look()
    assert (said.code, said.codes, said.one("time-in-future")["fixable"]) == (1, ["time-in-future"], False)
