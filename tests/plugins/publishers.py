"""How each client publishes: one function per client, all with the same arguments, so that a test names only behaviour."""

from __future__ import annotations

from collections.abc import Callable

from plugins.clients import Client, Outcome
from plugins.projects import Project

Publish = Callable[[Client, Project, str, str, str], Outcome]
"""Client, built project, upload URL, user name, password."""


def _files(project: Project) -> list[str]:
    return [f"dist/{path.name}" for path in project.files]


def twine(client: Client, project: Project, url: str, user: str, password: str) -> Outcome:
    """Upload with twine, told by its environment variables."""
    command = ["upload", "--non-interactive", "--disable-progress-bar", "--repository-url", url, *_files(project)]
    return client(*command, cwd=project.folder, TWINE_USERNAME=user, TWINE_PASSWORD=password)


def uv(client: Client, project: Project, url: str, user: str, password: str) -> Outcome:
    """Publish with uv."""
    command = ["publish", "--publish-url", url, "--username", user, "--password", password, *_files(project)]
    return client(*command, cwd=project.folder)


def poetry(client: Client, project: Project, url: str, user: str, password: str) -> Outcome:
    """Publish with poetry, the repository and its credentials in the environment."""
    return client(
        "publish",
        "--repository=ours",
        "--no-interaction",
        cwd=project.folder,
        POETRY_REPOSITORIES_OURS_URL=url,
        POETRY_HTTP_BASIC_OURS_USERNAME=user,
        POETRY_HTTP_BASIC_OURS_PASSWORD=password,
    )


def pdm(client: Client, project: Project, url: str, user: str, password: str) -> Outcome:
    """Publish with pdm."""
    command = ["publish", "--no-build", "--repository", url, "--username", user, "--password", password]
    return client(*command, cwd=project.folder)


def hatch(client: Client, project: Project, url: str, user: str, password: str) -> Outcome:
    """Publish with hatch."""
    command = ["publish", "--no-prompt", "--repo", url, "--user", user, "--auth", password, *_files(project)]
    return client(*command, cwd=project.folder)


def flit(client: Client, project: Project, url: str, user: str, password: str) -> Outcome:
    """Build and publish with flit; it always builds what it publishes."""
    return client("publish", cwd=project.folder, FLIT_INDEX_URL=url, FLIT_USERNAME=user, FLIT_PASSWORD=password)


PUBLISHERS: dict[str, Publish] = {
    "twine": twine,
    "uv": uv,
    "poetry": poetry,
    "pdm": pdm,
    "hatch": hatch,
    "flit": flit,
}


def backend_for(client: str) -> str:
    """Return the build backend of a project that a client publishes: flit insists on its own."""
    return "flit" if client == "flit" else "uv"
