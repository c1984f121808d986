"""Small real projects, built by real build backends without a network."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from plugins.clients import hermetic, run, tool

_BACKENDS = {
    # uv builds this one with the copy of the backend inside itself.
    "uv": '[build-system]\nrequires = ["uv_build>=0.13,<0.14"]\nbuild-backend = "uv_build"\n',
    "flit": '[build-system]\nrequires = ["flit_core>=3.12,<5"]\nbuild-backend = "flit_core.buildapi"\n',
    # poetry builds this one with the copy of the backend inside itself.
    "poetry": '[build-system]\nrequires = ["poetry-core>=2"]\nbuild-backend = "poetry.core.masonry.api"\n',
    "none": "",
}


@dataclass(frozen=True)
class Project:
    """
    A project on disk.

    Attributes:
        folder: Where its `pyproject.toml` is.
        name: As written in it.
        version: Its version.
    """

    folder: Path
    name: str
    version: str

    @property
    def module(self) -> str:
        """Name of its only module."""
        return self.name.replace("-", "_").replace(".", "_").lower()

    @property
    def files(self) -> list[Path]:
        """Its built distribution files, wheel and sdist."""
        return sorted(path for path in (self.folder / "dist").glob("*") if path.name.endswith((".whl", ".tar.gz")))

    def change(self) -> None:
        """Change what a build gives, but not its version."""
        module = self.folder / "src" / self.module / "__init__.py"
        module.write_text(module.read_text() + "\nCHANGED = True\n")

    def build(self) -> list[Path]:
        """Build wheel and sdist; return them."""
        for path in self.files:
            path.unlink()
        uv = tool("uv")
        env = hermetic(self.folder / ".home", Path(sys.executable).parent)
        run([uv, "build", "--quiet", "--offline", "--no-create-gitignore"], env=env, cwd=self.folder).check_ok()
        return self.files


def write_project(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    requires: Sequence[str] = (),
    backend: str = "uv",
    code: str = "",
    further: str = "",
) -> Project:
    """
    Write a project.

    Args:
        folder: Made when it is not there.
        name: Project name.
        version: Its version.
        requires: What it depends on.
        backend: `uv`, `flit`, `poetry`, or `none` for a project that is never built.
        code: Further lines of its module.
        further: Further text of `pyproject.toml`.
    """
    project = Project(folder, name, version)
    package = folder / "src" / project.module
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text(f'"""{name}."""\n__version__ = "{version}"\n{code}\n')
    (folder / "README.md").write_text(f"# {name}\n\nA project of the tests.\n")
    dependencies = ", ".join(f'"{requirement}"' for requirement in requires)
    (folder / "pyproject.toml").write_text(
        f'{_BACKENDS[backend]}\n[project]\nname = "{name}"\nversion = "{version}"\n'
        f'description = "A project of the tests"\nreadme = "README.md"\nrequires-python = ">=3.11"\n'
        f'authors = [{{name = "The tests", email = "tests@example.org"}}]\n'
        f"dependencies = [{dependencies}]\n{further}"
    )
    return project


def built_project(folder: Path, name: str, version: str = "1.0", *, requires: Sequence[str] = ()) -> Project:
    """Write a project and build it."""
    project = write_project(folder, name, version, requires=requires)
    project.build()
    return project


def site_packages(venv: Path) -> Path:
    """Return where a virtual environment keeps what is installed."""
    return venv / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def says(venv: Path, statement: str) -> str:
    """Run a statement with the environment's interpreter; return what it printed."""
    env = {"PATH": os.defpath, "LANG": "C.UTF-8"}
    return run([venv / "bin" / "python", "-c", statement], env=env, cwd=venv).check_ok().output.strip()


_APPS = {
    "uv": '[[tool.uv.index]]\nname = "ours"\nurl = "{url}"\ndefault = true\n',
    "poetry": (
        "[tool.poetry]\npackage-mode = false\n"
        '[[tool.poetry.source]]\nname = "ours"\nurl = "{url}"\npriority = "primary"\n'
    ),
    "poetry-bare": "[tool.poetry]\npackage-mode = false\n",
    # pdm replaces the public index by a source that takes its name.
    "pdm": '[tool.pdm]\ndistribution = false\n[[tool.pdm.source]]\nname = "pypi"\nurl = "{url}"\n',
}


def write_app(folder: Path, client: str, index_url: str, *requires: str) -> Path:
    """
    Write a project that is never built, only locked and installed for.

    Args:
        folder: Made when it is not there.
        client: `uv`, `poetry`, `pdm` or `pipenv`: how it says where the index is; `poetry-bare` does not say it yet.
        index_url: The only index it asks.
        requires: What it depends on.

    Returns:
        Its folder.
    """
    if client == "pipenv":
        folder.mkdir(parents=True)
        packages = "".join(f'"{requirement}" = "*"\n' for requirement in requires)
        source = f'[[source]]\nname = "ours"\nurl = "{index_url}"\nverify_ssl = false\n'
        (folder / "Pipfile").write_text(f"{source}\n[packages]\n{packages}")
        return folder
    return write_project(
        folder, "app", requires=requires, backend="none", further=_APPS[client].format(url=index_url)
    ).folder
