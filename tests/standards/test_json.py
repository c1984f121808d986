"""Section 1C: the JSON pages."""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import pytest
from packaging.version import Version
from pypi_simple import IndexPage, ProjectPage

from standards.subject import TEXT_HTML, V1_JSON, Builder, Subject
from wheelyard.testing.builders import SdistBuilder, WheelBuilder

UPLOAD_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$")


@pytest.fixture(scope="module")
def wheel(subject: Subject) -> Builder:
    name = subject.new_name()
    return subject.publish(
        WheelBuilder(name=name, requires_python=">=3.8,<4"),
        SdistBuilder(name=name, metadata_version="2.1"),
        WheelBuilder(name=name, version="1.10"),
        WheelBuilder(name=name, version="1!0.5+local.1"),
        WheelBuilder(name=name, version="1.9rc1"),
    )


def walk(value: object) -> Iterator[tuple[str, object]]:
    """List every key with its value, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def test_api_version(subject: Subject, wheel: Builder) -> None:
    """JSON-01: both documents are objects whose `meta.api-version` is the text "1.4"."""
    for url in ("", f"{wheel.name}/"):
        document = subject.get(url, accept=V1_JSON).json()
        assert document["meta"]["api-version"] == "1.4"


def test_list(subject: Subject, wheel: Builder) -> None:
    """JSON-02: the list has `meta` and `projects` with `name`; what is added starts with an underscore."""
    document = subject.get("", accept=V1_JSON).json()
    assert {key for key in document if not key.startswith("_")} == {"meta", "projects"}
    assert {"name": wheel.name} in [{"name": project["name"]} for project in document["projects"]]
    for project in document["projects"]:
        assert {key for key in project if not key.startswith("_")} == {"name"}


def test_page(subject: Subject, wheel: Builder) -> None:
    """JSON-03: the page has `meta`, `name` (normalised), `files` and `versions`."""
    document = subject.page(wheel.name)
    assert {"meta", "name", "files", "versions"} <= set(document)
    assert document["name"] == wheel.name


def test_versions(subject: Subject, wheel: Builder) -> None:
    """JSON-04: `versions` has the version of every file once, normalised."""
    versions = subject.page(wheel.name)["versions"]
    assert sorted(versions, key=Version) == ["1.0", "1.9rc1", "1.10", "1!0.5+local.1"]


def test_files(subject: Subject, wheel: Builder) -> None:
    """JSON-05, SB-02: each file has a name, a URL and its SHA-256 in lower case."""
    for name, file in subject.listed(wheel.name).items():
        assert {"filename", "url", "hashes"} <= set(file)
        content = subject.get(urljoin(f"{subject.index_url}{wheel.name}/", file["url"])).check(200).body
        assert file["hashes"]["sha256"] == hashlib.sha256(content).hexdigest(), name


def test_hash_order(subject: Subject, wheel: Builder) -> None:
    """JSON-06: the first hash is `sha256`, the only one that pip looks at; nothing follows that uv cannot read."""
    for file in subject.listed(wheel.name).values():
        assert next(iter(file["hashes"])) == "sha256"
        assert set(file["hashes"]) <= {"sha256", "sha384", "sha512", "md5"}


def test_size(subject: Subject, wheel: Builder) -> None:
    """JSON-07: `size` is the exact number of bytes, never null."""
    for name, file in subject.listed(wheel.name).items():
        assert type(file["size"]) is int
        assert file["size"] == len(subject.get(subject.file_url(wheel.name, name)).body)


def test_upload_time(subject: Subject) -> None:
    """JSON-08: `upload-time` is the moment of the upload, in UTC, as PEP 700 writes it."""
    name = subject.new_name()
    before = datetime.now(UTC)
    wheel = subject.publish(WheelBuilder(name=name))
    after = datetime.now(UTC)
    told = subject.listed(name)[wheel.file_name]["upload-time"]
    assert UPLOAD_TIME.match(told)
    moment = datetime.fromisoformat(told)
    assert before.replace(microsecond=0) <= moment <= after


def test_requires_python(subject: Subject, wheel: Builder) -> None:
    """JSON-09: `requires-python` is the raw specifier, and left out when there is none."""
    files = subject.listed(wheel.name)
    assert files[wheel.file_name]["requires-python"] == ">=3.8,<4"
    assert "requires-python" not in files[f"{wheel.name.replace('-', '_')}-1.10-py3-none-any.whl"]


def test_core_metadata(subject: Subject, wheel: Builder) -> None:
    """JSON-10: `core-metadata` is the digest of the metadata file; false or absent for a file without."""
    files = subject.listed(wheel.name)
    assert files[wheel.file_name]["core-metadata"] == {"sha256": hashlib.sha256(wheel.metadata_bytes()).hexdigest()}
    sdist = next(file for name, file in files.items() if name.endswith(".tar.gz"))
    assert sdist.get("core-metadata", False) is False


def test_no_old_key(subject: Subject, wheel: Builder) -> None:
    """JSON-11: `dist-info-metadata` is not in JSON: older pips break on its object form."""
    for file in subject.listed(wheel.name).values():
        assert "dist-info-metadata" not in file


@pytest.mark.parametrize(("reason", "shown"), [("", True), ("broken", "broken"), ("0", "0")])
def test_yanked(subject: Subject, reason: str, shown: bool | str) -> None:  # noqa: FBT001  the JSON value
    """JSON-12: `yanked` is `true` without a reason, else the reason; never empty and never null."""
    name = subject.new_name()
    wheel = subject.publish(WheelBuilder(name=name))
    assert subject.listed(name)[wheel.file_name].get("yanked", False) is False
    subject.yank(name, wheel.file_name, reason=reason)
    assert subject.listed(name)[wheel.file_name]["yanked"] == shown


def test_provenance(subject: Subject, wheel: Builder) -> None:
    """JSON-13: `provenance` is absent, null, or an absolute https URL."""
    for file in subject.listed(wheel.name).values():
        provenance = file.get("provenance")
        assert provenance is None or provenance.startswith("https://")


def test_signatures(subject: Subject, wheel: Builder) -> None:
    """JSON-14: `gpg-sig` is a boolean if it is there, and what it promises is there."""
    for name, file in subject.listed(wheel.name).items():
        if "gpg-sig" in file:
            assert type(file["gpg-sig"]) is bool
            assert not file["gpg-sig"] or subject.get(subject.file_url(wheel.name, name) + ".asc").status == 200


def test_status(subject: Subject) -> None:
    """JSON-15: the status is an object at the top level."""
    name = subject.new_name()
    subject.publish(SdistBuilder(name=name))
    subject.set_status(name, "deprecated", "use another")
    document = subject.page(name)
    assert document["project-status"] == {"status": "deprecated", "reason": "use another"}
    assert "project-status" not in document["meta"]


def test_known_keys(subject: Subject, wheel: Builder) -> None:
    """JSON-16: whatever the standard does not name starts with an underscore, and nothing of ours leaks."""
    known = {
        *("meta", "api-version", "name", "versions", "files", "project-status", "filename", "url", "hashes", "size"),
        *("upload-time", "requires-python", "core-metadata", "yanked", "provenance", "gpg-sig", "sha256", "sha384"),
        *("sha512", "md5", "status", "reason"),
    }
    keys = {key for key, _ in walk(subject.page(wheel.name))}
    assert {key for key in keys if not key.startswith("_")} <= known
    assert not keys & {"_uploader", "_kind", "_version", "_metadata", "_deleted"}


@pytest.mark.parametrize("url", ["", "{name}/"])
def test_strict(subject: Subject, wheel: Builder, url: str) -> None:
    """JSON-17: the body is UTF-8 JSON without repeated keys, NaN or nulls that uv cannot read."""
    document = subject.get(url.format(name=wheel.name), accept=V1_JSON).json()
    for key, value in walk(document):
        assert not (isinstance(value, float) and not math.isfinite(value)), key
        assert value is not None or key == "provenance", key


def test_no_rejected_keys(subject: Subject, wheel: Builder) -> None:
    """JSON-18: the keys of the rejected PEP 708 are not there."""
    keys = {key for key, _ in walk(subject.page(wheel.name))}
    assert not keys & {"tracks", "alternate-locations"}


def test_no_namespaces(subject: Subject, wheel: Builder) -> None:
    """NS-01: an index without namespaces says nothing of them and stays at 1.4."""
    document = subject.page(wheel.name)
    assert "namespaces" not in document
    assert document["meta"]["api-version"] == "1.4"


def test_many_files(subject: Subject) -> None:
    """JSON-19: a project with some hundreds of files still answers at once, in either form."""
    name = subject.new_name()
    for number in range(200):
        subject.publish(SdistBuilder(name=name, version=f"1.{number}"))
    for accept in (V1_JSON, TEXT_HTML):
        start = time.monotonic()
        subject.get(f"{name}/", accept=accept).check(200)
        assert time.monotonic() - start < 2  # 10 000 files in 10 s, as hatch waits


class Rows(HTMLParser):
    """Collects what HTML says of each file."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: dict[str, dict[str, Any]] = {}
        self._attributes: dict[str, str | None] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._attributes = dict(attrs) if tag == "a" else self._attributes

    def handle_data(self, data: str) -> None:
        if self._attributes:
            url, _, digest = (self._attributes.pop("href") or "").partition("#")
            self.rows[data] = {"url": url, "sha256": digest.removeprefix("sha256="), **self._attributes}
            self._attributes = {}


def test_same_data(subject: Subject) -> None:
    """JSON-20: HTML and JSON list the same files, digests, yanks and metadata."""
    name = subject.new_name()
    wheel = subject.publish(WheelBuilder(name=name, requires_python=">=3.9"), SdistBuilder(name=name, version="2"))
    if subject.api is not None:
        subject.yank(name, wheel.file_name, reason="not <good> & old")
    files = subject.listed(name)
    rows = Rows(subject.html(name)).rows
    assert set(rows) == set(files)
    for filename, file in files.items():
        row, yanked, metadata = rows[filename], file.get("yanked", False), file.get("core-metadata") or {}
        assert (row["url"], row["sha256"]) == (file["url"], file["hashes"]["sha256"])
        assert row.get("data-requires-python") == file.get("requires-python")
        assert row.get("data-yanked") == (None if yanked is False else "" if yanked is True else yanked)
        assert row.get("data-core-metadata") == (f"sha256={metadata['sha256']}" if metadata else None)


def test_pypi_simple(subject: Subject, wheel: Builder) -> None:
    """JSON-01, JSON-03: another implementation, strict about nulls and times, reads both documents."""
    index = IndexPage.from_json_data(subject.get("", accept=V1_JSON).json())
    assert wheel.name in index.projects
    page = ProjectPage.from_json_data(subject.page(wheel.name), base_url=f"{subject.index_url}{wheel.name}/")
    assert page.versions is not None
    assert len(page.packages) == 5
    for package in page.packages:
        assert package.upload_time is not None
        assert package.size is not None
        assert package.digests["sha256"]
