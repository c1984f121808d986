"""The reference names what a test can order."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from wheelyard.testing.fake_github import Switches

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "testing.md"


def test_every_switch_is_in_the_reference() -> None:
    """Each switch is named on the page about the double, in backticks."""
    text = PAGE.read_text(encoding="utf-8")
    assert [field.name for field in dataclasses.fields(Switches) if f"`{field.name}`" not in text] == []
