"""The hot path and the ASGI application give the same answer to every request, and the hot path does answer."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from server.sites import READ, WRITE, Site, basic
from wheelyard.server.hot import HotPath
from wheelyard.testing.builders import SdistBuilder, WheelBuilder

pytestmark = pytest.mark.anyio

WHEEL = "/simple/demo/demo-1.0-py3-none-any.whl"
SDIST = "/simple/demo/demo-1.0.tar.gz"
V1J = "application/vnd.pypi.simple.v1+json"
PIP = f"{V1J}, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"

READY_PATHS = ("/simple/", "/simple/demo/", "/main/simple/demo/", "/simple//demo/", WHEEL, f"{WHEEL}.metadata", SDIST)
OTHER_PATHS = (
    "/simple",
    "/simple/demo",
    "/simple/Demo/",
    "/simple/demo/?format=text/html",
    "/simple/nope/",
    "/simple/demo/nope-1.0.tar.gz",
    "/nope/simple/demo/",
    "/healthz",
    "/",
)
ACCEPTS = (None, "*/*", PIP, V1J, "text/html", "application/vnd.pypi.simple.v1+html", "image/png", ";;;")
CODINGS = (None, "gzip, deflate", "gzip, deflate, zstd", "identity", "gzip;q=0")
READER, WRITER, WRONG = basic(*READ), basic(*WRITE), basic("main", "wrong")
UNUSUAL = (
    {"range": "bytes=0-9"},
    {"range": "bytes=0-9", "if-range": '"other"'},
    {"cookie": "wheelyard_session=nonsense"},
    {"content-length": "0"},
    {"if-modified-since": "Sat, 21 Nov 2026 00:00:00 GMT"},
    {"expect": "100-continue"},
)


async def ask(site: Site, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    """Ask the application; what its client adds by itself is taken away."""
    request = site.client.build_request(method, path, headers=headers)
    for name in ("accept", "accept-encoding", "user-agent", "connection", "host"):
        if name not in headers and name in request.headers:
            del request.headers[name]
    request.headers["host"] = "testserver"
    response = await site.client.send(request, stream=True)
    content = b"".join([piece async for piece in response.aiter_raw()])
    return response.status_code, dict(response.headers), content


def ask_hot(hot: HotPath, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes] | None:
    sent = [(b"host", b"testserver"), *((name.encode(), value.encode()) for name, value in headers.items())]
    answer = hot.answer(method.encode(), path.encode(), sent)
    if answer is None:
        return None
    status_line, head, body = answer
    lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    content = body if isinstance(body, bytes) else body.content
    return int(status_line.split()[1]), {name: value for name, _, value in pairs}, content


def shapes() -> list[tuple[str, str, dict[str, str]]]:
    """Every kind of request: method, path, headers."""
    made = []
    for method, path, accept, coding in itertools.product(
        ("GET", "HEAD"), (*READY_PATHS, *OTHER_PATHS), ACCEPTS, CODINGS
    ):
        named = {"authorization": READER, "accept": accept, "accept-encoding": coding}
        made.append((method, path, {name: value for name, value in named.items() if value is not None}))
    for path, authorization in itertools.product(READY_PATHS, (None, WRITER, WRONG, "Bearer x", "nonsense")):
        made.append(("GET", path, {} if authorization is None else {"authorization": authorization}))
    for path, headers in itertools.product(READY_PATHS, UNUSUAL):
        made.append(("GET", path, {"authorization": READER, **headers}))
    made.extend(
        ("GET", path, {"authorization": READER, "if-none-match": tag}) for path in READY_PATHS for tag in ("*", '"x"')
    )
    return made


@pytest.fixture
async def hot(site: Site) -> HotPath:
    await site.publish(WheelBuilder(name="demo", requires_python=">=3.8"))
    await site.publish(SdistBuilder(name="demo"))
    made = site.server.hot()
    assert made is not None
    return made


async def test_every_shape(site: Site, hot: HotPath) -> None:
    """Status, headers and body are the same by both ways, and what is ready is answered hot."""
    hot_answers = 0
    for method, path, headers in shapes():
        expected = await ask(site, method, path, headers)
        got = ask_hot(hot, method, path, headers)
        if got is not None:
            hot_answers += 1
            assert got == expected, (method, path, headers)
        elif path in READY_PATHS and expected[0] == 200 and not set(headers) & set().union(*UNUSUAL):
            pytest.fail(f"not answered hot: {method} {path} {headers}")
    assert hot_answers > 500


@pytest.mark.parametrize("path", READY_PATHS)
async def test_unchanged(site: Site, hot: HotPath, path: str) -> None:
    """CACHE-01: a 304 is the same by both ways, for each encoding's own validator."""
    for coding in ("identity", "gzip", "zstd"):
        headers = {"authorization": READER, "accept-encoding": coding}
        _, fresh, _ = await ask(site, "GET", path, headers)
        for tag in (fresh["etag"], f"W/{fresh['etag']}", f'"x", {fresh["etag"]}'):
            asked = {**headers, "if-none-match": tag}
            expected = await ask(site, "GET", path, asked)
            assert expected[0] == 304
            assert ask_hot(hot, "GET", path, asked) == expected


async def test_a_change_is_seen_at_once(site: Site, hot: HotPath) -> None:
    """After a publish the ready page is not used any more."""
    headers = {"authorization": READER, "accept": V1J}
    await ask(site, "GET", "/simple/demo/", headers)
    assert ask_hot(hot, "GET", "/simple/demo/", headers) is not None
    await site.publish(WheelBuilder(name="demo", version="2.0"))
    assert ask_hot(hot, "GET", "/simple/demo/", headers) is None
    expected = await ask(site, "GET", "/simple/demo/", headers)
    assert b"demo-2.0" in expected[2]
    assert ask_hot(hot, "GET", "/simple/demo/", headers) == expected


async def test_who_was_never_admitted(site: Site, hot: HotPath) -> None:
    """Nobody gets a ready answer by a header that the gate has not admitted before."""
    await ask(site, "GET", WHEEL, {"authorization": READER})
    assert ask_hot(hot, "GET", WHEEL, {"authorization": READER}) is not None
    for authorization in (WRONG, READER + "=", READER.lower(), ""):
        assert ask_hot(hot, "GET", WHEEL, {"authorization": authorization}) is None
    assert ask_hot(hot, "GET", WHEEL, {}) is None


async def test_new_configuration_forgets(site: Site, hot: HotPath) -> None:
    """After `/initialize/` a header admitted before opens nothing by the hot path."""
    headers = {"authorization": READER}
    await ask(site, "GET", "/simple/demo/", headers)
    assert ask_hot(hot, "GET", "/simple/demo/", headers) is not None
    site.server.settings = replace(site.server.settings, generated=True)
    config = '[main]\ntype = "memory"\nread_secret = "other"\nwrite_secret = "another"\n'
    await site.server._initialize(config, "")
    assert ask_hot(hot, "GET", "/simple/demo/", headers) is None
    assert (await ask(site, "GET", "/simple/demo/", headers))[0] == 401
