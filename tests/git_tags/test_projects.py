"""Names and versions read from a project's own files, without running any of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.errors import TagSourceError
from wheelyard.index.tags.projects import StaticProject, read_project

PROJECT = '[project]\nname = "demo"\ndynamic = ["version"]\n'
CFG = "[metadata]\nname = demo\nversion = 1.2\n[options]\ninstall_requires =\n    a>=1\n    # why\n    b\npython_requires = >=3.9\n"
RESOLVED = {"Requires-Dist", "Requires-Python", "Provides-Extra"}


def _read(files: dict[str, str]) -> StaticProject:
    return read_project(lambda path: files[path].encode() if path in files else None)


@pytest.mark.parametrize(
    ("files", "version"),
    [
        pytest.param({"pyproject.toml": '[project]\nname = "demo"\nversion = "1.2"\n'}, "1.2", id="standard"),
        pytest.param(
            {
                "pyproject.toml": PROJECT + '[tool.setuptools.dynamic]\nversion = {attr = "demo.__version__"}\n',
                "src/demo/__init__.py": '__version__: str = "1.2"\n',
            },
            "1.2",
            id="setuptools-attr",
        ),
        pytest.param(
            {
                "pyproject.toml": PROJECT + '[tool.setuptools.dynamic]\nversion = {file = ["VERSION"]}\n',
                "VERSION": "1.2\n",
            },
            "1.2",
            id="setuptools-file",
        ),
        pytest.param(
            {"pyproject.toml": PROJECT + '[tool.hatch.version]\npath = "a.py"\n', "a.py": "VERSION = '1.2'"},
            "1.2",
            id="hatch-path",
        ),
        pytest.param({"pyproject.toml": PROJECT + '[tool.hatch.version]\nsource = "vcs"\n'}, None, id="hatch-vcs"),
        pytest.param(
            {
                "pyproject.toml": PROJECT + '[tool.pdm.version]\nsource = "file"\npath = "a.py"\n',
                "a.py": "__version__ = '1.2'",
            },
            "1.2",
            id="pdm-file",
        ),
        pytest.param(
            {
                "pyproject.toml": PROJECT + '[build-system]\nbuild-backend = "flit_core.buildapi"\n',
                "demo.py": '"""Demo."""\n__version__ = "1.2"\n',
            },
            "1.2",
            id="flit",
        ),
        pytest.param({"pyproject.toml": PROJECT + "[tool.setuptools_scm]\n"}, None, id="setuptools-scm"),
        pytest.param(
            {"pyproject.toml": PROJECT + '[build-system]\nrequires = ["hatch_vcs>=0.3"]\n'},
            None,
            id="hatch-vcs-required",
        ),
        pytest.param({"pyproject.toml": '[tool.poetry]\nname = "demo"\nversion = "1.2"\n'}, "1.2", id="poetry"),
        pytest.param({"pyproject.toml": PROJECT + '[tool.poetry]\nversion = "1.2"\n'}, "1.2", id="poetry-2"),
        pytest.param(
            {
                "pyproject.toml": '[tool.poetry]\nname = "demo"\nversion = "0.0.0"\n[tool.poetry-dynamic-versioning]\nenable = true\n'
            },
            None,
            id="poetry-dynamic",
        ),
        pytest.param(
            {"pyproject.toml": '[tool.flit.metadata]\nmodule = "demo"\n', "demo/__init__.py": "__version__ = '1.2'"},
            "1.2",
            id="old-flit",
        ),
        pytest.param({"setup.cfg": CFG}, "1.2", id="setup-cfg"),
        pytest.param(
            {"setup.cfg": "[metadata]\nname = demo\nversion = attr: demo.v\n", "demo.py": "v = '1.2'"},
            "1.2",
            id="cfg-attr",
        ),
        pytest.param({"setup.cfg": "[metadata]\nname = demo\nversion = file: V\n", "V": "1.2\n"}, "1.2", id="cfg-file"),
        pytest.param(
            {"setup.py": "from setuptools import setup\nV = '1.2'\nsetup(name='demo', version=V)\n"},
            "1.2",
            id="setup-py",
        ),
        pytest.param(
            {"setup.py": "import setuptools\nsetuptools.setup(name='demo', use_scm_version=True)\n"},
            None,
            id="setup-py-scm",
        ),
    ],
)
def test_where_versions_stand(files: dict[str, str], version: str | None) -> None:
    """Each usual place is understood; None means that the build takes the tag's."""
    project = _read(files)
    assert (project.name, project.version) == ("demo", version)


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(
            {"pyproject.toml": PROJECT + '[tool.hatch.version]\nsource = "code"\npath = "a.py"\n', "a.py": "v = '1'"},
            id="code",
        ),
        pytest.param(
            {
                "pyproject.toml": PROJECT + '[tool.hatch.version]\npath = "a.py"\npattern = "(a+)+$"\n',
                "a.py": "__version__ = '1'",
            },
            id="own-pattern",
        ),
        pytest.param({"pyproject.toml": PROJECT + '[tool.hatch.version]\npath = "../a.py"\n'}, id="climbing"),
        pytest.param(
            {
                "pyproject.toml": PROJECT + '[tool.setuptools.dynamic]\nversion = {attr = "demo.v"}\n',
                "demo.py": "v = make()",
            },
            id="computed",
        ),
        pytest.param({"pyproject.toml": '[project]\nversion = "1"\n'}, id="no-name"),
        pytest.param({"setup.py": "setup(name='a', version=open('x').read())"}, id="setup-py-computed"),
        pytest.param({"setup.py": "setup(name='a', version='1')\nsetup(name='b', version='2')"}, id="two-setups"),
        pytest.param({"setup.py": "(" * 5000}, id="nested"),
        pytest.param({"setup.cfg": "no section\n"}, id="broken-cfg"),
        pytest.param({"pyproject.toml": PROJECT + '[tool.pdm.version]\nsource = "scm"\n'}, id="pdm-scm"),
        pytest.param({}, id="empty"),
    ],
)
def test_what_cannot_be_told(files: dict[str, str]) -> None:
    """What needs code to run is refused, and so is a path out of the project."""
    with pytest.raises(TagSourceError):
        _read(files)


def test_setup_cfg_alone_is_certain() -> None:
    """With no `setup.py`, or one that only calls `setup()`, requirements of `setup.cfg` are what a build will say."""
    for script in (
        {},
        {"setup.py": '"""Setup."""\nfrom setuptools import setup\nif __name__ == "__main__":\n    setup()\n'},
    ):
        project = _read({"setup.cfg": CFG, **script})
        assert (project.requires, project.requires_python) == (("a>=1", "b"), ">=3.9")
        assert not RESOLVED & project.dynamic


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(
            {"setup.cfg": CFG, "setup.py": "from setuptools import setup\nsetup(install_requires=['x'])\n"},
            id="setup-py",
        ),
        pytest.param({"setup.cfg": CFG.replace("\n    a>=1\n    # why\n    b", " file: r.txt")}, id="file"),
        pytest.param({"setup.cfg": CFG + "[options.extras_require]\nx:python_version<'3' =\n    y\n"}, id="condition"),
        pytest.param(
            {"pyproject.toml": '[tool.poetry]\nname = "d"\nversion = "1"\n[tool.poetry.dependencies]\na = "^1"\n'},
            id="poetry",
        ),
    ],
)
def test_uncertain_requirements_are_dynamic(files: dict[str, str]) -> None:
    """META-03: what a build may change is named as dynamic, and not told."""
    project = _read(files)
    assert project.dynamic >= RESOLVED
    assert project.requires == ()


@given(st.dictionaries(st.sampled_from(["pyproject.toml", "setup.cfg", "setup.py"]), st.text(max_size=80), min_size=1))
def test_any_text_is_read_or_refused(files: dict[str, str]) -> None:
    """Whatever stands in the files, the answer is a project or our own error."""
    try:
        project = read_project(lambda path: files[path].encode("utf-8", "surrogatepass") if path in files else None)
    except TagSourceError:
        return
    assert project.name


@given(
    st.recursive(
        st.text(max_size=5) | st.integers() | st.booleans(),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=2),
        max_leaves=6,
    ),
    st.sampled_from(
        [
            "project",
            "project.name",
            "project.dynamic",
            "tool",
            "tool.hatch",
            "tool.hatch.version",
            "build-system",
            "project.urls",
        ]
    ),
)
def test_any_shape_is_read_or_refused(value: object, place: str) -> None:
    """A key that holds something else than it should is passed over or refused, never an error of ours."""
    import json  # noqa: PLC0415

    def toml(item: object) -> str:
        if isinstance(item, dict):
            return "{" + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in item.items()) + "}"
        if isinstance(item, list):
            return "[" + ", ".join(map(toml, item)) + "]"
        return json.dumps(item).replace("\x7f", "")

    text = f"{place} = {toml(value)}\n"
    for more in ("", "[tool.x]\ny = 1\n", 'project.name = "demo"\nproject.dynamic = ["version"]\n'):
        try:
            _read({"pyproject.toml": more + text if more.startswith("project") else text + more})
        except TagSourceError:
            continue
