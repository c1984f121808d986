"""Backends are found by name, only the configured one is imported, and what is wrong is said."""

import subprocess
import sys
from pathlib import Path

import pytest

from wheelyard.errors import ConfigError
from wheelyard.storage.plugins import installed_backends, load_backend


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages, on the path of the test."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def install(site: Path, package: str, *, group: str = "wheelyard.backends.v1", name: str, source: str) -> None:
    """Install a package whose entry point names an object of a module of its own."""
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {package}:plugin\n")
    (site / f"{package}.py").write_text(source)


def test_built_in_backends_use_the_same_door() -> None:
    """Both built-in backends are entry points, and load."""
    assert {"memory", "file_system"} <= set(installed_backends())
    for name in ("memory", "file_system"):
        assert load_backend(name).name == name


def test_only_the_configured_backend_is_imported() -> None:
    """Loading the one in memory imports no other backend."""
    program = (
        "import sys\n"
        "from wheelyard.storage.plugins import load_backend\n"
        "load_backend('memory')\n"
        "print([name for name in sys.modules if name.startswith('wheelyard.backends.')])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "['wheelyard.backends.memory']"


def test_an_unknown_type_says_what_is_installed() -> None:
    """The name in quotes, and the names there are."""
    with pytest.raises(ConfigError, match=r"unknown backend type 'memroy': installed are .*file_system, .*memory"):
        load_backend("memroy")


def test_a_plug_in_for_another_version_is_named(site: Path) -> None:
    """A plug-in of that name in the group of another version is not loaded, and the text says why."""
    install(site, "later_plugin", group="wheelyard.backends.v2", name="later", source="raise SystemExit('imported')\n")
    with pytest.raises(
        ConfigError, match=r"another version \(wheelyard\.backends\.v2, here: wheelyard\.backends\.v1\)"
    ):
        load_backend("later")


def test_a_plug_in_that_cannot_be_imported_is_a_mistake_of_configuration(site: Path) -> None:
    """A missing dependency of a plug-in is told, with its cause, not as a traceback."""
    install(site, "broken_plugin", name="broken", source="import no_such_module_anywhere\n")
    with pytest.raises(ConfigError, match="'broken' is installed and cannot be imported: No module named") as raised:
        load_backend("broken")
    assert isinstance(raised.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize(
    "source",
    [
        "plugin = 'a string'\n",
        "from wheelyard.storage.plugins import BackendPlugin\nplugin = BackendPlugin(name='x', options=dict, open=print)\n",
    ],
)
def test_what_is_no_plug_in_is_refused(site: Path, source: str) -> None:
    """The entry point must be a BackendPlugin, and its options a dataclass."""
    install(site, "odd_plugin", name="odd", source=source)
    sys.modules.pop("odd_plugin", None)
    with pytest.raises(ConfigError, match="'odd' is not made for this version"):
        load_backend("odd")
    sys.modules.pop("odd_plugin", None)


def test_two_packages_of_one_name_are_refused(site: Path) -> None:
    """Which of two packages keeps the files must not depend on the order of folders."""
    for package in ("first_plugin", "second_plugin"):
        install(site, package, name="twice", source="raise SystemExit('imported')\n")
    with pytest.raises(ConfigError, match=r"several packages \(first_plugin, second_plugin\)"):
        load_backend("twice")
