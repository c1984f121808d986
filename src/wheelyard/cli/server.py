"""`wheelyard server`: serve indexes over HTTP."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from wheelyard.cli.banner import first_start, later_start
from wheelyard.cli.flags import examples, flag_command, ignored_flags, one_of
from wheelyard.cli.loopback import load_loopback, loopback_banner, loopback_of
from wheelyard.cli.waitress import WITHOUT_MEANING

if TYPE_CHECKING:
    from wheelyard.settings import Settings

_EPILOG = examples(
    "wheelyard server",
    "wheelyard server /srv/packages --port 9000",
    "wheelyard server /srv/packages --config config.toml --admin-secret admin_secret.toml",
    "wheelyard server --github OWNER/REPO",
    "wheelyard server --listen '127.0.0.1:8888 [::1]:8888' --url-prefix /packages",
    "wheelyard server --trusted-proxy 10.0.0.1 --trusted-proxy-headers 'x-forwarded-for x-forwarded-proto'",
)

# Name in `ServerSettings`, flags, word for the value, help. Values are checked with those of the file, all at once.
_OPTIONS: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
    ("auth_read_expires", ("--auth-read-expires",), "SECONDS", "How long a decision about reading holds [3600]."),
    ("auth_write_expires", ("--auth-write-expires",), "SECONDS", "How long a decision about writing holds [300]."),
    ("extra_index_url", ("--extra-index-url",), "URL", "Index for projects that are not yours; '' for none."),
    ("host", ("--host",), "ADDRESS", "Address to listen on [0.0.0.0]."),
    ("port", ("--port",), "PORT", "Port to listen on; 0 takes a free one [8888]."),
    ("listen", ("--listen",), "'HOST:PORT …'", "Addresses in place of --host and --port."),
    ("unix_socket", ("--unix-socket",), "PATH", "Socket in place of addresses."),
    ("unix_socket_perms", ("--unix-socket-perms",), "MODE", "Mode of the socket [600]."),
    ("public_url", ("--public-url",), "URL", "URL by which clients reach the server."),
    ("url_prefix", ("--url-prefix",), "PATH", "Path before every route."),
    ("url_scheme", ("--url-scheme",), "http|https", "Scheme of links when no proxy tells it [http]."),
    ("trusted_proxies", ("--trusted-proxy", "--trusted-proxies"), "'ADDRESS …'", "Proxies to believe; '*' for all."),
    ("trusted_proxy_count", ("--trusted-proxy-count",), "N", "Proxies one behind the other [1]."),
    ("trusted_proxy_headers", ("--trusted-proxy-headers",), "'HEADER …'", "Headers these proxies set."),
    ("ident", ("--ident",), "TEXT", "Value of the Server header; '' sends none [wheelyard]."),
    ("log_level", ("--log-level",), "LEVEL", "debug, info, warning or error [info]."),
    ("http_server", ("--http-server",), "NAME", "uvicorn or granian [uvicorn]."),
    ("workers", ("--workers",), "N", "Processes [1]."),
    ("threads", ("--threads",), "N", "Threads for work that blocks, in each process [40]."),
    ("backlog", ("--backlog",), "N", "Connections the system keeps waiting [2048]."),
    ("connection_limit", ("--connection-limit",), "N", "Connections open at once [1000]."),
    ("channel_timeout", ("--channel-timeout",), "SECONDS", "Close a connection after so long in silence [120]."),
    ("head_timeout", ("--head-timeout",), "SECONDS", "Time for the head of a request to arrive [20]."),
    ("stall_timeout", ("--stall-timeout",), "SECONDS", "Time without progress of an upload or a download [60]."),
    ("drain_timeout", ("--drain-timeout",), "SECONDS", "Time for running requests when stopping [60]."),
    (
        "max_request_header_bytes",
        ("--max-request-header-size", "--max-request-header-bytes"),
        "BYTES",
        "Largest request head [65536].",
    ),
    (
        "max_request_body_bytes",
        ("--max-request-body-size", "--max-request-body-bytes"),
        "BYTES",
        "Largest request body.",
    ),
    ("ssl_certfile", ("--ssl-certfile",), "FILE", "Certificate chain (PEM): serve https."),
    ("ssl_keyfile", ("--ssl-keyfile",), "FILE", "Its private key (PEM)."),
)


def _server_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for name, flags, metavar, text in reversed(_OPTIONS):
        function = click.option(*flags, name, metavar=metavar, help=text)(function)
    return function


@flag_command(epilog=_EPILOG, ignored=WITHOUT_MEANING)
@click.argument("root_position", metavar="[ROOT]", required=False)
@click.option("--root", metavar="ROOT", help="The same as the argument.")
@click.option("--config", metavar="FILE", help="Configuration (TOML): one table per index.")
@click.option("--admin-secret", metavar="FILE", help="Admin secrets (TOML), needed to reconfigure a running server.")
@click.option(
    "--config-or-admin-secret-can-be-text/--no-config-or-admin-secret-can-be-text",
    "text_allowed",
    default=False,
    help="Take the content itself in place of a path.",
)
@click.option("--github", metavar="OWNER/REPO", help="Serve this repository to this machine, with your own token.")
@click.option("--api-url", metavar="URL", help="GitHub's API for --github [https://api.github.com].")
@click.option(
    "--allow-remote/--no-allow-remote", default=False, help="Let --github listen where other machines reach it."
)
@click.option("--offline/--no-offline", default=None, help="Ask no other index; serve what is kept of them.")
@click.option("--debug/--no-debug", default=None, help="Show each request and answer, secrets masked.")
@_server_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    root_position: str | None,
    root: str | None,
    config: str | None,
    admin_secret: str | None,
    text_allowed: bool,
    github: str | None,
    api_url: str | None,
    allow_remote: bool,
    **given: object,
) -> None:
    """
    Serve indexes over HTTP.

    ROOT is the folder for everything the server keeps; by default the data folder of this platform. Without --config the
    server reads ROOT/config.toml. When that is missing, it makes an index 'main' there and prints its secrets once.

    With --github there is no configuration: the server listens on 127.0.0.1 and works with the token that GH_TOKEN,
    GITHUB_TOKEN or `gh auth token` gives.

    Every flag may be written with '_' as with '-'. Each can also come from the environment: WHEELYARD_COMMAND_PORT=9000.
    """
    for flag in ignored_flags(ctx):
        _warn(f"{flag} was an option of waitress and means nothing here: {WITHOUT_MEANING[flag.removeprefix('--')]}")
    folder = one_of(root_position, root, "ROOT")
    loopback = loopback_of(github, api_url, allow_remote=allow_remote, environ=os.environ)
    if loopback is None:
        settings = _load(folder, config, admin_secret, text_allowed=text_allowed, given=given)
    elif config is not None or admin_secret is not None:
        raise click.UsageError("--github needs no configuration: leave out --config and --admin-secret")
    else:
        settings = load_loopback(loopback, folder, overrides=_given(given))
    for warning in settings.warnings:
        _warn(warning)
    from wheelyard.compose import run_server  # noqa: PLC0415  every part of the server: not for --help, not for mistakes

    def announce(url: str) -> None:
        click.echo(_banner(settings, url) if loopback is None else loopback_banner(loopback, settings, url))

    run_server(settings, announce=announce)


def _given(options: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in options.items() if value is not None}


def _load(
    root: str | None, config: str | None, admin_secret: str | None, *, text_allowed: bool, given: Mapping[str, object]
) -> Settings:
    from wheelyard.settings import load_settings  # noqa: PLC0415  not for --help

    return load_settings(
        root, config=config, admin_secret=admin_secret, text_allowed=text_allowed, overrides=_given(given)
    )


def _banner(settings: Settings, url: str) -> str:
    index = settings.indexes[0]
    if settings.generated and index.read_secret is not None and index.write_secret is not None:
        return first_start(url, index.name, index.read_secret, index.write_secret, source=settings.source)
    return later_start(url, tuple(index.name for index in settings.indexes), source=settings.source)


def _warn(text: str) -> None:
    click.echo(f"warning: {text}", err=True)
