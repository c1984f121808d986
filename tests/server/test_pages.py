"""Pages for people, as the server gives them; how they look is tested with the pages themselves."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.sites import BROWSER, READ, WRITE, Site, composed, index_settings
from wheelyard.testing.builders import SdistBuilder, WheelBuilder

pytestmark = pytest.mark.anyio


@pytest.fixture
async def demo(site: Site) -> Site:
    """A project with two releases and a description."""
    markdown = "# Demo\n\n<script>alert(1)</script> [link](javascript:alert(1))\n"
    headers = [("Description-Content-Type", "text/markdown"), ("Summary", "A <b>summary</b>")]
    await site.publish(WheelBuilder(description=markdown, headers=headers))
    await site.publish(SdistBuilder(version="2.0", description=markdown, headers=headers))
    return site


@pytest.fixture
async def open_site(tmp_path: Path) -> AsyncIterator[Site]:
    async with composed(tmp_path, index_settings(anonymous_read=True)) as site:
        yield site


async def test_home(demo: Site) -> None:
    """The first page lists the projects and how to use the index, with its own address."""
    answer = await demo.browse("/", auth=READ)
    assert answer.status_code == 200
    assert 'href="/project/demo/"' in answer.text
    assert "http://testserver/simple/" in answer.text
    assert "/legacy/" not in answer.text
    assert "http://testserver/legacy/" in (await demo.browse("/", auth=WRITE)).text


async def test_search(demo: Site) -> None:
    """The list can be searched, and says so when there is nothing."""
    await demo.publish(WheelBuilder(name="other"))
    found = (await demo.browse("/?q=OTH", auth=READ)).text
    assert 'href="/project/other/"' in found
    assert 'href="/project/demo/"' not in found
    hostile = (await demo.browse("/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", auth=READ)).text
    assert "<script" not in hostile


@pytest.mark.parametrize("page", ["0", "-1", "x", "99999999999999999999", "2", "%00", ""])
async def test_odd_page(demo: Site, page: str) -> None:
    """A page number that is none is no failure."""
    assert (await demo.browse(f"/?page={page}", auth=READ)).status_code == 200


async def test_project(demo: Site) -> None:
    """A project's page shows its newest release, its description made harmless, and its files."""
    answer = await demo.browse("/project/demo/", auth=READ)
    assert answer.status_code == 200
    assert "2.0" in answer.text
    assert "<script" not in answer.text
    assert 'href="javascript:' not in answer.text
    assert "A &lt;b&gt;summary" in answer.text
    assert "demo-2.0.tar.gz" in answer.text


async def test_release(demo: Site) -> None:
    """A release has a page of its own."""
    answer = await demo.browse("/project/demo/1.0/", auth=READ)
    assert answer.status_code == 200
    assert "demo-1.0-py3-none-any.whl" in answer.text


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/project/demo", "/project/demo/"),
        ("/project/DEMO/", "/project/demo/"),
        ("/project/demo/1.0", "/project/demo/1.0/"),
        ("/main/project/Demo/", "/main/project/demo/"),
    ],
)
async def test_canonical(demo: Site, path: str, location: str) -> None:
    """Another spelling leads to the one address."""
    answer = await demo.browse(path, auth=READ)
    assert (answer.status_code, answer.headers["location"]) == (301, location)


@pytest.mark.parametrize(
    "path", ["/project/none/", "/project/-/", "/project/demo/9.9/", "/project/", "/nothing/", "/a/b"]
)
async def test_not_found(demo: Site, path: str) -> None:
    """What is not there is a page that says so, to a person, and a problem document, to a program."""
    page = await demo.browse(path, auth=READ)
    assert page.status_code == 404
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    program = await demo.get(path)
    assert program.status_code == 404
    assert program.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/", "/project/demo/", "/project/demo/1.0/", "/login/", "/nothing/"])
async def test_policy(demo: Site, path: str) -> None:
    """Every page forbids scripts, frames and foreign content, and is not kept by caches."""
    answer = await demo.browse(path, auth=READ)
    policy = answer.headers.get("content-security-policy", "")
    if answer.status_code == 200:
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "no-store" in answer.headers["cache-control"] or "private" in answer.headers["cache-control"]


@pytest.mark.parametrize("path", ["/", "/project/demo/", "/static/x", "/main/"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_methods(demo: Site, path: str, method: str) -> None:
    """Pages are only read."""
    answer = await demo.ask(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


async def test_links_work(demo: Site) -> None:
    """Every address on our pages is there."""
    seen: set[str] = set()
    waiting = ["/", "/project/demo/", "/project/demo/1.0/", "/login/"]
    while waiting:
        path = waiting.pop()
        if path in seen or path.startswith("/logout"):
            continue
        seen.add(path)
        answer = await demo.browse(path, auth=READ)
        assert answer.status_code in {200, 301}, path
        if answer.headers.get("content-type", "").startswith("text/html"):
            found = re.findall(r'(?:href|src|action)="(/[^"#]*)', answer.text)
            waiting += [each.replace("&amp;", "&") for each in found]
    assert any(path.startswith("/static/") for path in seen)
    assert "/project/demo/1.0/" in seen


async def test_static(site: Site) -> None:
    """Styles and pictures need no login, are kept for ever, and have a name that changes with them."""
    page = (await site.browse("/login/")).text
    for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', page):
        answer = await site.get(path, auth=None)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("name", ["", "none.css", "..%2fpages.py", "%2e%2e/pages.py", "style.css", "__init__.py"])
async def test_no_other_static(site: Site, name: str) -> None:
    """URL-17: nothing but the listed files is static."""
    assert (await site.get(f"/static/{name}", auth=None)).status_code == 404


async def test_open_index(open_site: Site) -> None:
    """An index that everybody may read shows its pages without a login."""
    await open_site.publish(WheelBuilder())
    for path in ("/", "/project/demo/", "/simple/demo/"):
        assert (await open_site.browse(path)).status_code == 200
    assert "public" in (await open_site.get("/simple/demo/", auth=None)).headers["cache-control"]


async def test_quarantined(demo: Site) -> None:
    """ST-03: the page of a quarantined project offers no file."""
    await demo.send("PUT", "/api/v1/indexes/main/projects/demo/status", {"status": "quarantined", "reason": "malware"})
    answer = await demo.browse("/project/demo/", auth=READ)
    assert answer.status_code == 200
    assert "malware" in answer.text
    assert ".whl" not in answer.text


async def test_head(demo: Site) -> None:
    """URL-14: HEAD of a page has no body."""
    answer = await demo.ask("HEAD", "/", headers=BROWSER)
    assert answer.status_code == 200
    assert answer.content == b""
