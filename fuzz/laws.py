"""What every fuzz target shares: the way a broken law is told, and bounds on time and memory of one input."""

from __future__ import annotations

import atexit
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Check = Callable[[bytes], None]
"""Checks every law of a target on one input; raises when one is broken."""

Mutate = Callable[[bytes, int], bytes]
"""Changes bytes at random, to at most so many."""

MUTATION_BYTES = 64 * 1024  # longest input that a structure-aware mutator makes

INPUT_SECONDS = 5.0  # of CPU, with instrumented code on a busy machine; the targets need milliseconds
INPUT_MEMORY_BYTES = 64 * 1024 * 1024  # how much the peak may grow during one input


class LawBroken(AssertionError):
    """Something that must hold for every input does not hold for this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzTarget:
    """
    One thing to fuzz.

    Attributes:
        name: As on the command line.
        about: What is checked, for the report.
        check: Checks one input.
        seeds: Makes the inputs to start from, by name; generated, so that nothing has to be kept.
        words: What the mutator may put in as a whole.
        reached: Source files, relative to the repository, whose covered lines the report tells.
        max_len: Longest input, in bytes.
        mutate: Changes an input in a way that keeps its framing; None leaves that to libFuzzer alone. Gets the input, a
            seed for everything random, and libFuzzer's own mutation.
    """

    name: str
    about: str
    check: Check
    seeds: Callable[[], dict[str, bytes]]
    words: tuple[bytes, ...]
    reached: tuple[str, ...]
    max_len: int = 4096
    mutate: Callable[[bytes, int, Mutate], bytes] | None = None


def workplace() -> Path:
    """Return a folder for the files of this process, removed when it ends; the runner removes what libFuzzer leaves."""
    folder = Path(tempfile.mkdtemp(prefix="wheelyard-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def require(holds: object, law: str, *evidence: object) -> None:
    """
    Check one law.

    Raises:
        LawBroken: `holds` is false; the text names law and evidence.
    """
    if not holds:
        raise LawBroken("; ".join([law, *(f"{value!r:.500}" for value in evidence)]))


def bounded(check: Check) -> Check:
    """Return the check with the law that every input is done with in bounded time and memory."""

    def checked(data: bytes) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.process_time()
        check(data)
        seconds = time.process_time() - start
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024
        require(seconds < INPUT_SECONDS, f"an input takes less than {INPUT_SECONDS} s", seconds)
        require(grown < INPUT_MEMORY_BYTES, f"an input takes less than {INPUT_MEMORY_BYTES} bytes of memory", grown)

    return checked
