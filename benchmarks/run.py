"""
One run: everything started, measured in rounds that take turns, and stopped.

1. `measure_corpus` starts our server, two nginx with its captured answers, and the others, on one corpus;
2. each case is asked of all of them in turn, round after round, each after the one before has come to rest;
3. large files, real clients and uploads the same way; start and memory at the end, one program at a time.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import behind, commands, ours, sessions, sites, transfer, uploads
from benchmarks.cases import CASES, LARGER_CASES, Asked, Case, many_callers
from benchmarks.corpus import INDEX, LARGE, MEDIUM, SMALL, Corpus, Size, clone, corpus_of
from benchmarks.distributions import make_wheel
from benchmarks.figures import OURS, REFERENCES, Row
from benchmarks.ours import WRITE_SECRET, Running, start_nginx, start_ours
from benchmarks.peers import PEERS, Peer
from benchmarks.place import CACHE, BenchError
from benchmarks.running import Subject
from benchmarks.web import HTML, Connection, basic, links
from benchmarks.wrk import Load, prepared, rate

LARGE_FILE = "Large file"
COMMANDS = "Whole commands"
UPLOADS = "Uploads"
START = "Start and memory"
REQUESTS = "Requests"


@dataclass(frozen=True, slots=True)
class Plan:
    """
    How much is measured.

    Attributes:
        sizes: Corpora, the first one with every case.
        rounds: Rounds of this server and nginx.
        peer_rounds: In how many of them the others take part.
        seconds: Seconds of one measurement with wrk.
        callers: Different `Authorization` headers in the case that has many.
        sessions: Logins in the server's books during that case.
        upload_seconds: Seconds of one measurement of uploads.
        upload_forms: Forms made for each of them.
        starts: How often a start is timed.
        transfers: How often the large file is fetched in a round.
        pip: Whether pip is measured too.
        import_slow: Whether others bring in files however long it takes them.
        peer_rows: Rows in which the others take part (`uploads` and `start` for all such); None for all.
        command_s: Longest that a command may take.
    """

    sizes: tuple[Size, ...]
    rounds: int
    peer_rounds: int
    seconds: int
    callers: int
    sessions: int
    upload_seconds: float
    upload_forms: int
    starts: int
    transfers: int
    pip: bool
    import_slow: bool
    peer_rows: frozenset[str] | None
    command_s: float


FULL = Plan(
    sizes=(SMALL, MEDIUM, LARGE),
    rounds=5,
    peer_rounds=2,
    seconds=3,
    callers=100_000,
    sessions=10_000,
    upload_seconds=4.0,
    upload_forms=8000,
    starts=5,
    transfers=3,
    pip=True,
    import_slow=True,
    peer_rows=None,
    command_s=180,
)
QUICK = Plan(
    sizes=(SMALL,),
    rounds=2,
    peer_rounds=1,
    seconds=1,
    callers=10_000,
    sessions=1_000,
    upload_seconds=1.0,
    upload_forms=1500,
    starts=2,
    transfers=1,
    pip=False,
    import_slow=False,
    peer_rows=frozenset({"page-html", "wheel", "large-1", "uv-install"}),
    command_s=8,
)


@dataclass
class Results:
    """
    What came out of a run.

    Attributes:
        rows: By key.
        titles: Servers by key, with their versions.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)

    def row(self, key: str, title: str, group: str, unit: str, *, more_is_better: bool = True) -> Row:
        """Return the row of that key, made when it is new."""
        return self.rows.setdefault(key, Row(key, title, group, unit, more_is_better))


class Run:
    """
    One run.

    Args:
        plan: How much is measured.
        only: Beginnings of row keys that are measured; empty for all.
        say: Told what is being done.
    """

    def __init__(self, plan: Plan, *, only: Sequence[str] = (), say: Callable[[str], None] | None = None) -> None:
        self.plan = plan
        self.results = Results()
        self._only = tuple(only)
        self._say = say or (lambda text: print(text, file=sys.stderr, flush=True))
        self._work = Path()

    def measure(self) -> Results:
        """Measure everything that is planned."""
        CACHE.mkdir(parents=True, exist_ok=True)
        _remove_leftovers()
        with tempfile.TemporaryDirectory(prefix=f"run-{os.getpid()}-", dir=CACHE) as work:
            self._work = Path(work)
            for size in self.plan.sizes:
                self._say(f"corpus of {size.projects:,} projects: making it, if it is not there")
                self.measure_corpus(corpus_of(size))
        return self.results

    def measure_corpus(self, corpus: Corpus) -> None:
        """Measure everything about one corpus."""
        first = bool(corpus.manifest.wide)
        name = corpus.size.name
        with self._started(corpus) as running:
            asked = [Asked(each.subject, corpus) for each in running]
            for case in CASES if first else LARGER_CASES.get(name, ()):
                self._case(case, asked, running)
            if first:
                self._many_callers(corpus, asked, running)
                self._large_file(asked)
                self._commands(asked)
                if self._wants("behind"):
                    self._say("other indexes behind this server")
                    mine = next(each for each in running if each.subject.key == OURS)
                    behind.measure(
                        mine,
                        corpus,
                        self._work,
                        self.results.row,
                        rounds=self.plan.rounds,
                        peer_rounds=self.plan.peer_rounds if self._asks_peers("behind") else 0,
                        seconds=self.plan.seconds,
                    )
            self._memory_after(name, running)
        if self._wants("uploads"):
            self._uploads(corpus)
        if self._wants("start"):
            self._starts(corpus)
        if self._wants("site"):
            self._say(f"static site of {corpus.size.projects:,} projects")
            sites.measure(corpus, self._work, self.results.row, rounds=self.plan.peer_rounds)

    # -- starting --------------------------------------------------------------------------------------------------

    @contextmanager
    def _started(self, corpus: Corpus) -> Iterator[list[Running]]:
        """Start everything on a corpus; who fails to start has that noted wherever it would be measured."""
        work = self._work / corpus.size.name
        with ExitStack() as stack:

            def started(each: Running) -> Running:
                stack.callback(each.program.stop)
                self.results.titles[each.subject.key] = each.subject.title
                return each

            mine = started(start_ours(corpus.root, corpus, work / "ours"))
            tree = work / "nginx"
            ours.capture(mine, corpus, tree)
            both = [started(start_nginx(corpus, tree, work, key)) for key in REFERENCES]
            running = [both[0], mine, both[1]]
            for peer in PEERS:
                self._say(f"starting {peer.name}")
                try:
                    running.append(started(self._start_peer(peer, corpus, work, both[0].subject.client_url)))
                except BenchError as error:
                    self._failed(peer, corpus, error)
            yield running

    def _start_peer(self, peer: Peer, corpus: Corpus, work: Path, upstream: str) -> Running:
        if not self.plan.import_slow and not peer.is_prepared(corpus):
            raise BenchError("not tried, since its import takes minutes: a full run does it")
        return peer.start(corpus, work, upstream)

    def _failed(self, peer: Peer, corpus: Corpus, error: BenchError) -> None:
        self._say(f"{peer.name} fails: {error}")
        self.results.titles[peer.name] = f"{peer.name} {peer.version()}"
        self.results.row(f"failed-{corpus.size.name}", "", "", "").notes[peer.name] = str(error)

    # -- requests --------------------------------------------------------------------------------------------------

    def _case(self, case: Case, asked: Sequence[Asked], running: Sequence[Running]) -> None:
        """Measure one case with all servers in turn."""
        if not self._wants(case.key):
            return
        row = self.results.row(case.key, case.title, REQUESTS, "requests/s")
        loads = self._loads(case, asked, row)
        by_key = {each.subject.key: each for each in running}
        for number in range(self.plan.rounds):
            for key in self._turns(number, list(loads)):
                program = by_key[key].program
                before = program.cpu_s()
                try:
                    found = rate(loads[key], self.plan.seconds)
                except BenchError as error:
                    row.notes[key] = str(error)
                else:
                    row.add(key, number, found)
                    row.add_cost(key, number, (program.cpu_s() - before) * 1e6 / (found * self.plan.seconds))
                program.settle()
        self._told(row)

    def _loads(self, case: Case, asked: Sequence[Asked], row: Row) -> dict[str, Load]:
        """Make the requests for each server, and see that ours and nginx answer with the same bytes."""
        loads: dict[str, Load] = {}
        seen: dict[str, bytes] = {}
        for each in asked:
            key = each.subject.key
            if not each.is_fast and not (case.peers and self._asks_peers(case.key)):
                continue
            origin = each.subject.origin(case.representation)
            if origin is None:
                row.notes[key] = f"has no {case.representation.upper()}"
                continue
            try:
                listed = self._work / f"{case.key}-{key}.txt"
                loads[key], bodies = prepared(
                    origin, case.make(each), listed, status=case.status, may_be_slow=not each.is_fast
                )
            except (BenchError, OSError) as error:
                row.notes[key] = str(error)
                continue
            if each.is_fast and any(seen.setdefault(path, body) != body for path, body in bodies.items()):
                raise BenchError(f"{case.title}: '{key}' does not send the same bytes as the others")
        return loads

    def _turns(self, number: int, keys: list[str]) -> list[str]:
        """Return who is asked in a round, in an order that moves on from round to round."""
        taking_part = [key for key in keys if key in (OURS, *REFERENCES) or number < self.plan.peer_rounds]
        start = number % len(taking_part) if taking_part else 0
        return taking_part[start:] + taking_part[:start]

    def _many_callers(self, corpus: Corpus, asked: Sequence[Asked], running: Sequence[Running]) -> None:
        case = many_callers(self.plan.callers)
        if self._wants(case.key):
            sessions.add_sessions(corpus.root, self.plan.sessions)
            try:
                self._case(case, asked, running)
            finally:
                sessions.remove_sessions(corpus.root)

    # -- large files and commands ----------------------------------------------------------------------------------

    def _large_file(self, asked: Sequence[Asked]) -> None:
        for connections in (1, 4):
            words = "connection" if connections == 1 else "connections"
            row = self.results.row(f"large-{connections}", f"200 MB wheel, {connections} {words}", LARGE_FILE, "MB/s")
            if not self._wants(row.key):
                continue
            chosen = [each for each in asked if each.is_fast or self._asks_peers(row.key)]
            places = {each.subject.key: place for each in chosen if (place := _large_place(each, row)) is not None}
            for number in range(self.plan.rounds):
                for key in self._turns(number, list(places)):
                    subject, path, size = places[key]
                    try:
                        best = max(
                            transfer.bytes_per_second(
                                _any_origin(subject), path, subject.headers, size=size, connections=connections
                            )
                            for _ in range(self.plan.transfers)
                        )
                        row.add(key, number, best / 1e6)
                    except (BenchError, OSError) as error:
                        row.notes[key] = str(error)
            self._told(row)

    def _commands(self, asked: Sequence[Asked]) -> None:
        chosen = [commands.UV_INSTALL, commands.UV_COMPILE, *([commands.PIP_INSTALL] if self.plan.pip else [])]
        for command in chosen:
            row = self.results.row(command.key, command.title, COMMANDS, "s", more_is_better=False)
            if not self._wants(row.key):
                continue
            urls = {
                each.subject.key: each.subject.client_url for each in asked if each.is_fast or self._asks_peers(row.key)
            }
            root = asked[0].corpus.manifest.tree
            for number in range(-1, min(self.plan.rounds, 2) if command is commands.PIP_INSTALL else self.plan.rounds):
                for key in self._turns(max(number, 0), list(urls)):
                    if key in row.notes:
                        continue
                    try:
                        passed = command.run(urls[key], root, self._work / "command", limit_s=self.plan.command_s)
                    except BenchError as error:
                        row.notes[key] = str(error)
                        continue
                    if number >= 0:  # the round before the first one fills everybody's caches
                        row.add(key, number, passed)
            self._told(row)

    # -- uploads ---------------------------------------------------------------------------------------------------

    def _uploads(self, corpus: Corpus) -> None:
        """Upload into a copy of the corpus, at each server that takes uploads, one server at a time."""
        name = corpus.size.name
        self._say(f"uploads among {corpus.size.projects:,} projects")
        for number in range(max(1, self.plan.rounds // 2)):
            folder = self._work / f"uploads-{name}-{number}"
            running = start_ours(clone(corpus, folder), corpus, folder)
            try:
                door = uploads.Door(
                    running.subject.origin() or "", "/legacy/", {"Authorization": basic(INDEX, WRITE_SECRET)}
                )
                self._uploads_to(running, door, corpus, number)
            finally:
                running.program.stop()
                shutil.rmtree(folder, ignore_errors=True)
        if not corpus.manifest.wide:
            return
        for peer in PEERS:
            if peer.uploads and self._asks_peers("uploads"):
                self._peer_uploads(peer, corpus)

    def _peer_uploads(self, peer: Peer, corpus: Corpus) -> None:
        row = self.results.row("uploads-1", "", UPLOADS, "")
        try:
            running = self._start_peer(peer, corpus, self._work / "uploads", "")
        except BenchError as error:
            row.notes[peer.name] = str(error)
            return
        try:
            headers = peer.upload_headers(running.subject)
            door = uploads.Door(running.subject.origin() or "", peer.upload_path(), headers)
            self._uploads_to(running, door, corpus, 0)
        except (BenchError, OSError) as error:
            row.notes[peer.name] = str(error)
        finally:
            running.program.stop()

    def _uploads_to(self, running: Running, door: uploads.Door, corpus: Corpus, number: int) -> None:
        subject = running.subject
        first = bool(corpus.manifest.wide)
        suffix = "" if first else f"-{corpus.size.name}"
        among = "" if first else f", among {corpus.size.projects:,} projects"
        fast = subject.key == OURS
        for clients in (1, 8):
            words = "client" if clients == 1 else "clients"
            row = self.results.row(
                f"uploads-{clients}{suffix}", f"small wheels, {clients} {words}{among}", UPLOADS, "uploads/s"
            )
            cost = self.results.row(
                f"upload-cost-{clients}{suffix}",
                f"processor time of each{among}, {clients} {words}",
                UPLOADS,
                "ms",
                more_is_better=False,
            )
            waiting = uploads.forms(
                door, prefix=f"up{clients}", projects=100, each=max(1, (self.plan.upload_forms if fast else 200) // 100)
            )
            before = running.program.cpu_s()
            try:
                done, passed = uploads.upload_all(door, waiting, clients=clients, seconds=self.plan.upload_seconds)
            except (BenchError, OSError) as error:
                row.notes[subject.key] = str(error)
                continue
            row.add(subject.key, number, done / passed)
            cost.add(subject.key, number, (running.program.cpu_s() - before) * 1e3 / done)
            self._told(row, server=subject.key)
        self._shown(subject, door, suffix, among, number)
        if first and fast and number == 0:
            self._shown_in_wide(subject, door, corpus, number)
        if first:
            self._published(subject, door, number)

    def _shown(self, subject: Subject, door: uploads.Door, suffix: str, among: str, number: int) -> None:
        row = self.results.row(f"shown{suffix}", f"upload to page{among}", UPLOADS, "ms", more_is_better=False)
        waiting = uploads.forms(door, prefix="shown", projects=5, each=6 if subject.key == OURS else 1)
        times = sorted(uploads.shown_after_s(door, subject, waiting))
        row.add(subject.key, number, times[len(times) // 2] * 1e3)
        self._told(row, server=subject.key)

    def _shown_in_wide(self, subject: Subject, door: uploads.Door, corpus: Corpus, number: int) -> None:
        row = self.results.row("shown-wide", "upload to page of 5,000 files", UPLOADS, "ms", more_is_better=False)
        project = corpus.manifest.wide
        waiting = [
            uploads.form_of(door, project, make_wheel(project, f"1000.{release}", size=64)) for release in range(8)
        ]
        times = sorted(uploads.shown_after_s(door, subject, waiting))
        row.add(subject.key, number, times[len(times) // 2] * 1e3)
        self._told(row, server=subject.key)

    def _published(self, subject: Subject, door: uploads.Door, number: int) -> None:
        """Publish a few files with a real client, which needs user and password."""
        row = self.results.row("uv-publish", "`uv publish`, each file", UPLOADS, "s", more_is_better=False)
        folder = self._work / f"dist-{subject.key}-{number}"
        folder.mkdir(parents=True)
        files = []
        for release in range(10):
            made = make_wheel(f"by-uv-{number}", f"{release}.0")
            files.append(folder / made.filename)
            files[-1].write_bytes(made.content)
        user, password = (INDEX, WRITE_SECRET) if subject.key == OURS else ("root", "bench")
        try:
            passed = commands.publish_with_uv(files, f"{door.origin}{door.path}", user, password, folder / "home")
            row.add(subject.key, number, passed)
        except BenchError as error:
            row.notes[subject.key] = str(error)
        self._told(row, server=subject.key)

    # -- start and memory ------------------------------------------------------------------------------------------

    def _memory_after(self, name: str, running: Sequence[Running]) -> None:
        row = self.results.row(
            f"memory-after-{name}",
            f"memory after all requests, {int(name):,} projects",
            START,
            "MB",
            more_is_better=False,
        )
        for each in running:
            row.add(each.subject.key, 0, each.program.memory_mb())
        self._told(row)

    def _starts(self, corpus: Corpus) -> None:
        """Time starts, one program at a time, as after a stop: nothing is in its memory, everything in the system's."""
        name = corpus.size.name
        self._say(f"starts with {corpus.size.projects:,} projects")
        took = self.results.row(
            f"start-{name}", f"start to first answer, {corpus.manifest.files:,} files", START, "s", more_is_better=False
        )
        memory = self.results.row(
            f"memory-{name}", f"memory then, {corpus.manifest.files:,} files", START, "MB", more_is_better=False
        )
        listed = self.results.row(
            f"first-list-{name}", f"first list of {corpus.size.projects:,} projects", START, "ms", more_is_better=False
        )
        work = self._work / f"start-{name}"
        start_ours(corpus.root, corpus, work).program.stop()  # as after a first start: its own books are there
        for number in range(self.plan.starts):
            self._start_once(lambda: start_ours(corpus.root, corpus, work), number, took, memory, listed)
        upstream = self._work / name / "nginx"
        nginx = start_nginx(corpus, upstream, work, REFERENCES[0])
        try:
            for peer in PEERS if self._asks_peers("start") else ():
                self._start_peer_timed(peer, corpus, nginx.subject.client_url, (took, memory, listed))
        finally:
            nginx.program.stop()
        for number in range(self.plan.starts):
            self._start_once(lambda: start_nginx(corpus, upstream, work, REFERENCES[0]), number, took, memory, listed)
        for row in (took, memory, listed):
            self._told(row)

    def _start_peer_timed(self, peer: Peer, corpus: Corpus, upstream: str, rows: tuple[Row, Row, Row]) -> None:
        for number in range(self.plan.peer_rounds):
            work = self._work / f"start-{corpus.size.name}"
            try:
                self._start_once(lambda work=work: self._start_peer(peer, corpus, work, upstream), number, *rows)  # type: ignore[misc]
            except BenchError as error:
                for row in rows:
                    row.notes[peer.name] = str(error)
                return

    @staticmethod
    def _start_once(start: Callable[[], Running], number: int, took: Row, memory: Row, listed: Row) -> None:
        running = start()
        subject = running.subject
        try:
            took.add(subject.key, number, running.program.ready_s)
            memory.add(subject.key, number, running.program.memory_mb())
            began = time.perf_counter()
            with Connection(_any_origin(subject), subject.headers) as connection:
                connection.get_ok(subject.simple, {"Accept": HTML})
            listed.add(subject.key, number, (time.perf_counter() - began) * 1e3)
        finally:
            running.program.stop()

    # -- helpers ---------------------------------------------------------------------------------------------------

    def _asks_peers(self, key: str) -> bool:
        return self.plan.peer_rows is None or key in self.plan.peer_rows

    def _wants(self, key: str) -> bool:
        return not self._only or key.startswith(self._only)

    def _told(self, row: Row, *, server: str | None = None) -> None:
        """Say the medians of a row."""
        words = []
        for key in [server] if server else [*row.values]:
            spread = row.spread(key)
            if spread is not None:
                words.append(f"{key} {spread.middle:,.4g}")
        words += [f"{key}: {note[:80]}" for key, note in row.notes.items() if server in (None, key)]
        self._say(f"  {row.title} [{row.unit}]: {' | '.join(words)}")


def _remove_leftovers() -> None:
    """Remove the folders of runs that were killed."""
    for folder in CACHE.glob("run-*-*"):
        if not Path(f"/proc/{folder.name.split('-')[1]}").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _any_origin(subject: Subject) -> str:
    return subject.origin("html") or subject.origin("json") or ""


def _large_place(asked: Asked, row: Row) -> tuple[Subject, str, int] | None:
    """Find the large wheel where the server itself lists it, and fetch it once."""
    subject, manifest = asked.subject, asked.corpus.manifest
    path = subject.page(manifest.large)
    size = (asked.corpus.packages / manifest.large / manifest.large_file).stat().st_size
    try:
        with Connection(_any_origin(subject), subject.headers) as connection:
            listed = links(connection.get_ok(path, {"Accept": HTML}), path)
        link = next(link for link in listed if link.filename == manifest.large_file)
        transfer.bytes_per_second(_any_origin(subject), link.path, subject.headers, size=size, connections=1)
    except (BenchError, OSError, StopIteration) as error:
        row.notes[subject.key] = str(error) or "the file is not listed"
        return None
    return subject, link.path, size
