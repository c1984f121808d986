"""Why a name is answered as it is: which index answers, what is left out, by which rule, until when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from anyio import to_thread

from wheelyard.errors import Filtered, PolicyUnavailable, ProjectNotFound, ProjectNotLookedUp
from wheelyard.index.interface import IndexReader
from wheelyard.index.policy.database import AdvisoryDatabase, Loaded
from wheelyard.index.policy.index import Judged, PolicyIndex
from wheelyard.index.policy.rules import ALLOWED
from wheelyard.index.policy.squats import SquatWatch
from wheelyard.index.records import release_of_file
from wheelyard.model import NormalizedName, ProjectPage
from wheelyard.protocol.names import same_version


class Answers(Enum):
    """Who answers for a name."""

    HOSTED = "hosted"
    UPSTREAM = "upstream"
    NOT_LOOKED_UP = "not-looked-up"
    LEFT_OUT = "left-out"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """
    Everything that decides what is offered under a name.

    Attributes:
        index: Name of the index.
        project: Normalised project name.
        version: Release that was asked about; None for all.
        answers: Who answers.
        summary: That in one sentence.
        rule: The rule that decided it for the whole project; None when none did.
        status: Status of the project (PEP 792); None when nobody has it.
        files: Each file, and what is said of it.
        squatted_since: When the name, which is ours, was first seen on another index; None when it was not.
        advisories: Which advisories were asked; None when the policy asks none, or they cannot be read.
        now: When this was so.
    """

    index: str
    project: NormalizedName
    version: str | None
    answers: Answers
    summary: str
    now: datetime
    rule: str | None = None
    status: str | None = None
    files: tuple[Judged, ...] = ()
    squatted_since: datetime | None = None
    advisories: Loaded | None = None


class Explainer:
    """
    Explains the answers of one index.

    Args:
        index: Its name.
        hosted: Its own projects.
        elsewhere: The other indexes behind the policy; None when there are none.
        origin: What the other indexes are called together, for people.
        parts: Those indexes one by one, in the order they are asked, with what each is called.
        clock: Tells the time, UTC.
        squats: Knows names of ours that others took; None when nobody looks.
        database: Advisories, when the policy asks for them.
    """

    def __init__(
        self,
        index: str,
        hosted: IndexReader,
        elsewhere: PolicyIndex | None,
        *,
        origin: str,
        clock: Callable[[], datetime],
        parts: Sequence[tuple[str, IndexReader]] = (),
        squats: SquatWatch | None = None,
        database: AdvisoryDatabase | None = None,
    ) -> None:
        self.squats = squats
        self._index = index
        self._hosted = hosted
        self._elsewhere = elsewhere
        self._origin = origin
        self._parts = tuple(parts)
        self._clock = clock
        self._database = database

    async def explain(self, project: NormalizedName, version: str | None = None) -> Explanation:
        """
        Explain what is offered under a name, or as one release of it.

        Raises:
            StorageError: Our own projects could not be read.
            UpstreamError: The other indexes could not be asked.
            PolicyUnavailable: The policy cannot be applied.
        """
        try:
            page = await self._hosted.page(project)
        except ProjectNotFound:
            return await self._behind(project, version)
        files = tuple(Judged(file, release_of_file(file, project), ALLOWED) for file in page.files)
        return Explanation(
            index=self._index,
            project=project,
            version=version,
            answers=Answers.HOSTED,
            summary=f"'{project}' is a project of index '{self._index}' itself, so no other index is asked for it",
            now=self._clock(),
            status=page.status.value,
            files=_of_release(files, version),
            squatted_since=await self._squatted_since(project),
        )

    async def _behind(self, project: NormalizedName, version: str | None) -> Explanation:
        if self._elsewhere is None:
            return self._nothing(project, version, Answers.NOBODY, "and this index looks nowhere else")
        try:
            page, judged = await self._elsewhere.judged(project)
        except ProjectNotLookedUp as error:
            text = f"and it is not looked up elsewhere: {error.reason}"
            return self._nothing(project, version, Answers.NOT_LOOKED_UP, text, rule=error.rule)
        except ProjectNotFound:
            return self._nothing(project, version, Answers.NOBODY, f"and there is none at {self._origin} either")
        except Filtered as error:
            text = f"and the policy leaves it out: {error.reason}"
            return self._nothing(project, version, Answers.LEFT_OUT, text, rule=error.rule)
        return await self._offered(page, judged, version)

    async def _offered(self, page: ProjectPage, judged: tuple[Judged, ...], version: str | None) -> Explanation:
        files = _of_release(judged, version)
        origin = await self._answering(page.name)
        left_out = sum(not each.verdict.allowed for each in files)
        what = f"'{page.name}'" if version is None else f"'{page.name}' {version}"
        if not files:
            text = f"{origin} answers for '{page.name}', and has no file of {what}"
        elif not left_out:
            text = f"{what} comes from {origin}; nothing of it is left out"
        else:
            text = f"{what} comes from {origin}; the policy leaves out {left_out} of {len(files)} files"
        return Explanation(
            index=self._index,
            project=page.name,
            version=version,
            answers=Answers.UPSTREAM,
            summary=text,
            now=self._clock(),
            status=page.status.value,
            files=files,
            advisories=await self._advisories(),
        )

    async def _answering(self, project: NormalizedName) -> str:
        """Return what the index is called that answers for a project that one of them has: the first that has it."""
        for name, index in self._parts[:-1]:
            try:
                await index.page(project)
            except ProjectNotFound:
                continue
            return name
        return self._parts[-1][0] if self._parts else self._origin

    def _nothing(
        self, project: NormalizedName, version: str | None, answers: Answers, text: str, *, rule: str | None = None
    ) -> Explanation:
        summary = f"index '{self._index}' has no project '{project}' of its own, {text}"
        return Explanation(
            index=self._index,
            project=project,
            version=version,
            answers=answers,
            summary=summary,
            now=self._clock(),
            rule=rule,
        )

    async def _squatted_since(self, project: NormalizedName) -> datetime | None:
        if self.squats is None:
            return None
        squats = self.squats.seen
        if squats.checked_at is None:
            squats = await to_thread.run_sync(self.squats.read)  # another process may have looked
        return squats.found.get(project)

    async def _advisories(self) -> Loaded | None:
        if self._database is None:
            return None
        try:
            return await self._database.loaded()
        except PolicyUnavailable:
            return None


def _of_release(files: tuple[Judged, ...], version: str | None) -> tuple[Judged, ...]:
    if version is None:
        return files
    return tuple(each for each in files if each.release is not None and same_version(each.release, version))
