"""Where things are and how long an address holds: pure decisions."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.backends.github.addresses import Addresses, uploads_root
from wheelyard.backends.github.names import key_of, place_of, segment, tag_of, unwritten
from wheelyard.backends.github.redirects import expiry_of

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("api", "graphql", "uploads"),
    [
        ("https://api.github.com", "https://api.github.com/graphql", "https://uploads.github.com"),
        (
            "https://git.acme.example/api/v3",
            "https://git.acme.example/api/graphql",
            "https://git.acme.example/api/uploads",
        ),
        ("https://api.acme.ghe.com", "https://api.acme.ghe.com/graphql", "https://uploads.acme.ghe.com"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1/graphql", None),
    ],
)
def test_hosts(api: str, graphql: str, uploads: str | None) -> None:
    """GraphQL and uploads are where each kind of GitHub has them."""
    addresses = Addresses(api, "o", "r")
    assert (addresses.graphql, addresses.uploads) == (graphql, uploads)


def test_an_upload_host_is_not_less_protected() -> None:
    """The token is not sent in the clear because an answer says so."""
    assert uploads_root("https://u.example/repos/o/r/releases/1/assets{?name,label}") == "https://u.example"
    assert not Addresses("https://api.github.com", "o", "r").is_trusted_upload("http://u.example")
    assert not Addresses("https://api.github.com", "o", "r").is_trusted_upload("")


def test_an_address_ends_with_the_first_of_its_ends() -> None:
    """An address is handed out until a minute before the first of its signatures ends, and not at all after that."""
    body = urlsafe_b64encode(json.dumps({"exp": int((NOW + timedelta(minutes=5)).timestamp())}).encode()).decode()
    url = f"https://h.example/x?se=2026-09-01T13%3A00%3A00Z&jwt=e.{body.rstrip('=')}.s"
    assert expiry_of(url, now=NOW) == NOW + timedelta(minutes=4)
    assert expiry_of(url, now=NOW + timedelta(minutes=4)) is None
    assert expiry_of("https://h.example/x", now=NOW) == NOW + timedelta(minutes=4)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda text: "/" not in text))
def test_a_segment_is_read_back(text: str) -> None:
    """Every name can be told from its path on the branch, and no path has a segment that git refuses."""
    written = segment(text)
    assert unwritten(written) == text
    assert written not in (".", "..", ".git")


@pytest.mark.parametrize("key", ["simple/demo/demo-1.0.tar.gz", "other/file", "simple/demo", "simple/a/b/c"])
def test_a_key_is_put_together_again(key: str) -> None:
    """A group and a name are the key."""
    assert key_of(place_of(key)) == key


def test_tags() -> None:
    """A version's files share a tag whatever their file names look like."""
    names = ["Demo_Pkg-1.0-py3-none-any.whl", "demo-pkg-1.0.tar.gz", "demo_pkg-1.0.0.tar.gz"]
    tags = [tag_of(place_of(f"simple/demo-pkg/{name}"), "version") for name in names]
    assert tags == ["demo-pkg-1.0", "demo-pkg-1.0", "demo-pkg-1.0.0"]
