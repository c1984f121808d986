"""Files by path, one commit for each change, and the whole branch as one archive."""

from __future__ import annotations

import base64
from urllib.parse import quote

from wheelyard.testing.fake_github import shapes
from wheelyard.testing.fake_github.call import Call, forbidden
from wheelyard.testing.fake_github.endpoints.asset_host import archive_link
from wheelyard.testing.fake_github.endpoints.git_data import decoded, stolen_march
from wheelyard.testing.fake_github.git_objects import Entry
from wheelyard.testing.fake_github.model import Repository
from wheelyard.testing.fake_github.routing import route
from wheelyard.testing.fake_github.wire import Answer, Refused, json_answer, not_found

_JSON_BYTES = 1024 * 1024
_RAW_BYTES = 100 * 1024 * 1024
_FOLDER_ENTRIES = 1000
WORKFLOWS = ".github/workflows/"


def _item(call: Call, repo: Repository, path: str, entry: Entry, ref: str) -> shapes.Body:
    url = shapes.repository_url(call.github, repo)
    self_url = f"{url}/contents/{quote(path)}?ref={quote(ref)}"
    kind = "file" if entry.kind == "blob" else "dir"
    git_url = f"{url}/git/{entry.kind}s/{entry.sha}"
    html = f"{call.github.web_url}/{repo.full_name}/{'blob' if kind == 'file' else 'tree'}/{quote(ref)}/{quote(path)}"
    raw = f"{call.github.web_url}/raw/{repo.full_name}/{quote(ref)}/{quote(path)}"
    return {
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": entry.sha,
        "size": len(repo.git.blobs[entry.sha]) if kind == "file" else 0,
        "url": self_url,
        "html_url": html,
        "git_url": git_url,
        "download_url": raw if kind == "file" else None,
        "type": kind,
        "_links": {"self": self_url, "git": git_url, "html": html},
    }


def _file(call: Call, repo: Repository, path: str, entry: Entry, ref: str) -> Answer:
    content = repo.git.blobs[entry.sha]
    if len(content) > _RAW_BYTES:
        raise Refused(
            403,
            "This API returns blobs up to 100 MB in size. The requested blob is too large to fetch via the API, but you "
            "can use Git to clone.",
            errors=[{"resource": "Blob", "field": "data", "code": "too_large"}],
        )
    if "raw" in call.request.accept:
        return Answer(headers={"content-type": "application/vnd.github.raw; charset=utf-8"}, body=content)
    body = _item(call, repo, path, entry, ref)
    if len(content) > _JSON_BYTES:
        return json_answer({**body, "content": "", "encoding": "none"})
    return json_answer({**body, "content": base64.encodebytes(content).decode(), "encoding": "base64"})


@route("GET", "/repos/{owner}/{repo}/contents", "repos/get-content")
@route("GET", "/repos/{owner}/{repo}/contents/{path...}", "repos/get-content")
def contents(call: Call) -> Answer:
    """A file, or what is in a folder."""
    repo = call.repository("contents")
    path = call.params.get("path", "").strip("/")
    ref = call.request.query.get("ref", repo.default_branch)
    commit = repo.resolve(ref)
    if commit is None:
        message = "This repository is empty." if repo.is_empty else f"No commit found for the ref {ref}"
        raise Refused(404, message)
    tree = repo.git.commits[commit].tree
    entry = repo.git.entry(tree, path) if path else Entry("040000", "", tree)
    if entry is None:
        raise not_found()
    if entry.kind == "blob":
        return _file(call, repo, path, entry, ref)
    prefix = f"{path}/" if path else ""
    inside = repo.git.trees[entry.sha][:_FOLDER_ENTRIES]
    return json_answer([_item(call, repo, prefix + each.name, each, ref) for each in inside])


def check_workflow_files(call: Call, paths: list[str]) -> None:
    """
    Refuse to change workflows without the right for it.

    Raises:
        Refused: 404 for tokens with scopes, 403 for the others; a workflow's own token can never do it.
    """
    token = call.signed_in()
    if not any(path.startswith(WORKFLOWS) for path in paths):
        return
    if token.is_scoped and "workflow" not in token.scopes:
        raise not_found()
    if not token.is_scoped and (token.kind == "actions" or token.permissions.get("workflows") != "write"):
        raise forbidden(token)


def _branch(call: Call, repo: Repository) -> str:
    branch = call.text("branch", call.request.query.get("branch", repo.default_branch))
    if branch not in repo.branches() and not repo.is_empty:
        raise Refused(404, f"Branch {branch} not found")
    return branch


def _check_sha(call: Call, path: str, found: Entry | None) -> None:
    sha = call.body().get("sha", call.request.query.get("sha"))
    if found is None:
        return  # GitHub looks at no hash when there is no file
    if sha is None:
        raise Refused(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
    if sha != found.sha:
        raise Refused(409, f"{path} does not match {sha}")


def _changed(call: Call, repo: Repository, branch: str, path: str, content: bytes | None) -> shapes.Body:
    before = repo.refs.get(f"refs/heads/{branch}")
    stolen_march(call, repo, f"refs/heads/{branch}")
    now = repo.refs.get(f"refs/heads/{branch}")
    if before != now:
        raise Refused(409, f"is at {now} but expected {before}")
    sha = repo.commit(
        {path: content},
        branch=branch,
        message=call.text("message", "Change"),
        author=call.actor,
        when=call.github.now(),
    )
    return shapes.git_commit(call.github, repo, sha)


def _entry(repo: Repository, branch: str, path: str) -> Entry | None:
    head = repo.refs.get(f"refs/heads/{branch}")
    return repo.git.entry(repo.git.commits[head].tree, path) if head else None


@route("PUT", "/repos/{owner}/{repo}/contents/{path...}", "repos/create-or-update-file-contents")
def write_file(call: Call) -> Answer:
    """Write one file; an old one only when the caller knows what it replaces."""
    repo = call.repository("contents", "write")
    path = call.params["path"].strip("/")
    call.text("message")
    content = decoded(call.text("content"))
    check_workflow_files(call, [path])
    branch = _branch(call, repo)
    found = _entry(repo, branch, path)
    _check_sha(call, path, found)
    commit = _changed(call, repo, branch, path, content)
    entry = _entry(repo, branch, path)
    assert entry is not None
    body = {"content": _item(call, repo, path, entry, branch), "commit": commit}
    return json_answer(body, status=200 if found else 201)


@route("DELETE", "/repos/{owner}/{repo}/contents/{path...}", "repos/delete-file")
def delete_file(call: Call) -> Answer:
    """Remove one file."""
    repo = call.repository("contents", "write")
    path = call.params["path"].strip("/")
    check_workflow_files(call, [path])
    branch = _branch(call, repo)
    found = _entry(repo, branch, path)
    if found is None:
        raise not_found()
    _check_sha(call, path, found)
    return json_answer({"content": None, "commit": _changed(call, repo, branch, path, None)})


@route("GET", "/repos/{owner}/{repo}/tarball/{ref...}", "repos/download-tarball-archive")
def tarball(call: Call) -> Answer:
    """Where the archive is; the link of a private one lives five minutes."""
    repo = call.repository("contents")
    sha = repo.resolve(call.params["ref"])
    if sha is None:
        raise not_found()
    return Answer(
        status=302, headers={"location": archive_link(call, repo, sha), "content-type": "text/html; charset=utf-8"}
    )
