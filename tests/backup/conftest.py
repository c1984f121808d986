"""A ROOT with published files to copy, and the two commands."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from doctor.roots import Root, make_root, with_projects
from wheelyard.cli.dispatch import run


@dataclass(frozen=True)
class Done:
    """What one command gave."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    return with_projects(make_root(folder / "root"), folder).path


@pytest.fixture
def root(published: Path, tmp_path: Path) -> Root:
    shutil.copytree(published, tmp_path / "root", symlinks=True)
    return Root(tmp_path / "root")


@pytest.fixture
def wheelyard(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    def command(*arguments: object) -> Done:
        capsys.readouterr()
        code = run(["wheelyard", *map(str, arguments)], {})
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return command
