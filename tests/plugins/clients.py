"""
Real packaging clients, each in an environment of its own: fixture `client`, called with the client's name.

The environments are made on demand from the locks in `requirements/clients/` and kept in `.cache/clients/`. A client
runs in a hermetic world: its own home and caches, nothing of this machine's configuration, no way to another index.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
LOCKS = REPOSITORY / "requirements" / "clients"
CACHE = REPOSITORY / ".cache"
RUN_SECONDS = 300  # no client command of these tests takes longer, even on a busy machine

# Nothing listens on port 9 ("discard"): a client that leaves loopback fails at once and says so.
_NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Outcome:
    """
    What a command did.

    Attributes:
        code: Its exit code.
        output: Standard output and error as one text.
    """

    command: tuple[str, ...]
    code: int
    output: str

    @property
    def words(self) -> str:
        """The output on one line: clients wrap their messages to the width of a terminal, some with frames."""
        return " ".join(self.output.replace("│", " ").replace("╰─▶", " ").split())

    def check_ok(self) -> Outcome:
        """Fail the test unless the command succeeded."""
        assert self.code == 0, f"{' '.join(self.command)} ended with {self.code}:\n{self.output}"
        return self

    def check_refused(self, *texts: str) -> Outcome:
        """Fail the test unless the command failed in an orderly way and said each of these texts."""
        assert self.code != 0, f"{' '.join(self.command)} should have failed:\n{self.output}"
        if Path(self.command[0]).name != "flit":  # flit shows every HTTP error as a traceback that ends in the reason
            assert "Traceback (most recent call last)" not in self.output, self.output
        for text in texts:
            assert text.lower() in self.words.lower(), f"{text!r} is not in the output:\n{self.output}"
        return self


def run(command: Sequence[object], *, env: Mapping[str, str], cwd: Path, stdin: str | None = None) -> Outcome:
    """Run a command to its end without a terminal."""
    done = subprocess.run(
        [str(part) for part in command],
        env=dict(env),
        cwd=cwd,
        input="" if stdin is None else stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=RUN_SECONDS,
        check=False,
    )
    return Outcome(tuple(str(part) for part in command), done.returncode, done.stdout)


def tool(name: str) -> Path:
    """Return a program of the development environment."""
    return Path(sys.executable).parent / name


def hermetic(home: Path, *programs: Path) -> dict[str, str]:
    """
    Return an environment in which a client knows nothing of this machine and reaches nothing but loopback.

    Args:
        home: Home folder of the client; caches and configuration go there.
        programs: Folders of programs, first found first used.
    """
    home.mkdir(parents=True, exist_ok=True)
    return {
        "HOME": str(home),
        "PATH": os.pathsep.join([*(str(folder) for folder in programs), "/usr/bin", "/bin"]),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "NO_COLOR": "1",
        "COLUMNS": "400",
        "TMPDIR": str(_made(home / "tmp")),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "http_proxy": _NOWHERE,
        "https_proxy": _NOWHERE,
        "no_proxy": "127.0.0.1,localhost",
        "SOURCE_DATE_EPOCH": "1700000000",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_PYTHON": sys.executable,
        "UV_PYTHON_DOWNLOADS": "never",
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "POETRY_KEYRING_ENABLED": "false",
        "PDM_CHECK_UPDATE": "0",
        "PDM_IGNORE_ACTIVE_VENV": "1",
        "PIPENV_VENV_IN_PROJECT": "1",
        "PIPENV_IGNORE_VIRTUALENVS": "1",
        "PIPENV_NOSPIN": "1",
        "HATCH_DATA_DIR": str(home / "hatch/data"),
        "HATCH_CACHE_DIR": str(home / "hatch/cache"),
    }


@dataclass(frozen=True)
class Client:
    """
    An installed client.

    Attributes:
        name: Its name; also of its lock.
        venv: The environment it is installed in.
        home: Its home folder, of this test alone.
    """

    name: str
    venv: Path
    home: Path

    @property
    def python(self) -> Path:
        """The interpreter it runs on."""
        return self.venv / "bin" / "python"

    def environment(self, **further: str) -> dict[str, str]:
        """Return its hermetic environment and further variables."""
        return hermetic(self.home, self.venv / "bin") | further

    def __call__(self, *arguments: object, cwd: Path, stdin: str | None = None, **further: str) -> Outcome:
        """Run the client in a folder with further environment variables."""
        program = "pip" if self.name.startswith("pip-") else self.name
        return run([self.venv / "bin" / program, *arguments], env=self.environment(**further), cwd=cwd, stdin=stdin)


GetClient = Callable[[str], Client]


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold a lock that other test processes respect."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def registry_environment() -> dict[str, str]:
    """Return this machine's own environment, with which it reaches its package registry; uv learns pip's index."""
    env = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    if "PIP_INDEX_URL" in env:
        env.setdefault("UV_DEFAULT_INDEX", env["PIP_INDEX_URL"])
    return env


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def installed(name: str) -> Path:
    """Return the environment of a client, made when it is not there or its lock has changed."""
    lock = LOCKS / f"{name}.txt"
    wanted = hashlib.sha256(lock.read_bytes() + sys.version.encode() + sys.executable.encode()).hexdigest()
    venv = _made(CACHE / "clients") / name
    stamp = CACHE / "clients" / f"{name}.stamp"
    with file_lock(CACHE / "clients" / f"{name}.lock"):
        if not venv.is_dir() or not stamp.is_file() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            shutil.rmtree(venv, ignore_errors=True)
            env = registry_environment()
            run([tool("uv"), "venv", "--python", sys.executable, venv], env=env, cwd=REPOSITORY).check_ok()
            install = [
                tool("uv"),
                "pip",
                "install",
                "--python",
                venv / "bin" / "python",
                "--require-hashes",
                "-r",
                lock,
            ]
            run(install, env=env, cwd=REPOSITORY).check_ok()
            stamp.write_text(wanted)
    return venv


@pytest.fixture
def client(tmp_path: Path) -> GetClient:
    """Get a client by name, with a fresh home."""

    def get(name: str) -> Client:
        return Client(name, installed(name), tmp_path / f"home-{name}")

    return get


@pytest.fixture
def new_venv(tmp_path: Path) -> Callable[..., Path]:
    """Make an empty virtual environment; return its folder."""

    def make(name: str = "venv", *, pip: bool = False) -> Path:
        folder = tmp_path / name
        env = hermetic(tmp_path / "home-venv")
        if pip:
            run([sys.executable, "-m", "venv", folder], env=env, cwd=tmp_path).check_ok()
        else:
            run([tool("uv"), "venv", "--python", sys.executable, folder], env=env, cwd=tmp_path).check_ok()
        return folder

    return make
