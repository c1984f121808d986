"""What GraphQL mutations do: commits and references with compare-and-swap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from wheelyard.testing.fake_github import shapes
from wheelyard.testing.fake_github.call import Call
from wheelyard.testing.fake_github.endpoints.contents import check_workflow_files
from wheelyard.testing.fake_github.endpoints.git_data import decoded, stolen_march
from wheelyard.testing.fake_github.model import Repository
from wheelyard.testing.fake_github.queries import GraphError, Node, commit, ref, repository_named
from wheelyard.testing.fake_github.wire import Refused

if TYPE_CHECKING:
    from graphql import GraphQLResolveInfo

    Info = GraphQLResolveInfo[Call]

_NULL_OID = "0" * 40


def _stale(expected: str) -> GraphError:
    return GraphError("STALE_DATA", f'Expected branch to point to "{expected}" but it did not.  Pull and try again.')


def _branch(call: Call, target: Mapping[str, Any]) -> tuple[Repository, str]:
    """
    The branch a commit is for: by the node of its reference, or by repository and name.

    Raises:
        GraphError: There is none; commits do not make branches.
    """
    for repo in call.github.repositories.values():
        for name in repo.refs:
            if target.get("id") == shapes.node_id("REF", f"{repo.id}:{name}"):
                return repository_named(call, repo.full_name, "contents", "write"), name
    full_name, branch = target.get("repositoryNameWithOwner"), target.get("branchName")
    if not full_name or not branch:
        raise GraphError(
            "UNPROCESSABLE", "A branch must be specified by `id`, or by `repositoryNameWithOwner` and `branchName`."
        )
    repo = repository_named(call, full_name, "contents", "write")
    name = branch if branch.startswith("refs/") else f"refs/heads/{branch}"
    if name not in repo.refs:
        raise GraphError("NOT_FOUND", f"No branch named '{branch}' was found in {full_name}.")
    return repo, name


def _changes(call: Call, wanted: Mapping[str, Any]) -> dict[str, bytes | None]:
    try:
        changes: dict[str, bytes | None] = {each["path"]: None for each in wanted.get("deletions") or ()}
        changes |= {each["path"]: decoded(each["contents"]) for each in wanted.get("additions") or ()}
        check_workflow_files(call, list(changes))
    except Refused as refused:
        raise GraphError("FORBIDDEN" if refused.status != 422 else "UNPROCESSABLE", refused.message) from None  # noqa: PLR2004
    for path in changes:
        if not path or path.startswith("/") or any(part in ("", ".", "..", ".git") for part in path.split("/")):
            raise GraphError("UNPROCESSABLE", f"A path was requested for addition or deletion which is invalid: {path}")
    return changes


def _create_commit(info: Info, **arguments: Mapping[str, Any]) -> Node:
    """Commit files to a branch, provided it still is where the caller thinks."""
    call: Call = info.context
    wanted = arguments["input"]
    repo, name = _branch(call, wanted["branch"])
    stolen_march(call, repo, name)
    if repo.refs[name] != wanted["expectedHeadOid"]:
        raise _stale(wanted["expectedHeadOid"])
    changes = _changes(call, wanted.get("fileChanges") or {})
    tree = repo.git.commits[repo.refs[name]].tree
    missing = [path for path, content in changes.items() if content is None and repo.git.entry(tree, path) is None]
    if missing:
        raise GraphError("NOT_FOUND", f"A path was requested for deletion which does not exist: {missing[0]}")
    message = wanted["message"]
    text = "\n\n".join(part for part in (message["headline"], message.get("body")) if part)
    sha = repo.commit(
        changes, branch=name.removeprefix("refs/heads/"), message=text, author=call.actor, when=call.github.now()
    )
    made = {"commit": commit(call, repo, sha), "ref": ref(call, repo, name)}
    return {**made, "clientMutationId": wanted.get("clientMutationId")}


def _repository(call: Call, node: str) -> Repository:
    for repo in call.github.repositories.values():
        if shapes.node_id("R", repo.id) == node and call.sees(repo):
            return repository_named(call, repo.full_name, "contents", "write")
    raise GraphError("NOT_FOUND", f"Could not resolve to a node with the global id of '{node}'")


def _create_ref(info: Info, **arguments: Mapping[str, Any]) -> Node:
    """Make a branch or tag."""
    call: Call = info.context
    wanted = arguments["input"]
    repo = _repository(call, wanted["repositoryId"])
    name = wanted["name"]
    if name in repo.refs:
        raise GraphError("UNPROCESSABLE", f'A ref named "{name}" already exists in the repository.')
    if wanted["oid"] not in repo.git.commits:
        raise GraphError("UNPROCESSABLE", f'Object "{wanted["oid"]}" does not exist.')
    repo.refs[name] = wanted["oid"]
    return {"ref": ref(call, repo, name), "clientMutationId": wanted.get("clientMutationId")}


def _update_refs(info: Info, **arguments: Mapping[str, Any]) -> Node:
    """Move, make and remove references, all or none of them; `beforeOid` is what each must be now."""
    call: Call = info.context
    wanted = arguments["input"]
    repo = _repository(call, wanted["repositoryId"])
    for update in wanted["refUpdates"]:
        stolen_march(call, repo, update["name"])
        _check_update(repo, update)
    for update in wanted["refUpdates"]:
        if update["afterOid"] == _NULL_OID:
            repo.refs.pop(update["name"], None)
        else:
            repo.refs[update["name"]] = update["afterOid"]
    return {"clientMutationId": wanted.get("clientMutationId")}


def _check_update(repo: Repository, update: Mapping[str, Any]) -> None:
    name, before, after = update["name"], update.get("beforeOid"), update["afterOid"]
    now = repo.refs.get(name, _NULL_OID)
    if before is not None and before != now:
        raise GraphError("STALE_DATA", f'Expected {name} to point to "{before}" but it did not.')
    if after != _NULL_OID and after not in repo.git.commits:
        raise GraphError("UNPROCESSABLE", f'Object "{after}" does not exist.')
    moved = _NULL_OID not in (now, after)
    if moved and not update.get("force") and not repo.git.is_ancestor(now, after):
        raise GraphError("UNPROCESSABLE", f"Update of {name} is not a fast forward.")


MUTATIONS: Mapping[str, Callable[..., Any]] = {
    "createCommitOnBranch": _create_commit,
    "createRef": _create_ref,
    "updateRefs": _update_refs,
}
"""Resolvers of the fields of `Mutation`."""
