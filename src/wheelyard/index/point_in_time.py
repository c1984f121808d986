"""
An index as it was at an instant: only files that were there by then.

What is known of them is what is known now: a yank or a quarantine since then counts, since it was made for a reason.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime

from wheelyard.errors import DistFileNotFound, InvalidRequest, shown
from wheelyard.index.interface import DenyAll, FileBody, IndexReader
from wheelyard.index.records import release_of_file
from wheelyard.model import DistFile, Filename, NormalizedName, ProjectList, ProjectPage
from wheelyard.protocol.names import version_key

_IN_THREAD_FROM_FILES = 100  # their names are read, which takes milliseconds from there on
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
# RFC 3339 5.6, without the space that only its note allows.
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})\Z"
)


def parse_instant(text: str) -> datetime:
    """
    Read an instant: a date, which means its first moment in UTC, or a date and time with an offset.

    Raises:
        InvalidRequest: It is neither.
    Spec: RFC 3339 5.6.
    """
    try:
        if _DATE.match(text):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        if _INSTANT.match(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidRequest(
        f"'{shown(text)}' is no instant",
        hint="Write a date like '2026-05-01', or a date and time like '2026-05-01T12:00:00Z'.",
    )


def check_past(instant: datetime, *, now: datetime) -> None:
    """
    Make sure that an instant is over: what will be published until a later one is not known.

    Raises:
        InvalidRequest: It is still to come.
    """
    if instant > now:
        raise InvalidRequest(
            f"'{instant.isoformat()}' is still to come, and an index of that instant would change",
            hint=f"It is {now.isoformat(timespec='seconds')} here.",
        )


class PointInTimeIndex(DenyAll):
    """
    Shows the files of another index that were uploaded by an instant. It is for reading.

    A file of which nobody tells when it was uploaded was not there. A project that is here now has a page, even when none
    of its files was there: "no such project" would send clients to another index, which may have one of that name.

    Args:
        inner: The index as it is now.
        instant: Up to when, UTC; uploads of that very moment are shown.
    """

    def __init__(self, inner: IndexReader, instant: datetime) -> None:
        self._inner = inner
        self._instant = instant

    async def list(self) -> ProjectList:
        """List the projects of now; one that had no file yet has an empty page."""
        return await self._inner.list()

    async def page(self, project: NormalizedName) -> ProjectPage:
        """Read a page of the files that were there; its releases are theirs."""
        page = await self._inner.page(project)
        if len(page.files) < _IN_THREAD_FROM_FILES:
            return self._as_of_then(page)
        from anyio import to_thread  # noqa: PLC0415  the settings read instants too, and start faster without

        return await to_thread.run_sync(self._as_of_then, page)

    def _as_of_then(self, page: ProjectPage) -> ProjectPage:
        files = tuple(file for file in page.files if self._was_there(file))
        releases = {version_key(release) for file in files if (release := release_of_file(file, page.name)) is not None}
        versions = tuple(version for version in page.versions if version_key(version) in releases)
        return replace(page, files=files, versions=versions)

    async def file(self, project: NormalizedName, filename: Filename) -> FileBody:
        """Open a file that was there."""
        await self._check(project, filename)
        found = await self._inner.file(project, filename)
        if not self._was_there(found.file):  # the page changed meanwhile
            raise DistFileNotFound(project, filename)
        return found

    async def metadata(self, project: NormalizedName, filename: Filename) -> bytes:
        """Read the metadata of a file that was there."""
        await self._check(project, filename)
        return await self._inner.metadata(project, filename)

    async def description(self, project: NormalizedName, filename: Filename) -> bytes | None:
        """Read the description of a file that was there."""
        await self._check(project, filename)
        return await self._inner.description(project, filename)

    async def _check(self, project: NormalizedName, filename: Filename) -> None:
        """
        Make sure that a file was there.

        The inner index has the last word about a file that is not on its page: a policy may have left it out, and then the
        answer is its reason; or the page was an old one, and then the file may be too new.

        Raises:
            DistFileNotFound: It was not there.
        """
        listed = (await self._inner.page(project)).find(filename)
        if listed is None:
            listed = (await self._inner.file(project, filename)).file
        if not self._was_there(listed):
            raise DistFileNotFound(project, filename)

    def _was_there(self, file: DistFile) -> bool:
        return file.upload_time is not None and file.upload_time <= self._instant
