"""
Environment mode: the command and its flags from the environment.

`WHEELYARD_COMMAND=server` with `WHEELYARD_COMMAND_PORT=9000` is `wheelyard server --port=9000`. The predecessor's
`PRIVATE_PYPI_COMMAND` and `PYWHARF_COMMAND` mean the same; ours wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

OWN_PREFIX: Final = "WHEELYARD_COMMAND"
"""Variable that names the command; with `_<FLAG>` a flag."""

PREFIXES: Final = (OWN_PREFIX, "PRIVATE_PYPI_COMMAND", "PYWHARF_COMMAND")
"""All prefixes, the strongest first."""


def command_line(environ: Mapping[str, str]) -> list[str] | None:
    """
    Return the arguments that the environment means, or None when it names no command.

    Args:
        environ: The environment; capitals of names do not count, as before.
    """
    variables = {name.upper(): value for name, value in environ.items()}
    command = next((variables[prefix] for prefix in PREFIXES if variables.get(prefix)), None)
    if command is None:
        return None
    flags: dict[str, str] = {}
    for prefix in reversed(PREFIXES):
        flags |= _flags(variables, prefix)
    return [command, *(f"--{name}={value}" for name, value in sorted(flags.items()))]


def own_flags(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the flags that `WHEELYARD_COMMAND_<FLAG>` sets, by lower-case name; they stand behind given flags."""
    return _flags({name.upper(): value for name, value in environ.items()}, OWN_PREFIX)


def _flags(variables: Mapping[str, str], prefix: str) -> dict[str, str]:
    start = f"{prefix}_"
    return {
        name.removeprefix(start).lower(): value
        for name, value in variables.items()
        if name.startswith(start) and name != start
    }
