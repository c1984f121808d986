"""What a path means, in every spelling clients use."""

import pytest

from wheelyard.errors import NotFound
from wheelyard.server.targets import Kind, Target, parse_target


def understood(path: str, *, root_path: str = "") -> Target:
    return parse_target(path.encode(), root_path=root_path, indexes={"main", "other"})


@pytest.mark.parametrize(
    ("path", "kind", "index", "project", "filename"),
    [
        ("/simple/", Kind.LIST, None, "", ""),
        ("/main/simple/", Kind.LIST, "main", "", ""),
        ("/MAIN/simple/", Kind.LIST, "main", "", ""),
        ("/simple/demo/", Kind.PAGE, None, "demo", ""),
        ("/simple//demo/", Kind.PAGE, None, "demo", ""),
        ("/+simple/demo/", Kind.PAGE, None, "demo", ""),
        ("/legacy/%2Bsimple/demo/", Kind.PAGE, None, "demo", ""),
        ("/simple/+simple/demo/", Kind.PAGE, None, "demo", ""),
        ("/other/legacy/+simple/demo/", Kind.PAGE, "other", "demo", ""),
        ("/simple/demo/demo-1.0.tar.gz", Kind.FILE, None, "demo", "demo-1.0.tar.gz"),
        ("/simple//demo/demo-1.0.tar.gz", Kind.FILE, None, "demo", "demo-1.0.tar.gz"),
        ("/simple/demo/demo-1.0.tar.gz.metadata", Kind.METADATA, None, "demo", "demo-1.0.tar.gz"),
        ("/simple/demo/demo-1.0%2Bcu1-py3-none-any.whl", Kind.FILE, None, "demo", "demo-1.0+cu1-py3-none-any.whl"),
        ("/simple/demo/demo-1.0+cu1-py3-none-any.whl", Kind.FILE, None, "demo", "demo-1.0+cu1-py3-none-any.whl"),
        ("/simple/demo/demo-1%212.0-py3-none-any.whl", Kind.FILE, None, "demo", "demo-1!2.0-py3-none-any.whl"),
        ("/legacy/", Kind.UPLOAD, None, "", ""),
        ("/legacy", Kind.UPLOAD, None, "", ""),
        ("/other/legacy/", Kind.UPLOAD, "other", "", ""),
        ("/", Kind.OTHER, None, "", ""),
        ("/login/", Kind.OTHER, None, "", ""),
    ],
)
def test_understood(path: str, kind: Kind, index: str | None, project: str, filename: str) -> None:
    """URL-01, URL-02, URL-11, URL-15, URL-16: every spelling of an address means the same thing."""
    target = understood(path)
    assert (target.kind, target.index, target.project, target.filename) == (kind, index, project, filename)


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/simple", "simple/"),
        ("/simple/demo", "demo/"),
        ("/simple/Holy.Grail/", "../holy-grail/"),
        ("/simple/HOLY__GRAIL", "holy-grail/"),
        ("/simple/demo/", None),
        ("/simple/", None),
    ],
)
def test_redirected(path: str, location: str | None) -> None:
    """URL-03, URL-04: redirects are relative, so scheme, host, port and proxy prefix stay what they were."""
    assert understood(path).redirect == location


@pytest.mark.parametrize(
    "name", ["friendly-bard", "Friendly-Bard", "friendly.bard", "friendly--bard", "FrIeNdLy-._.-bArD"]
)
def test_one_project(name: str) -> None:
    """URL-05: all spellings of a name reach one project."""
    assert understood(f"/simple/{name}/").project == "friendly-bard"


@pytest.mark.parametrize(
    "path",
    [
        "/simple/-a/",
        "/simple/a./",
        "/simple/_a/",
        "/simple/a%20b/",
        "/simple/%C3%A9/",
        "/simple/a%0A/",
        "/simple/..%2f..%2fetc/",
        "/simple/../etc/",
        "/simple/%2e%2e/etc/",
        "/simple/demo/..%2findex.json",
        "/simple/demo/%00",
        "/simple/demo/a%5Cb",
        "/simple/demo/file/",
        "/simple/demo/a/b",
        "/%ff/",
    ],
)
def test_refused(path: str) -> None:
    """URL-06, URL-17: what cannot be a name, or tries to leave the tree, is not found."""
    with pytest.raises(NotFound):
        understood(path)


@pytest.mark.parametrize("path", ["/pypi-proxy/simple/demo/", "/simple/demo/"])
def test_prefix(path: str) -> None:
    """A prefix of a reverse proxy is taken off, and a request without it is still understood."""
    assert understood(path, root_path="/pypi-proxy").project == "demo"
