"""How rules name projects, releases and wheels."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wheelyard.index.policy.patterns import NamePattern, Selector, TagPattern
from wheelyard.protocol.names import normalize


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("acme", "acme", True),
        ("Acme.Tools", "acme-tools", True),
        ("acme_*", "acme-tools", True),
        ("acme-*", "acme", False),
        ("acme*", "acme", True),
        ("acme-*", "acme-tools-more", True),
        ("acme-*", "not-acme-tools", False),
        ("*-nightly", "torch-nightly", True),
        ("*", "anything", True),
        ("acme", "acme-tools", False),
    ],
)
def test_names(pattern: str, name: str, *, matches: bool) -> None:
    """Names are compared as PEP 503 normalises them; a star stands for any characters, and nothing else is special."""
    assert NamePattern.parse(pattern).matches(normalize(name)) is matches


@pytest.mark.parametrize("text", ["", " ", "-acme", "acme-", "a b", "acme[x]", "acme?", "é", "acme/*"])
def test_no_names(text: str) -> None:
    """What can match no project is a mistake, not a rule that never holds."""
    with pytest.raises(ValueError, match="no project name"):
        NamePattern.parse(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("requests", "requests"),
        ("Requests <2.32", "requests<2.32"),
        ("requests>=2,<3", "requests<3,>=2"),
        ("*==1.0", "*==1.0"),
        ("acme-*~=1.4", "acme-*~=1.4"),
    ],
)
def test_selectors(text: str, shown: str) -> None:
    """A release is named like a requirement."""
    assert str(Selector.parse(text)) == shown


@pytest.mark.parametrize("text", ["requests<", "requests 2", "<2", "requests==", "requests[x]", "requests; x", "a<2<3"])
def test_no_selectors(text: str) -> None:
    """What names no release is a mistake."""
    with pytest.raises(ValueError, match="'"):
        Selector.parse(text)


@pytest.mark.parametrize(
    ("pattern", "tag", "matches"),
    [
        ("*-win32", "cp312-cp312-win32", True),
        ("CP27-*", "cp27-cp27m-win32", True),
        ("cp27-*", "cp312-cp312-win32", False),
        ("py3-none-any", "py3-none-any", True),
        ("*-manylinux*_x86_64", "cp312-cp312-manylinux_2_17_x86_64", True),
        ("any", "py3-none-any", False),
    ],
)
def test_tags(pattern: str, tag: str, *, matches: bool) -> None:
    """A pattern for tags is compared with the whole tag."""
    assert TagPattern.parse(pattern).matches_any({tag, "x-y-z"}) is matches


@pytest.mark.parametrize("parse", [NamePattern.parse, Selector.parse, TagPattern.parse])
def test_length_is_no_matter(parse: Callable[[str], object]) -> None:
    """A pattern of many stars neither fails nor takes long."""
    parse("*" * 200 + "a")
