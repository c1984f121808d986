"""Git's own objects and references: the long way to a commit of many files."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from urllib.parse import quote

from wheelyard.testing.fake_github import shapes
from wheelyard.testing.fake_github.call import Call
from wheelyard.testing.fake_github.git_objects import Commit, Entry, Signature
from wheelyard.testing.fake_github.model import Repository
from wheelyard.testing.fake_github.routing import route
from wheelyard.testing.fake_github.wire import Answer, Refused, json_answer, not_found

_BLOB_BYTES = 100 * 1000 * 1000
_SHA_DIGITS = 40
_REF_PARTS = 3  # refs/heads/name at least


def _not_empty(repo: Repository) -> Repository:
    if repo.is_empty:
        raise Refused(409, "Git Repository is empty.")
    return repo


def stolen_march(call: Call, repo: Repository, ref: str) -> None:
    """Let somebody else's commit land first, when a test has ordered it."""
    branch = ref.removeprefix("refs/heads/")
    if branch in repo.branches() and call.github.switches.take("stale_data"):
        repo.commit({}, branch=branch, message="Somebody was quicker", when=call.github.now())


# --- references -----------------------------------------------------------------------------------------------------


@route("GET", "/repos/{owner}/{repo}/git/ref/{ref...}", "git/get-ref")
def reference(call: Call) -> Answer:
    """One reference."""
    repo = _not_empty(call.repository("contents"))
    name = f"refs/{call.params['ref']}"
    if name not in repo.refs:
        raise not_found()
    return json_answer(shapes.reference(call.github, repo, name))


@route("GET", "/repos/{owner}/{repo}/git/matching-refs/{ref...}", "git/list-matching-refs")
def matching_references(call: Call) -> Answer:
    """References that begin so."""
    repo = _not_empty(call.repository("contents"))
    prefix = f"refs/{call.params['ref']}"
    found = sorted(name for name in repo.refs if name.startswith(prefix))
    return json_answer([shapes.reference(call.github, repo, name) for name in found])


@route("POST", "/repos/{owner}/{repo}/git/refs", "git/create-ref")
def create_reference(call: Call) -> Answer:
    """Make a branch or tag."""
    repo = _not_empty(call.repository("contents", "write"))
    name, sha = call.text("ref"), call.text("sha")
    if not name.startswith("refs/") or len(name.split("/")) < _REF_PARTS:
        raise Refused(422, "Reference name must start with 'refs/' and have at least two slashes.")
    if name in repo.refs:
        raise Refused(422, "Reference already exists")
    if sha not in repo.git.commits:
        raise Refused(422, "Object does not exist")
    repo.refs[name] = sha
    answer = json_answer(shapes.reference(call.github, repo, name), status=201)
    answer.headers["location"] = f"{shapes.repository_url(call.github, repo)}/git/{quote(name)}"
    return answer


@route("PATCH", "/repos/{owner}/{repo}/git/refs/{ref...}", "git/update-ref")
def move_reference(call: Call) -> Answer:
    """Move a branch; without `force` only to a descendant."""
    repo = _not_empty(call.repository("contents", "write"))
    name, sha = f"refs/{call.params['ref']}", call.text("sha")
    if name not in repo.refs:
        raise Refused(422, "Reference does not exist")
    if sha not in repo.git.commits:
        raise Refused(422, "Object does not exist")
    stolen_march(call, repo, name)
    if not call.flag("force", default=False) and not repo.git.is_ancestor(repo.refs[name], sha):
        raise Refused(422, "Update is not a fast forward")
    repo.refs[name] = sha
    return json_answer(shapes.reference(call.github, repo, name))


@route("DELETE", "/repos/{owner}/{repo}/git/refs/{ref...}", "git/delete-ref")
def delete_reference(call: Call) -> Answer:
    """Remove a branch or tag; the tag of an immutable release stays."""
    repo = _not_empty(call.repository("contents", "write"))
    name = f"refs/{call.params['ref']}"
    if name not in repo.refs:
        raise Refused(422, "Reference does not exist")
    release = repo.release_with(name.removeprefix("refs/tags/"))
    if name.startswith("refs/tags/") and release is not None and release.immutable:
        raise Refused(422, "Cannot delete this tag: it belongs to an immutable release.")
    del repo.refs[name]
    return Answer(status=204)


# --- objects --------------------------------------------------------------------------------------------------------


@route("GET", "/repos/{owner}/{repo}/git/blobs/{file_sha}", "git/get-blob")
def blob(call: Call) -> Answer:
    """The content of a file, whole as `raw`, else in base64."""
    repo = _not_empty(call.repository("contents"))
    sha = call.params["file_sha"]
    content = repo.git.blobs.get(sha)
    if content is None:
        raise not_found()
    if len(content) > _BLOB_BYTES:
        raise Refused(403, "This API returns blobs up to 100 MB in size.")
    if "raw" in call.request.accept:
        return Answer(headers={"content-type": "application/vnd.github.raw; charset=utf-8"}, body=content)
    return json_answer(
        {
            "sha": sha,
            "node_id": shapes.node_id("B", sha),
            "size": len(content),
            "url": f"{shapes.repository_url(call.github, repo)}/git/blobs/{sha}",
            "content": base64.encodebytes(content).decode(),
            "encoding": "base64",
        }
    )


@route("POST", "/repos/{owner}/{repo}/git/blobs", "git/create-blob")
def create_blob(call: Call) -> Answer:
    """Store the content of a file."""
    repo = _not_empty(call.repository("contents", "write"))
    content, encoding = call.text("content"), call.text("encoding", "utf-8")
    sha = repo.git.add_blob(decoded(content) if encoding == "base64" else content.encode())
    url = f"{shapes.repository_url(call.github, repo)}/git/blobs/{sha}"
    return json_answer({"sha": sha, "url": url}, status=201)


def decoded(content: str) -> bytes:
    """
    Base64, lines or none.

    Raises:
        Refused: It is none.
    """
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except binascii.Error:
        raise Refused(422, "content is not valid Base64") from None


def _tree_body(call: Call, repo: Repository, sha: str, *, recursive: bool) -> shapes.Body:
    url = shapes.repository_url(call.github, repo)
    entries = repo.git.walk(sha) if recursive else ((entry.name, entry) for entry in repo.git.trees[sha])
    listed: list[shapes.Body] = []
    for path, entry in entries:
        item: shapes.Body = {"path": path, "mode": entry.mode, "type": entry.kind, "sha": entry.sha}
        if entry.kind == "blob":
            item["size"] = len(repo.git.blobs[entry.sha])
        item["url"] = f"{url}/git/{entry.kind}s/{entry.sha}"
        listed.append(item)
    cap = call.github.switches.tree_entries_cap
    return {
        "sha": sha,
        "url": f"{url}/git/trees/{sha}",
        "tree": listed[:cap] if recursive else listed,
        "truncated": recursive and len(listed) > cap,
    }


@route("GET", "/repos/{owner}/{repo}/git/trees/{tree_sha...}", "git/get-tree")
def tree(call: Call) -> Answer:
    """A folder; with `recursive` in the query, whatever its value, all below it."""
    repo = _not_empty(call.repository("contents"))
    name = call.params["tree_sha"]
    commit = repo.resolve(name)
    sha = repo.git.commits[commit].tree if commit else name
    if sha not in repo.git.trees:
        raise not_found()
    return json_answer(_tree_body(call, repo, sha, recursive="recursive" in call.request.query))


@route("POST", "/repos/{owner}/{repo}/git/trees", "git/create-tree")
def create_tree(call: Call) -> Answer:
    """Store a folder, from nothing or on top of another."""
    repo = _not_empty(call.repository("contents", "write"))
    base = call.text("base_tree", "")
    if base in repo.git.commits:
        base = repo.git.commits[base].tree
    if base and base not in repo.git.trees:
        raise Refused(422, "base_tree is not a tree oid")
    entries = call.body().get("tree")
    if not isinstance(entries, list):
        raise Refused(422, 'Invalid request.\n\n"tree" wasn\'t supplied.')
    changes = dict(_tree_change(repo, item) for item in entries)
    sha = repo.git.changed_tree(base or None, changes) or repo.git.add_tree([])
    return json_answer(_tree_body(call, repo, sha, recursive=False), status=201)


def _tree_change(repo: Repository, item: object) -> tuple[str, tuple[str, str] | None]:
    if not isinstance(item, dict) or not isinstance(item.get("path"), str):
        raise Refused(422, "tree.path is missing")
    if isinstance(item.get("content"), str):
        return item["path"], (str(item.get("mode", "100644")), repo.git.add_blob(item["content"].encode()))
    if item.get("sha", "") is None:
        return item["path"], None
    entry = Entry(str(item.get("mode")), "", str(item.get("sha")))
    if not repo.git.has(entry.sha):
        raise Refused(422, f"tree.sha {entry.sha} is not a valid {entry.kind}")
    return item["path"], (entry.mode, entry.sha)


@route("GET", "/repos/{owner}/{repo}/git/commits/{commit_sha}", "git/get-commit")
def commit(call: Call) -> Answer:
    """A commit's object."""
    repo = _not_empty(call.repository("contents"))
    if call.params["commit_sha"] not in repo.git.commits:
        raise not_found()
    return json_answer(shapes.git_commit(call.github, repo, call.params["commit_sha"]))


@route("POST", "/repos/{owner}/{repo}/git/commits", "git/create-commit")
def create_commit(call: Call) -> Answer:
    """Store a commit, with parents or, for an orphan branch, without."""
    repo = _not_empty(call.repository("contents", "write"))
    tree_sha, parents = call.text("tree"), call.body().get("parents", [])
    if tree_sha not in repo.git.trees:
        raise Refused(422, "Tree SHA does not exist")
    if not isinstance(parents, list) or any(sha not in repo.git.commits for sha in parents):
        raise Refused(422, "Parent SHA does not exist or is not a commit object")
    author = signature(call, "author")
    made = Commit(
        tree=tree_sha,
        parents=tuple(parents),
        author=author,
        committer=signature(call, "committer", author),
        message=call.text("message"),
    )
    sha = repo.git.add_commit(made)
    answer = json_answer(shapes.git_commit(call.github, repo, sha), status=201)
    answer.headers["location"] = f"{shapes.repository_url(call.github, repo)}/git/commits/{sha}"
    return answer


def signature(call: Call, field: str, default: Signature | None = None) -> Signature:
    """Who made a commit, by the body, else the caller."""
    value = call.body().get(field)
    if not isinstance(value, dict):
        return default or Signature(call.actor, f"{call.actor}@users.noreply.github.com", call.github.now())
    when = datetime.fromisoformat(value["date"]) if "date" in value else call.github.now()
    return Signature(str(value.get("name")), str(value.get("email")), when)


def looks_like_sha(text: str) -> bool:
    """Whether this could be the full name of an object."""
    return len(text) == _SHA_DIGITS and all(digit in "0123456789abcdef" for digit in text)
