"""Wheels attached to the releases of a host: listed beside the sdist of their tag."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from anyio import to_thread

from wheelyard.errors import TagSourceError, shown
from wheelyard.index.records import deleted_names
from wheelyard.index.tags.build import check_wheel_name, checked
from wheelyard.index.tags.hosts import AttachedWheel, attached_wheels, check_same_host
from wheelyard.index.tags.hosts_http import Api
from wheelyard.index.tags.recorded import Recorded
from wheelyard.index.tags.report import RefreshReport, Trouble
from wheelyard.index.tags.sources import Repository
from wheelyard.index.tags.tagged import TaggedIndex
from wheelyard.model import DistFile, FileKind


class AttachedWheels:
    """
    Takes the wheels of one repository.

    Args:
        index: Lists them.
        repository: Whose.
        api: Its host.
        report: What was done, and what went wrong.
        tell: Is told of each new file.
    """

    def __init__(
        self, index: TaggedIndex, repository: Repository, api: Api, report: RefreshReport, tell: Callable[[str], None]
    ) -> None:
        self._index = index
        self._repository = repository
        self._api = api
        self._report = report
        self._tell = tell

    async def take(self, releases: Sequence[Recorded]) -> None:
        """
        List what is attached to the tags that became releases.

        Raises:
            StorageError: The store could not be asked.
        """
        by_tag: dict[str, list[Recorded]] = {}
        for release in releases:
            by_tag.setdefault(release.tag, []).append(release)
        if not by_tag:
            return
        try:
            attached = await attached_wheels(self._repository, self._api)
        except TagSourceError as error:
            self._refuse(None, f"the wheels of its releases cannot be listed: {error.message}")
            return
        for wheel in attached:
            candidates = by_tag.get(wheel.tag)
            if candidates:
                await self._take(wheel, candidates)

    async def _take(self, wheel: AttachedWheel, candidates: Sequence[Recorded]) -> None:
        try:
            release = _release_of(wheel, candidates)
            page = await self._index.record(release.project)
            known = page.find(wheel.filename)
            if known is not None:
                _check_unchanged(wheel, known)
            elif wheel.filename not in deleted_names(page) and page.status.accepts_uploads:
                await self._publish(wheel, release)
        except TagSourceError as error:
            self._refuse(wheel.tag, error.message)

    async def _publish(self, wheel: AttachedWheel, release: Recorded) -> None:
        limits = self._index.limits
        check_same_host(wheel.url, self._repository)
        if wheel.size is not None and wheel.size > limits.max_file_bytes:
            raise TagSourceError(
                f"the attached wheel '{shown(wheel.filename)}' is larger than {limits.max_file_bytes} bytes"
            )
        source = {"commit": release.commit, "repository": self._repository.url, "tag": release.tag, "attached": "yes"}
        with await self._index.store.spool() as spool:
            await self._api.download(wheel.url, spool, limit_bytes=limits.max_file_bytes)
            if wheel.sha256 is not None and spool.sha256 != wheel.sha256:
                raise TagSourceError(
                    f"the attached wheel '{shown(wheel.filename)}' did not arrive as its host describes it"
                )
            adopted = await to_thread.run_sync(
                lambda: checked(wheel.filename, FileKind.WHEEL, spool, source, limits=limits, now=self._index.clock())
            )
            await self._index.adopt(release.project, [adopted])
        self._report.added.append(wheel.filename)
        self._tell(f"added: {wheel.filename} from the release of tag '{wheel.tag}' of {self._repository.url}")

    def _refuse(self, tag: str | None, text: str) -> None:
        self._report.troubles.append(Trouble(source=self._repository.url, tag=tag, text=text))


def _release_of(wheel: AttachedWheel, candidates: Sequence[Recorded]) -> Recorded:
    """Return the release that a wheel is of; several packages may have been released by one tag."""
    refused: TagSourceError | None = None
    for candidate in candidates:
        try:
            check_wheel_name(wheel.filename, candidate.project, candidate.version)
        except TagSourceError as error:
            refused = error
        else:
            return candidate
    assert refused is not None
    raise refused


def _check_unchanged(wheel: AttachedWheel, known: DistFile) -> None:
    if wheel.sha256 is not None and known.sha256 is not None and wheel.sha256 != known.sha256:
        raise TagSourceError(f"the attached wheel '{shown(wheel.filename)}' was replaced; the one that is listed stays")
