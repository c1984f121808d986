"""The HTML pages."""

import re
from datetime import UTC, datetime

import html5lib  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings

from protocol.page_strategies import REASONS, pages
from wheelyard.errors import InvalidDocument
from wheelyard.model import DistFile, Filename, ProjectList, ProjectPage, ProjectStatus
from wheelyard.protocol.names import normalize
from wheelyard.protocol.simple_html import join_page, parse_list, parse_page, render_list, render_page, render_row

SHA256 = "0123456789abcdef" * 4
FOO = normalize("foo")
BASE = "https://index.test/simple/foo/"
WHEEL = DistFile(
    filename=Filename("foo-1.0+cu128-py3-none-any.whl"),
    url="foo-1.0%2Bcu128-py3-none-any.whl",
    hashes={"sha256": SHA256},
    size=10,
    upload_time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    requires_python=">=3.8,<4",
    core_metadata={"sha256": SHA256},
    yanked="",
    gpg_sig=False,
    provenance="https://index.test/p",
)
HATCH = re.compile(r"<a [^>]+>([^<]+)</a>")


def test_a_whole_page() -> None:
    """HTML-01, HTML-03 to HTML-10: a row has the standard attributes, escaped, and the file name as its text."""
    page = ProjectPage(name=FOO, files=(WHEEL,), status=ProjectStatus.ARCHIVED, status_reason="moved & gone")
    assert render_page(page).decode() == (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="pypi:repository-version" content="1.4">\n'
        '<meta name="pypi:project-status" content="archived">\n'
        '<meta name="pypi:project-status-reason" content="moved &amp; gone">\n'
        "<title>Links for foo</title>\n</head>\n<body>\n<h1>Links for foo</h1>\n"
        f'<a href="foo-1.0%2Bcu128-py3-none-any.whl#sha256={SHA256}" data-requires-python="&gt;=3.8,&lt;4"'
        f' data-core-metadata="sha256={SHA256}" data-dist-info-metadata="sha256={SHA256}" data-yanked=""'
        ' data-gpg-sig="false" data-provenance="https://index.test/p" data-upload-time="2026-01-02T03:04:05Z">'
        "foo-1.0+cu128-py3-none-any.whl</a><br>\n"
        "</body>\n</html>\n"
    )


def test_what_is_unknown_has_no_attribute() -> None:
    """HTML-07, HTML-14: no metadata means no attribute, and the page has no base."""
    bare = DistFile(filename=Filename("foo-1.0.zip"), url="foo-1.0.zip")
    content = render_page(ProjectPage(name=FOO, files=(bare,)))
    assert b'<a href="foo-1.0.zip">foo-1.0.zip</a>' in content
    assert b"<base" not in content


def test_metadata_without_a_hash() -> None:
    """HTML-07: metadata whose hash is not known is announced with `true`."""
    file = DistFile(filename=Filename("foo-1.0.zip"), url="foo-1.0.zip", core_metadata={})
    assert b'data-core-metadata="true" data-dist-info-metadata="true"' in render_row(file)


@pytest.mark.parametrize("algorithm", ["sha1", "sha224", "blake2b", "blake2b_256"])
def test_hashes_that_uv_refuses(algorithm: str) -> None:
    """HTML-04: a hash for which uv refuses the whole page is not linked."""
    file = DistFile(filename=Filename("foo-1.0.zip"), url="foo-1.0.zip", hashes={algorithm: "0" * 64})
    assert b"#" not in render_row(file)


def test_quarantine_offers_no_file() -> None:
    """ST-03, HTML-11: a quarantined project has a page without files."""
    content = render_page(ProjectPage(name=FOO, files=(WHEEL,), status=ProjectStatus.QUARANTINED))
    assert b"<a " not in content
    assert b'<meta name="pypi:project-status" content="quarantined">' in content


def test_rows_make_the_page() -> None:
    """HTML-01: rows that were rendered apart make the same page."""
    page = ProjectPage(name=FOO, files=(WHEEL, WHEEL))
    assert join_page(page, [render_row(WHEEL)] * 2) == render_page(page)


def test_list() -> None:
    """HTML-02, HTML-06: the list shows names and links to their pages, relative to itself."""
    content = render_list(ProjectList(names=("Foo.Bar", "zoo")))
    assert b'<a href="foo-bar/">Foo.Bar</a><br>\n<a href="zoo/">zoo</a>' in content
    assert content.count(b'<meta name="pypi:repository-version" content="1.4">') == 1
    strict(content)


def strict(content: bytes) -> None:
    html5lib.HTMLParser(strict=True).parse(content)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None, max_examples=50)
@given(pages())
def test_every_page_is_valid_html5(page: ProjectPage) -> None:
    """HTML-01, HTML-13: a strict HTML5 parser has nothing to say, and hatch's pattern finds each file."""
    content = render_page(page)
    strict(content)
    offered = page.files if page.status.offers_files else ()
    assert len(HATCH.findall(content.decode())) == len(offered)


@given(REASONS, REASONS)
def test_no_value_escapes(reason: str, status_reason: str) -> None:
    """HTML-05: no reason, specifier, name or URL adds an element or an attribute to the page."""
    file = DistFile(
        filename=Filename(f"foo-1.0{reason}.zip"),
        url=f"x{reason}",
        hashes={"sha256": f"{reason}"},
        requires_python=reason,
        core_metadata={"sha256": reason},
        yanked=reason,
        provenance=f"https://{reason}",
    )
    page = ProjectPage(name=FOO, files=(file,), status=ProjectStatus.DEPRECATED, status_reason=status_reason)
    content = render_page(page)
    strict(content)
    tree = html5lib.parse(content, namespaceHTMLElements=False)
    assert [element.tag for element in tree.iter()] == (
        ["html", "head", "meta", "meta", "meta", "meta", "title", "body", "h1", "a", "br"]
    )
    (link,) = tree.iter("a")
    assert set(link.attrib) == {
        *("href", "data-requires-python", "data-core-metadata", "data-dist-info-metadata", "data-yanked"),
        "data-provenance",
    }


def test_script_in_a_yank_reason() -> None:
    """HTML-05: the classic attack stays text."""
    row = render_row(DistFile(filename=Filename("a.zip"), url="a.zip", yanked='"><script>alert(1)</script>'))
    assert b"<script" not in row
    assert b'data-yanked="&quot;&gt;&lt;script&gt;' in row


# --- pages of others -----------------------------------------------------------------------------------------------


def parsed(body: str, *, head: str = "") -> ProjectPage:
    return parse_page(f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>".encode(), base_url=BASE)


def test_links_of_others() -> None:
    """DC-05, HTML-03 to HTML-10: the attributes of an upstream's link are read."""
    page = parsed(
        f'<A HREF="../../files/foo-1.0-py3-none-any.whl#sha256={SHA256.upper()}" DATA-REQUIRES-PYTHON="&gt;=3.8"'
        f' data-core-metadata="sha256={SHA256}" data-dist-info-metadata="false" data-yanked="a &amp; b" data-size="12"'
        ' data-gpg-sig="true" data-provenance="https://up.test/p" data-upload-time="2026-01-02T03:04:05Z">\n text </A>'
    )
    assert page.files == (
        DistFile(
            filename=Filename("foo-1.0-py3-none-any.whl"),
            url="https://index.test/files/foo-1.0-py3-none-any.whl",
            hashes={"sha256": SHA256},
            size=12,
            upload_time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            requires_python=">=3.8",
            core_metadata={"sha256": SHA256},
            yanked="a & b",
            gpg_sig=True,
            provenance="https://up.test/p",
        ),
    )
    assert page.versions == ("1.0",)


@pytest.mark.parametrize(
    ("href", "url"),
    [
        ("foo-1.0.zip", f"{BASE}foo-1.0.zip"),
        ("/f/foo-1.0.zip", "https://index.test/f/foo-1.0.zip"),
        ("//cdn.test/foo-1.0.zip", "https://cdn.test/foo-1.0.zip"),
        ("http://cdn.test/foo-1.0.zip?sig=a%2Fb", "http://cdn.test/foo-1.0.zip?sig=a%2Fb"),
        (" foo-1.0%2Bx.zip ", f"{BASE}foo-1.0%2Bx.zip"),
        ("foo-1.0 final.zip", f"{BASE}foo-1.0%20final.zip"),
    ],
)
def test_urls_become_absolute(href: str, url: str) -> None:
    """URL-08: links are resolved against the page."""
    assert [file.url for file in parsed(f'<a href="{href}">x</a>').files] == [url]


def test_base_is_honoured() -> None:
    """HTML-14: a page's own base counts, as for pip and uv; the first one."""
    head = '<base href="https://cdn.test/a/"><base href="https://no.test/">'
    assert parsed('<a href="foo-1.0.zip">x</a>', head=head).files[0].url == "https://cdn.test/a/foo-1.0.zip"


@pytest.mark.parametrize(
    "href",
    [
        "../",
        "?C=N;O=D",
        "https://example.test/",
        "index.html",
        "javascript:alert(1)/foo-1.0.zip",
        "data:text/html,foo-1.0.zip",
        "http://[/foo-1.0.zip",
        "foo-1.0.zip#sha256=short",
        "a%2Fb-1.0.zip",
        "%2e%2e",
        "foo%00-1.0.zip",
    ],
)
def test_links_to_something_else(href: str) -> None:
    """VA-03: links that are no files, or none that can be offered safely, are left out, and only those."""
    page = parsed(f'<a href="{href}">x</a><a href="foo-2.0.zip">y</a><a>z</a>')
    assert [file.filename for file in page.files] == ["foo-2.0.zip"]


@pytest.mark.parametrize(
    ("attributes", "metadata"),
    [
        ("", None),
        ('data-core-metadata="true"', {}),
        ("data-core-metadata", {}),
        ('data-core-metadata="false" data-dist-info-metadata="true"', None),
        (f'data-dist-info-metadata="sha256={SHA256}"', {"sha256": SHA256}),
        ('data-dist-info-metadata="sha256=x"', None),
    ],
)
def test_metadata_of_others(attributes: str, metadata: object) -> None:
    """HTML-07: both attributes are read, the newer one first."""
    assert parsed(f'<a href="foo-1.0.zip" {attributes}>x</a>').files[0].core_metadata == metadata


def test_a_bare_yank() -> None:
    """HTML-08, YANK-03: the bare attribute is a yank too."""
    assert parsed('<a href="foo-1.0.zip" data-yanked>x</a>').files[0].yanked == ""


def test_status_of_others() -> None:
    """HTML-11, ST-06: an upstream's status and reason are read."""
    head = '<meta name="pypi:project-status" content="quarantined">'
    page = parsed("", head=f'{head}<meta name="pypi:project-status-reason" content="bad">')
    assert (page.status, page.status_reason) == (ProjectStatus.QUARANTINED, "bad")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not found",
        b'{"name": "foo"}',
        b'<html><head><meta name="pypi:repository-version" content="2.0"></head></html>',
    ],
)
def test_what_is_no_page(content: bytes) -> None:
    """HTML-06: what is no HTML page of version 1 is refused, so that it is not taken for a project without files."""
    with pytest.raises(InvalidDocument):
        parse_page(content, base_url=BASE)


def test_the_project_of_a_page() -> None:
    """URL-02: the page's place tells the project, or the caller does."""
    assert parse_page(b"<html>", base_url="https://index.test/simple/Foo.Bar").name == "foo-bar"
    assert parse_page(b"<html>", base_url="https://index.test/", project=FOO).name == "foo"
    with pytest.raises(InvalidDocument):
        parse_page(b"<html>", base_url="https://index.test/")


def test_lists_of_others() -> None:
    """HTML-02: names are shown as the upstream spells them, each project once; other links are left out."""
    content = (
        b'<html><a href="/simple/foo/">Foo</a> <a href="foo">foo</a><a href="..">Parent directory</a><a href="b">b</a>'
    )
    assert parse_list(content).names == ("Foo", "b")
