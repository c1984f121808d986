"""
A store in a GitHub repository: records and core metadata on a branch of their own, files as release assets.

Several servers may use one repository at once. What a server knows of the branch it keeps in its own folder, so it starts
and serves while GitHub does not answer; files go through a bounded cache on its disk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from wheelyard.storage.interface import Backend, BackendContext
from wheelyard.storage.plugins import BackendPlugin

if TYPE_CHECKING:
    from wheelyard.index.hosted import HostedIndex

API_URL = "https://api.github.com"
"""Where GitHub's API is, unless an index says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubOptions:
    """
    Which repository, and how it is used.

    Attributes:
        owner: The user or organisation the repository belongs to.
        repo: Name of the repository.
        branch: Branch that keeps records and metadata; made, without a parent, at the first publish.
        index_filename: The predecessor's index file on that branch; accepted for old configurations and left alone.
        api_url: Address of the API; `https://HOST/api/v3` for GitHub Enterprise Server.
        release_layout: Which release a file goes to: one for each `version` of a project, one for each `file` (fits
            immutable releases), or a few `rolling` ones for all.
        downloads: `stream` sends files from this server; `redirect` sends the readers of large ones to GitHub's
            short-lived address.
        identities: The table of an index needs no secrets: GitHub's tokens are the passwords.
        cache_bytes: Bound of the files kept on this server's disk; 0 keeps none.
    """

    owner: str
    repo: str
    branch: str = "index"
    index_filename: str = "index.toml"
    api_url: str = API_URL
    release_layout: Literal["version", "file", "rolling"] = "version"
    downloads: Literal["stream", "redirect"] = "stream"
    identities: ClassVar[bool] = True
    cache_bytes: int = 10 * 1024 * 1024 * 1024  # 10 GiB


def _open(options: GitHubOptions, context: BackendContext) -> Backend:
    """Make the store; nothing is touched or asked before `start`."""
    from wheelyard.backends.github.backend import GitHubBackend  # noqa: PLC0415  options load without it

    return GitHubBackend(options, context)


async def _update(index: HostedIndex, tell: Callable[[str], None]) -> bool:
    """Take what lies in releases and no record lists."""
    from wheelyard.backends.github.adoption import update  # noqa: PLC0415  as in `_open`

    return await update(index, tell)


plugin = BackendPlugin(name="github", options=GitHubOptions, open=_open, update=_update)
"""Found through the entry point `github`."""
