"""Environment mode, as the predecessor's manual prints it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wheelyard.cli.environment import command_line

Run = Callable[..., Any]


@pytest.mark.parametrize("prefix", ["PRIVATE_PYPI_COMMAND", "PYWHARF_COMMAND", "WHEELYARD_COMMAND"])
def test_manual_example(prefix: str) -> None:
    """The command and its flags come from the environment, under the old names and the new."""
    env = {prefix: "server", f"{prefix}_ROOT": "/private-pypi-root", "OTHER": "x"}
    assert command_line(env) == ["server", "--root=/private-pypi-root"]


def test_ours_wins() -> None:
    """Where several name the same, ours is taken; the others still say what ours does not."""
    env = {
        "PRIVATE_PYPI_COMMAND": "update_index",
        "PRIVATE_PYPI_COMMAND_PORT": "1",
        "PRIVATE_PYPI_COMMAND_HOST": "h",
        "WHEELYARD_COMMAND": "server",
        "WHEELYARD_COMMAND_PORT": "2",
    }
    assert command_line(env) == ["server", "--host=h", "--port=2"]


def test_names_do_not_mind_capitals() -> None:
    """Names of variables were upper-cased before they were compared."""
    assert command_line({"private_pypi_command": "server", "Private_PyPI_Command_Port": "1"}) == ["server", "--port=1"]


@pytest.mark.parametrize("env", [{}, {"WHEELYARD_COMMAND": ""}, {"WHEELYARD_COMMAND_PORT": "1"}])
def test_no_command(env: dict[str, str]) -> None:
    """Flags alone, or an empty name, are no command."""
    assert command_line(env) is None


@pytest.mark.parametrize("program", ["wheelyard", "private_pypi"])
def test_program_runs_it(run: Run, program: str) -> None:
    """Started without arguments the program does what the environment says."""
    done = run(program=program, env={"PRIVATE_PYPI_COMMAND": "version"})
    assert done.code == 0
    assert done.out.startswith("wheelyard ")


def test_arguments_win(run: Run) -> None:
    """With arguments the environment names no command."""
    done = run("version", env={"PRIVATE_PYPI_COMMAND": "server"})
    assert done.out.startswith("wheelyard ")


def test_unknown_flag_is_refused(run: Run, tmp_path: Path) -> None:
    """A flag in the environment that the command does not have is refused, as on the command line."""
    env = {
        "PRIVATE_PYPI_COMMAND": "server",
        "PRIVATE_PYPI_COMMAND_PROT": "1",
        "PRIVATE_PYPI_COMMAND_ROOT": str(tmp_path),
    }
    done = run(env=env)
    assert done.code == 2
    assert "--prot" in done.err


def test_text_from_the_environment(run: Run, tmp_path: Path) -> None:
    """Files can be given as text by variables; a mistake in it is told like any other."""
    done = run(
        env={
            "PRIVATE_PYPI_COMMAND": "server",
            "PRIVATE_PYPI_COMMAND_ROOT": str(tmp_path / "root"),
            "PRIVATE_PYPI_COMMAND_CONFIG": '[a]\ntype = "file_system"\nread_secret = "r"\nwrite_secret = 1\n',
            "PRIVATE_PYPI_COMMAND_CONFIG_OR_ADMIN_SECRET_CAN_BE_TEXT": "True",
        }
    )
    assert done.code == 2
    assert "--config (text): [a] write_secret: must be text in quotes" in done.err
