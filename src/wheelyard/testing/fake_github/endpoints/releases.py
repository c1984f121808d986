"""Releases."""

from __future__ import annotations

from wheelyard.testing.fake_github import shapes
from wheelyard.testing.fake_github.call import Call, forbidden
from wheelyard.testing.fake_github.endpoints.contents import WORKFLOWS
from wheelyard.testing.fake_github.model import Release, Repository
from wheelyard.testing.fake_github.routing import route
from wheelyard.testing.fake_github.wire import Answer, Refused, json_answer, not_found


def invalid(code: str, field: str, *, message: str | None = None, resource: str = "Release") -> Refused:
    """A `422 Validation Failed` of one field."""
    error = {"resource": resource, "code": code, "field": field}
    if message is not None:
        error["message"] = message
    return Refused(422, "Validation Failed", errors=[error])


@route("GET", "/repos/{owner}/{repo}/releases", "repos/list-releases")
def releases(call: Call) -> Answer:
    """Newest first; drafts only for who may push; GitHub lists a thousand, at other times ten thousand, and no more."""
    repo = call.repository("contents")
    page, per_page = call.page()
    cap = call.github.switches.release_list_cap
    if page * per_page > cap:
        raise Refused(422, f"Only the first {cap} results are available.")
    shown = repo.newest_first() if call.may_push(repo) else repo.published()
    wanted = slice((page - 1) * per_page, page * per_page)
    listed: list[object] = [*shown]
    listed[wanted] = [shapes.release(call.github, repo, item) for item in shown[wanted]]
    return call.paged(listed[:cap])


@route("GET", "/repos/{owner}/{repo}/releases/latest", "repos/get-latest-release")
def latest_release(call: Call) -> Answer:
    """The newest that is neither draft nor prerelease."""
    repo = call.repository("contents")
    for item in repo.published():
        if not item.prerelease:
            return json_answer(shapes.release(call.github, repo, item))
    raise not_found()


@route("GET", "/repos/{owner}/{repo}/releases/tags/{tag...}", "repos/get-release-by-tag")
def release_by_tag(call: Call) -> Answer:
    """The published release of a tag; drafts are not found so."""
    repo = call.repository("contents")
    found = repo.release_with(call.params["tag"])
    if found is None:
        raise not_found()
    return json_answer(shapes.release(call.github, repo, found))


def visible(call: Call, repo: Repository, number: int) -> Release:
    """
    The release of a number.

    Raises:
        Refused: There is none, or it is a draft and the caller may not push.
    """
    found = repo.releases.get(number)
    if found is None or (found.draft and not call.may_push(repo)):
        raise not_found()
    return found


@route("GET", "/repos/{owner}/{repo}/releases/{release_id}", "repos/get-release")
def release(call: Call) -> Answer:
    """One release."""
    repo = call.repository("contents")
    return json_answer(shapes.release(call.github, repo, visible(call, repo, call.number("release_id"))))


def _workflows(repo: Repository, commit: str) -> dict[str, str]:
    tree = repo.git.commits[commit].tree
    return {
        path: entry.sha for path, entry in repo.git.walk(tree) if path.startswith(WORKFLOWS) and entry.kind == "blob"
    }


def _check_workflow_rule(call: Call, repo: Repository, commit: str) -> None:
    """A release of a commit with other workflows than the default branch has takes the right to change workflows."""
    default = repo.refs.get(f"refs/heads/{repo.default_branch}")
    known = _workflows(repo, default) if default else {}
    token = call.signed_in()
    if not _workflows(repo, commit).items() - known.items():
        return
    if token.is_scoped and "workflow" not in token.scopes:
        raise not_found()
    if not token.is_scoped and token.permissions.get("workflows") != "write":
        raise forbidden(token)


def _publish(call: Call, repo: Repository, item: Release) -> None:
    """
    Let everybody see a release: the tag is made when there is none.

    Raises:
        Refused: The tag has a release or is spent, or the target is nothing.
    """
    if repo.release_with(item.tag) not in (None, item):
        raise invalid("already_exists", "tag_name")
    if item.tag in repo.spent_tags:
        raise invalid("custom", "tag_name", message="tag_name was used by an immutable release")
    if repo.is_empty:
        raise Refused(422, "Repository is empty.")
    ref = f"refs/tags/{item.tag}"
    target = repo.refs.get(ref) or repo.resolve(item.target)
    if target is None:
        raise invalid("invalid", "target_commitish")
    _check_workflow_rule(call, repo, target)
    repo.refs[ref] = target
    item.draft = False
    item.published = call.github.now()
    item.immutable = repo.immutable_releases or call.github.switches.immutable_releases


def _check_tag(tag: str) -> None:
    if (
        not tag
        or tag.strip("/") != tag
        or any(mark in tag for mark in " ~^:?*[\\")
        or ".." in tag
        or tag.endswith((".lock", "."))
    ):
        raise invalid("custom", "tag_name", message="tag_name is not well-formed")


@route("POST", "/repos/{owner}/{repo}/releases", "repos/create-release")
def create_release(call: Call) -> Answer:
    """Make a release; of drafts any number may have one tag."""
    repo = call.repository("contents", "write")
    tag = call.text("tag_name")
    _check_tag(tag)
    item = Release(
        id=call.github.new_id(),
        tag=tag,
        target=call.text("target_commitish", repo.default_branch),
        author=call.actor,
        created=call.github.now(),
        name=call.text("name", "") or None,
        body=call.text("body", "") or None,
        draft=True,
        prerelease=call.flag("prerelease", default=False),
    )
    if not call.flag("draft", default=False):
        _publish(call, repo, item)
    repo.releases[item.id] = item
    body = shapes.release(call.github, repo, item)
    return json_answer(body, status=201, headers={"location": str(body["url"])})


@route("PATCH", "/repos/{owner}/{repo}/releases/{release_id}", "repos/update-release")
def change_release(call: Call) -> Answer:
    """Change or publish a release; an immutable one keeps its tag."""
    repo = call.repository("contents", "write")
    item = visible(call, repo, call.number("release_id"))
    body = call.body()
    tag = call.text("tag_name", item.tag)
    if item.immutable and tag != item.tag:
        raise Refused(422, "Cannot change the tag of an immutable release")
    _check_tag(tag)
    if not item.draft and tag != item.tag and repo.release_with(tag) is not None:
        raise invalid("already_exists", "tag_name")
    item.tag, item.target = tag, call.text("target_commitish", item.target)
    if item.draft and body.get("draft") is False:
        _publish(call, repo, item)
    elif body.get("draft") is True and not item.immutable:
        item.draft, item.published = True, None
    item.name, item.body = call.text("name", item.name or ""), call.text("body", item.body or "")
    item.prerelease = call.flag("prerelease", default=item.prerelease)
    item.updated = call.github.now()
    return json_answer(shapes.release(call.github, repo, item))


@route("DELETE", "/repos/{owner}/{repo}/releases/{release_id}", "repos/delete-release")
def delete_release(call: Call) -> Answer:
    """Remove a release with its assets; its tag stays, and that of an immutable one can never be used again."""
    repo = call.repository("contents", "write")
    item = visible(call, repo, call.number("release_id"))
    if item.immutable:
        repo.spent_tags.add(item.tag)
    del repo.releases[item.id]
    return Answer(status=204)
