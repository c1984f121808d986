"""Lock files of every kind say what is needed."""

import pytest

from wheelyard.errors import InvalidDocument
from wheelyard.protocol.pinned import FurtherFile, Pins, constrained, read_pins

A, B = "a" * 64, "b" * 64

REQUIREMENTS = f"""
# a comment, which ends here \\
--index-url https://x.example/simple/
Six==1.16.0 \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}
requests>=2,<3 ; python_version > "3.8"  # newest will do
attrs
-r other.txt
local @ file:///x/local.whl
!!!
"""
UV = f"""
version = 1
[[package]]
name = "six"
version = "1.16.0"
source = {{ registry = "https://x.example/simple" }}
sdist = {{ url = "https://x.example/six-1.16.0.tar.gz", hash = "sha256:{A}", size = 1 }}
wheels = [{{ url = "https://x.example/six-1.16.0%2Bl-py3-none-any.whl?q=1", hash = "sha256:{B}" }}]
[[package]]
name = "mine"
version = "0.1"
source = {{ git = "https://x.example/mine" }}
[[package]]
name = "the-locked-project-itself"
version = "0.1"
source = {{ editable = "." }}
"""
PYLOCK = f"""
lock-version = "1.0"
[[packages]]
name = "six"
version = "1.16.0"
sdist = {{ name = "six-1.16.0.tar.gz", url = "https://x.example/s", hashes = {{ sha256 = "{A}" }} }}
wheels = [{{ url = "https://x.example/six-1.16.0+l-py3-none-any.whl", hashes = {{ sha256 = "{B}" }} }}]
[[packages]]
name = "mine"
directory = {{ path = "." }}
"""
POETRY = f"""
[[package]]
name = "six"
version = "1.16.0"
files = [
    {{file = "six-1.16.0.tar.gz", hash = "sha256:{A}"}},
    {{file = "six-1.16.0+l-py3-none-any.whl", hash = "sha256:{B}"}},
]
[[package]]
name = "mine"
version = "0.1"
files = []
[package.source]
type = "directory"
url = "."
"""
PDM = f"""
[[package]]
name = "six"
version = "1.16.0"
files = [
    {{file = "six-1.16.0.tar.gz", hash = "sha256:{A}"}},
    {{file = "six-1.16.0+l-py3-none-any.whl", hash = "sha256:{B}"}},
]
[[package]]
name = "mine"
version = "0.1"
path = "./mine"
"""


def read(name: str, text: str) -> Pins:
    return read_pins(name, text.encode())


@pytest.mark.parametrize(
    ("name", "text"),
    [("uv.lock", UV), ("pylock.toml", PYLOCK), ("pylock.dev.toml", PYLOCK), ("poetry.lock", POETRY), ("pdm.lock", PDM)],
)
def test_locks(name: str, text: str) -> None:
    """A lock names files by name and digest; what comes from no index is passed over by name."""
    found = read(name, text)
    [pin] = found.pins
    assert (pin.project, str(pin.versions)) == ("six", "==1.16.0")
    assert pin.filenames == {"six-1.16.0.tar.gz", "six-1.16.0+l-py3-none-any.whl"}
    assert pin.digests == {A, B}
    assert found.passed_over == ("'mine' comes from no index",)


def test_requirements() -> None:
    """Requirements name releases, with hashes files; what cannot be followed is told."""
    found = read("requirements.txt", REQUIREMENTS)
    assert [(pin.project, str(pin.versions), len(pin.digests), pin.is_exact) for pin in found.pins] == [
        ("six", "==1.16.0", 2, True),
        ("requests", "<3,>=2", 0, False),
        ("attrs", "", 0, False),
    ]
    assert found.further == (FurtherFile("other.txt", constrains=False),)
    assert list(found.passed_over) == [
        "'local' comes from a URL, not from an index",
        "'!!!' is no requirement",
    ]


def test_wants() -> None:
    """Digests and names choose files; without them the release does."""
    six, requests, _ = read("requirements.txt", REQUIREMENTS).pins
    assert six.wants("anything", A, None)
    assert not six.wants("six-1.16.0.tar.gz", "c" * 64, "1.16.0")
    [locked] = read("uv.lock", UV).pins
    assert locked.wants("six-1.16.0.tar.gz", None, None)
    assert not locked.wants("six-1.16.0.tar.gz", "c" * 64, "1.16.0")
    assert requests.wants("requests-2.1.tar.gz", None, "2.1")
    assert not requests.wants("requests-3.0.tar.gz", None, "3.0")
    assert not requests.wants("requests-odd.tar.gz", None, "odd")


@pytest.mark.parametrize(("name", "content"), [("uv.lock", b"[[["), ("poetry.lock", b"\xff"), ("x.txt", b"\xff")])
def test_unreadable(name: str, content: bytes) -> None:
    """What is not of its format is refused by name."""
    with pytest.raises(InvalidDocument, match=name):
        read_pins(name, content)


@pytest.mark.parametrize(
    "text", ["package = 3", "[[package]]\nname = 3\nsource = {registry = 'x'}", "[package]\nx = 1"]
)
def test_odd_documents(text: str) -> None:
    """A lock of an unexpected shape says nothing, and breaks nothing."""
    assert read("uv.lock", text).pins == ()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-r other.txt", FurtherFile("other.txt", constrains=False)),
        ("-rother.txt", FurtherFile("other.txt", constrains=False)),
        ("--requirement=sub/other.txt  # why", FurtherFile("sub/other.txt", constrains=False)),
        ('-c "with space.txt"', FurtherFile("with space.txt", constrains=True)),
        ("--constraint \\\n  c.txt", FurtherFile("c.txt", constrains=True)),
        ("--require-hashes", None),
        ("--index-url=https://x.example/simple/", None),
        ("-c https://x.example/c.txt", "only files are read"),
        ("-e .", "comes from no index"),
        ("./local", "comes from no index"),
        ("https://x.example/six-1.0-py3-none-any.whl", "comes from no index"),
        ("--odd thing", "this option is not followed"),
    ],
)
def test_options(line: str, expected: FurtherFile | str | None) -> None:
    """Further files are named, options that name nothing are silent, and all else is told with the reason."""
    found = read("requirements.txt", line)
    assert found.pins == ()
    assert found.further == ((expected,) if isinstance(expected, FurtherFile) else ())
    assert len(found.passed_over) == isinstance(expected, str)
    assert expected is None or isinstance(expected, FurtherFile) or expected in found.passed_over[0]


def test_constraints() -> None:
    """Constraints narrow what is needed, and need nothing themselves."""
    needed = read("requirements.txt", "six>=1\nattrs").pins
    narrowed = constrained(needed, read("c.txt", "six<2\nsix!=1.5\nrequests==2").pins)
    assert [(pin.project, str(pin.versions)) for pin in narrowed] == [("six", "!=1.5,<2,>=1"), ("attrs", "")]


@pytest.mark.parametrize(("name", "text"), [("pyproject.toml", "[project]"), ("Pipfile.lock", '{"default": {}}')])
def test_other_formats(name: str, text: str) -> None:
    """A file of a format that is not read is refused, not taken for requirements."""
    with pytest.raises(InvalidDocument, match="is no requirements file"):
        read(name, text)
