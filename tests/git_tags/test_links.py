"""`links = "git"`: a link to the tag beside each sdist, in HTML only and in the form that does not break uv."""

from __future__ import annotations

import pytest

from plugins.git_repositories import MakeRepo
from plugins.tag_world import World
from wheelyard.index.tags.sources import Package, Repository
from wheelyard.protocol import simple_html, simple_json
from wheelyard.protocol.names import normalize

pytestmark = pytest.mark.anyio


async def test_a_link_beside_the_file(world: World, make_repo: MakeRepo) -> None:
    """The link names tag, project and version, has two `=` in its fragment, and carries Requires-Python."""
    repo = make_repo()
    repo.release("python_world", "1.0")
    await world.look(repo)
    page = await world.index(links=True).page(normalize("python_world"))
    rendered = simple_html.render_page(page).decode()
    wanted = f'<a href="git+{repo.url}@v1.0#egg=python_world-1.0&amp;vcs=git" data-requires-python="&gt;=3.8">'
    assert wanted in rendered
    assert rendered.index("python_world-1.0.tar.gz#sha256=") < rendered.index(wanted)
    assert b"git+" not in simple_json.render_page(page)


async def test_the_folder_of_a_package(world: World, make_repo: MakeRepo) -> None:
    """The link of a package in a folder names the folder too."""
    repo = make_repo()
    repo.write({"a b/pyproject.toml": '[project]\nname = "demo"\nversion = "1.0"\n'}).commit("v1.0")
    await world.look(Repository(url=repo.url, packages=(Package(subdirectory="a b"),)))
    page = await world.index(links=True).page(normalize("demo"))
    assert b"#egg=demo-1.0&amp;vcs=git&amp;subdirectory=a%20b" in simple_html.render_page(page)


async def test_no_links_unless_asked_for(world: World, make_repo: MakeRepo) -> None:
    """Without the setting pages have files only, and the private keys of a file never show."""
    repo = make_repo()
    repo.release("demo", "1.0")
    await world.look(repo)
    page = await world.index().page(normalize("demo"))
    assert b"git+" not in simple_html.render_page(page)
    assert repo.url.encode() not in simple_html.render_page(page) + simple_json.render_page(page)


async def test_the_same_page_twice(world: World, make_repo: MakeRepo) -> None:
    """While the record stays the page is the same value, so that what was rendered of it can be kept."""
    repo = make_repo()
    repo.release("demo", "1.0")
    await world.look(repo)
    index = world.index(links=True)
    assert await index.page(normalize("demo")) is await index.page(normalize("demo"))
