"""A server on a folder, killed at every step and at random."""

from pathlib import Path

import pytest

from crash.nursery import storage_of
from wheelyard.testing.crash import Ledger
from wheelyard.testing.crash_suite import KillSuite


@pytest.mark.slow
class TestFolderKilled(KillSuite):
    """UP-13: acknowledged means kept, on a folder."""

    def check_leftovers(self, root: Path) -> None:
        """Of temporary files there is just the mark of the server that runs."""
        assert [path.name for path in (storage_of(root) / ".wheelyard/tmp").rglob("*") if path.is_file()] == ["owner"]

    def check_tidy(self, root: Path, ledger: Ledger) -> None:
        """Everything below `simple` is listed: records, files and their metadata."""
        found = {str(path.relative_to(storage_of(root) / "simple")) for path in storage_of(root).glob("simple/*/*")}
        wanted = {f"{project}/index.json" for project in ledger.kept}
        for project, files in ledger.kept.items():
            wanted |= {f"{project}/{filename}{suffix}" for filename in files for suffix in ("", ".metadata")}
        assert found == wanted
