"""Every mistake of a configuration is told at once, with file and key."""

from collections.abc import Callable
from pathlib import Path

import pytest

from wheelyard.errors import ConfigError
from wheelyard.server.targets import RESERVED
from wheelyard.settings import Settings, load_settings

Load = Callable[..., Settings]
Mistakes = Callable[..., list[str]]

SECRETS = 'read_secret = "r"\nwrite_secret = "w"\n'
INDEX = 'type = "file_system"\n' + SECRETS
MAIN = f"[main]\n{INDEX}"
TEXT = "--config (text)"

CASES = {
    "unknown-key": (
        MAIN + "read_secert = 1\n",
        f"{TEXT}: [main] read_secert: unknown key; did you mean 'read_secret'?",
    ),
    "wrong-number": (
        MAIN + 'max_file_bytes = "big"\n',
        f"{TEXT}: [main] max_file_bytes: must be a whole number, not the text 'big'",
    ),
    "number-as-text": (
        MAIN + 'sync_index_interval = "60"\n',
        f"{TEXT}: [main] sync_index_interval: must be a whole number, not the text '60'",
    ),
    "fraction": (
        MAIN + "max_file_bytes = 1.5\n",
        f"{TEXT}: [main] max_file_bytes: must be a whole number, not a number with a fraction",
    ),
    "too-small": (MAIN + "max_file_bytes = 0\n", f"{TEXT}: [main] max_file_bytes: must be at least 1, not 0"),
    "wrong-boolean": (
        MAIN + "anonymous_read = 1\n",
        f"{TEXT}: [main] anonymous_read: must be true or false, not a number",
    ),
    "no-type": (f"[main]\n{SECRETS}", f'{TEXT}: [main] type: is missing; an index has a type like "file_system"'),
    "type-no-text": (f"[main]\ntype = 1\n{SECRETS}", f"{TEXT}: [main] type: must be text in quotes, not a number"),
    "no-read-secret": (
        '[main]\ntype = "file_system"\nwrite_secret = "w"\n',
        f'{TEXT}: [main] read_secret: is missing; write read_secret = "…", {{ env = "NAME" }} or {{ file = "PATH" }}, or ',
    ),
    "no-write-secret": (
        '[main]\ntype = "file_system"\nread_secret = "r"\n',
        f'{TEXT}: [main] write_secret: is missing; write write_secret = "…", {{ env = "NAME" }} or {{ file = "PATH" }}',
    ),
    "empty-secret": (MAIN.replace('"r"', '""'), f"{TEXT}: [main] read_secret: is empty"),
    "secret-is-number": (
        MAIN.replace('"r"', "1234"),
        f"{TEXT}: [main] read_secret: must be text in quotes, or a table with 'env' or 'file', not a number",
    ),
    "secret-env-unset": (
        MAIN.replace('"r"', '{ env = "NOT_SET" }'),
        f"{TEXT}: [main] read_secret.env: the environment variable 'NOT_SET' is not set",
    ),
    "secret-file-missing": (
        MAIN.replace('"r"', '{ file = "/no/such" }'),
        f"{TEXT}: [main] read_secret.file: '/no/such' cannot be read: No such file or directory",
    ),
    "secret-both": (
        MAIN.replace('"r"', '{ env = "A", raw = "b" }'),
        f"{TEXT}: [main] read_secret: the secret has several of 'raw', 'env' and 'file'; keep one",
    ),
    "secret-neither": (
        MAIN.replace('"r"', "{}"),
        f"{TEXT}: [main] read_secret: the secret needs one of 'raw', 'env' and 'file'",
    ),
    "no-index": ("", f"{TEXT}: has no index"),
    "only-server": ("[server]\nport = 1\n", f"{TEXT}: has no index; add a table like"),
    "key-outside-tables": (f"port = 1\n{MAIN}", f"{TEXT}: port: unknown key; put it into a table"),
    "server-key": (MAIN + "[server]\nprot = 1\n", f"{TEXT}: [server] prot: unknown key; did you mean 'port'?"),
    "server-type": (MAIN + '[server]\nport = "80"\n', f"{TEXT}: [server] port: must be a whole number"),
    "port-too-large": (MAIN + "[server]\nport = 65536\n", f"{TEXT}: [server] port: must be at most 65535, not 65536"),
    "choice": (
        MAIN + '[server]\nhttp_server = "gunicorn"\n',
        f"{TEXT}: [server] http_server: 'gunicorn' is none of 'uvicorn', 'granian'",
    ),
    "url": (
        MAIN + '[server]\nextra_index_url = "ftp://x/"\n',
        f"{TEXT}: [server] extra_index_url: 'ftp://x/' is no http or https URL",
    ),
    "proxy": (
        MAIN + '[server]\ntrusted_proxies = ["proxy"]\n',
        f"{TEXT}: [server] trusted_proxies: 'proxy' is no IP address, no network and not '*'",
    ),
    "certificate": (
        MAIN + '[server]\nssl_certfile = "/no/such.pem"\n',
        f"{TEXT}: [server] ssl_certfile: there is no file '/no/such.pem'",
    ),
    "limit": (MAIN + "[limits]\nform_fields = 0\n", f"{TEXT}: [limits] form_fields: must be at least 1, not 0"),
    "server-is-no-table": (f"server = 1\n{MAIN}", f"{TEXT}: server: must be a table [server], not a number"),
    "policy-of-nobody": (MAIN + '[policy]\nreserved = ["a"]\n', "[policy]: a policy is that of one index"),
    "misspelled-server": (MAIN + "[sever]\nport = 1\n", "[sever] type: is missing"),
    "same-name": (MAIN + f"[MAIN]\n{INDEX}", f"{TEXT}: [MAIN]: is the same index as [main]: capitals do not count"),
    "slash-in-name": (f'["a/b"]\n{INDEX}', f"{TEXT}: [a/b]: the name of an index stands in URLs"),
    "empty-name": (f'[""]\n{INDEX}', f"{TEXT}: the name of an index has 1 to 100 characters"),
    "options-of-the-backend": (MAIN + "fsync = 3\n", f"{TEXT}: [main] fsync: must be true or false, not a number"),
}


@pytest.mark.parametrize(("config", "expected"), CASES.values(), ids=CASES.keys())
def test_mistake_is_named(mistakes: Mistakes, config: str, expected: str) -> None:
    """One line says file, table, key, what is wrong and what would be right."""
    found = mistakes(config or "# nothing = here\n")
    assert any(line.startswith(expected) or expected in line for line in found), found


def test_all_at_once(mistakes: Mistakes) -> None:
    """Mistakes in the indexes, in [server], in [limits], in the admin secrets and in flags are all told together."""
    found = mistakes(
        '[a]\ntype = "file_system"\nx = 1\n[b]\ntype = "nope"\n[server]\nport = "x"\n[limits]\ny = 1\n',
        admin_secret='[a]\ntype = "file_system"\n',
        overrides={"host": "h", "workers": "many"},
    )
    keys = [line.partition(": ")[2].partition(": ")[0] for line in found]
    assert sorted(keys) == sorted(
        [
            "[a] x",
            "[a] read_secret",
            "[a] write_secret",
            "[b] type",
            "[server] port",
            "[limits] y",
            "[a]",
            "workers",
        ]
    )


def test_unknown_type_names_what_is_installed(mistakes: Mistakes) -> None:
    """An unknown backend type is refused with the list of those that are installed."""
    (line,) = mistakes(f'[main]\ntype = "files"\n{SECRETS}')
    assert "'files'" in line
    assert "file_system" in line
    assert "memory" in line


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_reserved_name_is_refused(mistakes: Mistakes, name: str) -> None:
    """No index is called like the first segment of one of the server's own URLs."""
    (line,) = mistakes(f"[{name.upper()}]\n{INDEX}")
    assert f"'{name}' cannot be the name of an index" in line


def test_index_called_server(load: Load) -> None:
    """A table `server` with a type is an index; one without is the server's own."""
    assert [index.name for index in load(f"[server]\n{INDEX}").indexes] == ["server"]
    assert load(MAIN + "[server]\nport = 9000\n").server.port == 9000


@pytest.mark.parametrize(
    ("admin", "expected"),
    [
        ('[main]\nraw = "x"\n', "[main] type: is missing"),
        ('[main]\ntype = "file_system"\n', "[main]: the secret needs one of 'raw', 'env' and 'file'"),
        ('[main]\ntype = "file_system"\nraw = "x"\nenv = "Y"\n', "[main]: the secret has several of"),
        ('[main]\ntype = "file_system"\nenv = "UNSET"\n', "[main] env: the environment variable 'UNSET' is not set"),
        ('[main]\ntype = "file_system"\nrow = "x"\n', "[main] row: unknown key; did you mean 'raw'?"),
        ('[main]\ntype = "memory"\nraw = "x"\n', "[main] type: is 'memory', but the index is of type 'file_system'"),
        ('main = "x"\n', "main: unknown key; each secret is a table"),
    ],
)
def test_admin_secret_mistake_is_named(mistakes: Mistakes, admin: str, expected: str) -> None:
    """Mistakes of the admin-secret file name that file."""
    found = mistakes(MAIN, admin_secret=admin)
    assert f"--admin-secret (text): {expected}" in "\n".join(found)


def test_no_secret_is_shown(mistakes: Mistakes, load: Load) -> None:
    """Neither a mistake nor `repr` shows a secret."""
    found = mistakes(
        '[main]\ntype = "file_system"\nread_secret = ["hunter2"]\nwrite_secret = { raw = 5, x = "hunter2" }\n'
    )
    assert "hunter2" not in "\n".join(found)
    settings = load(
        '[main]\ntype = "file_system"\nread_secret = "hunter2"\nwrite_secret = "hunter3"\n',
        admin_secret='[main]\ntype = "file_system"\nraw = "hunter4"\n',
    )
    assert "hunter" not in repr(settings)


def test_equal_secrets_warn(load: Load) -> None:
    """One secret for reading and writing works, with a warning."""
    assert "whoever may read may also publish" in load(MAIN.replace('"w"', '"r"')).warnings[0]


def test_anonymous_read_needs_no_read_secret(load: Load) -> None:
    """An index that everybody may read needs no read secret."""
    index = load('[main]\ntype = "file_system"\nanonymous_read = true\nwrite_secret = "w"\n').indexes[0]
    assert index.anonymous_read
    assert index.read_secret is None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[main\n", "is not valid TOML"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"a = " + b"[" * 5000, "is not valid TOML"),
    ],
    ids=["syntax", "encoding", "nesting"],
)
def test_unreadable_file(tmp_path: Path, content: bytes, expected: str) -> None:
    """A file that is no TOML is refused with its path and the reason."""
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path / "root", config=str(path))
    assert str(caught.value).startswith(f"{path}: {expected}")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/no/such/file.toml", "--config: there is no file '/no/such/file.toml'"),
        ("", "--config: is empty"),
        ("/", "/: cannot be read: Is a directory"),
    ],
)
def test_missing_file(tmp_path: Path, given: str, expected: str) -> None:
    """A configuration that is not there is refused, also where text would be allowed."""
    for text_allowed in (False, True):
        with pytest.raises(ConfigError) as caught:
            load_settings(tmp_path / "root", config=given, text_allowed=text_allowed)
        assert str(caught.value).startswith(expected)


def test_secret_files_and_variables(tmp_path: Path) -> None:
    """Secrets come from variables, and from files relative to the configuration, without the line end of an editor."""
    (tmp_path / "secret").write_text("from file\n")
    (tmp_path / "config.toml").write_text(
        '[main]\ntype = "file_system"\nread_secret = { file = "secret" }\nwrite_secret = { env = "W" }\n'
    )
    index = load_settings(tmp_path / "root", config=str(tmp_path / "config.toml"), environ={"W": " kept "}).indexes[0]
    assert (index.read_secret, index.write_secret) == ("from file", " kept ")
