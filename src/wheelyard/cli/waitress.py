"""
The predecessor handed its further flags to waitress. Those with an equal here are options of `server`; these are the rest.

They are accepted with a warning, so that nobody has to change a script to start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WITHOUT_MEANING: Final[Mapping[str, str]] = {
    "asyncore-loop-timeout": "this server has another event loop",
    "asyncore-use-poll": "this server has another event loop",
    "channel-request-lookahead": "vanished clients are noticed at once",
    "cleanup-interval": "idle connections are closed on time",
    "clear-untrusted-proxy-headers": "headers of untrusted proxies are never believed",
    "expose-tracebacks": "tracebacks go to the log only",
    "inbuf-overflow": "uploads go to disk as they arrive",
    "ipv4": "name the address with --host or --listen",
    "ipv6": "name the address with --host or --listen",
    "log-socket-errors": "choose with --log-level",
    "log-untrusted-proxy-headers": "choose with --log-level",
    "outbuf-high-watermark": "answers are sent as fast as they are read",
    "outbuf-overflow": "answers are sent as fast as they are read",
    "recv-bytes": "the size of reads is chosen here",
    "send-bytes": "the size of writes is chosen here",
    "server-name": "set --public-url",
    "sockets": "sockets cannot be named on a command line",
}
"""Options of waitress that mean nothing here, spelled with `-`, and why."""
