"""What the double answers, one module for each kind of thing; importing this registers all routes."""

from wheelyard.testing.fake_github.endpoints import (
    accounts,
    apps,
    asset_host,
    assets,
    automation,
    branches,
    contents,
    git_data,
    graphql,
    releases,
    repositories,
)

__all__ = [
    "accounts",
    "apps",
    "asset_host",
    "assets",
    "automation",
    "branches",
    "contents",
    "git_data",
    "graphql",
    "releases",
    "repositories",
]
