"""Laws of rendering and parsing pages."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.page_strategies import NAMES, TEXTS, pages
from wheelyard.errors import InvalidDocument
from wheelyard.model import DistFile, ProjectList, ProjectPage
from wheelyard.protocol import simple_html, simple_json
from wheelyard.protocol.names import normalize
from wheelyard.protocol.untrusted import versions_of

BASE = "https://index.test/simple/"

relaxed = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)


def said_in_json(page: ProjectPage) -> ProjectPage:
    """Return what the public JSON page says of `page`."""

    def said(file: DistFile) -> DistFile:
        return dataclasses.replace(
            file,
            hashes=_listed(file.hashes),
            core_metadata=None if file.core_metadata is None else _listed(file.core_metadata),
            private={},
        )

    files = tuple(said(file) for file in page.files) if page.status.offers_files else ()
    return dataclasses.replace(page, files=files, private={})


def _listed(hashes: object) -> dict[str, str]:
    assert isinstance(hashes, dict)
    return {name: digest for name, digest in hashes.items() if name != "blake2b_256"}


def said_in_html(page: ProjectPage) -> ProjectPage:
    """Return what the HTML page says of `page`: one hash, no size, characters that HTML has, releases by file names."""

    def said(file: DistFile) -> DistFile:
        return dataclasses.replace(
            file,
            url=f"{BASE}{page.name}/{file.url}",
            hashes=_best(file.hashes),
            core_metadata=None if file.core_metadata is None else _best(file.core_metadata),
            size=None,
            yanked=None if file.yanked is None else _html_text(file.yanked),
        )

    public = said_in_json(page)
    reason = None if page.status_reason is None else _html_text(page.status_reason)
    files = tuple(said(file) for file in public.files)
    return dataclasses.replace(public, files=files, versions=versions_of(page.name, files), status_reason=reason)


def _best(hashes: object) -> dict[str, str]:
    assert isinstance(hashes, dict)
    return next(({name: hashes[name]} for name in simple_html.LINKED_HASHES if name in hashes), {})


def _html_text(text: str) -> str:
    return simple_html._NOT_HTML.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n").replace("\r", "\n"))


@relaxed
@given(pages())
def test_records_round_trip(page: ProjectPage) -> None:
    """JSON-17: a record gives back the very page it was made of."""
    assert simple_json.parse_record(simple_json.render_record(page)) == page


@relaxed
@given(pages())
def test_equal_pages_have_equal_records(page: ProjectPage) -> None:
    """JSON-06: the order in which a page's mappings were filled does not show in its record."""

    def turned(mapping: Any) -> Any:
        return {key: turned(mapping[key]) for key in reversed(mapping)} if isinstance(mapping, dict) else mapping

    files = tuple(
        dataclasses.replace(
            file,
            hashes=turned(file.hashes),
            core_metadata=turned(file.core_metadata),
            private=turned(file.private),
        )
        for file in page.files
    )
    other = dataclasses.replace(page, files=files, private=turned(page.private))
    assert simple_json.render_record(other) == simple_json.render_record(page)


@relaxed
@given(pages())
def test_json_round_trips(page: ProjectPage) -> None:
    """JSON-01 to JSON-16: parsing the public page gives back what it says."""
    assert simple_json.parse_page(simple_json.render_page(page)) == said_in_json(page)


@relaxed
@given(pages())
def test_html_round_trips(page: ProjectPage) -> None:
    """HTML-01 to HTML-12, JSON-20: parsing the HTML page gives back the same files, as far as HTML can say it."""
    content = simple_html.render_page(page)
    parsed = simple_html.parse_page(content, base_url=f"{BASE}{page.name}/")
    assert parsed == said_in_html(page)


@relaxed
@given(pages())
def test_no_private_key_is_shown(page: ProjectPage) -> None:
    """JSON-16: no private key of ours stands on a public page."""
    document = json.loads(simple_json.render_page(page))
    for shown in (document, document["meta"], *document["files"]):
        assert not [key for key in shown if key.startswith("_")]


@relaxed
@given(st.lists(NAMES, unique=True))
def test_lists_round_trip(names: list[str]) -> None:
    """JSON-02, HTML-02: both forms of the project list give back its names."""
    projects = ProjectList(names=tuple(sorted(names)))
    assert simple_json.parse_list(simple_json.render_list(projects)) == projects
    if names:
        assert simple_html.parse_list(simple_html.render_list(projects)) == projects


_KEYS = st.sampled_from(
    [
        "name",
        "files",
        "versions",
        "meta",
        "filename",
        "url",
        "hashes",
        "sha256",
        "size",
        "yanked",
        "core-metadata",
        "upload-time",
        "project-status",
        "status",
        "provenance",
        "requires-python",
        "api-version",
        "projects",
    ]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS | st.sampled_from(["foo", "1.0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=8),
    max_leaves=20,
)


@relaxed
@given(st.dictionaries(_KEYS, _VALUES, min_size=3).map(json.dumps).map(str.encode) | st.binary(max_size=200))
def test_no_json_fails_otherwise(content: bytes) -> None:
    """VA-03: any bytes are a page, a list or a record, or are refused as none; what was read can be shown."""
    for parse in (simple_json.parse_page, simple_json.parse_record):
        try:
            page = parse(content)
        except InvalidDocument:
            continue
        simple_json.render_page(page)
        simple_html.render_page(page)
    try:
        projects = simple_json.parse_list(content)
    except InvalidDocument:
        return
    assert len({normalize(name) for name in projects.names}) == len(projects.names)


_MARKUP = st.lists(
    st.sampled_from(
        [
            "<a href='foo-1.0.tar.gz'>",
            '<a href="',
            "foo-1.0-py3-none-any.whl",
            "#sha256=",
            "0" * 64,
            '">',
            "</a>",
            "<base ",
            "href=http://[",
            "<!",
            "<![",
            "<![CDATA[",
            "<!--",
            "<?",
            "<meta name=pypi:repository-version content=",
            "1.0>",
            "&#xD800;",
            "&#0;",
            "&gt",
            " data-yanked",
            "=",
            "data-core-metadata=sha256=x",
            "javascript:",
            "\x00",
            "\r\n",
            "%",
        ]
    )
    | TEXTS,
    max_size=20,
).map(lambda parts: "".join(parts).encode())


@relaxed
@given(_MARKUP | st.binary(max_size=200))
def test_no_html_fails_otherwise(content: bytes) -> None:
    """VA-03: any bytes are an HTML page or are refused as none; what was read is safe to show."""
    try:
        page = simple_html.parse_page(content, base_url=f"{BASE}foo/")
        simple_html.parse_list(content)
    except InvalidDocument:
        return
    for file in page.files:
        assert file.url.startswith(("https://", "http://"))
    simple_html.render_page(page)
    assert simple_json.parse_page(simple_json.render_page(page)).files == page.files or not page.status.offers_files


def test_a_private_key_without_its_underscore_is_refused() -> None:
    """JSON-16: a private key that a client could take for a standard one is never written."""
    with pytest.raises(InvalidDocument, match="yanked"):
        simple_json.render_record(ProjectPage(name=normalize("foo"), private={"yanked": 1}))
