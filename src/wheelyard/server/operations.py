"""Addresses for those who run the server: `/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

from collections import Counter as TallyOf
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from wheelyard.errors import WheelyardError
from wheelyard.index.upstream_memory import UpstreamCounters
from wheelyard.server.answers import Answer, plain
from wheelyard.server.hot import HotPath
from wheelyard.server.problems import RETRY_AFTER_S
from wheelyard.server.served import Catalog

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

_NO_STORE = (b"cache-control", b"no-store")
_UPSTREAM_COUNTERS = {
    "questions": "Pages asked for",
    "unchanged": "Pages that had not changed",
    "stale": "Old pages given since the upstream could not be asked",
    "failures": "Questions that failed",
    "hits": "Files given from the cache",
    "downloads": "Files fetched",
    "joined": "Readers who took part in a download under way",
    "downloaded_bytes": "Bytes of files fetched",
    "resumed": "Downloads that broke off and went on",
    "mismatches": "Files whose bytes were not those that the page tells",
    "evicted": "Files removed to keep the cache within its bound",
}


class Metrics:
    """
    What this process counts: plain numbers, since a counter object costs as much as a ready answer.

    Attributes:
        answers: Answers of the application, by status and kind of path.
        uploads: Finished uploads, by index and outcome (`created`, `unchanged`).
        running: Requests being answered.
        hot: The hot path, which counts its own answers; None when there is none.
        upstreams: Returns what each upstream did so far.
        squatted: Returns how many names of each index are on another index too.
    """

    def __init__(self) -> None:
        self.answers: TallyOf[tuple[int, str]] = TallyOf()
        self.uploads: TallyOf[tuple[str, str]] = TallyOf()
        self.running = 0
        self.hot: HotPath | None = None
        self.upstreams: Callable[[], Mapping[str, UpstreamCounters]] = dict
        self.squatted: Callable[[], Mapping[str, int]] = dict

    def answer(self) -> Answer:
        """Make the exposition. Spec: Prometheus text format 0.0.4."""
        from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415  not for the first answer

        registry = CollectorRegistry()
        registry.register(self)
        content = generate_latest(registry)
        return Answer(
            200,
            (
                (b"content-type", b"text/plain; version=0.0.4; charset=utf-8"),
                (b"content-length", b"%d" % len(content)),
                _NO_STORE,
            ),
            content,
        )

    def collect(self) -> Iterator[Metric]:
        """Yield every metric. Spec: the collector protocol of prometheus_client."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415  as above

        answers = CounterMetricFamily(
            "wheelyard_http_answers", "Answers of the application, by status and kind", labels=["status", "kind"]
        )
        for (status, kind), count in sorted(self.answers.items()):
            answers.add_metric([str(status), kind], count)
        yield answers
        uploads = CounterMetricFamily("wheelyard_uploads", "Uploads, by index and outcome", labels=["index", "outcome"])
        for (index, outcome), count in sorted(self.uploads.items()):
            uploads.add_metric([index, outcome], count)
        yield uploads
        hot = 0 if self.hot is None else self.hot.answers
        yield CounterMetricFamily("wheelyard_http_hot_answers", "Answers sent from ready bytes", value=hot)
        yield GaugeMetricFamily("wheelyard_http_requests_running", "Requests being answered", value=self.running)
        for name, text in _UPSTREAM_COUNTERS.items():
            counter = CounterMetricFamily(f"wheelyard_upstream_{name}", text, labels=["upstream"])
            for upstream, counted in sorted(self.upstreams().items()):
                counter.add_metric([upstream], getattr(counted, name))
            yield counter
        squatted = GaugeMetricFamily(
            "wheelyard_squatted_projects", "Projects of an index whose name is on another index too", labels=["index"]
        )
        for index, count in sorted(self.squatted().items()):
            squatted.add_metric([index], count)
        yield squatted


def healthy() -> Answer:
    """Answer that the process runs."""
    return plain(200, "ok\n", _NO_STORE)


async def ready(catalog: Catalog, *, draining: Callable[[], bool]) -> Answer:
    """Answer whether every index can be asked and the server is not stopping; names those that cannot."""
    troubles = {"server": "stopping"} if draining() else {}
    limping: dict[str, str] = {}
    for served in catalog.names.values():
        trouble = served.store.trouble()
        if trouble is not None:
            limping[served.name] = trouble
        try:
            await served.index.list()
        except WheelyardError as error:
            troubles[served.name] = error.code if trouble is None else f"{error.code}: {trouble}"
    if troubles:
        text = "".join(f"{name}: {trouble}\n" for name, trouble in sorted(troubles.items()))
        return plain(503, text, _NO_STORE, (b"retry-after", b"%d" % RETRY_AFTER_S))
    # An index that still answers from what it knows is ready: no balancer should take it out of service.
    notes = "".join(f"{name}: {trouble}\n" for name, trouble in sorted(limping.items()))
    notes += "".join(f"{served.name}: {note}\n" for served in catalog.names.values() for note in served.notes())
    return plain(200, f"ready\n{notes}", _NO_STORE)
