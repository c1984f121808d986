"""Assets: the files of releases."""

from __future__ import annotations

import re
import unicodedata

from wheelyard.testing.fake_github import shapes
from wheelyard.testing.fake_github.call import Call
from wheelyard.testing.fake_github.endpoints.asset_host import asset_link, bytes_answer, troubled
from wheelyard.testing.fake_github.endpoints.releases import invalid, visible
from wheelyard.testing.fake_github.model import Asset, Release, Repository
from wheelyard.testing.fake_github.routing import route
from wheelyard.testing.fake_github.wire import Answer, Refused, json_answer, not_found

_REFUSED_MARKS = re.compile(r"[^a-z0-9\-_+@]+", re.IGNORECASE)


def stored_name(name: str) -> str:
    """
    The name GitHub gives an asset: `+`, `-`, `_` and `@` stay, all other marks become one dot each run.

    So `foo-1!2.0.tar.gz` becomes `foo-1.2.0.tar.gz`, which another version may have.
    """
    plain = "".join(mark for mark in unicodedata.normalize("NFD", name) if not unicodedata.combining(mark))
    dotted = re.sub(r"\.\.+", ".", _REFUSED_MARKS.sub(".", plain))
    trimmed = dotted.strip(".")
    only_ending = dotted.startswith(".") and "." not in trimmed
    return f"default.{trimmed}" if only_ending else trimmed


@route("POST", "/repos/{owner}/{repo}/releases/{release_id}/assets", "repos/upload-release-asset", host="uploads")
def upload_asset(call: Call) -> Answer:
    """Take the bytes of an asset."""
    repo = call.repository("contents", "write")
    item = visible(call, repo, call.number("release_id"))
    asset = _uploaded(call, item)
    if call.github.switches.take("fail_upload_502_leaves_starter"):
        asset.state, asset.content = "starter", b""
        item.assets[asset.id] = asset
        raise Refused(502, "Server Error")
    item.assets[asset.id] = asset
    body = shapes.asset(call.github, repo, item, asset)
    return json_answer(body, status=201, headers={"location": str(body["url"])})


def _uploaded(call: Call, item: Release) -> Asset:
    """
    The asset that was sent.

    Raises:
        Refused: The release takes it not.
    """
    query, headers, switches = call.request.query, call.request.headers, call.github.switches
    if "content-length" not in headers:
        raise Refused(411, "Length Required")
    if not query.get("name"):
        raise invalid("missing_field", "name", resource="ReleaseAsset")
    if "content-type" not in headers:
        raise Refused(400, "Content-Type header is missing")
    if item.immutable:
        raise Refused(422, "Cannot upload assets to an immutable release.")
    name = stored_name(query["name"])
    if any(asset.name == name for asset in item.assets.values()):
        raise invalid("already_exists", "name", resource="ReleaseAsset")
    if len(item.assets) >= switches.assets_per_release:
        text = f"file_count limited to {switches.assets_per_release} assets per release"
        raise invalid("custom", "file_count", message=text, resource="ReleaseAsset")
    if not 0 < len(call.request.body) <= switches.asset_bytes:
        text = f"size must be between 1 and {switches.asset_bytes}"
        raise invalid("custom", "size", message=text, resource="ReleaseAsset")
    return Asset(
        id=call.github.new_id(),
        name=name,
        label=query.get("label", ""),
        content=call.request.body,
        content_type=headers["content-type"],
        uploader=call.actor,
        created=call.github.now(),
    )


@route("GET", "/repos/{owner}/{repo}/releases/{release_id}/assets", "repos/list-release-assets")
def assets(call: Call) -> Answer:
    """The assets of a release, half-uploaded ones too."""
    repo = call.repository("contents")
    item = visible(call, repo, call.number("release_id"))
    return call.paged([shapes.asset(call.github, repo, item, each) for each in item.assets.values()])


def _found(call: Call, repo: Repository) -> tuple[Release, Asset]:
    number = call.number("asset_id")
    for item, each in repo.assets():
        if each.id == number and (not item.draft or call.may_push(repo)):
            return item, each
    raise not_found()


@route("GET", "/repos/{owner}/{repo}/releases/assets/{asset_id}", "repos/get-release-asset")
def asset(call: Call) -> Answer:
    """What is known of an asset, or by `application/octet-stream` where its bytes are (302), at times themselves (200)."""
    repo = call.repository("contents")
    item, found = _found(call, repo)
    if "application/octet-stream" not in call.request.accept:
        return json_answer(shapes.asset(call.github, repo, item, found))
    if found.state != "uploaded":
        raise not_found()
    if call.github.switches.stream_assets:
        return troubled(call, bytes_answer(call, found))
    return Answer(
        status=302, headers={"location": asset_link(call, repo, found), "content-type": "text/html; charset=utf-8"}
    )


@route("PATCH", "/repos/{owner}/{repo}/releases/assets/{asset_id}", "repos/update-release-asset")
def change_asset(call: Call) -> Answer:
    """Rename or label an asset."""
    repo = call.repository("contents", "write")
    item, found = _found(call, repo)
    name = stored_name(call.text("name", found.name))
    if any(each.name == name and each is not found for each in item.assets.values()):
        raise invalid("already_exists", "name", resource="ReleaseAsset")
    if item.immutable:
        raise Refused(422, "Cannot update asset of an immutable release")
    found.name, found.label = name, call.text("label", found.label or "")
    return json_answer(shapes.asset(call.github, repo, item, found))


@route("DELETE", "/repos/{owner}/{repo}/releases/assets/{asset_id}", "repos/delete-release-asset")
def delete_asset(call: Call) -> Answer:
    """Remove an asset."""
    repo = call.repository("contents", "write")
    item, found = _found(call, repo)
    if item.immutable:
        raise Refused(422, "Cannot delete asset from an immutable release")
    del item.assets[found.id]
    return Answer(status=204)
