"""The stored record."""

import json
from typing import Any

import pytest

from wheelyard.errors import InvalidDocument
from wheelyard.model import DistFile, Filename, ProjectPage, ProjectStatus
from wheelyard.protocol.names import normalize
from wheelyard.protocol.simple_json import parse_record, render_record

FILE = DistFile(
    filename=Filename("foo-1.0.tar.gz"),
    url="foo-1.0.tar.gz",
    hashes={"blake2b_256": "1" * 64, "sha256": "0" * 64},
    size=1,
    private={"_uploader": "main:write", "_seen": {"b": 1, "a": [2]}},
)
PAGE = ProjectPage(
    name=normalize("foo"), files=(FILE,), versions=("1.0",), status=ProjectStatus.QUARANTINED, private={"_serial": 3}
)

EXPECTED = """\
{
  "meta": {
    "api-version": "1.4",
    "_record": 1
  },
  "name": "foo",
  "project-status": {
    "status": "quarantined"
  },
  "versions": [
    "1.0"
  ],
  "_serial": 3,
  "files": [
    {
      "filename": "foo-1.0.tar.gz",
      "url": "foo-1.0.tar.gz",
      "hashes": {
        "sha256": "0000000000000000000000000000000000000000000000000000000000000000",
        "blake2b_256": "1111111111111111111111111111111111111111111111111111111111111111"
      },
      "size": 1,
      "_seen": {
        "a": [
          2
        ],
        "b": 1
      },
      "_uploader": "main:write"
    }
  ]
}
"""


def test_a_record_can_be_read_by_people() -> None:
    """ST-03: the record keeps all files and private keys of a quarantined project, in a form that people can read."""
    assert render_record(PAGE).decode() == EXPECTED
    assert parse_record(EXPECTED.encode()) == PAGE


def damaged(path: str, value: object) -> bytes:
    """Return the record with the value at a path like `files.0.size` replaced, or removed for `...`."""
    document: Any = json.loads(EXPECTED)
    *parents, last = path.split(".")
    inner = document
    for part in parents:
        inner = inner[int(part) if part.isdigit() else part]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("meta", ...),
        ("meta", None),
        ("meta._record", ...),
        ("meta._record", 2),
        ("meta.api-version", "2.0"),
        ("name", ...),
        ("name", "Foo"),
        ("name", None),
        ("versions", ...),
        ("versions", "1.0"),
        ("versions", [1]),
        ("versions", ["1.0", "1.0"]),
        ("project-status", "archived"),
        ("project-status.status", "sleeping"),
        ("project-status.status", None),
        ("project-status.reason", 1),
        ("files", ...),
        ("files", {}),
        ("files", [None]),
        ("files.0.filename", ...),
        ("files.0.filename", "../foo"),
        ("files.0.url", ...),
        ("files.0.url", "javascript:x"),
        ("files.0.hashes", ...),
        ("files.0.hashes", None),
        ("files.0.hashes.sha256", "0"),
        ("files.0.hashes.sha256", "A" * 64),
        ("files.0.size", -1),
        ("files.0.size", True),
        ("files.0.size", None),
        ("files.0.size", 1.5),
        ("files.0.upload-time", "soon"),
        ("files.0.upload-time", 1),
        ("files.0.requires-python", 3),
        ("files.0.core-metadata", False),
        ("files.0.core-metadata", None),
        ("files.0.core-metadata", {"sha256": 1}),
        ("files.0.yanked", None),
        ("files.0.yanked", False),
        ("files.0.gpg-sig", "true"),
        ("files.0.provenance", 1),
        ("files.0.new-key", 1),
        ("new-key", 1),
    ],
)
def test_damage_is_seen(path: str, value: object) -> None:
    """VA-03: a record is ours, so that anything odd in it is damage and nothing is guessed."""
    with pytest.raises(InvalidDocument):
        parse_record(damaged(path, value))


def test_damage_is_named() -> None:
    """VA-03: the text says which file and which key."""
    with pytest.raises(InvalidDocument, match=r"file 'foo-1\.0\.tar\.gz': key 'size' is -1"):
        parse_record(damaged("files.0.size", -1))


@pytest.mark.parametrize("length", range(0, len(EXPECTED) - 2, 7))
def test_a_truncated_record_is_damaged(length: int) -> None:
    """UP-13: a record that was cut off anywhere is never taken for a shorter page."""
    with pytest.raises(InvalidDocument):
        parse_record(EXPECTED.encode()[:length])


def test_one_name_twice() -> None:
    """JSON-05: a record that lists one file name twice is damaged."""
    document = json.loads(EXPECTED)
    document["files"] *= 2
    with pytest.raises(InvalidDocument, match="twice"):
        parse_record(json.dumps(document).encode())
