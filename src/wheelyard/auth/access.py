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
        access: What they may do on the index they were authenticated for.
    """

    name: str
    access: Access


ANONYMOUS = Principal("anonymous", Access.NONE)
"""A caller without credentials."""
