"""Every place in which clients keep credentials: URL, netrc, environment, `.pypirc`, keyring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plugins.clients import Client, GetClient, run
from plugins.live import LiveServer, running_server
from plugins.projects import Project, built_project, write_app, write_project
from plugins.publishers import PUBLISHERS

Publish = Callable[..., Project]
Name = Callable[[str], str]

ODD_READ = "r: /?#[]@!$&'()*+,;=%41é"
ODD_WRITE = "w: /?#[]@!$&'()*+,;=%42ü"


@pytest.fixture
def private(publish: Publish, name: Name) -> Project:
    """A published project."""
    return publish(name("private"))


def _download(server_url: str, project: Project) -> list[str]:
    return ["download", "--no-deps", "--no-input", "--index-url", server_url, project.name]


def _compile(server_url: str) -> list[str]:
    return ["pip", "compile", "--quiet", "--default-index", server_url, "in.txt"]


def _write_netrc(client: Client, server: LiveServer) -> None:
    client.home.mkdir(parents=True, exist_ok=True)
    netrc = client.home / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login {server.index} password {server.read_secret}\n")
    netrc.chmod(0o600)


def _requirement(folder: Path, project: Project) -> None:
    (folder / "in.txt").write_text(f"{project.name}\n")


def test_pip_reads_netrc(shared_server: LiveServer, client: GetClient, tmp_path: Path, private: Project) -> None:
    """AU-01: pip takes the secret from `~/.netrc`."""
    pip = client("pip")
    _write_netrc(pip, shared_server)
    pip(*_download(shared_server.simple_url, private), cwd=tmp_path).check_ok()


def test_uv_reads_netrc(shared_server: LiveServer, client: GetClient, tmp_path: Path, private: Project) -> None:
    """AU-01: uv asks without credentials, is challenged, and takes the secret from `~/.netrc`."""
    uv = client("uv")
    _write_netrc(uv, shared_server)
    _requirement(tmp_path, private)
    assert private.name in uv(*_compile(shared_server.simple_url), cwd=tmp_path).check_ok().output


def test_twine_reads_pypirc(shared_server: LiveServer, client: GetClient, tmp_path: Path, private: Project) -> None:
    """Twine takes URL and secret of a named index from `.pypirc`."""
    twine = client("twine")
    twine.home.mkdir(exist_ok=True)
    (twine.home / ".pypirc").write_text(
        "[distutils]\nindex-servers =\n    ours\n\n"
        f"[ours]\nrepository = {shared_server.upload_url}\n"
        f"username = {shared_server.index}\npassword = {shared_server.write_secret}\n"
    )
    arguments = ["upload", "--non-interactive", "--disable-progress-bar", "-r", "ours"]
    twine(*arguments, *(str(path) for path in private.files), cwd=tmp_path).check_ok()
    shared_server.check_holds(private.name, private.files)


def test_flit_reads_pypirc(shared_server: LiveServer, client: GetClient, tmp_path: Path, name: Name) -> None:
    """Flit takes URL and secret from `.pypirc`, too."""
    project = write_project(tmp_path / "project", name("pypirc"), backend="flit")
    flit = client("flit")
    flit.home.mkdir()
    (flit.home / ".pypirc").write_text(
        "[distutils]\nindex-servers =\n    ours\n\n"
        f"[ours]\nrepository = {shared_server.upload_url}\n"
        f"username = {shared_server.index}\npassword = {shared_server.write_secret}\n"
    )
    flit("publish", "--repository", "ours", cwd=project.folder).check_ok()
    shared_server.check_holds(project.name, project.files)


def test_pip_reads_its_environment(
    shared_server: LiveServer, client: GetClient, tmp_path: Path, private: Project
) -> None:
    """`PIP_INDEX_URL` with the secret inside is enough for pip."""
    pip = client("pip")
    pip("download", "--no-deps", private.name, cwd=tmp_path, PIP_INDEX_URL=shared_server.read_url).check_ok()


def test_uv_reads_its_environment(
    shared_server: LiveServer, client: GetClient, tmp_path: Path, private: Project
) -> None:
    """`UV_INDEX_<NAME>_USERNAME` and `_PASSWORD` are the credentials of a named index."""
    _requirement(tmp_path, private)
    outcome = client("uv")(
        "pip",
        "compile",
        "--quiet",
        "--default-index",
        f"ours={shared_server.simple_url}",
        "in.txt",
        cwd=tmp_path,
        UV_INDEX_OURS_USERNAME=shared_server.index,
        UV_INDEX_OURS_PASSWORD=shared_server.read_secret,
    ).check_ok()
    assert private.name in outcome.output


def test_uv_publishes_with_a_token_of_its_environment(
    shared_server: LiveServer, client: GetClient, tmp_path: Path, name: Name
) -> None:
    """UP-06: `UV_PUBLISH_TOKEN` sends user `__token__`; any user name goes when the password is right."""
    project = built_project(tmp_path / "project", name("token"))
    uv = client("uv")
    arguments = ["publish", "--publish-url", shared_server.upload_url]
    uv(*arguments, cwd=project.folder, UV_PUBLISH_TOKEN=shared_server.write_secret).check_ok()
    shared_server.check_holds(project.name, project.files)


# --- no or wrong credentials ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("password", [None, "wrong"], ids=["none", "wrong"])
def test_pip_without_the_right_secret(
    shared_server: LiveServer, client: GetClient, tmp_path: Path, private: Project, password: str | None
) -> None:
    """AU-01: pip is told 401, never 404, and installs nothing."""
    url = shared_server.simple_url if password is None else shared_server.url_with(password)
    # Without a password and without a terminal pip says no more than that there is nothing.
    client("pip")(*_download(url, private), cwd=tmp_path).check_refused(private.name, *(["401"] if password else []))
    assert not list(tmp_path.glob("*.whl"))


@pytest.mark.parametrize("password", [None, "wrong"], ids=["none", "wrong"])
def test_uv_without_the_right_secret(
    shared_server: LiveServer, client: GetClient, tmp_path: Path, private: Project, password: str | None
) -> None:
    """AU-01: uv stops at this index and says that it needs credentials."""
    url = shared_server.simple_url if password is None else shared_server.url_with(password)
    _requirement(tmp_path, private)
    client("uv")(*_compile(url), cwd=tmp_path).check_refused("401 Unauthorized")


def test_poetry_without_the_right_secret(
    shared_server: LiveServer, client: GetClient, tmp_path: Path, private: Project
) -> None:
    """AU-01: poetry fails in words."""
    app = write_app(tmp_path / "app", "poetry", shared_server.simple_url, private.name)
    poetry = client("poetry")
    wrong = {"POETRY_HTTP_BASIC_OURS_USERNAME": shared_server.index, "POETRY_HTTP_BASIC_OURS_PASSWORD": "wrong"}
    poetry("lock", "--no-interaction", cwd=app, **wrong).check_refused()


def test_pdm_without_the_right_secret(
    shared_server: LiveServer, client: GetClient, tmp_path: Path, private: Project
) -> None:
    """AU-01: pdm fails in words."""
    app = write_app(tmp_path / "app", "pdm", shared_server.url_with("wrong"), private.name)
    client("pdm")("lock", cwd=app).check_refused()


# --- secrets of any kind ---------------------------------------------------------------------------------------------


@pytest.fixture
def odd_server(tmp_path: Path, http_server: str) -> Iterator[LiveServer]:
    """A server whose secrets hold what URLs, headers and shells treat in their own ways."""
    with running_server(
        tmp_path / "odd" / "root", http_server=http_server, read_secret=ODD_READ, write_secret=ODD_WRITE
    ) as server:
        yield server


@pytest.mark.parametrize("publisher", ["uv", "poetry", "pdm"])
def test_odd_secrets_work(
    odd_server: LiveServer, client: GetClient, tmp_path: Path, name: Name, publisher: str
) -> None:
    """AU-02: secrets with colons, slashes, percent signs and letters beyond ASCII work in headers and in URLs."""
    project = built_project(tmp_path / "project", name("odd"))
    publish = PUBLISHERS[publisher]
    publish(client(publisher), project, odd_server.upload_url, odd_server.index, ODD_WRITE).check_ok()
    odd_server.check_holds(project.name, project.files)
    client("pip")(*_download(odd_server.read_url, project), cwd=tmp_path).check_ok()
    _requirement(tmp_path, project)
    client("uv")(*_compile(odd_server.read_url), cwd=tmp_path).check_ok()


# --- keyring ---------------------------------------------------------------------------------------------------------

_BACKEND = '''
from keyring.backend import KeyringBackend
from keyring.credentials import SimpleCredential


class Backend(KeyringBackend):
    """Knows the secrets of one host, as a company's own plug-in would."""

    priority = 9

    def get_password(self, service, username):
        return {secret!r} if {host!r} in service else None

    def get_credential(self, service, username):
        return SimpleCredential({user!r}, {secret!r}) if {host!r} in service else None

    def set_password(self, service, username, password):
        raise NotImplementedError

    def delete_password(self, service, username):
        raise NotImplementedError
'''


def _keyring_folder(folder: Path, server: LiveServer, secret: str) -> Path:
    """Write the backend; return a folder for PYTHONPATH."""
    folder.mkdir(parents=True, exist_ok=True)
    text = _BACKEND.format(secret=secret, host=server.host, user=server.index)
    (folder / "company_keyring.py").write_text(text)
    return folder


def _keyring_environment(folder: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(folder), "PYTHON_KEYRING_BACKEND": "company_keyring.Backend"}


def test_pip_asks_the_keyring_program(
    shared_server: LiveServer, client: GetClient, tmp_path: Path, private: Project
) -> None:
    """AU-01: after our 401 pip asks the `keyring` on the path and comes back with the secret."""
    pip, keyring = client("pip"), client("keyring")
    env = pip.environment(
        **_keyring_environment(_keyring_folder(tmp_path / "kr", shared_server, shared_server.read_secret))
    )
    env["PATH"] = f"{keyring.venv / 'bin'}:{env['PATH']}"
    arguments = ["download", "--no-deps", "--keyring-provider", "subprocess", "--index-url", shared_server.simple_url]
    run([pip.venv / "bin" / "pip", *arguments, private.name], env=env, cwd=tmp_path).check_ok()


def test_uv_asks_the_keyring_program(
    shared_server: LiveServer, client: GetClient, tmp_path: Path, private: Project
) -> None:
    """AU-01: uv asks the keyring program for the user named in the URL."""
    uv, keyring = client("uv"), client("keyring")
    env = uv.environment(
        **_keyring_environment(_keyring_folder(tmp_path / "kr", shared_server, shared_server.read_secret))
    )
    env["PATH"] = f"{keyring.venv / 'bin'}:{env['PATH']}"
    _requirement(tmp_path, private)
    url = f"http://{shared_server.index}@{shared_server.host}/simple/"
    command = [uv.venv / "bin" / "uv", *_compile(url), "--keyring-provider", "subprocess"]
    assert private.name in run(command, env=env, cwd=tmp_path).check_ok().output


def test_twine_asks_the_keyring(shared_server: LiveServer, client: GetClient, tmp_path: Path, name: Name) -> None:
    """Twine asks its keyring for user and secret of the upload URL."""
    project = built_project(tmp_path / "project", name("keyring"))
    folder = _keyring_folder(tmp_path / "kr", shared_server, shared_server.write_secret)
    arguments = ["upload", "--disable-progress-bar", "--repository-url", shared_server.upload_url]
    files = [str(path) for path in project.files]
    client("twine")(*arguments, *files, cwd=project.folder, **_keyring_environment(folder)).check_ok()
    shared_server.check_holds(project.name, project.files)


def test_poetry_asks_the_keyring(
    shared_server: LiveServer, client: GetClient, tmp_path: Path, private: Project
) -> None:
    """Poetry asks its keyring for the URL of a source."""
    app = write_app(tmp_path / "app", "poetry", shared_server.simple_url, private.name)
    env = _keyring_environment(_keyring_folder(tmp_path / "kr", shared_server, shared_server.read_secret))
    client("poetry")("lock", "--no-interaction", cwd=app, POETRY_KEYRING_ENABLED="true", **env).check_ok()


def test_pdm_asks_the_keyring(shared_server: LiveServer, client: GetClient, tmp_path: Path, private: Project) -> None:
    """AU-01: after our 401 pdm asks its keyring."""
    app = write_app(tmp_path / "app", "pdm", shared_server.simple_url, private.name)
    env = _keyring_environment(_keyring_folder(tmp_path / "kr", shared_server, shared_server.read_secret))
    client("pdm")("lock", cwd=app, **env).check_ok()
