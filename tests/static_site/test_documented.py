"""The commands of `wheelyard site` are explained with each of their flags."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from wheelyard.cli.site import command

REFERENCE = Path(__file__).parents[2] / "docs/reference/commands.md"


@pytest.mark.parametrize("name", sorted(command.commands))
def test_each_flag_is_explained(name: str) -> None:
    """Each command below `site` has a heading, and under it each of its flags is named."""
    sections = re.split(r"^###? ", REFERENCE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (section,) = [text for text in sections if text.startswith(f"wheelyard site {name}\n")]
    words = set(re.findall(r"--[a-z-]+", section))
    for parameter in command.commands[name].params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            flags = {*parameter.opts, *parameter.secondary_opts}
            assert flags & words, f"none of {flags}"
