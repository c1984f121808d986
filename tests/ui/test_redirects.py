"""Where a login may lead."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.ui.redirects import safe_next

PIECES = st.lists(
    st.sampled_from(
        [
            "/",
            "\\",
            "//",
            ".",
            "..",
            ":",
            "@",
            "?",
            "#",
            "%2f",
            "%5c",
            "\t",
            "\n",
            "\r",
            "\x00",
            " ",
            "https",
            "javascript",
            "evil.example",
            "login",
            "\N{FULLWIDTH SOLIDUS}",
            "\u2028",
            "a",
        ]
    )
).map("".join)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/simple/",
        "/project/a-b/1.0%2Bl/",
        "/?q=a&page=2",
        "/project/a/?next=//evil.example",
        "/main/project/x/#files",
    ],
)
def test_paths_of_this_server_pass(path: str) -> None:
    """A path on this server is where the reader goes after the login."""
    assert safe_next(path) == path


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "a",
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/ /evil.example",
        "\t//evil.example",
        " /x",
        "javascript:alert(1)",
        "/.//evil.example",
        "/x/..//evil.example",
        "/x\r\nSet-Cookie: a=b",
        "/café",
        "/" + "a" * 2000,
        "?next=/",
        "#x",
    ],
)
def test_everything_else_leads_home(value: str | None) -> None:
    """An address of another site, or one that some reader takes for one, is replaced."""
    assert safe_next(value, "/home/") == "/home/"


@given(
    PIECES | st.text(max_size=60), st.sampled_from(["http://own.example/login/", "https://own.example:8443/p/login/"])
)
def test_no_input_leaves_the_server(value: str, base: str) -> None:
    """Whatever is asked for, the reader stays on this host, and the header stays one line."""
    path = safe_next(value)

    assert urlsplit(urljoin(base, path))[:2] == urlsplit(base)[:2]
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))
    assert path.isascii()
    assert path.isprintable()
