"""The page about reliability names tests that exist."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)((?:::\w+)*)`", (REPOSITORY / "docs/reliability.md").read_text())))
SUITES = "\n".join(path.read_text() for path in (REPOSITORY / "src/wheelyard/testing").glob("*_suite.py"))


@pytest.mark.parametrize(("file", "name"), NAMED, ids=lambda value: value.rpartition("::")[2] or value)
def test_a_named_test_exists(file: str, name: str) -> None:
    """Each promise is followed by a test that is there, in its file or in the suite that its class inherits."""
    text = (REPOSITORY / file).read_text()
    *classes, function = name.strip(":").split("::")
    for each in classes:
        assert f"class {each}(" in text
    if function:
        assert f"def {function}(" in (SUITES if classes else text)


def test_promises_are_named() -> None:
    """The page has its tables."""
    assert len(NAMED) > 30
