"""Descriptions are rendered within limits, in a process that may be killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from wheelyard.ui.description import SOURCE_LIMIT, plain_text
from wheelyard.ui.readme import Descriptions

pytestmark = pytest.mark.anyio

MARKDOWN = "text/markdown"


@pytest.fixture
async def descriptions() -> AsyncIterator[Descriptions]:
    descriptions = Descriptions()
    yield descriptions
    await descriptions.close()


def process_of(descriptions: Descriptions) -> subprocess.Popen[bytes]:
    assert descriptions._worker is not None
    return descriptions._worker._process


async def test_a_description_is_rendered_once(descriptions: Descriptions) -> None:
    """What was rendered is remembered, also between readers who ask at the same moment."""
    results: list[str] = []

    async def ask() -> None:
        results.append(await descriptions.render("**x**", MARKDOWN))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(ask)
    process_of(descriptions).kill()

    assert await descriptions.render("**x**", MARKDOWN) == "<p><strong>x</strong></p>\n"
    assert results == ["<p><strong>x</strong></p>\n"] * 5
    assert len({id(result) for result in results}) == 1
    assert descriptions.remembered("**x**", MARKDOWN) == results[0]
    assert descriptions.remembered("**x**", "text/x-rst") is None


async def test_every_text_gets_its_own_answer(descriptions: Descriptions) -> None:
    """Answers are not mixed up, whatever their order and length."""
    found: dict[int, str] = {}

    async def ask(number: int) -> None:
        found[number] = await descriptions.render(f"n{number} " * (number * 50 + 1), MARKDOWN)

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(ask, number)

    assert all(html.startswith(f"<p>n{number} ") or html == "<p>n0</p>\n" for number, html in found.items())
    assert all(html.count(f"n{number}") == number * 50 + 1 for number, html in found.items())


@pytest.mark.slow
async def test_what_takes_too_long_is_plain_text() -> None:
    """A description that keeps its renderer busy is shown plain, the renderer is killed, and the next one is rendered."""
    descriptions = Descriptions(render_s=1.0)
    attack = "<div>" * 50_000  # half a minute on a fast machine: cleaning takes the square of the depth

    with capture_logs() as lines:
        html = await descriptions.render(attack, MARKDOWN)

    assert html == plain_text(attack)
    assert descriptions._worker is None
    assert [(line["log_level"], line["why"]) for line in lines] == [("warning", "took too long")]
    # Not tried again at once: every reader of that page would wait.
    assert descriptions.remembered(attack, MARKDOWN) == html
    descriptions._render_s = 30.0
    assert await descriptions.render("**y**", MARKDOWN) == "<p><strong>y</strong></p>\n"
    await descriptions.close()


async def test_a_renderer_that_ended_is_replaced(descriptions: Descriptions) -> None:
    """A renderer that has ended by itself is started again without anybody noticing."""
    await descriptions.render("first", MARKDOWN)
    process_of(descriptions).kill()
    process_of(descriptions).wait()

    assert await descriptions.render("**x**", MARKDOWN) == "<p><strong>x</strong></p>\n"


async def test_a_renderer_that_cannot_start_leaves_plain_text(
    descriptions: Descriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no process can be started, descriptions are plain text."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    with capture_logs() as lines:
        assert await descriptions.render("**x**", MARKDOWN) == plain_text("**x**")
    assert len(lines) == 1


def status(process: subprocess.Popen[bytes], name: str) -> str:
    return Path(f"/proc/{process.pid}/{name}").read_text(errors="replace")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_the_renderer_has_little(descriptions: Descriptions, monkeypatch: pytest.MonkeyPatch) -> None:
    """AU-05: the process that reads hostile text knows no secrets, has bounded memory and writes no files."""
    monkeypatch.setenv("WHEELYARD_TEST_SECRET", "hidden")
    await descriptions.render("x", MARKDOWN)

    process = process_of(descriptions)
    assert "hidden" not in status(process, "environ")
    limits = {line[:25].strip(): line[26:].split()[0] for line in status(process, "limits").splitlines()}
    assert limits["Max address space"] == str(1024**3)
    assert limits["Max file size"] == "0"


async def test_a_text_that_wants_all_memory_is_plain(descriptions: Descriptions) -> None:
    """Text that grows without bound while it is read is shown plain."""
    levels = "".join(f".. |a{n}| replace:: {f'|a{n - 1}| ' * 10}\n" for n in range(1, 12))
    text = ".. |a0| replace:: xxxxxxxxxx\n" + levels + "\n|a11|\n"

    started = time.monotonic()
    html = await descriptions.render(text, "text/x-rst")

    assert len(html) < 5 * 1024 * 1024
    assert time.monotonic() - started < 45


async def test_long_and_empty_texts_start_nothing(descriptions: Descriptions) -> None:
    """Nothing is started for a text that is not rendered anyway."""
    text = "x" * (SOURCE_LIMIT + 1)

    assert await descriptions.render(text, MARKDOWN) == plain_text(text)
    assert await descriptions.render(" \n", MARKDOWN) == plain_text(" \n")
    assert descriptions._worker is None


async def test_memory_is_bounded() -> None:
    """Only as much HTML is kept as there is room for, the last used first."""
    descriptions = Descriptions(remember_characters=250)
    for letter in "abc":
        await descriptions.render(letter * 100, MARKDOWN)

    assert [descriptions.remembered(letter * 100, MARKDOWN) is not None for letter in "abc"] == [False, True, True]
    await descriptions.render("d" * 1000, MARKDOWN)
    assert descriptions.remembered("d" * 1000, MARKDOWN) is None
    assert descriptions._room == 250
    await descriptions.close()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_renderer_ends_with_the_server() -> None:
    """A server that is killed leaves no process behind."""
    program = (
        "import anyio, os\n"
        "from wheelyard.ui.readme import Descriptions\n"
        "async def main():\n"
        "    descriptions = Descriptions()\n"
        "    await descriptions.render('x', 'text/markdown')\n"
        "    print(descriptions._worker._process.pid, flush=True)\n"
        "    os._exit(0)\n"
        "anyio.run(main)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)

    deadline = time.monotonic() + 20
    while _runs(int(done.stdout)):
        assert time.monotonic() < deadline
        os.sched_yield()


def _runs(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
