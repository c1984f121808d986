"""Figures: rounds to medians and spreads, ratios within a round, and marks held against them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from statistics import median

REFERENCES = ("nginx", "nginx-2")
"""Two programs that are the same: the mean of both is the reference, their ratio is the noise."""

OURS = "ours"


@dataclass(frozen=True, slots=True)
class Spread:
    """
    Median and range of some rounds.

    Attributes:
        middle: Median.
        low: Least.
        high: Most.
        rounds: How many there were.
    """

    middle: float
    low: float
    high: float
    rounds: int


@dataclass
class Row:
    """
    One thing that was measured of several servers.

    Attributes:
        key: Its name.
        title: Its name for people.
        group: Heading under which it is shown.
        unit: Of the numbers.
        more_is_better: Whether it is a rate; else a time or an amount.
        values: By server, a number for each round; None where it was not asked in that round.
        notes: By server, why there is no number.
        costs: As `values`: microseconds of processor time for each request, where that was measured.
    """

    key: str
    title: str
    group: str
    unit: str
    more_is_better: bool = True
    values: dict[str, list[float | None]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    costs: dict[str, list[float | None]] = field(default_factory=dict)

    def add(self, server: str, round_number: int, value: float) -> None:
        """Note the number of one round."""
        _put(self.values.setdefault(server, []), round_number, value)

    def add_cost(self, server: str, round_number: int, value: float) -> None:
        """Note the processor time of one request in one round."""
        _put(self.costs.setdefault(server, []), round_number, value)

    def spread(self, server: str) -> Spread | None:
        """Return median and range of a server's numbers."""
        return spread(value for value in self.values.get(server, ()) if value is not None)

    def ratio(self, server: str, to: str | None = None) -> Spread | None:
        """
        Return median and range of a server's numbers, each divided by the reference of the same round.

        Args:
            server: Whose numbers.
            to: Server that is the reference; None for the mean of both nginx.
        """
        return _ratios(self.values, server, REFERENCES if to is None else (to,))

    def cost_ratio(self, server: str) -> Spread | None:
        """Return median and range of a server's processor time for a request, each divided by that of nginx."""
        return _ratios(self.costs, server, REFERENCES)

    def best_peer(self) -> str | None:
        """Return the other index with the best median."""
        found = {
            server: spread.middle
            for server in self.values
            if server not in (OURS, *REFERENCES) and (spread := self.spread(server)) is not None
        }
        if not found:
            return None
        return max(found, key=found.__getitem__) if self.more_is_better else min(found, key=found.__getitem__)


def _put(numbers: list[float | None], round_number: int, value: float) -> None:
    numbers += [None] * (round_number + 1 - len(numbers))
    numbers[round_number] = value


def _ratios(values: Mapping[str, list[float | None]], server: str, references: Sequence[str]) -> Spread | None:
    """Divide each number of a server by the mean of the references in the same round."""
    ratios = []
    for number, value in enumerate(values.get(server, ())):
        known = [each for name in references if (each := _at(values, name, number)) is not None]
        if value is not None and known and sum(known):
            ratios.append(value * len(known) / sum(known))
    return spread(ratios)


def _at(values: Mapping[str, list[float | None]], server: str, number: int) -> float | None:
    numbers = values.get(server, [])
    return numbers[number] if number < len(numbers) else None


def spread(numbers: Iterable[float]) -> Spread | None:
    """Return median and range; None of nothing."""
    known = sorted(numbers)
    return Spread(median(known), known[0], known[-1], len(known)) if known else None


class Against(Enum):
    """What a mark compares our median with."""

    NGINX = "of nginx"
    BEST_PEER = "times the best other index"
    NOTHING = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """
    What a row should reach.

    Attributes:
        row: Its key.
        against: What our number is divided by.
        at_least: Least number that is enough; None when there is a most.
        at_most: Largest number that is enough; None when there is a least.
    """

    row: str
    against: Against
    at_least: float | None = None
    at_most: float | None = None

    @property
    def text(self) -> str:
        """Write it for people, without the unit."""
        number = self.at_least if self.at_least is not None else self.at_most
        words = f"{'≥' if self.at_least is not None else '≤'} {number:g}"
        return f"{words} {self.against.value}".strip()


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    A mark and what became of it.

    Attributes:
        mark: The mark.
        reached: Our number; None when there is none.
    """

    mark: Mark
    reached: float | None

    @property
    def met(self) -> bool:
        """Whether it was reached."""
        if self.reached is None:
            return False
        if self.mark.at_least is not None:
            return self.reached >= self.mark.at_least
        return self.mark.at_most is not None and self.reached <= self.mark.at_most

    @property
    def text(self) -> str:
        """Say it for people."""
        if self.reached is None:
            return "not measured"
        if self.met:
            return "met"
        aim = self.mark.at_least if self.mark.at_least is not None else self.mark.at_most
        return f"missed by {abs(self.reached / aim - 1) * 100:.0f} %" if aim else "missed"


def verdict(mark: Mark, rows: Mapping[str, Row]) -> Verdict:
    """Hold a mark against what was measured."""
    row = rows.get(mark.row)
    if row is None:
        return Verdict(mark, None)
    match mark.against:
        case Against.NGINX:
            found = row.ratio(OURS)
        case Against.BEST_PEER:
            found, best = row.spread(OURS), row.best_peer()
            peer = None if best is None else row.spread(best)
            if found is None or peer is None or not peer.middle:
                return Verdict(mark, None)
            return Verdict(mark, found.middle / peer.middle)
        case Against.NOTHING:
            found = row.spread(OURS)
    return Verdict(mark, None if found is None else found.middle)
