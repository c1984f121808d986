"""Tables of indexes whose host knows its users, and the admin secrets of GitHub: a token, or the key of an App."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest

from identity.hosts import CONTEXTS, Host, HostedOptions
from wheelyard.auth.authenticators import IndexSecrets
from wheelyard.auth.hosts import HostAuthenticator
from wheelyard.compose import make_auth, make_store
from wheelyard.errors import ConfigError
from wheelyard.settings import Settings, load_settings

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"
TABLE = '[team]\ntype = "github"\nhost = "here"\n'


def load(folder: Path, config: str, secret: str | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Load a configuration in which `github` is the tests' own backend."""
    return load_settings(
        folder / "root",
        config=config,
        admin_secret=secret,
        text_allowed=True,
        environ=environ or {},
        options=lambda name: HostedOptions,
    )


def load_secret(folder: Path, secret: str, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Load an admin secret; return what a backend would be given."""
    found = load(folder, TABLE, secret, environ).indexes[0].admin_secret
    assert found is not None
    return found.by_key()


def mistakes(folder: Path, config: str, secret: str | None = None) -> str:
    """Return what is wrong with a configuration."""
    with pytest.raises(ConfigError) as caught:
        load(folder, config, secret)
    return "\n".join(caught.value.problems)


def test_secrets_are_not_needed(tmp_path: Path) -> None:
    """The predecessor's table has only `type`, `owner` and `repo`; secrets may stand beside them."""
    index = load(tmp_path, TABLE).indexes[0]
    assert (index.read_secret, index.write_secret) == (None, None)
    assert index.max_file_bytes == 2147483647
    assert load(tmp_path, f'{TABLE}read_secret = "robots"\n').indexes[0].read_secret == "robots"


def test_a_token(tmp_path: Path) -> None:
    """The predecessor's admin secret, unchanged, or named by a variable or a file."""
    (tmp_path / "token").write_text("ghp_three\n")
    assert load_secret(tmp_path, '[team]\ntype = "github"\nraw = "ghp_one"\n') == {"raw": "ghp_one"}
    assert load_secret(tmp_path, '[team]\ntype = "github"\nenv = "T"\n', {"T": "ghp_two"}) == {"raw": "ghp_two"}
    path = tmp_path / "admin.toml"
    path.write_text('[team]\ntype = "github"\nfile = "token"\n')
    assert load_secret(tmp_path, str(path)) == {"raw": "ghp_three"}


@pytest.mark.parametrize("key", ["text", "file", "env", "one line"])
def test_an_app(tmp_path: Path, key: str) -> None:
    """The key of an App: ids as numbers or text, the PEM text itself, from a file, or from a variable, even on one line."""
    (tmp_path / "app.pem").write_text(PEM + "\n")
    written = {
        "text": f'"""{PEM}"""',
        "file": '{ file = "app.pem" }',
        "env": '{ env = "KEY" }',
        "one line": '{ env = "LINE" }',
    }[key]
    path = tmp_path / "admin.toml"
    path.write_text(f'[team]\ntype = "github"\napp_id = 12\ninstallation_id = "34"\nprivate_key = {written}\n')
    environ = {"KEY": PEM, "LINE": PEM.replace("\n", "\\n")}
    assert load_secret(tmp_path, str(path), environ) == {"app_id": "12", "installation_id": "34", "private_key": PEM}


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("app_id = 12", "installation_id: is missing"),
        (f'app_id = 12\ninstallation_id = 3\nprivate_key = "{"MIIE"}"', "private_key: is no PEM text"),
        (f'raw = "x"\napp_id = 1\ninstallation_id = 3\nprivate_key = """{PEM}"""', "raw: stands beside the key"),
        ('app_id = true\ninstallation_id = 3\nprivate_key = "x"', "app_id: must be text in quotes"),
        ('app_id = 1\ninstalation_id = 3\nprivate_key = "x"', "did you mean 'installation_id'?"),
        ("", "needs one of 'raw', 'env' and 'file'"),
    ],
)
def test_mistakes_in_an_admin_secret(tmp_path: Path, keys: str, text: str) -> None:
    """Each mistake is named with its key, and no part of the secret is shown."""
    found = mistakes(tmp_path, TABLE, f'[team]\ntype = "github"\n{keys}\n')
    assert text in found
    assert "MIIE" not in found


def test_an_app_is_for_github(tmp_path: Path) -> None:
    """The admin secret of another type has no App."""
    found = mistakes(tmp_path, '[team]\ntype = "hosted"\nhost = "here"\n', '[team]\ntype = "hosted"\napp_id = 1\n')
    assert "app_id: unknown key" in found


def test_secrets_are_not_shown_and_travel(tmp_path: Path) -> None:
    """`repr` shows no part of a secret, and settings reach worker processes."""
    settings = load(
        tmp_path, TABLE, f'[team]\ntype = "github"\napp_id = 1\ninstallation_id = 2\nprivate_key = """{PEM}"""\n'
    )
    assert "MIIE" not in repr(settings)
    copy = pickle.loads(pickle.dumps(settings))
    assert copy.indexes[0].admin_secret.by_key()["private_key"] == PEM


def test_the_backend_is_given_the_credential_and_the_interval(tmp_path: Path, host: Host) -> None:
    """What the files say reaches the backend; who may is asked of the host only where the storage has one."""
    del host
    config = '[team]\ntype = "hosted"\nhost = "here"\nsync_index_interval = 7\n'
    settings = load_settings(
        tmp_path, config=config, admin_secret='[team]\ntype = "hosted"\nraw = "boss"\n', text_allowed=True
    )
    CONTEXTS.clear()
    store = make_store(settings, settings.indexes[0])
    assert (dict(CONTEXTS[0].admin_secret), CONTEXTS[0].sync_interval_s) == ({"raw": "boss"}, 7)
    assert "boss" not in repr(CONTEXTS[0])
    assert isinstance(make_auth(settings, settings.indexes[0], store), HostAuthenticator)
    plain = load_settings(
        tmp_path,
        config='[main]\ntype = "memory"\nread_secret = "r"\nwrite_secret = "w"\n',
        text_allowed=True,
    )
    assert isinstance(make_auth(plain, plain.indexes[0], make_store(plain, plain.indexes[0])), IndexSecrets)
