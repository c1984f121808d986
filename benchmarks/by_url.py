"""Any running index, measured by its URL: what can be asked is found in its own pages."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.figures import Row
from benchmarks.place import BenchError
from benchmarks.web import HTML, JSON, Connection, Link, basic, links
from benchmarks.wrk import Request, prepared, rate

_PROJECTS = 100  # looked at; a sample drawn anew gives the same ones
_SEED = 20_240_517
_SMALL_FILE_BYTES = 64 * 1024
_SUBJECT = "index"


@dataclass(frozen=True, slots=True)
class Seen:
    """
    One project page of the index.

    Attributes:
        path: Its path.
        size: Bytes of its body.
        etag: Its entity tag, if it has one.
        files: What it links.
    """

    path: str
    size: int
    etag: str | None
    files: tuple[Link, ...]


def measure(url: str, user: str, password: str, *, rounds: int, seconds: int, say: Callable[[str], None]) -> list[Row]:
    """
    Measure an index.

    Args:
        url: Of the index (`https://host/simple/`), or of its server.
        user: User name; "" sends no credentials.
        password: Password.
        rounds: Rounds.
        seconds: Seconds of one measurement.
        say: Told what is being done.
    Raises:
        BenchError: There is no index.
    """
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    credentials = {"Authorization": basic(user, password)} if user or password else {}
    with Connection(origin, credentials) as connection:
        simple = _simple_path(connection, parts.path)
        listed = connection.get_ok(simple, {"Accept": f"{JSON}, {HTML};q=0.5"})
        projects = [link.path for link in links(listed, simple)]
        if not projects:
            raise BenchError(f"'{simple}' lists no projects")
        say(f"{len(projects):,} projects at {origin}{simple}")
        chosen = random.Random(_SEED).sample(projects, min(_PROJECTS, len(projects)))
        pages = [_seen(connection, path) for path in chosen]
        cases = _cases(connection, simple, pages, credentials)
    return [_measured(origin, title, *case, rounds, seconds, say) for title, case in cases.items()]


def _simple_path(connection: Connection, path: str) -> str:
    """Return the path of the list: the given one, or `simple/` below it."""
    base = path if path.endswith("/") else f"{path}/"
    for candidate in (base, f"{base}simple/", f"{base}+simple/"):
        answer = connection.get(candidate, {"Accept": f"{JSON}, {HTML};q=0.5"})
        if answer.status == 401:  # noqa: PLR2004  the status itself
            raise BenchError(f"'{candidate}' wants credentials: pass --user and --password")
        is_list = answer.status == 200 and (  # noqa: PLR2004  as above
            b'"projects"' in answer.body or b"simple" in answer.body.lower()
        )
        if is_list and (candidate.endswith("simple/") or "json" in answer.headers.get("content-type", "")):
            return candidate
    raise BenchError(f"no list of projects at '{base}' or '{base}simple/'")


def _seen(connection: Connection, path: str) -> Seen:
    answer = connection.get_ok(path, {"Accept": f"{JSON}, {HTML};q=0.5"})
    as_html = connection.get_ok(path, {"Accept": HTML})
    return Seen(path, len(as_html.body), as_html.headers.get("etag"), tuple(links(answer, path)))


def _cases(
    connection: Connection, simple: str, pages: Sequence[Seen], credentials: Mapping[str, str]
) -> dict[str, tuple[list[Request], int]]:
    """Return requests and the status they get, by title."""
    ordered = sorted(pages, key=lambda page: page.size)
    small, largest = ordered[: max(1, len(ordered) // 2)], ordered[-1]
    html, as_json = {"Accept": HTML, **credentials}, {"Accept": JSON, **credentials}
    cases = {
        "list, HTML": ([Request(simple, html)], 200),
        "smaller pages, HTML": ([Request(page.path, html) for page in small], 200),
        f"largest page seen ({len(largest.files):,} files), HTML": ([Request(largest.path, html)], 200),
        f"largest page seen ({len(largest.files):,} files), gzip": (
            [Request(largest.path, {**html, "Accept-Encoding": "gzip"})],
            200,
        ),
    }
    if "json" in connection.get(small[0].path, {"Accept": JSON}).headers.get("content-type", ""):
        cases["smaller pages, JSON"] = ([Request(page.path, as_json) for page in small], 200)
        cases["list, JSON"] = ([Request(simple, as_json)], 200)
    tagged = [Request(page.path, {**html, "If-None-Match": page.etag}) for page in small if page.etag]
    if tagged and connection.get(tagged[0].path, tagged[0].headers).status == 304:  # noqa: PLR2004  the status itself
        cases["page not changed (304)"] = (tagged, 304)
    files = [next((f for f in page.files if (f.size or 0) <= _SMALL_FILE_BYTES), None) for page in small]
    here = [file for file in files if file is not None and file.path.startswith("/")]
    if here:
        cases["small files"] = ([Request(file.path, credentials) for file in here], 200)
    if described := [file for file in here if file.metadata]:
        cases["`.metadata`"] = ([Request(f"{file.path}.metadata", credentials) for file in described], 200)
    return cases


def _measured(
    origin: str,
    title: str,
    requests: list[Request],
    status: int,
    rounds: int,
    seconds: int,
    say: Callable[[str], None],
) -> Row:
    row = Row(title, title, "", "requests/s")
    with tempfile.TemporaryDirectory() as work:
        try:
            load, _ = prepared(origin, requests, Path(work) / "requests.txt", status=status)
            for number in range(rounds):
                row.add(_SUBJECT, number, rate(load, seconds))
        except (BenchError, OSError) as error:
            row.notes[_SUBJECT] = str(error)
    spread = row.spread(_SUBJECT)
    if spread is None:
        say(f"  {title}: {row.notes[_SUBJECT]}")
    else:
        say(f"  {title}: {spread.middle:,.0f} requests/s ({spread.low:,.0f} to {spread.high:,.0f})")
    return row
