"""What an upstream's page says arrives, whatever form it comes in; what is no page does not."""

from datetime import UTC, datetime

import pytest

from wheelyard.errors import ProjectNotFound, UpstreamInvalid
from wheelyard.index.upstream import UpstreamIndex
from wheelyard.model import NormalizedName, ProjectStatus
from wheelyard.testing.fake_upstream import (
    V1_HTML,
    Answer,
    FakeUpstream,
    UpstreamFile,
    html_page,
    json_page,
    with_headers,
)

pytestmark = pytest.mark.anyio

SIX = NormalizedName("six")
WHEEL = UpstreamFile(
    filename="six-1.0-py3-none-any.whl",
    content=b"wheel",
    metadata=b"Metadata-Version: 2.1\nName: six\nVersion: 1.0\n",
    requires_python=">=3.8,<4",
    yanked='broken "badly" <b>',
    provenance="https://integrity.example/six/provenance",
)


async def test_json_field_by_field(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """DC-05, DC-07: a JSON page keeps every field, upload time and provenance among them."""
    status = {"status": "deprecated", "reason": "use seven"}
    upstream.offer("six", WHEEL, page=json_page("six", [WHEEL], versions=["0.9", "1.0"], **{"project-status": status}))
    page = await index.page(SIX)
    [file] = page.files
    assert (page.name, page.versions) == ("six", ("0.9", "1.0"))
    assert (page.status, page.status_reason) == (ProjectStatus.DEPRECATED, "use seven")
    assert file.filename == "six-1.0-py3-none-any.whl"
    assert file.url == f"{upstream.url}/files/six-1.0-py3-none-any.whl"
    assert dict(file.hashes) == {"sha256": WHEEL.sha256}
    assert file.size == 5
    assert file.upload_time == datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert file.requires_python == ">=3.8,<4"
    assert file.yanked == 'broken "badly" <b>'
    assert file.provenance == "https://integrity.example/six/provenance"
    assert file.core_metadata is not None
    assert len(file.core_metadata["sha256"]) == 64


async def test_html_field_by_field(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """DC-05: of an upstream that speaks HTML only, all that HTML can say arrives."""
    metas = {"pypi:project-status": "archived", "pypi:project-status-reason": "done"}
    upstream.offer("six", WHEEL, page=html_page([WHEEL], metas=metas))
    page = await index.page(SIX)
    [file] = page.files
    assert (page.name, page.versions) == ("six", ("1.0",))
    assert (page.status, page.status_reason) == (ProjectStatus.ARCHIVED, "done")
    assert file.url == f"{upstream.url}/files/six-1.0-py3-none-any.whl"
    assert dict(file.hashes) == {"sha256": WHEEL.sha256}
    assert file.requires_python == ">=3.8,<4"
    assert file.yanked == 'broken "badly" <b>'
    assert file.provenance == "https://integrity.example/six/provenance"
    assert file.core_metadata is not None
    assert (file.size, file.upload_time) == (None, None)


async def test_asks_for_json_first(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """NEG-05: the question prefers JSON and takes HTML."""
    upstream.offer("six", WHEEL)
    await index.page(SIX)
    accept = upstream.questions[0].headers["accept"]
    assert accept.startswith("application/vnd.pypi.simple.v1+json,")
    assert "application/vnd.pypi.simple.v1+html;q=0.2" in accept
    assert "text/html;q=0.01" in accept


@pytest.mark.parametrize("content_type", ["application/json", "Application/VND.pypi.simple.v1+JSON; charset=utf-8"])
async def test_json_types(index: UpstreamIndex, upstream: FakeUpstream, content_type: str) -> None:
    """NEG-20: JSON is known by its content type, whatever its case and parameters, also from plain file servers."""
    upstream.offer("six", WHEEL, page=with_headers(json_page("six", [WHEEL]), content_type=content_type))
    assert len((await index.page(SIX)).files) == 1


async def test_versioned_html(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """DC-05: HTML under its versioned content type is understood."""
    upstream.offer("six", WHEEL, page=with_headers(html_page([WHEEL]), content_type=V1_HTML))
    assert len((await index.page(SIX)).files) == 1


@pytest.mark.parametrize("form", ["json", "html"])
async def test_relative_urls(index: UpstreamIndex, upstream: FakeUpstream, form: str) -> None:
    """URL-08: relative file URLs are resolved against where the page was found after redirects."""
    file = UpstreamFile(filename="six-1.0.tar.gz", url="../../blobs/six-1.0.tar.gz")
    page = json_page("six", [file]) if form == "json" else html_page([file])
    upstream.script("/simple/six/", Answer(status=301, headers={"location": "/deep/er/simple/six/"}))
    upstream.script("/deep/er/simple/six/", page)
    [found] = (await index.page(SIX)).files
    assert found.url == f"{upstream.url}/deep/er/blobs/six-1.0.tar.gz"


@pytest.mark.parametrize("form", ["json", "html"])
async def test_odd_files_do_not_hide_good_ones(index: UpstreamIndex, upstream: FakeUpstream, form: str) -> None:
    """VA-03: eggs, installers, variants and their JSON stay listed, and so do the good files."""
    names = [
        "foo-1.0-variants.json",
        "foo-1.0-py3-none-any-x86_64_v3.whl",
        "foo-1.0.exe",
        "foo-1.0-py2.7.egg",
        "foo-1.0-py3-none-any.whl",
        "foo-1.0.tar.gz",
    ]
    files = [UpstreamFile(filename=name) for name in names]
    upstream.offer("foo", page=json_page("foo", files) if form == "json" else html_page(files))
    page = await index.page(NormalizedName("foo"))
    assert [file.filename for file in page.files] == names
    assert page.versions == ("1.0",)


async def test_dangerous_urls_are_left_out(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """VA-03: a file that is not to be had by HTTP is left out, the others stay."""
    bad = [
        UpstreamFile(filename=f"six-1.{number}.tar.gz", url=url)
        for number, url in enumerate(
            ["javascript:alert(1)", "file:///etc/passwd", "http://:80/x", "http://[::1", "data:,x"]
        )
    ]
    upstream.offer("six", *bad, UpstreamFile(filename="six-2.0.tar.gz"))
    assert [file.filename for file in (await index.page(SIX)).files] == ["six-2.0.tar.gz"]


async def test_urls_are_percent_encoded(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """URL-11: a file URL arrives percent-encoded once, so that it fits into a header."""
    url = "/files/b\N{LATIN SMALL LETTER U WITH DIAERESIS}%2Bx+1!0/six-1.0.tar.gz"
    upstream.offer("six", UpstreamFile(filename="six-1.0.tar.gz", url=url))
    [file] = (await index.page(SIX)).files
    assert file.url == f"{upstream.url}/files/b%C3%BC%2Bx+1!0/six-1.0.tar.gz"


async def test_quarantined_offers_nothing(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """ST-06: of a quarantined upstream project no file is listed or opened, even when its page lists some."""
    upstream.offer("six", WHEEL, page=json_page("six", [WHEEL], **{"project-status": {"status": "quarantined"}}))
    page = await index.page(SIX)
    assert (page.status, page.files) == (ProjectStatus.QUARANTINED, ())


async def test_yank_without_reason(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """YANK-03: a yank without a reason is carried over too, from JSON and from HTML."""
    upstream.offer("six", UpstreamFile(filename="six-1.0.tar.gz", yanked=True))
    upstream.offer("seven", page=html_page([UpstreamFile(filename="seven-1.0.tar.gz", yanked=True)]))
    assert [file.yanked for file in (await index.page(SIX)).files] == [""]
    assert [file.yanked for file in (await index.page(NormalizedName("seven"))).files] == [""]


@pytest.mark.parametrize("status", [404, 410])
async def test_unknown_project(index: UpstreamIndex, upstream: FakeUpstream, status: int) -> None:
    """FILE-07: 404 and 410 say for certain that the project is not there."""
    upstream.script("/simple/six/", Answer(status=status))
    with pytest.raises(ProjectNotFound):
        await index.page(SIX)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(json_page("seven", [WHEEL]), id="page of another project"),
        pytest.param(json_page("six", [], meta={"api-version": "2.0"}), id="other major version"),
        pytest.param(json_page("six", [], files=None), id="no files key"),
        pytest.param(with_headers(Answer(body=b"{"), content_type="application/json"), id="broken JSON"),
        pytest.param(with_headers(Answer(body=b"[]"), content_type="application/json"), id="JSON of something else"),
        pytest.param(with_headers(json_page("six", [WHEEL]), content_type="text/plain"), id="wrong content type"),
        pytest.param(with_headers(json_page("six", [WHEEL]), content_type=""), id="no content type"),
        pytest.param(
            with_headers(json_page("six", [WHEEL]), content_type="application/vnd.pypi.simple.v2+json"),
            id="content type of the future",
        ),
        pytest.param(html_page([], mark=False), id="HTML without a file or a mark"),
        pytest.param(
            with_headers(
                Answer(body=b'<!DOCTYPE html><h1>Log in</h1><a href="/reset">Forgot?</a>'), content_type="text/html"
            ),
            id="login page",
        ),
        pytest.param(with_headers(Answer(body=b"<!doctype html>"), content_encoding="gzip"), id="not gzip at all"),
        pytest.param(Answer(status=204), id="204"),
        pytest.param(Answer(status=304), id="304 to an unconditional question"),
    ],
)
async def test_nonsense(index: UpstreamIndex, upstream: FakeUpstream, answer: Answer) -> None:
    """DC-03: what is no page of the project is an error of the upstream, never "not found" and never an empty page."""
    upstream.script("/simple/six/", answer)
    with pytest.raises(UpstreamInvalid) as caught:
        await index.page(SIX)
    assert upstream.root in caught.value.message
    assert caught.value.upstream == upstream.root


@pytest.mark.parametrize("form", ["json", "html"])
async def test_empty_project(index: UpstreamIndex, upstream: FakeUpstream, form: str) -> None:
    """JSON-03: a page that says it is one and lists no file is an empty project."""
    upstream.script("/simple/six/", json_page("six", []) if form == "json" else html_page([]))
    assert (await index.page(SIX)).files == ()


async def test_list(index: UpstreamIndex, upstream: FakeUpstream) -> None:
    """JSON-02: the project list is read from JSON and from HTML, sorted, names that are none left out."""
    projects = [{"name": name} for name in ("Zope.Interface", "six", "-bad-", "attrs")]
    page = json_page("", [], projects=projects)
    html = Answer(headers={"content-type": "text/html"}, body=b'<html><a href="six/">six</a><a href="a/">attrs</a>')
    upstream.script("/simple/", page, html)
    assert (await index.list()).names == ("Zope.Interface", "attrs", "six")
    assert (await index.list()).names == ("attrs", "six")


async def test_list_missing(index: UpstreamIndex) -> None:
    """DC-03: an upstream without a project list is no index, not an index without projects."""
    with pytest.raises(UpstreamInvalid):
        await index.list()
