"""The server below a path of a shared host: every redirect and link keeps the prefix."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urljoin

import pytest

from server.sites import BROWSER, READ, V1_JSON, WRITE, Site, composed
from wheelyard.testing.builders import WheelBuilder

pytestmark = pytest.mark.anyio

PREFIX = "/pypi-proxy"


@pytest.fixture(params=["kept", "stripped"])
async def mounted(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Site, str]]:
    """A site below a prefix, and what its paths start with when they reach it: some proxies take the prefix off."""
    async with composed(tmp_path, url_prefix=PREFIX) as site:
        await site.publish(WheelBuilder())
        yield site, PREFIX if request.param == "kept" else ""


REDIRECTS = [
    ("/simple", "/simple/"),
    ("/simple/demo", "/simple/demo/"),
    ("/simple/DEMO/", "/simple/demo/"),
    ("/main/simple/DEMO", "/main/simple/demo/"),
    ("/project/DEMO/", "/project/demo/"),
    ("/pypi/DEMO/json", "/pypi/demo/json"),
]


@pytest.mark.parametrize(("path", "target"), REDIRECTS)
async def test_redirects(mounted: tuple[Site, str], path: str, target: str) -> None:
    """URL-04: a redirect, resolved by who asked below the prefix, stays below it."""
    site, start = mounted
    answer = await site.get(start + path)
    assert answer.status_code == 301
    asked = f"https://shared.example{PREFIX}{path}"
    assert urljoin(asked, answer.headers["location"]) == f"https://shared.example{PREFIX}{target}"


async def test_login(mounted: tuple[Site, str]) -> None:
    """The way through the login and back stays below the prefix, and so does the cookie."""
    site, start = mounted
    answer = await site.browse(f"{start}/project/demo/?x=1")
    assert answer.status_code == 303
    location = answer.headers["location"]
    assert location == f"{PREFIX}/login/?next={PREFIX}/project/demo/%3Fx%3D1"
    headers = {**BROWSER, "sec-fetch-site": "same-origin"}
    form = {"pkg_repo_name": "main", "pkg_repo_secret_raw": READ[1]}
    answer = await site.ask("POST", start + location.removeprefix(PREFIX), auth=None, headers=headers, data=form)
    assert answer.headers["location"] == f"{PREFIX}/project/demo/?x=1"
    assert f"Path={PREFIX};" in answer.headers["set-cookie"]
    answer = await site.ask("POST", f"{start}/login/", auth=None, headers=headers, data=form)
    assert answer.headers["location"] == f"{PREFIX}/"
    answer = await site.ask("POST", f"{start}/logout/", auth=None, headers=headers)
    assert answer.headers["location"] == f"{PREFIX}/login/"
    assert f"Path={PREFIX};" in answer.headers["set-cookie"]


@pytest.mark.parametrize("path", ["/", "/project/demo/", "/login/", "/main/", "/nothing/"])
async def test_links(mounted: tuple[Site, str], path: str) -> None:
    """Every link of a page is below the prefix, and leads somewhere."""
    site, start = mounted
    page = (await site.browse(start + path, auth=WRITE)).text
    links = [each.replace("&amp;", "&") for each in re.findall(r'(?:href|src|action)="([^"#]*)', page)]
    own = [link for link in links if link.startswith("/")]
    assert own
    for link in own:
        assert link == PREFIX or link.startswith((f"{PREFIX}/", f"{PREFIX}?")), link
        if "logout" not in link:
            answer = await site.browse(start + link.removeprefix(PREFIX), auth=WRITE)
            assert answer.status_code in {200, 301}, link
    if path in {"/", "/main/"}:
        index = "/main" if path == "/main/" else ""
        assert f"http://testserver{PREFIX}{index}/simple/" in page
        assert f"http://testserver{PREFIX}{index}/legacy/" in page


async def test_relative_files(mounted: tuple[Site, str]) -> None:
    """URL-08: file URLs are relative, so the prefix is kept without being named."""
    site, start = mounted
    [file] = (await site.get(f"{start}/simple/demo/", accept=V1_JSON)).json()["files"]
    assert urljoin(f"{PREFIX}/simple/demo/", file["url"]) == f"{PREFIX}/simple/demo/{file['filename']}"
    assert (await site.get(f"{start}/simple/demo/{file['filename']}")).status_code == 200


async def test_absolute_files(mounted: tuple[Site, str]) -> None:
    """PJ-04: where file URLs are absolute, the prefix is in them."""
    site, start = mounted
    [file] = (await site.get(f"{start}/pypi/demo/json")).json()["urls"]
    assert file["url"] == f"http://testserver{PREFIX}/simple/demo/{file['filename']}"


async def test_upload(mounted: tuple[Site, str]) -> None:
    """UP-05: uploads work below the prefix, and a wrong address names the right one with it."""
    site, start = mounted
    path = WheelBuilder(version="2.0").build(site.folder)
    assert (await site.upload(path, to=f"{start}/legacy/")).status_code == 200
    wrong = await site.upload(path, to=f"{start}/")
    assert wrong.status_code == 405
    assert f"{PREFIX}/legacy/" in wrong.text


async def test_not_elsewhere(tmp_path: Path) -> None:
    """A path that only looks like the prefix is another path."""
    async with composed(tmp_path, url_prefix=PREFIX) as site:
        assert (await site.get(f"{PREFIX}x/simple/")).status_code == 404
        assert (await site.get(f"/x{PREFIX}/simple/")).status_code == 404
        assert (await site.get(PREFIX)).status_code in {200, 301}
