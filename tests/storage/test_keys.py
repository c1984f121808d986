"""What is a key, and what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.errors import InvalidKey
from wheelyard.storage.keys import check_file_key, check_key, check_prefix, check_record_key, is_record_key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/./b",
        "a/..",
        "a\\b",
        "a\0b",
        "a\nb",
        "a\x7fb",
        "a\x85b",
        "a/" + "x" * 256,
        "a/" + "\N{SNAKE}" * 64,
        "/".join(["x" * 100] * 11),
        "\ud800",
        ".wheelyard/tmp/x",
        ".wheelyard",
    ],
)
def test_refused(text: str) -> None:
    """URL-17: what could leave the storage, name nothing, or break a store, is no key."""
    with pytest.raises(InvalidKey) as raised:
        check_key(text)
    assert raised.value.key == text


@pytest.mark.parametrize(
    "text",
    ["a", "a/b", "..a/b..", "a/.hidden", "a/" + "x" * 255, "/".join(["x" * 100] * 10), "a b/c%2Fd", "x/.wheelyard"],
)
def test_accepted(text: str) -> None:
    """Everything else is a key, unchanged."""
    assert check_key(text) == text


@given(st.text())
def test_a_key_never_leaves_its_folder(text: str) -> None:
    """URL-17: whatever is accepted is a relative path of plain segments."""
    try:
        key = check_key(text)
    except InvalidKey:
        return
    assert not {"", ".", ".."} & set(key.split("/"))
    assert key.isprintable() or not any(character < " " for character in key)
    assert len(key.encode()) <= 1024


def test_records_and_files_are_told_apart() -> None:
    """`simple/<project>/index.json` is a record, everything else a file."""
    for text in ("simple/a/index.json",):
        assert is_record_key(text)
        assert check_record_key(text) == text
        with pytest.raises(InvalidKey, match="record"):
            check_file_key(text)
    for text in ("simple/index.json", "simple/a/b/index.json", "other/a/index.json", "simple/a/index.json.metadata"):
        assert not is_record_key(text)
        assert check_file_key(text) == text
        with pytest.raises(InvalidKey, match="records are kept"):
            check_record_key(text)


@pytest.mark.parametrize("text", ["", "s", "simple/", "simple/a", "/"])
def test_prefixes(text: str) -> None:
    """A prefix may end anywhere."""
    assert check_prefix(text) == text


@pytest.mark.parametrize("text", ["../", "simple/../x", "a//b", ".wheelyard/tmp"])
def test_refused_prefixes(text: str) -> None:
    """URL-17: its whole segments are those of a key."""
    with pytest.raises(InvalidKey):
        check_prefix(text)
