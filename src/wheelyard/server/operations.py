"""Addresses for those who run the server: `/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from wheelyard.errors import WheelyardError
from wheelyard.server.answers import Answer, plain
from wheelyard.server.hot import HotPath
from wheelyard.server.problems import RETRY_AFTER_S
from wheelyard.server.served import Catalog

_NO_STORE = (b"cache-control", b"no-store")


class Metrics:
    """What this process counts, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        hot = Gauge("wheelyard_http_hot_answers", "Answers sent from ready bytes", registry=self._registry)
        hot.set_function(lambda: 0 if self.hot is None else self.hot.answers)
        self.hot: HotPath | None = None
        self.answers = Counter(
            "wheelyard_http_answers_total",
            "Answers sent, by status and kind",
            ["status", "kind"],
            registry=self._registry,
        )
        self.uploads = Counter(
            "wheelyard_uploads_total", "Uploads, by index and outcome", ["index", "outcome"], registry=self._registry
        )
        self.running = Gauge("wheelyard_http_requests_running", "Requests being answered", registry=self._registry)

    def answer(self) -> Answer:
        """Make the exposition. Spec: Prometheus text format 0.0.4."""
        content = generate_latest(self._registry)
        return Answer(
            200,
            (
                (b"content-type", b"text/plain; version=0.0.4; charset=utf-8"),
                (b"content-length", b"%d" % len(content)),
                _NO_STORE,
            ),
            content,
        )


def healthy() -> Answer:
    """Answer that the process runs."""
    return plain(200, "ok\n", _NO_STORE)


async def ready(catalog: Catalog, *, draining: Callable[[], bool]) -> Answer:
    """Answer whether every index can be asked and the server is not stopping; names those that cannot."""
    troubles = {"server": "stopping"} if draining() else {}
    for served in catalog.names.values():
        try:
            await served.index.list()
        except WheelyardError as error:
            troubles[served.name] = error.code
    if troubles:
        text = "".join(f"{name}: {trouble}\n" for name, trouble in sorted(troubles.items()))
        return plain(503, text, _NO_STORE, (b"retry-after", b"%d" % RETRY_AFTER_S))
    return plain(200, "ready\n", _NO_STORE)
