"""Damage to listed files and their metadata: found, told, and repaired only where nothing is guessed."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from doctor.roots import Root, Said, age
from wheelyard.index.interface import Yank
from wheelyard.model import Filename

Look = Callable[..., Said]
WHEEL = "demo-1.0-py3-none-any.whl"
KEY = f"simple/demo/{WHEEL}"


def flip(path: Path, at: int = 100) -> bytes:
    """Change one byte, keeping size and time."""
    before, status = path.read_bytes(), path.stat()
    path.write_bytes(before[:at] + bytes([before[at] ^ 1]) + before[at + 1 :])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return before


def test_clean(root: Root, look: Look) -> None:
    """A sound folder has no findings, the exit code is 0, and nothing was changed."""
    before = {path: path.lstat().st_mtime_ns for path in root.path.rglob("*") if path.is_file()}
    assert look() == Said(0, [])
    assert look("--fast") == Said(0, [])
    assert {path: path.lstat().st_mtime_ns for path in before} == before


def test_fix_on_a_sound_folder_changes_nothing(root: Root, look: Look) -> None:
    """`--fix` without anything to repair leaves every byte and makes no quarantine."""
    before = root.everything()
    assert look("--fix") == Said(0, [])
    assert root.everything() == before
    assert not (root.storage / ".wheelyard/quarantine").exists()


def test_flipped_byte(root: Root, look: Look) -> None:
    """A flipped bit is found by its digest, and only a fast look passes it over."""
    flip(root.project("demo") / WHEEL)
    assert look("--fast") == Said(0, [])
    said = look()
    found = said.one("file-altered")
    assert (said.code, said.codes) == (3, ["file-altered"])
    assert (found["severity"], found["index"], found["key"], found["fixable"]) == ("error", "main", KEY, True)
    assert "sha256" in found["text"]


@pytest.mark.parametrize("fast", [(), ("--fast",)])
def test_truncated(root: Root, look: Look, fast: tuple[str, ...]) -> None:
    """A truncated file is found by its size too."""
    path = root.project("demo") / WHEEL
    path.write_bytes(path.read_bytes()[:-7])
    assert look(*fast).codes == ["file-altered"]


def test_altered_file_is_taken_off_the_page(root: Root, look: Look) -> None:
    """`--fix` takes an altered file off the page, moves its bytes and keeps its entry; the exit code still tells of it."""
    path = root.project("demo") / WHEEL
    entry = next(file for file in root.record("demo")["files"] if file["filename"] == WHEEL)
    flip(path)
    altered = path.read_bytes()
    said = look("--fix")
    assert (said.code, said.one("file-altered")["lost"]) == (3, True)
    assert "taken off the page" in said.one("file-altered")["done"]
    record = root.record("demo")
    assert WHEEL not in [file["filename"] for file in record["files"]]
    assert record["versions"] == ["2.0"]
    assert record["_quarantined"][WHEEL]["entry"] == entry
    assert record["_deleted"][WHEEL] == entry["hashes"]["sha256"]
    assert root.quarantined()[KEY] == altered
    assert not path.exists()
    assert look() == Said(0, [])


def test_missing_file(root: Root, look: Look) -> None:
    """A listed file that is gone is an error, and with `--fix` is not dropped silently: the record keeps its entry."""
    path = root.project("demo") / WHEEL
    path.unlink()
    assert look("--fast").codes == ["file-missing"]
    said = look("--fix")
    assert said.code == 3
    assert "its entry is kept" in said.one("file-missing")["done"]
    assert WHEEL in root.record("demo")["_quarantined"]
    assert f"{KEY}.metadata" in root.quarantined()


def test_file_that_is_back_is_listed_as_it_was(root: Root, look: Look, tmp_path: Path) -> None:
    """Once the right bytes are back, `--fix` lists the file again with its yank and its time; wrong bytes are not listed."""
    root.change("demo", Yank(frozenset({Filename(WHEEL)}), None, "does not start"))
    before = root.record("demo")
    path = root.project("demo") / WHEEL
    kept = shutil.copy(path, tmp_path / WHEEL)
    path.unlink()
    look("--fix")
    path.write_bytes(b"something else")
    age(path)
    assert look().codes == ["orphan"]
    shutil.copy(kept, path)
    said = look()
    assert (said.code, said.codes) == (1, ["file-returned"])
    said = look("--fix")
    # Its metadata is in quarantine, and derived again from the archive.
    assert sorted(said.codes) == ["file-returned", "metadata-missing"]
    assert said.code == 1
    assert root.record("demo") == before
    assert look() == Said(0, [])


def test_metadata_missing(root: Root, look: Look) -> None:
    """A missing `.metadata` is written again from the archive, byte for byte."""
    path = root.project("demo") / f"{WHEEL}.metadata"
    before = path.read_bytes()
    path.unlink()
    assert look().codes == ["metadata-missing"]
    assert look("--fast").codes == ["metadata-missing"]
    assert look("--fix").code == 1
    assert path.read_bytes() == before
    assert look() == Said(0, [])


@pytest.mark.parametrize("fast", [(), ("--fast",)])
def test_metadata_altered(root: Root, look: Look, fast: tuple[str, ...]) -> None:
    """A `.metadata` with other bytes is replaced by what the archive holds, and the other bytes are kept in quarantine."""
    path = root.project("demo") / f"{WHEEL}.metadata"
    before = flip(path, 5)
    altered = path.read_bytes()
    assert look(*fast).codes == ["metadata-altered"]
    said = look("--fix", *fast)
    assert (said.code, said.one("metadata-altered")["done"]) == (1, "written again from the archive")
    assert path.read_bytes() == before
    assert root.quarantined() == {f"{KEY}.metadata": altered}
    assert look() == Said(0, [])


def test_metadata_that_was_altered_together_with_its_digest(root: Root, look: Look) -> None:
    """`.metadata` is held against the archive itself, not only against the digest that the record advertises."""
    path = root.project("demo") / f"{WHEEL}.metadata"
    before = path.read_bytes()
    path.write_bytes(before + b"Summary: other\n")
    record = root.record("demo")
    original = root.record("demo")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for file in record["files"]:
        if file["filename"] == WHEEL:
            file["core-metadata"] = {"sha256": digest}
            file["_metadata"] = digest
    root.rewrite("demo", record)
    assert look("--fast") == Said(0, [])
    assert sorted(look().codes) == ["entry-wrong", "metadata-altered"]
    assert look("--fix").code == 1
    assert path.read_bytes() == before
    assert root.record("demo") == original


def test_link_in_the_place_of_a_file(root: Root, look: Look, tmp_path: Path) -> None:
    """A link that leads out is never followed: its file counts as altered, and the link itself is moved."""
    path = root.project("demo") / WHEEL
    shutil.move(path, tmp_path / "elsewhere.whl")
    path.symlink_to(tmp_path / "elsewhere.whl")
    said = look()
    assert "a symbolic link is in its place" in said.one("file-altered")["text"]
    look("--fix")
    assert root.quarantined()[KEY] == b"-> " + os.fsencode(tmp_path / "elsewhere.whl")
    assert (tmp_path / "elsewhere.whl").exists()


def test_same_content_under_two_names(root: Root, look: Look) -> None:
    """One content under two names, and one file with two names on the disk, are nothing to talk about."""
    os.link(root.project("demo") / WHEEL, root.path / "hard-link.whl")
    assert look() == Said(0, [])
