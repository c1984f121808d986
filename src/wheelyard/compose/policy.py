"""Settings to what of other indexes is offered (4): the policy in front of them, its advisories, alarm and explanations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import structlog

from wheelyard.compose.indexes import now_utc, open_index
from wheelyard.compose.upstreams import open_upstreams
from wheelyard.index.interface import IndexReader
from wheelyard.index.policy.database import AdvisoryDatabase
from wheelyard.index.policy.index import PolicyIndex
from wheelyard.index.policy.rules import Policy
from wheelyard.index.policy.squats import SquatWatch
from wheelyard.index.policy.why import Explainer
from wheelyard.server.served import Catalog
from wheelyard.settings import IndexSettings, Settings

FIRST_SQUAT_CHECK_S: Final = 5 * 60.0  # a start is busy enough
SQUAT_CHECK_S: Final = 60 * 60.0  # the watch itself decides whether a day is over

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Policed:
    """
    What one index reads of others.

    Attributes:
        elsewhere: The others, behind the policy when there is one; None when there are none.
        explainer: Explains what is offered and what is not.
    """

    elsewhere: IndexReader | None
    explainer: Explainer


def make_policed(
    settings: Settings,
    index: IndexSettings,
    hosted: IndexReader,
    upstream: IndexReader | None,
    *,
    origin: str,
    parts: Sequence[tuple[str, IndexReader]] = (),
) -> Policed:
    """
    Put the policy of one index in front of the other indexes. Without a policy, nothing stands in the way.

    Args:
        settings: Everything the server was told.
        index: The index.
        hosted: Its own projects.
        upstream: The other indexes as one; None when there are none.
        origin: What they are called, for people.
        parts: The other indexes one by one, with what each is called, so that the one that answers can be named.
    """
    policy = index.policy or Policy(squat_check=False)
    database = AdvisoryDatabase(settings.root) if policy.osv_severity is not None else None
    behind = None if upstream is None else PolicyIndex(upstream, policy, clock=now_utc, advisories=database)
    squats = None
    if upstream is not None and policy.squat_check:
        squats = SquatWatch(
            index.name,
            hosted,
            upstream,
            origin=origin,
            path=settings.root / "state" / f"squats-{index.name}.json",
            expected=policy.squat_expected,
            clock=now_utc,
        )
    explainer = Explainer(
        index.name, hosted, behind, origin=origin, parts=parts, clock=now_utc, squats=squats, database=database
    )
    return Policed(upstream if index.policy is None else behind, explainer)


@asynccontextmanager
async def open_explainer(settings: Settings, name: str) -> AsyncIterator[Explainer]:
    """
    Open what explains one index without a server, as the command line does.

    Raises:
        ConfigError: There is no such index.
        StorageError: Its store, or that of an upstream, cannot be opened.
    """
    async with AsyncExitStack() as opened:
        hosted = await opened.enter_async_context(open_index(settings, name))
        index = settings.index(name)
        assert index is not None  # or it could not have been opened
        upstreams = await open_upstreams(settings, opened)
        elsewhere, parts = upstreams.behind(index), upstreams.parts(index)
        origin = "" if elsewhere is None else elsewhere.url
        yield make_policed(settings, index, hosted, elsewhere, origin=origin, parts=parts).explainer


def squatted(catalog: Catalog) -> Mapping[str, int]:
    """Return how many names of each index that looks for them are on another index too."""
    watches = [served.explainer.squats for served in catalog.names.values() if served.explainer is not None]
    return {watch.index: len(watch.seen.found) for watch in watches if watch is not None}


@asynccontextmanager
async def watching(catalog: Callable[[], Catalog], *, first_s: float = FIRST_SQUAT_CHECK_S) -> AsyncIterator[None]:
    """Look for squatted names in the background for the time of the block."""
    task = asyncio.create_task(_watch(catalog, first_s))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _watch(catalog: Callable[[], Catalog], first_s: float) -> None:
    await asyncio.sleep(first_s)
    while True:
        for served in catalog().names.values():
            watch = None if served.explainer is None else served.explainer.squats
            if watch is None:
                continue
            try:
                await watch.check()
            except Exception as error:  # noqa: BLE001  an alarm that fails must not stop the others, nor the server
                _log.error("squat-check-failed", index=watch.index, error=repr(error))
        await asyncio.sleep(SQUAT_CHECK_S)
