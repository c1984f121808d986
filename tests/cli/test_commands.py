"""Finding a command: the list, help, names spelled both ways, what is near, commands of backends."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wheelyard.cli.commands import COMMANDS

Run = Callable[..., Any]

SYNOPSIS = "SYNOPSIS\n    {program} <command> <command_flags>\n\nSUPPORTED COMMANDS\n    server "


@pytest.mark.parametrize("program", ["wheelyard", "private_pypi", "pywharf"])
def test_without_arguments(run: Run, program: str) -> None:
    """Without arguments and environment the list of commands is printed as it was, and the exit code is 1."""
    done = run(program=f"/usr/bin/{program}")
    assert done.code == 1
    assert done.out.startswith(SYNOPSIS.format(program=program))
    assert "\n    update_index " in done.out


@pytest.mark.parametrize("flag", ["--help", "-h", "help"])
def test_help(run: Run, flag: str) -> None:
    """Asking for help prints the same list, and is no failure."""
    done = run(flag)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(SYNOPSIS.format(program="wheelyard"))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [*((name, f"{name} --help") for name in COMMANDS), ("server", "server -h"), ("server", "help server")],
)
def test_help_of_a_command(run: Run, name: str, arguments: str) -> None:
    """Each command explains itself, with examples."""
    done = run(*arguments.split())
    assert (done.code, done.err) == (0, "")
    assert f"Usage: wheelyard {name}" in done.out
    assert f"Examples:\n    wheelyard {name}" in done.out


def test_help_imports_no_part_of_the_server() -> None:
    """The list of commands and the help of `server` load no part of the server and no heavy library."""
    code = (
        "import sys\nfrom wheelyard.cli.dispatch import run\n"
        "run(['wheelyard', '--help']); assert 'click' not in sys.modules\n"
        "run(['wheelyard', 'server', '--help']); run(['wheelyard', 'yank', '--help'])\n"
        "heavy = {'sqlalchemy', 'starlette', 'httpx2', 'uvicorn', 'jinja2', 'readme_renderer', 'rich', 'msgspec', 'anyio',\n"
        "    'packaging', 'platformdirs', 'wheelyard.settings', 'wheelyard.compose', 'wheelyard.server'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("HEAVY []\n")


def test_version(run: Run) -> None:
    """`version` and `--version` print the same line."""
    assert run("version").out == run("--version").out
    assert run("version").out.startswith("wheelyard ")


def test_command_may_be_spelled_with_a_dash(run: Run) -> None:
    """`update-index` is `update_index`."""
    assert "Usage: wheelyard update_index" in run("update-index", "--help").out


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("servr", "there is no command 'servr'; did you mean 'server'?"),
        ("acme.init_pkg_repo", "the backend 'acme' that would bring it is not installed"),
        ("--host", "there is no command '__host'"),
    ],
)
def test_unknown_command(run: Run, name: str, expected: str) -> None:
    """An unknown command is named, with what is near, and the list is printed."""
    done = run(name)
    assert done.code == 1
    assert expected in done.err
    assert "SUPPORTED COMMANDS" in done.out


def test_commands_of_a_backend(run: Run, tmp_path: Path) -> None:
    """A package with an entry point in our group brings a command, listed by name and loaded only when it is named."""
    packages = tmp_path / "packages"
    info = packages / "acme-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[wheelyard.commands.v1]\nacme.init = acme:init\n")
    (packages / "acme.py").write_text(
        "import click\nprint('loaded')\n\n@click.command()\n@click.option('--name')\n"
        "def init(name):\n    'Make it.'\n    click.echo(f'made {name}')\n"
    )
    env = {"PYTHONPATH": str(packages)}
    listed = run("--help", env=env)
    assert "\n    acme.init " in listed.out
    assert "loaded" not in listed.out.splitlines()
    assert run("acme.init", "--name", "x", env=env).out == "loaded\nmade x\n"


def test_output_that_nobody_reads(tmp_path: Path) -> None:
    """A reader that leaves early (`| head`) is no traceback."""
    code = "import os, sys; from wheelyard.cli import main; os.read(0, 1); sys.argv = ['w', 'server', '--help']; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(b"x", timeout=60)
    assert b"Traceback" not in err
