"""`yank`, `unyank`, `status` and `delete`: the same on a folder and on a running server."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from plugins.live import WRITE_SECRET, StartServer, default_config
from wheelyard.compose import open_index
from wheelyard.errors import ProjectNotFound
from wheelyard.index.hosted import Adopted
from wheelyard.model import DistFile, Filename, ProjectPage
from wheelyard.protocol.names import normalize
from wheelyard.settings import load_settings
from wheelyard.testing.builders import WheelBuilder

pytestmark = pytest.mark.slow  # each test makes an index, and runs commands on it

Run = Callable[..., Any]

ONE, TWO = "demo-1.0-py3-none-any.whl", "demo-2.0-py3-none-any.whl"
DEMO = normalize("demo")


@dataclass
class Place:
    """Where the commands work, and a way to see what they did."""

    root: Path
    config: Path
    arguments: tuple[str, ...]

    def page(self) -> ProjectPage | None:
        """Read the project from the folder; None when there is none."""

        async def read() -> ProjectPage | None:
            async with open_index(load_settings(self.root, config=str(self.config)), "main") as index:
                try:
                    return await index.page(DEMO)
                except ProjectNotFound:
                    return None

        return anyio.run(read)

    def yanked(self) -> dict[str, str | None]:
        """Return the yank of each file."""
        page = self.page()
        return {} if page is None else {file.filename: file.yanked for file in page.files}


async def _fill(root: Path, config: Path) -> None:
    async with open_index(load_settings(root, config=str(config)), "main") as index:
        for version in ("1.0", "2.0"):
            builder = WheelBuilder(name="demo", version=version)
            spool = await index.store.spool()
            spool.write(builder.bytes())
            file = DistFile(
                filename=Filename(builder.file_name),
                url=builder.file_name,
                hashes={"sha256": hashlib.sha256(builder.bytes()).hexdigest()},
                size=spool.size,
            )
            await index.adopt(DEMO, [Adopted(file, spool, None)])
            spool.discard()


@pytest.fixture
def filled(tmp_path: Path) -> Place:
    """A folder with one project of two releases."""
    root, config = tmp_path / "root", tmp_path / "manage.toml"
    root.mkdir()
    config.write_text(default_config())
    anyio.run(_fill, root, config)
    return Place(root, config, ("--root", str(root), "--config", str(config)))


@pytest.fixture(params=["folder", "server"])
def place(request: pytest.FixtureRequest, filled: Place) -> Place:
    """The same project, reached by its folder or by a server on it."""
    if request.param == "server":
        start: StartServer = request.getfixturevalue("start_server")
        server = start(root=filled.root)
        filled.arguments = ("--url", server.url, "--user", "main", "--password", WRITE_SECRET)
    return filled


def test_yank_and_unyank(run: Run, place: Place) -> None:
    """PEP 592: a release or a file is marked with its reason, and the mark is taken away again."""
    done = run("yank", "Demo", "1.0", "--reason", "does not start", *place.arguments)
    assert (done.code, done.out, done.err) == (0, "yanked Demo 1.0\n", "")
    assert place.yanked() == {ONE: "does not start", TWO: None}
    assert run("yank", "demo", "--file", TWO, *place.arguments).code == 0
    assert place.yanked() == {ONE: "does not start", TWO: ""}
    shown = run("status", "demo", *place.arguments).out
    assert f"{ONE}  yanked: does not start" in shown
    assert run("unyank", "demo", "--version", "1.0", *place.arguments).code == 0
    assert run("unyank", "demo", "--file", TWO, *place.arguments).code == 0
    assert place.yanked() == {ONE: None, TWO: None}


def test_status(run: Run, place: Place) -> None:
    """PEP 792: the status is shown and set, with a reason."""
    assert run("status", "demo", *place.arguments).out == f"demo: active\n  {ONE}\n  {TWO}\n"
    done = run("status", "demo", "archived", "--reason", "use demo2", *place.arguments)
    assert done.out.startswith("demo: archived (use demo2)\n")
    page = place.page()
    assert page is not None
    assert (page.status.value, page.status_reason) == ("archived", "use demo2")
    assert run("status", "demo", "active", *place.arguments).out.startswith("demo: active\n")


def test_delete(run: Run, place: Place) -> None:
    """A file, a release and a project are removed, each for ever."""
    assert run("delete", "demo", "--file", ONE, "--yes", *place.arguments).code == 0
    assert set(place.yanked()) == {TWO}
    assert not (place.root / "cache" / "main" / "storage" / "simple" / "demo" / ONE).exists()
    assert run("delete", "demo", "2.0", "--yes", *place.arguments).code == 0
    assert place.yanked() == {}
    done = run("delete", "demo", "--yes", *place.arguments)
    assert (done.code, done.out) == (0, "deleted the whole project demo\n")
    assert place.page() is None


def test_delete_asks(run: Run, filled: Place) -> None:
    """Without --yes a person is asked, and anything but yes keeps everything."""
    for answer in ("n\n", ""):
        done = run("delete", "demo", "1.0", *filled.arguments, text=answer)
        assert done.code != 0
        assert "Remove demo 1.0 for ever?" in done.err
    assert set(filled.yanked()) == {ONE, TWO}
    assert run("delete", "demo", "1.0", *filled.arguments, text="y\n").code == 0
    assert set(filled.yanked()) == {TWO}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("yank", "nope", "1.0"), "no project 'nope'"),
        (("yank", "demo", "9"), "no release '9'"),
        (("unyank", "demo", "--file", "x.whl"), "no file 'x.whl'"),
        (("delete", "demo", "9", "--yes"), "no release '9'"),
    ],
)
def test_what_is_not_there(run: Run, place: Place, arguments: tuple[str, ...], expected: str) -> None:
    """What is not there is named, and the exit code is 1."""
    done = run(*arguments, *place.arguments)
    assert done.code == 1
    assert expected in done.err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("yank", "demo"), "name either a VERSION or files"),
        (("unyank", "demo", "1.0", "--file", ONE), "name either a VERSION or files"),
        (("delete", "demo", "1.0", "--file", ONE), "name either a VERSION or files"),
        (("yank", "demo", "1.0", "--version", "2.0"), "VERSION is given twice"),
        (("status", "demo", "--reason", "x"), "--reason goes with a STATUS"),
        (("status", "demo", "broken"), "'broken' is not one of"),
        (("yank",), "Missing argument 'PROJECT'"),
        (("yank", "demo", "1", "--url", "host", "--password", "x"), "no http or https URL"),
        (("yank", "demo", "1", "--url", "http://127.0.0.1:9", "--password-env", "NOT_SET"), "'NOT_SET' is not set"),
    ],
)
def test_wrong_use(run: Run, arguments: tuple[str, ...], expected: str) -> None:
    """A command that contradicts itself or lacks something says what, and the exit code is 2."""
    done = run(*arguments)
    assert done.code == 2
    assert expected in done.err


def test_invalid_project_name(run: Run, filled: Place) -> None:
    """What is no project name is refused before anything is opened."""
    done = run("yank", "../x", "1.0", *filled.arguments)
    assert done.code == 1
    assert "'../x' is not a project name" in done.err


def test_folder_without_configuration(run: Run, tmp_path: Path) -> None:
    """A folder that no server ever used is refused, and nothing is made in it."""
    done = run("status", "demo", "--root", str(tmp_path / "nowhere"))
    assert done.code == 2
    assert "there is no such file" in done.err
    assert not (tmp_path / "nowhere").exists()


def test_several_indexes(run: Run, filled: Place) -> None:
    """With several indexes one has to be named, and it has to exist."""
    with filled.config.open("a") as config:
        config.write('[other]\ntype = "file_system"\nread_secret = "a"\nwrite_secret = "b"\n')
    done = run("status", "demo", *filled.arguments)
    assert done.code == 2
    assert "several indexes (main, other)" in done.err
    assert run("status", "demo", "--index", "MAIN", *filled.arguments).code == 0
    assert "no index 'third'" in run("status", "demo", "--index", "third", *filled.arguments).err


def test_server_that_says_no(run: Run, filled: Place, start_server: StartServer) -> None:
    """The server's own text is shown when the secret is wrong or only reads; the password can come from a variable."""
    server = start_server(root=filled.root)
    wrong = run("yank", "demo", "1.0", "--url", server.url, "--password", "nope")
    assert wrong.code == 1
    assert "the server refused: " in wrong.err
    reader = run("yank", "demo", "1.0", "--url", server.url, "--password-env", "P", env={"P": server.read_secret})
    assert reader.code == 1
    assert "may not" in reader.err
    assert filled.yanked() == {ONE: None, TWO: None}


def test_server_that_is_not_there(run: Run) -> None:
    """A server that cannot be reached is a sentence, not a traceback."""
    done = run("status", "demo", "--url", "http://127.0.0.1:9", "--password", "x")
    assert done.code == 1
    assert "the server could not be asked" in done.err
