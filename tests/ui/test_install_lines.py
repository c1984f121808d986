"""Lines that a reader copies into a shell."""

from __future__ import annotations

import shlex
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.ui.install import Line, install_lines, publish_lines

URL = "https://packages.example/main/simple/"


def by_client(lines: tuple[Line, ...]) -> dict[str, str]:
    return {line.client: line.text for line in lines}


def test_a_private_index_asks_for_its_secret() -> None:
    """The user name stands in the address of a private index, the secret nowhere."""
    lines = by_client(install_lines("a-b", "1.0+l", index="main", simple_url=URL, private=True))

    assert lines == {
        "pip": "pip install a-b==1.0+l --index-url https://main@packages.example/main/simple/",
        "uv": "uv add a-b==1.0+l --index main=https://main@packages.example/main/simple/",
        "poetry": "poetry source add --priority=explicit main https://packages.example/main/simple/\n"
        "poetry config http-basic.main main\n"
        "poetry add --source main a-b@1.0+l",
    }


def test_an_open_index_needs_no_user() -> None:
    """An index that everybody may read is named without a user."""
    text = "".join(by_client(install_lines("a", None, index="main", simple_url=URL, private=False)).values())

    assert "@" not in text
    assert "http-basic" not in text


@pytest.mark.parametrize("version", ["1.0; rm -rf /", "legacy-version", "$(id)", "1.0\nid"])
def test_what_is_no_version_is_left_out(version: str) -> None:
    """A release whose version installers do not know is not put into a command."""
    for line in install_lines("a", version, index="main", simple_url=URL, private=True):
        assert version not in line.text


def test_publishing_names_the_user() -> None:
    """The lines for publishers name address and user, and no secret."""
    lines = by_client(publish_lines(index="main", upload_url="https://packages.example/main/legacy/"))

    assert lines == {
        "twine": "twine upload --repository-url https://packages.example/main/legacy/ --username main dist/*",
        "uv": "uv publish --publish-url https://packages.example/main/legacy/ --username main",
    }


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from([URL, "http://[::1]:8888/simple/"]))
def test_names_cannot_leave_their_word(index: str, url: str) -> None:
    """Whatever an index is called, a shell reads the words that were meant."""
    pip, uv, *_ = install_lines("a", "1.0", index=index, simple_url=url, private=True)

    assert shlex.split(pip.text)[:4] == ["pip", "install", "a==1.0", "--index-url"]
    assert len(shlex.split(pip.text)) == 5
    assert len(shlex.split(uv.text)) == 5
    assert urlsplit(shlex.split(pip.text)[4]).hostname == urlsplit(url).hostname
