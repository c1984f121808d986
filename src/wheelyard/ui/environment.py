"""The templates, and how values look in them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from wheelyard.ui.static import static_file

if TYPE_CHECKING:
    from jinja2 import Environment

_STEP = 1000  # sizes as storage is sold and as package pages show them
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def render(template: str, /, **values: object) -> bytes:
    """Return a page, encoded; lone surrogates of damaged text become question marks."""
    return _environment().get_template(template).render(values).encode("utf-8", "replace")


@cache
def preload() -> None:
    """Read every template and static file, so that rendering a page afterwards reads nothing. Blocks."""
    environment = _environment()
    for name in environment.list_templates():
        environment.get_template(name)
    static_file("")


def size(number: int) -> str:
    """Return a number of bytes for reading: `1.2 MB`."""
    amount, unit = float(number), 0
    while amount >= _STEP and unit < len(_UNITS) - 1:
        amount, unit = amount / _STEP, unit + 1
    if unit == 0:
        return f"{number} {'byte' if number == 1 else 'bytes'}"
    return f"{amount:.1f} {_UNITS[unit]}"


def day(moment: datetime) -> str:
    """Return a date for reading, in UTC: `3 Feb 2026`."""
    moment = moment.astimezone(UTC)
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def stamp(moment: datetime) -> str:
    """Return a moment for programs, in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - only servers whose pages are read need it

    environment = Environment(
        loader=PackageLoader("wheelyard.ui", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(size=size, day=day, stamp=stamp)
    return environment
