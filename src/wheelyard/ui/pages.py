"""Pages for people, each a function from values to bytes. `project_page` may take some milliseconds: call it in a thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from markupsafe import Markup

from wheelyard.errors import InvalidFilename
from wheelyard.model import DistFile, NormalizedName, ProjectPage, ProjectStatus
from wheelyard.protocol.filenames import parse_filename
from wheelyard.ui.about import About
from wheelyard.ui.environment import render
from wheelyard.ui.install import Line, install_lines, publish_lines
from wheelyard.ui.links import Frame, safe_link
from wheelyard.ui.releases import Release, choose_release, other_files, releases_of

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data: https:; form-action 'self'; frame-ancestors 'none';"
    " base-uri 'none'"
)
"""Nothing on a page runs, embeds, or sends anything to another site; descriptions show pictures from elsewhere."""

PAGE_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-type", b"text/html; charset=utf-8"),
    # Whose page it is depends on the cookie, so no shared cache may keep it; a browser asks each time.
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"Cookie, Authorization"),
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode("ascii")),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""Headers of every page for people, but for the length."""

PROJECTS_PER_PAGE = 100
_LONGEST_QUERY = 200  # characters; no project name is longer
_PAGES_SHOWN = 2  # page numbers on either side of the current one

_STATUS_TEXTS = {
    ProjectStatus.ARCHIVED: "This project is archived. Its files can be installed; new ones are not taken.",
    ProjectStatus.DEPRECATED: "This project is deprecated. Look for what replaces it.",
    ProjectStatus.QUARANTINED: "This project is quarantined. Its files cannot be installed.",
}


def login_page(
    frame: Frame,
    *,
    indexes: Sequence[str] = (),
    error: str | None = None,
    next_path: str = "/",
    index: str = "",
) -> bytes:
    """
    Return the page on which a person logs in.

    Its form is sent to `/login/?next=…` with the fields `pkg_repo_name` and `pkg_repo_secret_raw`, as the predecessor's was.

    Args:
        frame: Where the page is.
        indexes: Names to offer; leave out what a stranger may not know.
        error: What was wrong with the last attempt; None at first.
        next_path: Where to go afterwards; made by `redirects.safe_next`.
        index: The name to start with.
    """
    return render(
        "login.html",
        frame=frame,
        indexes=tuple(indexes),
        error=error,
        action=frame.login + "?next=" + quote(next_path, safe=""),
        index=index or (indexes[0] if len(indexes) == 1 else ""),
    )


def logout_page(frame: Frame) -> bytes:
    """
    Return the page that asks whether to log out.

    A GET only asks: a picture in a description must not be able to log its reader out.
    """
    return render("logout.html", frame=frame)


@dataclass(frozen=True, slots=True)
class _PageLink:
    number: int
    href: str
    is_current: bool
    after_gap: bool


def home_page(
    frame: Frame,
    projects: Sequence[str],
    *,
    query: str = "",
    page: int = 1,
    simple_url: str | None = None,
    upload_url: str | None = None,
    private: bool = True,
) -> bytes:
    """
    Return the list of projects of an index, a hundred at a time.

    Args:
        frame: Where the page is; its `index` is the one listed.
        projects: Their names as they are shown, sorted.
        query: Part of a name; spelling of case and of `-_.` does not matter. "" for all.
        page: Which hundred; numbers out of range show the nearest.
        simple_url: Absolute address of the index for programs; None leaves out how to install from it.
        upload_url: Absolute address that takes uploads; None when the reader may not publish.
        private: Whether reading needs credentials.
    """
    query = query.strip()[:_LONGEST_QUERY]
    wanted = _comparable(query)
    found = [name for name in projects if wanted in _comparable(name)] if wanted else projects
    last = max(1, -(-len(found) // PROJECTS_PER_PAGE))
    page = min(max(page, 1), last)
    start = (page - 1) * PROJECTS_PER_PAGE
    shown = found[start : start + PROJECTS_PER_PAGE]
    return render(
        "home.html",
        frame=frame,
        query=query,
        total=len(projects),
        found=len(found),
        first=start + 1,
        projects=tuple((name, frame.project(_comparable(name))) for name in shown),
        pages=_page_links(frame, query, page, last),
        previous=frame.projects(query=query, page=page - 1) if page > 1 else None,
        following=frame.projects(query=query, page=page + 1) if page < last else None,
        install=()
        if simple_url is None
        else install_lines("PROJECT", None, index=frame.index or "index", simple_url=simple_url, private=private),
        publish=() if upload_url is None else publish_lines(index=frame.index or "index", upload_url=upload_url),
    )


@dataclass(frozen=True, slots=True)
class _FileRow:
    file: DistFile
    href: str | None
    metadata_href: str | None
    provenance_href: str | None
    kind: str
    tags: str


def project_page(
    frame: Frame,
    page: ProjectPage,
    *,
    version: str | None = None,
    about: About | None = None,
    description: Markup | None = None,
    simple_url: str,
    private: bool = True,
) -> bytes:
    """
    Return the page of a project, showing one release of it.

    Args:
        frame: Where the page is.
        page: The project page that programs read.
        version: The release asked for; None for the one that installers would take.
        about: What that release says about itself; None when it says nothing.
        description: Its description, rendered by `readme.Descriptions`; None when there is none.
        simple_url: Absolute address of the index for programs.
        private: Whether reading needs credentials.
    Raises:
        ReleaseNotFound: The project has no such release.
    """
    releases = releases_of(page)
    release = choose_release(page, releases, version)
    about = about or About()
    files = release.files if release is not None and page.status.offers_files else ()
    others = other_files(page) if page.status.offers_files else ()
    return render(
        "project.html",
        frame=frame,
        name=about.name or page.name,
        page=page,
        status=_STATUS_TEXTS.get(page.status),
        releases=tuple((each, frame.project(page.name, each.version)) for each in releases),
        release=release,
        newest=choose_release(page, releases, None),
        about=about,
        links=tuple((label, url, safe_link(url)) for label, url in about.links),
        description=description,
        rows=tuple(_file_row(frame, page.name, file) for file in files),
        other_rows=tuple(_file_row(frame, page.name, file) for file in others),
        install=_lines_for(frame, page, release, simple_url=simple_url, private=private),
    )


def error_page(frame: Frame, *, status: int, title: str, detail: str, hint: str | None = None) -> bytes:
    """
    Return a page that says what went wrong.

    Args:
        frame: Where the page is.
        status: Status of the answer.
        title: In a few words.
        detail: What was refused and why.
        hint: What to do; None when the detail says it.
    """
    return render("error.html", frame=frame, status=status, title=title, detail=detail, hint=hint)


def _comparable(name: str) -> str:
    """Fold what does not matter in a name, in whole names and in parts of them."""
    return name.lower().replace("_", "-").replace(".", "-")


def _page_links(frame: Frame, query: str, page: int, last: int) -> tuple[_PageLink, ...]:
    if last == 1:
        return ()
    numbers = sorted({1, last, *range(max(1, page - _PAGES_SHOWN), min(last, page + _PAGES_SHOWN) + 1)})
    befores = (0, *numbers)
    return tuple(
        _PageLink(number, frame.projects(query=query, page=number), number == page, number - before > 1)
        for before, number in zip(befores, numbers, strict=False)
    )


def _lines_for(
    frame: Frame, page: ProjectPage, release: Release | None, *, simple_url: str, private: bool
) -> tuple[Line, ...]:
    if release is None or not release.files or not page.status.offers_files:
        return ()
    return install_lines(
        page.name, release.version, index=frame.index or "index", simple_url=simple_url, private=private
    )


def _file_row(frame: Frame, project: NormalizedName, file: DistFile) -> _FileRow:
    href = frame.file(project, file.url)
    kind, tags = _kind(file, project)
    return _FileRow(
        file=file,
        href=href,
        metadata_href=None if href is None or file.core_metadata is None else href + ".metadata",
        provenance_href=None if file.provenance is None else safe_link(file.provenance),
        kind=kind,
        tags=tags,
    )


def _kind(file: DistFile, project: NormalizedName) -> tuple[str, str]:
    try:
        parsed = parse_filename(file.filename, project)
    except InvalidFilename:
        return "Other", ""
    if not file.filename.endswith(".whl"):
        return "Source", ""
    return "Wheel", parsed.python_tag
