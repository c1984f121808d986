"""Repositories and who may do what in them."""

from __future__ import annotations

from collections.abc import Mapping

from wheelyard.testing.fake_github import shapes
from wheelyard.testing.fake_github.call import Call, forbidden
from wheelyard.testing.fake_github.endpoints.accounts import organization
from wheelyard.testing.fake_github.model import ROLES, Account, Repository
from wheelyard.testing.fake_github.routing import route
from wheelyard.testing.fake_github.wire import Answer, Refused, json_answer, not_found

_SHOWN = {"none": "none", "pull": "read", "triage": "read", "push": "write", "maintain": "write", "admin": "admin"}
_SETTINGS = {"description": "description", "homepage": "homepage", "archived": "archived", "private": "private"}


def permissions(call: Call, repository: Repository) -> Mapping[str, bool] | None:
    """
    What `permissions` of a repository tells a caller: the role of the person, whatever was granted to the token.

    An installation's and a workflow's token are nobody, and are told no to everything, whatever was granted to them.
    """
    if call.token is None:
        return None
    role = call.github.role(call.person, repository) if call.token.is_person else "none"
    rank = ROLES.index(role)
    return {name: rank >= ROLES.index(name) for name in reversed(ROLES[1:])}


def _whole(call: Call, repository: Repository, *, status: int = 200) -> Answer:
    body = shapes.full_repository(call.github, repository, permissions(call, repository))
    return json_answer(body, status=status)


@route("GET", "/repos/{owner}/{repo}", "repos/get")
def repository(call: Call) -> Answer:
    """One repository; a private one is not found by whom it is not for."""
    return _whole(call, call.repository())


def _list(call: Call, wanted: list[Repository]) -> Answer:
    return call.paged([shapes.repository(call.github, each, permissions(call, each)) for each in wanted])


def _belongs(call: Call, repository: Repository) -> bool:
    """Whether the caller has a role in a repository that is not everybody's."""
    login = (call.person or "").lower()
    owner = call.github.accounts[repository.owner.lower()]
    return login in {owner.login.lower(), *(name.lower() for name in (*owner.members, *repository.collaborators))}


@route("GET", "/user/repos", "repos/list-for-authenticated-user")
def own_repositories(call: Call) -> Answer:
    """What a person owns, works in, or has by an organisation."""
    call.user()
    return _list(call, [each for each in call.github.repositories.values() if call.sees(each) and _belongs(call, each)])


@route("GET", "/users/{login}/repos", "repos/list-for-user")
def repositories_of_user(call: Call) -> Answer:
    """A person's public repositories: private ones are left out, even one's own."""
    if call.params["login"].lower() not in call.github.accounts:
        raise not_found()
    owner = call.params["login"].lower()
    seen = [each for each in call.github.repositories.values() if each.owner.lower() == owner and not each.private]
    return _list(call, seen)


@route("GET", "/orgs/{org}/repos", "repos/list-for-org")
def repositories_of_organization(call: Call) -> Answer:
    """An organisation's repositories, as far as the caller sees them."""
    owner = organization(call).login
    return _list(call, [each for each in call.github.repositories.values() if each.owner == owner and call.sees(each)])


@route("PATCH", "/repos/{owner}/{repo}", "repos/update")
def change_repository(call: Call) -> Answer:
    """Change settings."""
    found = call.repository("administration", "admin")
    body = call.body()
    for name, attribute in _SETTINGS.items():
        if name in body:
            setattr(found, attribute, body[name])
    if "visibility" in body:
        found.private = body["visibility"] != "public"
    if "default_branch" in body:
        branch = call.text("default_branch")
        if branch not in found.branches():
            raise Refused(
                422,
                "Validation Failed",
                errors=[{"resource": "Repository", "code": "invalid", "field": "default_branch"}],
            )
        found.default_branch = branch
    return _whole(call, found)


def _create(call: Call, owner: Account) -> Answer:
    name = call.text("name")
    full_name = f"{owner.login}/{name}"
    if full_name.lower() in call.github.repositories:
        raise Refused(
            422,
            "Repository creation failed.",
            errors=[
                {
                    "resource": "Repository",
                    "code": "custom",
                    "field": "name",
                    "message": "name already exists on this account",
                }
            ],
        )
    private = call.flag("private", default=False) or call.body().get("visibility") in ("private", "internal")
    made = call.github.repository(full_name, private=private, empty=not call.flag("auto_init", default=False))
    made.description = call.text("description", "") or None
    answer = _whole(call, made, status=201)
    answer.headers["location"] = shapes.repository_url(call.github, made)
    return answer


@route("POST", "/user/repos", "repos/create-for-authenticated-user")
def create_own_repository(call: Call) -> Answer:
    """Make a repository of the caller's own."""
    token = call.signed_in()
    owner = call.user()
    if token.is_scoped and not token.scopes & {"repo", "public_repo"}:
        raise not_found()
    if not token.is_scoped and token.permissions.get("administration") != "write":
        raise forbidden(token)
    return _create(call, owner)


@route("POST", "/orgs/{org}/repos", "repos/create-in-org")
def create_organization_repository(call: Call) -> Answer:
    """Make a repository of an organisation; its members may."""
    token = call.signed_in()
    owner = organization(call)
    if token.is_scoped and not token.scopes & {"repo", "public_repo"}:
        raise not_found()
    if not token.is_scoped and token.permissions.get("administration") != "write":
        raise forbidden(token)
    if token.is_person and call.person not in owner.members:
        raise Refused(403, "You need admin access to the organization before adding a repository to it.")
    answer = _create(call, owner)
    name = call.text("name")
    if call.person is not None:  # whoever makes a repository administers it
        call.github.repositories[f"{owner.login}/{name}".lower()].collaborators[call.person] = "admin"
    return answer


@route("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission", "repos/get-collaborator-permission-level")
def collaborator_permission(call: Call) -> Answer:
    """What somebody may do; only who may push is told."""
    found = call.repository()
    if not call.may_push(found):
        raise Refused(403, "Must have push access to view collaborator permission.")
    login = call.params["username"]
    account = call.github.accounts.get(login.lower())
    if account is None:
        raise not_found()
    role = call.github.role(account.login, found)
    rank = ROLES.index(role)
    user = shapes.person(call.github, account.login)
    user |= {
        "permissions": {name: rank >= ROLES.index(name) for name in reversed(ROLES[1:])},
        "role_name": _role_name(role),
    }
    return json_answer({"permission": _SHOWN[role], "role_name": _role_name(role), "user": user})


def _role_name(role: str) -> str:
    return {"pull": "read", "push": "write"}.get(role, role)


@route("GET", "/repos/{owner}/{repo}/immutable-releases", "repos/check-immutable-releases")
def immutable_releases(call: Call) -> Answer:
    """Whether releases can not be changed once published; 404 when they can."""
    found = call.repository("administration", "read")
    enforced = call.github.switches.immutable_releases
    if not found.immutable_releases and not enforced:
        raise not_found()
    return json_answer({"enabled": True, "enforced_by_owner": enforced})


@route("PUT", "/repos/{owner}/{repo}/immutable-releases", "repos/enable-immutable-releases")
def enable_immutable_releases(call: Call) -> Answer:
    """Switch it on for releases from now on."""
    call.repository("administration", "admin").immutable_releases = True
    return Answer(status=204)


@route("DELETE", "/repos/{owner}/{repo}/immutable-releases", "repos/disable-immutable-releases")
def disable_immutable_releases(call: Call) -> Answer:
    """Switch it off, unless the owner's policy is on."""
    found = call.repository("administration", "admin")
    if call.github.switches.immutable_releases:
        raise Refused(409, "Immutable releases are enforced by the owner of this repository.")
    found.immutable_releases = False
    return Answer(status=204)
