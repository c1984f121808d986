"""Descriptions and fields that attack the page they are shown on: the page is opened, and nothing of them is left but text."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from hostile.senders import MIB, form_of, measured_memory, send
from plugins.live import LiveServer
from ui.html_checks import HARMLESS_ATTRIBUTES, HARMLESS_TAGS, parse_strictly, walk
from ui.test_descriptions import ATTACKS, RST_ATTACKS
from wheelyard.testing.builders import SdistBuilder, WheelBuilder, form_fields, multipart_body

SECONDS = 20.0  # of a busy machine; the renderer has a limit of its own
MEMORY_MIB = 192.0  # a description of a few mebibytes as source, as HTML and as a page

MARKDOWN, RST = "text/markdown", "text/x-rst"

EXHAUSTING = {
    "deep quotes": (MARKDOWN, ">" * 50_000),
    "deep lists": (MARKDOWN, "".join(f"{'  ' * n}- x\n" for n in range(1000))),
    "brackets": (MARKDOWN, "[" * 50_000 + "]" * 50_000),
    "links in links": (MARKDOWN, "[a](" * 20_000),
    "emphasis": (MARKDOWN, "*_" * 50_000),
    "backticks": (MARKDOWN, "".join("`" * n + " " for n in range(1, 600))),
    "a wide table": (MARKDOWN, "|" + "a|" * 5000 + "\n|" + "-|" * 5000 + "\n" + ("|" + "b|" * 5000 + "\n") * 20),
    "open tags": (MARKDOWN, "<div>" * 50_000),
    "references": (MARKDOWN, "".join(f"[{n}]: https://x.example/{n}\n" for n in range(20_000)) + "[1] " * 20_000),
    "one line": (MARKDOWN, "x" * 3 * MIB),
    "rst sections": (RST, "".join(f"t{n}\n====\n\nx\n\n" for n in range(5000))),
    "rst substitutions": (RST, ".. |a| replace:: " + "x" * 1000 + "\n\n" + "|a| " * 20_000),
    "rst nesting": (RST, "".join(f"{'  ' * n}* x\n\n" for n in range(400))),
    "rst inline": (RST, "*a " * 30_000),
}


def publish(server: LiveServer, folder: Path, name: str, content_type: str, description: str) -> None:
    """Publish a wheel with a description in it, as bytes: none of it is the form's to refuse."""
    text = (
        f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\nDescription-Content-Type: {content_type}\n\n{description}"
    )
    path = WheelBuilder(name=name, metadata=text.encode("utf-8", "surrogatepass")).build(folder)
    fields = form_fields(path, description=None, description_content_type=content_type)
    answer = send(server, *multipart_body(fields, path.name, path.read_bytes()))
    assert answer.status == 200, answer.text[:500]


def open_page(server: LiveServer, name: str) -> Element:
    """Open a project's page as a browser does; any error of HTML's grammar fails."""
    answer = server.get(f"/project/{name}/", headers={"Accept": "text/html", "User-Agent": "Mozilla/5.0"})
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    return parse_strictly(answer.content)


def check_page(page: Element, *, has_readme: bool = False) -> None:
    """Fail when anything on the page came from a stranger and is more than text."""
    body = page.find("body")
    assert body is not None
    readmes = [each for each in walk(page) if each.get("class") == "readme"]
    assert len(readmes) == has_readme
    inside = {id(each) for readme in readmes for each in walk(readme) if each is not readme}
    for element in walk(page):
        for name, value in element.items():
            assert not name.startswith("on"), (element.tag, name)
            is_text = name in ("alt", "title", "content", "value", "aria-label")
            assert is_text or not re.match(r"[\s\0]*(javascript|data|vbscript):", value, re.IGNORECASE), (
                element.tag,
                name,
                value,
            )
        assert element.tag not in ("iframe", "object", "embed", "base", "style", "svg", "math", "marquee"), element.tag
        if element.tag == "script":
            assert element.get("src", "").startswith(("/static/", "../../static/")), element.get("src")
            assert not element.text
        if id(element) in inside:
            assert element.tag in HARMLESS_TAGS, element.tag
            assert set(element.keys()) <= HARMLESS_ATTRIBUTES, dict(element.items())
    assert [child.tag for child in page] == ["head", "body"]


def described(batch: int) -> Iterator[tuple[str, str, str]]:
    attacks = [(MARKDOWN, text) for text in ATTACKS.values()] + [(RST, text) for text in RST_ATTACKS.values()]
    attacks += [("text/html", text) for text in list(ATTACKS.values())[:5]]
    for number, (content_type, text) in enumerate(attacks):
        if number % 4 == batch:
            yield f"readme{number}", content_type, text


@pytest.mark.parametrize("batch", range(4))
def test_descriptions(server: LiveServer, tmp_path: Path, batch: int) -> None:
    """UI-01: a description that attacks the page is published, and the page shows it as something to read."""
    for name, content_type, text in described(batch):
        publish(server, tmp_path, name, content_type, f"first {text}\n\nbetween\n\n{text}\n\nlast")
        check_page(open_page(server, name), has_readme=True)


@pytest.mark.parametrize(("content_type", "text"), EXHAUSTING.values(), ids=EXHAUSTING)
def test_exhausting_descriptions(server: LiveServer, tmp_path: Path, content_type: str, text: str) -> None:
    """A description that takes its renderer for ever is shown in bounded time and memory, at worst as plain text."""
    name = f"slow{list(EXHAUSTING.values()).index((content_type, text))}"
    publish(server, tmp_path, name, content_type, text)
    start = time.monotonic()
    with measured_memory(server) as memory:
        check_page(open_page(server, name), has_readme=True)
    assert time.monotonic() - start < SECONDS
    assert memory.grown_mib < MEMORY_MIB


EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


def test_fields_of_the_metadata(server: LiveServer, tmp_path: Path) -> None:
    """Fields that hold markup, or links that do something, are shown as text and lead nowhere."""
    headers = [
        ("Summary", EVIL),
        ("Keywords", f"a,{EVIL}"),
        ("Author", EVIL),
        ("Author-email", f"{EVIL} <a@b.example>"),
        ("Maintainer", EVIL),
        ("License", EVIL),
        ("Home-page", "javascript:alert(1)"),
        ("Download-URL", "data:text/html,<script>alert(1)</script>"),
        ("Project-URL", "Home, javascript:alert(1)"),
        ("Project-URL", f"{EVIL[:20]}, https://x.example/{EVIL}"),
        ("Project-URL", "Source, java\tscript:alert(1)"),
        ("Classifier", f"Topic :: {EVIL}"),
        ("Platform", EVIL),
        ("Provides-Extra", "x"),
    ]
    builder = SdistBuilder(name="fields", metadata_version="2.1", headers=headers)
    answer = send(server, *form_of(builder, tmp_path))
    assert answer.status == 200, answer.text
    page = open_page(server, "fields")
    check_page(page)
    assert "alert(1)" in "".join(page.itertext())


def test_reasons(server: LiveServer, tmp_path: Path) -> None:
    """A reason to yank that holds markup is shown as text, on the page for people and in the index."""
    assert send(server, *form_of(WheelBuilder(name="yanked"), tmp_path)).status == 200
    path = f"/api/v1/indexes/{server.index}/projects/yanked/yank"
    assert server.request("POST", path, body={"version": "1.0", "reason": EVIL}).status_code == 200
    check_page(open_page(server, "yanked"))
    index = parse_strictly(server.get("/simple/yanked/", headers={"Accept": "text/html"}).content)
    assert {each.tag for each in walk(index)} <= {"html", "head", "meta", "title", "body", "h1", "a", "br"}
    assert [each.get("data-yanked") for each in walk(index) if each.tag == "a"] == [EVIL]
