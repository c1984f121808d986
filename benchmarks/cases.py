"""What is asked: the requests of each case, made from what a server itself lists."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from benchmarks.corpus import INDEX, Corpus
from benchmarks.ours import READ_SECRET, sampled
from benchmarks.place import BenchError
from benchmarks.running import Subject
from benchmarks.web import HTML, JSON, Connection, Link, basic, links
from benchmarks.wrk import Request

_SEED = 20_240_517
_PATHS_OF_PEERS = 10  # enough to be no single path, few enough for those that take a second for each
_ACCEPT = {"html": HTML, "json": JSON, "zstd": HTML}
_CODING = {"gzip": "gzip", "zstd": "zstd"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One server, about one corpus."""

    subject: Subject
    corpus: Corpus

    @property
    def projects(self) -> Sequence[str]:
        """The ordinary projects that are asked for, in an order that is nobody's, the same for all."""
        names = list(sampled(self.corpus))
        random.Random(_SEED).shuffle(names)
        return names if self.is_fast else names[:_PATHS_OF_PEERS]

    @property
    def is_fast(self) -> bool:
        """Whether it can be asked for many pages before anything is timed."""
        return self.subject.key in ("ours", "nginx", "nginx-2")

    def headers(self, representation: str, coding: str = "") -> Mapping[str, str]:
        """Return the headers of a request."""
        chosen = {"Accept": _ACCEPT[representation], **self.subject.headers}
        return {**chosen, "Accept-Encoding": coding} if coding else chosen


@dataclass(frozen=True, slots=True)
class Case:
    """
    One thing that is asked again and again.

    Attributes:
        key: Its name.
        title: Its name for people.
        make: Makes the requests for one server.
        representation: Which of its origins is asked: `html`, `json` or `zstd`.
        status: What is answered.
        peers: Whether other indexes are asked too.
    """

    key: str
    title: str
    make: Callable[[Asked], Sequence[Request]]
    representation: str = "html"
    status: int = 200
    peers: bool = True


def pages(representation: str) -> Callable[[Asked], Sequence[Request]]:
    """Return what asks for pages of ordinary projects."""

    def make(asked: Asked) -> Sequence[Request]:
        headers = asked.headers(representation)
        return [Request(asked.subject.page(project), headers) for project in asked.projects]

    return make


def wide_page(representation: str, coding: str = "") -> Callable[[Asked], Sequence[Request]]:
    """Return what asks for the page of the project with many files."""

    def make(asked: Asked) -> Sequence[Request]:
        return [Request(asked.subject.page(asked.corpus.manifest.wide), asked.headers(representation, coding))]

    return make


def project_list(representation: str) -> Callable[[Asked], Sequence[Request]]:
    """Return what asks for the list of projects."""
    return lambda asked: [Request(asked.subject.simple, asked.headers(representation))]


def unchanged(asked: Asked) -> Sequence[Request]:
    """Ask for pages with the entity tag they have."""
    found = []
    with Connection(asked.subject.origin() or "", asked.subject.headers) as connection:
        for project in asked.projects:
            path = asked.subject.page(project)
            headers = asked.headers("html")
            etag = connection.get_ok(path, headers).headers.get("etag")
            if etag is None:
                raise BenchError("no entity tag on pages")
            found.append(Request(path, {**headers, "If-None-Match": etag}))
    return found


def wheels(asked: Asked) -> Sequence[Request]:
    """Ask for one small wheel of each ordinary project."""
    return [Request(link.path, dict(asked.subject.headers)) for link in _first_wheels(asked)]


def metadata(asked: Asked) -> Sequence[Request]:
    """Ask for the core metadata of the same wheels."""
    found = [link for link in _first_wheels(asked) if link.metadata]
    if not found:
        raise BenchError("pages offer no metadata files")
    return [Request(f"{link.path}.metadata", dict(asked.subject.headers)) for link in found]


def callers(count: int) -> Callable[[Asked], Sequence[Request]]:
    """Return what asks for pages as very many callers, each with an `Authorization` header of its own."""

    def make(asked: Asked) -> Sequence[Request]:
        if not asked.subject.headers:
            return pages("html")(asked)
        projects = asked.projects
        return [
            Request(asked.subject.page(projects[number % len(projects)]), {"Accept": HTML, "Authorization": header})
            for number, header in enumerate(authorizations(count))
        ]

    return make


def authorizations(count: int) -> list[str]:
    """Return right `Authorization` headers that all differ: capitals count in neither scheme nor user name."""
    found = []
    for letters in product(*((letter.lower(), letter.upper()) for letter in f"basic{INDEX}")):
        scheme, user = "".join(letters[:5]), "".join(letters[5:])
        found.append(basic(user, READ_SECRET, scheme=scheme))
        if len(found) == count:
            break
    return found


def _first_wheels(asked: Asked) -> list[Link]:
    representation = "html" if asked.subject.origin("html") else "json"
    found = []
    with Connection(asked.subject.origin(representation) or "", asked.subject.headers) as connection:
        for project in asked.projects:
            path = asked.subject.page(project)
            listed = links(connection.get_ok(path, asked.headers(representation)), path)
            found.append(next(link for link in listed if "-1.0.0-py3-none-any.whl" in link.filename))
    return found


def many_callers(count: int) -> Case:
    """Return the case of so many callers."""
    return Case("callers", f"page of 10 files, HTML, {count:,} callers", callers(count), peers=False)


CASES: tuple[Case, ...] = (
    Case("page-html", "page of 10 files, HTML", pages("html")),
    Case("page-json", "page of 10 files, JSON", pages("json"), representation="json"),
    Case("unchanged", "page not changed (304)", unchanged, status=304),
    Case("metadata", "`.metadata`", metadata),
    Case("wheel", "wheel of 5 kB", wheels),
    Case("wide-html", "page of 5,000 files, HTML", wide_page("html")),
    Case("wide-gzip", "page of 5,000 files, HTML, gzip", wide_page("html", "gzip")),
    Case("wide-zstd", "page of 5,000 files, HTML, zstd", wide_page("zstd", "zstd"), representation="zstd", peers=False),
    Case("list-160", "list of 160 projects, HTML", project_list("html")),
)

LARGER_CASES: Mapping[str, tuple[Case, ...]] = {
    "2000": (
        Case("page-2000", "page of 15 files among 2,000 projects, HTML", pages("html")),
        Case("list-2000", "list of 2,000 projects, HTML", project_list("html")),
    ),
    "20000": (
        Case("page-20000", "page of 10 files among 20,000 projects, HTML", pages("html")),
        Case("list-20000", "list of 20,000 projects, HTML", project_list("html")),
        Case("list-json-20000", "list of 20,000 projects, JSON", project_list("json"), representation="json"),
    ),
}
