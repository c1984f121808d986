"""Until when an address holds that GitHub gave for an asset; pure but for the clock."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qs, urlsplit

REDIRECTED_BYTES: Final = 20 * 1024 * 1024
"""From this size on readers are sent to GitHub, where that is wanted: below it the way there takes longer than the bytes."""

_UNKNOWN: Final = timedelta(minutes=4)  # the shortest life seen is five
_BEFORE: Final = timedelta(seconds=60)  # the reader has to get there


def expiry_of(url: str, *, now: datetime | None = None) -> datetime | None:
    """Return until when an address may be handed out; None when that is over."""
    now = now or datetime.now(UTC)
    given = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    ends = [end for end in (_azure(given.get("se")), _token(given.get("jwt")), _amazon(given)) if end is not None]
    expires = min(ends) - _BEFORE if ends else now + _UNKNOWN
    return expires if expires > now else None


def _azure(text: str | None) -> datetime | None:
    try:
        end = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return end if end.tzinfo is not None else end.replace(tzinfo=UTC)


def _token(text: str | None) -> datetime | None:
    """Read the end of a JSON web token, which is not ours to verify."""
    try:
        body = (text or "").split(".")[1]
        return datetime.fromtimestamp(json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))["exp"], UTC)
    except (IndexError, ValueError, KeyError, TypeError, OverflowError):
        return None


def _amazon(given: dict[str, str]) -> datetime | None:
    try:
        begun = datetime.strptime(given["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return begun + timedelta(seconds=int(given["X-Amz-Expires"]))
    except (KeyError, ValueError, OverflowError):
        return None
