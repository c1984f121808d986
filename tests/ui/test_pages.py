"""Pages for people."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from ui.html_checks import parse_strictly, text_of, walk
from wheelyard.errors import ReleaseNotFound
from wheelyard.model import DistFile, Filename, NormalizedName, ProjectPage, ProjectStatus
from wheelyard.ui.about import About
from wheelyard.ui.links import Frame
from wheelyard.ui.pages import PAGE_HEADERS, error_page, home_page, login_page, logout_page, project_page

READER = Frame(index="main", can="read")
SIMPLE = "https://packages.example/simple/"
WHEN = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


def file(name: str, **values: object) -> DistFile:
    known: dict[str, object] = {
        "hashes": {"sha256": "ab" * 32},
        "size": 1_234_567,
        "upload_time": WHEN,
        "core_metadata": {},
    }
    return DistFile(filename=Filename(name), **{"url": name, **known, **values})  # type: ignore[arg-type]


PAGE = ProjectPage(
    name=NormalizedName("a-b"),
    files=(
        file("a_b-1.0.tar.gz", yanked="broken", requires_python=">=3.8"),
        file("a_b-2.0-py3-none-any.whl", requires_python=">=3.9", provenance="https://p.example/x"),
        file("a_b-2.0.tar.gz", yanked="", size=None, upload_time=None, core_metadata=None),
        file("a_b-3.0rc1-py3-none-any.whl"),
        file("notes.txt"),
    ),
    versions=("0.5", "1.0", "2.0", "3.0rc1"),
)
ABOUT = About(
    name="A.B",
    summary="Does <it>",
    people=(("Author", "Ada <ada@a.example>"),),
    license="MIT",
    keywords=("k",),
    requires_python=">=3.9",
    requires=("c>1; extra == 'x'",),
    extras=("x",),
    links=(("Source", "https://s.example/?a=1&b=2"), ("Bad", "javascript:alert(1)")),
    classifiers=("Topic :: Games",),
)
MANY = [f"project-{number:05}" for number in range(20_000)]

PAGES: dict[str, Callable[[], bytes]] = {
    "login": lambda: login_page(Frame()),
    "login, one index": lambda: login_page(Frame(root_path="/p"), indexes=["main"], next_path="/project/a/?x=1&y=2"),
    "login, several indexes": lambda: login_page(Frame(), indexes=["a", "b"], error="no"),
    "logout": lambda: logout_page(READER),
    "home": lambda: home_page(READER, ["a", "B.c"], simple_url=SIMPLE, upload_url="https://packages.example/legacy/"),
    "home, empty": lambda: home_page(Frame(index="main"), []),
    "home, many": lambda: home_page(READER, MANY, page=77, simple_url=SIMPLE),
    "home, search": lambda: home_page(READER, MANY, query="99", simple_url=SIMPLE),
    "home, search in vain": lambda: home_page(READER, MANY, query="<none>"),
    "project": lambda: project_page(READER, PAGE, about=ABOUT, description=Markup("<p>x</p>"), simple_url=SIMPLE),
    "project, yanked": lambda: project_page(READER, PAGE, version="1.0", simple_url=SIMPLE, private=False),
    "project, pre-release": lambda: project_page(READER, PAGE, version="3.0rc1", simple_url=SIMPLE),
    "project, no files": lambda: project_page(READER, PAGE, version="0.5", simple_url=SIMPLE),
    "project, empty": lambda: project_page(READER, ProjectPage(name=NormalizedName("x")), simple_url=SIMPLE),
    "error": lambda: error_page(Frame(), status=404, title="Not found", detail="no '<x>'", hint="look"),
}


@pytest.fixture(params=list(PAGES), ids=str)
def page(request: pytest.FixtureRequest) -> bytes:
    content = PAGES[request.param]()
    assert isinstance(content, bytes)
    return content


def find(root: Element, tag: str) -> list[Element]:
    return [element for element in walk(root) if element.tag == tag]


def links(root: Element) -> dict[str, str | None]:
    return {text_of(element): element.get("href") for element in find(root, "a")}


def test_every_page_is_good_html(page: bytes) -> None:
    """Every page obeys the grammar of HTML, in standards mode, with a language and a title."""
    document = parse_strictly(page)

    assert page.startswith(b"<!doctype html>")
    assert document.get("lang") == "en"
    assert len(text_of(find(document, "title")[0])) > 5


def test_every_page_works_under_its_policy(page: bytes) -> None:
    """No page contains what its own policy forbids or what needs JavaScript."""
    document = parse_strictly(page)

    for element in walk(document):
        assert element.tag not in {"script", "style", "iframe", "object", "embed", "base"}
        assert not {name for name in element.keys() if name == "style" or name.startswith("on")}  # noqa: SIM118 - an Element
    for element in find(document, "link"):
        assert (element.get("href") or "").startswith(("/static/", "/p/static/"))
    for element in find(document, "form"):
        assert (element.get("action") or "").startswith("/")


def test_every_page_can_be_used_by_everybody(page: bytes) -> None:
    """Every page has one main heading, headings without gaps, labelled fields, named buttons and unique names."""
    document = parse_strictly(page)

    levels = [int(element.tag[1]) for element in walk(document) if element.tag in {"h1", "h2", "h3"}]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    names = [element.get("id") for element in walk(document) if element.get("id")]
    assert len(names) == len(set(names))
    labelled = {element.get("for") for element in find(document, "label")}
    assert {element.get("id") for element in find(document, "input")} <= labelled
    assert all(text_of(button) for button in find(document, "button"))
    assert all(element.get("alt") is not None for element in find(document, "img"))
    assert all(name in names for element in walk(document) for name in (element.get("aria-describedby") or "").split())
    skip = next(element for element in find(document, "a") if element.get("class") == "skip-link")
    assert (skip.get("href") or "")[1:] in names


def test_the_headers_forbid_what_pages_do_not_do() -> None:
    """Pages run no code, are framed by nobody, send forms only here, and are kept by no shared cache."""
    headers = dict(PAGE_HEADERS)

    assert headers[b"content-security-policy"] == (
        b"default-src 'none'; style-src 'self'; img-src 'self' data: https:; form-action 'self'; frame-ancestors 'none';"
        b" base-uri 'none'"
    )
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"referrer-policy"] == b"same-origin"
    assert headers[b"cache-control"].startswith(b"private")


# --- login ---------------------------------------------------------------------------------------------------------


def test_the_login_form_is_the_predecessors() -> None:
    """Scripts that fill the predecessor's form fill this one: same address, same fields."""
    document = parse_strictly(login_page(Frame(root_path="/p"), indexes=["main"], next_path="/project/a/?x=1&y=2"))

    (form,) = find(document, "form")
    assert (form.get("method"), form.get("action")) == ("post", "/p/login/?next=%2Fproject%2Fa%2F%3Fx%3D1%26y%3D2")
    fields = {element.get("name"): element for element in find(form, "input")}
    assert set(fields) == {"pkg_repo_name", "pkg_repo_secret_raw"}
    assert fields["pkg_repo_name"].get("value") == "main"
    assert fields["pkg_repo_secret_raw"].get("type") == "password"
    assert fields["pkg_repo_secret_raw"].get("value") is None


def test_a_failed_login_is_announced() -> None:
    """What was wrong is said to those who see and to those who listen."""
    document = parse_strictly(login_page(Frame(), error="The secret is <wrong>."))

    (alert,) = [element for element in walk(document) if element.get("role") == "alert"]
    assert text_of(alert) == "The secret is <wrong>."


def test_logging_out_is_asked_by_form() -> None:
    """A page offers to log out by a form, since a link could be a picture's address."""
    for content in (logout_page(READER), home_page(READER, [])):
        document = parse_strictly(content)
        assert [form.get("method") for form in find(document, "form") if form.get("action") == "/logout/"] != []
        assert "/logout/" not in links(document).values()


def test_who_is_not_logged_in_may_log_in() -> None:
    """A reader of an open index finds the login, and no logout."""
    document = parse_strictly(home_page(Frame(index="main"), []))

    assert links(document)["Log in"] == "/login/"
    assert "/logout/" not in [form.get("action") for form in find(document, "form")]


# --- list ----------------------------------------------------------------------------------------------------------


def listed(content: bytes) -> list[str]:
    document = parse_strictly(content)
    lists = [element for element in find(document, "ul") if element.get("class") == "project-list"]
    return [text_of(link) for element in lists for link in find(element, "a")]


def test_a_large_index_is_shown_by_the_hundred() -> None:
    """Every project of 20,000 is on exactly one page, and pages link to each other."""
    first, second, last = (home_page(READER, MANY, page=number) for number in (1, 2, 200))

    assert listed(first) + listed(second) == MANY[:200]
    assert listed(last) == MANY[-100:]
    assert links(parse_strictly(first))["Next"] == "/?page=2"
    assert links(parse_strictly(second))["Previous"] == "/"
    assert "Next" not in links(parse_strictly(last))
    assert links(parse_strictly(first))["200"] == "/?page=200"


@pytest.mark.parametrize(("page", "start"), [(-5, 0), (0, 0), (201, 19_900), (10**12, 19_900)])
def test_pages_out_of_range_show_the_nearest(page: int, start: int) -> None:
    """A page that does not exist shows the nearest that does."""
    assert listed(home_page(READER, MANY, page=page))[0] == MANY[start]


@pytest.mark.parametrize("query", ["flask.lo", "FLASK-LO", " flask_lo ", "k_l"])
def test_search_knows_how_names_compare(query: str) -> None:
    """PEP 503: case and the kind of separator do not matter in a search."""
    content = home_page(READER, ["Flask-Login", "flask", "Django"], query=query)

    assert listed(content) == ["Flask-Login"]
    assert links(parse_strictly(content))["Flask-Login"] == "/project/flask-login/"


def test_search_works_without_javascript() -> None:
    """The search is a plain form that keeps its word on the result page and in the links to further pages."""
    document = parse_strictly(home_page(READER, MANY, query='1"<'))
    (field,) = [element for element in find(document, "input") if element.get("name") == "q"]
    (form,) = [element for element in find(document, "form") if element.get("role") == "search"]

    assert field.get("value") == '1"<'
    assert (form.get("method"), form.get("action")) == ("get", "/")
    assert links(parse_strictly(home_page(READER, MANY, query="1", page=2)))["Next"] == "/?q=1&page=3"


def test_only_publishers_are_told_how_to_publish() -> None:
    """Lines for publishing stand on the page of those who may."""
    assert b"twine upload" in home_page(READER, [], simple_url=SIMPLE, upload_url="https://packages.example/legacy/")
    assert b"twine upload" not in home_page(READER, [], simple_url=SIMPLE)


def test_a_large_index_is_shown_quickly() -> None:
    """A search in 20,000 names takes no noticeable time."""
    home_page(READER, MANY)
    started = time.perf_counter()
    home_page(READER, MANY, query="1-9")

    assert time.perf_counter() - started < 0.5


# --- project -------------------------------------------------------------------------------------------------------


def project(version: str | None = None, page: ProjectPage = PAGE, **values: object) -> Element:
    return parse_strictly(project_page(READER, page, version=version, simple_url=SIMPLE, **values))  # type: ignore[arg-type]


def rows(document: Element) -> Iterator[tuple[str, Element]]:
    for row in find(document, "tr"):
        cells = find(row, "td")
        if cells:
            name = next(element for element in walk(row) if element.get("class") == "file-name")
            yield text_of(name), row


def test_a_project_shows_what_installers_would_take() -> None:
    """The page shows the release that installers take, how to get it, and its files with size, date and digest."""
    document = project(about=ABOUT)
    found = dict(rows(document))

    assert text_of(find(document, "h1")[0]) == "A.B 2.0"
    assert list(found) == ["a_b-2.0-py3-none-any.whl", "a_b-2.0.tar.gz", "notes.txt"]
    wheel = text_of(found["a_b-2.0-py3-none-any.whl"])
    for part in ("Wheel py3", "1.2 MB", "3 Feb 2026", "ab" * 32, ">=3.9"):
        assert part in wheel
    assert "pip install a-b==2.0" in text_of(document)
    assert links(document)["a_b-2.0-py3-none-any.whl"] == "/simple/a-b/a_b-2.0-py3-none-any.whl"
    assert links(document)["a_b-2.0-py3-none-any.whl.metadata"] == "/simple/a-b/a_b-2.0-py3-none-any.whl.metadata"
    assert links(document)["attestations"] == "https://p.example/x"
    assert "a_b-2.0.tar.gz.metadata" not in links(document)


def test_yanks_are_marked() -> None:
    """PEP 592: yanked files and releases are marked, with the reason."""
    assert "yanked" in text_of(dict(rows(project()))["a_b-2.0.tar.gz"])
    yanked = text_of(project("1.0"))
    assert "This release is yanked: broken" in yanked
    assert "This release is yanked" not in text_of(project())


def test_other_releases_are_listed_and_lead_back() -> None:
    """Every release has its page; an older one says which is current."""
    document = project("1.0")

    assert {"3.0rc1", "2.0", "1.0", "0.5"} <= set(links(document))
    assert links(document)["3.0rc1"] == "/project/a-b/3.0rc1/"
    assert "Another release is the current one: 2.0" in text_of(document)
    assert links(document)["2.0"] in {"/project/a-b/", "/project/a-b/2.0/"}
    current = [text_of(element) for element in find(document, "a") if element.get("aria-current")]
    assert current == ["1.0"]
    assert "This is a pre-release" in text_of(project("3.0rc1"))


def test_an_unknown_release_is_not_found() -> None:
    """A release that does not exist is an error, not an empty page."""
    with pytest.raises(ReleaseNotFound):
        project("9")


@pytest.mark.parametrize("status", list(ProjectStatus))
def test_a_status_is_announced(status: ProjectStatus) -> None:
    """PEP 792: a status other than active is announced with its reason; files of a quarantined project are not shown."""
    page = ProjectPage(name=PAGE.name, files=PAGE.files, versions=PAGE.versions, status=status, status_reason="<why>")
    document = project(page=page)

    assert (status.value in text_of(document)) == (status is not ProjectStatus.ACTIVE)
    assert ("<why>" in text_of(document)) == (status is not ProjectStatus.ACTIVE)
    assert bool(list(rows(document))) == (status is not ProjectStatus.QUARANTINED)
    assert ("pip install" in text_of(document)) == (status is not ProjectStatus.QUARANTINED)


def test_only_safe_links_are_links() -> None:
    """Of the links that a project names, only web and mail addresses can be clicked."""
    document = project(about=ABOUT)

    assert links(document)["Source"] == "https://s.example/?a=1&b=2"
    assert "Bad: javascript:alert(1)" in text_of(document)
    assert not [href for href in links(document).values() if (href or "").startswith("javascript")]


def test_files_of_an_upstream_keep_their_addresses() -> None:
    """A file of an upstream is linked where it is, and an address that is none is text."""
    page = ProjectPage(
        name=PAGE.name,
        files=(
            file("a_b-1.tar.gz", url="https://f.example/a_b-1.tar.gz"),
            file("a_b-1-py3-none-any.whl", url="javascript:alert(1)"),
        ),
        versions=("1",),
    )
    document = project(page=page)

    assert links(document)["a_b-1.tar.gz"] == "https://f.example/a_b-1.tar.gz"
    assert "a_b-1-py3-none-any.whl" not in links(document)


def test_a_page_of_five_thousand_files_is_shown_quickly() -> None:
    """A project with thousands of releases shows one of them."""
    files = tuple(file(f"a_b-1.{number}-py3-none-any.whl") for number in range(5000))
    page = ProjectPage(name=PAGE.name, files=files, versions=tuple(f"1.{number}" for number in range(5000)))
    project_page(READER, page, simple_url=SIMPLE)
    started = time.perf_counter()
    content = project_page(READER, page, simple_url=SIMPLE)

    assert time.perf_counter() - started < 2
    assert len(list(rows(parse_strictly(content)))) == 1


# --- escaping ------------------------------------------------------------------------------------------------------

HOSTILE = st.lists(
    st.sampled_from(
        ["<script>", "</title>", "<!--", "-->", "'", '"', "&", "&lt;", ">", "</pre>", "{{ 7*7 }}", "{% x %}"]
    )
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5),
    min_size=1,
    max_size=5,
).map("".join)


def marks(document: Element) -> list[str]:
    return [element.tag for element in walk(document)]


@settings(max_examples=60, deadline=None)
@given(HOSTILE)
def test_no_text_becomes_markup(text: str) -> None:
    """No value of a project, an index, an error or a search adds an element or leaves its attribute."""

    def pages(value: str) -> Iterator[bytes]:
        frame = Frame(index=value, can=value, root_path="/p")
        told = About(
            name=value, summary=value, people=((value, value),), license=value, keywords=(value,),
            requires_python=value, requires=(value,), extras=(value,), links=((value, value),), classifiers=(value,),
        )  # fmt: skip
        files = (
            file("a_b-1.tar.gz", yanked=value, requires_python=value, hashes={value: value}),
            DistFile(filename=Filename(f"{value}.odd"), url=f"<{value}"),
        )
        page = ProjectPage(
            name=NormalizedName("a-b"), files=files, versions=("1", f"{value}x"),
            status=ProjectStatus.DEPRECATED, status_reason=value,
        )  # fmt: skip
        yield login_page(frame, indexes=[value, "b"], error=value, next_path=value, index=value)
        yield home_page(frame, [value], query="", simple_url=SIMPLE, upload_url=SIMPLE)
        yield home_page(frame, ["a"], query=f"x{value}")
        yield project_page(frame, page, version="1", about=told, simple_url=SIMPLE)
        yield error_page(frame, status=400, title=value, detail=value, hint=value)

    for hostile, harmless in zip(pages(f"v{text}"), pages("vplain"), strict=True):
        assert marks(parse_strictly(hostile)) == marks(parse_strictly(harmless))


@pytest.mark.parametrize("text", ["\ud800", "\0", "\x1b[31m", "\r\n"])
def test_damaged_text_is_shown(text: str) -> None:
    """Text that no encoding has does not stop a page."""
    content = error_page(Frame(), status=400, title="x", detail=text)

    assert content.decode("utf-8")
    assert home_page(READER, MANY, query=f"1{text}")
