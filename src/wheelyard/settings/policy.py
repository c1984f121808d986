"""The table `[<index>.policy]`: what of other indexes is offered, read into the rules themselves."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, TypeVar, cast

from wheelyard.errors import InvalidRequest, shown
from wheelyard.index.point_in_time import parse_instant
from wheelyard.index.policy.patterns import NamePattern, Selector, TagPattern
from wheelyard.index.policy.rules import LIFTABLE, Exemption, Files, Policy, Rule, UpstreamMode
from wheelyard.index.policy.severity import Severity
from wheelyard.settings.mistakes import Place, did_you_mean
from wheelyard.settings.tables import Key, Parser, read_table, wrong_type

T = TypeVar("T")

_DURATION = re.compile(r"\s*([0-9]{1,6})\s*([wdhms])\s*\Z")
_UNITS: Final = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_LONGEST: Final = timedelta(days=3650)  # ten years: more hides everything, which `upstream_mode` says better
_ALL_OR_NOTHING: Final = "and it is not told whether that allows all or nothing: leave it out for all"
_THRESHOLDS: Final = {
    "any": Severity.NONE,
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
    "critical": Severity.CRITICAL,
}


def read_policy(table: object, place: Place) -> Policy | None:
    """
    Read a policy; its mistakes are noted.

    Args:
        table: The value of the key `policy` of an index.
        place: Where mistakes are noted, with `<index>.policy` as its table.
    Returns:
        The policy; None when the value is no table.
    """
    if not isinstance(table, Mapping):
        place.refuse("", str(wrong_type(table, f"a table [{place.table}]")))
        return None
    values = read_table(table, POLICY_KEYS, place)
    if "exceptions" in values:
        values["exceptions"] = tuple(_exceptions(values["exceptions"], place))
    policy = Policy(**cast("Any", values))
    if "upstream_names" in table and policy.upstream_mode is not UpstreamMode.LISTED:
        place.refuse("upstream_names", 'means nothing without upstream_mode = "listed"')
    if policy.upstream_mode is UpstreamMode.LISTED and "upstream_names" not in table:
        place.warn("upstream_mode", "is 'listed' and upstream_names is missing: no name is looked up elsewhere")
    return policy


def read_duration(value: object) -> timedelta:
    """
    Read a length of time: a number and one of `w`, `d`, `h`, `m` and `s`.

    Raises:
        ValueError: It is none, or too long.
    """
    expected = "a length of time in quotes like '7d', '36h' or '2w'"
    if not isinstance(value, str):
        raise wrong_type(value, expected)
    match = _DURATION.match(value)
    if match is None:
        raise ValueError(f"'{shown(value)}' is not {expected}")
    duration = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if duration > _LONGEST:
        raise ValueError(f"must be at most {_LONGEST.days}d, not {value.strip()}")
    return duration


def read_moment(value: object) -> datetime:
    """
    Read a date, which means its first moment in UTC, or a date and time with an offset; as TOML has them, or as text.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"needs an offset: write {value.isoformat()}Z for UTC")
        return value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, str):
        raise wrong_type(value, "a date like 2026-05-01, or a date and time like 2026-05-01T12:00:00Z")
    try:
        return parse_instant(value)
    except InvalidRequest as error:
        raise ValueError(f"{error.message}; write a date like 2026-05-01") from None


def each_of(parse: Callable[[str], T], *, empty: str | None = None) -> Parser:
    """
    Read a list of texts; all that are wrong are told.

    Args:
        parse: Reads one.
        empty: Why the list may not be empty, where that would let through what the list was to hold back; None when it may.
    """

    def read(value: object) -> tuple[T, ...]:
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ValueError('must be a list of texts like ["a", "b"]')
        if not value and empty is not None:
            raise ValueError(f"is empty, {empty}")
        found, wrong = [], []
        for each in value:
            try:
                found.append(parse(each))
            except ValueError as error:
                wrong.append(str(error))
        if wrong:
            raise ValueError("; ".join(wrong))
        return tuple(found)

    return read


def _word(words: Mapping[str, T]) -> Parser:
    def read(value: object) -> T:
        if not isinstance(value, str):
            raise wrong_type(value, "one of " + ", ".join(map(repr, words)))
        if value not in words:
            raise ValueError(f"'{shown(value)}' is none of {', '.join(map(repr, words))}{did_you_mean(value, words)}")
        return words[value]

    return read


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise wrong_type(value, "text in quotes")
    if not value.strip():
        raise ValueError("is empty")
    return value.strip()


def _liftable(text: str) -> Rule:
    words = {rule.value: rule for rule in LIFTABLE}
    if text not in words:
        raise ValueError(f"'{shown(text)}' is none of {', '.join(map(repr, words))}{did_you_mean(text, words)}")
    return words[text]


def _selector(value: object) -> Selector:
    return Selector.parse(_text(value))


POLICY_KEYS: Final[Mapping[str, Key]] = {
    "reserved": Key(tuple, parse=each_of(NamePattern.parse)),
    "upstream_mode": Key(str, parse=_word({mode.value: mode for mode in UpstreamMode})),
    "upstream_names": Key(tuple, parse=each_of(NamePattern.parse)),
    "deny": Key(tuple, parse=each_of(Selector.parse)),
    "allow": Key(tuple, parse=each_of(Selector.parse, empty=f'{_ALL_OR_NOTHING}; upstream_mode = "none" is nothing')),
    "deny_tags": Key(tuple, parse=each_of(TagPattern.parse)),
    "allow_tags": Key(tuple, parse=each_of(TagPattern.parse, empty=f'{_ALL_OR_NOTHING}; files = "sdists" is no wheel')),
    "files": Key(str, parse=_word({files.value: files for files in Files})),
    "minimum_age": Key(str, parse=read_duration),
    "minimum_age_exempt": Key(tuple, parse=each_of(NamePattern.parse)),
    "frozen_at": Key(str, parse=read_moment),
    "osv_severity": Key(str, parse=_word(_THRESHOLDS)),
    "exceptions": Key(list[Any]),
    "squat_check": Key(bool),
    "squat_expected": Key(tuple, parse=each_of(NamePattern.parse)),
}
"""Keys of `[<index>.policy]`."""

EXCEPTION_KEYS: Final[Mapping[str, Key]] = {
    "project": Key(str, required=True, parse=_selector),
    "expires": Key(str, required=True, parse=read_moment),
    "reason": Key(str, required=True, parse=_text),
    "rules": Key(tuple, parse=each_of(_liftable, empty="so nothing would be lifted; leave it out to lift all")),
    "advisories": Key(tuple, parse=each_of(str, empty="which would lift all of them; leave it out to do that")),
}
"""Keys of `[[<index>.policy.exceptions]]`."""


def _exceptions(tables: object, place: Place) -> list[Exemption]:
    found = []
    for number, table in enumerate(cast("list[object]", tables), start=1):
        here = Place(place.mistakes, place.source, f"{place.table}.exceptions {number}")
        if not isinstance(table, Mapping):
            here.refuse("", str(wrong_type(table, f"a table [[{place.table}.exceptions]]")))
            continue
        values = read_table(table, EXCEPTION_KEYS, here)
        if values.get("advisories") and Rule.OSV not in cast("tuple[Rule, ...]", values.get("rules", LIFTABLE)):
            here.refuse("advisories", f"means nothing when rules does not have '{Rule.OSV.value}'")
        if not {"project", "expires", "reason"} - values.keys():
            found.append(
                Exemption(
                    releases=cast("Selector", values["project"]),
                    expires=cast("datetime", values["expires"]),
                    reason=str(values["reason"]),
                    rules=frozenset(cast("tuple[Rule, ...]", values.get("rules", LIFTABLE))),
                    advisories=frozenset(cast("tuple[str, ...]", values.get("advisories", ()))),
                )
            )
    return found
