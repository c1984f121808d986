"""
The other hosts: signed links to assets, archives, and what stands for the pages of github.com.

The host of the assets refuses every request that brings an Authorization header, as the real one does.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from hmac import compare_digest
from urllib.parse import quote, urlencode

from wheelyard.testing.fake_github.call import Call
from wheelyard.testing.fake_github.model import Asset, Release, Repository, stamp
from wheelyard.testing.fake_github.routing import route
from wheelyard.testing.fake_github.signatures import link_signature
from wheelyard.testing.fake_github.wire import Answer

_ARCHIVE_LINK_S = 300
_STORAGE_LINK_S = 3600  # the storage's own signature outlives the one around it


def _link_seconds(call: Call) -> int:
    return -1 if call.github.switches.take("expiring_url") else call.github.switches.signed_link_s


def _expiry_token(expires: int, path: str) -> str:
    parts = (
        {"typ": "JWT", "alg": "HS256"},
        {"iss": "github.com", "aud": "release-assets", "exp": expires, "path": path},
    )
    return ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


def asset_link(call: Call, repo: Repository, asset: Asset) -> str:
    """A link that is as good as a credential, for minutes."""
    now = call.github.clock()
    expires = int(now) + _link_seconds(call)
    path = f"/github-production-release-asset/{repo.id}/{asset.id}"
    storage_end = max(expires, int(now) + _STORAGE_LINK_S) if expires > now else expires
    query = {
        "sp": "r",
        "sv": "2018-11-09",
        "sr": "b",
        "spr": "https",
        "se": stamp(datetime.fromtimestamp(storage_end, UTC)),
        "rscd": f"attachment; filename={asset.name}",
        "rsct": asset.content_type,
        "sig": link_signature(call.github.signing_key, path, expires),
        "jwt": f"{_expiry_token(expires, path)}.x",
        "exp": str(expires),
        "response-content-disposition": f"attachment; filename={asset.name}",
        "response-content-type": "application/octet-stream",
    }
    return f"{call.github.assets_url}{path}?{urlencode(query)}"


def archive_link(call: Call, repo: Repository, commit: str) -> str:
    """A link to the archive of a commit."""
    expires = int(call.github.clock()) + (-1 if call.github.switches.take("expiring_url") else _ARCHIVE_LINK_S)
    path = f"/codeload/{repo.full_name}/legacy.tar.gz/{commit}"
    token = f"{expires}-{link_signature(call.github.signing_key, path, expires)}"
    return f"{call.github.assets_url}{quote(path)}" + (f"?token={token}" if repo.private else "")


def _storage_error(status: int, code: str, message: str) -> Answer:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Answer(status=status, headers={"content-type": "application/xml"}, body=body.encode())


@route("GET", "/github-production-release-asset/{repository}/{asset}", host="assets")
def stored_asset(call: Call) -> Answer:
    """The bytes of an asset, or a range of them."""
    query, github = call.request.query, call.github
    if "authorization" in call.request.headers:
        return _storage_error(
            400, "InvalidAuthenticationInfo", "Authentication information is not given in the correct format."
        )
    expires = int(query.get("exp", "0"))
    if not compare_digest(query.get("sig", ""), link_signature(github.signing_key, call.request.path, expires)):
        return _storage_error(403, "AuthenticationFailed", "Server failed to authenticate the request.")
    if expires <= github.clock():
        return _storage_error(403, "AuthenticationFailed", "Signed expiry time has to be after signature current time.")
    found = _asset(call)
    if found is None:
        return _storage_error(404, "BlobNotFound", "The specified blob does not exist.")
    return troubled(call, bytes_answer(call, found))


def _asset(call: Call) -> Asset | None:
    wanted = (call.params["repository"], call.params["asset"])
    for repo in call.github.repositories.values():
        for _, asset in repo.assets():
            if (str(repo.id), str(asset.id)) == wanted:
                return asset
    return None


def bytes_answer(call: Call, asset: Asset) -> Answer:
    """The bytes, or the one range that is asked for."""
    headers = {
        "content-type": "application/octet-stream",
        "content-disposition": f"attachment; filename={asset.name}",
        "accept-ranges": "bytes",
        "etag": f'"0x{asset.id:X}"',
        "last-modified": asset.created.strftime("%a, %d %b %Y %H:%M:%S GMT"),
    }
    size = len(asset.content)
    unit, _, wanted = call.request.headers.get("range", "").partition("=")
    first, dash, last = wanted.partition("-")
    if unit != "bytes" or not dash or "," in wanted:
        asset.downloads += 1
        return Answer(headers=headers, body=asset.content)
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    if start >= size or start > end:
        return Answer(status=416, headers={**headers, "content-range": f"bytes */{size}"})
    headers["content-range"] = f"bytes {start}-{end}/{size}"
    return Answer(status=206, headers=headers, body=asset.content[start : end + 1])


def troubled(call: Call, answer: Answer) -> Answer:
    """Cut or spoil a download when a test has ordered it."""
    switches = call.github.switches
    if answer.body and switches.take("truncate_download"):
        answer.cut_after = len(answer.body) // 2
    if answer.body and switches.take("corrupt_download"):
        answer.body = answer.body[:-1] + bytes([answer.body[-1] ^ 0xFF])
    return answer


@route("GET", "/codeload/{owner}/{repo}/legacy.tar.gz/{commit}", host="assets")
def archive(call: Call) -> Answer:
    """A branch as one archive."""
    repo = call.github.repositories.get(f"{call.params['owner']}/{call.params['repo']}".lower())
    sha = call.params["commit"]
    if repo is None or sha not in repo.git.commits:
        return Answer(status=404, headers={"content-type": "text/plain"}, body=b"404: Not Found")
    expires, _, given = call.request.query.get("token", "0-").partition("-")
    right = link_signature(call.github.signing_key, call.request.path, int(expires))
    if repo.private and (not compare_digest(given, right) or int(expires) <= call.github.clock()):
        return Answer(status=404, headers={"content-type": "text/plain"}, body=b"404: Not Found")
    folder = f"{repo.owner}-{repo.name}-{sha[:7]}"
    headers = {"content-type": "application/x-gzip", "content-disposition": f"attachment; filename={folder}.tar.gz"}
    return troubled(call, Answer(headers=headers, body=repo.git.tarball(sha, folder=folder)))


@route("GET", "/web/{owner}/{repo}/releases/download/{tag}/{name}", host="assets")
def browser_download(call: Call) -> Answer:
    """What `browser_download_url` leads to: nothing for a private repository, whatever token comes along."""
    repo = call.github.repositories.get(f"{call.params['owner']}/{call.params['repo']}".lower())
    release: Release | None = repo.release_with(call.params["tag"]) if repo and not repo.private else None
    asset = next(
        (each for each in (release.assets.values() if release else ()) if each.name == call.params["name"]), None
    )
    if repo is None or asset is None:
        return Answer(status=404, headers={"content-type": "text/plain"}, body=b"Not Found")
    return Answer(status=302, headers={"location": asset_link(call, repo, asset)})
