"""The locks hold what they promise: a hash for everything, no address of anybody, nothing missing."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[2]
LOCKS = sorted((REPOSITORY / "requirements").rglob("*.txt"))


def _entries(lock: Path) -> list[str]:
    """Each requirement with its hashes on one line."""
    text = re.sub(r"^#.*\n", "", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return text.replace("\\\n", " ").strip().splitlines()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_entry_is_pinned_with_hashes(lock: Path) -> None:
    """Each entry is one exact version with at least one sha256."""
    assert _entries(lock)
    for entry in _entries(lock):
        assert re.match(r"[\w.-]+(\[[\w,.-]+\])?==\S+( ; .*?)?( +--hash=sha256:[0-9a-f]{64})+$", entry), entry


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_no_lock_names_a_host(lock: Path) -> None:
    """Whoever installs decides where from: no option, no URL."""
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*-", text.replace("    --hash=", ""), flags=re.MULTILINE)


def test_the_locks_hold_what_the_project_asks_for() -> None:
    """Each dependency of `pyproject.toml` is in the lock made from it, in a version that it allows."""
    document = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    groups = document["dependency-groups"]
    wanted = {
        "run": document["project"]["dependencies"],
        "dev": [*document["project"]["dependencies"], *groups["dev"]],
        "docs": groups["docs"],
    }
    for name, requirements in wanted.items():
        entries = [
            Requirement(entry.partition(" --hash")[0]) for entry in _entries(REPOSITORY / f"requirements/{name}.txt")
        ]
        locked = {canonicalize_name(entry.name): str(entry.specifier).removeprefix("==") for entry in entries}
        for requirement in map(Requirement, requirements):
            version = locked[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version, prereleases=True), f"{name}: {requirement}, locked {version}"
