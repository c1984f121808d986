"""What `wheelyard server` says before it serves: mistakes, warnings, the banner."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from plugins.live import StartServer
from wheelyard.cli.banner import setup_lines
from wheelyard.cli.waitress import WITHOUT_MEANING

Run = Callable[..., Any]

GOOD = '[main]\ntype = "file_system"\nread_secret = "r"\nwrite_secret = "w"\n'


def test_mistakes_are_listed(run: Run, tmp_path: Path) -> None:
    """All mistakes of file and flags stand on stderr, one a line, and the exit code is 2."""
    (tmp_path / "config.toml").write_text(GOOD + 'read_secert = 1\n[server]\nprot = 1\n[x]\ntype = "nowhere"\n')
    done = run("server", str(tmp_path / "root"), "--config", "config.toml", "--port", "many", "--threads=0")
    assert (done.code, done.out) == (2, "")
    lines = done.err.splitlines()
    assert lines[0] == f"error: the configuration has {len(lines) - 1} mistakes:"
    assert "  config.toml: [main] read_secert: unknown key; did you mean 'read_secret'?" in lines
    assert "  config.toml: [server] prot: unknown key; did you mean 'port'?" in lines
    assert "  command line: port: must be a whole number, not the text 'many'" in lines
    assert "  command line: threads: must be at least 1, not 0" in lines
    assert any("unknown backend type 'nowhere'" in line for line in lines)


def test_root_given_twice(run: Run) -> None:
    """ROOT by position and by flag must be the same."""
    done = run("server", "a", "--root", "b")
    assert done.code == 2
    assert "ROOT is given twice" in done.err


def test_unknown_flag(run: Run) -> None:
    """A flag that neither we nor waitress have is refused with what is near."""
    done = run("server", "--trusted_proxi", "x")
    assert done.code == 2
    assert "--trusted-proxy" in done.err


def test_first_and_later_start(start_server: StartServer, tmp_path: Path) -> None:
    """The first start prints URL, secrets and ready lines; the next prints where they are, and no secret."""
    root = tmp_path / "fresh"
    server = start_server(root=root, config="")
    banner = server.log()
    secrets = [line.split('"')[1] for line in (root / "config.toml").read_text().splitlines() if "_secret =" in line]
    assert len(secrets) == 2
    assert f"http://main:{secrets[0]}@{server.host}/simple/" in banner
    for tool in ("pip install", "uv pip install", "uv publish", "twine upload", "poetry publish"):
        assert tool in banner
    assert all(secret in banner for secret in secrets)
    server.stop()
    again = start_server(root=root, config="")
    assert again.url in again.log()
    assert str(root / "config.toml") in again.log()
    assert not any(secret in again.log() for secret in secrets)


def test_old_waitress_flags(start_server: StartServer) -> None:
    """Flags for waitress that mean nothing here are taken with a warning each, spelled both ways."""
    server = start_server("--recv_bytes=8192", "--outbuf-overflow", "1048576", "--asyncore_use_poll")
    log = server.log()
    for name in ("recv-bytes", "outbuf-overflow", "asyncore-use-poll"):
        assert f"warning: --{name} was an option of waitress and means nothing here: {WITHOUT_MEANING[name]}" in log


def test_mapped_waitress_flags(start_server: StartServer, http_server: str) -> None:
    """Flags for waitress that mean something here do it; granian names itself, whatever `--ident` says."""
    server = start_server("--threads", "4", "--backlog", "100", "--ident", "packages")
    answer = server.get("/simple/")
    assert answer.status_code == 200
    assert answer.headers["server"] == ("packages" if http_server == "uvicorn" else "granian")


@pytest.mark.parametrize("secret", ["plain", "with space & 'quote'", "a/b:c@d"])
def test_lines_can_be_pasted(secret: str) -> None:
    """Secrets are quoted for URLs and for the shell."""
    lines = setup_lines("http://localhost:8888", "main", secret, secret + "!").splitlines()
    words = [shlex.split(line) for line in lines]
    pip, publish = words[0], next(line for line in words if "publish" in line and "uv" in line)
    assert unquote(urlsplit(pip[pip.index("--index-url") + 1]).password or "") == secret
    assert publish[publish.index("--password") + 1] == secret + "!"


def test_pip_is_told_to_trust_plain_http() -> None:
    """From another machine pip needs `--trusted-host` for plain http; with https or on this machine it does not."""
    assert "--trusted-host host:8888" in setup_lines("http://host:8888", "main", "r", "w")
    assert "--trusted-host" not in setup_lines("http://localhost:8888", "main", "r", "w")
    assert "--trusted-host" not in setup_lines("https://host", "main", "r", "w")
