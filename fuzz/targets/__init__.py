"""Everything that is fuzzed with coverage, by name."""

from __future__ import annotations

from importlib import import_module

from fuzz.laws import FuzzTarget

NAMES = ("upload_form", "archives", "pages", "metadata", "values", "raw_http")
"""Names of the targets; each is a module here."""


def target(name: str) -> FuzzTarget:
    """Return one target; only its own module is imported, so that a fuzzer can instrument what it loads."""
    found = import_module(f"fuzz.targets.{name}").TARGET
    assert isinstance(found, FuzzTarget)
    return found
