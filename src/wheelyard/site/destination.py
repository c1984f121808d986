"""Where a site is put: one small interface, implemented by folders, buckets and branches; and how a reader writes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from wheelyard.errors import SiteError, shown
from wheelyard.protocol.negotiation import Representation

OWN_FOLDER: Final = ".wheelyard"
"""Folder of a site that is not for readers: the manifest, and on a disk what is being written."""

_PAGE_CACHING: Final = "max-age=0, must-revalidate"  # as the live server says of pages
_FILE_CACHING: Final = "max-age=31536000, immutable"


class Content(Enum):
    """What a file of the site is; values are its media type and how long it may be kept by caches."""

    HTML = (Representation.TEXT_HTML.media_type, _PAGE_CACHING)
    JSON = (Representation.JSON.media_type, _PAGE_CACHING)
    SCRIPT = ("text/javascript; charset=utf-8", _PAGE_CACHING)
    STYLE = ("text/css; charset=utf-8", _PAGE_CACHING)
    TEXT = ("text/plain; charset=utf-8", _PAGE_CACHING)
    OWN = ("application/json", "no-store")
    METADATA = ("text/plain; charset=utf-8", _FILE_CACHING)
    FILE = ("application/octet-stream", _FILE_CACHING)

    @property
    def media_type(self) -> str:
        """The `Content-Type`."""
        return self.value[0]

    @property
    def caching(self) -> str:
        """The `Cache-Control`."""
        return self.value[1]


class Destination(ABC):
    """
    Where a site is put. Methods block, and are called from several threads at once.

    Paths are relative to the site, `/`-separated. What is written replaces what was there in one step.

    Attributes:
        name: For people; holds no credentials.
        workers: How many threads it is worth to write with.
        case_matters: Whether two paths may differ by case alone.
        puts_are_durable: Whether what was put stays put when this machine loses power.
    """

    name: str = ""
    workers: int = 2
    case_matters: bool = True
    puts_are_durable: bool = True

    @abstractmethod
    def open(self) -> None:
        """
        Get ready; called once, before anything else.

        Raises:
            SiteError: It cannot be used.
        """

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """Return what is published under a path; None when nothing is."""

    @abstractmethod
    def write(self, path: str, content: bytes, kind: Content) -> None:
        """Put bytes."""

    @abstractmethod
    def put(self, path: str, source: str, kind: Content) -> None:
        """Put a file of this machine, which never changes."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove a file; removing what is not there is no error."""

    @abstractmethod
    def paths(self, prefix: str) -> Iterator[str]:
        """List every file below a folder (`simple/`), as published before this build."""

    def commit_files(self) -> None:  # noqa: B027  where puts are durable there is nothing to do
        """Make durable what was written until now; the manifest, which vouches for it, is written next."""

    def publish(self, message: str) -> None:  # noqa: B027  most places show what is written at once
        """
        Show readers what was written, where that is a step of its own; called last.

        Args:
            message: What changed, in one line.
        Raises:
            SiteError: It could not be shown; the old site still is.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back what `open` took; called once, after everything else."""


@dataclass(frozen=True, slots=True)
class BranchAddress:
    """
    A folder of a branch of a Git repository.

    Attributes:
        url: Of the repository; may hold credentials.
        branch: Its name.
        subfolder: Folder in it, without slashes at the ends; "" for the whole branch.
    """

    url: str
    branch: str
    subfolder: str


def open_destination(address: str, *, environ: Mapping[str, str], copy: bool = False) -> Destination:
    """
    Return the destination that a reader writes: a folder, `git+URL#branch[:subfolder]`, or the URL of a bucket.

    Args:
        address: As the reader writes it.
        environ: Where credentials for a Git host may be.
        copy: Whether files are copied where links would do.
    Raises:
        SiteError: No such place, or what speaks to it is not installed.
    """
    if address.startswith("git+"):
        from wheelyard.site.branch import BranchDestination  # noqa: PLC0415  only for branches
        from wheelyard.site.git import credentials_from  # noqa: PLC0415  as above

        parsed = parse_branch(address)
        url, credentials = credentials_from(parsed.url, environ)
        return BranchDestination(url, parsed.branch, parsed.subfolder, credentials=credentials)
    if "://" in address and not address.startswith("file://"):
        from wheelyard.site.bucket import BucketDestination  # noqa: PLC0415  only for buckets

        return BucketDestination.of_url(address)
    from wheelyard.site.folder import FolderDestination  # noqa: PLC0415  as above

    return FolderDestination(Path(address.removeprefix("file://")).expanduser(), copy=copy)


def parse_branch(address: str) -> BranchAddress:
    """
    Read `git+URL#branch[:subfolder]`.

    Raises:
        SiteError: No branch, or one that git would take for something else.
    """
    url, _, place = address.removeprefix("git+").partition("#")
    branch, _, subfolder = place.partition(":")
    parts = [part for part in subfolder.split("/") if part]
    if not branch or branch.startswith("-") or ".." in branch or any(c.isspace() or c in "~^:?*[\\" for c in branch):
        raise SiteError(
            f"'{shown(_without_credentials(address))}' names no branch",
            hint="Write it as 'git+https://host/team/packages.git#gh-pages', or '#main:public' for a folder of a branch.",
        )
    if any(part in (".", "..", ".git") for part in parts):
        raise SiteError(f"'{shown(subfolder)}' is no folder of a branch")
    return BranchAddress(url, branch, "/".join(parts))


def _without_credentials(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"
