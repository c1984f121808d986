"""The nouns of access: what one may do, who one is, and for how long that was decided."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Access(IntEnum):
    """What a caller may do; each level includes those before it."""

    NONE = 0
    READ = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Principal:
    """
    Who is asking.

    Attributes:
        name: Shown in records and logs (`main:write`, a login); never a secret.
        access: What they may do on the index.
        index: Lower-case name of the index they were authenticated for.
        anonymous: True when they sent nothing to prove who they are.
        decided: When a host said so, in seconds of the clock that decisions are remembered by; None when this server
            itself knows.
        reason: Why they may not do more, in words for them; None when there is nothing to say.
    """

    name: str
    access: Access
    index: str
    anonymous: bool = False
    decided: float | None = None
    reason: str | None = None


def anonymous_reader(index: str) -> Principal:
    """Return the principal of a caller without credentials on an index that everybody may read."""
    return Principal("anonymous", Access.READ, index.lower(), anonymous=True)
