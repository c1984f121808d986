"""Real clients install public and private projects from one URL, also after the upstream is gone."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from plugins.clients import GetClient
from plugins.live import READ_SECRET, WRITE_SECRET, LiveServer, StartServer
from wheelyard.testing.builders import WheelBuilder
from wheelyard.testing.fake_upstream import FakeUpstream, UpstreamFile, html_page

CONFIG = f'[main]\ntype = "file_system"\nread_secret = "{READ_SECRET}"\nwrite_secret = "{WRITE_SECRET}"\n'

Install = Callable[[LiveServer, str, Path], None]


@pytest.fixture
def upstream_stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def offered(upstream: FakeUpstream, folder: Path, *, form: str) -> None:
    """Offer a project that depends on another one, without metadata files."""
    folder.mkdir(exist_ok=True)
    for builder in (
        WheelBuilder(name="wanted", version="1.5", requires_dist=("needed>=2",)),
        WheelBuilder(name="needed", version="2.1"),
    ):
        path = builder.build(folder)
        file = UpstreamFile(filename=path.name, content=path.read_bytes())
        upstream.offer(builder.name, file, page=html_page([file]) if form == "html" else None)


@pytest.mark.parametrize("form", ["json", "html"])
@pytest.mark.parametrize("name", ["pip", "pip-old", "uv"])
def test_installs(
    start_server: StartServer,
    client: GetClient,
    upstream_stack: ExitStack,
    tmp_path: Path,
    name: str,
    form: str,
) -> None:
    """DC-03, META-05: pip, an old pip and uv install through the server, and again from its cache while the upstream is down."""
    upstream = upstream_stack.enter_context(FakeUpstream())
    offered(upstream, tmp_path / "wheels", form=form)
    server = start_server(config=f'{CONFIG}[upstream.one]\nurl = "{upstream.root}"\n')
    for attempt in ("first", "while it is down"):
        target = tmp_path / attempt.replace(" ", "-")
        target.mkdir()
        if name == "uv":
            arguments = ["pip", "install", "--no-cache", "--default-index", server.read_url, "--target", target]
        else:
            arguments = ["install", "--no-cache-dir", "--index-url", server.read_url, "--target", target]
        outcome = client(name)(*arguments, "wanted", cwd=target)
        assert outcome.code == 0, f"{attempt}: {outcome.output}{server.log()}{server.get('/simple/wanted/').text}"
        installed = {path.name for path in target.glob("*.dist-info")}
        assert installed == {"wanted-1.5.dist-info", "needed-2.1.dist-info"}, attempt
        upstream_stack.close()


@pytest.mark.parametrize("name", ["pip", "uv"])
def test_clear_error_while_down(start_server: StartServer, client: GetClient, tmp_path: Path, name: str) -> None:
    """DC-03: what is not kept while the upstream is down is an error that says so, not "no such project"."""
    with FakeUpstream() as upstream:
        root = upstream.root
    server = start_server(config=f'{CONFIG}[upstream.one]\nurl = "{root}"\nconnect_timeout = 1\n')
    arguments = (
        ["pip", "install", "--no-cache", "--default-index"]
        if name == "uv"
        else ["install", "--retries", "0", "--index-url"]
    )
    outcome = client(name)(*arguments, server.read_url, "--target", tmp_path / "target", "wanted", cwd=tmp_path)
    outcome.check_refused("wanted" if name == "pip" else "Service Unavailable")  # pip shows statuses only when verbose
    assert "not available" in server.get("/simple/wanted/").json()["detail"]
