"""An ASGI application on a real port of this machine, served from a thread."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any, Self

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
"""An ASGI application; what it is sent and what it sends are the specification's own loose dictionaries."""

_STOP_S = 1  # running answers get so long when the server stops
_TICK_S = 0.005  # a test that starts a server waits as long for its end


class LoopbackServer:
    """
    Serves an application on 127.0.0.1 for as long as it is entered.

    The port takes connections from the moment this is made, so nobody has to wait for the thread.

    Args:
        application: Any ASGI application.
        lifespan: Whether it takes part in the lifespan protocol.

    Attributes:
        host: `127.0.0.1`.
        port: A free port.
    """

    def __init__(self, application: Application, *, lifespan: bool = False) -> None:
        import uvicorn  # noqa: PLC0415  who only builds archives need not load a server

        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        self.host, self.port = self._socket.getsockname()
        config = uvicorn.Config(
            application,
            interface="asgi3",
            proxy_headers=False,
            loop="asyncio",
            http="httptools",
            ws="none",
            lifespan="on" if lifespan else "off",
            log_config=None,
            log_level="critical",  # applications here fail on purpose
            access_log=False,
            timeout_graceful_shutdown=_STOP_S,
        )

        class PromptServer(uvicorn.Server):
            """Notices at once that it is to end, and that nothing runs any more; uvicorn looks ten times a second."""

            async def main_loop(self) -> None:
                """Serve until told to stop."""
                counter = 0
                while not await self.on_tick(counter):
                    counter += 1
                    await asyncio.sleep(_TICK_S)

            async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                """End connections and requests; those that do not end in time are cut off."""
                state, deadline = self.server_state, time.monotonic() + _STOP_S
                for each in (*self.servers, *(sockets or ())):
                    each.close()
                for connection in list(state.connections):
                    connection.shutdown()
                while (state.connections or state.tasks) and time.monotonic() < deadline:  # noqa: ASYNC110  nobody tells
                    await asyncio.sleep(_TICK_S)
                for task in state.tasks:
                    task.cancel()
                await self.lifespan.shutdown()

        self._server = PromptServer(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
