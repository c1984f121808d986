"""Project names and versions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.errors import InvalidName
from wheelyard.protocol.names import (
    canonical_version,
    is_normalized,
    normalize,
    same_version,
    sort_versions,
    version_key,
    with_version,
)

NAMES = st.from_regex(r"\A(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]{0,40}[A-Za-z0-9])\Z")


@pytest.mark.parametrize(
    "name",
    [
        "friendly-bard",
        "Friendly-Bard",
        "FRIENDLY-BARD",
        "friendly.bard",
        "friendly_bard",
        "friendly--bard",
        "FrIeNdLy-._.-bArD",
    ],
)
def test_spellings_of_one_project(name: str) -> None:
    """URL-05: all spellings of a name reach one project."""
    assert normalize(name) == "friendly-bard"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-a",
        "a-",
        "a.",
        "_a",
        "a b",
        "é",
        "a\n",
        "a\r",
        " a",
        "a/b",
        "..",
        "a\0",
        "\u017f",
        "\u212a",
        "\u0663",
        "a" * 201,
    ],
)
def test_what_is_no_name(name: str) -> None:
    """URL-06: what is no project name is refused, a trailing newline and non-ASCII letters included."""
    with pytest.raises(InvalidName) as caught:
        normalize(name)
    assert caught.value.name == name
    assert not is_normalized(name)


@given(NAMES)
def test_normalising_twice_changes_nothing(name: str) -> None:
    """URL-05: a normalised name is its own normalised form."""
    once = normalize(name)
    assert normalize(once) == once
    assert is_normalized(once)


@given(st.text(max_size=30))
def test_a_name_is_normalised_or_refused(text: str) -> None:
    """URL-06: any text is either a name whose normalised form is plain, or refused as one."""
    try:
        name = normalize(text)
    except InvalidName:
        return
    assert is_normalized(name)
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_versions_are_sorted_and_unique() -> None:
    """JSON-04: releases are canonical, oldest first, without duplicates; legacy ones come first."""
    found = sort_versions(
        ["1.10", "1.9", "v1.9", "1.9.0", "1!0.1", "1.10rc1", "2004-build10", "2004-build9", "1.10+cu128"]
    )
    assert found == ("2004-build9", "2004-build10", "1.9", "1.10rc1", "1.10", "1.10+cu128", "1!0.1")


def test_the_first_spelling_of_a_release_stays() -> None:
    """UF-02: `1.0` and `1.0.0` are one release, known by the spelling it had first."""
    assert sort_versions(["1.0.0", "1.0"]) == ("1.0.0",)
    assert same_version("1.0", "v1.0.0")
    assert not same_version("1.0", "1.0+local")
    assert not same_version("1.0-legacy-x", "1.0-legacy-y")


@pytest.mark.parametrize(
    ("version", "canonical"),
    [
        ("v1.0", "1.0"),
        ("1.0.0", "1.0.0"),
        ("1.0-1", "1.0.post1"),
        ("1.0+Ubuntu-1", "1.0+ubuntu.1"),
        ("2004d-x y", "2004d-x y"),
    ],
)
def test_canonical_versions(version: str, canonical: str) -> None:
    """UF-02: versions are spelled canonically, with their zeros; legacy ones stay as they are."""
    assert canonical_version(version) == canonical


def test_a_number_of_thousands_of_digits_is_a_legacy_version() -> None:
    """FN-06: a version too long to be read as a number is no failure."""
    version = "9" * 5_000
    assert canonical_version(version) == version
    assert sort_versions([version, "1.0"]) == (version, "1.0")


@given(st.lists(st.text(max_size=12)))
def test_any_strings_can_be_sorted(versions: list[str]) -> None:
    """VA-03: an upstream's versions are sorted whatever they are, and sorting again changes nothing."""
    found = sort_versions(versions)
    assert sort_versions(found) == found
    assert sort_versions(reversed(found)) == found
    assert list(found) == sorted(found, key=version_key)


@given(st.lists(st.text(max_size=20)))
def test_versions_added_one_by_one_are_those_sorted_at_once(versions: list[str]) -> None:
    """PEP 700: a release that is added takes its place, and one that is there under another spelling changes nothing."""
    found: tuple[str, ...] = ()
    for version in versions:
        found = with_version(found, version)
    assert found == sort_versions(versions)
