"""From arguments to a command to an exit code; failures become text on stderr, never a traceback."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, TextIO

from wheelyard import __version__
from wheelyard.cli.commands import COMMANDS, canonical, find_command, plugin_commands
from wheelyard.cli.environment import command_line

if TYPE_CHECKING:
    from wheelyard.errors import WheelyardError

PROGRAM_NAMES = ("wheelyard", "private_pypi", "pywharf")
"""Names under which the program may be started; help speaks of the one that was used."""

_FAILED, _WRONG_USE = 1, 2
_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
_HELP = ("--help", "-h", "help")
_PREDECESSORS = ("github.init_pkg_repo", "github.gen_gh_pages")  # commands that its users may look for


def run(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """
    Run the command that the arguments, or else the environment, name.

    Args:
        argv: Program name and arguments.
        environ: The environment.
    Returns:
        The exit code.
    """
    program = _program(argv)
    arguments = list(argv[1:]) or command_line(environ)
    if arguments is None:
        _print_commands(program, sys.stdout)
        return _FAILED
    name, rest = canonical(arguments[0]), arguments[1:]
    if name in map(canonical, _HELP):
        return _help(program, rest)
    if name == canonical("--version"):
        print(f"wheelyard {__version__}")  # noqa: T201  output
        return 0
    return _run_command(program, name, rest)


def _program(argv: Sequence[str]) -> str:
    stem = PurePath(argv[0]).stem if argv else ""
    return stem if stem in PROGRAM_NAMES else PROGRAM_NAMES[0]


def _help(program: str, rest: Sequence[str]) -> int:
    if rest and not rest[0].startswith("-"):
        return _run_command(program, canonical(rest[0]), ["--help"])
    _print_commands(program, sys.stdout)
    return 0


def _print_commands(program: str, file: TextIO) -> None:
    """Print what the predecessor printed, with a line about each command."""
    names = {name: entry.summary for name, entry in COMMANDS.items()}
    names |= {name: f"Command of the backend '{name.partition('.')[0]}'." for name in plugin_commands()}
    width = max(map(len, names))
    lines = [
        "SYNOPSIS",
        f"    {program} <command> <command_flags>",
        "",
        "SUPPORTED COMMANDS",
        *(f"    {name:<{width}}  {summary}" for name, summary in names.items()),
        "",
        "EXAMPLES",
        f"    {program} server",
        f"    {program} server /srv/packages --port 9000",
        f"    {program} server --help",
        "",
        "Without arguments the command and its flags are read from the environment:",
        "    WHEELYARD_COMMAND=server WHEELYARD_COMMAND_PORT=9000 " + program,
    ]
    print("\n".join(lines), file=file)


def _run_command(program: str, name: str, arguments: list[str]) -> int:
    command = find_command(name)
    if command is None:
        _print_commands(program, sys.stdout)
        _complain(f"{program}: there is no command '{name}'{_about_missing(name)}")
        return _FAILED
    import click  # noqa: PLC0415  the list of commands does not need it

    from wheelyard.errors import WheelyardError  # noqa: PLC0415  as above

    try:
        result = command.main(args=arguments, prog_name=f"{program} {name}", standalone_mode=False)
    except click.ClickException as error:
        error.show(sys.stderr)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _complain("stopped; nothing more was done")
        return _INTERRUPTED
    except WheelyardError as error:
        return _report(error)
    except BrokenPipeError:
        # Whoever read our output left; the interpreter must not complain about that at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    return result if isinstance(result, int) else 0


def _report(error: WheelyardError) -> int:
    from wheelyard.errors import ConfigError  # noqa: PLC0415  as in `_run_command`

    if isinstance(error, ConfigError):
        count = len(error.problems)
        _complain(f"error: the configuration has {count} mistake{'' if count == 1 else 's'}:")
        for problem in error.problems:
            _complain(f"  {problem}")
        return _WRONG_USE
    _complain(f"error: {error.message}")
    if error.hint:
        _complain(f"hint: {error.hint}")
    return _FAILED


def _about_missing(name: str) -> str:
    if name in _PREDECESSORS or "." in name:
        return f": the backend '{name.partition('.')[0]}' that would bring it is not installed"
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _complain(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201  for people, not for the log
