"""Where things are in a site, and the pages that a live server does not have: front page, wrong spellings, not found."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from wheelyard.errors import InvalidName
from wheelyard.model import ProjectPage
from wheelyard.protocol.names import normalize
from wheelyard.protocol.negotiation import Representation
from wheelyard.site.destination import Content

if TYPE_CHECKING:
    from jinja2 import Environment

PREFIX: Final = "simple/"
HTML_NAME: Final = "index.html"
JSON_NAME: Final = "index.v1_json"
"""Names of the two pages in each folder; the second is what mirrors of package indexes call it."""

_SHOWN_FIRST: Final = 200  # projects on the front page before anybody searches
_SDIST_ENDINGS: Final = (".tar.gz", ".zip")


@dataclass(frozen=True, slots=True)
class Look:
    """
    What the front page says.

    Attributes:
        title: Name of the index.
        base_url: Where the site will be found, with a slash at its end; None where nobody knows yet.
    """

    title: str
    base_url: str | None = None


def page_path(project: str, name: str) -> str:
    """Return where a page or file of a project is."""
    return f"{PREFIX}{project}/{name}"


def aliases_of(page: ProjectPage, *, case_matters: bool) -> tuple[str, ...]:
    """
    Return spellings of a project's name that people type: as its files spell it, and with underscores.

    Args:
        page: The project.
        case_matters: Whether `Flask` may be another folder than `flask`.
    """
    spellings = {page.name.replace("-", "_")}
    for file in page.files:
        spellings.add(_spelled(file.filename))
    found: dict[str, str] = {}
    for spelling in sorted(spellings):
        folder = spelling if case_matters else spelling.lower()
        if folder != page.name and _is_spelling_of(spelling, page.name):
            found.setdefault(folder, spelling)
    return tuple(found.values())


def redirect_page(project: str) -> bytes:
    """Return the page under a wrong spelling of a project's name."""
    return _render("redirect.html", project=project)


def fixed_pages(look: Look, names: Sequence[str]) -> Mapping[str, tuple[bytes, Content]]:
    """
    Return every page besides those below `simple/`, by path.

    Args:
        look: What they say.
        names: All projects, sorted.
    """
    base = look.base_url
    return {
        HTML_NAME: (
            _render(
                "index.html",
                title=look.title,
                count=len(names),
                shown=names[:_SHOWN_FIRST],
                simple_url="https://HOST/simple/" if base is None else f"{base}simple/",
                is_example=base is None,
            ),
            Content.HTML,
        ),
        "404.html": (_render("404.html", title=look.title), Content.HTML),
        "site.css": (_asset("site.css"), Content.STYLE),
        "site.js": (_asset("site.js"), Content.SCRIPT),
        "projects.js": (_names_script(names), Content.SCRIPT),
        "_headers": (_headers(), Content.TEXT),
        ".nojekyll": (b"", Content.TEXT),
    }


def _names_script(names: Iterable[str]) -> bytes:
    """Return the list of names as a script: a page opened from a disk may load those, but no JSON."""
    return f"showProjects({json.dumps(list(names), separators=(',', ':'))});\n".encode()


def _headers() -> bytes:
    """Return what hosts that read a `_headers` file are told: JSON is JSON, and pages are asked for again."""
    pages = ("/simple/", "/simple/:project/")
    rules = [
        f"{folder}{JSON_NAME}\n  Content-Type: {Representation.JSON.media_type}\n  Cache-Control: {Content.JSON.caching}\n"
        for folder in pages
    ]
    return "".join(rules).encode()


def _spelled(filename: str) -> str:
    """Return the project's name as a file name spells it, as far as that can be told."""
    if filename.endswith(".whl"):
        return filename.partition("-")[0]
    return next((filename.removesuffix(e).rpartition("-")[0] for e in _SDIST_ENDINGS if filename.endswith(e)), "")


def _is_spelling_of(spelling: str, project: str) -> bool:
    try:
        return spelling != project and normalize(spelling) == project
    except InvalidName:
        return False


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  only where a site is built

    return Environment(
        loader=PackageLoader("wheelyard.site", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def _render(template: str, /, **values: object) -> bytes:
    return _environment().get_template(template).render(values).encode("utf-8", "replace") + b"\n"


@cache
def _asset(name: str) -> bytes:
    return (resources.files("wheelyard.site") / "templates" / name).read_bytes()
