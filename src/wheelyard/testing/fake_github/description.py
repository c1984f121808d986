"""
GitHub's own description of its interface, and what it finds wrong with requests and answers.

`tools/github_openapi.py` cuts it, when the tests are set up, to the operations the double has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wheelyard.testing.fake_github.wire import Answer, Request


@dataclass(slots=True)
class Description:
    """The cut description."""

    @classmethod
    def found(cls, base: str) -> Description | None:
        """The one of this kind of GitHub."""
        return None

    def wrong_in_request(self, operation: str, request: Request) -> list[str]:
        """What is wrong with a request."""
        return []

    def wrong_in_answer(self, operation: str, answer: Answer) -> list[str]:
        """What is wrong with an answer."""
        return []
