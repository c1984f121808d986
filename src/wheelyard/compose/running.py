"""Settings to a running HTTP server (1): sockets are bound first, then whoever speaks HTTP gets them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wheelyard.compose.app import make_app
from wheelyard.compose.log import configure_log
from wheelyard.errors import ConfigError
from wheelyard.server.running import Made, RunOptions, serve_granian, serve_uvicorn
from wheelyard.settings import Settings


@dataclass(frozen=True, slots=True)
class Make:
    """Makes the application in the process that runs it; can be sent to another process."""

    settings: Settings

    def __call__(self) -> Made:
        """Make the application."""
        configure_log(self.settings.server.log_level)
        app, server = make_app(self.settings)

        def start_draining() -> None:
            server.state.draining = True

        return Made(app, start_draining, lambda: server.state.running, server.hot())


def run_options(settings: Settings) -> RunOptions:
    """Return how the HTTP server runs."""
    told = settings.server
    return RunOptions(
        workers=told.workers,
        backlog=told.backlog,
        connection_limit=told.connection_limit,
        idle_timeout_s=told.channel_timeout,
        stall_timeout_s=told.stall_timeout,
        head_timeout_s=told.head_timeout,
        head_bytes=told.max_request_header_bytes,
        threads=told.threads,
        drain_timeout_s=told.drain_timeout,
        ident=told.ident,
        log_level=told.log_level,
        ssl_certfile=told.ssl_certfile,
        ssl_keyfile=told.ssl_keyfile,
    )


def bind(settings: Settings) -> list[socket.socket]:
    """
    Bind every address the settings name.

    Raises:
        ConfigError: An address is taken or not ours.
    """
    told = settings.server
    if told.unix_socket is not None:
        return [_bind_unix(told.unix_socket, told.unix_socket_perms)]
    sockets = []
    for host, port in told.addresses:
        try:
            family, _, _, _, address = socket.getaddrinfo(
                host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            sockets.append(_bound(family, address))
        except OSError as error:
            raise ConfigError([f"cannot listen on {host}:{port}: {error.strerror or error}"]) from error
    return sockets


def _bound(family: int, address: object) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    bound.bind(address)  # type: ignore[arg-type]  # as getaddrinfo gave it
    bound.set_inheritable(True)
    return bound


def _bind_unix(path: Path, mode: int) -> socket.socket:
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    bound.bind(str(path))
    path.chmod(mode)
    return bound


def url_of(settings: Settings, sockets: Sequence[socket.socket]) -> str:
    """Return a URL for people, with the port that was really bound."""
    told = settings.server
    if told.public_url is not None or told.unix_socket is not None:
        return told.local_url
    port: int = sockets[0].getsockname()[1]
    asked = told.addresses[0][1]
    return (
        told.local_url.replace(f":{asked}{told.url_prefix}", f":{port}{told.url_prefix}")
        if port != asked
        else told.local_url
    )


def run_server(settings: Settings, *, announce: Callable[[str], None] | None = None) -> None:
    """
    Run the server until it is told to stop.

    Args:
        settings: What it was told.
        announce: Called with the server's URL once its sockets are bound.
    Raises:
        ConfigError: It cannot start as told.
    """
    configure_log(settings.server.log_level)  # here too: with several processes this one only looks after the others
    sockets = bind(settings)
    if announce is not None:
        with suppress(OSError):  # as in the log: a banner that cannot be written keeps nobody from serving
            announce(url_of(settings, sockets))
    serve = serve_granian if settings.server.http_server == "granian" else serve_uvicorn
    serve(Make(settings), sockets, run_options(settings))
