"""entry_points.txt: from its names scripts are made on other people's machines."""

from __future__ import annotations

import configparser
import re

from wheelyard.archives.findings import Findings
from wheelyard.errors import shown

_NAME = re.compile(r"[\w.-]+\Z")
_SCRIPTS = ("console_scripts", "gui_scripts")

_DOTTED = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
# Entry points specification: "importable.module" or "importable.module:object.attr", extras in brackets behind it.
_REFERENCE = re.compile(rf"{_DOTTED}(?:\s*:\s*{_DOTTED})?\s*(?:\[[\w\s.,-]*\])?\Z")

_CODE = "entry-points"


def check_entry_points(content: bytes, *, part: str, findings: Findings) -> None:
    """
    Check the names and references of a wheel's entry points.

    Args:
        content: The file.
        part: Its name, for messages.
        findings: Gets what is wrong.
    Spec: Entry points specification, "File format".
    """
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # "must be case-sensitive"
    try:
        parser.read_string(content.decode("utf-8"))
    except (configparser.Error, ValueError):
        findings.refuse(part, _CODE, "entry_points.txt is no INI file in UTF-8, or names something twice")
        return
    for group in parser.sections():
        for name, reference in parser.items(group):
            _check_one(group, name, reference, part, findings)


def _check_one(group: str, name: str, reference: str, part: str, findings: Findings) -> None:
    where = f"'{shown(name)}' in [{shown(group)}] of entry_points.txt"
    if _REFERENCE.match(reference) is None:
        findings.refuse(
            part, _CODE, f"entry point {where} is '{shown(reference)}', which is no object reference (`module:object`)"
        )
    if _NAME.match(name) is not None:
        return
    text = f"entry point {where} has a name with other characters than letters, digits, '.', '_' and '-'"
    if group in _SCRIPTS:
        findings.refuse(part, _CODE, text + ", and a script is made under that name")
    else:
        findings.advise(text)
