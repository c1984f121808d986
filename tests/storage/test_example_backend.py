"""The example of a third-party backend is built, installed, found by name, used, and passes the suite."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples/wheelyard-backend-example"

USE = """
import anyio, json, sys
from pathlib import Path
from wheelyard.storage.interface import ABSENT, BackendContext
from wheelyard.storage.plugins import installed_backends, load_backend
from wheelyard.storage.store import Store

async def main(folder):
    plugin = load_backend("sqlite_example")
    store = Store(plugin.open(plugin.options(), BackendContext(name="main", folder=folder)), name="main")
    await store.start()
    await store.put_bytes("simple/demo/demo-1.whl", b"content")
    await store.write({"simple/demo/index.json": b"{}"}, {"simple/demo/index.json": ABSENT})
    content = await store.read_file("simple/demo/demo-1.whl", limit_bytes=100)
    await store.stop()
    print(json.dumps([plugin.name, sorted(installed_backends()), content.decode(), sorted(p.name for p in folder.iterdir())]))

anyio.run(main, Path(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as `pip install --target` leaves it, built by its own build backend."""
    target = tmp_path_factory.mktemp("site")
    wheels = tmp_path_factory.mktemp("wheels")
    program = "import sys, uv_build; print(uv_build.build_wheel(sys.argv[1]))"
    scripts = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    subprocess.run(
        [sys.executable, "-c", program, wheels], cwd=EXAMPLE, check=True, env={**os.environ, "PATH": scripts}
    )
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:  # a pure wheel is installed by unpacking it
        archive.extractall(target)
    return target


def run(installed: Path, *arguments: str | Path) -> str:
    """Run Python with the example on its path."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
        cwd=installed,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_it_is_used_by_name(installed: Path, tmp_path: Path) -> None:
    """A wheel built from the example is found by the `type` of an index, and its store works."""
    name, known, content, stored = json.loads(run(installed, "-c", USE, tmp_path))
    assert (name, content, stored) == ("sqlite_example", "content", ["index.sqlite"])
    assert {"file_system", "memory", "sqlite_example"} <= set(known)


@pytest.mark.slow
def test_it_passes_the_suite(installed: Path) -> None:
    """Its own tests, which are the suite of all backends, pass where it is installed."""
    told = run(
        installed,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        EXAMPLE,
        EXAMPLE / "tests",
    )
    assert " passed" in told
    assert "skipped" not in told
