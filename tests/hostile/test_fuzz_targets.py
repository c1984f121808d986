"""The laws of the fuzzers hold on their seeds and near them, and the fuzzers notice when one does not."""

from __future__ import annotations

import random

import pytest
from fuzz.laws import LawBroken, bounded, require
from fuzz.targets import NAMES, target
from fuzz.targets.raw_http import TARGET as RAW_HTTP
from fuzz.targets.raw_http_world import world

CHANGES = 60  # of each seed; the fuzzers themselves make millions


def change(data: bytes, rng: random.Random, words: tuple[bytes, ...]) -> bytes:
    """Change some bytes: what libFuzzer does, in small."""
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        place = rng.randrange(len(changed) + 1)
        match rng.randrange(4):
            case 0 if place < len(changed):
                changed[place] = rng.randrange(256)
            case 1:
                changed[place:place] = rng.choice(words)
            case 2:
                del changed[place : place + rng.randrange(1, 9)]
            case _:
                changed[place:place] = changed[place : place + rng.randrange(1, 30)]
    return bytes(changed)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_laws(name: str) -> None:
    """Every law holds on what a fuzzer starts from, and on inputs close to it."""
    fuzzed = target(name)
    rng = random.Random(name)
    for seed in fuzzed.seeds().values():
        fuzzed.check(seed)
        for number in range(CHANGES):
            if fuzzed.mutate is None or number % 2:
                changed = change(seed, rng, fuzzed.words)
            else:
                changed = fuzzed.mutate(seed, number, lambda data, most: change(data, rng, fuzzed.words)[:most])
            bounded(fuzzed.check)(changed[: fuzzed.max_len])


def test_a_broken_law_is_told() -> None:
    """What is broken is told with its evidence."""
    with pytest.raises(LawBroken, match="two is one; 2"):
        require([], "two is one", 2)


@pytest.mark.slow
def test_seeds_reach_the_application() -> None:
    """The streams that the HTTP fuzzer starts from are understood: a fuzzer that gets 401 all the time finds nothing."""
    statuses = set()
    for seed in RAW_HTTP.seeds().values():
        conversation = world().converse([seed[1:]])
        statuses |= {int(part[:3]) for part in conversation.sent.split(b"HTTP/1.1 ")[1:]}
    world().renew()
    assert {100, 200, 206, 304, 400, 401} <= statuses
