"""The JSON of `/pypi/<project>/json`."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from wheelyard.model import DistFile, Filename, ProjectPage
from wheelyard.protocol.core_metadata import CoreMetadata
from wheelyard.protocol.names import normalize, sort_versions
from wheelyard.protocol.pypi_json import render_project, shown_version

METADATA = CoreMetadata(
    metadata_version="2.4",
    name="Foo",
    version="1.0",
    summary="short",
    keywords=("a", "b"),
    requires_dist=("bar",),
    project_urls={"Docs": "https://example.test"},
    classifiers=("Private :: Do Not Upload",),
)


def file(filename: str, *, yanked: str | None = None, **keys: Any) -> DistFile:
    return DistFile(filename=Filename(filename), url=filename, yanked=yanked, **keys)


def page(*files: DistFile, versions: tuple[str, ...] = ("1.0",)) -> ProjectPage:
    return ProjectPage(name=normalize("foo"), files=files, versions=sort_versions(versions))


def rendered(
    page: ProjectPage, metadata: CoreMetadata | None = METADATA, *, version: str | None = None
) -> dict[str, Any]:
    content = render_project(
        page,
        metadata,
        version=version,
        base_url="https://index.test/",
        file_url=lambda file: f"https://f.test/{file.url}",
    )
    document = json.loads(content)
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize(
    ("files", "versions", "expected"),
    [
        ((), (), None),
        ((), ("1.0", "2.0"), "2.0"),
        (("foo-1.0.zip", "foo-2.0rc1.zip"), ("1.0", "2.0rc1"), "1.0"),
        (("foo-1.9.zip", "foo-1.10.zip"), ("1.9", "1.10"), "1.10"),
        (("foo-2.0rc1.zip",), ("2.0rc1", "1.0"), "2.0rc1"),
        (("foo-1.0.zip", "foo-x-y.zip"), ("1.0", "x-y"), "1.0"),
    ],
)
def test_the_shown_version(files: tuple[str, ...], versions: tuple[str, ...], expected: str | None) -> None:
    """PJ-05: a release with files, then a final one, then the highest stands for the project."""
    assert shown_version(page(*map(file, files), versions=versions)) == expected


def test_a_yanked_release_is_shown_last() -> None:
    """PJ-05, YANK-02: a release all of whose files are yanked stands behind the others, one with a good file does not."""
    yanked = file("foo-2.0.zip", yanked="broken")
    assert shown_version(page(file("foo-1.0rc1.zip"), yanked, versions=("1.0rc1", "2.0"))) == "1.0rc1"
    wheel = file("foo-2.0-py3-none-any.whl")
    assert shown_version(page(file("foo-1.0rc1.zip"), yanked, wheel, versions=("1.0rc1", "2.0"))) == "2.0"
    info = rendered(page(yanked, versions=("2.0",)))["info"]
    assert (info["yanked"], info["yanked_reason"]) == (True, "broken")


def test_keys_of_the_project() -> None:
    """PJ-02, PJ-03: the project has all keys that readers look for, `releases` only without a version."""
    document = rendered(page(file("foo-1.0.zip", requires_python=">=3.8")))
    assert list(document) == ["info", "last_serial", "ownership", "releases", "urls", "vulnerabilities"]
    assert set(document["info"]) == {
        *("name", "version", "summary", "description", "description_content_type", "keywords", "license"),
        *("license_expression", "license_files", "classifiers", "author", "author_email", "maintainer"),
        *("maintainer_email", "requires_python", "platform", "downloads", "package_url", "project_url", "project_urls"),
        *("release_url", "requires_dist", "provides_extra", "docs_url", "bugtrack_url", "home_page", "download_url"),
        *("yanked", "yanked_reason", "dynamic"),
    }
    info = document["info"]
    assert (info["name"], info["version"], info["keywords"], info["requires_dist"]) == ("Foo", "1.0", "a,b", ["bar"])
    assert info["requires_python"] == ">=3.8"
    assert info["release_url"] == "https://index.test/project/foo/1.0/"
    assert info["downloads"] == {"last_day": -1, "last_week": -1, "last_month": -1}


def test_keys_of_a_file() -> None:
    """PJ-04: a file has all keys; md5 and blake2 only when they are known."""
    sha256 = "0" * 64
    known = file(
        "foo-1.0-py2.py3-none-any.whl",
        hashes={"sha256": sha256, "md5": "1" * 32},
        size=5,
        upload_time=datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC),
        core_metadata={"sha256": sha256},
        yanked="",
        private={"_blake2b_256": "2" * 64},
    )
    (row,) = rendered(page(known))["urls"]
    assert row == {
        "filename": "foo-1.0-py2.py3-none-any.whl",
        "packagetype": "bdist_wheel",
        "python_version": "py2.py3",
        "has_sig": False,
        "comment_text": "",
        "md5_digest": "1" * 32,
        "digests": {"md5": "1" * 32, "sha256": sha256, "blake2b_256": "2" * 64},
        "core-metadata": {"sha256": sha256},
        "size": 5,
        "downloads": -1,
        "upload_time": "2026-01-02T03:04:05",
        "upload_time_iso_8601": "2026-01-02T03:04:05.600000Z",
        "url": "https://f.test/foo-1.0-py2.py3-none-any.whl",
        "requires_python": None,
        "yanked": True,
        "yanked_reason": None,
    }
    (row,) = rendered(page(file("foo-1.0.tar.gz")))["urls"]
    assert (row["packagetype"], row["python_version"], row["digests"], row["core-metadata"]) == (
        "sdist",
        "source",
        {},
        False,
    )
    assert "md5_digest" not in row


def test_one_release() -> None:
    """PJ-02, PJ-05: a release is found by any spelling of its version and shows its own files only."""
    document = rendered(page(file("foo-1.0.zip"), file("foo-2.0.zip"), versions=("1.0", "2.0")), version="1.0.0")
    assert document["info"]["version"] == "1.0"
    assert [row["filename"] for row in document["urls"]] == ["foo-1.0.zip"]
    assert "releases" not in document


def test_releases_of_a_project() -> None:
    """PJ-02, VA-03: every release is listed with its files, odd ones and releases without files included."""
    odd = file("foo-2.0.win32-py2.7.exe")
    document = rendered(page(file("foo-1.0.zip"), odd, versions=("1.0", "2.0", "3.0")), None)
    assert {version: [row["filename"] for row in rows] for version, rows in document["releases"].items()} == {
        "1.0": ["foo-1.0.zip"],
        "2.0": ["foo-2.0.win32-py2.7.exe"],
        "3.0": [],
    }
    assert document["releases"]["2.0"][0]["packagetype"] == "bdist_wininst"
    assert document["info"]["name"] == "foo"


def test_a_project_without_releases() -> None:
    """PJ-01: a project that has nothing yet still has a document."""
    document = rendered(page(versions=()), None)
    assert (document["info"]["version"], document["urls"], document["releases"]) == ("", [], {})
