"""Forms from other sites are refused."""

from __future__ import annotations

import pytest

from wheelyard.errors import CrossSiteRequest
from wheelyard.ui.csrf import check_same_site

OWN = "https://packages.example"
COOKIE = {"cookie": "wheelyard_session=x"}


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin", "origin": OWN},
        {"sec-fetch-site": "same-origin", "sec-fetch-dest": "document"},
        {"sec-fetch-site": "none"},
        {"origin": OWN},
        {"origin": "https://packages.example:443"},
        {"origin": "https://PACKAGES.example"},
        {"origin": "http://packages.example"},
        {"referer": f"{OWN}/login/?next=%2F"},
    ],
    ids=str,
)
@pytest.mark.parametrize("cookie", [{}, COOKIE], ids=["no cookie", "cookie"])
def test_own_forms_pass(headers: dict[str, str], cookie: dict[str, str]) -> None:
    """A form on a page of this server is taken, by browsers of every age and behind a proxy that ends TLS."""
    check_same_site({**headers, **cookie}, OWN)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site", "origin": OWN},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": ""},
        {"sec-fetch-site": "same-origin", "sec-fetch-dest": "image"},
        {"sec-fetch-site": "same-origin", "sec-fetch-dest": "iframe"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "https://packages.example:8443"},
        {"origin": "https://packages.example.evil.example"},
        {"origin": "https://packages.example@evil.example"},
        {"origin": "https://[broken"},
        {"origin": "https://packages.example:port"},
        {"origin": "https://evil.example", "referer": OWN},
        {"referer": "https://evil.example/?https://packages.example/"},
        {"referer": ""},
    ],
    ids=str,
)
@pytest.mark.parametrize("cookie", [{}, COOKIE], ids=["no cookie", "cookie"])
def test_forms_from_elsewhere_are_refused(headers: dict[str, str], cookie: dict[str, str]) -> None:
    """A form of another site, or a request of a picture on our own page, is refused with advice."""
    with pytest.raises(CrossSiteRequest) as caught:
        check_same_site({**headers, **cookie}, OWN)

    assert caught.value.hint is not None


def test_programs_without_a_cookie_pass() -> None:
    """A program that sends none of the headers, and no cookie that others could use, passes."""
    check_same_site({"user-agent": "curl/8.0"}, OWN)


def test_a_cookie_needs_an_origin() -> None:
    """A request that carries a cookie and does not say where it comes from is refused."""
    with pytest.raises(CrossSiteRequest):
        check_same_site(COOKIE, OWN)


def test_a_server_on_another_port_is_itself() -> None:
    """A server on a port of its own knows itself by it."""
    check_same_site({"origin": "http://localhost:8888"}, "http://localhost:8888")
    with pytest.raises(CrossSiteRequest):
        check_same_site({"origin": "http://localhost:9999"}, "http://localhost:8888")
