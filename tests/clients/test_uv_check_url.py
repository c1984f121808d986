"""uv compares with the index before it sends, when it is told where the index is."""

from __future__ import annotations

from collections.abc import Callable

from plugins.clients import Client, GetClient, Outcome
from plugins.live import LiveServer
from plugins.projects import Project

Publish = Callable[..., Project]
Name = Callable[[str], str]


def _publish(uv: Client, server: LiveServer, project: Project) -> Outcome:
    secrets = ["--username", server.index, "--password", server.write_secret]
    urls = ["--publish-url", server.upload_url, "--check-url", server.read_url]
    return uv("publish", *urls, *secrets, cwd=project.folder)


def test_what_is_there_is_skipped(shared_server: LiveServer, client: GetClient, publish: Publish, name: Name) -> None:
    """Standards 2D: uv finds the published hashes on the page and sends nothing."""
    project = publish(name("checked"))
    outcome = _publish(client("uv"), shared_server, project).check_ok()
    assert "already exists, skipping" in outcome.words
    shared_server.check_holds(project.name, project.files)


def test_other_content_is_found_before_sending(
    shared_server: LiveServer, client: GetClient, publish: Publish, name: Name
) -> None:
    """Standards 2D: uv names both hashes when the index holds other content."""
    project = publish(name("checked"))
    before = shared_server.listed(project.name)
    project.change()
    project.build()
    _publish(client("uv"), shared_server, project).check_refused("do not match")
    assert shared_server.listed(project.name) == before
