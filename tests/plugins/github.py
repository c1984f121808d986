"""The double of GitHub for tests, held to GitHub's own description wherever the set-up has fetched it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from wheelyard.testing.fake_github import FakeGitHub
from wheelyard.testing.fake_github.description import FOLDER, Description


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    """A GitHub of the test's own; at its end no answer and no request may have broken GitHub's description."""
    with FakeGitHub.serve() as served:
        yield served
    assert served.violations == []
    assert served.bad_requests == []


@pytest.fixture
def github_description() -> Description:
    """GitHub's own description; what needs it is skipped without, but not in continuous integration."""
    found = Description.found("github.com")
    if found is None:
        assert os.environ.get("CI") != "true", "CI runs `make github-openapi`"
        pytest.skip(f"{FOLDER} is empty: `make github-openapi` fills it, with npm")
    return found
