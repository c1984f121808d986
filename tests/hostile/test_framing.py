"""Bodies whose framing lies: nothing is left behind, and the answer says so where one is possible."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostile.senders import MIB, chunked, form_of, head, is_published, say, send
from plugins.live import LiveServer
from wheelyard.testing.builders import SdistBuilder, WheelBuilder

# HTTP demands the close of the connection for some of these, and the answer may be lost with it (status 0).
REFUSED = {400, 0}


@pytest.fixture(scope="session")
def form(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """A form that would be welcome, larger than what one packet carries."""
    builder = WheelBuilder(files={"demo/data.bin": bytes(range(256)) * 2000}, method=0)
    return form_of(builder, tmp_path_factory.mktemp("framing"))


def lines(form: tuple[str, bytes], *further: str) -> tuple[str, ...]:
    return (f"Content-Type: {form[0]}", *further)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_body_that_ends_too_early(untouched: LiveServer, form: tuple[str, bytes], share: float) -> None:
    """A client that ends in the middle of what it announced has published nothing."""
    part = form[1][: int(len(form[1]) * share)]
    length = f"Content-Length: {len(form[1])}"
    answer = say(untouched, head(untouched, *lines(form, length)), part, then_leave=True)
    assert answer.status in REFUSED
    assert not is_published(untouched, "demo")


def test_chunks_that_end_too_early(untouched: LiveServer, form: tuple[str, bytes]) -> None:
    """A chunked body without its last chunk was not whole, even where the form in it was."""
    body = chunked(form[1], 10_000).removesuffix(b"0\r\n\r\n")
    answer = say(untouched, head(untouched, *lines(form, "Transfer-Encoding: chunked")), body, then_leave=True)
    assert answer.status in REFUSED
    assert not is_published(untouched, "demo")


def test_a_form_that_is_cut_off_in_its_chunks(untouched: LiveServer, form: tuple[str, bytes]) -> None:
    """UP-01: a chunked body that is whole, around a form that is not, gets 400 and says so."""
    body = chunked(form[1][:-100], 10_000)
    answer = say(untouched, head(untouched, *lines(form, "Transfer-Encoding: chunked")), body)
    assert answer.status == 400
    assert "cut off" in answer.text


def test_a_length_that_is_too_short(untouched: LiveServer, form: tuple[str, bytes]) -> None:
    """UP-01: a form that is longer than was announced is incomplete, and its rest is not taken for a request."""
    answer = say(untouched, head(untouched, *lines(form, f"Content-Length: {len(form[1]) - 300}")), form[1])
    assert answer.status == 400
    assert not is_published(untouched, "demo")


@pytest.mark.parametrize(
    "contradiction",
    [
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: -1",),
        ("Content-Length: +5",),
        ("Content-Length: 0x10",),
        ("Content-Length: 99999999999999999999999",),
        ("Content-Length: 5, 5",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: gzip",),
        ("Transfer-Encoding: chunked\r\n Content-Length: 3",),
    ],
    ids=["two", "negative", "plus", "hexadecimal", "huge", "list", "identity-last", "unknown", "folded"],
)
def test_lengths_that_contradict(
    untouched: LiveServer, form: tuple[str, bytes], contradiction: tuple[str, ...]
) -> None:
    """A length that two readers could read differently is refused, whatever the body is."""
    answer = say(untouched, head(untouched, *lines(form, *contradiction)), chunked(form[1], 5000))
    assert answer.status in REFUSED | {411, 413, 501}
    assert not is_published(untouched, "demo")


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\nhello\r\n",
        b"5\r\nhello-and-more\r\n",
        b"-5\r\nhello\r\n",
        b"FFFFFFFFFFFFFFFFFF\r\nx",
        b"5\nhello\n0\n\n",
    ],
    ids=["no number", "longer", "negative", "huge", "line feeds"],
)
def test_chunks_that_are_none(untouched: LiveServer, form: tuple[str, bytes], body: bytes) -> None:
    """A chunk whose size is none is refused."""
    answer = say(untouched, head(untouched, *lines(form, "Transfer-Encoding: chunked")), body, then_leave=True)
    assert answer.status in REFUSED
    assert not is_published(untouched, "demo")


@pytest.mark.parametrize("further", [f"X-Long: {'x' * 512 * 1024}", "\r\n".join(f"X-{n}: y" for n in range(20_000))])
def test_huge_heads(untouched: LiveServer, form: tuple[str, bytes], further: str) -> None:
    """A head without end is refused before the body is looked at."""
    answer = say(untouched, head(untouched, *lines(form, further, f"Content-Length: {len(form[1])}")))
    assert answer.status in (431, 400, 0)
    assert not is_published(untouched, "demo")


def test_a_stranger_sends_nothing_to_disk(untouched: LiveServer, form: tuple[str, bytes]) -> None:
    """Who may not upload is told so before the body is read: 401, and no byte of it is kept."""
    request = f"POST /legacy/ HTTP/1.1\r\nHost: {untouched.host}\r\nContent-Type: {form[0]}\r\nContent-Length: {64 * MIB}\r\n\r\n"
    answer = say(untouched, request, form[1][:1000])
    assert answer.status == 401


@pytest.mark.parametrize("size", [1, 17, 100_000])
def test_chunks_of_any_size_are_one_form(server: LiveServer, tmp_path: Path, size: int) -> None:
    """UP-01: a chunked upload is welcome, however it is cut: what is refused above is refused for its own fault."""
    name = f"chunks{size}"
    content_type, body = form_of(SdistBuilder(name=name), tmp_path)
    request = head(server, f"Content-Type: {content_type}", "Transfer-Encoding: chunked")
    assert say(server, request, chunked(body, size)).status == 200
    assert is_published(server, name)


def test_the_same_form_in_one_piece(server: LiveServer, tmp_path: Path) -> None:
    """UP-01: the form these tests begin with is welcome."""
    builder = WheelBuilder(name="framed", files={"framed/data.bin": bytes(range(256)) * 2000}, method=0)
    assert send(server, *form_of(builder, tmp_path)).status == 200
