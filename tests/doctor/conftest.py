"""A ROOT with published files, and the doctor for it."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from doctor.roots import Root, Said, doctor, make_root, with_projects


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    return with_projects(make_root(folder / "root"), folder).path


@pytest.fixture
def root(published: Path, tmp_path: Path) -> Root:
    shutil.copytree(published, tmp_path / "root", symlinks=True)
    return Root(tmp_path / "root")


@pytest.fixture
def look(root: Root, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    return partial(doctor, root, capsys)
