"""
What GraphQL queries get: for each field a value, or a function that makes it when it is asked for.

GraphQL takes dictionaries as they are and calls what can be called with the request's context and the field's arguments.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from wheelyard.testing.fake_github import shapes
from wheelyard.testing.fake_github.call import Call
from wheelyard.testing.fake_github.git_objects import Entry
from wheelyard.testing.fake_github.model import Release, Repository, stamp
from wheelyard.testing.fake_github.wire import Refused

if TYPE_CHECKING:
    from graphql import GraphQLResolveInfo

    Info = GraphQLResolveInfo[Call]

Node = dict[str, Any]
"""One thing of the graph; the checker of GraphQL knows the types, this language's does not."""

_TEXT_BYTES = 512 * 1000  # longer texts are cut and marked, by observation; GitHub names no number
_BINARY_LOOK = 8000  # so many bytes are looked at for a zero, as git does
_PAGE_MAX = 100
_PERMISSIONS: Mapping[str, str] = {
    "pull": "READ",
    "triage": "TRIAGE",
    "push": "WRITE",
    "maintain": "MAINTAIN",
    "admin": "ADMIN",
}


class GraphError(Exception):
    """A refusal in the words of GraphQL; `kind` is GitHub's `type`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def repository_named(call: Call, full_name: str, permission: str = "metadata", level: str = "read") -> Repository:
    """
    A repository, when the caller may do this in it.

    Raises:
        GraphError: Not found, also when the caller may not know of it; or the right is missing.
    """
    found = call.github.repositories.get(full_name.lower())
    if found is None or not call.sees(found):
        raise GraphError("NOT_FOUND", f"Could not resolve to a Repository with the name '{full_name}'.")
    try:
        return call.granted(found, permission, level)
    except Refused as refused:
        if level != "read" and call.person is not None and refused.status == 404:  # noqa: PLR2004
            refused.message = f"{call.person} does not have the correct permissions to execute this mutation"
        raise GraphError("FORBIDDEN", refused.message) from None


def _repository(info: Info, *, owner: str, name: str, followRenames: bool = True) -> Node:  # noqa: ARG001, N803
    call: Call = info.context
    repo = repository_named(call, f"{owner}/{name}")
    if repo.private and not call.token_reads(repo):
        raise GraphError("FORBIDDEN", "Resource not accessible by integration")
    role = call.github.role(call.person, repo) if call.person else "none"
    default = f"refs/heads/{repo.default_branch}"
    return {
        "__typename": "Repository",
        "id": shapes.node_id("R", repo.id),
        "databaseId": repo.id,
        "name": repo.name,
        "nameWithOwner": repo.full_name,
        "isPrivate": repo.private,
        "isArchived": repo.archived,
        "isEmpty": repo.is_empty,
        "visibility": "PRIVATE" if repo.private else "PUBLIC",
        "viewerPermission": _PERMISSIONS.get(role),
        "defaultBranchRef": lambda _: ref(call, repo, default),
        "ref": lambda _, qualifiedName: ref(call, repo, _full_ref(repo, qualifiedName)),  # noqa: N803
        "object": lambda _, expression=None, oid=None: _object(call, repo, oid or expression or ""),
        "release": lambda _, tagName: _release_or_none(call, repo, tagName),  # noqa: N803
        "releases": lambda _, **arguments: _releases(call, repo, arguments),
    }


def _full_ref(repo: Repository, name: str) -> str:
    candidates = (name, f"refs/heads/{name}", f"refs/tags/{name}")
    return next((each for each in candidates if each in repo.refs), name)


def ref(call: Call, repo: Repository, name: str) -> Node | None:
    """A branch or tag by its full name; None when there is none."""
    if name not in repo.refs:
        return None
    parts = name.split("/", 2)
    return {
        "__typename": "Ref",
        "id": shapes.node_id("REF", f"{repo.id}:{name}"),
        "name": parts[-1],
        "prefix": "/".join(parts[:-1]) + "/",
        "target": commit(call, repo, repo.refs[name]),
    }


def _git_object(kind: str, sha: str) -> Node:
    return {"__typename": kind, "id": shapes.node_id(kind[0], sha), "oid": sha, "abbreviatedOid": sha[:7]}


def commit(call: Call, repo: Repository, sha: str) -> Node:
    """A commit."""
    made = repo.git.commits[sha]
    return {
        **_git_object("Commit", sha),
        "url": f"https://github.com/{repo.full_name}/commit/{sha}",
        "message": made.message,
        "messageHeadline": made.message.partition("\n")[0],
        "committedDate": stamp(made.committer.when),
        "tree": lambda _: _tree(call, repo, made.tree, ""),
        "file": lambda _, path: _file(call, repo, made.tree, path),
    }


def _file(call: Call, repo: Repository, tree: str, path: str) -> Node | None:
    entry = repo.git.entry(tree, path)
    return _entry(call, repo, entry, path.rpartition("/")[0]) if entry else None


def _tree(call: Call, repo: Repository, sha: str, folder: str) -> Node:
    return {
        **_git_object("Tree", sha),
        "entries": lambda _: [_entry(call, repo, each, folder) for each in repo.git.trees[sha]],
    }


def _entry(call: Call, repo: Repository, entry: Entry, folder: str) -> Node:
    path = f"{folder}/{entry.name}" if folder else entry.name
    return {
        "mode": int(entry.mode, 8),
        "name": entry.name,
        "oid": entry.sha,
        "path": path,
        "size": len(repo.git.blobs.get(entry.sha, b"")),
        "type": entry.kind,
        "object": lambda _: _named(call, repo, entry.sha, path),
    }


def _blob(repo: Repository, sha: str) -> Node:
    content = repo.git.blobs[sha]
    binary = b"\0" in content[:_BINARY_LOOK]
    return {
        **_git_object("Blob", sha),
        "byteSize": len(content),
        "isBinary": binary,
        "isTruncated": len(content) > _TEXT_BYTES,
        "text": None if binary else content[:_TEXT_BYTES].decode("utf-8", "replace"),
    }


def _named(call: Call, repo: Repository, sha: str, path: str = "") -> Node | None:
    if sha in repo.git.blobs:
        return _blob(repo, sha)
    if sha in repo.git.trees:
        return _tree(call, repo, sha, path)
    return commit(call, repo, sha) if sha in repo.git.commits else None


def _object(call: Call, repo: Repository, expression: str) -> Node | None:
    """What git's own `rev-parse` makes of `<commit>`, `<commit>:<path>` or the name of any object."""
    name, colon, path = expression.partition(":")
    if not colon and repo.git.has(name):
        return _named(call, repo, name)
    sha = repo.resolve(name)
    if sha is None:
        return None
    if not colon:
        return commit(call, repo, sha)
    tree = repo.git.commits[sha].tree
    if not path.strip("/"):
        return _tree(call, repo, tree, "")
    entry = repo.git.entry(tree, path.strip("/"))
    return _named(call, repo, entry.sha, path.strip("/")) if entry else None


def _release_or_none(call: Call, repo: Repository, tag: str) -> Node | None:
    found = repo.release_with(tag)
    return _release(call, repo, found) if found else None


def _release(call: Call, repo: Repository, item: Release) -> Node:
    """A release; without its assets' digests and numbers, which only REST tells."""
    return {
        "__typename": "Release",
        "id": shapes.node_id("RE", item.id),
        "databaseId": item.id,
        "isDraft": item.draft,
        "isPrerelease": item.prerelease,
        "name": item.name,
        "tagName": item.tag,
        "description": item.body,
        "createdAt": stamp(item.created),
        "publishedAt": stamp(item.published) if item.published else None,
        "releaseAssets": lambda _, **arguments: _assets(call, repo, item, arguments),
    }


def _assets(call: Call, repo: Repository, item: Release, arguments: Mapping[str, Any]) -> Node:
    wanted = [each for each in item.assets.values() if arguments.get("name") in (None, each.name)]
    nodes: list[Node] = []
    for each in wanted:
        body = shapes.asset(call.github, repo, item, each)
        nodes.append(
            {
                "__typename": "ReleaseAsset",
                "id": body["node_id"],
                "name": each.name,
                "size": len(each.content),
                "contentType": each.content_type,
                "downloadCount": each.downloads,
                "url": body["browser_download_url"],
                "downloadUrl": body["browser_download_url"],
            }
        )
    return _connection("releaseAssets", nodes, arguments, lambda node: node)


def _releases(call: Call, repo: Repository, arguments: Mapping[str, Any]) -> Node:
    shown = repo.newest_first() if call.may_push(repo) else repo.published()
    return _connection("releases", shown, arguments, lambda item: _release(call, repo, item))


def _connection(field: str, things: list[Any], arguments: Mapping[str, Any], node: Callable[[Any], Node]) -> Node:
    """
    One page of a list.

    Raises:
        GraphError: Neither `first` nor `last` is given, or more than 100 are wanted.
    """
    first, last = arguments.get("first"), arguments.get("last")
    if first is None and last is None:
        raise GraphError(
            "MISSING_PAGINATION_BOUNDARIES",
            f"You must provide a `first` or `last` value to properly paginate the `{field}` connection.",
        )
    count: int = first if first is not None else arguments["last"]
    if count > _PAGE_MAX:
        raise GraphError(
            "EXCESSIVE_PAGINATION",
            f"Requesting {count} records on the `{field}` connection exceeds the `first` limit of {_PAGE_MAX} records.",
        )
    start = int(base64.b64decode(arguments["after"]).decode().rpartition(":")[2]) if arguments.get("after") else 0
    if first is None:
        start = max(0, len(things) - count)
    page = things[start : start + count]
    end = start + len(page)
    return {
        "nodes": [node(each) for each in page],
        "totalCount": len(things),
        "pageInfo": {
            "hasNextPage": end < len(things),
            "hasPreviousPage": start > 0,
            "startCursor": _cursor(start + 1) if page else None,
            "endCursor": _cursor(end) if page else None,
        },
    }


def _cursor(position: int) -> str:
    return base64.b64encode(f"cursor:v2:{position}".encode()).decode()


def _viewer(info: Info) -> Node:
    call: Call = info.context
    number = call.github.accounts[call.person.lower()].id if call.person else None
    return {"__typename": "User", "id": shapes.node_id("U", number), "login": call.actor, "databaseId": number}


def _rate_limit(info: Info, *, dryRun: bool = False) -> Node:  # noqa: ARG001, N803
    call: Call = info.context
    window = call.github.limits.window(call.token, "graphql", call.github.clock())
    return {
        "cost": 1,
        "limit": window.limit,
        "remaining": window.remaining,
        "used": window.used,
        "resetAt": stamp(datetime.fromtimestamp(window.reset, UTC)),
    }


QUERIES: Mapping[str, Callable[..., Any]] = {"repository": _repository, "viewer": _viewer, "rateLimit": _rate_limit}
"""Resolvers of the fields of `Query`."""
