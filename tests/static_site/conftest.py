"""A ROOT with published files, and the command that builds sites from it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from doctor.roots import Root, make_root
from static_site.sites import Build
from wheelyard.cli.dispatch import run
from wheelyard.testing.builders import SdistBuilder, WheelBuilder


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ROOT with the pair `python_hello -> python_world`, and a project in one word."""
    folder = tmp_path_factory.mktemp("filled")
    root = make_root(folder / "root")
    root.publish(
        WheelBuilder("python_world", "0.0.1", requires_python=">=3.8").build(folder),
        WheelBuilder("python_world", "0.0.2").build(folder),
        SdistBuilder("python_world", "0.0.2").build(folder),
        WheelBuilder("python_hello", "1.0", requires_dist=("python_world<1,>=0.0.1",)).build(folder),
        WheelBuilder("Flask", "3.0").build(folder),
    )
    return root.path


@pytest.fixture
def root(filled: Path, tmp_path: Path) -> Root:
    shutil.copytree(filled, tmp_path / "root", symlinks=True)
    return Root(tmp_path / "root")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Where sites are built."""
    return tmp_path / "public"


@pytest.fixture
def build(root: Root, site: Path) -> Build:
    """Build a site as the command does; returns the exit code."""

    def built(*arguments: str, to: str | None = None) -> int:
        return run(["wheelyard", "site", "build", str(root.path), "main", "--to", to or str(site), *arguments], {})

    return built
