"""Whatever is uploaded, looking into it ends with metadata, problems or an `ArchiveError`; nothing else, and soon."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wheelyard.archives.inspect import inspect
from wheelyard.archives.limits import ArchiveLimits
from wheelyard.errors import ArchiveError
from wheelyard.protocol.filenames import parse_filename
from wheelyard.testing.builders import SdistBuilder, WheelBuilder

BUILDERS: dict[str, WheelBuilder | SdistBuilder] = {
    "wheel": WheelBuilder(
        requires_dist=["a>=1"],
        headers=[("License-File", "LICENSE")],
        dist_info_files={"licenses/LICENSE": "MIT", "entry_points.txt": "[console_scripts]\ndemo = demo:main\n"},
        method=0,
    ),
    "sdist": SdistBuilder(requires_dist=["a>=1"]),
    "zip": SdistBuilder(suffix=".zip"),
}
LIMITS = ArchiveLimits(seconds=5)

quiet = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def attempt(content: bytes, kind: str, folder: Path) -> None:
    path = folder / BUILDERS[kind].file_name
    path.write_bytes(content)
    try:
        inspection = inspect(path, parse_filename(path.name), limits=LIMITS)
    except ArchiveError as error:
        texts = [error.message, error.part]
    else:
        texts = [text for problem in inspection.problems for text in (problem.text, problem.field)]
        texts += inspection.advice
    assert all(text.isprintable() for text in texts)


@quiet
@given(st.sampled_from(sorted(BUILDERS)), st.binary(max_size=600))
def test_random_bytes(tmp_path: Path, kind: str, content: bytes) -> None:
    """Random bytes under any name are refused in one printable line."""
    attempt(content, kind, tmp_path)


@quiet
@given(st.sampled_from(sorted(BUILDERS)), st.data())
def test_changed_bytes(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    """Valid archives with changed bytes are read or refused, never a crash."""
    content = bytearray(BUILDERS[kind].bytes())
    for position, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)
    ):
        content[position] = value
    attempt(bytes(content), kind, tmp_path)


TEXT = st.one_of(st.text(max_size=200), st.binary(max_size=200))


@quiet
@given(TEXT, TEXT, TEXT, TEXT)
def test_any_parts(
    tmp_path: Path, metadata: str | bytes, wheel: str | bytes, record: str | bytes, points: str | bytes
) -> None:
    """Sound zip files with any METADATA, WHEEL, RECORD and entry points are read or refused, never a crash."""
    parts = [
        part.encode("utf-8", "replace") if isinstance(part, str) else part for part in (metadata, wheel, record, points)
    ]
    builder = WheelBuilder(
        metadata=b"Metadata-Version: 2.4\nName: demo\nVersion: 1.0\n" + parts[0],
        wheel=parts[1],
        record=parts[2],
        dist_info_files={"entry_points.txt": parts[3]},
    )
    attempt(builder.bytes(), "wheel", tmp_path)


def test_missing_file(tmp_path: Path) -> None:
    """A file that cannot be read is the machine's fault, not the archive's."""
    with pytest.raises(FileNotFoundError):
        inspect(tmp_path / "none", parse_filename("demo-1.0.tar.gz"))


BACKEND = "import sys, uv_build; print(getattr(uv_build, 'build_' + sys.argv[1])(sys.argv[2]))"


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_real_backend(tmp_path: Path, kind: str) -> None:
    """What a real build backend makes has neither problems nor advice."""
    pytest.importorskip("uv_build")
    (tmp_path / "src" / "real_demo").mkdir(parents=True)
    (tmp_path / "src" / "real_demo" / "__init__.py").write_text("def main(): ...\n")
    (tmp_path / "dist").mkdir()
    (tmp_path / "LICENSE").write_text("MIT\n")
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "Real.Demo"\nversion = "1.0"\nrequires-python = ">=3.9"\nlicense = "MIT"\n'
        'license-files = ["LICENSE"]\nscripts = { demo = "real_demo:main" }\n'
        '[build-system]\nrequires = ["uv_build"]\nbuild-backend = "uv_build"\n'
        '[tool.uv.build-backend]\nmodule-name = "real_demo"\n'
    )
    command = [sys.executable, "-c", BACKEND, kind, "dist"]
    # The backend looks for its program beside the interpreter only when that is on the path.
    path_variable = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    env = {**os.environ, "PATH": path_variable}
    subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True, timeout=60)
    (path,) = (tmp_path / "dist").glob("*.whl" if kind == "wheel" else "*.tar.gz")
    inspection = inspect(path, parse_filename(path.name))
    assert inspection.problems == ()
    assert inspection.advice == ()
    assert inspection.core.requires_python == ">=3.9"
