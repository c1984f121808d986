"""The record of a project after one more file."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wheelyard.index.records import with_files
from wheelyard.model import DistFile, Filename, ProjectPage
from wheelyard.protocol.names import normalize, sort_versions, version_key

VERSIONS = st.sampled_from(["0.1", "1.0", "1.0.0", "1.0.post1", "2.0a1", "2.0", "10.0", "1!0.1"])
FILES = st.lists(st.tuples(VERSIONS, st.integers(0, 5)), unique=True, max_size=20)


def file(version: str, build: int) -> DistFile:
    name = Filename(f"demo-{version}-{build}-py3-none-any.whl")
    return DistFile(filename=name, url=name, private={"_version": version})


@given(FILES)
def test_files_added_one_by_one_stay_in_order(added: list[tuple[str, int]]) -> None:
    """PEP 700: files stay ordered by version, then name, and `versions` lists each release once."""
    page = ProjectPage(name=normalize("demo"))
    for version, build in added:
        page = with_files(page, [file(version, build)])
    ordered = sorted(added, key=lambda each: (version_key(each[0]), file(*each).filename))
    assert [each.filename for each in page.files] == [file(*each).filename for each in ordered]
    assert page.versions == sort_versions(version for version, _ in added)
