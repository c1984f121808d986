"""People, organisations, and how much of the hour is left."""

from __future__ import annotations

from wheelyard.testing.fake_github import shapes
from wheelyard.testing.fake_github.call import Call
from wheelyard.testing.fake_github.model import Account
from wheelyard.testing.fake_github.routing import route
from wheelyard.testing.fake_github.wire import Answer, Refused, json_answer, not_found


@route("GET", "/user", "users/get-authenticated")
def own_account(call: Call) -> Answer:
    """Who the token is of; installations and workflows are nobody."""
    return json_answer(shapes.public_person(call.github, call.user()))


@route("GET", "/users/{login}", "users/get-by-username")
def account(call: Call) -> Answer:
    """Anybody."""
    found = call.github.accounts.get(call.params["login"].lower())
    if found is None:
        raise not_found()
    return json_answer(shapes.public_person(call.github, found))


@route("GET", "/rate_limit", "rate-limit/get")
def rate_limit(call: Call) -> Answer:
    """What is left; asking costs nothing."""
    if call.github.base == "ghes":
        raise Refused(404, "Rate limiting is not enabled.")
    windows = {
        resource: call.github.limits.window(call.token, resource, call.github.clock()).value()
        for resource in ("core", "search", "graphql")
    }
    return json_answer({"resources": windows, "rate": windows["core"]})


def organization(call: Call) -> Account:
    """
    The organisation of the path.

    Raises:
        Refused: There is none.
    """
    found = call.github.accounts.get(call.params["org"].lower())
    if found is None or found.kind != "Organization":
        raise not_found()
    return found


def _membership(call: Call, org: Account, login: str) -> Answer:
    role = org.members.get(login)
    if role is None:
        raise not_found()
    url = f"{call.github.api_url}/orgs/{org.login}"
    return json_answer(
        {
            "url": f"{url}/memberships/{login}",
            "state": "active",
            "role": role,
            "organization_url": url,
            "organization": {
                "login": org.login,
                "id": org.id,
                "node_id": shapes.node_id("O", org.id),
                "url": url,
                "repos_url": f"{url}/repos",
                "events_url": f"{url}/events",
                "hooks_url": f"{url}/hooks",
                "issues_url": f"{url}/issues",
                "members_url": f"{url}/members{{/member}}",
                "public_members_url": f"{url}/public_members{{/member}}",
                "avatar_url": f"{call.github.web_url}/avatars/{org.id}",
                "description": "",
            },
            "user": shapes.person(call.github, login),
        }
    )


@route("GET", "/user/memberships/orgs/{org}", "orgs/get-membership-for-authenticated-user")
def own_membership(call: Call) -> Answer:
    """Whether the caller is in an organisation; OAuth tokens need the scope `read:org`."""
    login = call.user().login
    token = call.signed_in()
    if token.is_scoped and not token.scopes & {"read:org", "admin:org"}:
        raise Refused(403, "You need at least read:org scope or user scope to view your organization membership.")
    return _membership(call, organization(call), login)


@route("GET", "/orgs/{org}/memberships/{username}", "orgs/get-membership-for-user")
def membership(call: Call) -> Answer:
    """Whether somebody is in an organisation; only members may ask."""
    org = organization(call)
    if call.signed_in().login is not None and call.person not in org.members:
        raise Refused(
            403, f"You must be a member of {org.login} to see membership information for {call.params['username']}."
        )
    return _membership(call, org, call.params["username"])
