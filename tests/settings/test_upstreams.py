"""The tables `[upstream.NAME]`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from wheelyard.errors import ConfigError
from wheelyard.settings import Settings, load_settings
from wheelyard.settings.upstream_values import EXTRA_UPSTREAM, MirrorStore

Load = Callable[..., Settings]
Mistakes = Callable[..., list[str]]

MAIN = '[main]\ntype = "file_system"\nread_secret = "r"\nwrite_secret = "w"\n'
INTERNAL = '[upstream.internal]\nurl = "https://packages.example.org/simple"\n'
PUBLIC = '[upstream.public]\nurl = "https://mirror.example.org/simple/"\n'


def names(settings: Settings) -> list[str]:
    return [upstream.name for upstream in settings.upstreams]


def test_order(load: Load) -> None:
    """Upstreams are asked in the order of the file, and the default of `extra_index_url` no longer counts."""
    settings = load(MAIN + INTERNAL + PUBLIC)
    assert names(settings) == ["internal", "public"]
    assert settings.upstreams[0].url == "https://packages.example.org/simple/"
    assert settings.server.extra_index_url == ""
    assert settings.indexes[0].upstreams is None


@pytest.mark.parametrize("how", ["flag", "file"])
def test_extra_index_url_is_the_short_form(load: Load, how: str) -> None:
    """What `extra_index_url` names is an upstream with the defaults, asked last."""
    url = "https://extra.example.org/simple/"
    if how == "flag":
        settings = load(MAIN + PUBLIC, overrides={"extra_index_url": url})
    else:
        settings = load(MAIN + PUBLIC + f'[server]\nextra_index_url = "{url}"\n')
    assert names(settings) == ["public", EXTRA_UPSTREAM]
    assert (settings.upstreams[1].url, settings.upstreams[1].mirror) == (url, "cache")


def test_none(load: Load) -> None:
    """Without a table there is the default, and with an empty `extra_index_url` nothing."""
    assert names(load(MAIN)) == [EXTRA_UPSTREAM]
    assert names(load(MAIN, overrides={"extra_index_url": ""})) == []


def test_everything(load: Load, tmp_path: Path) -> None:
    """Each key is read; secrets come from variables and files and are not shown."""
    (tmp_path / "password").write_text("secret-p\n")
    text = (
        MAIN.replace("[main]\n", '[main]\nupstreams = ["all"]\n')
        + '[upstream.all]\nurl = "https://u.example/simple/"\nusername = { env = "USER_NAME" }\n'
        + f'password = {{ file = "{tmp_path}/password" }}\nmirror = "cache"\ncache_bytes = 5\npage_max_age = 1\n'
        + "page_min_age = 2\nstale_max_age = 0\nabsent_max_age = 0\ntimeout = 4\nconnect_timeout = 5\n"
        + 'private_addresses = true\nowns = ["Acme", "acme_*"]\n'
        + 'store = { type = "file_system", path = "/mnt/cache", admin_secret = "secret-a" }\n'
    )
    settings = load(text, environ={"USER_NAME": "reader"})
    [upstream] = settings.upstreams
    assert (upstream.username, upstream.password) == ("reader", "secret-p")
    assert isinstance(upstream.store, MirrorStore)
    assert (upstream.store.type, upstream.store.admin_secret) == ("file_system", {"raw": "secret-a"})
    assert (upstream.cache_bytes, upstream.stale_max_age, upstream.private_addresses) == (5, 0, True)
    assert [str(pattern) for pattern in upstream.owns] == ["acme", "acme-*"]
    assert "secret" not in repr(upstream)
    assert settings.indexes[0].upstreams == ("all",)


def test_offline(load: Load) -> None:
    """`offline` is off unless told."""
    assert not load(MAIN).server.offline
    assert load(MAIN + "[server]\noffline = true\n").server.offline
    assert load(MAIN, overrides={"offline": True}).server.offline


CASES = {
    "no url": ("[upstream.a]\n", "[upstream.a] url: is missing"),
    "empty url": ('[upstream.a]\nurl = ""\n', "[upstream.a] url: is empty"),
    "wrong url": ('[upstream.a]\nurl = "ftp://x/"\n', "[upstream.a] url: 'ftp://x/' is no http or https URL"),
    "unknown key": (
        PUBLIC + "cache_byte = 1\n",
        "[upstream.public] cache_byte: unknown key; did you mean 'cache_bytes'?",
    ),
    "wrong mirror": (PUBLIC + 'mirror = "proxy"\n', "[upstream.public] mirror: 'proxy' is none of 'cache', 'redirect'"),
    "half of the credentials": (PUBLIC + 'username = "u"\n', "[upstream.public] username: and password go together"),
    "unset variable": (
        PUBLIC + 'username = "u"\npassword = { env = "P" }\n',
        "[upstream.public] password.env: the environment variable 'P' is not set",
    ),
    "no table": ("upstream = 3\n", "upstream: must hold a table for each upstream"),
    "key for a table": ('[upstream]\nurl = "https://x/"\n', "[upstream] url: belongs into a table with the name"),
    "url for a table": ('[upstream]\npublic = "https://x/"\n', "[upstream.public]: must be a table"),
    "odd name": ('[upstream."../a"]\nurl = "https://x/"\n', "the name of an upstream has letters"),
    "kept name": (f'[upstream.{EXTRA_UPSTREAM}]\nurl = "https://x/"\n', "this name is that of the upstream that"),
    "unknown backend": (
        PUBLIC + 'store = { type = "tape" }\n',
        "[upstream.public.store] type: unknown backend type 'tape'",
    ),
    "store without type": (PUBLIC + "store = {}\n", "[upstream.public.store] type: is missing"),
    "store is text": (PUBLIC + 'store = "x"\n', "[upstream.public.store]: must be a table"),
    "unknown store key": (
        PUBLIC + 'store = { type = "file_system", pat = "/x" }\n',
        "[upstream.public.store] pat: unknown key; did you mean 'path'?",
    ),
    "owned names as text": (PUBLIC + 'owns = "acme-*"\n', "[upstream.public] owns: must be a list of texts"),
    "owned name that is none": (PUBLIC + 'owns = ["a/b"]\n', "[upstream.public] owns: 'a/b' is no project name and no"),
    "store and redirect": (
        PUBLIC + 'mirror = "redirect"\nstore = { type = "file_system" }\n',
        "[upstream.public] store: means nothing",
    ),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_mistakes(mistakes: Mistakes, text: str, expected: str) -> None:
    """Each mistake is told with its table and key."""
    first = text + MAIN if text.startswith("upstream =") else MAIN + text
    assert any(expected in line for line in mistakes(first)), mistakes(first)


def test_unknown_upstream_of_an_index(mistakes: Mistakes) -> None:
    """An index that names an upstream that is none is told so."""
    text = MAIN.replace("[main]\n", '[main]\nupstreams = ["internal", "publik"]\n') + INTERNAL
    [line] = mistakes(text)
    assert "there is no upstream 'publik'" in line


def test_store_of_an_index(mistakes: Mistakes, load: Load, tmp_path: Path) -> None:
    """A cache in the storage of an index is refused, however the folder is spelled: it would remove its packages."""
    (tmp_path / "own").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "own")
    main = MAIN.replace("[main]\n", f'[main]\npath = "{tmp_path}/own"\n')
    for path in ("own", "link", "own/../own/"):
        [line] = mistakes(main + PUBLIC + f'store = {{ type = "file_system", path = "{tmp_path}/{path}" }}\n')
        assert "[upstream.public] store: is the storage of index 'main'" in line
    assert load(main + PUBLIC + f'store = {{ type = "file_system", path = "{tmp_path}/other" }}\n').upstreams
    assert load(main + PUBLIC + 'store = { type = "file_system" }\n').upstreams
    memory = main.replace("file_system", "memory").replace(f'path = "{tmp_path}/own"\n', "")
    assert load(memory + PUBLIC + 'store = { type = "memory" }\n').upstreams


def test_store_of_an_index_without_a_path(tmp_path: Path) -> None:
    """The folder that an index has by default counts, too."""
    own = tmp_path / "cache" / "main" / "storage"
    text = MAIN + PUBLIC + f'store = {{ type = "file_system", path = "{own}" }}\n'
    with pytest.raises(ConfigError, match="is the storage of index 'main'"):
        load_settings(tmp_path, config=text, text_allowed=True)
