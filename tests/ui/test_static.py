"""Static files and the looks of the pages."""

from __future__ import annotations

import hashlib
import re

import pytest

from wheelyard.ui.static import static_file, static_name


@pytest.mark.parametrize("name", ["style.css", "icon.svg"])
def test_the_name_holds_the_digest(name: str) -> None:
    """A file is served under a name that changes with its content, to be kept for ever."""
    file = static_file(static_name(name))

    assert file is not None
    assert hashlib.sha256(file.content).hexdigest()[:16] in file.name
    headers = dict(file.headers)
    assert b"immutable" in headers[b"cache-control"]
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"content-type"].startswith({"c": b"text/css", "s": b"image/svg+xml"}[name.split(".")[1][0]])


@pytest.mark.parametrize("name", ["style.css", "../pages.py", "", "style.0000000000000000.css", "__init__.py"])
def test_no_other_name_is_served(name: str) -> None:
    """Only names that pages refer to are answered; nothing else of the package can be read."""
    assert static_file(name) is None


def stylesheet() -> str:
    file = static_file(static_name("style.css"))
    assert file is not None
    return file.content.decode()


def test_the_stylesheet_asks_nobody_else() -> None:
    """No stylesheet, font or picture comes from another site."""
    assert not re.search(r"url\(|@import|@font-face", stylesheet())


def test_no_look_of_the_page_can_be_borrowed() -> None:
    """Classes of the page are longer than those a description may use, or stand inside the description."""
    outside = [line for line in stylesheet().splitlines() if not line.startswith(".readme ")]
    classes = re.findall(r"\.([a-z][a-z-]*)(?=[ ,:>{.\[])", "\n".join(outside))

    assert len(classes) > 20
    assert [name for name in classes if len(name) <= 3 or "alert" in name or name in {"note", "warning", "error"}] == []


def colours(scheme: str) -> dict[str, str]:
    blocks = re.findall(r":root \{(.*?)\}", stylesheet(), re.DOTALL)
    chosen = {"light": blocks[:1], "dark": blocks[:2]}[scheme]
    return {name: value for block in chosen for name, value in re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block)}


def luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


TEXT_ON = [
    *((text, ground) for text in ("text", "muted", "accent") for ground in ("page", "surface", "sunken")),
    ("accent-text", "accent"),
    ("text", "warning-surface"),
    ("warning", "warning-surface"),
    ("error", "error-surface"),
    *((f"code-{kind}", "sunken") for kind in ("comment", "keyword", "string", "number", "name")),
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXT_ON)
def test_text_can_be_read(scheme: str, text: str, ground: str) -> None:
    """Every text has the contrast of WCAG 2 AA, on light screens and on dark ones."""
    found = colours(scheme)

    assert contrast(found[text], found[ground]) >= 4.5
