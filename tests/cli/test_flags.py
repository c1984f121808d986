"""Flags: spelled with `_` and `-`, with `=` and without, booleans with and without a value, from the environment."""

from collections.abc import Mapping
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.cli.flags import FlagCommand, ignored_flags


def _command(*, further: bool = False) -> FlagCommand:
    @click.argument("root", required=False)
    @click.option("--auth-read-expires")
    @click.option("--some-size", "--some-bytes", "size")
    @click.option("--debug/--no-debug", default=None)
    @click.option("--yes", is_flag=True)
    @click.option("--file", multiple=True)
    @click.pass_context
    def show(ctx: click.Context, /, **values: object) -> None:
        seen = {name: value for name, value in values.items() if value not in (None, ())}
        if not seen["yes"]:
            del seen["yes"]
        ctx.obj = {"values": seen, "further": ctx.obj, "ignored": ignored_flags(ctx)}
        click.echo(repr(ctx.obj))

    return click.command(cls=FlagCommand, ignored=("old-flag",), further=further)(show)


def _parsed(*arguments: str, further: bool = False, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    done = CliRunner().invoke(_command(further=further), list(arguments), env=dict(env or {}))
    assert done.exit_code == 0, done.output
    seen: dict[str, Any] = eval(done.output)
    return seen


CASES = [
    (["--auth-read-expires", "5"], {"auth_read_expires": "5"}),
    (["--auth_read_expires", "5"], {"auth_read_expires": "5"}),
    (["--auth-read-expires=5"], {"auth_read_expires": "5"}),
    (["--auth_read_expires=5"], {"auth_read_expires": "5"}),
    (["--auth_read-expires="], {"auth_read_expires": ""}),
    (["--auth-read-expires", ""], {"auth_read_expires": ""}),
    (["--auth-read-expires=a=b_c"], {"auth_read_expires": "a=b_c"}),
    (["--auth-read-expires", "--some_text"], {"auth_read_expires": "--some_text"}),
    (["--some_bytes", "1"], {"size": "1"}),
    (["--debug"], {"debug": True}),
    (["--debug", "root"], {"debug": True, "root": "root"}),
    (["--debug", "True"], {"debug": True}),
    (["--debug", "False", "root"], {"debug": False, "root": "root"}),
    (["--debug=True"], {"debug": True}),
    (["--debug=false"], {"debug": False}),
    (["--debug=0"], {"debug": False}),
    (["--debug="], {"debug": True}),
    (["--no-debug"], {"debug": False}),
    (["--no_debug"], {"debug": False}),
    (["--nodebug"], {"debug": False}),
    (["--yes=false"], {}),
    (["--yes", "root"], {"yes": True, "root": "root"}),
    (["root", "--file", "a", "--file=b"], {"root": "root", "file": ("a", "b")}),
    (["--", "--debug"], {"root": "--debug"}),
]


@pytest.mark.parametrize(("arguments", "expected"), CASES, ids=[" ".join(case[0]) for case in CASES])
def test_spelling(arguments: list[str], expected: dict[str, object]) -> None:
    """Each way in which a flag was spelled is understood."""
    assert _parsed(*arguments)["values"] == expected


@pytest.mark.parametrize("arguments", [["--old-flag", "5", "root"], ["--old_flag=5", "root"], ["root", "--old-flag"]])
def test_flag_without_meaning(arguments: list[str]) -> None:
    """A flag that means nothing here is taken with its value, and remembered for a warning."""
    seen = _parsed(*arguments)
    assert seen["ignored"] == ["--old-flag"]
    assert seen["values"]["root"] == "root"


def test_further_flags() -> None:
    """A command that takes keys of backends gets every flag it does not know; without a value it is true."""
    seen = _parsed("--max-file_bytes", "5", "--fsync", "--path=a b", "root", further=True)
    assert seen["further"] == {"max_file_bytes": "5", "fsync": "true", "path": "a b"}
    assert seen["values"]["root"] == "root"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--auth-read-expire", "5"], "Did you mean --auth-read-expires?"),
        (["--debug=maybe"], "'maybe' is neither true nor false"),
        (["a", "b"], "unexpected extra argument"),
        (["--auth-read-expires"], "requires an argument"),
    ],
)
def test_refused(arguments: list[str], expected: str) -> None:
    """What is not understood is refused with exit code 2 and what was probably meant."""
    done = CliRunner().invoke(_command(), arguments)
    assert done.exit_code == 2
    assert expected.lower() in done.output.lower().replace("'--auth-read-expires'", "--auth-read-expires")


def test_environment_stands_behind_flags() -> None:
    """`WHEELYARD_COMMAND_<FLAG>` sets what no flag sets; capitals do not count, unknown ones are for other commands."""
    env = {
        "WHEELYARD_COMMAND_AUTH_READ_EXPIRES": "1",
        "wheelyard_command_some_bytes": "2",
        "WHEELYARD_COMMAND_DEBUG": "",
        "WHEELYARD_COMMAND_FILE": "f",
        "WHEELYARD_COMMAND_UNKNOWN": "x",
        "PRIVATE_PYPI_COMMAND_AUTH_READ_EXPIRES": "9",
    }
    values = _parsed("--some-size", "3", env=env)["values"]
    assert values == {"auth_read_expires": "1", "size": "3", "debug": True, "file": ("f",)}


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20))
def test_values_pass_unchanged(value: str) -> None:
    """Law: whatever a value is, it arrives as it was given, in both forms."""
    assert _parsed(f"--auth_read_expires={value}")["values"]["auth_read_expires"] == value
    assert _parsed("--auth-read-expires", value)["values"]["auth_read_expires"] == value
