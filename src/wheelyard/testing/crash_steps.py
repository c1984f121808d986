"""
Something happens at the n-th step of a process: it is killed, stopped, or the step fails.

A step is a call of the functions of `os` that change storage. They are wrapped by name in the process under test; nothing of
the product is replaced. A `Plan` is plain data, so that it can be handed to a process that is about to start.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

CHANGES: Final = (
    "open",
    "write",
    "utime",
    "chmod",
    "fsync",
    "fdatasync",
    "ftruncate",
    "link",
    "symlink",
    "rename",
    "replace",
    "mkdir",
    "rmdir",
    "unlink",
    "remove",
)
"""Steps that change storage; `open` counts when it may create or write."""

NEEDS_ROOM: Final = ("open", "write", "fsync", "link", "rename", "replace", "mkdir")
"""Steps that a full disk refuses."""

_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What happens, and when.

    Attributes:
        armed: Steps are counted while this file exists; "" counts from the start. A file put in its place begins to count
            anew, and a number in it stands for `at`.
        at: Number of the step, the first is 1; 0 for none.
        fault: `kill` (SIGKILL), `stop` (SIGSTOP), or the name of an errno that the step raises.
        when: `before` the step, `after` it, or `half`: a write of which half arrived. Only for `kill` and `stop`.
        lasting: Every later step fails too, until `armed` is removed.
        reads: Whether an `open` for reading counts too.
        steps: Names of functions of `os`.
        tally: A line with its name is appended to this file for every counted step; "" for none.
    """

    armed: str = ""
    at: int = 0
    fault: str = "kill"
    when: str = "before"
    lasting: bool = False
    reads: bool = False
    steps: Sequence[str] = CHANGES
    tally: str = ""


class Steps:
    """
    Counts the steps of this process and makes happen what is planned.

    Args:
        plan: What and when.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._guard = threading.Lock()
        self._number = 0
        self._at = plan.at
        self._armed_by: tuple[int, int] | None = None
        self._write = os.write
        self._tally = os.open(plan.tally, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if plan.tally else None

    def wrapped(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function of `os` with the plan around it."""

        def call(*arguments: Any, **options: Any) -> Any:
            if not self._counts(name, arguments):
                return original(*arguments, **options)
            now = self._is_now(name)
            if now and self._plan.when == "before":
                self._happen()
            if now and self._plan.when == "half":
                if name == "write":
                    original(arguments[0], arguments[1][: len(arguments[1]) // 2])
                self._happen()
            try:
                return original(*arguments, **options)
            finally:
                if now and self._plan.when == "after":
                    self._happen()

        return call

    def _counts(self, name: str, arguments: Sequence[Any]) -> bool:
        if name == "open" and not self._plan.reads and not (len(arguments) > 1 and arguments[1] & _WRITES):
            return False
        if not self._plan.armed:
            return True
        try:
            status = os.stat(self._plan.armed)  # noqa: PTH116  no Path object per step
        except FileNotFoundError:
            return False
        if self._armed_by != (status.st_ino, status.st_mtime_ns):
            self._armed_by = (status.st_ino, status.st_mtime_ns)
            with open(self._plan.armed, encoding="ascii") as armed:  # noqa: PTH123  as above
                self._number, self._at = 0, int(armed.read() or self._plan.at)
        return True

    def _is_now(self, name: str) -> bool:
        with self._guard:
            self._number += 1
            number = self._number
            if self._tally is not None:
                self._write(self._tally, f"{name}\n".encode())
        return number == self._at or (self._plan.lasting and number > self._at > 0)

    def _happen(self) -> None:
        if self._plan.fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self._plan.fault == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            code = getattr(errno, self._plan.fault)
            raise OSError(code, os.strerror(code))


@contextmanager
def around(steps: Sequence[str], wrap: Callable[[str, Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Wrap functions of `os` by name for the time of the block."""
    originals: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in steps}
    for name, original in originals.items():
        setattr(os, name, wrap(name, original))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(os, name, original)


def install(plan: Plan) -> None:
    """Let a plan happen in this process, until it ends."""
    steps = Steps(plan)
    for name in plan.steps:
        setattr(os, name, steps.wrapped(name, getattr(os, name)))
