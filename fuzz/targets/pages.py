"""Simple pages and records: what is read is safe to show, and says the same after it was written and read again."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from urllib.parse import urlsplit

from fuzz.laws import FuzzTarget, require
from wheelyard.errors import InvalidDocument
from wheelyard.model import API_VERSION, DistFile, Filename, NormalizedName, ProjectList, ProjectPage, ProjectStatus
from wheelyard.protocol import simple_html, simple_json
from wheelyard.protocol.names import is_normalized, normalize
from wheelyard.protocol.pypi_json import render_project
from wheelyard.protocol.record import parse_record, render_record

BASE = "https://index.test/simple/demo/"

_ALLOWED = {
    "a": {"href", "data-requires-python", "data-core-metadata", "data-dist-info-metadata", "data-yanked"}
    | {"data-gpg-sig", "data-provenance", "data-upload-time"},
    "meta": {"charset", "name", "content"},
    **{tag: set() for tag in ("head", "body", "title", "h1", "br")},
    "html": {"lang"},
}
_SCHEME = re.compile(r"[\x00-\x20]*([A-Za-z][A-Za-z0-9+.-]*):")


def check(data: bytes) -> None:
    """Check an input: a byte that says what the document claims to be, and the document."""
    _CHECKS[data[0] % len(_CHECKS) if data else 0](data[1:])


def _check_json(content: bytes) -> None:
    try:
        page = simple_json.parse_page(content)
    except InvalidDocument as error:
        _check_text(error)
        return
    _check_page(page)
    shown = simple_json.render_page(page)
    require(simple_json.parse_page(shown) == _said(page), "a page says the same when it is read again", shown)


def _check_html(content: bytes) -> None:
    try:
        page = simple_html.parse_page(content, base_url=BASE)
    except InvalidDocument as error:
        _check_text(error)
        return
    _check_page(page)
    for file in page.files:
        require(urlsplit(file.url).scheme in ("http", "https"), "links of a page become absolute", file.url)
    again = simple_html.parse_page(simple_html.render_page(page), base_url=BASE)
    twice = simple_html.parse_page(simple_html.render_page(again), base_url=BASE)
    require(again == twice, "a page says the same when it is read again", again, twice)
    if page.status.offers_files:
        require([f.filename for f in again.files] == [f.filename for f in page.files], "no file is lost", again.files)


def _check_lists(content: bytes) -> None:
    for parse, render in ((simple_json.parse_list, simple_json.render_list), (simple_html.parse_list, None)):
        try:
            projects = parse(content)
        except InvalidDocument as error:
            _check_text(error)
            continue
        names = [normalize(name) for name in projects.names]
        require(len(set(names)) == len(names), "each project is listed once", projects.names)
        _check_markup(simple_html.render_list(projects), len(names))
        if render is not None:
            require(parse(render(projects)) == projects, "a list says the same when it is read again", projects)
        if names:
            again = simple_html.parse_list(simple_html.render_list(projects))
            require(again == projects, "a list says the same as HTML", projects, again)


def _check_record(content: bytes) -> None:
    try:
        page = parse_record(content)
    except InvalidDocument as error:
        _check_text(error)
        return
    written = render_record(page)
    require(parse_record(written) == page, "a record gives back the page it was made of", page)
    require(render_record(parse_record(written)) == written, "equal pages have equal records", written)
    _check_rendered(page)


def _check_projects(content: bytes) -> None:
    """Check a list of file names as a page that offers them: every kind of name, in every rendering."""
    names = [name for name in content.decode("utf-8", "replace").split("\n") if name and name.isprintable()][:20]
    files = tuple(DistFile(filename=Filename(name), url="x", yanked=name) for name in dict.fromkeys(names))
    _check_rendered(
        ProjectPage(
            name=NormalizedName("demo"), files=files, versions=("1.0",), status_reason=(names and names[0]) or ""
        )
    )
    _check_markup(simple_html.render_list(ProjectList(names=("Demo",))), 1)


def _check_page(page: ProjectPage) -> None:
    require(is_normalized(page.name), "the name is normalised", page.name)
    require(len(set(page.versions)) == len(page.versions), "each release is listed once", page.versions)
    require(len({file.filename for file in page.files}) == len(page.files), "each file is listed once")
    for file in page.files:
        name = file.filename
        require(
            name.isprintable() and not {"/", "\\"} & set(name) and name not in (".", ".."), "a name is no path", name
        )
        scheme = _SCHEME.match(file.url)
        require(scheme is None or scheme[1].lower() in ("http", "https"), "a link is relative, http or https", file.url)
        require("\n" not in file.url and "\r" not in file.url, "a link is one line", file.url)
    _check_rendered(page)


def _check_rendered(page: ProjectPage) -> None:
    """Check that what a page says comes out as nothing but what it says, in each representation."""
    files = len(page.files) if page.status.offers_files else 0
    document = json.loads(simple_json.render_page(page))
    require(document["meta"] == {"api-version": API_VERSION}, "the version is ours", document["meta"])
    require(len(document["files"]) == files, "every file is listed", len(document["files"]))
    require(not any(key.startswith("_") for each in document["files"] for key in each), "no private key is shown")
    _check_markup(simple_html.render_page(page), files)
    shown = json.loads(render_project(page, None, version=None, base_url=BASE, file_url=lambda file: file.url))
    require(isinstance(shown["info"], dict), "the project as JSON has its info")


class _Markup(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        require(tag in _ALLOWED, "only our own elements are in a page", tag)
        names = [name for name, _ in attrs]
        require(
            set(names) <= _ALLOWED[tag] and len(set(names)) == len(names), "and only our own attributes", tag, attrs
        )
        self.links += tag == "a"

    def handle_comment(self, data: str) -> None:
        require(False, "nobody writes comments into a page", data)

    def handle_pi(self, data: str) -> None:
        require(False, "nobody writes instructions into a page", data)


def _check_markup(content: bytes, links: int) -> None:
    markup = _Markup()
    markup.feed(content.decode())
    markup.close()
    require(markup.links == links, "a page has as many links as entries", markup.links, links)


def _said(page: ProjectPage) -> ProjectPage:
    """Return what the public JSON page says of a page that was read from one: known hashes, offered files."""

    def listed(file: DistFile) -> DistFile:
        hashes = {name: file.hashes[name] for name in simple_json.LISTED_HASHES if name in file.hashes}
        metadata = file.core_metadata
        if metadata is not None:
            metadata = {name: metadata[name] for name in simple_json.LISTED_HASHES if name in metadata}
        return dataclasses.replace(file, hashes=hashes, core_metadata=metadata)

    offered = page.files if page.status.offers_files else ()
    return dataclasses.replace(page, files=tuple(listed(file) for file in offered))


def _check_text(error: InvalidDocument) -> None:
    require(len(str(error)) < 10_000, "the text of an error is short", len(str(error)))


_CHECKS: tuple[Callable[[bytes], None], ...] = (_check_json, _check_html, _check_lists, _check_record, _check_projects)


def _seeds() -> dict[str, bytes]:
    file = DistFile(
        filename=Filename("demo-1.0-py3-none-any.whl"),
        url="demo-1.0-py3-none-any.whl",
        hashes={"sha256": "0" * 64, "md5": "1" * 32},
        size=10,
        requires_python=">=3.9,<4",
        core_metadata={"sha256": "2" * 64},
        yanked="bad & <b>",
        gpg_sig=False,
        provenance="https://example.test/p",
    )
    page = ProjectPage(
        name=NormalizedName("demo"),
        files=(file, DistFile(filename=Filename("demo-1.0.tar.gz"), url="demo-1.0.tar.gz", private={"_a": [1, None]})),
        versions=("1.0",),
        status=ProjectStatus.DEPRECATED,
        status_reason="old",
        private={"_b": {"c": 1.5}},
    )
    projects = ProjectList(names=("Demo", "other-one"))
    return {
        "json": b"\0" + simple_json.render_page(page),
        "html": b"\1" + simple_html.render_page(page),
        "html-odd": b"\1<base href=/f/><a href='demo-1.0.zip#sha256=" + b"a" * 64 + b"' data-yanked>x</a><!-- -->",
        "json-list": b"\2" + simple_json.render_list(projects),
        "html-list": b"\2" + simple_html.render_list(projects),
        "record": b"\3" + render_record(page),
        "names": b"\4demo-1.0.tar.gz\n<b>-1.zip\n\"'&.exe\ndemo-1.0-py3-none-any.whl",
    }


TARGET = FuzzTarget(
    name="pages",
    about="JSON, HTML, lists and records say the same when written and read again; nothing a page holds becomes markup",
    check=check,
    seeds=_seeds,
    words=(
        *(
            b'"meta":{"api-version":"1.0"}',
            b'"name":"demo"',
            b'"files":[',
            b'"versions":["1.0"]',
            b'"hashes":{"sha256":"',
        ),
        *(
            b'"yanked":true',
            b'"core-metadata":true',
            b'"upload-time":"2024-01-01T00:00:00Z"',
            b'"size":1',
            b'"_record":1',
        ),
        *(
            b'"project-status":{"status":"quarantined"}',
            b'"gpg-sig":null',
            b'"provenance":"https://',
            b'"url":"',
            b"\\ud800",
        ),
        *(
            b"<a href='",
            b"</a>",
            b"<base href=",
            b"<!",
            b"<!--",
            b"-->",
            b"<![CDATA[",
            b"<?",
            b"&#xD800;",
            b"&#0;",
            b"&lt",
        ),
        *(
            b"<meta name=pypi:repository-version content=",
            b"javascript:",
            b"//host/",
            b"#sha256=",
            b"data-yanked=",
            b"%2f",
        ),
        *(b"<script>", b"<title>", b"<textarea>", b"<plaintext>", b"\x00", b"\xef\xbb\xbf", b"http://[", b"..", b"\\"),
    ),
    reached=(
        *(f"src/wheelyard/protocol/{name}.py" for name in ("simple_json", "simple_html", "record", "untrusted")),
        *(f"src/wheelyard/protocol/{name}.py" for name in ("json_keys", "pypi_json", "names")),
    ),
    max_len=4096,
)
