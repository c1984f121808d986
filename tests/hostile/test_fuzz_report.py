"""The page tells of fuzzing what the program recorded."""

from __future__ import annotations

from fuzz.report import PAGE, written


def test_the_page_is_as_recorded() -> None:
    """What stands in the page is what `python -m fuzz.report` writes."""
    assert written() in PAGE.read_text()
