"""`/api/v1/why/…`: why a name is answered as it is, for programs and for `wheelyard why`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from wheelyard.errors import InvalidName, ProjectNotFound, Unsupported
from wheelyard.index.policy.index import Judged
from wheelyard.index.policy.why import Explanation
from wheelyard.model import NormalizedName
from wheelyard.protocol.names import normalize
from wheelyard.server.gate import Admitted
from wheelyard.server.guard import guarded


class WhyFile(msgspec.Struct, omit_defaults=True):
    """
    One file, and whether it is offered.

    `rule` is the rule that leaves it out; of a file that is offered, `reason` names the exceptions that made it so, and
    `until` when they end.
    """

    filename: str
    version: str | None
    offered: bool
    rule: str | None = None
    reason: str = ""
    until: datetime | None = None
    upload_time: datetime | None = None
    yanked: bool | str = False


class WhyAdvisories(msgspec.Struct):
    """Which state of which database of advisories was asked."""

    source: str
    loaded_at: str
    newest: str
    records: int


class WhyDocument(msgspec.Struct):
    """
    Why a name is answered as it is.

    `answers` is `hosted`, `upstream`, `not-looked-up`, `left-out` or `nobody`; `squatted_since` tells since when a name that
    is ours is on another index too.
    """

    index: str
    project: str
    version: str | None
    answers: str
    summary: str
    rule: str | None
    status: str | None
    files: list[WhyFile]
    squatted_since: datetime | None
    advisories: WhyAdvisories | None
    now: datetime


async def show_why(admitted: Admitted, parameters: Mapping[str, str], body: bytes) -> WhyDocument:
    """
    Explain one project, or one release of it.

    Raises:
        ProjectNotFound: The name can be no project's.
        WheelyardError: As `Explainer.explain` raises it.
    """
    del body
    project = _project(parameters["project"])
    guarded(admitted).peek(project)  # asks whether this caller may read the project; the explainer knows no callers
    explainer = admitted.served.explainer
    if explainer is None:
        raise Unsupported("this index explains nothing")
    return document(await explainer.explain(project, parameters.get("version")))


def document(explanation: Explanation) -> WhyDocument:
    """Return an explanation as programs get it."""
    known = explanation.advisories
    return WhyDocument(
        index=explanation.index,
        project=explanation.project,
        version=explanation.version,
        answers=explanation.answers.value,
        summary=explanation.summary,
        rule=explanation.rule,
        status=explanation.status,
        files=[_file(each) for each in explanation.files],
        squatted_since=explanation.squatted_since,
        advisories=None if known is None else WhyAdvisories(known.source, known.loaded_at, known.newest, known.records),
        now=explanation.now,
    )


def _file(judged: Judged) -> WhyFile:
    file, verdict = judged.file, judged.verdict
    return WhyFile(
        filename=file.filename,
        version=judged.release,
        offered=verdict.allowed,
        rule=None if verdict.rule is None else verdict.rule.value,
        reason=verdict.reason,
        until=verdict.until,
        upload_time=file.upload_time,
        yanked=False if file.yanked is None else (file.yanked or True),
    )


def _project(name: str) -> NormalizedName:
    try:
        return normalize(name)
    except InvalidName:
        raise ProjectNotFound(name) from None
