"""Section 1B: the HTML pages, frozen at version 1.4."""

from __future__ import annotations

import hashlib
import re
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

import html5lib  # type: ignore[import-untyped]
import pytest
from pypi_simple import ProjectPage

from standards.subject import TEXT_HTML, V1_HTML, Builder, Subject
from wheelyard.testing.builders import SdistBuilder, WheelBuilder

HATCH = re.compile(r"<a [^>]+>([^<]+)</a>")
ATTACK = '"><script>alert(1)</script>&amp;<img src=x onerror="y">'


class Anchors(HTMLParser):
    """Collects anchors with their attributes and text, and meta elements."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.anchors: list[tuple[dict[str, str | None], str]] = []
        self.meta: dict[str, str] = {}
        self.tags: list[str] = []
        self._open = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "a":
            self.anchors.append((dict(attrs), ""))
            self._open = True
        if tag == "meta":
            found = dict(attrs)
            self.meta[found.get("name") or ""] = found.get("content") or ""

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag != "a"

    def handle_data(self, data: str) -> None:
        if self._open:
            attributes, text = self.anchors[-1]
            self.anchors[-1] = (attributes, text + data)

    def attributes(self, filename: str) -> dict[str, str | None]:
        return next(attributes for attributes, text in self.anchors if text == filename)


@pytest.fixture(scope="module")
def wheel(subject: Subject) -> Builder:
    name = subject.new_name()
    return subject.publish(
        WheelBuilder(name=name, requires_python=">=3.8,<4"), SdistBuilder(name=name, metadata_version="2.1")
    )


def anchors_of(subject: Subject, project: str) -> Anchors:
    return Anchors(subject.html(project))


@pytest.mark.parametrize("accept", [TEXT_HTML, V1_HTML])
@pytest.mark.parametrize("what", ["list", "page"])
def test_valid(subject: Subject, wheel: Builder, what: str, accept: str) -> None:
    """HTML-01: list and page are valid HTML5 in UTF-8, by a strict parser."""
    page = subject.get("" if what == "list" else f"{wheel.name}/", accept=accept).check(200).text
    html5lib.HTMLParser(strict=True).parse(page)
    assert page.lower().startswith("<!doctype html>")
    assert re.search(r'<meta charset="utf-8"\s*/?>', page, re.IGNORECASE)


def test_one_anchor_each(subject: Subject, wheel: Builder) -> None:
    """HTML-01, HTML-03: one anchor for each file; its text is the name and the last part of its address."""
    found = anchors_of(subject, wheel.name)
    assert sorted(text for _, text in found.anchors) == sorted(subject.listed(wheel.name))
    for attributes, text in found.anchors:
        path = urlsplit(urljoin(f"{subject.index_url}{wheel.name}/", attributes["href"] or "")).path
        assert unquote(path.rpartition("/")[2]) == text


def test_list_entries(subject: Subject, wheel: Builder) -> None:
    """HTML-02: the list's anchors have the project's name and lead to its page."""
    found = Anchors(subject.get("", accept=TEXT_HTML).text)
    attributes = found.attributes(wheel.name)
    assert urljoin(subject.index_url, attributes["href"] or "") == f"{subject.index_url}{wheel.name}/"


def test_digests(subject: Subject, wheel: Builder) -> None:
    """HTML-04: every address ends in the file's SHA-256 and in nothing that uv cannot read."""
    for attributes, text in anchors_of(subject, wheel.name).anchors:
        href = attributes["href"] or ""
        assert re.search(r"#sha256=[0-9a-f]{64}\Z", href)
        assert href.count("#") == 1
        content = subject.get(urljoin(f"{subject.index_url}{wheel.name}/", href.partition("#")[0])).check(200).body
        assert href.endswith(hashlib.sha256(content).hexdigest()), text


def test_requires_python(subject: Subject, wheel: Builder) -> None:
    """HTML-05: `Requires-Python` is escaped."""
    assert 'data-requires-python="&gt;=3.8,&lt;4"' in subject.html(wheel.name)


def test_hostile_reason(subject: Subject) -> None:
    """HTML-05: a yank reason that is markup stays text, in a page that is still valid."""
    name = subject.new_name()
    wheel = subject.publish(WheelBuilder(name=name))
    subject.yank(name, wheel.file_name, reason=ATTACK)
    page = subject.html(name)
    html5lib.HTMLParser(strict=True).parse(page)
    found = Anchors(page)
    assert "script" not in found.tags
    assert "img" not in found.tags
    assert found.attributes(wheel.file_name)["data-yanked"] == ATTACK


def test_version(subject: Subject, wheel: Builder) -> None:
    """HTML-06: the repository version of HTML is 1.4, in the head, and never more (PEP 833)."""
    for url in ("", f"{wheel.name}/"):
        page = subject.get(url, accept=TEXT_HTML).text
        head = page.partition("</head>")[0]
        assert '<meta name="pypi:repository-version" content="1.4">' in head


def test_core_metadata(subject: Subject, wheel: Builder) -> None:
    """HTML-07: core metadata is announced by its digest, in the same words under both names, and never as `false`."""
    digest = f"sha256={hashlib.sha256(wheel.metadata_bytes()).hexdigest()}"
    found = anchors_of(subject, wheel.name)
    attributes = found.attributes(wheel.file_name)
    assert attributes["data-core-metadata"] == digest
    assert attributes.get("data-dist-info-metadata", digest) == digest
    without = next(attributes for attributes, text in found.anchors if text.endswith(".tar.gz"))
    assert "data-core-metadata" not in without
    assert "data-dist-info-metadata" not in without


@pytest.mark.parametrize("reason", ["", "broken"])
def test_yanked(subject: Subject, reason: str) -> None:
    """HTML-08: a yank is `data-yanked` with a value, if only an empty one: pip reads the bare attribute as not yanked."""
    name = subject.new_name()
    wheel = subject.publish(WheelBuilder(name=name))
    assert "data-yanked" not in subject.html(name)
    subject.yank(name, wheel.file_name, reason=reason)
    assert f'data-yanked="{reason}"' in subject.html(name)


def test_signatures(subject: Subject, wheel: Builder) -> None:
    """HTML-09: `data-gpg-sig` is on every anchor or on none, and what it promises is there."""
    found = anchors_of(subject, wheel.name)
    marks = [attributes.get("data-gpg-sig") for attributes, _ in found.anchors]
    assert all(mark is None for mark in marks) or None not in marks
    for attributes, _ in found.anchors:
        if attributes.get("data-gpg-sig") == "true":
            href = (attributes["href"] or "").partition("#")[0]
            subject.get(urljoin(f"{subject.index_url}{wheel.name}/", href) + ".asc").check(200)


def test_provenance(subject: Subject, wheel: Builder) -> None:
    """HTML-10: a provenance address is absolute and https."""
    for attributes, _ in anchors_of(subject, wheel.name).anchors:
        assert (attributes.get("data-provenance") or "https://").startswith("https://")


def test_status(subject: Subject) -> None:
    """HTML-11: status and its reason are meta elements."""
    name = subject.new_name()
    subject.publish(SdistBuilder(name=name))
    subject.set_status(name, "archived", ATTACK)
    page = subject.html(name)
    html5lib.HTMLParser(strict=True).parse(page)
    assert Anchors(page).meta["pypi:project-status"] == "archived"
    assert Anchors(page).meta["pypi:project-status-reason"] == ATTACK


def test_nothing_more(subject: Subject, wheel: Builder) -> None:
    """HTML-12: HTML says no more than the standard gives it (PEP 833), but for the two that uv reads."""
    allowed = {
        "data-size",
        "data-upload-time",
        "href",
        "data-requires-python",
        "data-core-metadata",
        "data-dist-info-metadata",
        "data-yanked",
        "data-gpg-sig",
        "data-provenance",
    }
    for attributes, _ in anchors_of(subject, wheel.name).anchors:
        assert set(attributes) <= allowed


def test_plain_anchors(subject: Subject, wheel: Builder) -> None:
    """HTML-13: hatch's regular expression finds every file name."""
    assert sorted(HATCH.findall(subject.html(wheel.name))) == sorted(subject.listed(wheel.name))


def test_no_base(subject: Subject, wheel: Builder) -> None:
    """HTML-14: there is no `<base>`, which clients would obey."""
    for url in ("", f"{wheel.name}/"):
        assert "base" not in Anchors(subject.get(url, accept=TEXT_HTML).text).tags


def test_pypi_simple(subject: Subject, wheel: Builder) -> None:
    """HTML-01, HTML-06: another implementation reads the page and finds what was published."""
    page = ProjectPage.from_html(wheel.name, subject.html(wheel.name), base_url=f"{subject.index_url}{wheel.name}/")
    assert page.repository_version == "1.4"
    package = next(package for package in page.packages if package.filename == wheel.file_name)
    assert package.url == subject.file_url(wheel.name, wheel.file_name)
    assert package.requires_python == ">=3.8,<4"
    assert package.has_metadata
    assert package.digests["sha256"] == hashlib.sha256(wheel.bytes()).hexdigest()
