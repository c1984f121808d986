"""
Which function answers which request.

`{name}` in a pattern is one part of the path, `{name...}` is one or more: GitHub has both kinds, and its description writes
them alike. The operation is GitHub's own name for the request; answers are checked against its description.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from wheelyard.testing.fake_github.wire import Answer

if TYPE_CHECKING:
    from wheelyard.testing.fake_github.call import Call

Handler = Callable[["Call"], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    One kind of request.

    Attributes:
        method: Of HTTP; HEAD is answered by GET.
        host: Which of the hosts has it.
        pattern: Of the path as on github.com.
        handler: What answers.
        operation: GitHub's operationId; None for what is in no description.
    """

    method: str
    host: str
    pattern: re.Pattern[str]
    operation: str | None
    handler: Handler


ROUTES: list[Route] = []
"""Every route, in the order of definition; the first that fits answers."""


def _compiled(pattern: str) -> re.Pattern[str]:
    regex = re.sub(r"\\\{(\w+)(\\\.\\\.\\\.)?\\\}", _group, re.escape(pattern))
    return re.compile(regex)


def _group(match: re.Match[str]) -> str:
    return f"(?P<{match[1]}>{'.+' if match[2] else '[^/]+'})"


def route(
    method: str, pattern: str, operation: str | None = None, *, host: str = "api"
) -> Callable[[Handler], Handler]:
    """Register what answers a kind of request."""

    def register(handler: Handler) -> Handler:
        ROUTES.append(Route(method=method, host=host, pattern=_compiled(pattern), operation=operation, handler=handler))
        return handler

    return register


def find(method: str, host: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
    """The route of a request and the named parts of its path, decoded; None when there is none."""
    method = "GET" if method == "HEAD" else method
    for candidate in ROUTES:
        if candidate.method != method or candidate.host != host:
            continue
        if match := candidate.pattern.fullmatch(path):
            return candidate, {name: unquote(value) for name, value in match.groupdict().items()}
    return None


def operations() -> list[str]:
    """GitHub's names of all operations that are answered here."""
    return sorted({route.operation for route in ROUTES if route.operation})
