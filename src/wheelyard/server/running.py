"""The HTTP servers that can carry the application: uvicorn with our protocol class, or granian."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import structlog

from wheelyard.server.asgi import ASGIApp
from wheelyard.server.hot import HotPath

if TYPE_CHECKING:
    import uvicorn

_log = structlog.get_logger(__name__)

_SUPERVISE_EVERY_S = 1.0
_TICKS_A_SECOND = 10  # uvicorn's main loop


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """
    How an HTTP server runs.

    Attributes:
        workers: Processes.
        backlog: Connections the system keeps waiting.
        connection_limit: Connections open at once, in each process.
        idle_timeout_s: Seconds after which a kept-alive connection without a request is closed.
        stall_timeout_s: Seconds without progress after which an upload or a download is given up.
        head_timeout_s: Seconds in which the head of a request must arrive.
        head_bytes: Largest head of a request.
        threads: Threads for work that would block, in each process.
        drain_timeout_s: Seconds that running requests get to finish when the server stops.
        ident: Value of the `Server` header; "" sends none.
        log_level: How much goes to the log.
        ssl_certfile: Certificate chain in PEM form; None for http.
        ssl_keyfile: Its private key.
    """

    workers: int
    backlog: int
    connection_limit: int
    idle_timeout_s: int
    stall_timeout_s: int
    head_timeout_s: int
    head_bytes: int
    threads: int
    drain_timeout_s: int
    ident: str
    log_level: str
    ssl_certfile: Path | None
    ssl_keyfile: Path | None


@dataclass(frozen=True, slots=True)
class Made:
    """
    An application and the two things a server that stops must know of it.

    Attributes:
        app: The ASGI application.
        start_draining: Makes it refuse new work.
        running: Counts the requests it is answering.
        hot: Answers from ready bytes before the application is asked; None when every request must reach it.
    """

    app: ASGIApp
    start_draining: Callable[[], None]
    running: Callable[[], int]
    hot: HotPath | None = None


def serve_uvicorn(make: Callable[[], Made], sockets: Sequence[socket.socket], options: RunOptions) -> None:
    """Serve on bound sockets with uvicorn until told to stop, in as many processes as the options say."""
    if options.workers > 1:
        _supervise(make, sockets, options)
    else:
        _serve_here(make, sockets, options)


def _serve_here(make: Callable[[], Made], sockets: Sequence[socket.socket], options: RunOptions) -> None:
    import uvicorn  # noqa: PLC0415  not needed by the command line

    made = make()

    class DrainingServer(uvicorn.Server):
        """Finishes running requests, and refuses new work while it does, before it closes its sockets."""

        stop_at: float | None = None

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            """Start draining at the first signal; stop at once at the second."""
            del sig, frame
            if self.stop_at is not None:
                self.should_exit = self.force_exit = True
                return
            made.start_draining()
            self.stop_at = time.monotonic() + options.drain_timeout_s

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            """Start; what was imported and made until now lives for ever, so the collector need not look at it."""
            await super().startup(sockets)
            gc.collect()
            gc.freeze()

        async def on_tick(self, counter: int) -> bool:
            """Look after the connections; stop when nothing runs any more, or when its time is up."""
            if counter % _TICKS_A_SECOND == 0:
                now = asyncio.get_running_loop().time()
                for connection in list(self.server_state.connections):
                    connection.check(now)  # type: ignore[union-attr]  # they are all of our class
            if self.stop_at is not None:
                self.should_exit = self.should_exit or made.running() == 0 or time.monotonic() >= self.stop_at
            return await super().on_tick(counter)

    DrainingServer(_configuration(made, options)).run(sockets=list(sockets))


def _configuration(made: Made, options: RunOptions) -> uvicorn.Config:
    """Return uvicorn's configuration: our protocol class, our log, and nothing that it would guess from the environment."""
    import uvicorn  # noqa: PLC0415  as above

    from wheelyard.server.protocol import ConnectionLimits, protocol_with  # noqa: PLC0415  as above

    limits = ConnectionLimits(
        head_bytes=options.head_bytes,
        head_s=options.head_timeout_s,
        idle_s=options.idle_timeout_s,
        stall_s=options.stall_timeout_s,
    )
    return uvicorn.Config(
        made.app,
        http=protocol_with(made.hot, limits),
        loop="auto",
        ws="none",
        lifespan="on",
        backlog=options.backlog,
        limit_concurrency=options.connection_limit,
        timeout_keep_alive=options.idle_timeout_s,
        timeout_graceful_shutdown=options.drain_timeout_s,
        server_header=False,
        headers=[("server", options.ident)] if options.ident else [],
        proxy_headers=False,
        access_log=False,
        log_config=None,
        log_level=options.log_level,
        ssl_certfile=options.ssl_certfile,
        ssl_keyfile=options.ssl_keyfile,
    )


def _supervise(make: Callable[[], Made], sockets: Sequence[socket.socket], options: RunOptions) -> None:
    """Keep `options.workers` processes serving the same sockets; one that dies is replaced."""
    context = multiprocessing.get_context("spawn")
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())

    def started() -> BaseProcess:
        process = context.Process(target=_serve_here, args=(make, list(sockets), options))
        process.start()
        return process

    processes = [started() for _ in range(options.workers)]
    while not stopping.wait(_SUPERVISE_EVERY_S):
        for place, process in enumerate(processes):
            if not process.is_alive():
                _log.warning("worker-died", exit_code=process.exitcode)
                processes[place] = started()
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(options.drain_timeout_s + 5)
        process.kill()


def serve_granian(make: Callable[[], Made], sockets: Sequence[socket.socket], options: RunOptions) -> None:
    """Serve with granian until told to stop; it binds its address itself, so our socket only reserved the port."""
    from granian import Granian  # noqa: PLC0415  an extra, imported when asked for
    from granian.constants import Interfaces, Loops  # noqa: PLC0415
    from granian.log import LogLevels  # noqa: PLC0415

    first = sockets[0]
    is_unix = first.family == socket.AF_UNIX
    address, port = ("127.0.0.1", 0) if is_unix else first.getsockname()[:2]
    uds = Path(first.getsockname()) if is_unix else None
    for each in sockets:
        each.close()
    server = Granian(
        "wheelyard",
        address=address,
        port=port,
        uds=uds,
        interface=Interfaces.ASGI,
        loop=Loops.auto,
        workers=options.workers,
        backlog=max(options.backlog, 128),  # granian refuses less
        log_level=LogLevels(options.log_level),
        log_dictconfig={"handlers": {}, "loggers": {"_granian": {"propagate": True}}},  # into our own log
        ssl_cert=options.ssl_certfile,
        ssl_key=options.ssl_keyfile,
        workers_kill_timeout=options.drain_timeout_s,
    )
    signal.signal(signal.SIGINT, signal.default_int_handler)
    server.serve(target_loader=_Loader(make), wrap_loader=False)


@dataclass(frozen=True, slots=True)
class _Loader:
    """Gives granian's worker its application."""

    make: Callable[[], Made]

    def __call__(self, *_: object) -> ASGIApp:
        return self.make().app
