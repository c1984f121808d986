"""The predecessor's configuration and admin-secret files work unchanged."""

from pathlib import Path

import pytest

from wheelyard.errors import ConfigError
from wheelyard.settings import DEFAULT_EXTRA_INDEX_URL, Settings, load_settings

CONFIG = """
[local-file-system]
type = "file_system"
read_secret = "foo"
write_secret = "bar"

[Second]
type = "file_system"
read_secret = "a"
write_secret = "b"
max_file_bytes = 1000
sync_index_interval = 5
"""

ADMIN_SECRET = """
[local-file-system]
type = "file_system"
raw = "baz"

[SECOND]
type = "file_system"
env = "SECOND_ADMIN"
"""


def test_manual_example_loads(tmp_path: Path) -> None:
    """The two files of the predecessor's manual give two indexes with their secrets, in their order."""
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "admin.toml").write_text(ADMIN_SECRET)
    settings = load_settings(
        tmp_path / "root",
        config=str(tmp_path / "config.toml"),
        admin_secret=str(tmp_path / "admin.toml"),
        environ={"SECOND_ADMIN": "from-env"},
    )
    first, second = settings.indexes
    assert (first.name, first.type, first.read_secret, first.write_secret) == (
        "local-file-system",
        "file_system",
        "foo",
        "bar",
    )
    assert (first.max_file_bytes, first.sync_index_interval) == (5368709119, 60)
    assert (second.name, second.max_file_bytes, second.sync_index_interval) == ("second", 1000, 5)
    assert first.admin_secret is not None
    assert first.admin_secret.raw == "baz"
    assert second.admin_secret is not None
    assert second.admin_secret.raw == "from-env"
    assert not settings.generated
    assert settings.warnings == ()


def test_defaults_are_those_of_the_predecessor(tmp_path: Path) -> None:
    """Host, port, expiry times and the extra index are what they were."""
    server = load_settings(tmp_path, config=CONFIG, text_allowed=True).server
    assert (server.host, server.port) == ("0.0.0.0", 8888)
    assert (server.auth_read_expires, server.auth_write_expires) == (3600, 300)
    assert server.extra_index_url == DEFAULT_EXTRA_INDEX_URL
    assert not server.debug


def test_names_do_not_mind_capitals(tmp_path: Path) -> None:
    """Index names were lower-cased, and are found however they are written."""
    settings = load_settings(tmp_path, config=CONFIG, text_allowed=True)
    index = settings.index("SeCoND")
    assert index is not None
    assert settings.folder(index) == tmp_path / "cache" / "second"


def test_text_or_file(tmp_path: Path) -> None:
    """With text allowed a value is a file when there is one, and else the content itself."""
    (tmp_path / "config.toml").write_text(CONFIG)
    by_file = load_settings(tmp_path, config=str(tmp_path / "config.toml"), text_allowed=True)
    by_text = load_settings(tmp_path, config=CONFIG, text_allowed=True)
    assert by_file.indexes == by_text.indexes
    assert by_file.source == str(tmp_path / "config.toml")
    assert by_text.source == "--config (text)"


def test_text_needs_to_be_allowed(tmp_path: Path) -> None:
    """Without the flag text is refused, and the text says which flag allows it."""
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path, config=CONFIG)
    assert "--config-or-admin-secret-can-be-text" in caught.value.problems[0]


def test_admin_secret_that_readers_hold_is_not_accepted(tmp_path: Path) -> None:
    """The manual shows the read secret as admin secret; a reader must not thereby reconfigure the server."""
    settings = _with_admin(tmp_path, "foo")
    assert settings.indexes[0].admin_secret is None
    assert "read secret" in settings.warnings[0]


def test_admin_secret_that_publishers_hold_warns(tmp_path: Path) -> None:
    """The write secret as admin secret works as before, with a warning."""
    settings = _with_admin(tmp_path, "bar")
    assert settings.indexes[0].admin_secret is not None
    assert "write secret" in settings.warnings[0]


def test_admin_secret_of_an_unknown_index_warns(tmp_path: Path) -> None:
    """A secret for no index changes nothing, and the warning names the nearest index."""
    settings = _with_admin(tmp_path, "x", name="local-file-sytem")
    assert "did you mean 'local-file-system'" in settings.warnings[0]


def _with_admin(root: Path, raw: str, *, name: str = "local-file-system") -> Settings:
    text = f'[{name}]\ntype = "file_system"\nraw = "{raw}"\n'
    return load_settings(root, config=CONFIG, admin_secret=text, text_allowed=True)
