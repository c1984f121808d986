"""`wheelyard warm`: what lock files name is fetched, and a server without a network serves it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wheelyard.testing.fake_upstream import Answer, FakeUpstream, UpstreamFile

pytestmark = pytest.mark.slow

Run = Callable[..., Any]

SDIST = UpstreamFile(filename="six-1.0.tar.gz", content=b"sdist of six")
WHEEL = UpstreamFile(filename="six-1.0-py3-none-any.whl", content=b"wheel of six", metadata=b"Metadata-Version: 2.1\n")
OLD = UpstreamFile(filename="six-0.9.tar.gz", content=b"old")
BETA = UpstreamFile(filename="six-2.0b1.tar.gz", content=b"beta")
YANKED = UpstreamFile(filename="six-1.5.tar.gz", content=b"yanked", yanked="leaks")
ALL = (SDIST, WHEEL, OLD, BETA, YANKED)


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as fake:
        fake.offer("six", *ALL)
        yield fake


@pytest.fixture
def root(tmp_path: Path, upstream: FakeUpstream) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "config.toml").write_text(
        '[main]\ntype = "file_system"\nread_secret = "r"\nwrite_secret = "w"\n'
        f'[upstream.one]\nurl = "{upstream.root}"\n'
    )
    return folder


def kept(root: Path) -> set[str]:
    return {path.name for path in (root / "cache" / "upstream" / "one" / "storage").rglob("six-*")}


CASES = {
    "exact": ("six==1.0\n", {SDIST.filename, WHEEL.filename}),
    "one hash": (f"six==1.0 --hash=sha256:{SDIST.sha256}\n", {SDIST.filename}),
    "newest": ("six\n", {SDIST.filename, WHEEL.filename}),
    "below": ("six<1\n", {OLD.filename}),
    "yanked but pinned": ("six==1.5\n", {YANKED.filename}),
    "beta but pinned": ("six==2.0b1\n", {BETA.filename}),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_requirements(run: Run, root: Path, tmp_path: Path, text: str, expected: set[str]) -> None:
    """The files that a requirement names are fetched, and no others."""
    (tmp_path / "requirements.txt").write_text(text)
    done = run("warm", "requirements.txt", "--root", str(root))
    assert (done.code, done.err) == (0, "")
    assert kept(root) == expected
    assert f"{len(expected)} files fetched" in done.out


def test_again(run: Run, root: Path, tmp_path: Path, upstream: FakeUpstream) -> None:
    """What is here already is not fetched again."""
    (tmp_path / "requirements.txt").write_text("six==1.0\n")
    run("warm", "requirements.txt", "--root", str(root))
    done = run("warm", "requirements.txt", "--root", str(root))
    assert "0 files fetched (0.0 kB), 2 were here" in done.out
    assert upstream.asked(SDIST.path) == upstream.asked(WHEEL.path) == 1


def test_lock_and_patterns(run: Run, root: Path, tmp_path: Path) -> None:
    """Of a lock only files that match are fetched, when patterns are given; with their metadata."""
    (tmp_path / "uv.lock").write_text(
        '[[package]]\nname = "six"\nversion = "1.0"\nsource = { registry = "https://x.example/simple" }\n'
        f'sdist = {{ url = "https://x.example/{SDIST.filename}", hash = "sha256:{SDIST.sha256}" }}\n'
        f'wheels = [{{ url = "https://x.example/{WHEEL.filename}", hash = "sha256:{WHEEL.sha256}" }}]\n'
    )
    done = run("warm", "uv.lock", "--root", str(root), "--files", "*.whl")
    assert (done.code, kept(root)) == (0, {WHEEL.filename})


def test_files_that_name_each_other(run: Run, root: Path, tmp_path: Path) -> None:
    """`-r` and `-c` are followed, relative to the file that names them, each once; constraints narrow."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "requirements.txt").write_text("-r sub/base.txt\n-c sub/constraints.txt\n")
    (tmp_path / "sub" / "base.txt").write_text("-r ../requirements.txt\nsix\n")
    (tmp_path / "sub" / "constraints.txt").write_text("six<1\nseven==1.0\n")
    done = run("warm", "requirements.txt", "--root", str(root))
    assert (done.code, done.err, kept(root)) == (0, "", {OLD.filename})
    (tmp_path / "sub" / "base.txt").write_text("-r missing.txt\n")
    done = run("warm", "requirements.txt", "--root", str(root))
    assert done.code == 2
    assert "'sub/missing.txt', which 'sub/base.txt' names, cannot be read" in done.err


def test_plain_lines(run: Run, root: Path, tmp_path: Path) -> None:
    """Without a terminal each fetched file is a line, and one that two files ask for is fetched once."""
    (tmp_path / "one.txt").write_text("six==1.0\n")
    (tmp_path / "two.txt").write_text("six>=0.9\n")
    done = run("warm", "one.txt", "two.txt", "--root", str(root))
    assert sorted(done.out.splitlines()[:-1]) == [
        f"fetched {WHEEL.filename} (0.0 kB)",
        f"fetched {SDIST.filename} (0.0 kB)",
    ]
    assert done.out.splitlines()[-1] == "2 files fetched (0.0 kB), 0 were here"


def test_lock_of_other_bytes(run: Run, root: Path, tmp_path: Path) -> None:
    """A locked file that has another digest at the upstream is trouble; one that is not offered is told, and none."""
    (tmp_path / "poetry.lock").write_text(
        '[[package]]\nname = "six"\nversion = "1.0"\nfiles = [\n'
        f'{{file = "{SDIST.filename}", hash = "sha256:{SDIST.sha256}"}},\n'
        f'{{file = "six-1.0-cp27-none-win32.whl", hash = "sha256:{"0" * 64}"}},\n]\n'
    )
    done = run("warm", "poetry.lock", "--root", str(root))
    assert (done.code, done.err) == (0, "not offered: six-1.0-cp27-none-win32.whl\n")
    (tmp_path / "poetry.lock").write_text(
        '[[package]]\nname = "six"\nversion = "1.0"\nfiles = [\n'
        f'{{file = "{SDIST.filename}", hash = "sha256:{SDIST.sha256}"}},\n'
        f'{{file = "{WHEEL.filename}", hash = "sha256:{"0" * 64}"}},\n]\n'
    )
    done = run("warm", "poetry.lock", "--root", str(root))
    assert done.code == 1
    assert f"{WHEEL.filename}: it has another digest there than in the lock" in done.err
    assert kept(root) == {SDIST.filename}


@pytest.mark.parametrize(
    ("text", "arguments", "reason"),
    [
        ("six==9.9", [], "no release of 'six==9.9' is offered"),
        (f"six==1.0 --hash=sha256:{'0' * 64}", [], "no file of 'six==1.0' has a digest that was asked for"),
        ("six==1.5", ["--files", "*.whl"], "matches --files; it has six-1.5.tar.gz"),
        ("seven", [], "no project 'seven'"),
    ],
)
def test_reasons(run: Run, root: Path, tmp_path: Path, text: str, arguments: list[str], reason: str) -> None:
    """It is told why nothing of a requirement is fetched."""
    (tmp_path / "requirements.txt").write_text(text)
    done = run("warm", "requirements.txt", "--root", str(root), *arguments)
    assert done.code == 1
    assert reason in done.err


def test_what_cannot_be_had(run: Run, root: Path, tmp_path: Path, upstream: FakeUpstream) -> None:
    """Everything that could not be had is told, the rest is fetched, and the exit code is 1."""
    upstream.script(WHEEL.path, Answer(body=b"wrong bytes!"))
    (tmp_path / "requirements.txt").write_text("six==1.0\nseven==1.0\nsix==9.9\n-e .\n")
    done = run("warm", "requirements.txt", "--root", str(root))
    assert done.code == 1
    assert kept(root) == {SDIST.filename}
    for text in ("passed over: '-e .'", WHEEL.filename, "'seven'", "no release of 'six==9.9'"):
        assert text in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["missing.txt"], 2, "'missing.txt' cannot be read"),
        (["requirements.txt", "--index", "other"], 1, "other"),
        ([], 2, "FILE"),
    ],
    ids=["no file", "no index", "nothing"],
)
def test_wrong_use(run: Run, root: Path, tmp_path: Path, arguments: list[str], code: int, text: str) -> None:
    """What cannot be done is said."""
    (tmp_path / "requirements.txt").write_text("six\n")
    done = run("warm", *arguments, "--root", str(root))
    assert done.code == code
    assert text in done.err


def test_nothing_behind(run: Run, root: Path, tmp_path: Path) -> None:
    """An index with nothing behind it cannot be warmed, and an offline server fetches nothing."""
    (tmp_path / "requirements.txt").write_text("six\n")
    config = (root / "config.toml").read_text()
    (root / "config.toml").write_text(config + "[server]\noffline = true\n")
    assert "offline" in run("warm", "requirements.txt", "--root", str(root)).err
    (root / "config.toml").write_text(config.replace("[main]\n", "[main]\nupstreams = []\n"))
    assert "nothing stands behind" in run("warm", "requirements.txt", "--root", str(root)).err


def test_too_small(run: Run, root: Path, tmp_path: Path) -> None:
    """What the cache has no room for is told, and is a failure: it would be missed offline."""
    (tmp_path / "requirements.txt").write_text("six==1.0\n")
    with (root / "config.toml").open("a") as config:
        config.write(f"cache_bytes = {len(SDIST.content)}\n")
    done = run("warm", "requirements.txt", "--root", str(root))
    assert done.code == 1
    assert "it is not kept: cache_bytes is too small" in done.err
    assert len(kept(root)) < 2


@pytest.mark.parametrize(
    ("keys", "reason"),
    [('mirror = "redirect"', 'mirror = "redirect"'), ('store = { type = "memory" }', "its store is in memory")],
)
def test_nothing_can_be_kept(
    run: Run, root: Path, tmp_path: Path, upstream: FakeUpstream, keys: str, reason: str
) -> None:
    """Upstreams that keep nothing are named; when all of an index are such, nothing is fetched."""
    (tmp_path / "requirements.txt").write_text("six==1.0\n")
    with (root / "config.toml").open("a") as config:
        config.write(f'[upstream.two]\nurl = "{upstream.root}"\n{keys}\n')
    done = run("warm", "requirements.txt", "--root", str(root))
    assert (done.code, done.err) == (
        0,
        f"upstream 'two' keeps no files ({reason}): what it has is fetched in vain\n",
    )
    config_text = (root / "config.toml").read_text()
    (root / "config.toml").write_text(config_text.replace("[main]\n", '[main]\nupstreams = ["two"]\n'))
    done = run("warm", "requirements.txt", "--root", str(root))
    assert done.code == 2
    assert f"upstream 'two' keeps no files ({reason}), so nothing can be kept" in done.err
