"""Every client that publishes: the first time, again, with other content, and without the right to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.clients import GetClient, Outcome
from plugins.live import LiveServer
from plugins.projects import Project, write_project
from plugins.publishers import PUBLISHERS, backend_for

Name = Callable[[str], str]
PublishAs = Callable[..., Outcome]

pytestmark = pytest.mark.parametrize("publisher", sorted(PUBLISHERS))

# What each client shows of a refusal. twine and flit show the reason phrase, hatch and the others the status or body.
_WITHOUT_RIGHT = "403"


@pytest.fixture
def project(tmp_path: Path, name: Name, publisher: str) -> Project:
    project = write_project(tmp_path / "project", name("published"), backend=backend_for(publisher))
    if publisher != "flit":
        project.build()
    return project


@pytest.fixture
def publish_as(shared_server: LiveServer, client: GetClient, project: Project, publisher: str) -> PublishAs:
    """Publish the project with a password."""

    def publish(password: str, *, url: str | None = None) -> Outcome:
        url = url or shared_server.upload_url
        return PUBLISHERS[publisher](client(publisher), project, url, shared_server.index, password)

    return publish


def test_a_published_project_is_listed(shared_server: LiveServer, publish_as: PublishAs, project: Project) -> None:
    """UP-01, UP-10, SB-04: what a client publishes is listed at once and downloads with its digest."""
    publish_as(shared_server.write_secret).check_ok()
    shared_server.check_holds(project.name, project.files)
    assert len(project.files) == 2


def test_publishing_to_the_simple_url_works(shared_server: LiveServer, publish_as: PublishAs, project: Project) -> None:
    """The predecessor's upload URL, `/simple/`, takes uploads of every client."""
    publish_as(shared_server.write_secret, url=shared_server.simple_url).check_ok()
    shared_server.check_holds(project.name, project.files)


def test_publishing_the_same_again_succeeds(shared_server: LiveServer, publish_as: PublishAs, project: Project) -> None:
    """UP-30: the same files again are no error and change nothing."""
    publish_as(shared_server.write_secret).check_ok()
    before = shared_server.get(f"/simple/{project.name}/").text
    publish_as(shared_server.write_secret).check_ok()
    assert shared_server.get(f"/simple/{project.name}/").text == before
    shared_server.check_holds(project.name, project.files)


def test_other_content_is_refused(
    shared_server: LiveServer,
    publish_as: PublishAs,
    client: GetClient,
    project: Project,
    publisher: str,
    http_server: str,
) -> None:
    """UP-20, UP-31: other bytes under a published name are refused in words that every client shows."""
    publish_as(shared_server.write_secret).check_ok()
    before = shared_server.listed(project.name)
    project.change()
    if publisher != "flit":
        project.build()
    outcome = publish_as(shared_server.write_secret)
    assert hashlib.sha256(project.files[0].read_bytes()).hexdigest() not in before.values()
    match publisher:
        case "hatch":  # it compares names with the page, sends nothing, and says so
            assert "already exists" in outcome.check_ok().words
        case "pdm":  # it shows the status, and keeps the text for its log
            outcome.check_refused("409 Conflict")
            (*_, log) = sorted(client("pdm").home.rglob("pdm-publish-*.log"), key=lambda path: path.stat().st_mtime)
            assert "already exists" in log.read_text()
        case "flit" | "twine" if http_server == "granian":  # they show the reason phrase, which granian cannot set
            outcome.check_refused("409")
        case _:
            outcome.check_refused("already exists")
    assert shared_server.listed(project.name) == before


def test_the_read_secret_does_not_publish(
    shared_server: LiveServer, publish_as: PublishAs, project: Project, http_server: str
) -> None:
    """UP-07: a known user without the right gets 403, and nothing is kept."""
    # granian closes a connection whose body was not read, and a client that is still sending may meet that first.
    words = (_WITHOUT_RIGHT,) if http_server == "uvicorn" else ()
    publish_as(shared_server.read_secret).check_refused(*words)
    assert shared_server.listed(project.name) == {}


def test_a_wrong_password_fails_in_words(shared_server: LiveServer, publish_as: PublishAs, project: Project) -> None:
    """UP-07: a wrong password is refused without a traceback of the client, and nothing is kept."""
    publish_as("wrong").check_refused()
    assert shared_server.listed(project.name) == {}
