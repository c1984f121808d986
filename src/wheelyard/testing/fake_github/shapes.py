"""The bodies GitHub sends, made from what the double knows."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from wheelyard.testing.fake_github.git_objects import Commit, Signature
from wheelyard.testing.fake_github.model import Account, Asset, Release, Repository, stamp

if TYPE_CHECKING:
    from wheelyard.testing.fake_github.github import FakeGitHub

Body = dict[str, object]

_PERSON_LINKS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}
_REPOSITORY_LINKS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}
_COUNTS = ("forks", "forks_count", "open_issues", "open_issues_count", "stargazers_count", "watchers", "watchers_count")
_UNVERIFIED: Mapping[str, object] = {
    "verified": False,
    "reason": "unsigned",
    "signature": None,
    "payload": None,
    "verified_at": None,
}


def node_id(kind: str, number: object) -> str:
    """An opaque name of a thing, as GraphQL uses."""
    return f"{kind}_{base64.urlsafe_b64encode(str(number).encode()).decode().rstrip('=')}"


def owner_of(github: FakeGitHub, repository: Repository) -> Account:
    """The account a repository belongs to."""
    return github.accounts[repository.owner.lower()]


def repository_url(github: FakeGitHub, repository: Repository) -> str:
    """Where the interface has it."""
    return f"{github.api_url}/repos/{repository.full_name}"


def person(github: FakeGitHub, login: str) -> Body:
    """A `simple-user`; bots and people who left have one too."""
    account = github.accounts.get(login.lower()) or Account(id=41898282, login=login)
    url = f"{github.api_url}/users/{quote(account.login)}"
    return {
        "login": account.login,
        "id": account.id,
        "node_id": node_id("U", account.id),
        "avatar_url": f"{github.web_url}/avatars/{account.id}",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{github.web_url}/{quote(account.login)}",
        **{name: url + tail for name, tail in _PERSON_LINKS.items()},
        "type": "Bot" if login.endswith("[bot]") else account.kind,
        "user_view_type": "public",
        "site_admin": False,
    }


def public_person(github: FakeGitHub, account: Account) -> Body:
    """A `public-user`: what `GET /user` tells a token without the scope `user`."""
    return {
        **person(github, account.login),
        "name": account.login.title(),
        "company": None,
        "blog": "",
        "location": None,
        "email": None,
        "hireable": None,
        "bio": None,
        "twitter_username": None,
        "public_repos": 0,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": "2020-01-01T00:00:00Z",
        "updated_at": "2020-01-01T00:00:00Z",
    }


def repository(github: FakeGitHub, repo: Repository, permissions: Mapping[str, bool] | None) -> Body:
    """A `minimal-repository` with all that every kind of answer has; `full_repository` adds the rest."""
    url = repository_url(github, repo)
    web = f"{github.web_url}/{repo.full_name}"
    made = stamp(repo.created)
    body: Body = {
        "id": repo.id,
        "node_id": node_id("R", repo.id),
        "name": repo.name,
        "full_name": repo.full_name,
        "private": repo.private,
        "owner": person(github, repo.owner),
        "html_url": web,
        "description": repo.description,
        "fork": False,
        "url": url,
        **{name: url + tail for name, tail in _REPOSITORY_LINKS.items()},
        **dict.fromkeys(_COUNTS, 0),
        "created_at": made,
        "updated_at": made,
        "pushed_at": made,
        "git_url": f"git://github.com/{repo.full_name}.git",
        "ssh_url": f"git@github.com:{repo.full_name}.git",
        "clone_url": f"{web}.git",
        "svn_url": web,
        "homepage": repo.homepage,
        "size": sum(map(len, repo.git.blobs.values())) // 1024,
        "language": None,
        "has_issues": True,
        "has_projects": True,
        "has_downloads": True,
        "has_wiki": True,
        "has_pages": repo.pages is not None,
        "has_discussions": False,
        "mirror_url": None,
        "archived": repo.archived,
        "disabled": False,
        "license": None,
        "allow_forking": True,
        "is_template": False,
        "web_commit_signoff_required": False,
        "topics": list(repo.topics),
        "visibility": "private" if repo.private else "public",
        "default_branch": repo.default_branch,
    }
    if permissions is not None:
        body["permissions"] = dict(permissions)
    return body


def full_repository(github: FakeGitHub, repo: Repository, permissions: Mapping[str, bool] | None) -> Body:
    """A `full-repository`."""
    body = repository(github, repo, permissions)
    body |= {"temp_clone_token": "", "network_count": 0, "subscribers_count": 0}
    if owner_of(github, repo).kind == "Organization":
        body["organization"] = person(github, repo.owner)
    return body


def asset(github: FakeGitHub, repo: Repository, release: Release, item: Asset) -> Body:
    """A `release-asset`."""
    return {
        "url": f"{repository_url(github, repo)}/releases/assets/{item.id}",
        "id": item.id,
        "node_id": node_id("RA", item.id),
        "name": item.name,
        "label": item.label,
        "uploader": person(github, item.uploader),
        "content_type": item.content_type,
        "state": item.state,
        "size": len(item.content),
        "digest": item.digest,
        "download_count": item.downloads,
        "created_at": stamp(item.created),
        "updated_at": stamp(item.created),
        "browser_download_url": f"{github.web_url}/{repo.full_name}/releases/download/{quote(release.tag)}/{quote(item.name)}",
    }


def release(github: FakeGitHub, repo: Repository, item: Release) -> Body:
    """A `release` with all its assets."""
    url = repository_url(github, repo)
    uploads = f"{github.uploads_url}/repos/{repo.full_name}/releases/{item.id}/assets"
    tag = quote(item.tag)
    return {
        "url": f"{url}/releases/{item.id}",
        "assets_url": f"{url}/releases/{item.id}/assets",
        "upload_url": uploads + "{?name,label}",
        "html_url": f"{github.web_url}/{repo.full_name}/releases/"
        + (f"tag/untagged-{item.id}" if item.draft else f"tag/{tag}"),
        "id": item.id,
        "author": person(github, item.author),
        "node_id": node_id("RE", item.id),
        "tag_name": item.tag,
        "target_commitish": item.target,
        "name": item.name,
        "draft": item.draft,
        "immutable": item.immutable,
        "prerelease": item.prerelease,
        "created_at": stamp(item.created),
        "updated_at": stamp(item.updated or item.created),
        "published_at": stamp(item.published) if item.published else None,
        "assets": [asset(github, repo, item, each) for each in item.assets.values()],
        "tarball_url": None if item.draft else f"{url}/tarball/{tag}",
        "zipball_url": None if item.draft else f"{url}/zipball/{tag}",
        "body": item.body,
    }


def _signature(who: Signature) -> Body:
    return {"name": who.name, "email": who.email, "date": stamp(who.when)}


def _parents(github: FakeGitHub, repo: Repository, commit: Commit, *, git: str) -> list[Body]:
    url, web = repository_url(github, repo), f"{github.web_url}/{repo.full_name}"
    return [
        {"sha": sha, "url": f"{url}{git}/commits/{sha}", "html_url": f"{web}/commit/{sha}"} for sha in commit.parents
    ]


def git_commit(github: FakeGitHub, repo: Repository, sha: str) -> Body:
    """A `git-commit`: the object itself."""
    commit = repo.git.commits[sha]
    url = repository_url(github, repo)
    return {
        "sha": sha,
        "node_id": node_id("C", sha),
        "url": f"{url}/git/commits/{sha}",
        "html_url": f"{github.web_url}/{repo.full_name}/commit/{sha}",
        "author": _signature(commit.author),
        "committer": _signature(commit.committer),
        "tree": {"sha": commit.tree, "url": f"{url}/git/trees/{commit.tree}"},
        "message": commit.message,
        "parents": _parents(github, repo, commit, git="/git"),
        "verification": dict(_UNVERIFIED),
    }


def commit(github: FakeGitHub, repo: Repository, sha: str) -> Body:
    """A `commit`: the object and who GitHub thinks made it."""
    made = repo.git.commits[sha]
    url = repository_url(github, repo)
    known = made.author.name.lower() in github.accounts
    return {
        "sha": sha,
        "node_id": node_id("C", sha),
        "commit": {
            "author": _signature(made.author),
            "committer": _signature(made.committer),
            "message": made.message,
            "tree": {"sha": made.tree, "url": f"{url}/git/trees/{made.tree}"},
            "url": f"{url}/git/commits/{sha}",
            "comment_count": 0,
            "verification": dict(_UNVERIFIED),
        },
        "url": f"{url}/commits/{sha}",
        "html_url": f"{github.web_url}/{repo.full_name}/commit/{sha}",
        "comments_url": f"{url}/commits/{sha}/comments",
        "author": person(github, made.author.name) if known else None,
        "committer": person(github, made.author.name) if known else None,
        "parents": _parents(github, repo, made, git=""),
    }


def reference(github: FakeGitHub, repo: Repository, name: str) -> Body:
    """A `git-ref`."""
    url = repository_url(github, repo)
    sha = repo.refs[name]
    return {
        "ref": name,
        "node_id": node_id("REF", f"{repo.id}:{name}"),
        "url": f"{url}/git/{quote(name)}",
        "object": {"sha": sha, "type": "commit", "url": f"{url}/git/commits/{sha}"},
    }
