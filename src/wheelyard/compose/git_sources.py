"""Indexes of tags (4): the index, and what looks at its repositories while a server runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from wheelyard.errors import WheelyardError
from wheelyard.index.checks import PublishLimits
from wheelyard.index.hosted import HostedIndex
from wheelyard.index.tags.refresh import TagsRefresh
from wheelyard.index.tags.report import RefreshReport
from wheelyard.index.tags.tagged import TaggedIndex
from wheelyard.settings import IndexSettings, Settings
from wheelyard.settings.git_sources import GitOptions
from wheelyard.storage.store import Store

_log = structlog.get_logger(__name__)


def repositories_folder(settings: Settings, index: IndexSettings) -> Path:
    """Return where the repositories of an index are kept; nothing in it cannot be fetched again."""
    return settings.folder(index) / "git"


class Refreshing:
    """
    Looks at the repositories of one index now and then, as long as it runs.

    Args:
        index: What is filled.
        options: Where it is filled from.
        every_s: Seconds between two looks.
    """

    def __init__(self, index: TaggedIndex, options: GitOptions, *, every_s: float) -> None:
        self._index = index
        self._refresh = TagsRefresh(index, options.sources)
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None
        self._told: frozenset[str] = frozenset()
        self._notes: tuple[str, ...] = ()

    def notes(self) -> Sequence[str]:
        """Return what `/readyz` says of the last look; names no repository, since everybody may read it."""
        return self._notes

    async def start(self) -> None:
        """Begin to look, beside everything else."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop looking, and wait until nothing runs any more."""
        self._refresh.stop()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            try:
                self._tell(await self._refresh.run())
            except* WheelyardError as group:
                for error in group.exceptions:
                    _log.error("refresh-failed", index=self._index.name, error=str(error))
                self._notes = ("the last look at its repositories failed; the log says why",)
            except* Exception:  # noqa: BLE001  whatever it was, the next look may go well
                _log.exception("refresh-failed", index=self._index.name)
                self._notes = ("the last look at its repositories failed; the log says why",)
            await asyncio.sleep(self._every_s)

    def _tell(self, report: RefreshReport) -> None:
        """Log what is new; a trouble that stays is logged once."""
        if report.skipped:
            return
        for filename in report.added:
            _log.info("tag-published", index=self._index.name, filename=filename)
        lines = frozenset(trouble.line for trouble in report.troubles)
        for line in sorted(lines - self._told):
            _log.warning("tag-trouble", index=self._index.name, detail=line)
        for line in sorted(self._told - lines):
            _log.info("tag-trouble-over", index=self._index.name, detail=line)
        self._told = lines
        count = len(report.troubles)
        self._notes = (f"{count} troubles with its repositories; the log names them",) if count else ()


def make_tagged(settings: Settings, index: IndexSettings, store: Store, *, limits: PublishLimits) -> TaggedIndex:
    """Make an index of tags."""
    from wheelyard.compose.indexes import now_utc  # noqa: PLC0415  that module makes every index, this one among them

    assert isinstance(index.options, GitOptions)
    return TaggedIndex(
        index.name,
        store,
        limits=limits,
        clock=now_utc,
        folder=repositories_folder(settings, index),
        links=index.options.sources.links,
    )


def make_refreshing(index: IndexSettings, hosted: HostedIndex) -> Refreshing | None:
    """Make what looks at the repositories of an index; None for one that has none."""
    if not isinstance(hosted, TaggedIndex) or not isinstance(index.options, GitOptions):
        return None
    return Refreshing(hosted, index.options, every_s=index.sync_index_interval)


async def refresh_once(index: IndexSettings, hosted: HostedIndex, tell: Callable[[str], None]) -> RefreshReport:
    """
    Look at the repositories of an index once, as the command line does.

    Args:
        index: Its settings.
        hosted: The index.
        tell: Is told of each new file.
    Raises:
        StorageError: The store could not be asked.
    """
    assert isinstance(hosted, TaggedIndex)
    assert isinstance(index.options, GitOptions)
    refresh = TagsRefresh(hosted, index.options.sources)
    try:
        return await refresh.run(wait=True, tell=tell)
    finally:
        refresh.stop()
