"""
Keys: where a document or a file is in a store.

Rule 1: a key is checked once, in `Store`; a backend may rely on every line of `check_key`.
Rule 2: the key is the path. `simple/<project>/<filename>` is also the URL path and the path in a static site.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from wheelyard.errors import InvalidKey
from wheelyard.model import Key

PAGES: Final = "simple"
"""First segment of every record and every distribution file."""

RECORD_NAME: Final = "index.json"
"""Last segment of every record: `simple/<project>/index.json`."""

RESERVED: Final = ".wheelyard"
"""First segment that no key has; stores keep their own things (locks, journals, temporary files) under it."""

SEGMENT_LIMIT_BYTES: Final = 255  # the longest file name that every common file system takes
KEY_LIMIT_BYTES: Final = 1024  # the longest object name that every bucket takes

_RECORD_SEGMENTS = 3  # simple, project, index.json
_REMEMBERED = 16_384  # checked keys kept, about 4 MiB: `peek` asks at every request


@lru_cache(maxsize=_REMEMBERED)
def check_key(text: str) -> Key:
    """
    Return `text` as a key.

    Raises:
        InvalidKey: It is empty or too long, has a segment that is empty, too long, `.` or `..`, holds a control
            character, a backslash or a lone surrogate, or starts with the segment stores keep for themselves.
    """
    if not text:
        raise InvalidKey(text, "it is empty")
    if any(character < " " or "\x7f" <= character <= "\x9f" or character == "\\" for character in text):
        raise InvalidKey(text, "it holds a control character or a backslash")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidKey(text, "it is not Unicode text") from None
    if size > KEY_LIMIT_BYTES:
        raise InvalidKey(text, f"it is longer than {KEY_LIMIT_BYTES} bytes")
    segments = text.split("/")
    for segment in segments:
        if segment in ("", ".", ".."):
            raise InvalidKey(text, f"it has the segment '{segment}'")
        if len(segment.encode()) > SEGMENT_LIMIT_BYTES:
            raise InvalidKey(text, f"it has a segment longer than {SEGMENT_LIMIT_BYTES} bytes")
    if segments[0] == RESERVED:
        raise InvalidKey(text, f"'{RESERVED}' is where stores keep their own things")
    return Key(text)


def is_record_key(key: str) -> bool:
    """Tell whether `key` names a record (`simple/<project>/index.json`); every other key names a file."""
    segments = key.split("/")
    return len(segments) == _RECORD_SEGMENTS and segments[0] == PAGES and segments[2] == RECORD_NAME


@lru_cache(maxsize=_REMEMBERED)
def check_record_key(text: str) -> Key:
    """
    Return `text` as the key of a record.

    Raises:
        InvalidKey: It is no key, or the key of a file.
    """
    key = check_key(text)
    if not is_record_key(key):
        raise InvalidKey(text, f"records are kept under '{PAGES}/<project>/{RECORD_NAME}'")
    return key


def check_file_key(text: str) -> Key:
    """
    Return `text` as the key of a file.

    Raises:
        InvalidKey: It is no key, or the key of a record.
    """
    key = check_key(text)
    if is_record_key(key):
        raise InvalidKey(text, f"'{RECORD_NAME}' of a project is its record, not a file")
    return key


def check_prefix(text: str) -> str:
    """
    Return `text` as the start of keys: whole segments that are as in `check_key`, and any beginning of one more.

    Raises:
        InvalidKey: No key can start like that.
    """
    folder, _, _ = text.rpartition("/")
    if folder:
        check_key(folder)
    return text
