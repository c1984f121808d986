"""`wheelyard update_index`: takes over a predecessor's folder and checks that what is listed is there."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wheelyard.testing.builders import WheelBuilder

Run = Callable[..., Any]

CONFIG = '[old]\ntype = "file_system"\nread_secret = "foo"\nwrite_secret = "bar"\n'
FILE = "demo-1.0-py3-none-any.whl"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A ROOT of the predecessor with one file, and its configuration beside it."""
    folder = tmp_path / "root" / "cache" / "old" / "storage" / "demo"
    folder.mkdir(parents=True)
    content = WheelBuilder().bytes()
    (folder / FILE).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    (folder / f"{FILE}.meta").write_text(f'name = "demo"\ndistrib = "demo"\nsha256 = "{digest}"\nversion = "1.0"\n')
    os.utime(folder, (1, 1))
    (tmp_path / "config.toml").write_text(CONFIG)
    return tmp_path / "root"


@pytest.mark.parametrize(
    "arguments",
    [
        ("file_system", "old", "--secret", "bar", "--config", "config.toml"),
        ("file_system", "OLD", "--secret_env=SECRET", "--config=config.toml"),
        ("--type", "file_system", "--name", "old", "--config", "config.toml"),
        ("file_system", "--name=old", "--config", "config.toml"),
        ("old", "--type=file_system", "--config", "config.toml"),
        ("file_system", "old", "--read_secret=foo", "--write_secret=bar", "--secret=bar"),
        ("file_system", "old", "--secret", "anything", "--sync_index_interval", "5", "--fsync", "False"),
    ],
    ids=" ".join,
)
def test_takes_over(run: Run, root: Path, arguments: tuple[str, ...]) -> None:
    """However TYPE, NAME, secret and configuration are given, the folder is taken over; what was done is printed."""
    done = run("update_index", *arguments, "--root", str(root), env={"SECRET": "bar"})
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert f"taken over: demo/{FILE}" in lines
    assert lines[-1] == "index 'old': 1 files listed, 1 of them there"


def test_second_run_and_environment_mode(run: Run, root: Path, tmp_path: Path) -> None:
    """Running again changes nothing; in environment mode TYPE and NAME are flags."""
    arguments = ("file_system", "old", "--root", str(root), "--config", "config.toml")
    run("update_index", *arguments)
    env = {
        "PRIVATE_PYPI_COMMAND": "update_index",
        "PRIVATE_PYPI_COMMAND_TYPE": "file_system",
        "PRIVATE_PYPI_COMMAND_NAME": "old",
        "PRIVATE_PYPI_COMMAND_ROOT": str(root),
        "PRIVATE_PYPI_COMMAND_CONFIG": str(tmp_path / "config.toml"),
    }
    done = run(env=env)
    assert done.code == 0
    assert "private-pypi folder: 0 files taken over now, 1 before, 0 passed over" in done.out


def test_missing_file_is_found(run: Run, root: Path) -> None:
    """A listed file that is gone or cut short is named, and the exit code is 1."""
    arguments = ("update_index", "file_system", "old", "--root", str(root), "--config", "config.toml")
    assert run(*arguments).code == 0
    stored = root / "cache" / "old" / "storage" / "simple" / "demo" / FILE
    stored.unlink()
    done = run(*arguments)
    assert done.code == 1
    assert f"missing: demo/{FILE}" in done.out
    assert "1 files listed, 0 of them there" in done.out


def test_damaged_file_is_named(run: Run, root: Path) -> None:
    """A damaged file of the predecessor is named, and the exit code is 1."""
    (root / "cache" / "old" / "storage" / "demo" / FILE).write_bytes(b"x")
    done = run("update_index", "file_system", "old", "--root", str(root), "--config", "config.toml")
    assert done.code == 1
    assert f"passed over: demo/{FILE}: it is damaged" in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ((), 2, "TYPE and NAME are needed"),
        (("file_system",), 2, "TYPE and NAME are needed"),
        (("file_system", "other", "--config", "config.toml"), 2, "there is no index 'other'; there are 'old'"),
        (("memory", "old", "--config", "config.toml"), 2, "[old] is of type 'file_system', not 'memory'"),
        (("file_system", "old", "--config", "config.toml", "--secret", "foo"), 1, "not the write secret"),
        (("file_system", "old", "--config", "config.toml", "--secret-env", "UNSET"), 2, "'UNSET' is not set"),
        (("file_system", "old", "--owner", "x"), 2, "[old] owner: unknown key"),
        (("file_system", "old", "--owner", "x", "--config", "config.toml"), 2, "give --config or --owner, not both"),
        (("nowhere", "old", "--owner", "x", "--repo", "y"), 2, "unknown backend type 'nowhere'"),
    ],
)
def test_refused(run: Run, root: Path, arguments: tuple[str, ...], code: int, expected: str) -> None:
    """What cannot be done is refused with a sentence, and nothing is taken over."""
    done = run("update_index", *arguments, "--root", str(root))
    assert done.code == code
    assert expected in done.err
    assert "bar" not in done.err
    assert not (root / "cache" / "old" / "takeover.json").exists()
