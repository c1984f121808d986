"""
The local copy of an OSV database: one SQLite file, written anew at each load and swapped in as a whole.

Rule 1: readers of a file that is missing, damaged or of another version get an error, never "no advisories".
"""

from __future__ import annotations

import os
import sqlite3
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from anyio import to_thread

from wheelyard.errors import InvalidDocument, PolicyUnavailable, shown
from wheelyard.index.policy.advisories import Advisory, Event
from wheelyard.index.policy.osv import OsvRecord, Score, parse_osv
from wheelyard.index.policy.severity import Severity
from wheelyard.model import NormalizedName

_T = TypeVar("_T")

FILE: Final = Path("osv") / "advisories.sqlite3"
"""Where in ROOT the database is."""

_FORMAT: Final = "1"
_RECORD_BYTES: Final = 16 * 1024 * 1024  # the longest known records are below 1 MiB
_REMEMBERED_PROJECTS: Final = 4096
_HINT: Final = "An administrator should load the advisories again: `wheelyard osv load all.zip`."


class _StoredEvent(msgspec.Struct, array_like=True):
    kind: str
    version: str


class _Stored(msgspec.Struct):
    """An advisory as the database keeps it."""

    id: str
    aliases: list[str]
    summary: str
    severity: int
    score: float | None
    versions: list[str]
    ranges: list[list[_StoredEvent]]


_decode = msgspec.json.Decoder(_Stored).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """
    Which state of which database this is.

    Attributes:
        source: What was loaded, as it was named.
        loaded_at: When, ISO 8601.
        newest: The latest change of any record: the state of the database; "" when no record tells.
        records: How many records say something of a project.
        projects: How many projects they are about.
    """

    source: str
    loaded_at: str
    newest: str
    records: int
    projects: int


# --- loading ---------------------------------------------------------------------------------------------------------


def load_database(source: Path, root: Path, *, score: Score, now: datetime) -> Loaded:
    """
    Read OSV records and put them in place of those that were there. Blocks; a server that runs sees them at once.

    Args:
        source: A record, a folder of records, or a ZIP file of records as OSV databases publish them.
        root: The server's ROOT.
        score: Computes scores of CVSS vectors.
        now: The time, UTC.
    Raises:
        InvalidDocument: A record cannot be read, or there is none about any project; the old ones stay.
        OSError: The files cannot be read or written; the old ones stay.
    """
    records = tuple(_read(source, score))
    about = _with_severities([record for record in records if record.advisories])
    if not about:
        raise InvalidDocument(f"there is no OSV record about a Python project in '{shown(source)}'")
    loaded = Loaded(
        source=source.name,
        loaded_at=now.isoformat(timespec="seconds"),
        newest=max(record.modified for record in records),
        records=len({record.id for record in about}),
        projects=len({project for record in about for project, _ in record.advisories}),
    )
    path = root / FILE
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)
        _write(temporary, about, loaded)
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return loaded


def _read(source: Path, score: Score) -> Iterator[OsvRecord]:
    for name, content in _documents(source):
        try:
            yield parse_osv(content, score)
        except InvalidDocument as error:
            raise InvalidDocument(f"'{shown(name)}': {error.message}") from error


def _documents(source: Path) -> Iterator[tuple[str, bytes]]:
    if source.is_dir():
        for path in sorted(source.rglob("*.json")):
            yield str(path.relative_to(source)), path.read_bytes()
    elif zipfile.is_zipfile(source):
        try:
            with zipfile.ZipFile(source) as archive:
                for member in archive.infolist():
                    if member.filename.endswith(".json"):
                        yield member.filename, _member(archive, member)
        except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
            raise InvalidDocument(f"'{shown(source.name)}' is a damaged ZIP file: {error}") from error
    else:
        yield source.name, source.read_bytes()


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.file_size > _RECORD_BYTES:
        raise InvalidDocument(f"'{shown(member.filename)}' is larger than any OSV record")
    return archive.read(member)


def _with_severities(records: list[OsvRecord]) -> list[OsvRecord]:
    """Give records without a score that of the same vulnerability under another name."""
    known: dict[str, tuple[Severity, float | None]] = {}
    for record in records:
        for _, advisory in record.advisories:
            if advisory.severity is not Severity.UNKNOWN:
                for name in (advisory.id, *advisory.aliases):
                    best = known.get(name, (Severity.NONE, None))
                    known[name] = max(best, (advisory.severity, advisory.score), key=lambda each: each[0])

    def mended(advisory: Advisory) -> Advisory:
        found = [known[name] for name in (advisory.id, *advisory.aliases) if name in known]
        if advisory.severity is not Severity.UNKNOWN or not found:
            return advisory
        severity, score = max(found, key=lambda each: each[0])
        return replace(advisory, severity=severity, score=score)

    return [
        replace(record, advisories=tuple((project, mended(advisory)) for project, advisory in record.advisories))
        for record in records
    ]


def _write(path: Path, records: list[OsvRecord], loaded: Loaded) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        connection.execute("CREATE TABLE advisories (project TEXT NOT NULL, id TEXT NOT NULL, content BLOB NOT NULL)")
        about = {"format": _FORMAT, **{key: str(value) for key, value in asdict(loaded).items()}}
        connection.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        connection.executemany(
            "INSERT INTO advisories VALUES (?, ?, ?)",
            (
                (project, advisory.id, _encoded(advisory))
                for record in records
                for project, advisory in record.advisories
            ),
        )
        connection.execute("CREATE INDEX by_project ON advisories (project)")


def _encoded(advisory: Advisory) -> bytes:
    return msgspec.json.encode(
        _Stored(
            advisory.id,
            list(advisory.aliases),
            advisory.summary,
            int(advisory.severity),
            advisory.score,
            list(advisory.versions),
            [[_StoredEvent(event.kind, event.version) for event in events] for events in advisory.ranges],
        )
    )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- reading ---------------------------------------------------------------------------------------------------------


class AdvisoryDatabase:
    """
    Reads the local copy; notices by itself when another one was loaded.

    Args:
        root: The server's ROOT.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / FILE
        self._state: tuple[int, int, int] | None = None
        self._checked: tuple[int, int, int] | None = None
        self._known: OrderedDict[NormalizedName, tuple[Advisory, ...]] = OrderedDict()

    def revision(self) -> str:
        """Return a token that differs whenever another copy was loaded; "" when there is none."""
        state = self._seen()
        return "" if state is None else "-".join(map(str, state))

    async def about(self, project: NormalizedName) -> tuple[Advisory, ...]:
        """
        Return the advisories about a project.

        Raises:
            PolicyUnavailable: There is no database, or it cannot be read.
        """
        state = self._seen()
        if state is not None and state == self._state and (known := self._known.get(project)) is not None:
            self._known.move_to_end(project)
            return known
        found = await to_thread.run_sync(self._read, lambda connection: _advisories_of(connection, project))
        if state != self._state:
            self._known.clear()
            self._state = state
        self._known[project] = found
        while len(self._known) > _REMEMBERED_PROJECTS:
            self._known.popitem(last=False)
        return found

    async def loaded(self) -> Loaded:
        """
        Tell which state of which database this is.

        Raises:
            PolicyUnavailable: As `about`.
        """
        return await to_thread.run_sync(self.loaded_now)

    def loaded_now(self) -> Loaded:
        """Do what `loaded` does. Blocks."""
        return self._read(_loaded)

    def _seen(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _read(self, question: Callable[[sqlite3.Connection], _T]) -> _T:
        state = self._seen()
        if state is None:
            raise PolicyUnavailable("the policy asks for advisories, and none are loaded", hint=_HINT)
        try:
            with closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
                if self._checked != state:
                    _check(connection)
                    self._checked = state
                return question(connection)
        except (sqlite3.Error, msgspec.MsgspecError, ValueError, KeyError, TypeError) as error:
            raise PolicyUnavailable(f"the advisories cannot be read: {shown(error)}", hint=_HINT) from error


def _check(connection: sqlite3.Connection) -> None:
    """Look through the whole file once; a page that is not whole must not read as "no advisories"."""
    answers = [str(row[0]) for row in connection.execute("PRAGMA quick_check(1)")]
    if answers != ["ok"]:
        raise ValueError("; ".join(answers))
    about = _about(connection)
    if about.get("format") != _FORMAT:
        raise ValueError("they are of another version of this program")
    count = connection.execute("SELECT count(DISTINCT id) FROM advisories").fetchone()[0]
    if str(count) != about["records"]:
        raise ValueError(f"there are {count} in place of {about['records']}")


def _about(connection: sqlite3.Connection) -> Mapping[str, str]:
    return {str(key): str(value) for key, value in connection.execute("SELECT key, value FROM about")}


def _loaded(connection: sqlite3.Connection) -> Loaded:
    about = _about(connection)
    return Loaded(
        source=about["source"],
        loaded_at=about["loaded_at"],
        newest=about["newest"],
        records=int(about["records"]),
        projects=int(about["projects"]),
    )


def _advisories_of(connection: sqlite3.Connection, project: NormalizedName) -> tuple[Advisory, ...]:
    rows = connection.execute("SELECT content FROM advisories WHERE project = ? ORDER BY id", (project,))
    return tuple(_decoded(bytes(content)) for (content,) in rows)


def _decoded(content: bytes) -> Advisory:
    stored = _decode(content)
    return Advisory(
        id=stored.id,
        aliases=tuple(stored.aliases),
        summary=stored.summary,
        severity=Severity(stored.severity),
        score=stored.score,
        versions=tuple(stored.versions),
        ranges=tuple(tuple(Event(event.kind, event.version) for event in events) for events in stored.ranges),
    )
