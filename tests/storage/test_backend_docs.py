"""The reference of the interface is what the docstrings say; `WHEELYARD_UPDATE_DOCS=1` writes it."""

import dataclasses
import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from wheelyard.storage import interface
from wheelyard.storage.interface import Backend, BackendContext, Changes, PutOutcome, Record, StoredFile, Traits
from wheelyard.storage.plugins import BackendPlugin, installed_backends, load_backend
from wheelyard.testing.conformance_parts import SuiteParts

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = DOCS / "reference/backends.md"
MARK = re.compile(r"(?<=-->\n).*", re.DOTALL)
VALUES = (Record, Changes, StoredFile, Traits, BackendContext, BackendPlugin)


def methods() -> dict[str, object]:
    """The public methods of the port, in the order of the source."""
    return {name: member for name, member in vars(Backend).items() if not name.startswith("_")}


def rendered() -> str:
    """The reference as Markdown."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join([*render_methods(), *render_values()]))


def render_methods() -> Iterator[str]:
    for name, member in methods().items():
        function = member.fget if isinstance(member, property) else member
        assert inspect.isfunction(function)
        text = inspect.getdoc(function)
        assert text is not None
        needed = "" if name in Backend.__abstractmethods__ else " (optional)"
        yield f"\n### `{name}`{needed}\n\n```python\n{signature(name, member, function)}\n```\n"
        yield from render_docstring(text)


def signature(name: str, member: object, function: object) -> str:
    assert callable(function)
    written = str(inspect.signature(function)).replace("'", "")  # annotations are kept as text
    if isinstance(member, property):
        return f"{name}: {written.rpartition('-> ')[2]}"
    return f"{'async def' if inspect.iscoroutinefunction(function) else 'def'} {name}{written}"


def render_values() -> Iterator[str]:
    for cls in VALUES:
        text = inspect.getdoc(cls)
        assert text is not None
        fields = ", ".join(f"{field.name}: {field.type}" for field in dataclasses.fields(cls))
        yield f"\n### `{cls.__name__}`\n\n```python\n{cls.__name__}({fields})\n```\n"
        yield from render_docstring(text)


def render_docstring(text: str) -> Iterator[str]:
    """Turn sections into lists; the rest is Markdown already."""
    for line in text.splitlines():
        section = re.fullmatch(r"(Args|Returns|Raises|Attributes|Yields):", line)
        item = re.fullmatch(r"    (\w+): (.*)", line)
        if section:
            yield f"\n{section[1]}:\n"
        elif item:
            yield f"- `{item[1]}`: {item[2]}"
        else:
            yield re.sub(r"^    (?=\S)", "", line).replace("        ", "  ")


def test_the_reference_is_what_the_docstrings_say() -> None:
    """Every method and value of the port is in the reference, word for word."""
    text = REFERENCE.read_text()
    expected = MARK.sub(lambda _: rendered() + "\n", text)
    if os.environ.get("WHEELYARD_UPDATE_DOCS"):
        REFERENCE.write_text(expected)
    assert text == expected, "write it with WHEELYARD_UPDATE_DOCS=1"
    for name in methods():
        assert f"### `{name}`" in text


@pytest.mark.parametrize("name", [name for name in ("file_system", "github", "memory") if name in installed_backends()])
def test_every_option_is_documented(name: str) -> None:
    """Each built-in backend and each of its options has its line in the reference and in its class's docstring."""
    text = REFERENCE.read_text()
    options = load_backend(name).options
    assert f"## `{name}`" in text
    for field in dataclasses.fields(options):
        assert f"| `{field.name}` |" in text
        assert f"    {field.name}: " in (inspect.getdoc(options) or "")


def test_the_guide_names_what_authors_need() -> None:
    """The methods that have no default, the knobs of the suite, the outcomes and the errors are in the guide."""
    guide = (DOCS / "guides/write-a-backend.md").read_text()
    knobs = [name for name in vars(SuiteParts).get("__annotations__", {}) if not name.startswith("_")]
    assert len(knobs) == 3
    for word in (*Backend.__abstractmethods__ - {"traits"}, *knobs, "second_backend", "leftovers", "KeyNotFound",
                 "Conflict", "RecordDamaged", *PutOutcome.__members__):  # fmt: skip
        assert f"`{word}`" in guide or f"`{word} =" in guide, word


def test_every_error_of_the_port_exists() -> None:
    """A docstring names only errors that exist."""
    from wheelyard import errors  # noqa: PLC0415

    named = {
        match
        for member in methods().values()
        for match in re.findall(r"^ {4}([A-Z]\w+): ", inspect.getdoc(member) or "", re.MULTILINE)
    }
    assert named
    for name in named:
        assert hasattr(errors, name) or hasattr(interface, name), name
