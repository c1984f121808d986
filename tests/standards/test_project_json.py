"""Section 1M: `/pypi/<project>/json`."""

from __future__ import annotations

import hashlib
from datetime import datetime

import pytest

from standards.subject import Builder, Reply, Subject
from wheelyard.testing.builders import SdistBuilder, WheelBuilder

INFO = {
    *("name", "version", "summary", "description", "description_content_type", "keywords", "license"),
    *("license_expression", "license_files", "classifiers", "author", "author_email", "maintainer"),
    *("maintainer_email", "requires_python", "platform", "downloads", "package_url", "project_url", "project_urls"),
    *("release_url", "requires_dist", "provides_extra", "docs_url", "bugtrack_url", "home_page", "download_url"),
    *("yanked", "yanked_reason", "dynamic"),
}
FILE = {
    *("filename", "packagetype", "python_version", "has_sig", "comment_text", "md5_digest", "digests", "size"),
    *("downloads", "upload_time", "upload_time_iso_8601", "url", "requires_python", "yanked", "yanked_reason"),
}


def ask(subject: Subject, path: str) -> Reply:
    return subject.get(f"{subject.root}pypi/{path}")


@pytest.fixture(scope="module")
def wheel(subject: Subject) -> Builder:
    name = subject.new_name()
    wheel = WheelBuilder(
        name=name,
        requires_python=">=3.9",
        requires_dist=["a>=1"],
        headers=[
            ("Summary", "A summary"),
            ("Keywords", "one,two"),
            ("Project-URL", "Source, https://example.org/source"),
            ("License-Expression", "MIT"),
            ("Classifier", "Private :: Ours"),
        ],
        description="# Title\n",
    )
    return subject.publish(wheel, SdistBuilder(name=name), WheelBuilder(name=name, version="0.9"))


@pytest.mark.parametrize("path", ["{}/json", "{}/json/", "{}/1.0/json", "{}/1.0/json/"])
def test_addresses(subject: Subject, wheel: Builder, path: str) -> None:
    """PJ-01: project and release answer as JSON, with and without a last slash."""
    reply = ask(subject, path.format(wheel.name)).check(200)
    assert reply.media_type == "application/json"
    assert reply.json()["info"]["name"] == wheel.name


def test_other_spelling(subject: Subject, wheel: Builder) -> None:
    """PJ-01: another spelling of the name leads to the normalised one."""
    reply = ask(subject, f"{wheel.name.upper()}/json")
    assert reply.status == 301
    assert reply.location == f"{subject.root}pypi/{wheel.name}/json"


@pytest.mark.parametrize(
    "path", ["{other}/json", "{name}/9.9/json", "{name}/one/json", "-a/json", "{name}", "{name}/1.0"]
)
def test_unknown(subject: Subject, wheel: Builder, path: str) -> None:
    """PJ-01: an unknown project or release is 404 as JSON."""
    reply = ask(subject, path.format(name=wheel.name, other=subject.new_name("no"))).check(404)
    assert "json" in reply.media_type


def test_keys(subject: Subject, wheel: Builder) -> None:
    """PJ-02: the keys are PyPI's; `releases` only without a version."""
    whole, release = ask(subject, f"{wheel.name}/json").json(), ask(subject, f"{wheel.name}/1.0/json").json()
    assert set(whole) == {"info", "urls", "vulnerabilities", "last_serial", "ownership", "releases"}
    assert set(release) == set(whole) - {"releases"}
    assert set(whole["releases"]) == {"0.9", "1.0"}
    assert {file["filename"] for file in whole["urls"]} == {
        wheel.file_name,
        SdistBuilder(name=wheel.name).file_name,
    }


def test_info(subject: Subject, wheel: Builder) -> None:
    """PJ-03: `info` has PyPI's keys with what the file says."""
    info = ask(subject, f"{wheel.name}/json").json()["info"]
    assert set(info) >= INFO
    assert info["summary"] == "A summary"
    assert info["requires_python"] == ">=3.9"
    assert info["requires_dist"] == ["a>=1"]
    assert info["project_urls"] == {"Source": "https://example.org/source"}
    assert info["license_expression"] == "MIT"
    assert info["classifiers"] == ["Private :: Ours"]
    assert info["description"].strip() == "# Title"
    assert info["downloads"] == {"last_day": -1, "last_week": -1, "last_month": -1}
    assert info["yanked"] is False
    assert info["yanked_reason"] is None


def test_files(subject: Subject, wheel: Builder) -> None:
    """PJ-04: each file has PyPI's keys, digests that are right, and a URL that works."""
    files = {file["filename"]: file for file in ask(subject, f"{wheel.name}/json").json()["urls"]}
    file, content = files[wheel.file_name], wheel.bytes()
    assert set(file) >= FILE
    assert file["packagetype"] == "bdist_wheel"
    assert file["python_version"] == "py3"
    assert files[SdistBuilder(name=wheel.name).file_name]["packagetype"] == "sdist"
    assert file["has_sig"] is False
    assert file["size"] == len(content)
    assert file["digests"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert file["digests"]["blake2b_256"] == hashlib.blake2b(content, digest_size=32).hexdigest()
    assert file["digests"]["md5"] == file["md5_digest"] == hashlib.md5(content).hexdigest()
    assert datetime.strptime(file["upload_time"], "%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007  PyPI's spelling has no zone
    assert datetime.fromisoformat(file["upload_time_iso_8601"]).tzinfo is not None
    assert subject.get(file["url"]).check(200).body == content


def test_shown_version(subject: Subject) -> None:
    """PJ-05: the version shown is not yanked, then no pre-release, then the highest."""
    name = subject.new_name()
    for version in ("1.0", "1.10", "1.9", "2.0rc1"):
        subject.publish(WheelBuilder(name=name, version=version))
    assert ask(subject, f"{name}/json").json()["info"]["version"] == "1.10"
    subject.yank(name, WheelBuilder(name=name, version="1.10").file_name)
    assert ask(subject, f"{name}/json").json()["info"]["version"] == "1.9"
    shown = ask(subject, f"{name}/1.10/json").json()["info"]
    assert shown["yanked"] is True


@pytest.mark.parametrize("version", ["1.0.0", "1.0.0.0", "v1.0", "01.0"])
def test_equal_version(subject: Subject, wheel: Builder, version: str) -> None:
    """PJ-05: a version is found in any equal spelling."""
    assert ask(subject, f"{wheel.name}/{version}/json").check(200).json()["info"]["version"] == "1.0"


def test_unchanged(subject: Subject, wheel: Builder) -> None:
    """PJ-06: who asks often (Renovate) gets 304 while nothing changed."""
    tag = ask(subject, f"{wheel.name}/json").header("etag") or ""
    subject.get(f"{subject.root}pypi/{wheel.name}/json", If_None_Match=tag).check(304)


def test_head(subject: Subject, wheel: Builder) -> None:
    """PJ-01: HEAD answers as GET without the body."""
    got = ask(subject, f"{wheel.name}/json")
    head = subject.ask("HEAD", f"{subject.root}pypi/{wheel.name}/json").check(200)
    assert head.body == b""
    assert head.header("content-length") == got.header("content-length")
