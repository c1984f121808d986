"""The releases of a project page."""

from __future__ import annotations

import pytest

from wheelyard.errors import ReleaseNotFound
from wheelyard.model import DistFile, Filename, NormalizedName, ProjectPage
from wheelyard.ui.releases import choose_release, other_files, releases_of


def file(name: str, *, yanked: str | None = None, metadata: bool = True) -> DistFile:
    return DistFile(filename=Filename(name), url=name, yanked=yanked, core_metadata={} if metadata else None)


def page(*files: DistFile, versions: tuple[str, ...] = ()) -> ProjectPage:
    return ProjectPage(name=NormalizedName("a-b"), files=files, versions=versions)


FULL = page(
    file("a_b-1.0.tar.gz"),
    file("a_b-1.10-py3-none-any.whl"),
    file("a_b-1.9-py3-none-any.whl"),
    file("a_b-2.0-py3-none-any.whl", yanked="broken"),
    file("a_b-3.0rc1-py3-none-any.whl"),
    file("notes.txt"),
    versions=("1.0", "1.9", "1.10", "2.0", "3.0rc1", "4.0"),
)


def test_newest_first() -> None:
    """Releases are listed by version, newest first, those without files too."""
    assert [release.version for release in releases_of(FULL)] == ["4.0", "3.0rc1", "2.0", "1.10", "1.9", "1.0"]


def test_the_shown_release_is_the_one_that_installers_take() -> None:
    """PJ-05: without a wish, the newest final release that has files and is not yanked is shown."""
    chosen = choose_release(FULL, releases_of(FULL), None)

    assert chosen is not None
    assert chosen.version == "1.10"


@pytest.mark.parametrize(("wanted", "found"), [("2.0", "2.0"), ("1", "1.0"), ("v1.0.0", "1.0"), ("4.0", "4.0")])
def test_a_release_is_found_by_any_spelling(wanted: str, found: str) -> None:
    """A release that was asked for is found as PEP 440 compares versions, yanked or empty too."""
    chosen = choose_release(FULL, releases_of(FULL), wanted)

    assert chosen is not None
    assert chosen.version == found


def test_an_unknown_release_is_named() -> None:
    """A release that does not exist is not found, by name."""
    with pytest.raises(ReleaseNotFound, match=r"'9\.9'"):
        choose_release(FULL, releases_of(FULL), "9.9")


def test_a_page_without_versions_shows_what_its_files_say() -> None:
    """VA-03: an upstream that lists no versions is shown by its files; what no version owns is kept apart."""
    plain = page(file("a_b-1.0.tar.gz"), file("a_b-2.0.tar.gz"), file("notes.txt"))

    chosen = choose_release(plain, releases_of(plain), None)

    assert chosen is not None
    assert chosen.version == "2.0"
    assert [other.filename for other in other_files(plain)] == ["notes.txt"]
    assert choose_release(page(), (), None) is None


def test_a_release_is_yanked_when_all_of_it_is() -> None:
    """PEP 592: a release counts as yanked when every file of it is; the first reason is shown."""
    half = page(file("a_b-1.0.tar.gz", yanked=""), file("a_b-1.0-py3-none-any.whl"))
    whole = page(file("a_b-1.0.tar.gz", yanked=""), file("a_b-1.0-py3-none-any.whl", yanked="why"))

    assert [release.is_yanked for release in releases_of(half)] == [False]
    assert [(release.is_yanked, release.yank_reason) for release in releases_of(whole)] == [(True, "why")]


@pytest.mark.parametrize(
    ("files", "speaker"),
    [
        ((file("a_b-1.tar.gz"), file("a_b-1-py3-none-any.whl")), "a_b-1-py3-none-any.whl"),
        ((file("a_b-1.tar.gz"), file("a_b-1-py3-none-any.whl", metadata=False)), "a_b-1.tar.gz"),
        (
            (file("a_b-1.tar.gz", metadata=False), file("a_b-1-py3-none-any.whl", metadata=False)),
            "a_b-1-py3-none-any.whl",
        ),
        ((file("a_b-1.tar.gz", metadata=False),), "a_b-1.tar.gz"),
    ],
)
def test_a_wheel_speaks_for_the_release(files: tuple[DistFile, ...], speaker: str) -> None:
    """What a page says of a release comes from a wheel's metadata where there is one, else from an sdist's."""
    (release,) = releases_of(page(*files))

    assert release.described_by is not None
    assert release.described_by.filename == speaker
