"""Addresses on pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.ui.links import Frame, safe_link

BAD = [
    "javascript:alert(1)", "JavaScript:alert(1)", "java\tscript:alert(1)", "\x01javascript:alert(1)", "data:text/html,x",
    "vbscript:x", "file:///etc/passwd", "//evil.example", "/logout/", "logout/", "", " ", "https:", "https://", "https:/x",
    "https:evil", "http://[broken", "https://a b/", "https://a\\b", "mailto:", "ftp://x.example/", "blob:https://x/1",
    "https://x\n.example/", "https://x.example/\u2028x", "x" * 3000, "https://x.example/" + "x" * 3000,
]  # fmt: skip


@pytest.mark.parametrize(
    "url", ["https://a.example/b?c=d#e", "http://a.example", "HTTPS://a.example/", "mailto:a@b.example"]
)
def test_ordinary_addresses_are_links(url: str) -> None:
    """Addresses of the web and of mail become links."""
    assert safe_link(url) == url


@pytest.mark.parametrize("url", BAD)
def test_other_addresses_are_no_links(url: str) -> None:
    """Addresses that run something, or lead to this server, become no links."""
    assert safe_link(url) is None


@given(st.text())
def test_a_link_is_one_of_three_kinds(url: str) -> None:
    """Whatever somebody wrote, a link starts with a known scheme."""
    link = safe_link(url)

    assert link is None or link.lower().startswith(("http://", "https://", "mailto:"))


def test_own_addresses_carry_the_prefix() -> None:
    """A server below a path, and an index named in the path, link to themselves."""
    frame = Frame(root_path="/pkgs", index="main", index_path="/main")

    assert frame.home == "/pkgs/main/"
    assert frame.login == "/pkgs/login/"
    assert frame.logout == "/pkgs/logout/"
    assert frame.static("style.css").startswith("/pkgs/static/style.")
    assert frame.project("a-b") == "/pkgs/main/project/a-b/"
    assert frame.project("a-b", "1!1.0+l/..") == "/pkgs/main/project/a-b/1%211.0%2Bl%2F../"
    assert frame.projects(query="a b&c", page=3) == "/pkgs/main/?q=a+b%26c&page=3"
    assert frame.projects(query="", page=1) == "/pkgs/main/"


@pytest.mark.parametrize(
    ("url", "href"),
    [
        ("a-1.0.tar.gz", "/pkgs/simple/a/a-1.0.tar.gz"),
        ("a-1.0%2Bl.whl", "/pkgs/simple/a/a-1.0%2Bl.whl"),
        ("../../files/a.whl", "/pkgs/simple/a/../../files/a.whl"),
        ("https://files.example/a.whl", "https://files.example/a.whl"),
        ("javascript:alert(1)", None),
        ("//evil.example/a.whl", None),
        ("/logout/", None),
        ("a?b", None),
    ],
)
def test_files_are_where_their_page_says(url: str, href: str | None) -> None:
    """A file's address is relative to its project page or a web address; anything else is no link."""
    assert Frame(root_path="/pkgs", index="main").file("a", url) == href
