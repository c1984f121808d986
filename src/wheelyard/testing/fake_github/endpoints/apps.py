"""GitHub Apps: they sign for themselves, and get a token for an hour on one account."""

from __future__ import annotations

from collections.abc import Mapping

from wheelyard.testing.fake_github import shapes
from wheelyard.testing.fake_github.call import Call, forbidden
from wheelyard.testing.fake_github.endpoints.repositories import permissions
from wheelyard.testing.fake_github.model import App, Installation, Repository, stamp
from wheelyard.testing.fake_github.routing import route
from wheelyard.testing.fake_github.signatures import app_of
from wheelyard.testing.fake_github.wire import Answer, Refused, json_answer, not_found

_LEVELS = ("none", "read", "write", "admin")
_MADE = "2020-01-01T00:00:00Z"


def _app(call: Call) -> App:
    return app_of(call.request.headers.get("authorization"), call.github.apps, now=call.github.clock())


def _app_body(call: Call, app: App) -> shapes.Body:
    granted = next(iter(app.installations.values()), None)
    return {
        "id": app.id,
        "slug": app.slug,
        "node_id": shapes.node_id("A", app.id),
        "owner": shapes.person(call.github, granted.account if granted else "ghost"),
        "name": app.slug,
        "description": None,
        "external_url": "https://example.org",
        "html_url": f"https://github.com/apps/{app.slug}",
        "created_at": _MADE,
        "updated_at": _MADE,
        "permissions": dict(granted.permissions) if granted else {},
        "events": [],
    }


@route("GET", "/app", "apps/get-authenticated")
def own_app(call: Call) -> Answer:
    """The app that asks."""
    return json_answer(_app_body(call, _app(call)))


def _installation_body(call: Call, app: App, item: Installation) -> shapes.Body:
    account = call.github.accounts[item.account.lower()]
    return {
        "id": item.id,
        "account": shapes.person(call.github, item.account),
        "repository_selection": "all" if item.repositories is None else "selected",
        "access_tokens_url": f"{call.github.api_url}/app/installations/{item.id}/access_tokens",
        "repositories_url": f"{call.github.api_url}/installation/repositories",
        "html_url": f"https://github.com/settings/installations/{item.id}",
        "app_id": app.id,
        "app_slug": app.slug,
        "target_id": account.id,
        "target_type": account.kind,
        "permissions": dict(item.permissions),
        "events": [],
        "created_at": _MADE,
        "updated_at": _MADE,
        "single_file_name": None,
        "suspended_by": None,
        "suspended_at": None,
    }


@route("GET", "/app/installations", "apps/list-installations")
def installations(call: Call) -> Answer:
    """Where the app is installed."""
    app = _app(call)
    return call.paged([_installation_body(call, app, item) for item in app.installations.values()])


@route("GET", "/repos/{owner}/{repo}/installation", "apps/get-repo-installation")
def repository_installation(call: Call) -> Answer:
    """Where the app is installed so that it has this repository."""
    app = _app(call)
    repo = call.github.repositories.get(f"{call.params['owner']}/{call.params['repo']}".lower())
    for item in app.installations.values():
        if repo is not None and repo in _repositories(call, item):
            return json_answer(_installation_body(call, app, item))
    raise not_found()


def _repositories(call: Call, item: Installation) -> list[Repository]:
    return [
        repo
        for repo in call.github.repositories.values()
        if repo.owner == item.account and (item.repositories is None or repo.id in item.repositories)
    ]


@route("POST", "/app/installations/{installation_id}/access_tokens", "apps/create-installation-access-token")
def installation_token(call: Call) -> Answer:
    """A token for an hour; the answer is the only place that tells what it may do."""
    app = _app(call)
    item = app.installations.get(call.number("installation_id"))
    if item is None:
        raise not_found()
    wanted = call.body().get("permissions") or item.permissions
    if not isinstance(wanted, Mapping) or not _granted(wanted, item.permissions):
        raise Refused(422, "The permissions requested are not granted to this installation.")
    chosen = _chosen(call, item)
    value = call.github.token(
        None,
        "installation",
        permissions=dict(wanted),
        repositories=tuple(repo.full_name for repo in chosen),
        app_id=app.id,
        installation_id=item.id,
    )
    expires = call.github.tokens[value].expires
    assert expires is not None
    body: shapes.Body = {
        "token": value,
        "expires_at": stamp(expires),
        "permissions": dict(wanted),
        "repository_selection": "all" if item.repositories is None else "selected",
    }
    if call.body().keys() & {"repositories", "repository_ids"}:
        body["repositories"] = [shapes.repository(call.github, repo, None) for repo in chosen]
    return json_answer(body, status=201)


def _granted(wanted: Mapping[str, object], granted: Mapping[str, str]) -> bool:
    return all(
        str(level) in _LEVELS and _LEVELS.index(str(level)) <= _LEVELS.index(granted.get(name, "none"))
        for name, level in wanted.items()
    )


def _chosen(call: Call, item: Installation) -> list[Repository]:
    """
    The repositories the new token is for.

    Raises:
        Refused: One of them is not of this installation.
    """
    all_of_it = _repositories(call, item)
    names, numbers = call.body().get("repositories"), call.body().get("repository_ids")
    if names is None and numbers is None:
        return all_of_it
    wanted = {*(names if isinstance(names, list) else ()), *(numbers if isinstance(numbers, list) else ())}
    chosen = [repo for repo in all_of_it if {repo.name, repo.id} & wanted]
    if len(chosen) < len(wanted):
        raise Refused(
            422, "There is at least one repository that does not exist or is not accessible to the parent installation."
        )
    return chosen


@route("GET", "/installation/repositories", "apps/list-repos-accessible-to-installation")
def installation_repositories(call: Call) -> Answer:
    """What an installation's token is good for."""
    token = call.signed_in()
    if token.kind not in ("installation", "actions"):
        raise forbidden(token)
    found = [repo for repo in call.github.repositories.values() if repo.id in (token.repositories or ())]
    bodies = [shapes.repository(call.github, repo, permissions(call, repo)) for repo in found]
    return json_answer({"total_count": len(bodies), "repositories": bodies})
