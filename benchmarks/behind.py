"""
This server as a client of another index: its own pages beside those of an upstream, and commands through it.

The upstream is this server too, started on the corpus, behind a relay that delays each message of a client by as much as
a near network does. Everything here is a ratio to the same thing without the server in between.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import commands, transfer
from benchmarks.cases import Asked, pages
from benchmarks.corpus import INDEX, Corpus
from benchmarks.figures import OURS, Row
from benchmarks.ours import READ_SECRET, WRITE_SECRET, Running, expected
from benchmarks.place import BenchError
from benchmarks.running import Subject, free_port, start
from benchmarks.web import HTML, Connection, basic, links
from benchmarks.wrk import prepared, rate

GROUP = "Behind this server"
LATENCY_S = 0.020
_PIECE_BYTES = 256 * 1024

MakeRow = Callable[..., Row]


class Relay:
    """
    Passes connections on, each message of a client a little later; answers pass at once, so bytes are not slowed down.

    Args:
        origin: Where to.
        latency_s: How much later.
    """

    def __init__(self, origin: str, latency_s: float) -> None:
        self.port = free_port()
        self._target = urlsplit(origin)
        self._latency_s = latency_s
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @contextmanager
    def running(self) -> Iterator[str]:
        """Pass on for the time of the block; yields the origin to ask."""
        self._thread.start()
        self._ready.wait()
        try:
            yield f"http://127.0.0.1:{self.port}"
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, limit=_PIECE_BYTES)
        self._ready.set()
        async with server:
            await self._stop.wait()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._target.hostname, self._target.port, limit=_PIECE_BYTES)
        with suppress(OSError):
            await asyncio.gather(_pass_on(reader, back, self._latency_s), _pass_on(there, writer, 0.0))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, latency_s: float) -> None:
    try:
        while piece := await reader.read(_PIECE_BYTES):
            if latency_s:
                await asyncio.sleep(latency_s)
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()


def start_behind(upstream: str, corpus: Corpus, root: Path) -> Running:
    """
    Start this server with an empty index, in front of another one.

    Raises:
        BenchError: It did not answer right.
    """
    root.mkdir(parents=True)
    port = free_port()
    config = root / "config.toml"
    config.write_text(
        f'[{INDEX}]\ntype = "file_system"\nread_secret = "{READ_SECRET}"\nwrite_secret = "{WRITE_SECRET}"\n'
        f'[upstream.bench]\nurl = "{upstream}/simple/"\nusername = "{INDEX}"\npassword = "{READ_SECRET}"\n'
        "page_min_age = 600\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "wheelyard", "server", str(root), "--host", "127.0.0.1", "--port", str(port)]
    origin = f"http://127.0.0.1:{port}"
    subject = Subject(
        key=OURS,
        title="wheelyard",
        origins=dict.fromkeys(("html", "json", "zstd"), origin),
        headers={"Authorization": basic(INDEX, READ_SECRET)},
        client_url=f"http://{INDEX}:{READ_SECRET}@127.0.0.1:{port}/simple/",
    )
    return Running(subject, start(command, subject, work=root / "home", expect=expected(corpus)))


def measure(hosted: Running, corpus: Corpus, work: Path, row: MakeRow, *, rounds: int, seconds: int) -> None:
    """
    Measure what a server in between costs, and what it spares.

    Args:
        hosted: This server on the corpus: the upstream.
        corpus: What it offers.
        work: Folder for the servers in between, each with an empty cache.
        row: Makes a row, as `Results.row`.
        rounds: How often.
        seconds: Seconds of one measurement of pages.
    """
    page = row("behind-page", "warm page of an upstream / page of its own", GROUP, "ratio")
    cold = row(
        "behind-compile-cold",
        "`uv pip compile` through it / without, empty cache",
        GROUP,
        "ratio",
        more_is_better=False,
    )
    warm = row(
        "behind-compile-warm",
        "`uv pip compile` through it / without, filled cache",
        GROUP,
        "ratio",
        more_is_better=False,
    )
    large = row("behind-large", "first download of 200 MB through it / without", GROUP, "ratio")
    with Relay(hosted.subject.origin() or "", LATENCY_S).running() as upstream:
        direct = upstream.replace("://", f"://{INDEX}:{READ_SECRET}@") + "/simple/"
        for number in range(rounds):
            root = work / f"behind-{number}"
            running = start_behind(upstream, corpus, root)
            try:
                _commands(running, direct, corpus, work, (cold, warm), number)
                _large(running, upstream, corpus, large, number)
                _pages(running, hosted, corpus, work, page, number, seconds)
            except (BenchError, OSError) as error:
                for each in (page, cold, warm, large):
                    each.notes.setdefault(OURS, str(error))
            finally:
                running.program.stop()
                shutil.rmtree(root, ignore_errors=True)


def _commands(running: Running, direct: str, corpus: Corpus, work: Path, rows: tuple[Row, Row], number: int) -> None:
    command, root = commands.UV_COMPILE, corpus.manifest.tree
    command.run(direct, root, work / "command")  # what uv itself needs once
    without = command.run(direct, root, work / "command")
    for row in rows:
        row.add(OURS, number, command.run(running.subject.client_url, root, work / "command") / without)


def _large(running: Running, upstream: str, corpus: Corpus, row: Row, number: int) -> None:
    headers = running.subject.headers
    found = _large_file(upstream, headers, corpus)
    without = transfer.bytes_per_second(upstream, found[0], headers, size=found[1], connections=1)
    path, size = _large_file(running.subject.origin() or "", headers, corpus)
    through = transfer.bytes_per_second(running.subject.origin() or "", path, headers, size=size, connections=1)
    row.add(OURS, number, through / without)


def _pages(running: Running, hosted: Running, corpus: Corpus, work: Path, row: Row, number: int, seconds: int) -> None:
    rates = []
    for name, each in (("own", hosted), ("behind", running)):
        origin = each.subject.origin() or ""
        make = pages("json")
        load, _ = prepared(
            origin, make(Asked(each.subject, corpus)), work / f"behind-{name}.txt", status=200, may_be_slow=False
        )
        rate(load, 1)  # the first two answers of each page make it ready
        rates.append(rate(load, seconds))
        each.program.settle()
    row.add(OURS, number, rates[1] / rates[0])


def _large_file(origin: str, headers: Mapping[str, str], corpus: Corpus) -> tuple[str, int]:
    """Return path and size of the large file as an index lists it."""
    manifest = corpus.manifest
    path = f"/simple/{manifest.large}/"
    with Connection(origin, headers) as connection:
        listed = links(connection.get_ok(path, {"Accept": HTML}), path)
    link = next((each for each in listed if each.filename == manifest.large_file), None)
    if link is None:
        raise BenchError(f"'{manifest.large_file}' is not listed")
    return link.path, (corpus.packages / manifest.large / manifest.large_file).stat().st_size
