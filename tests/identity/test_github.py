"""An index on GitHub, its members' own tokens as passwords, and real clients."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import httpx2
import pytest

from plugins.clients import GetClient
from plugins.live import V1_JSON, LiveServer, StartServer, free_port
from plugins.projects import Project, says, write_app, write_project
from plugins.publishers import PUBLISHERS, backend_for
from wheelyard.testing.builders import WheelBuilder, form_fields, multipart_body
from wheelyard.testing.fake_github import FakeGitHub

NewVenv = Callable[..., Path]
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Team:
    """
    A GitHub with the private repository `acme/packages` and tokens of people around it.

    Attributes:
        github: The double.
        reader: Token of somebody who may only read.
        writer: Of somebody who may push.
        stranger: Of somebody who is no member.
        robot: The server's own.
    """

    github: FakeGitHub
    reader: str
    writer: str
    stranger: str
    robot: str

    @property
    def config(self) -> str:
        """The predecessor's table, with the address of the double."""
        return (
            f'[team]\ntype = "github"\nowner = "acme"\nrepo = "packages"\napi_url = "{self.github.api_url}"\n'
            "sync_index_interval = 1\n"
        )

    @property
    def admin_secret(self) -> str:
        """The predecessor's admin secret."""
        return f'[team]\ntype = "github"\nraw = "{self.robot}"\n'

    def asked_who(self, calls: int = 0) -> int:
        """Count the questions about the repository itself since there were `calls`; these tell who somebody is."""
        return sum(call.method == "GET" and call.path == "/repos/acme/packages" for call in self.github.calls[calls:])


@pytest.fixture
def team() -> Iterator[Team]:
    """A GitHub of this test's own."""
    with FakeGitHub.serve() as github:
        people = {login: github.user(login) for login in ("rita", "walt", "stan", "robot")}
        github.repository("acme/packages", collaborators={"rita": "pull", "walt": "push", "robot": "push"})
        yield Team(github, people["rita"], people["walt"], people["stan"], people["robot"])
        assert github.violations == []


@pytest.fixture
def server(team: Team, start_server: StartServer, tmp_path: Path) -> LiveServer:
    """A server whose only index is that repository."""
    return start(team, start_server, tmp_path)


def start(
    team: Team,
    start_server: StartServer,
    folder: Path,
    *arguments: str,
    config: str = "",
    root: Path | None = None,
    **options: str,
) -> LiveServer:
    """Start a server with a configuration and the team's admin secret."""
    secret = folder / "admin_secret.toml"
    secret.write_text(team.admin_secret)
    made = start_server("--admin-secret", str(secret), *arguments, config=team.config + config, root=root, **options)
    made.index = "team"
    return made


def publish(server: LiveServer, token: str, folder: Path, name: str = "demo", version: str = "1.0") -> Path:
    """Upload a wheel as `token`; return its path."""
    path = WheelBuilder(name=name, version=version).build(folder)
    answer = upload(server, path, token, name, version)
    assert answer.status_code == 200, answer.text
    return path


def upload(server: LiveServer, path: Path, token: str, name: str = "demo", version: str = "1.0") -> httpx2.Response:
    """Send a wheel as `token` and return the answer."""
    content_type, body = multipart_body(form_fields(path, name=name, version=version), path.name, path.read_bytes())
    with httpx2.Client(trust_env=False, timeout=60) as client:
        headers = {"content-type": content_type}
        return client.post(server.upload_url, content=body, headers=headers, auth=("__token__", token))


def get(server: LiveServer, path: str, token: str, method: str = "GET", **headers: str) -> httpx2.Response:
    """Ask for a path as `token`."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    with httpx2.Client(trust_env=False, timeout=60) as client:
        return client.request(method, server.url + path, headers=given, auth=("anyone", token))


# --- who may ------------------------------------------------------------------------------------------------------


def test_members_and_others(server: LiveServer, team: Team, tmp_path: Path) -> None:
    """A reader reads and is told why not more; a writer publishes under their login; others get 401 and 403, never 404."""
    path = publish(server, team.writer, tmp_path)
    answer = get(server, f"/simple/demo/{path.name}", team.reader)
    assert (answer.status_code, answer.content) == (200, path.read_bytes())
    refused = upload(server, WheelBuilder(name="demo", version="2.0").build(tmp_path), team.reader, version="2.0")
    assert refused.status_code == 403
    assert "'rita' may only read the repository" in refused.text
    for path_ in ("/simple/", "/simple/demo/", f"/simple/demo/{path.name}", "/simple/nothing/"):
        assert get(server, path_, team.stranger).status_code == 403
        assert get(server, path_, "ghp_wrong").status_code == 401
    assert "acme/packages" in get(server, "/simple/", team.stranger).text
    project = get(server, "/api/v1/indexes/team/projects/demo", team.reader).json()
    assert [file["uploader"] for file in project["files"]] == ["walt"]


@pytest.mark.parametrize(
    ("kind", "permissions", "reads", "writes"),
    [
        ("fine-grained", {"contents": "read"}, 200, 403),
        ("fine-grained", {"contents": "write"}, 200, 200),
        ("actions", {"contents": "read"}, 200, 403),
        ("actions", {"contents": "write"}, 200, 200),
        ("app-user", {"contents": "read"}, 200, 403),
    ],
)
def test_kinds_of_tokens(
    server: LiveServer, team: Team, tmp_path: Path, kind: str, permissions: dict[str, str], reads: int, writes: int
) -> None:
    """What a token was granted counts, not the role of the person behind it; a workflow's token works without one."""
    login = None if kind == "actions" else "walt"
    token = team.github.token(login, kind, permissions=permissions, repositories=("acme/packages",))  # type: ignore[arg-type]
    assert get(server, "/simple/", token).status_code == reads
    assert upload(server, WheelBuilder(name="demo").build(tmp_path), token).status_code == writes


def test_a_revoked_token_ends(team: Team, start_server: StartServer, tmp_path: Path) -> None:
    """A revoked token reads and writes until its decision ends, and not afterwards."""
    server = start(team, start_server, tmp_path, "--auth-read-expires", "3600", "--auth-write-expires", "0")
    path = publish(server, team.writer, tmp_path)
    assert get(server, "/simple/demo/", team.writer).status_code == 200
    team.github.revoke(team.writer)
    assert get(server, "/simple/demo/", team.writer).status_code == 200
    assert upload(server, path, team.writer).status_code == 401


def test_a_revoked_token_reads_no_more_once_its_decision_ended(
    team: Team, start_server: StartServer, tmp_path: Path
) -> None:
    """With decisions that end at once, revoking ends reading at once."""
    server = start(team, start_server, tmp_path, "--auth-read-expires", "0")
    assert get(server, "/simple/", team.reader).status_code == 200
    team.github.revoke(team.reader)
    answer = get(server, "/simple/", team.reader)
    assert answer.status_code == 401
    assert "gh auth token" in answer.text


def test_github_is_asked_once(server: LiveServer, team: Team, tmp_path: Path) -> None:
    """Any number of requests with one token cost one question who that is."""
    path = publish(server, team.writer, tmp_path)
    before = len(team.github.calls)
    for _ in range(5):
        for each in ("/simple/", "/simple/demo/", f"/simple/demo/{path.name}", f"/simple/demo/{path.name}.metadata"):
            assert get(server, each, team.reader).status_code == 200
    assert team.asked_who(before) == 1


def test_while_github_is_down(server: LiveServer, team: Team, tmp_path: Path) -> None:
    """Whoever was let in reads on from the cache, a newcomer is told that GitHub cannot be asked, and nothing is 404."""
    path = publish(server, team.writer, tmp_path)
    assert get(server, f"/simple/demo/{path.name}", team.reader).status_code == 200
    with team.github.unreachable():
        answer = get(server, f"/simple/demo/{path.name}", team.reader)
        assert (answer.status_code, answer.content) == (200, path.read_bytes())
        assert get(server, "/simple/demo/", team.stranger).status_code == 503
    assert get(server, "/simple/demo/", team.stranger).status_code == 403


def test_secrets_beside_tokens_outlive_a_restart_without_github(
    team: Team, start_server: StartServer, tmp_path: Path
) -> None:
    """With a read secret in the table a server that starts while GitHub is down serves what it knows."""
    server = start(team, start_server, tmp_path, config='read_secret = "robots"\n')
    path = publish(server, team.writer, tmp_path)
    assert get(server, f"/simple/demo/{path.name}", team.reader).status_code == 200
    server.stop()
    with team.github.unreachable():
        server = start(team, start_server, tmp_path, config='read_secret = "robots"\n')
        answer = server.get(f"/simple/demo/{path.name}", secret="robots")
        assert (answer.status_code, answer.content) == (200, path.read_bytes())
        ready = get(server, "/readyz", "")
        assert ready.status_code == 200
        assert ready.text.startswith("ready\nteam: ")


# --- bytes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("downloads", ["stream", "redirect"])
def test_conditions_and_ranges(team: Team, start_server: StartServer, tmp_path: Path, downloads: str) -> None:
    """HEAD and 304 are answered from the record; ranges are right, streamed or after a redirect."""
    cache = "cache_bytes = 0\n" if downloads == "redirect" else ""  # what is in the cache is sent from there
    server = start(team, start_server, tmp_path, config=f'downloads = "{downloads}"\n{cache}')
    path = WheelBuilder(name="demo", files={"demo/data.bin": os.urandom(30_000_000)}).build(tmp_path)
    assert upload(server, path, team.writer).status_code == 200
    url, content = f"/simple/demo/{path.name}", path.read_bytes()
    head = get(server, url, team.reader, method="HEAD")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(content)))
    assert get(server, url, team.reader, if_none_match=head.headers["etag"]).status_code == 304
    with httpx2.Client(trust_env=False, timeout=60, follow_redirects=True) as client:
        whole = client.get(server.url + url, auth=("x", team.reader))
        assert whole.content == content
        assert bool(whole.history) == (downloads == "redirect")
        part = client.get(server.url + url, auth=("x", team.reader), headers={"range": "bytes=10-29"})
        assert (part.status_code, part.content) == (206, content[10:30])
    if downloads == "stream":
        old = get(server, url, team.reader, range="bytes=10-29", if_range='"other"')
        assert (old.status_code, len(old.content)) == (200, len(content))
        beyond = get(server, url, team.reader, range=f"bytes={len(content)}-")
        assert beyond.status_code == 416


# --- clients ------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project, built."""
    made = write_project(tmp_path / "project", "acme-tool", "1.5", backend=backend_for("twine"))
    made.build()
    return made


@pytest.mark.parametrize("publisher", ["twine", "uv", "poetry"])
def test_clients_publish(server: LiveServer, team: Team, client: GetClient, project: Project, publisher: str) -> None:
    """A writer publishes with their token; a reader, a stranger and a wrong token see that they may not."""
    send = PUBLISHERS[publisher]
    send(client(publisher), project, server.upload_url, "__token__", team.reader).check_refused("403")
    send(client(publisher), project, server.upload_url, "__token__", team.stranger).check_refused("403")
    send(client(publisher), project, server.upload_url, "__token__", "ghp_wrong").check_refused("401")
    assert get(server, "/simple/acme-tool/", team.reader).status_code == 404
    send(client(publisher), project, server.upload_url, "__token__", team.writer).check_ok()
    page = get(server, "/simple/acme-tool/", team.reader, accept=V1_JSON).json()
    assert [file["filename"] for file in page["files"]] == [path.name for path in project.files]


def test_twine_shows_why(server: LiveServer, team: Team, client: GetClient, project: Project, http_server: str) -> None:
    """What twine shows is the reason phrase alone, which granian cannot set, and that says who may only read."""
    outcome = PUBLISHERS["twine"](client("twine"), project, server.upload_url, "team", team.reader)
    outcome.check_refused("403", *(["'rita' may only read the repository"] if http_server == "uvicorn" else []))


def test_clients_install(
    server: LiveServer, team: Team, client: GetClient, project: Project, new_venv: NewVenv, tmp_path: Path
) -> None:
    """pip, uv and poetry install with the token of somebody who may only read, and with no other."""
    PUBLISHERS["twine"](client("twine"), project, server.upload_url, "__token__", team.writer).check_ok()
    shown = f"import {project.module} as it; print(it.__version__)"

    venv = new_venv("pip-target")
    target = venv / "lib" / next((venv / "lib").iterdir()).name / "site-packages"
    url = server.url_with(team.reader, user="__token__")
    client("pip")("install", "--index-url", url, "--target", target, project.name, cwd=venv).check_ok()
    assert says(venv, shown) == "1.5"
    stranger = server.url_with(team.stranger, user="__token__")
    client("pip")("download", "--no-input", "--index-url", stranger, project.name, cwd=venv).check_refused(
        "No matching"
    )

    venv = new_venv("uv-target")
    python = venv / "bin" / "python"
    client("uv")("pip", "install", "--python", python, "--default-index", url, project.name, cwd=venv).check_ok()
    assert says(venv, shown) == "1.5"
    anew = ["pip", "install", "--python", python, "--no-cache", "--reinstall", "--default-index", stranger]
    client("uv")(*anew, project.name, cwd=venv).check_refused("403")

    folder = write_app(tmp_path / "app", "poetry", server.simple_url)
    secrets = {"POETRY_HTTP_BASIC_OURS_USERNAME": "__token__", "POETRY_HTTP_BASIC_OURS_PASSWORD": team.reader}
    client("poetry")("add", "--no-interaction", project.name, cwd=folder, **secrets).check_ok()
    assert says(folder / ".venv", shown) == "1.5"


# --- the manual's recipe, and loopback mode ------------------------------------------------------------------------


@contextmanager
def program(folder: Path, *arguments: str, **environ: str) -> Iterator[tuple[subprocess.Popen[bytes], str, Path]]:
    """Run the program in an environment of its own; gives the process, its URL and its log, once it answers."""
    folder.mkdir(exist_ok=True)
    port, log = free_port(), folder / "program.log"
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
    env |= {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
    env |= {name: value.replace("PORT", str(port)) for name, value in environ.items()}
    command = [sys.executable, "-m", "wheelyard", *(argument.replace("PORT", str(port)) for argument in arguments)]
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        _wait(process, port, log)
        yield process, f"http://127.0.0.1:{port}", log
    finally:
        process.terminate()
        process.wait(30)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = monotonic() + 60
    while monotonic() < deadline and process.poll() is None:
        with closing(socket.socket()) as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    pytest.fail(f"the program did not answer:\n{log.read_text(errors='replace')}")


def test_the_service_container_of_the_manual(team: Team, tmp_path: Path) -> None:
    """
    The recipe of the predecessor's manual works as printed: a server configured by POST, then twine and pip's requests.

    The body is what `curl -d "config=${CONFIG}&admin_secret=${ADMIN_SECRET}"` sends: nothing in it is encoded.
    """
    config = f"""[private-pypi-pkg-repo]
type = "github"
owner = "acme"
repo = "packages"
api_url = "{team.github.api_url}"
"""
    secret = f"""[private-pypi-pkg-repo]
type = "github"
raw = "{team.writer}"
"""
    environ = {
        "PRIVATE_PYPI_COMMAND": "server",
        "PRIVATE_PYPI_COMMAND_ROOT": str(tmp_path / "root"),
        "PRIVATE_PYPI_COMMAND_PORT": "PORT",
    }
    with program(tmp_path / "home", **environ) as (_, url, _log), httpx2.Client(trust_env=False, timeout=60) as http:
        form = {"content-type": "application/x-www-form-urlencoded"}
        answer = http.post(f"{url}/initialize/", content=f"config={config}&admin_secret={secret}", headers=form)
        assert (answer.status_code, answer.text) == (200, "Done")
        made = LiveServer(url, tmp_path / "root", _, _log, index="private-pypi-pkg-repo")
        path = publish(made, team.writer, tmp_path)
        listed = http.get(f"{url}/simple/demo/", auth=("private-pypi-pkg-repo", team.writer))
        assert path.name in listed.text
        assert int(http.get(f"{url}/index_mtime/", auth=("private-pypi-pkg-repo", team.writer)).text) > 0
        again = http.post(f"{url}/initialize/", content=f"config={config}&admin_secret=", headers=form)
        assert again.status_code == 401
        assert http.get(f"{url}/simple/demo/", auth=("x", team.stranger)).status_code == 403
        project = http.get(f"{url}/api/v1/indexes/private-pypi-pkg-repo/projects/demo", auth=("x", team.reader)).json()
        assert [file["uploader"] for file in project["files"]] == ["walt"]


def _loopback(
    team: Team, folder: Path, token: str, *arguments: str
) -> AbstractContextManager[tuple[subprocess.Popen[bytes], str, Path]]:
    return program(
        folder,
        "server",
        str(folder / "root"),
        "--github",
        "acme/packages",
        "--api-url",
        team.github.api_url,
        "--port",
        "PORT",
        *arguments,
        GH_TOKEN=token,
    )


def _password(log: Path) -> str:
    lines = log.read_text().splitlines()
    return next(line.split()[1] for line in lines if line.strip().startswith("password"))


def test_loopback_mode(team: Team, tmp_path: Path) -> None:
    """Printed lines work; the token leaves the process for GitHub alone; without the password nobody gets anything."""
    with _loopback(team, tmp_path / "home", team.writer) as (process, url, log):
        password = _password(log)
        assert f"http://main:{password}@127.0.0.1:" in log.read_text()
        server = LiveServer(url, tmp_path, process, log, index="main")
        path = publish(server, password, tmp_path)
        assert get(server, f"/simple/demo/{path.name}", password).content == path.read_bytes()
        assert get(server, "/simple/demo/", team.reader).status_code == 200
        for wrong in ("", "guess"):
            assert get(server, "/simple/demo/", wrong).status_code == 401
        with httpx2.Client(trust_env=False) as bare:
            assert bare.get(f"{url}/simple/demo/", headers={"host": "rebound.example.org"}).status_code == 401
        uploaders = get(server, "/api/v1/indexes/main/projects/demo", password).json()["files"]
        assert [file["uploader"] for file in uploaders] == ["walt"]
        assert team.writer not in log.read_text()
    files = [each for each in (tmp_path / "home").rglob("*") if each.is_file()]
    assert [each for each in files if team.writer.encode() in each.read_bytes()] == []


def test_loopback_mode_of_a_reader(team: Team, tmp_path: Path) -> None:
    """Who may only read serves themselves, and is told that publishing is not for them."""
    with _loopback(team, tmp_path / "home", team.reader) as (process, url, log):
        server = LiveServer(url, tmp_path, process, log, index="main")
        assert get(server, "/simple/", _password(log)).status_code == 200
        refused = upload(server, WheelBuilder(name="demo").build(tmp_path), _password(log))
        assert refused.status_code == 403
        assert "'rita' may only read" in refused.text


def test_loopback_mode_without_github(team: Team, tmp_path: Path) -> None:
    """On the train the same password reads what was there before."""
    with _loopback(team, tmp_path / "home", team.writer) as (process, url, log):
        password = _password(log)
        server = LiveServer(url, tmp_path, process, log, index="main")
        path = publish(server, password, tmp_path)
        assert get(server, f"/simple/demo/{path.name}", password).status_code == 200
    with team.github.unreachable(), _loopback(team, tmp_path / "home", team.writer) as (process, url, log):
        assert _password(log) == password
        server = LiveServer(url, tmp_path, process, log, index="main")
        assert get(server, f"/simple/demo/{path.name}", password).content == path.read_bytes()
        assert upload(server, path, password).status_code == 503


def test_loopback_mode_starts_with_few_calls(team: Team, tmp_path: Path) -> None:
    """From start to the first page GitHub is asked at most twice."""
    with _loopback(team, tmp_path / "seed", team.writer) as (process, url, log):
        publish(LiveServer(url, tmp_path, process, log), _password(log), tmp_path)
    before = len(team.github.calls)
    with _loopback(team, tmp_path / "home", team.writer) as (process, url, log):
        server = LiveServer(url, tmp_path, process, log, index="main")
        assert get(server, "/simple/demo/", _password(log)).status_code == 200
        # The archive itself comes from a signed address of another host, which counts against no limit.
        asked = [call.path for call in team.github.calls[before:] if not call.path.startswith("/codeload/")]
        assert len(asked) <= 2, asked


# --- commands -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("yank", "demo", "1.0", "--reason", "broken"),
        ("unyank", "demo", "1.0"),
        ("status", "demo", "archived"),
        ("delete", "demo", "1.0", "--yes"),
        ("doctor",),
        ("backup", "--to", "BACKUP", "--verify"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_commands(server: LiveServer, team: Team, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """The commands for a ROOT work on a repository as on a folder, beside the running server."""
    publish(server, team.writer, tmp_path)
    given = [argument.replace("BACKUP", str(tmp_path / "backup")) for argument in arguments]
    config, secret = str(tmp_path / "root-config.toml"), str(tmp_path / "admin_secret.toml")
    for path in (config, secret):
        Path(path).chmod(0o600)
    where = ["--root", str(server.root), "--config", config, "--admin-secret", secret]
    done = subprocess.run(
        [sys.executable, "-m", "wheelyard", *given, *where],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# --- killed, and two at once ----------------------------------------------------------------------------------------


def test_killed_between_asset_and_commit(team: Team, start_server: StartServer, tmp_path: Path) -> None:
    """A server killed after the upload to the release and before the commit lists nothing; the same upload works again."""
    # Of granian's two processes a kill ends one, and the other goes on to answer.
    server = start(team, start_server, tmp_path, http_server="uvicorn")
    first = publish(server, team.writer, tmp_path)
    packages = team.github.repositories["acme/packages"]
    before = len(list(packages.assets()))
    team.github.switches.fail(503, times=10_000, method="POST", path="graphql")
    wheel = WheelBuilder(name="demo", version="2.0").build(tmp_path)
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(upload, server, wheel, team.writer, version="2.0")
        deadline = monotonic() + 30
        while len(list(packages.assets())) == before:
            assert monotonic() < deadline
            assert not sent.done(), sent.result()
            sleep(0.01)
        server.kill()
        assert isinstance(sent.exception(), httpx2.TransportError)
    team.github.switches.failures.clear()
    again = start(team, start_server, tmp_path, http_server="uvicorn")
    listed = get(again, "/simple/demo/", team.reader, accept=V1_JSON).json()
    assert [file["filename"] for file in listed["files"]] == [first.name]
    assert get(again, f"/simple/demo/{wheel.name}", team.reader).status_code == 404
    assert upload(again, wheel, team.writer, version="2.0").status_code == 200
    for path in (first, wheel):
        assert get(again, f"/simple/demo/{path.name}", team.reader).content == path.read_bytes()


def test_two_servers_publish_at_once(team: Team, start_server: StartServer, tmp_path: Path) -> None:
    """Of different files of one project both servers' stay; of two files with one name one stays, and the other publisher is told."""
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    servers = [start(team, start_server, folder, root=folder / "root") for folder in folders]
    wheels = [WheelBuilder(name="demo", version=f"1.{number}").build(tmp_path) for number in range(6)]
    same = [
        WheelBuilder(name="demo", version="9.0", files={"demo.py": b"number = %d" % number}).build(folder)
        for number, folder in enumerate(folders)
    ]
    with ThreadPoolExecutor(8) as pool:
        sent = [
            pool.submit(upload, servers[number % 2], wheel, team.writer, version=f"1.{number}")
            for number, wheel in enumerate(wheels)
        ]
        answers = [each.result() for each in sent]
        sent = [
            pool.submit(upload, server, wheel, team.writer, version="9.0")
            for server, wheel in zip(servers, same, strict=True)
        ]
        contested = [each.result() for each in sent]
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.status_code for answer in contested) == [200, 409]
    kept = same[[answer.status_code for answer in contested].index(200)]
    for server in servers:
        deadline = monotonic() + 30
        while True:  # the other one is seen when the branch is looked at again, a second later
            files = get(server, "/simple/demo/", team.reader, accept=V1_JSON).json()["files"]
            if len(files) == len(wheels) + 1:
                break
            assert monotonic() < deadline
            sleep(0.05)
        for path in (*wheels, kept):
            assert get(server, f"/simple/demo/{path.name}", team.reader).content == path.read_bytes()
