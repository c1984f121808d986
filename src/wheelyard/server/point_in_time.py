"""`/at/<instant>/simple/…`: an index as it was, read as the index itself is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from wheelyard.auth.access import Access
from wheelyard.index.point_in_time import PointInTimeIndex, check_past
from wheelyard.server.answers import Answer
from wheelyard.server.gate import Admitted, Gate
from wheelyard.server.reading import Reading
from wheelyard.server.ready import ReadyAnswers
from wheelyard.server.requests import Request
from wheelyard.server.rows import Rows
from wheelyard.server.targets import Target


class PastReading:
    """
    Answers GET and HEAD below `/at/<instant>/simple/`.

    Nothing of it is kept ready: what was hidden or yanked since then must be seen, and few ask twice for one instant.

    Args:
        gate: Admits requests.
        reading: Answers for the index that the instant makes of the one of now.
        clock: Tells the time, UTC.
    """

    def __init__(self, gate: Gate, reading: Reading, clock: Callable[[], datetime]) -> None:
        self._gate = gate
        self._reading = reading
        self._clock = clock

    async def answer(self, request: Request, target: Target) -> Answer:
        """
        Answer a reading request about an instant.

        Raises:
            InvalidRequest: The instant is still to come.
            WheelyardError: As the index and the gate raise it.
        """
        assert target.instant is not None
        assert target.past is not None
        admitted = await self._gate.admit(target.index, request, Access.READ)
        check_past(target.instant, now=self._clock())
        served = replace(
            admitted.served,
            index=PointInTimeIndex(admitted.served.index, target.instant),
            ready=ReadyAnswers(),
            rows=Rows(),
        )
        return await self._reading.answer_admitted(Admitted(served, admitted.principal), request, target.past)
