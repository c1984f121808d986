"""The root of all errors, and how a message shows what somebody sent."""

from __future__ import annotations

from typing import ClassVar

_SHOWN_CHARACTERS = 200  # longest piece of a sender's input repeated in a message


def shown(value: object) -> str:
    """Return `value` for use in a message: printable, bounded, quotes kept apart from ours."""
    text = str(value)
    cleaned = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    if len(cleaned) > _SHOWN_CHARACTERS:
        return cleaned[:_SHOWN_CHARACTERS] + "…"
    return cleaned


class WheelyardError(Exception):
    """
    Root of all errors of this program.

    Attributes:
        code: Stable word for programs; documented in `docs/reference/errors.md`.
        hint: What the reader can do about it; None when the message says it.
    """

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
