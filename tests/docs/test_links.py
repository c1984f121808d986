"""The documentation hangs together: every link leads somewhere, every page is reached."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *REPOSITORY.glob("*.md")])

_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def _links(page: Path) -> Iterator[str]:
    yield from _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8")))


def _local_links(page: Path) -> Iterator[tuple[str, Path, str]]:
    """Each link of a page to another page: as written, where it leads, and the heading it names."""
    for link in _links(page):
        if "://" not in link and not link.startswith("mailto:"):
            target, _, anchor = link.partition("#")
            yield link, (page.parent / target).resolve() if target else page, anchor


def _anchors(page: Path) -> set[str]:
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(page.read_text(encoding="utf-8")))
    return {word.strip().replace(" ", "-") for word in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    """A link names a file that exists and, after `#`, a heading of it."""
    for link, target, anchor in _local_links(page):
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in _anchors(target), f"{link}: no such heading"


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_links_stay_inside_the_documentation(page: Path) -> None:
    """Built documentation holds only `docs/`: a page must not link out of it."""
    for link, target, _ in _local_links(page):
        assert target.is_relative_to(DOCS), f"{link} leaves docs/"


def test_every_page_is_reached_from_the_first() -> None:
    """Whoever starts at `docs/index.md` can get to every page."""
    found, todo = set[Path](), [DOCS / "index.md"]
    while todo:
        page = todo.pop()
        found.add(page)
        todo += [target for _, target, _ in _local_links(page) if target.suffix == ".md" and target not in found]
    assert sorted(set(DOCS.rglob("*.md")) - found) == []
