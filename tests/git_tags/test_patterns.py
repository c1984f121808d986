"""What tags say: patterns, versions and names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.errors import TagSourceError
from wheelyard.index.tags.patterns import MONOREPO_PATTERNS, ONE_PACKAGE_PATTERNS, Reading, TagPattern, readings_of
from wheelyard.protocol.names import normalize


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("v1.2.3", "1.2.3"),
        ("1.2.3", "1.2.3"),
        ("python_world-1.2.3", "1.2.3"),
        ("Python.World-v1.2.3rc1", "1.2.3rc1"),
        ("python-world/1.2.3", "1.2.3"),
        ("python-world-1.0-1", "1.0-1"),
    ],
)
def test_the_usual_names(tag: str, version: str) -> None:
    """The usual spellings of a version tag are understood, whatever spelling of the project's name they have."""
    assert version in {each.version for each in readings_of(tag, ONE_PACKAGE_PATTERNS, normalize("python-world"))}


@pytest.mark.parametrize(
    "tag", ["nightly", "other-1.0", "v", "version-one", "1.0/x", "v" + "1" * 300, "v\N{ARABIC-INDIC DIGIT ONE}.0"]
)
def test_what_is_no_release(tag: str) -> None:
    """A tag that holds no version, or names another project, says nothing."""
    assert readings_of(tag, ONE_PACKAGE_PATTERNS, normalize("python-world")) == ()


def test_a_monorepo_needs_the_name() -> None:
    """Where several projects share a repository, a tag without a name says nothing."""
    assert readings_of("v1.0", MONOREPO_PATTERNS, normalize("a")) == ()
    assert readings_of("a-1.0", MONOREPO_PATTERNS, None) == (Reading("1.0", normalize("a")),)


@pytest.mark.parametrize(
    "text", ["v1", "{version}{name}", "{version}-{version}", "{name}", "{x}-{version}", "{version"]
)
def test_what_is_no_pattern(text: str) -> None:
    """A pattern without a version, with unknown parts, or that cannot be taken apart is refused."""
    with pytest.raises(TagSourceError):
        TagPattern(text)


@given(
    st.from_regex(r"[a-z][a-z0-9]{0,4}([-_.][a-z0-9]{1,4}){0,2}", fullmatch=True),
    st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}(rc[0-9]{1,2})?", fullmatch=True),
    st.sampled_from([each.text for each in ONE_PACKAGE_PATTERNS] + ["{name}@{version}", "release-{version}-of-{name}"]),
)
def test_what_a_pattern_writes_it_reads(name: str, version: str, text: str) -> None:
    """A tag made by a pattern is read by it as the same version and project."""
    tag = text.replace("{name}", name).replace("{version}", version)
    found = readings_of(tag, [TagPattern(text)], normalize(name))
    assert Reading(version, normalize(name) if "{name}" in text else None) in found
