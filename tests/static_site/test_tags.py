"""A static site of an index made of tags: no server, no file built by hand, and versions that are solved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from plugins.clients import GetClient, run, tool
from plugins.git_repositories import GitHost, hosting, new_repo
from plugins.projects import says, write_app
from static_site.sites import tree
from static_site.test_clients import served
from wheelyard.cli.dispatch import run as wheelyard

pytestmark = pytest.mark.slow
NewVenv = Callable[..., Path]
PASSWORD = "host-5d20"


@dataclass(frozen=True)
class Tagged:
    """Repositories, the configuration of an index of their tags, and its site."""

    host: GitHost
    config: Path
    root: Path
    site: Path

    def build(self) -> int:
        """Build the site, as the command does."""
        command = ["wheelyard", "site", "build", str(self.root), "main", "--to", str(self.site)]
        return wheelyard([*command, "--config", str(self.config)], {})


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tagged]:
    """`python_hello` takes `python_world` below 1; both are private repositories, and so is one that is not there."""
    folder = tmp_path_factory.mktemp("tags")
    with hosting(folder / "repositories") as host:
        host.password = PASSWORD
        world, hello = new_repo(host.folder / "python_world"), new_repo(host.folder / "python_hello")
        for version in ("0.0.1", "0.1.0", "1.0.0"):
            world.release("python_world", version)
        hello.release("python_hello", "0.0.1", requires=["python_world>=0.0.1,<1"])
        sources = "".join(f'[[main.sources]]\nurl = "{host.url_of(each)}"\n' for each in (world, hello))
        config = folder / "config.toml"
        config.write_text(
            f'[main]\ntype = "git"\nread_secret = "reader-81c3"\n{sources}'
            f'[[main.credentials]]\nhost = "{host.url.removeprefix("http://")}"\npassword = "{PASSWORD}"\n'
        )
        made = Tagged(host, config, folder / "root", folder / "site")
        assert made.build() == 0
        yield made


@pytest.fixture(params=["plain file server", "nginx"])
def web_url(request: pytest.FixtureRequest, tagged: Tagged, tmp_path: Path) -> Iterator[str]:
    yield from served(tagged.site, request.param, tmp_path)


def check(venv: Path) -> None:
    said = says(venv, "import python_hello as a, python_world as b; print(a.__version__, b.__version__)")
    assert said == "0.0.1 0.1.0"


def test_pip(web_url: str, client: GetClient, new_venv: NewVenv, tmp_path: Path) -> None:
    """Pip takes the pair from the only index, from a `requirements.txt` and from `--extra-index-url`."""
    (tmp_path / "empty/simple").mkdir(parents=True)
    (tmp_path / "requirements.txt").write_text(f"--index-url {web_url}\npython_hello\n")
    only = ["--index-url", web_url, "python_hello"]
    extra = ["--index-url", f"file://{tmp_path}/empty/simple/", "--extra-index-url", web_url, "python_hello"]
    for number, arguments in enumerate((only, ["-r", "requirements.txt"], extra)):
        venv = new_venv(f"venv-{number}", pip=True)
        pip = [venv / "bin" / "python", "-m", "pip", "install", *arguments]
        run(pip, env=client("pip").environment(), cwd=tmp_path).check_ok()
        check(venv)


def test_uv(web_url: str, tagged: Tagged, client: GetClient, new_venv: NewVenv, tmp_path: Path) -> None:
    """The pair is taken by uv, from a disk too."""
    for number, url in enumerate((web_url, f"file://{tagged.site}/simple/")):
        venv = new_venv(f"venv-{number}")
        uv = [tool("uv"), "pip", "install", "--python", venv / "bin" / "python", "--default-index", url]
        run([*uv, "python_hello"], env=client("uv").environment(), cwd=tmp_path).check_ok()
        check(venv)


@pytest.mark.parametrize("name", ["poetry", "pdm"])
def test_a_locked_project(web_url: str, client: GetClient, tmp_path: Path, name: str) -> None:
    """Projects of poetry and pdm lock and install the pair."""
    folder = write_app(tmp_path / "app", name, web_url)
    client(name)("add", *(["--no-interaction"] if name == "poetry" else []), "python_hello", cwd=folder).check_ok()
    assert "0.1.0" in (folder / f"{name}.lock").read_text()


def test_what_cannot_be_reached_leaves_the_rest(tagged: Tagged, capfd: pytest.CaptureFixture[str]) -> None:
    """A repository that is not there is named at the end with exit code 1; the site stays what it was, and grows."""
    before = tree(tagged.site)
    good = tagged.config.read_text()
    missing = f"{tagged.host.url}/nobody/missing.git"
    tagged.config.write_text(
        good.replace("[[main.credentials]]", f'[[main.sources]]\nurl = "{missing}"\n[[main.credentials]]')
    )
    try:
        assert tagged.build() == 1
    finally:
        tagged.config.write_text(good)
    assert "missing" in capfd.readouterr().err
    assert tree(tagged.site) == before
    assert tagged.build() == 0
    assert tree(tagged.site) == before
