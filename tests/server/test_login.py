"""Logging in and out with a browser."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import time_machine

from server.sites import ADMIN, BROWSER, READ, WRITE, Site, composed, index_settings
from wheelyard.testing.builders import WheelBuilder

pytestmark = pytest.mark.anyio

COOKIE = "wheelyard_session"


def cookie_of(answer: httpx2.Response) -> SimpleCookie:
    return SimpleCookie(answer.headers["set-cookie"])


# --- the way in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/project/demo/", "/simple/", "/simple/demo/", "/main/", "/project/none/"])
async def test_navigation(site: Site, path: str) -> None:
    """Whoever opens a page without a login is led to the login, and back afterwards."""
    answer = await site.browse(path)
    assert answer.status_code == 303
    target = urlsplit(answer.headers["location"])
    assert target.path == "/login/"
    assert parse_qs(target.query)["next"] == [path]
    assert answer.headers["cache-control"] == "no-store"


async def test_navigation_keeps_query(site: Site) -> None:
    """The query of the page comes back too."""
    answer = await site.browse("/?q=a%26b&page=2")
    assert parse_qs(urlsplit(answer.headers["location"]).query)["next"] == ["/?q=a%26b&page=2"]
    answer = await site.login(next="/?q=a%26b&page=2")
    assert answer.headers["location"] == "/?q=a%26b&page=2"


PROGRAMS = [
    {},
    {"accept": "*/*"},
    {"accept": "text/html", "user-agent": "pip/26.3"},
    {"accept": BROWSER["accept"], "user-agent": "curl/8.0"},
    {"accept": BROWSER["accept"], "user-agent": BROWSER["user-agent"], "sec-fetch-mode": "cors"},
    {"accept": "application/vnd.pypi.simple.v1+json", "user-agent": BROWSER["user-agent"]},
]


@pytest.mark.parametrize("path", ["/", "/simple/", "/simple/demo/", "/project/demo/"])
@pytest.mark.parametrize("headers", PROGRAMS, ids=[str(number) for number in range(len(PROGRAMS))])
async def test_programs(site: Site, path: str, headers: dict[str, str]) -> None:
    """AU-01: a program gets 401 with a challenge, never a login page."""
    answer = await site.ask("GET", path, auth=None, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic realm=")


async def test_old_browser(site: Site) -> None:
    """A browser without fetch metadata is known by its name and what it accepts."""
    headers = {name: BROWSER[name] for name in ("accept", "user-agent")}
    assert (await site.ask("GET", "/", auth=None, headers=headers)).status_code == 303


async def test_browser_with_wrong_basic(site: Site) -> None:
    """A browser that sent Basic credentials is asked again for those."""
    answer = await site.browse("/", auth=("main", "wrong"))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")


async def test_page(site: Site) -> None:
    """The page has a form with the names of the predecessor, and works without scripts."""
    answer = await site.browse("/login/?next=/project/demo/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for name in ("pkg_repo_name", "pkg_repo_secret_raw"):
        assert f'name="{name}"' in answer.text
    assert "<script" not in answer.text
    assert 'action="/login/?next=%2Fproject%2Fdemo%2F"' in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


# --- with a secret -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", [READ[1], WRITE[1], ADMIN[1]])
@pytest.mark.parametrize("index", ["main", "MAIN", " main "])
async def test_right(site: Site, secret: str, index: str) -> None:
    """Each secret of the index opens a session, and pages can be read."""
    answer = await site.login(secret=secret, index=index)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert (await site.browse("/")).status_code == 200
    assert (await site.browse("/simple/")).status_code == 200


WRONG = [("main", "wrong"), ("main", ""), ("", ""), ("", READ[1]), ("other", READ[1]), ("__token__", READ[1])]


@pytest.mark.parametrize(("index", "secret"), WRONG)
async def test_wrong(site: Site, index: str, secret: str) -> None:
    """A wrong name or secret shows the form again, says which it was not, and opens nothing."""
    answer = await site.login(index=index, secret=secret)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "not right" in answer.text
    assert secret == "" or secret not in answer.text
    assert (await site.browse("/")).status_code == 303


async def test_cookie(site: Site) -> None:
    """The cookie is out of reach for scripts and other sites, is no secret of ours, and has an end."""
    morsel = cookie_of(await site.login())[COOKIE]
    assert morsel["httponly"]
    assert morsel["samesite"] == "Lax"
    assert morsel["path"] == "/"
    assert int(morsel["max-age"]) == 3600
    assert not morsel["secure"]
    assert not morsel["domain"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", morsel.value)
    other = cookie_of(await site.login())[COOKIE]
    assert other.value != morsel.value


async def test_cookie_over_https(tmp_path: Path) -> None:
    """Over https the cookie stays there."""
    async with composed(tmp_path, url_scheme="https") as site:
        headers = {**BROWSER, "sec-fetch-site": "same-origin"}
        form = {"pkg_repo_name": "main", "pkg_repo_secret_raw": READ[1]}
        answer = await site.ask("POST", "/login/", auth=None, headers=headers, data=form)
        assert cookie_of(answer)[COOKIE]["secure"]


async def test_read_session_reads(site: Site) -> None:
    """A session with the read secret reads and does not change anything."""
    await site.publish(WheelBuilder())
    await site.login()
    path = "/api/v1/indexes/main/projects/demo"
    assert (await site.ask("GET", path, auth=None)).status_code == 200
    refused = await site.ask("DELETE", path, auth=None)
    assert refused.status_code == 403
    assert (await site.ask("GET", path, auth=None)).status_code == 200


async def test_session_of_other_index(tmp_path: Path) -> None:
    """A session of one index opens no other."""
    async with composed(tmp_path, index_settings(), index_settings("other")) as site:
        await site.login()
        assert (await site.browse("/main/")).status_code == 200
        assert (await site.browse("/other/")).status_code == 303
        assert (await site.ask("GET", "/other/simple/", auth=None)).status_code == 401


async def test_expires(tmp_path: Path) -> None:
    """A login ends with its time, here and in the browser."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as clock:
        async with composed(tmp_path, auth_read_expires=600) as site:
            assert cookie_of(await site.login())[COOKIE]["max-age"] == "600"
            value = site.client.cookies[COOKIE]
            clock.shift(timedelta(seconds=599))
            assert (await site.browse("/", cookie=f"{COOKIE}={value}")).status_code == 200
            clock.shift(timedelta(seconds=1))
            assert (await site.browse("/", cookie=f"{COOKIE}={value}")).status_code == 303


async def test_survives_restart(tmp_path: Path) -> None:
    """A login outlives a restart of the server, and not a change of the secret."""
    async with composed(tmp_path) as site:
        await site.login()
        value = site.client.cookies[COOKIE]
    async with composed(tmp_path) as site:
        assert (await site.browse("/", cookie=f"{COOKIE}={value}")).status_code == 200
    async with composed(tmp_path, index_settings(read_secret="new")) as site:
        assert (await site.browse("/", cookie=f"{COOKIE}={value}")).status_code == 303


@pytest.mark.parametrize("value", ["", "x", "a" * 43, "../../etc", "%00", "a" * 5000])
async def test_made_up_cookie(site: Site, value: str) -> None:
    """A cookie that we did not give opens nothing."""
    assert (await site.browse("/", cookie=f"{COOKIE}={value}")).status_code == 303
    answer = await site.ask("GET", "/simple/", auth=None, headers={"cookie": f"{COOKIE}={value}"})
    assert answer.status_code == 401


async def test_cookie_among_others(site: Site) -> None:
    """Our cookie is found among those of other programs on the same host."""
    await site.login()
    value = site.client.cookies[COOKIE]
    site.client.cookies.clear()
    cookies = f'other=1; {COOKIE}={value}; third="x; y"'
    assert (await site.browse("/", cookie=cookies)).status_code == 200


# --- where to go next ----------------------------------------------------------------------------------------------

ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "\\\\evil.example",
    "/\t/evil.example",
    "/%0d%0aSet-Cookie:x=1\r\nX: y",
    "javascript:alert(1)",
    "evil.example",
    "",
    "/" + "a" * 5000,
]


@pytest.mark.parametrize("target", ELSEWHERE)
async def test_no_open_redirect(site: Site, target: str) -> None:
    """A login never leads to another site, whether the form or the address says so."""
    answer = await site.login(next=target)
    assert answer.headers["location"] == "/"
    form = {"pkg_repo_name": "main", "pkg_repo_secret_raw": READ[1]}
    headers = {**BROWSER, "sec-fetch-site": "same-origin"}
    request = httpx2.URL("http://testserver/login/", params={"next": target})
    answer = await site.client.post(request, headers=headers, data=form)
    assert answer.headers["location"] == "/"


async def test_next_is_escaped(site: Site) -> None:
    """What the address says to come next stays text on the page."""
    answer = await site.browse("/login/?next=/%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in answer.text


# --- forms of others -----------------------------------------------------------------------------------------------

FOREIGN = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"referer": "https://evil.example/page"},
    {"origin": "http://testserver.evil.example"},
    {"origin": "http://testserver:8080"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_foreign_form(site: Site, headers: dict[str, str]) -> None:
    """A form on another site neither logs in nor out."""
    form = {"pkg_repo_name": "main", "pkg_repo_secret_raw": READ[1]}
    answer = await site.ask("POST", "/login/", auth=None, headers=headers, data=form)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    await site.login()
    answer = await site.ask("POST", "/logout/", auth=None, headers=headers)
    assert answer.status_code == 403
    assert (await site.browse("/")).status_code == 200


async def test_program_logs_in(site: Site) -> None:
    """A script that posts the form, as private-pypi's users have it, needs no further headers."""
    form = {"pkg_repo_name": "main", "pkg_repo_secret_raw": READ[1]}
    answer = await site.ask("POST", "/login/", auth=None, data=form)
    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"content-type": "application/json"}, b"{}"),
        ({}, b"x"),
        ({"content-type": "application/x-www-form-urlencoded"}, b""),
        ({"content-type": "application/x-www-form-urlencoded"}, b"\xff\xfe=%ff"),
        ({"content-type": "multipart/form-data; boundary=b"}, b"--b--\r\n"),
    ],
)
async def test_odd_form(site: Site, headers: dict[str, str], body: bytes) -> None:
    """What is no login form is refused, never a failure."""
    answer = await site.ask("POST", "/login/", auth=None, headers=headers, content=body)
    assert 400 <= answer.status_code < 500
    assert "set-cookie" not in answer.headers


async def test_large_form(site: Site) -> None:
    """A login form has an end."""
    answer = await site.login(secret="x" * 100_000)
    assert answer.status_code == 413


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_methods(site: Site, method: str) -> None:
    """The login is read and posted to."""
    answer = await site.ask(method, "/login/", auth=None)
    assert answer.status_code == 405
    assert {"GET", "HEAD", "POST"} <= {each.strip() for each in answer.headers["allow"].split(",")}


# --- the way out ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_logout(site: Site, method: str) -> None:
    """Logging out, by link or by form, ends the session on the server and takes the cookie away."""
    await site.login()
    value = site.client.cookies[COOKIE]
    answer = await site.ask(method, "/logout/", auth=None, headers={**BROWSER, "sec-fetch-site": "same-origin"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login/")
    morsel = cookie_of(answer)[COOKIE]
    assert (morsel.value, morsel["max-age"], morsel["path"]) == ("", "0", "/")
    site.client.cookies.clear()
    assert (await site.browse("/", cookie=f"{COOKIE}={value}")).status_code == 303


async def test_picture_does_not_log_out(site: Site) -> None:
    """A picture in a description, whose address is ours, does not log its reader out."""
    await site.login()
    headers = {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image", "sec-fetch-site": "same-origin"}
    await site.ask("GET", "/logout/", auth=None, headers=headers)
    assert (await site.browse("/")).status_code == 200


async def test_logout_without_login(site: Site) -> None:
    """Logging out twice is no mistake."""
    for _ in range(2):
        assert (await site.browse("/logout/")).status_code == 303
