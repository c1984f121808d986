"""Every error becomes one answer: a status from the table, and a text that gives nothing away."""

from __future__ import annotations

import errno
import inspect
import os
from collections.abc import Iterator

import msgspec
import pytest

from wheelyard import errors
from wheelyard.errors import (
    ConfigError,
    CredentialsMissing,
    Draining,
    FileExists,
    InvalidUpload,
    MethodNotAllowed,
    NotAcceptable,
    ProjectNotFound,
    StorageFull,
    UploadProblem,
    WheelyardError,
)
from wheelyard.server.answers import Answer
from wheelyard.server.problems import STATUS, page_problem, problem, status_of, upload_problem
from wheelyard.storage.wrapping import storage_error


def tree(root: type[WheelyardError] = WheelyardError) -> Iterator[type[WheelyardError]]:
    """List every class of our errors, the root first."""
    yield root
    for child in root.__subclasses__():
        if child.__module__.startswith(errors.__name__):
            yield from tree(child)


EVERY = sorted(set(tree()), key=lambda each: each.__name__)


def header(answer: Answer, name: bytes) -> bytes | None:
    return next((value for key, value in answer.headers if key == name), None)


def example(error: type[WheelyardError]) -> WheelyardError:
    """Make an error of any class, each argument filled with text that shows where it ends up."""
    arguments: dict[str, object] = {}
    for name, parameter in inspect.signature(error).parameters.items():
        if parameter.default is not inspect.Parameter.empty:
            continue
        annotation = str(parameter.annotation)
        if "UploadProblem" in annotation:
            arguments[name] = [UploadProblem("name", "invalid-name", "wrong")]
        elif "Sequence" in annotation or "Iterable" in annotation:
            arguments[name] = ["GET"]
        elif "int" in annotation:
            arguments[name] = 5
        else:
            arguments[name] = f"<{name}>"
    return error(**arguments)  # type: ignore[arg-type]  # each class takes its own evidence


@pytest.mark.parametrize("error", EVERY, ids=lambda each: each.__name__)
def test_every_error_has_a_status(error: type[WheelyardError]) -> None:
    """The table knows the code of every error, and nothing is an accident: only what is our fault is 500."""
    assert error.code in STATUS
    assert 400 <= STATUS[error.code] <= 599


def test_no_status_without_error() -> None:
    """The table has no line that belongs to no error."""
    assert set(STATUS) == {error.code for error in EVERY}


def test_one_code_each() -> None:
    """No two errors share a code, unless one is the root of the other."""
    codes = [error.code for error in EVERY]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("error", EVERY, ids=lambda each: each.__name__)
def test_every_body(error: type[WheelyardError]) -> None:
    """UP-21, RFC 9457: each error has all three bodies, whose length is told and which no cache keeps."""
    made = example(error)
    for answer in (problem(made), upload_problem(made, accept=None), page_problem(made, b"<p>")):
        assert answer.status == STATUS[error.code]
        assert isinstance(answer.body, bytes)
        assert header(answer, b"content-length") == b"%d" % len(answer.body)
        assert header(answer, b"cache-control") == b"no-store"
        assert header(answer, b"x-content-type-options") == b"nosniff"
        assert answer.reason
        assert b"\n" not in answer.reason
    document = msgspec.json.decode(problem(made).body)  # type: ignore[arg-type]
    assert document["code"] == error.code
    assert document["status"] == STATUS[error.code]
    assert document["type"].endswith(error.code)


def test_media_types() -> None:
    """UP-21: exactly `application/problem+json`, which uv compares as a whole; uploads get `application/json` or text."""
    error = ProjectNotFound("x")
    assert header(problem(error), b"content-type") == b"application/problem+json"
    assert header(upload_problem(error, accept="application/json;q=0.9"), b"content-type") == b"application/json"
    assert header(upload_problem(error, accept="*/*"), b"content-type") == b"text/plain; charset=utf-8"


def test_challenge() -> None:
    """AU-01: 401, and only 401, has a challenge."""
    for error in EVERY:
        challenge = header(problem(example(error)), b"www-authenticate")
        assert (challenge is not None) == (STATUS[error.code] == 401)


def test_retry() -> None:
    """What may work in a moment says when: 503 has `Retry-After`."""
    for error in EVERY:
        retry = header(problem(example(error)), b"retry-after")
        assert (retry is not None) == (STATUS[error.code] == 503)


def test_allow() -> None:
    """RFC 9110: 405 of an address names the methods it takes."""
    answer = problem(MethodNotAllowed("PUT", "/x", allowed=("GET", "HEAD")))
    assert header(answer, b"allow") == b"GET, HEAD"


def test_draining_closes() -> None:
    """A server that stops asks clients to come on another connection."""
    assert header(problem(Draining()), b"connection") == b"close"


def test_all_problems() -> None:
    """UP-23: an upload with several faults names each, in the text and one by one."""
    error = InvalidUpload([UploadProblem("name", "a", "first"), UploadProblem("version", "b", "second")])
    document = msgspec.json.decode(upload_problem(error, accept="application/json").body)  # type: ignore[arg-type]
    assert document["code"] == "400 first; second"
    assert [each["field"] for each in document["problems"]] == ["name", "version"]


def test_exists_words() -> None:
    """UP-31: the words that clients look for come first, in reason and body."""
    answer = upload_problem(FileExists("x-1.0.tar.gz", digest="0" * 64), accept=None)
    assert answer.status == 409
    assert answer.reason is not None
    assert answer.reason.startswith(b"File already exists ('x-1.0.tar.gz', with")


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x", "\x00\x1b[31m", "\u2028", "é" * 1000, "\ud800"])
def test_clean(value: str) -> None:
    """UP-22: what a sender wrote cannot break a line of the head, nor make it long."""
    for error in (ProjectNotFound(value), NotAcceptable(value, ()), MethodNotAllowed(value, value, allowed=("GET",))):
        answer = problem(error)
        assert answer.reason is not None
        assert len(answer.reason) <= 500
        assert all(32 <= byte < 127 or byte >= 160 for byte in answer.reason)
        msgspec.json.decode(answer.body)  # type: ignore[arg-type]


def test_storage_says_no_more() -> None:
    """Rule 2 of the errors: keys and stores stay in the log, not in what strangers read."""
    error = StorageFull(store="secret-store", key="simple/x/y")
    assert b"secret-store" not in problem(error).body  # type: ignore[operator]
    for number in (errno.EIO, errno.EACCES, errno.EMFILE, errno.ENOENT):
        raw = OSError(number, os.strerror(number), "/srv/wheelyard/cache/main/x")
        assert b"/srv/" not in problem(storage_error(raw, store="main", key="simple/x/y")).body  # type: ignore[operator]


def test_unknown_error() -> None:
    """An error whose code is not in the table is our fault: 500."""

    class Unforeseen(WheelyardError):
        code = "unforeseen"

    assert status_of(Unforeseen("x")) == 500


def test_config_lists_all() -> None:
    """A wrong configuration names every mistake, a line each."""
    assert str(ConfigError(["a", "b"])) == "a\nb"


def test_missing_names_index() -> None:
    """Whoever forgot credentials reads which index wants them."""
    assert "index 'main'" in CredentialsMissing("main").message
