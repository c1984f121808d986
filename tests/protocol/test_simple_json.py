"""The JSON pages."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from wheelyard.errors import InvalidDocument
from wheelyard.model import DistFile, Filename, ProjectList, ProjectPage, ProjectStatus
from wheelyard.protocol.names import normalize
from wheelyard.protocol.simple_json import (
    join_page,
    parse_list,
    parse_page,
    render_file,
    render_list,
    render_page,
)

SHA256 = "0123456789abcdef" * 4
FOO = normalize("foo")
WHEEL = DistFile(
    filename=Filename("foo-1.0-py3-none-any.whl"),
    url="foo-1.0-py3-none-any.whl",
    hashes={"md5": "0" * 32, "blake2b_256": "1" * 64, "sha256": SHA256, "blake2b": "2" * 128},
    size=10,
    upload_time=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    requires_python=">=3.8,<4",
    core_metadata={"sha256": SHA256},
    private={"_uploader": "main:write"},
)


def rendered(*files: DistFile, **keys: Any) -> dict[str, Any]:
    page = ProjectPage(name=FOO, files=files, versions=("1.0",), **keys)
    document = json.loads(render_page(page))
    assert isinstance(document, dict)
    return document


def parsed(*entries: object, **keys: object) -> ProjectPage:
    return parse_page(json.dumps({"meta": {"api-version": "1.4"}, "name": "foo", "files": entries, **keys}).encode())


def entry(**keys: object) -> dict[str, object]:
    return {"filename": "foo-1.0.tar.gz", "url": "foo-1.0.tar.gz", "hashes": {"sha256": SHA256}, **keys}


def test_a_whole_page() -> None:
    """JSON-01, JSON-03, JSON-05, JSON-07, JSON-08, JSON-09, JSON-10: a page has the standard keys and no others."""
    assert rendered(WHEEL) == {
        "meta": {"api-version": "1.4"},
        "name": "foo",
        "versions": ["1.0"],
        "files": [
            {
                "filename": "foo-1.0-py3-none-any.whl",
                "url": "foo-1.0-py3-none-any.whl",
                "hashes": {"sha256": SHA256, "md5": "0" * 32},
                "requires-python": ">=3.8,<4",
                "size": 10,
                "upload-time": "2026-01-02T03:04:05.000678Z",
                "core-metadata": {"sha256": SHA256},
            }
        ],
    }


def test_sha256_is_the_first_hash() -> None:
    """JSON-06: pip looks at the first hash only, uv stops at a 512-bit blake2b."""
    assert list(rendered(WHEEL)["files"][0]["hashes"]) == ["sha256", "md5"]


def test_what_is_unknown_has_no_key() -> None:
    """JSON-07, JSON-08, JSON-11, JSON-12, JSON-18: no null and no key without a value; nothing of refused standards."""
    bare = DistFile(filename=Filename("foo-1.0.zip"), url="foo-1.0.zip")
    assert rendered(bare)["files"] == [{"filename": "foo-1.0.zip", "url": "foo-1.0.zip", "hashes": {}}]


@pytest.mark.parametrize(("yanked", "shown"), [("", True), ("broken", "broken")])
def test_yanks(yanked: str, *, shown: object) -> None:
    """JSON-12, YANK-01: a yank without a reason is `true`, never an empty string."""
    file = DistFile(filename=Filename("foo-1.0.zip"), url="foo-1.0.zip", yanked=yanked)
    assert rendered(file)["files"][0]["yanked"] == shown


def test_project_status() -> None:
    """JSON-15, ST-05: status and reason stand at the top level."""
    document = rendered(WHEEL, status=ProjectStatus.ARCHIVED, status_reason="moved")
    assert document["project-status"] == {"status": "archived", "reason": "moved"}
    assert len(document["files"]) == 1


def test_quarantine_offers_no_file() -> None:
    """ST-03: a quarantined project has a page without files."""
    document = rendered(WHEEL, status=ProjectStatus.QUARANTINED)
    assert document["files"] == []
    assert document["project-status"] == {"status": "quarantined"}


def test_file_urls_can_be_chosen() -> None:
    """URL-08: the caller says where each file is."""
    page = ProjectPage(name=FOO, files=(WHEEL,))
    document = json.loads(render_page(page, file_url=lambda file: f"https://index.test/{file.url}"))
    assert document["files"][0]["url"] == "https://index.test/foo-1.0-py3-none-any.whl"


def test_rows_make_the_page() -> None:
    """JSON-19: rows that were rendered apart make the same page."""
    page = ProjectPage(name=FOO, files=(WHEEL, WHEEL))
    assert join_page(page, [render_file(WHEEL)] * 2) == render_page(page)


def test_odd_files_do_not_hide_the_good_ones() -> None:
    """VA-03: unknown kinds of files stay on the page, and the good ones beside them."""
    names = ["foo-1.0-variants.json", "foo-1.0-py3-none-any-x86_64_v3.whl", "foo-1.0.exe", "foo-1.0-py2.7.egg"]
    names += ["foo-1.0.tar.gz"]
    page = parsed(*(entry(filename=name, url=name) for name in names))
    assert [file.filename for file in page.files] == names
    assert page.versions == ("1.0",)


@pytest.mark.parametrize(
    "bad",
    [
        None,
        [],
        {},
        entry(filename=None),
        entry(filename="../../etc/passwd"),
        entry(filename="a\\b.whl"),
        entry(filename=".."),
        entry(filename="a\nb.whl"),
        entry(filename="a" * 256),
        entry(url="javascript:alert(1)"),
        entry(url=" data:text/html,x"),
        entry(url="java\tscript:alert(1)"),
        entry(url="file:///etc/passwd"),
        entry(url=""),
        entry(url=7),
        entry(hashes={"sha256": "short"}),
        entry(hashes={"sha256": None}),
        entry(hashes={"sha256": "g" * 64}),
        entry(hashes=[]),
        entry(hashes={"md5": "0"}),
    ],
)
def test_unsafe_entries_are_left_out(bad: object) -> None:
    """VA-03, DC-06: what cannot be offered safely is left out, and only that."""
    page = parsed(bad, entry(filename="foo-2.0.zip", url="foo-2.0.zip"))
    assert [file.filename for file in page.files] == ["foo-2.0.zip"]


def test_nulls_of_others_are_understood() -> None:
    """JSON-07, JSON-08, JSON-09, JSON-12, JSON-13: null means that nothing is known."""
    keys = ("size", "upload-time", "requires-python", "yanked", "provenance", "core-metadata", "gpg-sig")
    (file,) = parsed(entry(**dict.fromkeys(keys))).files
    assert file == DistFile(filename=Filename("foo-1.0.tar.gz"), url="foo-1.0.tar.gz", hashes={"sha256": SHA256})


@pytest.mark.parametrize(
    ("value", "yanked"), [(True, ""), (False, None), (None, None), ("", ""), ("why", "why"), (1, ""), ([], "")]
)
def test_yanks_of_others(value: object, yanked: str | None) -> None:
    """YANK-03: a yank of an upstream is kept with its reason; one that makes no sense still counts."""
    assert parsed(entry(yanked=value)).files[0].yanked == yanked


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"core-metadata": True}, {}),
        ({"core-metadata": {"sha256": SHA256}}, {"sha256": SHA256}),
        ({"core-metadata": False, "dist-info-metadata": True}, None),
        ({"dist-info-metadata": {"sha256": SHA256.upper()}}, {"sha256": SHA256}),
        ({"data-dist-info-metadata": True}, {}),
        ({"core-metadata": {"sha256": "x"}}, None),
        ({"core-metadata": "true"}, None),
    ],
)
def test_core_metadata_of_others(keys: dict[str, object], expected: object) -> None:
    """JSON-10, JSON-11: both spellings of the key are read, the newer one first; a hash that is none counts as no metadata."""
    assert parsed(entry(**keys)).files[0].core_metadata == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.6+01:00", datetime(2026, 1, 2, 2, 4, 5, 600_000, tzinfo=UTC)),
        ("0001-01-01T00:00:00+23:00", None),
        ("soon", None),
        (17, None),
    ],
)
def test_upload_times_of_others(value: object, expected: datetime | None) -> None:
    """JSON-08, DC-07: an upstream's time is kept, in UTC."""
    assert parsed(entry(**{"upload-time": value})).files[0].upload_time == expected


@pytest.mark.parametrize(
    ("value", "status", "reason"),
    [
        ({"status": "quarantined", "reason": "malware"}, ProjectStatus.QUARANTINED, "malware"),
        ({"status": "archived", "reason": 5}, ProjectStatus.ARCHIVED, None),
        ({"status": "sleeping"}, ProjectStatus.ACTIVE, None),
        ({"status": ["archived"]}, ProjectStatus.ACTIVE, None),
        ("deprecated", ProjectStatus.DEPRECATED, None),
        (None, ProjectStatus.ACTIVE, None),
    ],
)
def test_status_of_others(value: object, status: ProjectStatus, reason: str | None) -> None:
    """ST-06: an upstream's status is kept; an unknown one counts as active."""
    page = parsed(entry(), **{"project-status": value})
    assert (page.status, page.status_reason) == (status, reason)


def test_status_inside_meta() -> None:
    """JSON-15: the place that the specification's own example shows is read too."""
    page = parsed(meta={"api-version": "1.4", "project-status": "quarantined"})
    assert page.status is ProjectStatus.QUARANTINED


def test_versions_of_others() -> None:
    """JSON-04: releases are canonical and sorted; before PEP 700 the file names tell them."""
    assert parsed(entry(), versions=["2.0", "v1.0", None, "1.0"]).versions == ("1.0", "2.0")
    assert parsed(entry(), entry(filename="foo-0.9-1.tar.gz", url="x")).versions == ("0.9.post1", "1.0")


def test_the_first_of_two_files_of_one_name() -> None:
    """JSON-05: a name that is listed twice is one file."""
    page = parsed(entry(size=1), entry(size=2))
    assert [file.size for file in page.files] == [1]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"name": "foo"}',
        b'{"name": "foo", "files": {}}',
        b'{"name": null, "files": []}',
        b'{"name": "-", "files": []}',
        b'{"name": "foo", "files": [], "meta": {"api-version": "2.0"}}',
        b'{"name": "foo", "files": [], "a": NaN}',
    ],
)
def test_what_is_no_page(content: bytes) -> None:
    """JSON-01, JSON-17: what is no page of version 1 is refused."""
    with pytest.raises(InvalidDocument):
        parse_page(content)


def test_lists() -> None:
    """JSON-02: the list has one object per project, in the spelling that is shown."""
    content = render_list(ProjectList(names=("Bar", "foo")))
    assert json.loads(content) == {"meta": {"api-version": "1.4"}, "projects": [{"name": "Bar"}, {"name": "foo"}]}


def test_lists_of_others() -> None:
    """JSON-02: entries that are no projects are left out, each project stays once."""
    names = ["foo", "Foo", "-", None, 7, "bar"]
    content = json.dumps({"projects": [*({"name": name, "_serial": 1} for name in names), "baz", {}]}).encode()
    assert parse_list(content).names == ("bar", "foo")
    with pytest.raises(InvalidDocument):
        parse_list(b'{"projects": null}')
