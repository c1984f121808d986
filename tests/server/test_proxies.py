"""What reverse proxies tell is believed of those that are trusted, and of no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.sites import READ, Site, composed
from wheelyard.server.asgi import Message, Receive, Scope, Send
from wheelyard.server.proxies import ForwardedHeaders, Trust
from wheelyard.testing.builders import WheelBuilder

pytestmark = pytest.mark.anyio

ALL = frozenset({"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "forwarded"})


async def seen_by_app(
    headers: list[tuple[str, str]],
    *,
    client: tuple[str, int] | None = ("10.0.0.1", 5000),
    proxies: tuple[str, ...] = ("10.0.0.1",),
    count: int = 1,
    believed: frozenset[str] = ALL,
) -> dict[str, Any]:
    """Return scheme, client and host as the application behind finds them."""
    seen: dict[str, Any] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        seen.update(scope)

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    async def drop(message: Message) -> None:
        del message

    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in [("host", "inner:8888"), *headers]]
    scope: Scope = {"type": "http", "scheme": "http", "client": client, "headers": raw, "method": "GET"}
    await ForwardedHeaders(app, Trust(proxies, count, believed))(scope, nothing, drop)
    hosts = [value.decode("latin-1") for name, value in seen["headers"] if name == b"host"]
    assert len(hosts) == 1
    return {"scheme": seen["scheme"], "client": seen["client"] and seen["client"][0], "host": hosts[0]}


PLAIN = {"scheme": "http", "client": "10.0.0.1", "host": "inner:8888"}
TOLD = [("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "packages.example")]
BELIEVED = {"scheme": "https", "client": "192.0.2.7", "host": "packages.example"}


@pytest.mark.parametrize(
    ("proxies", "trusted"),
    [
        (("10.0.0.1",), True),
        (("10.0.0.0/8",), True),
        (("*",), True),
        (("192.0.2.1", "10.0.0.1"), True),
        (("10.0.0.2",), False),
        (("192.168.0.0/16",), False),
        ((), False),
    ],
)
async def test_trusted(proxies: tuple[str, ...], trusted: bool) -> None:  # noqa: FBT001
    """Only an address that the settings name is believed."""
    assert await seen_by_app(TOLD, proxies=proxies) == (BELIEVED if trusted else PLAIN)


@pytest.mark.parametrize(("client", "trusted"), [("::1", True), ("2001:db8::5", True), ("2001:db9::1", False)])
async def test_ipv6(client: str, trusted: bool) -> None:  # noqa: FBT001
    """Addresses and networks of IPv6 work too."""
    seen = await seen_by_app(TOLD, client=(client, 1), proxies=("::1", "2001:db8::/32"))
    assert seen == (BELIEVED if trusted else {**PLAIN, "client": client})


async def test_unix_socket() -> None:
    """A connection without an address is nobody's, unless everybody is trusted or not."""
    seen = await seen_by_app(TOLD, client=None, proxies=("10.0.0.1",))
    assert seen == {**PLAIN, "client": None}


@pytest.mark.parametrize(
    ("count", "client"), [(1, "10.0.0.9"), (2, "192.0.2.7"), (3, "203.0.113.66"), (4, "203.0.113.66")]
)
async def test_count(count: int, client: str) -> None:
    """Of a list, the element counts that the outermost trusted proxy wrote; what the client wrote itself does not."""
    headers = [("X-Forwarded-For", "203.0.113.66, 192.0.2.7, 10.0.0.9")]
    assert (await seen_by_app(headers, count=count))["client"] == client


async def test_several_lines() -> None:
    """A header in several lines is one list."""
    headers = [("X-Forwarded-For", "203.0.113.66"), ("X-Forwarded-For", "192.0.2.7")]
    assert (await seen_by_app(headers))["client"] == "192.0.2.7"


@pytest.mark.parametrize(
    ("believed", "expected"),
    [
        ({"x-forwarded-for"}, {**PLAIN, "client": "192.0.2.7"}),
        ({"x-forwarded-proto"}, {**PLAIN, "scheme": "https"}),
        ({"x-forwarded-host"}, {**PLAIN, "host": "packages.example"}),
        ({"forwarded"}, PLAIN),
        (set(), PLAIN),
    ],
)
async def test_only_named_headers(believed: set[str], expected: dict[str, str]) -> None:
    """A header that the proxy does not set comes from the client, and is not believed."""
    assert await seen_by_app(TOLD, believed=frozenset(believed)) == expected


FORWARDED = [
    ("for=192.0.2.7;proto=https;host=packages.example", BELIEVED),
    ('For="192.0.2.7"; Proto=https; HOST="packages.example"', BELIEVED),
    ("for=203.0.113.66, for=192.0.2.7;proto=https;host=packages.example", BELIEVED),
    ("for=192.0.2.7", {**PLAIN, "client": "192.0.2.7"}),
    ("proto=javascript", PLAIN),
    (";;=;", PLAIN),
    ("", PLAIN),
]


@pytest.mark.parametrize(("value", "expected"), FORWARDED, ids=[case[0] for case in FORWARDED])
async def test_forwarded(value: str, expected: dict[str, str]) -> None:
    """RFC 7239: `Forwarded` tells the same in one header."""
    assert await seen_by_app([("Forwarded", value)]) == expected


@pytest.mark.parametrize("scheme", ["ftp", "javascript", "", "HTTPS://x", "https\r\nx"])
async def test_odd_scheme(scheme: str) -> None:
    """A scheme is http or https, whatever a proxy says."""
    assert (await seen_by_app([("X-Forwarded-Proto", scheme)]))["scheme"] == "http"


PORTS = [
    ("packages.example", "8443", "https", "packages.example:8443"),
    ("packages.example", "443", "https", "packages.example"),
    ("packages.example", "443", "http", "packages.example:443"),
    ("packages.example:9000", "8443", "https", "packages.example:9000"),
    ("[2001:db8::1]", "8443", "https", "[2001:db8::1]:8443"),
    ("[2001:db8::1]:9000", "8443", "https", "[2001:db8::1]:9000"),
    ("packages.example", "x", "https", "packages.example"),
    ("packages.example", "", "https", "packages.example"),
    ("packages.example", "999999", "https", "packages.example"),
]


@pytest.mark.parametrize(("host", "port", "scheme", "expected"), PORTS)
async def test_port(host: str, port: str, scheme: str, expected: str) -> None:
    """A port that a proxy tells goes with the host, unless the host has one or the scheme has it anyway."""
    told = [("X-Forwarded-Host", host), ("X-Forwarded-Port", port), ("X-Forwarded-Proto", scheme)]
    assert (await seen_by_app(told))["host"] == expected
    assert (await seen_by_app(told, believed=ALL - {"x-forwarded-port"}))["host"] == host


async def ask_json(site: Site, **told: str) -> str:
    headers = {name.replace("_", "-"): value for name, value in told.items()}
    answer = await site.ask("GET", "/pypi/demo/json", headers=headers)
    url = answer.json()["urls"][0]["url"]
    assert isinstance(url, str)
    return url


@pytest.mark.parametrize("trusted", [True, False])
async def test_in_links(tmp_path: Path, trusted: bool) -> None:  # noqa: FBT001
    """Absolute links are those of the outside, when the proxy is trusted."""
    headers = ("x-forwarded-proto", "x-forwarded-host")
    proxies = ("127.0.0.1",) if trusted else ("192.0.2.1",)
    async with composed(tmp_path, trusted_proxies=proxies, trusted_proxy_headers=headers) as site:
        await site.publish(WheelBuilder())
        url = await ask_json(site, x_forwarded_proto="https", x_forwarded_host="packages.example")
        assert url.startswith("https://packages.example/" if trusted else "http://testserver/")


async def test_nothing_trusted_by_default(site: Site) -> None:
    """Without a setting no header is believed."""
    await site.publish(WheelBuilder())
    url = await ask_json(
        site, x_forwarded_proto="https", x_forwarded_host="evil.example", forwarded="host=evil.example"
    )
    assert url.startswith("http://testserver/")


async def test_secure_cookie(tmp_path: Path) -> None:
    """A login behind a proxy that speaks https has a cookie for https only."""
    headers = ("x-forwarded-proto",)
    async with composed(tmp_path, trusted_proxies=("*",), trusted_proxy_headers=headers) as site:
        form = {"pkg_repo_name": READ[0], "pkg_repo_secret_raw": READ[1]}
        answer = await site.ask("POST", "/login/", auth=None, headers={"x-forwarded-proto": "https"}, data=form)
        assert "; Secure" in answer.headers["set-cookie"]
