"""A server without a configuration makes one, once, and keeps it."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from wheelyard.errors import ConfigError
from wheelyard.settings import keep_configuration, load_settings, reconfigured


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_first_start_makes_an_index(tmp_path: Path) -> None:
    """The first start writes an index `main` with two secrets of its own, readable by its owner only."""
    root = tmp_path / "new" / "root"
    settings = load_settings(root)
    (index,) = settings.indexes
    assert settings.generated
    assert (index.name, index.type) == ("main", "file_system")
    assert index.read_secret is not None
    assert index.write_secret is not None
    assert index.read_secret != index.write_secret
    assert min(len(index.read_secret), len(index.write_secret)) >= 32
    assert index.read_secret[0].isalnum()
    assert settings.source == str(root / "config.toml")
    assert stat.S_IMODE((root / "config.toml").stat().st_mode) == 0o600
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert _names(root) == ["config.toml"]


def test_later_starts_read_it(tmp_path: Path) -> None:
    """Every later start has the same index and secrets, and did not make them."""
    first, second = load_settings(tmp_path), load_settings(tmp_path)
    assert first.indexes == second.indexes
    assert (first.generated, second.generated) == (True, False)


def test_nothing_is_made_when_a_configuration_is_given(tmp_path: Path) -> None:
    """With --config ROOT stays as it is."""
    text = '[a]\ntype = "memory"\nread_secret = "r"\nwrite_secret = "w"\n'
    load_settings(tmp_path / "root", config=text, text_allowed=True)
    assert not (tmp_path / "root").exists()


def test_commands_make_none(tmp_path: Path) -> None:
    """Only a server's start makes a configuration; everything else says that there is none."""
    with pytest.raises(ConfigError, match="there is no such file"):
        load_settings(tmp_path, may_generate=False)
    assert _names(tmp_path) == []


def test_starts_at_once_agree(tmp_path: Path) -> None:
    """Of several first starts at one moment exactly one makes the configuration, and all have its secrets."""
    code = (
        "import sys; from wheelyard.settings import load_settings; sys.stdin.read(1);"
        "s = load_settings(sys.argv[1]); print(s.generated, s.indexes[0].read_secret)"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("x")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0].split() for process in started]
    assert sorted(made for made, _ in answers) == ["False", "False", "False", "True"]
    assert len({secret for _, secret in answers}) == 1


def test_root_that_cannot_be_written(tmp_path: Path) -> None:
    """A ROOT that cannot be made is a mistake with a way out, not a traceback."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot be written: .*wheelyard server ROOT"):
        load_settings(tmp_path / "file" / "root")


def test_default_root(tmp_path: Path) -> None:
    """Without ROOT everything is in the platform's data folder."""
    code = "from wheelyard.settings import load_settings; print(load_settings().root)"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).name == "wheelyard"
    assert (Path(done.stdout.strip()) / "config.toml").is_file()
    assert tmp_path in Path(done.stdout.strip()).parents


NEW = '[other]\ntype = "memory"\nread_secret = "r"\nwrite_secret = "w"\n'
ADMIN = '[other]\ntype = "memory"\nraw = "admin"\n'


def test_reconfigured_keeps_how_the_server_listens(tmp_path: Path) -> None:
    """A configuration sent to /initialize/ replaces the indexes; the running server keeps its addresses."""
    before = load_settings(tmp_path, overrides={"port": "1234"})
    after = reconfigured(before, config=NEW + "[server]\nport = 1\n", admin_secret=ADMIN)
    assert [index.name for index in after.indexes] == ["other"]
    assert after.indexes[0].admin_secret is not None
    assert (after.server.port, after.generated) == (1234, False)


@pytest.mark.parametrize(
    ("config", "admin", "expected"),
    [
        ("[other\n", "", "config: is not valid TOML"),
        (NEW, '[other]\ntype = "memory"\n', "admin_secret: \\[other\\]: the secret needs one of"),
        (NEW.replace('"r"', '{ file = "/etc/hostname" }'), "", "cannot name files of the server"),
        (NEW + "[server]\nprot = 1\n", "", "did you mean 'port'"),
    ],
)
def test_reconfigured_refuses(tmp_path: Path, config: str, admin: str, expected: str) -> None:
    """Mistakes of a configuration that comes over the network are told; it cannot name files of the server."""
    with pytest.raises(ConfigError, match=expected):
        reconfigured(load_settings(tmp_path), config=config, admin_secret=admin)


def test_kept_configuration_is_read_by_the_next_start(tmp_path: Path) -> None:
    """What /initialize/ sent holds after a restart, admin secret included."""
    load_settings(tmp_path)
    keep_configuration(tmp_path, config=NEW, admin_secret=ADMIN)
    settings = load_settings(tmp_path)
    assert [index.name for index in settings.indexes] == ["other"]
    assert settings.indexes[0].admin_secret is not None
    assert stat.S_IMODE((tmp_path / "admin_secret.toml").stat().st_mode) == 0o600
    assert _names(tmp_path) == ["admin_secret.toml", "config.toml"]
