"""
From a table of plain values to the fields of a dataclass, each checked by itself so that all mistakes are found.

A value comes from TOML, where its type must be right, or from a flag or the environment, where everything is text.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any

import msgspec

from wheelyard.errors import shown
from wheelyard.settings.mistakes import Place, did_you_mean

Parser = Callable[[object], object]
"""Reads one value; raises `ValueError` with a text for people."""

_WORDS: Mapping[object, str] = {
    str: "text in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path in quotes",
}


@dataclass(frozen=True, slots=True)
class Key:
    """
    One key that a table may have.

    Attributes:
        type: What its value must be.
        required: Whether the table must have it.
        minimum: Smallest number allowed.
        maximum: Largest number allowed.
        parse: Reads the value in place of a check of its type.
    """

    type: Any
    required: bool = False
    minimum: int | None = None
    maximum: int | None = None
    parse: Parser | None = None


def keys_of(
    cls: type, *, parsers: Mapping[str, Parser] | None = None, minimums: Mapping[str, int] | None = None
) -> dict[str, Key]:
    """Return the keys that fill the fields of a dataclass."""
    hints = typing.get_type_hints(cls)
    return {
        each.name: Key(
            type=hints[each.name],
            required=each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING,
            minimum=(minimums or {}).get(each.name),
            parse=(parsers or {}).get(each.name),
        )
        for each in dataclasses.fields(cls)
        if each.init
    }


def read_table(
    table: Mapping[str, object], keys: Mapping[str, Key], place: Place, *, text: bool = False
) -> dict[str, object]:
    """
    Check each value of a table.

    Args:
        table: As parsed.
        keys: What it may have.
        place: Where mistakes are noted.
        text: Whether numbers and booleans may be written as text (flags, environment).
    Returns:
        The values that are right.
    """
    values: dict[str, object] = {}
    for name, value in table.items():
        key = keys.get(name)
        if key is None:
            place.refuse(name, f"unknown key{did_you_mean(name, keys)}")
            continue
        try:
            values[name] = _read(value, key, text=text)
        except ValueError as error:
            place.refuse(name, str(error))
    for name, key in keys.items():
        if key.required and name not in table:
            place.refuse(name, f"is missing; it must be {_described(key.type)}")
    return values


def wrong_type(value: object, expected: str) -> ValueError:
    """Return the error for a value of the wrong type; the value itself is not shown, it may be a secret."""
    return ValueError(f"must be {expected}, not {_kind(value)}")


def _read(value: object, key: Key, *, text: bool) -> object:
    if key.parse is not None:
        return key.parse(value)
    try:
        result: object = msgspec.convert(value, key.type, strict=not text, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise _refused(value, key.type) from error
    if isinstance(result, int) and key.minimum is not None and result < key.minimum:
        raise ValueError(f"must be at least {key.minimum}, not {result}")
    if isinstance(result, int) and key.maximum is not None and result > key.maximum:
        raise ValueError(f"must be at most {key.maximum}, not {result}")
    return result


def _decode(kind: type, value: object) -> object:
    if kind is object:
        return value
    if kind is Path and isinstance(value, str) and value:
        return Path(value).expanduser()
    if isinstance(value, kind):
        return value
    raise ValueError(kind)  # msgspec makes its own error of this


def _refused(value: object, kind: Any) -> ValueError:
    choices = _choices(kind)
    if choices and isinstance(value, str):
        return ValueError(f"'{shown(value)}' is none of {', '.join(map(repr, choices))}{did_you_mean(value, choices)}")
    if isinstance(value, str) and not choices and _plain(kind) in (int, float, bool):
        return ValueError(f"must be {_described(kind)}, not the text '{shown(value)}'")
    return wrong_type(value, _described(kind))


def _choices(kind: Any) -> tuple[str, ...]:
    plain = _plain(kind)
    return tuple(map(str, typing.get_args(plain))) if typing.get_origin(plain) is typing.Literal else ()


def _plain(kind: Any) -> Any:
    """Return a type without `| None`."""
    if isinstance(kind, UnionType) or typing.get_origin(kind) is typing.Union:
        return next((each for each in typing.get_args(kind) if each is not NoneType), kind)
    return kind


def _described(kind: Any) -> str:
    plain = _plain(kind)
    if choices := _choices(plain):
        return "one of " + ", ".join(map(repr, choices))
    if typing.get_origin(plain) in (tuple, list, frozenset, set):
        return "a list"
    return _WORDS.get(plain, getattr(plain, "__name__", str(plain)))


def _kind(value: object) -> str:
    """Say in TOML's words what a value is."""
    match value:
        case bool():
            return "true or false"
        case int():
            return "a number"
        case float():
            return "a number with a fraction"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "a table"
        case None:
            return "nothing"
        case _:
            return f"a {type(value).__name__}"
