"""What a page says of a release."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.ui.about import About, read_about

HEAD = "Metadata-Version: 2.4\nName: A.B\nVersion: 1.0\n"


def read(rest: str) -> About:
    return read_about((HEAD + rest).encode())


def test_everything_a_reader_wants() -> None:
    """Core metadata of today is shown whole."""
    about = read(
        "Summary: Does it\nKeywords: a,b\nAuthor: Ada\nAuthor-email: Ada <a@b.example>\nMaintainer: Bo\n"
        "License-Expression: MIT\nRequires-Python: >=3.9\nRequires-Dist: c>1\nProvides-Extra: x\n"
        "Project-URL: Source, https://s.example\nHome-page: https://h.example\nClassifier: Private :: Do Not Upload\n"
        "Description-Content-Type: text/markdown\n\n# Hi\n"
    )

    assert about == About(
        name="A.B",
        summary="Does it",
        description="# Hi\n",
        description_content_type="text/markdown",
        people=(("Author", "Ada · Ada <a@b.example>"), ("Maintainer", "Bo")),
        license="MIT",
        keywords=("a", "b"),
        requires_python=">=3.9",
        requires=("c>1",),
        extras=("x",),
        links=(("Homepage", "https://h.example"), ("Source", "https://s.example")),
        classifiers=("Private :: Do Not Upload",),
    )


@pytest.mark.parametrize(("field", "shown"), [("MIT License", "MIT License"), ("Permission is hereby " * 9, None)])
def test_a_whole_licence_is_no_name(field: str, shown: str | None) -> None:
    """The old licence field is shown when it is a name, not when it is the licence."""
    assert read(f"License: {field}\n").license == shown


def test_lists_and_lines_are_bounded() -> None:
    """Hostile metadata makes no page of megabytes."""
    about = read("".join(f"Requires-Dist: a{number}\n" for number in range(2000)) + f"Summary: {'x' * 100_000}\n")

    assert len(about.requires) == 300
    assert about.summary is not None
    assert len(about.summary) == 500


@given(st.binary(max_size=300))
def test_no_bytes_are_too_bad(content: bytes) -> None:
    """Whatever a file holds as its metadata, there is a page."""
    assert isinstance(read_about(content), About)
    assert isinstance(read_about(HEAD.encode() + content), About)
