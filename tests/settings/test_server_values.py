"""Values of `[server]`: from the file, from flags, and what each may be."""

from collections.abc import Callable
from pathlib import Path

import pytest

from wheelyard.protocol.upload_form import FormLimits
from wheelyard.settings import LimitSettings, ServerSettings, Settings

Load = Callable[..., Settings]
Mistakes = Callable[..., list[str]]

MAIN = '[main]\ntype = "file_system"\nread_secret = "r"\nwrite_secret = "w"\n'


def test_flags_win_over_the_file(load: Load) -> None:
    """A flag replaces what [server] says; numbers and booleans of flags are text."""
    config = MAIN + "[server]\nport = 1000\nworkers = 2\n"
    server = load(config, overrides={"port": "2000", "debug": "true"}).server
    assert (server.port, server.workers, server.debug) == (2000, 2, True)


def test_flag_port_replaces_listen_of_the_file(load: Load) -> None:
    """Whoever says --port means that port, whatever addresses the file lists."""
    config = MAIN + '[server]\nlisten = ["127.0.0.1:1000", "[::1]:1000"]\n'
    assert load(config).server.addresses == (("127.0.0.1", 1000), ("::1", 1000))
    assert load(config, overrides={"port": "2000"}).server.addresses == (("0.0.0.0", 2000),)


VALUES = [
    ("extra_index_url", "https://example.org/simple", "https://example.org/simple/"),
    ("extra_index_url", "https://example.org/simple//", "https://example.org/simple/"),
    ("extra_index_url", "", ""),
    ("extra_index_url", "/", ""),
    ("public_url", "https://example.org/p/", "https://example.org/p"),
    ("url_prefix", "packages/", "/packages"),
    ("url_prefix", "/a/b", "/a/b"),
    ("url_prefix", "/", ""),
    ("listen", "127.0.0.1:1 [::1]:2", (("127.0.0.1", 1), ("::1", 2))),
    ("listen", "*:80,host:81", (("0.0.0.0", 80), ("host", 81))),
    ("listen", "localhost", (("localhost", 8888),)),
    ("listen", "[::1]", (("::1", 8888),)),
    ("unix_socket_perms", "600", 0o600),
    ("unix_socket_perms", "0o660", 0o660),
    ("unix_socket", "/run/w.sock", Path("/run/w.sock")),
    ("ident", "", ""),
    ("max_request_body_bytes", "1000", 1000),
    ("debug", "false", False),
]


@pytest.mark.parametrize(("key", "given", "expected"), VALUES)
def test_value_is_read(load: Load, key: str, given: str, expected: object) -> None:
    """Each way of writing a value gives the one value that the server is told."""
    assert getattr(load(MAIN, overrides={key: given}).server, key) == expected


REFUSED = [
    ("extra_index_url", "file:///x"),
    ("extra_index_url", "https://example.org/simple?x=1"),
    ("extra_index_url", "https://example.org:x/"),
    ("public_url", "example.org"),
    ("url_prefix", "/../x"),
    ("url_prefix", "/a b"),
    ("listen", "127.0.0.1:99999"),
    ("listen", "127.0.0.1:http"),
    ("unix_socket_perms", "999"),
    ("port", "-1"),
    ("workers", "0"),
    ("debug", "maybe"),
    ("log_level", "loud"),
    ("auth_read_expires", "1h"),
    ("trusted_proxies", "10.0.0.300"),
    ("unix_socket", ""),
]


@pytest.mark.parametrize(("key", "given"), REFUSED)
def test_value_is_refused(mistakes: Mistakes, key: str, given: str) -> None:
    """A value that means nothing is refused under its key."""
    (line,) = mistakes(MAIN, overrides={key: given})
    assert line.startswith(f"command line: {key}: ")


def test_proxies(load: Load) -> None:
    """Proxies and their headers are written as waitress took them, or as lists."""
    server = load(
        MAIN,
        overrides={
            "trusted_proxies": "10.0.0.1, 10.1.0.0/16",
            "trusted_proxy_headers": "X-Forwarded-For x-forwarded-proto",
        },
    ).server
    assert server.trusted_proxies == ("10.0.0.1", "10.1.0.0/16")
    assert server.trusted_proxy_headers == ("x-forwarded-for", "x-forwarded-proto")
    assert load(MAIN, overrides={"trusted_proxies": "*"}).server.trusted_proxies == ("*",)


def test_proxy_headers_without_proxies(mistakes: Mistakes) -> None:
    """Headers of nobody mean nothing, as waitress said too."""
    (line,) = mistakes(MAIN, overrides={"trusted_proxy_headers": "forwarded"})
    assert "trusted_proxies" in line


def test_forwarded_stands_alone(mistakes: Mistakes) -> None:
    """`Forwarded` and the older headers contradict each other, so only one kind is believed."""
    overrides = {"trusted_proxies": "*", "trusted_proxy_headers": "forwarded x-forwarded-for"}
    (line,) = mistakes(MAIN, overrides=overrides)
    assert "'forwarded' cannot be combined" in line


def test_credentials_in_a_refused_url_are_not_shown(mistakes: Mistakes) -> None:
    """A URL that is refused is shown without its password."""
    (line,) = mistakes(MAIN, overrides={"extra_index_url": "ftp://user:hunter2@example.org/"})
    assert "hunter2" not in line


def test_key_without_certificate(mistakes: Mistakes, tmp_path: Path) -> None:
    """A private key alone serves no https."""
    (tmp_path / "key.pem").write_text("")
    (line,) = mistakes(MAIN, overrides={"ssl_keyfile": str(tmp_path / "key.pem")})
    assert "ssl_certfile" in line


@pytest.mark.parametrize(
    ("server", "url"),
    [
        (ServerSettings(), "http://localhost:8888"),
        (ServerSettings(host="10.0.0.1", port=80, url_prefix="/p"), "http://10.0.0.1:80/p"),
        (ServerSettings(host="::"), "http://localhost:8888"),
        (ServerSettings(host="::1"), "http://[::1]:8888"),
        (ServerSettings(public_url="https://packages.example.org"), "https://packages.example.org"),
        (ServerSettings(ssl_certfile=Path("c.pem")), "https://localhost:8888"),
    ],
)
def test_url_for_people(server: ServerSettings, url: str) -> None:
    """The URL that is printed works on this machine, or is the public one."""
    assert server.local_url == url


def test_form_limits_are_those_of_the_parser() -> None:
    """The limits of a server without [limits] are those that the form parser has by itself."""
    own, theirs = LimitSettings(), FormLimits()
    assert (own.form_fields, own.form_field_bytes, own.form_bytes) == (
        theirs.max_fields,
        theirs.max_field_bytes,
        theirs.max_fields_bytes,
    )
