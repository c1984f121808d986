"""The order in which the problems of one upload are told."""

from __future__ import annotations

from collections.abc import Iterable

from wheelyard.errors import UploadProblem

_FIRST = ("metadata-version", "name", "version")


def in_order(problems: Iterable[UploadProblem]) -> tuple[UploadProblem, ...]:
    """Sort problems as PyPI does (UP-23): metadata version, name, version, then the others by name; keep ties as they are."""
    return tuple(sorted(problems, key=_rank))


def _rank(problem: UploadProblem) -> tuple[int, str]:
    field = problem.field.lower().replace("_", "-")
    return (_FIRST.index(field) if field in _FIRST else len(_FIRST), field)
