"""Branches and commits, as people see them."""

from __future__ import annotations

from itertools import islice

from wheelyard.testing.fake_github import shapes
from wheelyard.testing.fake_github.call import Call
from wheelyard.testing.fake_github.git_objects import GitObjects
from wheelyard.testing.fake_github.model import Repository
from wheelyard.testing.fake_github.routing import route
from wheelyard.testing.fake_github.wire import Answer, Refused, json_answer, not_found

_LISTED = 250


@route("GET", "/repos/{owner}/{repo}/branches", "repos/list-branches")
def branches(call: Call) -> Answer:
    """All branches."""
    repo = call.repository("contents")
    url = shapes.repository_url(call.github, repo)
    return call.paged(
        [
            {
                "name": name,
                "commit": {"sha": repo.head(name), "url": f"{url}/commits/{repo.head(name)}"},
                "protected": False,
            }
            for name in repo.branches()
        ]
    )


@route("GET", "/repos/{owner}/{repo}/branches/{branch...}", "repos/get-branch")
def branch(call: Call) -> Answer:
    """One branch with its newest commit."""
    repo = call.repository("contents")
    name = call.params["branch"]
    if name not in repo.branches():
        raise Refused(404, "Branch not found")
    url = f"{shapes.repository_url(call.github, repo)}/branches/{name}"
    return json_answer(
        {
            "name": name,
            "commit": shapes.commit(call.github, repo, repo.head(name)),
            "_links": {"self": url, "html": f"{call.github.web_url}/{repo.full_name}/tree/{name}"},
            "protected": False,
            "protection": {
                "enabled": False,
                "required_status_checks": {"enforcement_level": "off", "contexts": [], "checks": []},
            },
            "protection_url": f"{url}/protection",
        }
    )


@route("GET", "/repos/{owner}/{repo}/tags", "repos/list-tags")
def tags(call: Call) -> Answer:
    """All tags."""
    repo = call.repository("contents")
    url = shapes.repository_url(call.github, repo)
    names = sorted(
        (name.removeprefix("refs/tags/") for name in repo.refs if name.startswith("refs/tags/")), reverse=True
    )
    return call.paged([_tag(url, name, repo.refs[f"refs/tags/{name}"]) for name in names])


def _tag(url: str, name: str, sha: str) -> shapes.Body:
    return {
        "name": name,
        "commit": {"sha": sha, "url": f"{url}/commits/{sha}"},
        "zipball_url": f"{url}/zipball/refs/tags/{name}",
        "tarball_url": f"{url}/tarball/refs/tags/{name}",
        "node_id": shapes.node_id("REF", f"{url}:{name}"),
    }


def commit_named(repo: Repository, name: str) -> str:
    """
    The commit a name stands for.

    Raises:
        Refused: The repository is empty (409), or nothing has this name (422).
    """
    if repo.is_empty:
        raise Refused(409, "Git Repository is empty.")
    sha = repo.resolve(name)
    if sha is None:
        raise Refused(422, f"No commit found for SHA: {name}")
    return sha


@route("GET", "/repos/{owner}/{repo}/commits", "repos/list-commits")
def commits(call: Call) -> Answer:
    """The history of a branch, newest first."""
    repo = call.repository("contents")
    if repo.is_empty:
        raise Refused(409, "Git Repository is empty.")
    start = repo.resolve(call.request.query.get("sha", repo.default_branch))
    if start is None:
        raise not_found()
    return call.paged([shapes.commit(call.github, repo, sha) for sha in repo.git.history(start)])


@route("GET", "/repos/{owner}/{repo}/commits/{ref...}", "repos/get-commit")
def commit(call: Call) -> Answer:
    """
    One commit; by `application/vnd.github.sha` its name alone.

    Then the entity tag is the name too, so that it is right for every token: "by providing the local SHA-1 reference as the
    ETag".
    """
    repo = call.repository("contents")
    sha = commit_named(repo, call.params["ref"])
    if "github.sha" in call.request.accept or ".sha" in call.request.accept:
        kind = "application/vnd.github.sha; charset=utf-8"
        return Answer(headers={"content-type": kind}, body=sha.encode(), etag=f'"{sha}"')
    parents = repo.git.commits[sha].parents
    files = changed_files(call, repo, parents[0] if parents else None, sha)
    stats = {"total": len(files), "additions": len(files), "deletions": 0}
    return json_answer({**shapes.commit(call.github, repo, sha), "stats": stats, "files": files[: call.page()[1]]})


@route("GET", "/repos/{owner}/{repo}/compare/{basehead}", "repos/compare-commits-with-basehead")
def compare(call: Call) -> Answer:
    """What lies between two commits; three hundred files at most."""
    repo = call.repository("contents")
    base_name, dots, head_name = call.params["basehead"].partition("...")
    base, head = repo.resolve(base_name), repo.resolve(head_name)
    if not dots or base is None or head is None:
        raise not_found()
    url = shapes.repository_url(call.github, repo)
    web = f"{call.github.web_url}/{repo.full_name}/compare/{base}...{head}"
    ahead = _between(repo.git, base, head)
    behind = _between(repo.git, head, base)
    if base != head and not repo.git.is_ancestor(base, head) and not repo.git.is_ancestor(head, base):
        raise Refused(404, f"No common ancestor between {base_name} and {head_name}.")
    status = "identical" if base == head else "ahead" if ahead else "behind"
    return json_answer(
        {
            "url": f"{url}/compare/{base}...{head}",
            "html_url": web,
            "permalink_url": web,
            "diff_url": web + ".diff",
            "patch_url": web + ".patch",
            "base_commit": shapes.commit(call.github, repo, base),
            "merge_base_commit": shapes.commit(call.github, repo, base if ahead or base == head else head),
            "status": status,
            "ahead_by": len(ahead),
            "behind_by": len(behind),
            "total_commits": len(ahead),
            "commits": [shapes.commit(call.github, repo, sha) for sha in islice(reversed(ahead), _LISTED)],
            "files": changed_files(call, repo, base, head)[:300] if ahead else [],
        }
    )


def _between(git: GitObjects, older: str, newer: str) -> list[str]:
    known = set(git.history(older))
    return [sha for sha in git.history(newer) if sha not in known]


def changed_files(call: Call, repo: Repository, old: str | None, new: str) -> list[shapes.Body]:
    """What differs between two commits, as GitHub lists it."""
    url = shapes.repository_url(call.github, repo)
    before = _blobs(repo, old) if old else {}
    after = _blobs(repo, new)
    listed: list[shapes.Body] = []
    for path in sorted(before.keys() | after.keys()):
        was, now = before.get(path), after.get(path)
        if was == now:
            continue
        status = "added" if was is None else "removed" if now is None else "modified"
        web = f"{call.github.web_url}/{repo.full_name}"
        listed.append(
            {
                "sha": now or was,
                "filename": path,
                "status": status,
                "additions": int(now is not None),
                "deletions": int(was is not None),
                "changes": 1,
                "blob_url": f"{web}/blob/{new}/{path}",
                "raw_url": f"{web}/raw/{new}/{path}",
                "contents_url": f"{url}/contents/{path}?ref={new}",
            }
        )
    return listed


def _blobs(repo: Repository, commit: str) -> dict[str, str]:
    tree = repo.git.commits[commit].tree
    return {path: entry.sha for path, entry in repo.git.walk(tree) if entry.kind == "blob"}
