"""
An honest double of GitHub: stateful, over real HTTP, with hosts for the interface, for uploads and for signed links.

It knows what a store of packages needs: repositories, branches and their objects, releases with assets, tokens of every kind,
apps, and `POST /graphql`. What it answers is checked against GitHub's own description wherever that is at hand; where GitHub
is inconvenient (names rewritten, 404 for private, links that expire and take no credentials, tags of deleted releases) so is
this. `switches` order the troubles a client must survive.
"""

from wheelyard.testing.fake_github.github import Called, FakeGitHub
from wheelyard.testing.fake_github.model import Asset, Release, Repository
from wheelyard.testing.fake_github.switches import Switches

__all__ = ["Asset", "Called", "FakeGitHub", "Release", "Repository", "Switches"]
