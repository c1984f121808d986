"""
Servers as clients of another index: pages of an upstream beside pages of their own, and commands through them.

The upstream is this server too, started on the corpus, behind a relay that delays each message of a client by as much as
a near network does. What is a ratio is one to the same thing without a server in between.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import commands, transfer
from benchmarks.cases import Asked, pages
from benchmarks.corpus import Corpus
from benchmarks.figures import OURS, Row
from benchmarks.fronts import FRONTS, Front, with_credentials
from benchmarks.ours import Running
from benchmarks.place import BenchError
from benchmarks.running import Subject, free_port
from benchmarks.web import HTML, Connection, links
from benchmarks.wrk import prepared, rate

GROUP = "Behind this server"
LATENCY_S = 0.020
GIGABIT = 125e6
CROWD = 100
_PIECE_BYTES = 256 * 1024
_CATCH_UP_S = 0.05  # what the buffers of a real link hold

MakeRow = Callable[..., Row]


class Relay:
    """
    Passes connections on, each message of a client a little later.

    Args:
        origin: Where to.
        latency_s: How much later.
        bytes_per_s: How fast answers pass, each connection by itself; None for as fast as they come.

    Attributes:
        asked: First lines of the messages of clients.
    """

    def __init__(self, origin: str, latency_s: float, *, bytes_per_s: float | None = None) -> None:
        self.port = free_port()
        self.asked: list[bytes] = []
        self._target = urlsplit(origin)
        self._latency_s = latency_s
        self._bytes_per_s = bytes_per_s
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def origin(self) -> str:
        """Where to ask."""
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator[Relay]:
        """Pass on for the time of the block."""
        self._thread.start()
        self._ready.wait()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, limit=_PIECE_BYTES)
        self._ready.set()
        async with server:
            await self._stop.wait()
        passing = asyncio.all_tasks() - {asyncio.current_task()}
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._target.hostname, self._target.port, limit=_PIECE_BYTES)
        try:
            with suppress(OSError):
                await asyncio.gather(
                    _pass_on(reader, back, latency_s=self._latency_s, seen=self._seen),
                    _pass_on(there, writer, bytes_per_s=self._bytes_per_s),
                )
        finally:
            for each in (back, writer):
                each.close()

    def _seen(self, message: bytes) -> None:
        self.asked.append(message.partition(b"\r\n")[0])


async def _pass_on(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    latency_s: float = 0.0,
    bytes_per_s: float | None = None,
    seen: Callable[[bytes], None] | None = None,
) -> None:
    clock = asyncio.get_running_loop().time
    due = clock()  # on a slow link one byte is due after the other, and what is late by a little catches up
    try:
        while piece := await reader.read(_PIECE_BYTES):
            if seen is not None:
                seen(piece)
            if bytes_per_s is not None:
                due = max(due, clock() - _CATCH_UP_S) + len(piece) / bytes_per_s
                latency_s = due - clock()
            if latency_s > 0:
                await asyncio.sleep(latency_s)
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()


@dataclass(frozen=True, slots=True)
class _Rows:
    page: Row
    pages: Row
    cold: Row
    warm: Row
    crowd: Row
    large: Row
    gigabit: Row

    @property
    def all(self) -> tuple[Row, ...]:
        return self.page, self.pages, self.cold, self.warm, self.crowd, self.large, self.gigabit


def _rows(row: MakeRow) -> _Rows:
    def make(key: str, title: str, unit: str = "ratio", *, more_is_better: bool = True) -> Row:
        return row(f"behind-{key}", title, GROUP, unit, more_is_better=more_is_better)

    return _Rows(
        page=make("page", "warm page of an upstream / page of its own"),
        pages=make("pages", "warm pages of an upstream, JSON", "requests/s"),
        cold=make("compile-cold", "`uv pip compile` through it / without, empty cache", more_is_better=False),
        warm=make("compile-warm", "`uv pip compile` through it / without, filled cache", more_is_better=False),
        crowd=make(
            "crowd",
            f"questions to the upstream for one file that {CROWD} clients want at once",
            "questions",
            more_is_better=False,
        ),
        large=make("large", "first download of 200 MB through it / without, on the loopback"),
        gigabit=make("large-gigabit", "first download of 200 MB through it / without, 1 Gbit/s to the upstream"),
    )


def measure(
    hosted: Running, corpus: Corpus, work: Path, row: MakeRow, *, rounds: int, peer_rounds: int, seconds: int
) -> None:
    """
    Measure what a server in between costs, and what it spares.

    Args:
        hosted: This server on the corpus: the upstream.
        corpus: What it offers.
        work: Folder for the servers in between, each with an empty cache.
        row: Makes a row, as `Results.row`.
        rounds: How often.
        peer_rounds: In how many of them other indexes take part.
        seconds: Seconds of one measurement of pages.
    """
    rows = _rows(row)
    for number in range(rounds):
        for key, front in FRONTS.items():
            if key != OURS and number >= peer_rounds:
                continue
            try:
                _measure_one(_Place(hosted, corpus, work, seconds), key, front, rows, number)
            except (BenchError, OSError) as error:
                for each in rows.all:
                    each.notes.setdefault(key, str(error))


@dataclass(frozen=True, slots=True)
class _Place:
    hosted: Running
    corpus: Corpus
    work: Path
    seconds: int

    @property
    def origin(self) -> str:
        return self.hosted.subject.origin() or ""


def _measure_one(place: _Place, key: str, front: Front, rows: _Rows, number: int) -> None:
    with _between(place, key, front, None) as (running, relay):
        upstream = relay.origin
        try:
            rows.crowd.add(key, number, _crowd(place, running, relay))
        except BenchError as error:  # which says nothing of the rest
            rows.crowd.notes.setdefault(key, str(error))
        _commands(place, running, upstream, (rows.cold, rows.warm), number)
        rows.large.add(key, number, _large(place, running, upstream))
        _pages(place, running, rows, number)
    with _between(place, key, front, GIGABIT) as (running, relay):
        rows.gigabit.add(key, number, _large(place, running, relay.origin))


@contextmanager
def _between(place: _Place, key: str, front: Front, bytes_per_s: float | None) -> Iterator[tuple[Running, Relay]]:
    """Start an index with an empty cache behind a relay; yields both."""
    root = place.work / f"behind-{key}"
    with Relay(place.origin, LATENCY_S, bytes_per_s=bytes_per_s).running() as relay:
        try:
            running = front(relay.origin, place.corpus, root)
            try:
                yield running, relay
            finally:
                running.program.stop()
        finally:
            shutil.rmtree(root, ignore_errors=True)


def _commands(place: _Place, running: Running, upstream: str, rows: tuple[Row, Row], number: int) -> None:
    command, root, folder = commands.UV_COMPILE, place.corpus.manifest.tree, place.work / "command"
    direct = with_credentials(upstream)
    command.run(direct, root, folder)  # what uv itself needs once
    without = command.run(direct, root, folder)
    for row in rows:
        row.add(running.subject.key, number, command.run(running.subject.client_url, root, folder) / without)


def _crowd(place: _Place, running: Running, relay: Relay) -> int:
    """Let many clients ask for one file that is in no cache; return how often the upstream was asked for it."""
    subject, origin = running.subject, running.subject.origin() or ""
    path = subject.page(place.corpus.manifest.small[0])
    with Connection(origin, subject.headers) as connection:
        link = next(
            each for each in links(connection.get_ok(path, {"Accept": HTML}), path) if each.filename.endswith(".whl")
        )
    together = threading.Barrier(CROWD)

    def fetch() -> bytes:
        with Connection(origin, subject.headers) as connection:
            together.wait()
            answer = connection.get(link.path, {})
        if answer.status != HTTPStatus.OK:
            raise BenchError(f"one of {CROWD} clients is answered with {answer.status}")
        return answer.body

    before = len(relay.asked)
    with ThreadPoolExecutor(CROWD) as pool:
        bodies = {each.result() for each in [pool.submit(fetch) for _ in range(CROWD)]}
    if len(bodies) != 1:
        raise BenchError(f"'{link.filename}' came in {len(bodies)} versions")
    wanted = f"/{link.filename} ".encode()
    return sum(wanted in line for line in relay.asked[before:])


def _large(place: _Place, running: Running, upstream: str) -> float:
    rates = []
    hosted = place.hosted.subject
    for origin, subject in ((upstream, hosted), (running.subject.origin() or "", running.subject)):
        path, size = _large_file(origin, subject, place.corpus)
        rates.append(transfer.bytes_per_second(origin, path, subject.headers, size=size, connections=1))
    return rates[1] / rates[0]


def _pages(place: _Place, running: Running, rows: _Rows, number: int) -> None:
    rates = {}
    for name, each in (("own", place.hosted), ("behind", running)):
        if name == "own" and running.subject.key != OURS:
            continue
        load, _ = prepared(
            each.subject.origin() or "",
            pages("json")(Asked(each.subject, place.corpus)),
            place.work / f"behind-{name}.txt",
            status=200,
            may_be_slow=each.subject.key != OURS,
        )
        rate(load, 1)  # the first two answers of each page make it ready
        rates[name] = rate(load, place.seconds)
        each.program.settle()
    rows.pages.add(running.subject.key, number, rates["behind"])
    if "own" in rates:
        rows.page.add(running.subject.key, number, rates["behind"] / rates["own"])


def _large_file(origin: str, subject: Subject, corpus: Corpus) -> tuple[str, int]:
    """Return path and size of the large file as an index lists it."""
    manifest = corpus.manifest
    path = subject.page(manifest.large)
    with Connection(origin, subject.headers) as connection:
        listed = links(connection.get_ok(path, {"Accept": HTML}), path)
    link = next((each for each in listed if each.filename == manifest.large_file), None)
    if link is None:
        raise BenchError(f"'{manifest.large_file}' is not listed")
    return link.path, (corpus.packages / manifest.large / manifest.large_file).stat().st_size
