"""Pages and workflows, as far as setting up a store needs them."""

from __future__ import annotations

import base64

from wheelyard.testing.fake_github import shapes
from wheelyard.testing.fake_github.call import Call
from wheelyard.testing.fake_github.endpoints.contents import WORKFLOWS
from wheelyard.testing.fake_github.model import Repository
from wheelyard.testing.fake_github.routing import route
from wheelyard.testing.fake_github.wire import Answer, Refused, json_answer, not_found

_PAYLOAD_KEYS = 10
_PUBLIC_KEY = base64.b64encode(bytes(range(32))).decode()


def _pages(call: Call, repo: Repository) -> shapes.Body:
    return {
        "url": f"{shapes.repository_url(call.github, repo)}/pages",
        "status": None,
        "cname": None,
        "custom_404": False,
        "html_url": f"https://{repo.owner}.github.io/{repo.name}/",
        "source": (repo.pages or {}).get("source", {"branch": repo.default_branch, "path": "/"}),
        "public": True,
        "build_type": (repo.pages or {}).get("build_type", "legacy"),
        "https_enforced": True,
    }


@route("GET", "/repos/{owner}/{repo}/pages", "repos/get-pages")
def pages(call: Call) -> Answer:
    """The site of a repository."""
    repo = call.repository("pages")
    if repo.pages is None:
        raise not_found()
    return json_answer(_pages(call, repo))


@route("POST", "/repos/{owner}/{repo}/pages", "repos/create-pages-site")
def create_pages(call: Call) -> Answer:
    """Switch the site on; from a branch, or by a workflow."""
    repo = call.repository("pages", "admin")
    if repo.pages is not None:
        raise Refused(409, "GitHub Pages is already enabled.")
    body = call.body()
    source = body.get("source")
    branch = source.get("branch") if isinstance(source, dict) else None
    if body.get("build_type") != "workflow" and branch not in repo.branches():
        raise Refused(422, f"The {branch or repo.default_branch} branch must exist before GitHub Pages can be built.")
    repo.pages = body
    return json_answer(_pages(call, repo), status=201)


@route("GET", "/repos/{owner}/{repo}/actions/secrets/public-key", "actions/get-repo-public-key")
def secrets_key(call: Call) -> Answer:
    """What secrets are to be encrypted with."""
    call.repository("secrets", "write")
    return json_answer({"key_id": "568250167242549743", "key": _PUBLIC_KEY})


@route("PUT", "/repos/{owner}/{repo}/actions/secrets/{secret_name}", "actions/create-or-update-repo-secret")
def set_secret(call: Call) -> Answer:
    """Keep a secret for workflows."""
    repo = call.repository("secrets", "write")
    name = call.params["secret_name"].upper()
    is_new = name not in repo.secrets
    repo.secrets[name] = call.text("encrypted_value")
    return json_answer({}, status=201) if is_new else Answer(status=204)


def _known_ref(repo: Repository, ref: str) -> None:
    if repo.resolve(ref) is None:
        raise Refused(422, f"No ref found for: {ref}")


@route("POST", "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches", "actions/create-workflow-dispatch")
def dispatch_workflow(call: Call) -> Answer:
    """Start a workflow."""
    repo = call.repository("actions", "write")
    name = f"{WORKFLOWS}{call.params['workflow_id']}"
    if name not in repo.files():
        raise not_found()
    _known_ref(repo, call.text("ref"))
    repo.dispatches.append((name, call.body()))
    if call.flag("return_run_details", default=False):
        number = call.github.new_id()
        url = f"{shapes.repository_url(call.github, repo)}/actions/runs/{number}"
        web = f"{call.github.web_url}/{repo.full_name}/actions/runs/{number}"
        return json_answer({"workflow_run_id": number, "run_url": url, "html_url": web})
    return Answer(status=204)


@route("POST", "/repos/{owner}/{repo}/dispatches", "repos/create-dispatch-event")
def dispatch_event(call: Call) -> Answer:
    """Start what listens to an event of one's own."""
    repo = call.repository("contents", "write")
    payload = call.body().get("client_payload", {})
    if isinstance(payload, dict) and len(payload) > _PAYLOAD_KEYS:
        raise Refused(422, "Invalid request.\n\nNo more than 10 properties are allowed; 11 were supplied.")
    repo.dispatches.append((call.text("event_type"), call.body()))
    return Answer(status=204)
