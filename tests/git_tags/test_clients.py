"""The pair `python_hello -> python_world` from the tags of private repositories, installed by real clients."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from plugins.clients import GetClient, run, tool
from plugins.git_repositories import GitHost, hosting, new_repo
from plugins.live import READ_SECRET, WRITE_SECRET, LiveServer, StartServer, running_server
from plugins.projects import says, site_packages, write_app
from plugins.tag_world import update_index
from wheelyard.testing.builders import WheelBuilder

pytestmark = [pytest.mark.slow, pytest.mark.live]

NewVenv = Callable[..., Path]
PASSWORD = "host-71c2"


@dataclass(frozen=True)
class Pair:
    """
    A server whose index is made of two repositories.

    Attributes:
        server: The server.
        host: The host of the repositories.
        root: Its ROOT.
    """

    server: LiveServer
    host: GitHost
    root: Path


def _config(host: GitHost, *urls: str, further: str = "") -> str:
    sources = "".join(f'[[main.sources]]\nurl = "{url}"\n' for url in urls)
    return (
        f'[main]\ntype = "git"\nread_secret = "{READ_SECRET}"\n{further}{sources}'
        f'[[main.credentials]]\nhost = "{host.url.removeprefix("http://")}"\npassword = "{PASSWORD}"\n'
    )


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, http_server: str) -> Iterator[Pair]:
    """Versions 0.0.1, 0.0.2, 0.1.0 and 1.0.0 of `python_world`; `python_hello` takes what is below 1."""
    folder = tmp_path_factory.mktemp("pair")
    with hosting(folder / "repositories") as host:
        host.password = PASSWORD
        world, hello = new_repo(host.folder / "python_world"), new_repo(host.folder / "python_hello")
        for version in ("0.0.1", "0.0.2", "0.1.0", "1.0.0"):
            world.release("python_world", version)
        for version in ("0.0.1", "0.0.2"):
            hello.release("python_hello", version, requires=["python_world>=0.0.1,<1"])
        config = _config(
            host, host.url_of(world), host.url_of(hello), further=f'links = "git"\nwrite_secret = "{WRITE_SECRET}"\n'
        )
        done = update_index(folder / "root", config)
        assert done.code == 0, done.output
        with running_server(folder / "root", http_server=http_server, config=config) as server:
            yield Pair(server, host, folder / "root")


def _check(venv: Path, hello: str = "0.0.2", world: str = "0.1.0") -> None:
    said = says(venv, "import python_hello as a, python_world as b; print(a.__doc__, a.__version__, b.__version__)")
    assert said == f"python_hello. {hello} {world}"


def test_pip_takes_the_only_index(pair: Pair, client: GetClient, new_venv: NewVenv, tmp_path: Path) -> None:
    """With pip, versions are solved over tags with `--index-url`; links to the repositories are there, and files are as good."""
    venv = new_venv(pip=True)
    pip = [venv / "bin" / "python", "-m", "pip", "install", "--index-url", pair.server.read_url, "python_hello"]
    run(pip, env=client("pip").environment(), cwd=tmp_path).check_ok()
    _check(venv)


def test_pip_takes_hashes(pair: Pair, client: GetClient, new_venv: NewVenv, tmp_path: Path) -> None:
    """A file made of a tag has a digest that can be required, since it was stored once."""
    digests = {**pair.server.listed("python-hello"), **pair.server.listed("python-world")}
    wanted = {"python_hello==0.0.1": "python_hello-0.0.1.tar.gz", "python_world==0.0.2": "python_world-0.0.2.tar.gz"}
    lines = [f"{each} --hash=sha256:{digests[name]}" for each, name in wanted.items()]
    (tmp_path / "requirements.txt").write_text("\n".join([f"--index-url {pair.server.read_url}", *lines]))
    venv = new_venv()
    uv = [
        tool("uv"),
        "pip",
        "install",
        "--python",
        venv / "bin" / "python",
        "--require-hashes",
        "-r",
        "requirements.txt",
    ]
    run(uv, env=client("uv").environment(), cwd=tmp_path).check_ok()
    _check(venv, "0.0.1", "0.0.2")


def test_requirements_beside_another_index(
    pair: Pair, start_server: StartServer, client: GetClient, new_venv: NewVenv, tmp_path: Path
) -> None:
    """A `requirements.txt` with `--extra-index-url` and a token in a variable fills a virtual environment."""
    empty = start_server(root=tmp_path / "empty")
    (tmp_path / "requirements.txt").write_text(
        f"--index-url {empty.read_url}\n"
        f"--extra-index-url http://{pair.server.index}:${{IDX_TOKEN}}@{pair.server.host}/simple/\npython_hello==0.0.1\n"
    )
    venv = new_venv(pip=True)
    pip = [venv / "bin" / "python", "-m", "pip", "install", "-r", "requirements.txt"]
    run(pip, env=client("pip").environment(IDX_TOKEN=READ_SECRET), cwd=tmp_path).check_ok()
    _check(venv, "0.0.1")


def test_a_pip_section_of_conda(pair: Pair, client: GetClient, new_venv: NewVenv, tmp_path: Path) -> None:
    """Conda writes its `pip:` section to a file and runs `pip install -U -r FILE --exists-action=b`."""
    section = ["python_hello", f"--index-url http://__token__:${{IDX_TOKEN}}@{pair.server.host}/simple/"]
    (tmp_path / "condaenv.requirements.txt").write_text("\n".join(section))
    venv = new_venv(pip=True)
    pip = [
        venv / "bin" / "python",
        "-m",
        "pip",
        "install",
        "-U",
        "-r",
        "condaenv.requirements.txt",
        "--exists-action=b",
    ]
    run(pip, env=client("pip").environment(IDX_TOKEN=READ_SECRET), cwd=tmp_path).check_ok()
    _check(venv)


def test_pip_takes_a_link(client: GetClient, new_venv: NewVenv, tmp_path: Path, git_host: GitHost) -> None:
    """From a page that has links to the repository only, pip takes the version that fits and builds it from the tag."""
    repo = new_repo(git_host.folder / "python_world")
    for version in ("0.1.0", "1.0.0"):
        repo.release("python_world", version)
    config = _config(git_host, git_host.url_of(repo), further='links = "git"\nanonymous_read = true\n')
    assert update_index(tmp_path / "root", config).code == 0
    with running_server(tmp_path / "root", config=config) as server:
        page = server.get("/simple/python-world/", headers={"Accept": "text/html"}).text
    (tmp_path / "index.html").write_text("\n".join(line for line in page.splitlines() if 'href="python' not in line))
    venv = new_venv(pip=True)
    pip = [venv / "bin" / "python", "-m", "pip", "install", "--no-index", "--find-links", tmp_path / "index.html"]
    done = run([*pip, "python_world<1"], env=client("pip").environment(), cwd=tmp_path).check_ok()
    assert f"git+{git_host.url}" in done.words or "Cloning" in done.words
    assert says(venv, "import python_world; print(python_world.__version__)") == "0.1.0"


def test_a_server_that_is_configured_anew(tmp_path: Path, start_server: StartServer, git_host: GitHost) -> None:
    """With `POST /initialize/` a running server looks at the repositories of the new configuration, and not at the old ones."""
    old, new = new_repo(git_host.folder / "old"), new_repo(git_host.folder / "new")
    old.release("old", "1.0")
    new.release("new", "1.0")
    (tmp_path / "admin.toml").write_text('[main]\ntype = "git"\nraw = "admin-5512"\n')
    first = _config(git_host, git_host.url_of(old), further="sync_index_interval = 1\n")
    server = start_server("--admin-secret", str(tmp_path / "admin.toml"), config=first)
    _until(lambda: server.get("/readyz").status_code == 200)
    second = _config(git_host, git_host.url_of(new), further="sync_index_interval = 1\n")
    with httpx2.Client(trust_env=False) as asking:
        form = {"config": second, "admin_secret": (tmp_path / "admin.toml").read_text()}
        answer = asking.post(f"{server.url}/initialize/", data=form, auth=("main", "admin-5512"))
    assert answer.status_code == 200, answer.text
    git_host.requests.clear()
    _until(lambda: list(server.listed("new")) == ["new-1.0.tar.gz"])
    new.release("new", "1.1")
    _until(lambda: len(server.listed("new")) == 2)
    assert not [request for request in git_host.requests if "/old/" in request]


@pytest.mark.parametrize("as_html", [False, True], ids=["json", "html"])
def test_uv_installs(pair: Pair, client: GetClient, new_venv: NewVenv, tmp_path: Path, *, as_html: bool) -> None:
    """The pair is installed by uv; the links in HTML pages do not keep it from the files."""
    venv = new_venv()
    uv = [tool("uv"), "pip", "install", "--python", venv / "bin" / "python", "python_hello"]
    if as_html:
        with httpx2.Client(trust_env=False) as asking:
            auth = (pair.server.index, READ_SECRET)
            page = asking.get(f"{pair.server.simple_url}python-world/", headers={"Accept": "text/html"}, auth=auth).text
        assert "git+" in page
        assert "&amp;vcs=git" in page
        (tmp_path / "index.html").write_text(
            page.replace('href="python', f'href="{pair.server.read_url}python-world/python')
        )
        uv = [*uv[:-1], "python_world<1", "--no-index", "--find-links", tmp_path / "index.html"]
    else:
        uv += ["--default-index", pair.server.read_url]
    run(uv, env=client("uv").environment(), cwd=tmp_path).check_ok()
    if as_html:
        assert says(venv, "import python_world; print(python_world.__version__)") == "0.1.0"
    else:
        _check(venv)


@pytest.mark.parametrize("name", ["uv", "poetry", "pdm"])
def test_a_locked_project(pair: Pair, client: GetClient, tmp_path: Path, name: str) -> None:
    """Both projects are locked by uv, poetry and pdm, with their digests, and installed."""
    app = write_app(tmp_path / "app", name, pair.server.read_url, "python_hello")
    lock = {"uv": ["lock"], "poetry": ["lock", "--no-interaction"], "pdm": ["lock"]}[name]
    install = {"uv": ["sync"], "poetry": ["sync", "--no-interaction"], "pdm": ["sync"]}[name]
    program = client(name)
    program(*lock, cwd=app).check_ok()
    text = (app / {"uv": "uv.lock", "poetry": "poetry.lock", "pdm": "pdm.lock"}[name]).read_text()
    assert pair.server.listed("python-world")["python_world-0.1.0.tar.gz"] in text
    program(*install, cwd=app).check_ok()
    assert (site_packages(app / ".venv") / "python_world.py").is_file()


def test_uploads_are_refused(pair: Pair, client: GetClient, tmp_path: Path) -> None:
    """An upload with the write secret is answered with 405 and a text that says where releases come from."""
    wheel = WheelBuilder("demo", "1.0").build(tmp_path)
    user, url = pair.server.index, pair.server.upload_url
    uv = [tool("uv"), "publish", "--publish-url", url, "--username", user, "--password", WRITE_SECRET, wheel]
    done = run(uv, env=client("uv").environment(), cwd=tmp_path)
    done.check_refused("405", "is made of the tags of Git repositories and takes no uploads")
    assert pair.server.listed("demo") == {}


def test_nothing_is_missing_before_the_first_look(start_server: StartServer, git_host: GitHost) -> None:
    """While the first look is under way a project is not 404, which would send clients to the next index, but 503."""
    repo = new_repo(git_host.folder / "good")
    repo.release("good", "1.0")
    looked = threading.Event()
    git_host.before = {("ls-refs", 1): lambda: looked.wait(60)}
    server = start_server(config=_config(git_host, git_host.url_of(repo)))
    try:
        answers = [server.get(path).status_code for path in ("/simple/good/", "/simple/good/", "/simple/", "/readyz")]
    finally:
        looked.set()
    assert answers == [503] * 4
    _until(lambda: server.get("/readyz").status_code == 200)
    assert list(server.listed("good")) == ["good-1.0.tar.gz"]
    assert server.get("/simple/other/").status_code == 404


def test_a_running_server_sees_new_tags(pair: Pair) -> None:
    """A tag is served as soon as the command has looked, and the private repositories were never asked without a credential."""
    repo = new_repo(pair.host.folder / "late")
    repo.release("late", "1.0")
    config = _config(pair.host, pair.host.url_of(repo))
    done = update_index(pair.root, config)
    assert done.code == 0, done.output
    assert list(pair.server.listed("late")) == ["late-1.0.tar.gz"]
    assert None not in pair.host.authorizations
    assert PASSWORD not in pair.server.log() + done.output


def test_a_server_looks_by_itself(tmp_path: Path, start_server: StartServer, git_host: GitHost) -> None:
    """A server publishes new tags every `sync_index_interval`; trouble stands in its log and, without a name, in `/readyz`."""
    good, bad = new_repo(git_host.folder / "good"), new_repo(git_host.folder / "bad")
    good.release("good", "1.0")
    bad.commit("v1.0")
    config = _config(git_host, git_host.url_of(good), git_host.url_of(bad), further="sync_index_interval = 1\n")
    server = start_server(config=config)
    _until(lambda: server.get("/readyz").status_code == 200)
    assert list(server.listed("good")) == ["good-1.0.tar.gz"]
    _until(lambda: "main: 1 troubles with its repositories" in server.get("/readyz").text)
    assert "bad" not in server.get("/readyz").text
    assert git_host.url_of(bad) in server.log()
    good.release("good", "1.1")
    _until(lambda: len(server.listed("good")) == 2)


def _until(is_so: Callable[[], bool]) -> None:
    """Ask again until it is so, or the test has waited long enough for any machine."""
    import time  # noqa: PLC0415

    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_command_says_what_is_wrong(tmp_path: Path, git_host: GitHost) -> None:
    """Trouble is told by name at the end with exit code 1, and everything else is published."""
    good, bad = new_repo(git_host.folder / "good"), new_repo(git_host.folder / "bad")
    good.release("good", "1.0")
    bad.commit("v1.0")
    config = _config(git_host, git_host.url_of(good), git_host.url_of(bad), f"{git_host.url}/missing")
    for added in (1, 0):
        done = update_index(tmp_path / "root", config)
        assert done.code == 1
        assert ("added: good-1.0.tar.gz from tag 'v1.0'" in done.output) == bool(added)
        assert f"trouble: {git_host.url_of(bad)} tag 'v1.0': it has no pyproject.toml" in done.output
        assert f"trouble: {git_host.url}/missing: " in done.output
        assert f"index 'main': 3 repositories looked at, {added} files added, 2 troubles" in done.output
